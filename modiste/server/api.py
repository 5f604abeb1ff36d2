"""The routes under /v1, and those for whoever watches the service. Each asks the shop and shapes its answer."""

import base64
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import numpy as np
import polars as pl
from fastapi import APIRouter, Body, Depends, File, Form, HTTPException, Query, Request, Response, UploadFile
from fastapi import Path as InPath
from fastapi.responses import FileResponse
from fastapi.security import HTTPBearer
from PIL import Image
from pydantic import Discriminator, Field, Json, Tag
from starlette.concurrency import run_in_threadpool
from starlette.convertors import Convertor, register_url_convertor

from modiste import __version__
from modiste.behaviour.stores import distances_km
from modiste.catalog.items import Item as ShopItem
from modiste.catalog.purchases import Purchase
from modiste.errors import PhotoError
from modiste.server import addresses, pictures
from modiste.server import schemas as s
from modiste.server.gate import WriteRoute, check_form, the_settings, the_shop, the_turnstile
from modiste.shop.recommendations import Recommendation
from modiste.shop.shop import Shop
from modiste.vision.masks import encode_mask
from modiste.vision.photos import FORMATS

MAX_AGE_S = 60
"""How long a photo may be shown without asking whether it is still the same."""


class _IdConvertor(Convertor[str]):
    """An id in a path: any text, with slashes too, but not so that it reads like a route below it."""

    regex = r"(?:(?!/(?:similar|photo|thumbnail|mask|recommendations)$).)+"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("id", _IdConvertor())


def _refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    told = {
        400: "The body can't be read.",
        401: "The token is missing or wrong.",
        403: "Without a token: not from this machine.",
        404: "There is no such thing here.",
        413: "The request is too large.",
        415: "The body is no form.",
        422: "A value is outside what it may be, or a photo can't be read.",
        429: "The service is busy; Retry-After says when to come back.",
        503: "The database doesn't answer; Retry-After says when to come back.",
    }
    return {status: {"model": s.Problem, "description": told[status]} for status in statuses}


def _picture(*kinds: str) -> dict[int | str, dict[str, Any]]:
    content = {f"image/{kind}": {"schema": {"type": "string", "format": "binary"}} for kind in kinds}
    return {200: {"description": "The picture.", "content": content}, 304: {"description": "It is still the same."}}


TheShop = Annotated[Shop, Depends(the_shop)]
ItemId = Annotated[s.Id, InPath(description="The item's id; a slash in it is written %2F.")]
ShopperId = Annotated[s.Id, InPath(description="The shopper's id.", examples=["1"])]
Photo = Annotated[UploadFile, File(description="JPEG, PNG, WebP, GIF, BMP or TIFF.")]

reads = APIRouter(responses=_refusals(403, 422, 429, 503))
writes = APIRouter(
    route_class=WriteRoute,
    dependencies=[Depends(HTTPBearer(auto_error=False, description="MODISTE_TOKEN"))],
    responses=_refusals(400, 401, 403, 413, 422, 429, 503),
)
watching = APIRouter(tags=["service"], responses=_refusals(403))


# Items


@reads.get("/v1/items", tags=["items"], summary="List items")
def list_items(shop: TheShop, asked: Annotated[s.Browsing, Query()]) -> s.Items:
    """One page of the catalogue in the order of ids, with how many items pass the filters."""
    frame = shop.items()
    if asked.where is not None:
        frame = frame.filter(asked.where.keeps(frame, shop.taxonomy))
    if asked.gender is not None:
        frame = frame.filter(pl.col("gender").is_null() | (pl.col("gender") == asked.gender))
    if asked.store_id is not None:
        frame = frame.filter(pl.col("store_id") == asked.store_id)
    page = frame.slice(asked.offset, asked.limit)
    return s.Items(total=frame.height, limit=asked.limit, offset=asked.offset, items=_items(shop, page))


@reads.get("/v1/items/{item_id:id}/similar", tags=["items"], summary="What is like an item", responses=_refusals(404))
def similar_items(shop: TheShop, item_id: ItemId, asked: Annotated[s.ShopperAsking, Query()]) -> s.Similar:
    """The Top-K for someone who looks at this item."""
    found = shop.recommend(item=item_id, **_options(shop, asked))
    return s.Similar(item_id=item_id, recommendations=_told(found, asked.explain))


