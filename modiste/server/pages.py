"""The merchandiser's pages: shoppers, items, search and experiments, rendered here, with htmx where a part changes.

Every page works without JavaScript: forms have a button, and what htmx loads has an address of its own.
"""

import hashlib
import json
import math
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, get_args
from urllib.parse import quote, urlencode

import polars as pl
from fastapi import APIRouter, File, Form, HTTPException, Request, Response, UploadFile
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse
from fastapi.routing import APIRoute
from jinja2 import Environment, PackageLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup

from modiste.behaviour.stores import distances_km
from modiste.catalog.items import GENDERS
from modiste.errors import MaskError, ModisteError, PhotoError, UnknownIdError
from modiste.ranking.relevance import PRESETS, Scaling, Weights
from modiste.server import charts
from modiste.server.addresses import item_page, photo, recommendations, shopper_page, thumbnail
from modiste.server.gate import BusyError, the_settings, the_shop, the_turnstile
from modiste.shop.asking import Options
from modiste.shop.filters import Filter
from modiste.shop.recommendations import TERMS, Recommendation, Recommendations
from modiste.shop.shop import Shop

SHOPPERS_A_PAGE = 24
ITEMS_A_PAGE = 48
SHOWN_PURCHASES = 12
"""A shopper's latest purchases that get a list each, until all are asked for."""

SIMILAR = 8
SEEN = 480
"""Pixels of the longer side of a searched photo as it is shown again."""

MOST_TOP = 20
FILES = {".png": "image/png", ".svg": "image/svg+xml", ".csv": "text/csv; charset=utf-8"}
"""What is served from the folder of the experiments, and as what."""

static = Path(__file__).with_name("static")

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-cache",
    "Vary": "HX-Request, HX-Target",
}


def words(name: str | None) -> str:
    """A category as a person would write it."""
    return name.replace("_", " ") if name else "no category"


def _asset(name: str) -> str:
    """The address of a file of ours, with its fingerprint, so that a browser may keep it for long."""
    return f"/static/{name}?v={hashlib.blake2b((static / name).read_bytes(), digest_size=5).hexdigest()}"