@reads.get(
    "/v1/items/{item_id:id}/photo", tags=["items"], summary="An item's photo", response_class=Response,
    responses=_picture("jpeg", "png", "webp", "gif", "bmp", "tiff") | _refusals(404),
)  # fmt: skip
def photo(request: Request, shop: TheShop, item_id: ItemId) -> Response:
    """The photo as it was given. It has an ETag: send it back as If-None-Match, and an unchanged photo is a 304."""
    item = _pictured(shop, item_id)
    headers, same = _caching(request, item["stamp"])
    return Response(status_code=304, headers=headers) if same else _file(Path(item["image"]), item_id, headers)


@reads.get(
    "/v1/items/{item_id:id}/thumbnail", tags=["items"], summary="An item's photo, small", response_class=Response,
    responses=_picture("jpeg") | _refusals(404),
)  # fmt: skip
async def thumbnail(
    request: Request, shop: TheShop, item_id: ItemId, asked: Annotated[s.ThumbnailAsking, Query()]
) -> Response:
    """The photo as a small JPEG of about ``height`` pixels, with an ETag."""
    item = await run_in_threadpool(_pictured, shop, item_id)
    height = pictures.step(asked.height)
    headers, same = _caching(request, f"{item['stamp']}-{height}")
    if same:
        return Response(status_code=304, headers=headers)
    state, image = request.app.state, Path(item["image"])
    try:
        made = await state.thumbnails.get(
            (image, item["stamp"], height), lambda: pictures.thumbnail(image, height), state.drawing
        )
    except PhotoError as error:
        raise HTTPException(404, f"the photo of item {item_id!r}: {error}") from error
    return Response(made, media_type="image/jpeg", headers=headers)


@reads.get(
    "/v1/items/{item_id:id}/mask", tags=["items"], summary="An item's mask", response_class=Response,
    responses=_picture("png") | _refusals(404),
)  # fmt: skip
async def mask(request: Request, shop: TheShop, item_id: ItemId) -> Response:
    """What garment each pixel of the photo is, as a palette PNG: the mask that was given, else the parser's."""
    item = await run_in_threadpool(_pictured, shop, item_id)
    headers, same = _caching(request, f"{item['stamp']}-mask-{__version__}")
    if same:
        return Response(status_code=304, headers=headers)

    def drawn() -> bytes:
        labels = shop.labels(item_id)
        if labels is None:
            raise HTTPException(404, f"item {item_id!r} has no photo")
        return pictures.encoded(encode_mask(labels))

    key = (item["image"], item["mask"], item["stamp"])
    made = await request.app.state.masks.get(key, drawn, the_turnstile(request))
    return Response(made, media_type="image/png", headers=headers)


@reads.get("/v1/items/{item_id:id}", tags=["items"], summary="One item", responses=_refusals(404))
def get_item(shop: TheShop, item_id: ItemId) -> s.Item:
    """What is known of an item, with its popularity now."""
    shop.item(item_id)
    return _items(shop, shop.items().filter(pl.col("item_id") == item_id))[0]


@writes.put(
    "/v1/items/{item_id:id}", tags=["items"], summary="Put an item",
    dependencies=[Depends(check_form)],
    responses={201: {"model": s.Put, "description": "It is new."}, 200: {"description": "It replaced one."},
               **_refusals(415)},
)  # fmt: skip
async def put_item(
    request: Request,
    response: Response,
    shop: TheShop,
    item_id: ItemId,
    category: Annotated[s.Text | None, Form(description="The shop's word or the taxonomy's.")] = None,
    gender: Annotated[s.Gender | None, Form()] = None,
    product: Annotated[s.Text | None, Form(description="The item without its view; default: its own id.")] = None,
    view: Annotated[s.Text | None, Form(description="front, back, …")] = None,
    price: Annotated[s.Price | None, Form()] = None,
    store_id: Annotated[s.Id | None, Form(description="One of /v1/stores.")] = None,
    popularity: Annotated[s.Price | None, Form(description="Purchases before any is recorded here.")] = None,
    attributes: Annotated[
        Json[Annotated[dict[s.Text, s.Text], Field(max_length=100)]] | None,
        Form(description="A JSON object of strings.", examples=['{"season": "spring"}']),
    ] = None,
    photo: Annotated[UploadFile | None, File(description="JPEG, PNG, WebP, GIF, BMP or TIFF.")] = None,
) -> s.Put:
    """Make an item or replace what is known of it: what is left out is forgotten, but a photo is kept.

    The body is a form; a field that is none of these is refused.

    A photo is parsed and embedded at once; when the answer comes, the item can be recommended.
    """
    made = ShopItem(
        item_id, category, gender, None, None, product or "", view, price, store_id, popularity, attributes or {}
    )  # fmt: skip
    unchosen = photo is None or not (photo.filename or photo.size)  # as browsers send a field left empty
    content = None if photo is None or unchosen else await photo.read()

    def put() -> s.Put:
        report = shop.put_item(made, content, max_pixels=the_settings(request).max_pixels)
        item = _items(shop, shop.items().filter(pl.col("item_id") == item_id))[0]
        return s.Put(created=report.created, embedded=report.embedded, remark=report.remark, item=item)

    answer = await the_turnstile(request).run(put)  # without a photo too: another category may be embedded otherwise
    response.status_code = 201 if answer.created else 200
    return answer


@writes.delete(
    "/v1/items/{item_id:id}", tags=["items"], summary="Forget an item", status_code=204, responses=_refusals(404)
)
def delete_item(shop: TheShop, item_id: ItemId) -> None:
    """Forget an item, with its embeddings and its purchases."""
    shop.remove_item(item_id)


# Recommendations


@reads.post(
    "/v1/search", tags=["recommendations"], summary="What looks like a photo", dependencies=[Depends(check_form)],
    responses=_refusals(400, 404, 413, 415),
)  # fmt: skip
async def search(request: Request, shop: TheShop, photo: Photo, asked: Annotated[s.SearchAsking, Query()]) -> s.Found:
    """Parse and embed a photo, and find what looks like it; nothing of it is kept.

    The answer holds the mask that was used.
    """
    content = await photo.read()

    def find() -> s.Found:
        found = shop.search(
            content, top=asked.top, weights=asked.weights, category=asked.category, gender=asked.only,
            trendiness=0.5 if asked.trendiness is None else asked.trendiness,
            near=asked.place, within_km=asked.within, where=asked.where, max_pixels=the_settings(request).max_pixels,
        )  # fmt: skip
        return s.Found(
            width=found.photo.width,
            height=found.photo.height,
            labels=None if found.labels is None else _data_uri(encode_mask(found.labels)),
            mask=None if found.keep is None else _data_uri(Image.fromarray(found.keep.astype(np.uint8) * 255)),
            recommendations=_told(found.recommendations, asked.explain),
        )

    return await the_turnstile(request).run(find)


@reads.get(
    "/v1/shoppers/{shopper_id:id}/recommendations", tags=["recommendations"], summary="Recommend to a shopper",
    responses=_refusals(404),
)  # fmt: skip
def recommend(shop: TheShop, shopper_id: ShopperId, asked: Annotated[s.ShopperAsking, Query()]) -> s.ForShopper:
    """The Top-K over all that the shopper bought, each with its terms, its cause and its photo.

    A shopper nobody knows gets what is popular, of many categories, and ``known`` is false.
    """
    known = shop.knows(shopper_id)
    options = _options(shop, asked)
    found = shop.recommend(shopper_id, **options) if known else shop.introduce(**options)
    return s.ForShopper(shopper_id=shopper_id, known=known, recommendations=_told(found, asked.explain))


@reads.get("/v1/trending", tags=["recommendations"], summary="What sells")
def trending(shop: TheShop, asked: Annotated[s.TrendingAsking, Query()]) -> s.Trending:
    """Popularity now, and how purchases in the window compare with those in the window before; best first."""
    frame = shop.trending(asked.window, top=asked.top, categories=asked.categories)
    photos = _with_photo(shop, frame["item_id"])
    return s.Trending(
        window=asked.window,
        items=[
            s.Trend(
                item_id=row["item_id"], category=row["category"], popularity=row["popularity"],
                normalised_popularity=row["normpop"], bought=row["bought"], before=row["before"], change=row["change"],
                **_urls(row["item_id"], row["item_id"] in photos),
            )
            for row in frame.iter_rows(named=True)
        ],
    )  # fmt: skip