_environment = Environment(
    loader=PackageLoader("modiste.server"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.filters.update(
    words=words, item_page=item_page, shopper_page=shopper_page, thumbnail=thumbnail, photo=photo
)
_environment.globals.update(
    TERMS=TERMS, PRESETS=PRESETS, SCALINGS=get_args(Scaling), MOST_TOP=MOST_TOP, bar=charts.bar, swatch=charts.swatch,
    css=_asset("modiste.css"), htmx=_asset("htmx.min.js"), js=_asset("modiste.js"),
)  # fmt: skip


class _PageRoute(APIRoute):
    """A route whose errors are pages that a person can read."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The route's handler, and what it raises as a page."""
        handle = super().get_route_handler()

        async def handled(request: Request) -> Response:
            try:
                return await handle(request)
            except UnknownIdError as error:
                return error_page(request, 404, "Not here", str(error))
            except RequestValidationError:
                return error_page(request, 422, "That can't be read", "Something in the address or form is not valid.")
            except ModisteError as error:
                return error_page(request, 422, "That didn't work", str(error))
            except BusyError:
                return error_page(
                    request, 429, "Busy", "The service is busy; try again in a moment.", {"Retry-After": "1"}
                )
            except HTTPException as error:
                return error_page(request, error.status_code, "That didn't work", str(error.detail), error.headers)

        return handled


router = APIRouter(include_in_schema=False, route_class=_PageRoute)


def error_page(
    request: Request, status: int, title: str, message: str, headers: Mapping[str, str] | None = None
) -> HTMLResponse:
    """An error as a page of its own, or as a part where htmx asked for one."""
    name = "_error.html" if _wants(request) else "error.html"
    answer = _render(request, name, status=status, title=title, message=message, here="")
    answer.headers.update(headers or {})
    return answer


def _render(request: Request, name: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    values |= {"shop_name": the_shop(request).path.name}
    return HTMLResponse(_environment.get_template(name).render(values), status, headers=_HEADERS)


def _wants(request: Request) -> str | None:
    """The id of the part that htmx wants to replace; None where a browser wants the page."""
    if "HX-Request" not in request.headers or "HX-History-Restore-Request" in request.headers:
        return None
    return request.headers.get("HX-Target", "")


def _full(weights: Weights) -> dict[str, Any]:
    """Which terms have a weight, and the largest weight: a bar's full length."""
    by_term = dict(zip(TERMS, (weights.alpha, weights.beta, weights.gamma, weights.distance), strict=True))
    return {"terms_shown": [name for name, weight in by_term.items() if weight], "full": max(by_term.values())}


def _number(text: str | None, low: float, high: float) -> float | None:
    """A number from a form, kept in its range; None where there is none."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return min(max(value, low), high) if math.isfinite(value) else None


def _page_number(request: Request) -> int:
    return int(_number(request.query_params.get("page"), 1, 1_000_000) or 1)


def _address(path: str, parameters: Sequence[tuple[str, object]] | Mapping[str, object]) -> str:
    pairs = parameters.items() if isinstance(parameters, Mapping) else parameters
    kept = [(name, value) for name, value in pairs if value not in (None, "")]
    return f"{path}?{urlencode(kept)}" if kept else path


# Shoppers


@router.get("/")
def home() -> Response:
    """The shoppers are where a visit begins."""
    return RedirectResponse("/shoppers")


@router.get("/shoppers")
def shoppers(request: Request) -> Response:
    """Every shopper with her trendiness and latest purchases, searched by id, a page at a time."""
    shop = the_shop(request)
    query = request.query_params.get("q", "").strip()
    sort = request.query_params.get("sort", "id")
    people = _people(shop)
    total = people.height
    if query:
        people = people.filter(pl.col("shopper_id").str.to_lowercase().str.contains(query.lower(), literal=True))
    people = _sorted_people(people, sort)
    number = _page_number(request)
    shown = people.slice((number - 1) * SHOPPERS_A_PAGE, SHOPPERS_A_PAGE)
    following = None
    if people.height > number * SHOPPERS_A_PAGE:
        following = _address("/shoppers", {"q": query, "sort": sort, "page": number + 1})
    target = _wants(request)
    name = {"people": "_people.html", "more": "_people_more.html"}.get(target or "", "shoppers.html")
    return _render(
        request,
        name,
        here="shoppers",
        people=[row | {"latest": _latest(row)} for row in shown.iter_rows(named=True)],
        found=people.height,
        total=total,
        q=query,
        sort=sort,
        following=following,
    )


def _people(shop: Shop) -> pl.DataFrame:
    """All shoppers: shopper_id, tau (given, else estimated, else the mean), bought (n), items (the latest four)."""
    estimated = shop.estimated_trendiness().select("shopper_id", guess="trendiness")
    photos = shop.items().select("item_id", has_photo=pl.col("image").is_not_null())
    bought = (
        shop.purchases()
        .join(photos, on="item_id", how="left", maintain_order="left")
        .group_by("shopper_id")
        .agg(
            bought=pl.len(),
            items=pl.col("item_id").reverse().head(4),
            photos=pl.col("has_photo").reverse().head(4),
        )
    )
    return (
        shop.shoppers()
        .join(estimated, on="shopper_id", how="left")
        .join(bought, on="shopper_id", how="left")
        .with_columns(tau=pl.coalesce("trendiness", "guess"), bought=pl.col("bought").fill_null(0))
        .with_columns(pl.col("tau").fill_null(pl.col("tau").mean()).fill_null(0.5))
    )


def _sorted_people(people: pl.DataFrame, sort: str) -> pl.DataFrame:
    if sort == "trendiness":
        return people.sort("tau", "shopper_id", descending=[True, False])
    if sort == "purchases":
        return people.sort("bought", "shopper_id", descending=[True, False])
    digits = pl.col("shopper_id").str.extract(r"(\d+)$").cast(pl.Int64, strict=False)
    return people.sort(pl.col("shopper_id").str.replace(r"\d+$", ""), digits, "shopper_id", nulls_last=True)


def _latest(row: Mapping[str, Any]) -> list[tuple[str, bool]]:
    return list(zip(row["items"] or [], row["photos"] or [], strict=True))


@dataclass(frozen=True, slots=True)
class Steering:
    """Where the sliders of a shopper's page stand, and what its lists are compared with."""

    weights: Weights
    trendiness: float
    top: int
    against: str

    @classmethod
    def of(cls, query: Mapping[str, str], own: float) -> "Steering":
        """From an address; what it doesn't say is the preset's (``preset``, else balanced) and the shopper's own.

        Raises SettingError where every weight is 0.
        """
        against = query.get("against", "")
        start = PRESETS.get(query.get("preset", ""), PRESETS["balanced"])
        given = {name: _number(query.get(name), 0, 1) for name in ("alpha", "beta", "gamma")}
        penalty = _number(query.get("penalty"), 2, 8)
        scaling = query.get("scaling", "")
        weights = replace(
            start,
            **{name: value for name, value in given.items() if value is not None},
            penalty=start.penalty if penalty is None else 2 * round(penalty / 2),
            scaling=scaling if scaling in get_args(Scaling) else start.scaling,  # type: ignore[arg-type]
        )
        tau = _number(query.get("trendiness"), 0, 1)
        if tau is None or abs(tau - own) <= 0.005:  # the slider's steps are 0.01
            tau = own
        top = _number(query.get("top"), 1, MOST_TOP)
        return cls(weights, tau, 5 if top is None else round(top), against if against in PRESETS else "balanced")

    @property
    def preset(self) -> str | None:
        """The name of the preset that the weights are, if they are one."""
        return next((name for name, weights in PRESETS.items() if weights == self.weights), None)


@dataclass(frozen=True, slots=True)
class Moved:
    """A recommendation and what became of it against the list it is compared with.

    ``mark`` is new, rose, fell, same or dropped; ``by`` how many places; ``before`` its place there (1-based, 0: none).
    """

    one: Recommendation
    mark: str
    by: int = 0
    before: int = 0


def compare(now: Sequence[Recommendation], before: Sequence[Recommendation]) -> tuple[list[Moved], list[Moved]]:
    """What is in ``now``, each with how it moved since ``before``, and what dropped out of it."""
    places = {one.item_id: place for place, one in enumerate(before, 1)}
    moved = []
    for place, one in enumerate(now, 1):
        was = places.pop(one.item_id, 0)
        mark = "new" if not was else "rose" if was > place else "fell" if was < place else "same"
        moved.append(Moved(one, mark, abs(was - place) if was else 0, was))
    left = {one.item_id: one for one in before}
    return moved, [Moved(left[one], "dropped", 0, place) for one, place in places.items()]


@router.get("/shoppers/{shopper_id:path}")
def shopper(request: Request, shopper_id: str) -> Response:
    """One shopper: what she bought and when, how trendy she is, and a list for each purchase that the sliders steer."""
    shop = the_shop(request)
    own = shop.trendiness(shopper_id)
    query = request.query_params
    steering = Steering.of(query, own)
    every = query.get("all") == "1"
    latest = None if every else SHOWN_PURCHASES
    now = _lists(shop, shopper_id, steering, steering.weights, steering.trendiness, latest)
    still = steering.weights == PRESETS[steering.against] and steering.trendiness == own
    before = now if still else _lists(shop, shopper_id, steering, PRESETS[steering.against], None, latest)
    purchases = shop.purchases().filter(pl.col("shopper_id") == shopper_id)
    frame = shop.items()
    about = {
        row["item_id"]: row
        for row in frame.filter(pl.col("item_id").is_in([bought for bought, _ in now])).iter_rows(named=True)
    }
    dates = dict(purchases.select("item_id", "at").iter_rows())
    blocks = []
    count = dict.fromkeys(("new", "rose", "fell", "dropped"), 0)
    for (bought, found), (_, was) in list(zip(now, before, strict=True))[::-1]:
        moved, dropped = compare(found, was)
        for one in [*moved, *dropped]:
            if one.mark in count:
                count[one.mark] += 1
        blocks.append({"bought": about.get(bought), "at": dates.get(bought), "moved": moved, "dropped": dropped})
    newcomer = not purchases.height
    hidden = 0 if newcomer else purchases["item_id"].n_unique() - len(blocks)
    weights = steering.weights
    values: dict[str, Any] = {
        "here": "shoppers",
        "shopper_id": shopper_id,
        "own": own,
        "steering": steering,
        "weights": weights,
        "blocks": blocks,
        "hidden": hidden,
        "every": every,
        "count": count,
        "still": still,
        **_full(Weights(0.0, 1.0, 0.0) if newcomer else weights),
        "embedded": bool(shop.spaces()),
        "request_address": _request_address(shopper_id, steering, own),
        "everything": _address(shopper_page(shopper_id), {**query, "all": "1"}),
    }
    target = _wants(request)
    if target in ("lists", "work"):
        return _render(request, f"_{target}.html", **values, swap=target == "lists")
    people = _people(shop)
    others = people.filter(pl.col("shopper_id") != shopper_id)["tau"]
    return _render(
        request,
        "shopper.html",
        **values,
        swap=False,
        timeline=charts.timeline(list(_stops(purchases, frame))) if purchases.height else None,
        histogram=charts.histogram(people["tau"].to_list(), own),
        given=people.filter(pl.col("shopper_id") == shopper_id)["trendiness"][0] is not None,
        rank=int((others < own).sum()),
        others=others.len(),
        mean=others.mean(),
        purchases=purchases.height,
    )


def _lists(
    shop: Shop, shopper_id: str, steering: Steering, weights: Weights, trendiness: float | None, latest: int | None
) -> list[tuple[str, Recommendations]]:
    """A list for each of her purchases; without any, one of what is popular, under no item's id."""
    options: Options = {"weights": weights, "trendiness": trendiness}
    found = shop.recommend_each(shopper_id, top=steering.top, latest=latest, **options)
    return found or [("", shop.introduce(steering.top, shopper=shopper_id, trendiness=trendiness))]


def _request_address(shopper_id: str, steering: Steering, own: float) -> str:
    """The same ranking, merged over all purchases, asked of the service: what a shop's own site would ask for."""
    weights = steering.weights
    asked = {
        "preset": "balanced" if weights.scaling == "minmax" else "visual",  # the presets by their scaling
        "alpha": f"{weights.alpha:g}",
        "beta": f"{weights.beta:g}",
        "gamma": f"{weights.gamma:g}",
        "penalty": weights.penalty,
        "trendiness": None if steering.trendiness == own else f"{steering.trendiness:g}",
        "top": steering.top,
        "explain": 1,
    }
    return _address(recommendations(shopper_id), asked)


def _stops(purchases: pl.DataFrame, items: pl.DataFrame) -> Iterator[charts.Stop]:
    known = items.select("item_id", "category", "image")
    for row in purchases.join(known, on="item_id", how="left", maintain_order="left").iter_rows(named=True):
        picture = thumbnail(row["item_id"], 220) if row["image"] else None
        yield charts.Stop(row["at"], item_page(row["item_id"]), picture, words(row["category"]))


# Items


@router.get("/items")
def items(request: Request) -> Response:
    """The catalogue as a wall of pictures, filtered by text, category, gender and price, a page at a time."""
    shop = the_shop(request)
    query = request.query_params
    frame = shop.items().with_columns(count=shop.popularity()["popularity"])
    text = query.get("q", "").strip()
    chosen = [name for name in query.getlist("category") if name]
    gender = query.get("gender") if query.get("gender") in GENDERS else ""
    low, high = (_number(query.get(name), 0, 1e9) for name in ("min_price", "max_price"))
    any_of = query.get("match") == "any"
    sort = query.get("sort", "id")
    found = frame
    if text:
        spoken = pl.col("category").str.replace_all("_", " ")
        haystack = pl.concat_str("item_id", spoken, "attributes", separator=" ", ignore_nulls=True)
        found = found.filter(haystack.str.to_lowercase().str.contains(text.lower(), literal=True))
    where = Filter(frozenset(chosen), low, high, any_of)
    kept = where.keeps(found, shop.taxonomy)
    if gender:
        hers = (found["gender"] == gender).fill_null(value=False).to_numpy()
        filtered = bool(chosen) or low is not None or high is not None
        kept = kept | hers if any_of and filtered else kept & hers
    found = found.filter(kept)
    if sort == "popularity":
        found = found.sort("count", "item_id", descending=[True, False])
    elif sort in ("cheap", "dear"):
        found = found.sort("price", "item_id", descending=[sort == "dear", False], nulls_last=True)
    number = _page_number(request)
    shown = found.slice((number - 1) * ITEMS_A_PAGE, ITEMS_A_PAGE)
    following = None
    if found.height > number * ITEMS_A_PAGE:
        same = [(name, value) for name, value in query.multi_items() if name != "page"]
        following = _address("/items", [*same, ("page", number + 1)])
    name = {"wall": "_wall.html", "more": "_wall_more.html"}.get(_wants(request) or "", "items.html")
    kinds = frame.group_by("category").len().drop_nulls().sort("category")
    return _render(
        request,
        name,
        here="items",
        items=shown.to_dicts(),
        found=found.height,
        total=frame.height,
        following=following,
        kinds=list(kinds.iter_rows()),
        genders=[name for name in GENDERS if name in frame["gender"]],
        priced=frame["price"].null_count() < frame.height,
        q=text,
        chosen=chosen,
        gender=gender,
        low=query.get("min_price", ""),
        high=query.get("max_price", ""),
        any_of=any_of,
        sort=sort,
        filtered=found.height < frame.height,
    )


@router.get("/items/{item_id:path}")
async def item(request: Request, item_id: str) -> Response:
    """One item: photo and parse, what is like it, how popular it was when, and which store has it how far away."""
    shop = the_shop(request)
    about = await run_in_threadpool(shop.item, item_id)
    parse = Parse()
    if _wants(request) is None and about["image"] is not None:
        try:
            key = (about["image"], about["mask"], about["stamp"])
            parse = await request.app.state.parses.get(key, lambda: _parse_of(shop, item_id), the_turnstile(request))
        except (PhotoError, MaskError) as error:
            parse = Parse(remark=str(error))
        except BusyError:
            parse = Parse(remark="Too many photos are being parsed right now; come back in a moment.")
    return await run_in_threadpool(_item, request, about, parse)


def _item(request: Request, about: Mapping[str, Any], parse: "Parse") -> Response:
    shop, item_id = the_shop(request), about["item_id"]
    query = request.query_params
    preset = query.get("preset", "balanced")
    preset = preset if preset in PRESETS else "balanced"
    weights = PRESETS[preset]
    similar = shop.recommend(item=item_id, top=SIMILAR, weights=weights)
    values: dict[str, Any] = {
        "here": "items",
        "item": about,
        "item_id": item_id,
        "similar": [Moved(one, "same") for one in similar],
        "preset": preset,
        **_full(weights),
        "embedded": bool(shop.spaces()),
    }
    target = _wants(request)
    if target == "similar":
        return _render(request, "_similar.html", **values)
    place = _where(shop, query)
    stores = _stores(shop, about, place)
    values |= {"place": place, "stores": stores, "near": query.get("near", ""), "of": query.get("shopper", "")}
    if stores:
        values["map"] = charts.store_map(stores, place.at, place.name)
    if target == "stores":
        return _render(request, "_stores.html", **values)
    counts = shop.popularity().filter(pl.col("item_id") == item_id)
    bought = int((shop.purchases()["item_id"] == item_id).sum())
    views = shop.items().filter((pl.col("product") == about["product"]) & (pl.col("item_id") != item_id))
    return _render(
        request,
        "item.html",
        **values,
        parse=parse,
        attributes=sorted(json.loads(about["attributes"] or "{}").items()),
        count=float(counts["popularity"][0]),
        normpop=float(counts["normpop"][0]),
        bought=bought,
        history=_history(shop, item_id) if bought else None,
        views=views.to_dicts(),
        homes=shop.shoppers().filter(pl.col("latitude").is_not_null())["shopper_id"].head(500).to_list(),
    )


@dataclass(frozen=True, slots=True)
class Parse:
    """A photo's parse as a page shows it: an overlay (data URI), its size, the legend, and a remark if it failed."""

    overlay: str = ""
    width: int = 3
    height: int = 4
    legend: Sequence[charts.LabelShare] = ()
    remark: str = ""


def _parse_of(shop: Shop, item_id: str) -> Parse:
    labels = shop.labels(item_id)
    if labels is None:
        return Parse()
    return Parse(charts.parse_overlay(labels), labels.shape[1], labels.shape[0], charts.shares(labels))


def _history(shop: Shop, item_id: str) -> Markup | None:
    days = 7.0
    past = shop.history(item_id, days)
    if past.is_empty():
        return None
    return charts.history(past["at"].to_list(), past["bought"].to_list(), past["popularity"].to_list(), days)


@dataclass(frozen=True, slots=True)
class Where:
    """Where distances are measured from: (latitude, longitude) or None, what to call it, what was wrong with it."""

    at: tuple[float, float] | None = None
    name: str = ""
    remark: str = ""


def _where(shop: Shop, query: Mapping[str, str]) -> Where:
    near, of = query.get("near", "").strip(), query.get("shopper", "").strip()
    if near:
        numbers = [_number(part, -180, 180) for part in near.replace(";", ",").split(",")]
        if len(numbers) == 2 and numbers[0] is not None and numbers[1] is not None and abs(numbers[0]) <= 90:
            return Where((numbers[0], numbers[1]), "the place you gave")
        return Where(remark="A place is latitude, longitude in degrees, such as 48.86, 2.35.")
    if of:
        found = shop.shoppers().filter(pl.col("shopper_id") == of)
        if found.is_empty():
            return Where(remark=f"There is no shopper {of}.")
        latitude, longitude = found["latitude"][0], found["longitude"][0]
        if latitude is None or longitude is None:
            return Where(remark=f"It is not known where shopper {of} lives.")
        return Where((latitude, longitude), f"shopper {of}")
    return Where()


def _stores(shop: Shop, about: Mapping[str, Any], where: Where) -> list[charts.Place]:
    """All stores, those that have the item first, then those with another view of its product, then by distance."""
    frame = shop.stores()
    views = shop.items().filter(pl.col("product") == about["product"])["store_id"].drop_nulls().to_list()
    away: Sequence[float | None] = [None] * frame.height
    if where.at is not None and frame.height:
        away = distances_km(where.at, frame.select("latitude", "longitude").to_numpy()).tolist()
    states = [
        "own" if store == about["store_id"] else "view" if store in views else "other" for store in frame["store_id"]
    ]
    places = [
        charts.Place(row["name"], row["latitude"], row["longitude"], state, km)
        for row, state, km in zip(frame.iter_rows(named=True), states, away, strict=True)
    ]
    return sorted(places, key=lambda one: (("own", "view", "other").index(one.state), one.km or 0.0, one.name))


# Search


@router.get("/search")
def search(request: Request) -> Response:
    """The form that takes a photo."""
    return _render(request, "search.html", **_search_form(request))


@router.post("/search")
async def searched(
    request: Request,
    photo: Annotated[UploadFile | None, File()] = None,
    category: Annotated[str, Form()] = "",
    gender: Annotated[str, Form()] = "",
) -> Response:
    """The photo's parse and the items that look like it. Nothing of the photo is kept."""
    content = await photo.read() if photo is not None else b""
    form = await run_in_threadpool(_search_form, request)
    form |= {"category": category if category in form["kinds"] else "", "gender": gender if gender in GENDERS else ""}
    status = 200
    try:
        if photo is None or not photo.filename:
            raise PhotoError("choose a photo first")
        form |= await the_turnstile(request).run(lambda: _seen(request, content, form["category"], form["gender"]))
    except ModisteError as error:
        form["remark"], status = str(error), 422
    name = "_found.html" if _wants(request) == "found" else "search.html"
    return await run_in_threadpool(lambda: _render(request, name, status=status, **form))


def _search_form(request: Request) -> dict[str, Any]:
    shop = the_shop(request)
    frame = shop.items()
    return {
        "here": "search",
        "kinds": sorted(frame["category"].drop_nulls().unique().to_list()),
        "genders": [name for name in GENDERS if name in frame["gender"]],
        "embedded": bool(shop.spaces()),
        "most_bytes": the_settings(request).max_upload,
        "category": "",
        "gender": "",
        "found": None,
        "remark": "",
    }


def _seen(request: Request, content: bytes, category: str, gender: str) -> dict[str, Any]:
    """A photo's parse, what of it was compared, and what looks like it, as the page shows them."""
    made = the_shop(request).search(
        content,
        top=12,
        max_pixels=the_settings(request).max_pixels,
        category=category or None,  # the garment that is meant, and the kind that is wanted
        where=Filter(frozenset({category})) if category else None,
        gender=gender or None,
    )
    small = made.photo.copy()
    small.thumbnail((SEEN, SEEN))
    used = None
    if made.keep is not None and not made.keep.all():
        used = charts.data_uri(charts.cut_out(made.photo, made.keep, small.size))
    found = {
        "photo": charts.data_uri(small),
        "width": small.width,
        "height": small.height,
        "overlay": charts.parse_overlay(made.labels) if made.labels is not None else "",
        "legend": charts.shares(made.labels) if made.labels is not None else [],
        "used": used,
        "moved": [Moved(one, "same") for one in made.recommendations],
    }
    return {"found": found, **_full(PRESETS["visual"])}


# Experiments


@router.get("/experiments")
def experiments(request: Request) -> Response:
    """The tables and figures that ``modiste evaluate`` wrote into the shop's folder, or how to make them."""
    shop = the_shop(request)
    files = _experiment_files(shop)
    tables = files.get("tables.md")
    loose = [name for name in files if Path(name).suffix in (".png", ".svg")]
    body = None
    if tables is not None:
        body, shown = _markdown(tables.read_text(encoding="utf-8", errors="replace"), files)
        loose = [name for name in loose if name not in shown]
    return _render(
        request,
        "experiments.html",
        here="experiments",
        body=body,
        figures=loose,
        sheets=[name for name in files if name.endswith(".csv")],
        command=f"modiste evaluate {shop.path.name} all",
    )


@router.get("/experiments/{name}")
def experiment_file(request: Request, name: str) -> Response:
    """One figure or CSV table of the experiments."""
    file = _experiment_files(the_shop(request)).get(name)
    if file is None or file.suffix not in FILES:
        raise UnknownIdError(f"There is no experiment file {name!r}.")
    headers = _HEADERS | {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox"}
    return FileResponse(file, media_type=FILES[file.suffix], headers=headers)


def _experiment_files(shop: Shop) -> dict[str, Path]:
    """The files of the experiments' folder that a page may show, by name: no folders, no links to elsewhere."""
    folder = shop.path / "experiments"
    if not folder.is_dir():
        return {}
    return {
        file.name: file
        for file in sorted(folder.iterdir())
        if (file.suffix in FILES or file.name == "tables.md") and file.is_file() and not file.is_symlink()
    }


def _markdown(text: str, files: Mapping[str, Path]) -> tuple[Markup, set[str]]:
    """Markdown as HTML (any HTML in it escaped), pictures pointed at our addresses; and the pictures it shows."""
    reader = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = reader.parse(text)
    shown: set[str] = set()
    depth = {"h1": "h2", "h2": "h3", "h3": "h4"}
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = depth.get(token.tag, token.tag)
        for child in token.children or ():
            if child.type == "image":
                source = str(child.attrs.get("src", ""))
                if source in files:
                    shown.add(source)
                    child.attrs["src"] = f"/experiments/{quote(source, safe='')}"
                    child.attrs["loading"] = "lazy"
                else:  # nothing from elsewhere is loaded
                    child.type, child.tag, child.nesting = "text", "", 0
    html = reader.renderer.render(tokens, reader.options, {})
    html = html.replace("<table>", '<div class="scroll" tabindex="0" role="region" aria-label="Table"><table>')
    return Markup(html.replace("</table>", "</table></div>")), shown  # noqa: S704  (made by the renderer, escaped)