# Shoppers, stores, purchases


@reads.get("/v1/shoppers/{shopper_id:id}", tags=["shoppers"], summary="One shopper", responses=_refusals(404))
def get_shopper(shop: TheShop, shopper_id: ShopperId) -> s.Shopper:
    """What is known of a shopper: her trendiness, given or estimated, and her place."""
    return _shopper(shop, shopper_id)


@writes.put(
    "/v1/shoppers/{shopper_id:id}", tags=["shoppers"], summary="Put a shopper",
    responses={201: {"model": s.Shopper, "description": "She is new."}, 200: {"description": "She was known."}},
)  # fmt: skip
def put_shopper(response: Response, shop: TheShop, shopper_id: ShopperId, given: s.ShopperIn) -> s.Shopper:
    """Make a shopper or replace what is known of her; her purchases stay."""
    response.status_code = 200 if shop.knows(shopper_id) else 201
    shop.set_shopper(shopper_id, given.trendiness, given.latitude, given.longitude)
    return _shopper(shop, shopper_id)


@reads.get("/v1/stores", tags=["stores"], summary="List stores")
def stores(shop: TheShop, asked: Annotated[s.Near, Query()]) -> s.Stores:
    """The stores by id; with ``near``, the nearest first and how far each is."""
    rows = shop.stores().to_dicts()
    away: list[float] | list[None] = [None] * len(rows)
    if asked.place is not None and rows:
        away = distances_km(asked.place, np.array([(row["latitude"], row["longitude"]) for row in rows])).tolist()
    elif asked.within is not None and asked.place is None:
        raise HTTPException(422, "within needs a place: give near as latitude,longitude")
    found = [s.Store(**row, distance_km=km) for row, km in zip(rows, away, strict=True)]
    if asked.within is not None:
        found = [one for one in found if one.distance_km is not None and one.distance_km <= asked.within]
    return s.Stores(stores=sorted(found, key=lambda one: (one.distance_km or 0, one.store_id)))


OneOrMany = Annotated[
    Annotated[s.PurchaseIn, Tag("one")]
    | Annotated[list[s.PurchaseIn], Field(min_length=1, max_length=1000), Tag("many")],
    Discriminator(lambda sent: "many" if isinstance(sent, list) else "one"),
]


@writes.post("/v1/purchases", tags=["purchases"], summary="Record purchases", responses=_refusals(404))
def post_purchases(
    shop: TheShop,
    sent: Annotated[OneOrMany, Body(examples=[{"shopper_id": "1", "item_id": "0002", "order_id": "A-1001"}])],
) -> s.Recorded:
    """Record one purchase or up to 1000, all or none; the answer comes when they are on disk.

    Sent again with the same ``order_id``, an item is counted as known and not recorded twice.
    """
    now = datetime.now(UTC).replace(tzinfo=None)
    many = sent if isinstance(sent, list) else [sent]
    recorded = shop.record([Purchase(one.shopper_id, one.item_id, one.at or now, one.order_id) for one in many])
    return s.Recorded(recorded=recorded, known=len(many) - recorded)


# For whoever watches


@watching.get("/health", summary="Alive and ready", responses={503: {"model": s.Health, "description": "Not ready."}})
async def health(request: Request, response: Response) -> s.Health:
    """Whether the service lives (it answers) and is ready (its database does too, within some seconds)."""
    ready = await request.app.state.pulse.beats()
    response.status_code = 200 if ready else 503
    return s.Health(alive=True, ready=ready)


@watching.get(
    "/metrics", summary="Metrics", response_class=Response,
    responses={**_refusals(429, 503), 200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)  # fmt: skip
async def metrics(request: Request) -> Response:
    """Latency by route, items, vectors missing and the age of the popularity, for Prometheus."""
    shop, meters = the_shop(request), request.app.state.meters
    text = await request.app.state.watch.run(lambda: meters.scrape(shop.coverage))
    return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")


# Shaping answers


def _items(shop: Shop, frame: pl.DataFrame) -> list[s.Item]:
    current = frame.select("item_id").join(
        shop.popularity().select("item_id", now="popularity", share="normpop"),
        "item_id",
        how="left",
        maintain_order="left",
    )
    return [
        s.Item(
            item_id=row["item_id"], category=row["category"], gender=row["gender"], product=row["product"],
            view=row["view"], price=s.number(row["price"]), store_id=row["store_id"],
            attributes=json.loads(row["attributes"]), popularity=s.number(row["popularity"]),
            popularity_now=now or 0.0, normalised_popularity=share or 0.0,
            **_urls(row["item_id"], row["image"] is not None, mask=True),
        )
        for row, (_, now, share) in zip(frame.iter_rows(named=True), current.iter_rows(), strict=True)
    ]  # fmt: skip


def _told(found: Iterable[Recommendation], explain: bool) -> list[s.Recommendation]:
    return [
        s.Recommendation(
            item_id=one.item_id, relevance=one.relevance, terms=s.Terms(**one.terms), because=one.because,
            category=one.kind, store_id=one.store_id, distance_km=one.distance_km,
            why=one.why if explain else None, **_urls(one.item_id, one.image is not None),
        )
        for one in found
    ]  # fmt: skip


def _urls(item_id: str, pictured: bool, mask: bool = False) -> dict[str, Any]:
    names = ("photo", "thumbnail", "mask") if mask else ("photo", "thumbnail")
    return {name: addresses.item(item_id, name) if pictured else None for name in names}


def _with_photo(shop: Shop, item_ids: pl.Series) -> set[str]:
    has = shop.items().filter(pl.col("item_id").is_in(item_ids.implode()) & pl.col("image").is_not_null())
    return set(has["item_id"])


def _shopper(shop: Shop, shopper_id: str) -> s.Shopper:
    trendiness = shop.trendiness(shopper_id)
    row = shop.shopper(shopper_id)
    return s.Shopper(
        shopper_id=shopper_id,
        trendiness=trendiness,
        estimated=row["trendiness"] is None,
        latitude=row["latitude"],
        longitude=row["longitude"],
        purchases=int(shop.estimated_trendiness().filter(pl.col("shopper_id") == shopper_id)["purchases"].sum()),
    )


def _options(shop: Shop, asked: s.ShopperAsking) -> dict[str, Any]:
    """The shop's own names for what was asked. An item to exclude that has been removed is excluded already."""
    there = shop.items()["item_id"]
    exclude = there.filter(there.is_in(asked.exclude)).to_list() if asked.exclude else []
    return {
        "top": asked.top, "weights": asked.weights, "trendiness": asked.trendiness, "gender": asked.only,
        "any_gender": asked.gender == "any", "near": asked.place, "within_km": asked.within, "where": asked.where,
        "exclude": exclude,
    }  # fmt: skip


# Pictures


def _pictured(shop: Shop, item_id: str) -> dict[str, Any]:
    item = shop.item(item_id)
    if item["image"] is None:
        raise HTTPException(404, f"item {item_id!r} has no photo")
    return item


def _caching(request: Request, stamp: str) -> tuple[dict[str, str], bool]:
    """The headers that let a browser keep a picture, and whether it has this one already."""
    tag = f'"{quote(stamp, safe="")}"'
    asked = {one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")}
    return {"ETag": tag, "Cache-Control": f"public, max-age={MAX_AGE_S}"}, tag in asked or "*" in asked


def _file(file: Path, item_id: str, headers: dict[str, str]) -> Response:
    try:
        with Image.open(file, formats=FORMATS) as header:
            kind = {"MPO": "jpeg"}.get(str(header.format), str(header.format).lower())
    except Exception as error:  # gone, or no longer a photo; Pillow's readers raise many kinds
        raise HTTPException(404, f"the photo of item {item_id!r} can't be read; it may have been moved") from error
    return FileResponse(file, media_type=f"image/{kind}", headers=headers)


def _data_uri(picture: Image.Image) -> str:
    return "data:image/png;base64," + base64.b64encode(pictures.encoded(picture)).decode()
