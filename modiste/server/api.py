"""The routes under /v1, and those for whoever watches the service. Each asks the shop and shapes its answer."""

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeVar
from urllib.parse import quote

from fastapi import APIRouter, Body, Depends, File, Form, Header, HTTPException, Query, Request, Response, UploadFile
from fastapi import Path as InPath
from fastapi.responses import FileResponse
from fastapi.security import HTTPBearer
from PIL import Image
from pydantic import ConfigDict, Discriminator, Field, Tag, ValidationError, WithJsonSchema
from starlette.concurrency import run_in_threadpool
from starlette.convertors import Convertor, register_url_convertor

from modiste import __version__, wire
from modiste.arrays import Bools
from modiste.ask import Id, OutfitAsk, SearchAsk, sentence
from modiste.catalog.events import Event
from modiste.catalog.files import open_regular
from modiste.catalog.items import Item
from modiste.catalog.values import utc_now
from modiste.errors import ChangedError, PhotoError, StorageError
from modiste.server import addresses, pictures
from modiste.server.auth import Caller, JsonRoute, Leave, TheCaller, WriteRoute
from modiste.server.dependencies import TheSettings, TheShop, TheWorkQueue, check_form, check_query
from modiste.shop.moments import STOOD_IN
from modiste.shop.overview import overview, trends
from modiste.shop.recommendations import Recommendations
from modiste.shop.scenarios import Version, history
from modiste.shop.shop import Shop
from modiste.vision.masks import encode_mask
from modiste.vision.photos import FORMATS, MAX_BYTES, thumbnail_of

Sent = TypeVar("Sent", bound=wire.Input)

LONGEST_HEADER = 2000
"""A list's id that is longer stands in the answer alone: proxies refuse long headers."""

MAX_AGE_S = 60
"""How long a photo may be shown without asking whether it is still the same."""


class _IdConvertor(Convertor[str]):
    """An id in a path: any text, with slashes too, but not so that it reads like a route below it."""

    regex = r"(?:(?!/(?:similar|goes-with|photo|thumbnail|mask|recommendations|export)$).)+"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("id", _IdConvertor())

_REFUSALS = {
    400: "The body can't be read.",
    401: "The key is missing or wrong.",
    403: "The key or account may not do this; without any made: not from this machine.",
    404: "There is no such thing here.",
    408: "The body came too slowly.",
    412: "It is not what If-Match says; nothing was changed.",
    413: "The request is too large.",
    415: "The body is no form.",
    421: "The service doesn't answer to this name.",
    422: "A value is outside what it may be, or a photo can't be read.",
    429: "The service is busy; Retry-After says when to come back.",
    503: "The database doesn't answer, or may not be written; Retry-After says when to come back.",
    507: "The disk is full; nothing was changed.",
}


def _refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": wire.Problem, "description": _REFUSALS[status]} for status in statuses}


def _picture(*formats: str) -> dict[int | str, dict[str, Any]]:
    content = {f"image/{one}": {"schema": {"type": "string", "format": "binary"}} for one in formats}
    return {200: {"description": "The picture.", "content": content}, 304: {"description": "It is still the same."}}


ItemId = Annotated[Id, InPath(description="The item's id; a slash in it is written %2F.")]
ShopperId = Annotated[Id, InPath(description="The shopper's id.", examples=["1"])]
EventId = Annotated[int, InPath(ge=1, le=2**31 - 1, description="As in a shopper's export.", examples=[1])]
ScenarioName = Annotated[str, InPath(max_length=60, description="The scenario's name.", examples=["product-page"])]
IfMatch = Annotated[str | None, Header(max_length=200, description="The ETag of what was read.")]
_PHOTO = "JPEG, PNG, WebP, GIF, BMP or TIFF."

Many = Annotated[
    list[Any],
    Field(min_length=1, max_length=1000),
    WithJsonSchema({"type": "array", "items": {}, "minItems": 1, "maxItems": 1000}),
]

KEY = Depends(HTTPBearer(auto_error=False, scheme_name="key", description="A key, or MODISTE_TOKEN."))

OPEN_HERE: dict[str, Any] = {"security": [{}]}
"""For whoever is on this machine, a key may be left out."""

Router = partial(APIRouter, generate_unique_id_function=lambda route: route.name)
"""Routes that OpenAPI calls as their functions are called."""

reads = Router(dependencies=[KEY, Depends(check_query)], responses=_refusals(401, 403, 421, 422, 429, 503))
lists = Router(
    route_class=JsonRoute,
    dependencies=[KEY, Depends(check_query), Depends(Leave("publishable"))],
    responses=_refusals(401, 403, 421, 422, 429, 503),
)
"""What a shop's pages show: one list at a time, and its pictures; a publishable key is enough."""

writes = Router(
    route_class=WriteRoute,
    dependencies=[KEY, Depends(check_query), Depends(Leave("server"))],
    responses=_refusals(400, 401, 403, 408, 413, 421, 422, 429, 503, 507),
)
watching = Router(tags=["service"])


def _or_empty(schema: dict[str, Any]) -> None:
    """What may be left out of a form may be empty in it, as browsers send it."""
    for said in schema["properties"].values():
        if {"type": "null"} in said.get("anyOf", ()):
            said["anyOf"].append({"type": "string", "maxLength": 0})


class ItemForm(wire.ItemIn):
    """An item with its photos."""

    model_config = ConfigDict(json_schema_extra=_or_empty)

    photo: UploadFile | None = Field(None, description=_PHOTO)
    photos: list[UploadFile] = Field([], max_length=20, description="Further photos, in the place of those there are.")


# Items


@reads.get(
    "/v1/items",
    tags=["items"],
    summary="List items",
    dependencies=[Depends(Leave("viewer", here=True))],
    openapi_extra=OPEN_HERE,
)
def list_items(shop: TheShop, query: Annotated[wire.Browse, Query()]) -> wire.Items:
    """One page of the catalogue in the order of ids, with how many items pass the filters."""
    page = shop.items.browse(**dict(query))
    items = [_item(row) for row in page.items.iter_rows(named=True)]
    return wire.Items(total=page.total, limit=query.limit, offset=query.offset, items=items)


@lists.get(
    "/v1/items/{item_id:id}/similar", tags=["items"], summary="What is like an item", responses=_refusals(404),
    dependencies=[Depends(Leave("publishable", here=True))], openapi_extra=OPEN_HERE,
)  # fmt: skip
def similar_items(
    response: Response, shop: TheShop, caller: TheCaller, item_id: ItemId, ask: Annotated[wire.Placed, Query()]
) -> wire.Similar:
    """The Top-K for someone who looks at this item."""
    make = partial(shop.recommend, item=item_id)
    return wire.Similar(item_id=item_id, **_served(response, shop, caller, ask, "item", ask.session, make))


@lists.get(
    "/v1/items/{item_id:id}/goes-with", tags=["items"], summary="What goes with an item", responses=_refusals(404),
    dependencies=[Depends(Leave("publishable", here=True))], openapi_extra=OPEN_HERE,
)  # fmt: skip
def goes_with(shop: TheShop, caller: TheCaller, item_id: ItemId, ask: Annotated[OutfitAsk, Query()]) -> wire.GoesWith:
    """A list for each other part of an outfit that is worn with the item; never two of one part."""
    told, parts = caller.may("viewer"), []
    for one in shop.goes_with(item_id, **ask.given):
        shown = [each if told else each.model_copy(update={"rules": []}) for each in _shown(one.recommendations)]
        parts.append(wire.OutfitPart(part=one.part, kinds=list(one.kinds), recommendations=shown))
    return wire.GoesWith(item_id=item_id, parts=parts, as_of=_as_of())


@lists.get(
    "/v1/items/{item_id:id}/photo", tags=["items"], summary="An item's photo", response_class=Response,
    responses=_picture("jpeg", "png", "webp", "gif", "bmp", "tiff") | _refusals(404),
)  # fmt: skip
def photo(request: Request, shop: TheShop, item_id: ItemId, query: Annotated[wire.WhichPhoto, Query()]) -> Response:
    """The photo as it was given. It has an ETag: send it back as If-None-Match, and an unchanged photo is a 304."""
    item = _with_photo(shop, item_id)
    photos = [item["image"], *item["photos"]]
    if query.number >= len(photos):
        raise HTTPException(404, f"item {item_id!r} has {len(photos)} photos, counted from 0")
    if query.number:
        return _file(Path(photos[query.number]), item_id, _kept(request))
    headers, unchanged = _caching(request, item["stamp"])
    return unchanged or _file(Path(item["image"]), item_id, headers)


@lists.get(
    "/v1/items/{item_id:id}/thumbnail", tags=["items"], summary="An item's photo, small", response_class=Response,
    responses=_picture("jpeg") | _refusals(404),
)  # fmt: skip
async def thumbnail(
    request: Request, shop: TheShop, item_id: ItemId, query: Annotated[wire.ThumbnailSize, Query()]
) -> Response:
    """The photo as a small JPEG of about ``height`` pixels, with an ETag."""
    item = await run_in_threadpool(_with_photo, shop, item_id)
    height = pictures.step(query.height)
    headers, unchanged = _caching(request, f"{item['stamp']}-{height}")
    if unchanged:
        return unchanged
    state, image = request.app.state, Path(item["image"])
    try:
        made = await state.thumbnails.get(
            (image, item["stamp"], height), lambda: thumbnail_of(image, height), state.thumbnail_queue
        )
    except PhotoError as error:
        raise HTTPException(404, f"the photo of item {item_id!r}: {error}") from error
    return Response(made, media_type="image/jpeg", headers=headers)


@reads.get(
    "/v1/items/{item_id:id}/mask", tags=["items"], summary="An item's mask", response_class=Response,
    responses=_picture("png") | _refusals(404),
)  # fmt: skip
async def mask(request: Request, shop: TheShop, queue: TheWorkQueue, item_id: ItemId) -> Response:
    """What garment each pixel of the photo is, as a palette PNG: the mask that was given, else the parser's.

    One thing alone has the label of its category; `top` where that has several, or the item none.
    """
    item = await run_in_threadpool(_with_photo, shop, item_id)
    headers, unchanged = _caching(request, f"{item['stamp']}-{item['category']}-mask-{__version__}")
    if unchanged:
        return unchanged

    def drawn() -> bytes:
        labels = shop.vectors.labels(item_id)
        if labels is None:
            raise HTTPException(404, f"item {item_id!r} has no photo")
        return pictures.encoded(encode_mask(labels))

    made = await request.app.state.masks.get(
        (item["image"], item["mask"], item["stamp"], item["category"]), drawn, queue
    )
    return Response(made, media_type="image/png", headers=headers)


@reads.get(
    "/v1/items/{item_id:id}", tags=["items"], summary="One item", responses=_refusals(404),
    dependencies=[Depends(Leave("viewer", here=True))], openapi_extra=OPEN_HERE,
)  # fmt: skip
def get_item(response: Response, shop: TheShop, item_id: ItemId) -> wire.Item:
    """What is known of an item, with its popularity now. Its ETag is for If-Match, with which to put it."""
    with suppress(StorageError):  # without it nobody can put the item, nor could she
        response.headers["ETag"] = f'"{shop.items.tag(item_id)}"'
    return _item_now(shop, item_id)


@writes.put(
    "/v1/items/{item_id:id}", tags=["items"], summary="Put an item",
    dependencies=[Depends(check_form)],
    responses={201: {"model": wire.Put, "description": "It is new."}, 200: {"description": "It replaced one."},
               **_refusals(412, 415)},
)  # fmt: skip
async def put_item(
    response: Response,
    shop: TheShop,
    queue: TheWorkQueue,
    item_id: ItemId,
    if_match: Annotated[str | None, Header(max_length=200, description="The ETag of the item as it was read.")] = None,
    *,
    form: Annotated[ItemForm, Form(media_type="multipart/form-data")],
) -> wire.Put:
    """Make an item or replace what is known of it: what is left out is forgotten, but photos are kept.

    The body is a form; a field that is none of these is refused.

    With If-Match it is changed only if it still is what was read.

    A photo is parsed and embedded at once; when the answer comes, the item can be recommended.
    """
    item = _made(item_id, form)
    content, *photos = [await _chosen(one) for one in (form.photo, *form.photos)]
    further = [one for one in photos if one is not None]

    def put() -> wire.Put:
        report = shop.items.put(item, content, further=further or None, match=_tag(if_match))
        return wire.Put(
            created=report.created, embedded=report.embedded, remark=report.remark, item=_item_now(shop, item_id)
        )

    answer = await queue.run(put)  # without a photo too: another category may be embedded otherwise
    response.status_code = 201 if answer.created else 200
    return answer


@writes.post("/v1/items", tags=["items"], summary="Put many items")
async def post_items(
    shop: TheShop,
    queue: TheWorkQueue,
    sent: Annotated[Many, Body(examples=[[{"item_id": "0002", "category": "Dresses", "stock": 3}]])],
) -> wire.PutSome:
    """Make up to 1000 items, or replace what is known of them, as a put of each would, without photos: those that
    there are stay. Those that can't be are named with their line and reason; the others are there.
    """
    taken, refused = _each(wire.ItemWithId, sent)
    items = [_made(one.item_id, one) for _, one in taken]
    report = await queue.run(lambda: shop.items.put_many(items))
    return wire.PutSome(
        created=report.added, updated=report.updated, unchanged=report.unchanged,
        unknown_categories=report.unknown_categories, refused=refused,
    )  # fmt: skip


@writes.delete(
    "/v1/items/{item_id:id}", tags=["items"], summary="Forget an item", status_code=204, responses=_refusals(404)
)
def delete_item(shop: TheShop, item_id: ItemId) -> None:
    """Forget an item, with its embeddings and its purchases."""
    shop.items.remove(item_id)


# Recommendations


@reads.post(
    "/v1/search", tags=["recommendations"], summary="What looks like a photo", dependencies=[Depends(check_form)],
    responses=_refusals(400, 404, 408, 413, 415, 507),
)  # fmt: skip
async def search(
    shop: TheShop,
    settings: TheSettings,
    queue: TheWorkQueue,
    photo: Annotated[UploadFile, File(description=_PHOTO)],
    ask: Annotated[SearchAsk, Query()],
) -> wire.SearchResult:
    """Parse and embed a photo, and find what looks like it; nothing of it is kept.

    The answer holds the mask that was used. Where somebody is on the photo and no ``category`` is asked for, there is a
    list for each garment that she wears too.
    """
    content = await photo.read()

    def find() -> wire.SearchResult:
        result = shop.search(content, max_pixels=settings.max_pixels, **ask.given)
        whose: dict[str, Any] = dict(
            zip(("proposed_gender", "proposed_gender_share"), result.whose or (), strict=False)
        )
        return wire.SearchResult(
            width=result.photo.width,
            height=result.photo.height,
            labels=None if result.labels is None else pictures.data_uri(encode_mask(result.labels), "PNG"),
            mask=None if result.keep is None else _mask(result.keep),
            garments=[
                wire.Garment(
                    label=one.label,
                    colour=one.colour,
                    mask=_mask(one.keep),
                    kinds=list(one.kinds),
                    recommendations=_shown(one.recommendations),
                )
                for one in result.garments
            ],
            **whose,
            **_sent(result.recommendations),
        )

    return await queue.run(find)


@lists.get(
    "/v1/shoppers/{shopper_id:id}/recommendations", tags=["recommendations"], summary="Recommend to a shopper",
    responses=_refusals(404),
)  # fmt: skip
def recommend(
    response: Response, shop: TheShop, caller: TheCaller, shopper_id: ShopperId, ask: Annotated[wire.Placed, Query()]
) -> wire.ForShopper:
    """The Top-K over all that the shopper bought, each with its terms, its cause and its photo.

    A shopper nobody knows gets what is popular, of many categories, and ``known`` is false; so does everybody while
    the database is away. To a publishable key, which anybody can read on the shop's pages, nothing is told of whether
    and what she bought and where she lives.
    """
    known = False
    with suppress(StorageError):  # what is popular is known then too, or that tells what is wrong
        known = shopper_id in shop.shoppers
    make = partial(shop.recommend, shopper_id) if known else shop.introduce
    answer = _served(response, shop, caller, ask, "shopper", shopper_id, make)
    if caller.may("viewer"):
        return wire.ForShopper(shopper_id=shopper_id, known=known, **answer)
    untold = {"relevance": None, "terms": None, "because": None, "why": "", "distance_km": None}
    answer["recommendations"] = [one.model_copy(update=untold) for one in answer["recommendations"]]
    return wire.ForShopper(shopper_id=shopper_id, known=None, **answer)


@lists.get(
    "/v1/recommendations", tags=["recommendations"], summary="Recommend to a guest", responses=_refusals(404),
    dependencies=[Depends(Leave("publishable", here=True))], openapi_extra=OPEN_HERE,
)  # fmt: skip
def recommend_to_guest(
    response: Response, shop: TheShop, caller: TheCaller, ask: Annotated[wire.GuestAsk, Query()]
) -> wire.ForGuest:
    """The Top-K for someone unknown whose session or cart has ``items``; without any, what is popular."""
    snapshot = shop.snapshot()
    unknown = [one for one in ask.items if snapshot.find(one) < 0]
    answer = _served(response, shop, caller, ask, "guest", ask.session, partial(shop.recommend, items=ask.items))
    return wire.ForGuest(unknown=unknown, **answer)


@lists.post(
    "/v1/recommendations", tags=["recommendations"], summary="Recommend to a guest with much in her cart",
    responses=_refusals(400, 404, 408, 413), dependencies=[Depends(Leave("publishable", here=True))],
    openapi_extra=OPEN_HERE,
)  # fmt: skip
def recommend_to_cart(
    response: Response, shop: TheShop, caller: TheCaller, cart: wire.Cart, ask: Annotated[wire.Placed, Query()]
) -> wire.ForGuest:
    """As with GET, the items in the body; nothing of it is kept."""
    return recommend_to_guest(response, shop, caller, wire.GuestAsk(**{**ask.given, "items": cart.items}))


@reads.get("/v1/trending", tags=["recommendations"], summary="What sells")
def trending(shop: TheShop, query: Annotated[wire.Window, Query()]) -> wire.Trending:
    """Popularity now, and how purchases in the window compare with those in the window before; best first."""
    asked = query.model_dump(exclude={"by"})
    frame = shop.purchases.trending(**asked).rename({"normpop": "normalised_popularity"})
    items = [
        wire.Trend(**row, **addresses.pictures(row["item_id"], row["image"] is not None))
        for row in frame.iter_rows(named=True)
    ]
    groups = [] if query.by == "item" else trends(shop, query.by, query.window).to_dicts()
    return wire.Trending(window=query.window, items=items, groups=[wire.SalesChange(**one) for one in groups])


@reads.get("/v1/overview", tags=["service"], summary="How the shop does")
def get_overview(shop: TheShop, query: Annotated[wire.Lately, Query()]) -> wire.Overview:
    """Sales by week, what rises and falls by more than chance, what is recommended, and what to do next."""
    now = overview(shop, query.window)
    have, synced = now.status.coverage, now.synced
    told = vars(have) | vars(now.status) | vars(now)
    told |= {
        "at": _utc(now.at),
        "weeks": [{"begin": begin.date(), "bought": bought} for begin, bought in now.weeks],
        "rising": now.rising.to_dicts(),
        "falling": now.falling.to_dicts(),
        "synced": None if synced is None else {"at": _utc(synced[0]), "report": synced[1]},
        "steps": now.status.steps(shop.name),
    }
    return wire.Overview.model_validate(told, from_attributes=True)


# Scenarios


@reads.get("/v1/scenarios", tags=["scenarios"], summary="List scenarios")
def list_scenarios(shop: TheShop) -> wire.Scenarios:
    """Every scenario at its latest version, by name."""
    return wire.Scenarios(scenarios=[wire.Scenario(**_version(one)) for one in shop.scenarios.all()])


@reads.get("/v1/scenarios/{name}", tags=["scenarios"], summary="One scenario", responses=_refusals(404))
def get_scenario(response: Response, shop: TheShop, name: ScenarioName) -> wire.Scenario:
    """A scenario as it is now. Its ETag is for If-Match, with which to put it."""
    found = shop.scenarios[name]
    response.headers["ETag"] = f'"{found.version}"'
    return wire.Scenario(**_version(found))


@reads.get(
    "/v1/scenarios/{name}/versions", tags=["scenarios"], summary="A scenario's versions", responses=_refusals(404)
)
def list_versions(shop: TheShop, name: ScenarioName) -> wire.Versions:
    """All versions of a scenario, the latest first, each with what it changed; of one that was removed too."""
    found = [_version(one) | {"changes": changed} for one, changed in history(shop.scenarios.versions(name))]
    return wire.Versions.model_validate({"versions": found}, from_attributes=True)


@writes.put("/v1/scenarios/{name}", tags=["scenarios"], summary="Put a scenario", responses=_refusals(412))
def put_scenario(
    response: Response, shop: TheShop, name: ScenarioName, given: wire.ScenarioIn, if_match: IfMatch = None
) -> wire.Scenario:
    """Make a scenario, or a new version of it; where nothing differs, none. With If-Match only if it still is what was
    read. A mistake is named with its rule and the nearest known word.
    """
    made = shop.scenarios.put(
        name, given.scenario, author=given.author or "", reason=given.reason or "", expected=_expected(if_match)
    )
    response.headers["ETag"] = f'"{made.version}"'
    return wire.Scenario(**_version(made))


@writes.post(
    "/v1/scenarios/{name}/preview", tags=["scenarios"], summary="What putting a scenario would do",
)  # fmt: skip
async def preview_scenario(
    shop: TheShop, queue: TheWorkQueue, name: ScenarioName, given: wire.PreviewIn
) -> wire.Preview:
    """What putting this scenario would do to the lists of a sample of shoppers, or of all; nothing is changed.

    It is compared with the scenario as it is now or, where there is none, with what is shown without one.
    """
    told = await queue.run(lambda: shop.scenarios.preview(name, given.scenario, sample=given.sample))
    examples = [
        {
            "shopper_id": one.shopper_id,
            "before": [each.item_id for each in one.before],
            "after": [each.recommendation.item_id for each in one.moved],
        }
        for one in told.examples
    ]
    return wire.Preview.model_validate(vars(told) | {"examples": examples}, from_attributes=True)


@writes.post(
    "/v1/scenarios/{name}/undo", tags=["scenarios"], summary="Undo a scenario's change", responses=_refusals(404, 412)
)
def undo_scenario(shop: TheShop, name: ScenarioName, given: wire.UndoIn, if_match: IfMatch = None) -> wire.Scenario:
    """Bring back the version before the latest one, or the version ``to``, as a new version."""
    author, reason = given.author or "", given.reason or ""
    made = shop.scenarios.undo(name, given.to, author=author, reason=reason, expected=_expected(if_match))
    return wire.Scenario(**_version(made))


@writes.delete(
    "/v1/scenarios/{name}", tags=["scenarios"], summary="Remove a scenario", status_code=204, responses=_refusals(404)
)
def delete_scenario(shop: TheShop, name: ScenarioName) -> None:
    """Remove a scenario; its versions stay, so that it can be undone."""
    shop.scenarios.remove(name)


# Shoppers, stores, purchases


@reads.get("/v1/shoppers/{shopper_id:id}", tags=["shoppers"], summary="One shopper", responses=_refusals(404))
def get_shopper(shop: TheShop, shopper_id: ShopperId) -> wire.Shopper:
    """What is known of a shopper: her trendiness, given or estimated, and her position."""
    return wire.Shopper.model_validate(shop.shoppers[shopper_id], from_attributes=True)


@writes.put(
    "/v1/shoppers/{shopper_id:id}", tags=["shoppers"], summary="Put a shopper",
    responses={201: {"model": wire.Shopper, "description": "She is new."}, 200: {"description": "She was known."}},
)  # fmt: skip
def put_shopper(response: Response, shop: TheShop, shopper_id: ShopperId, given: wire.ShopperIn) -> wire.Shopper:
    """Make a shopper or replace what is known of her; her purchases stay."""
    response.status_code = 200 if shopper_id in shop.shoppers else 201
    shop.shoppers.put(shopper_id, **dict(given))
    return get_shopper(shop, shopper_id)


@writes.delete(
    "/v1/shoppers/{shopper_id:id}", tags=["shoppers"], summary="Forget a shopper", status_code=204,
    dependencies=[Depends(Leave("admin"))], responses=_refusals(404),
)  # fmt: skip
def delete_shopper(shop: TheShop, shopper_id: ShopperId) -> None:
    """Forget a shopper and all that she did. On SQLite the database is written anew: seconds, for a large shop."""
    shop.forget(shopper_id)


@writes.get(
    "/v1/shoppers/{shopper_id:id}/export", tags=["shoppers"], summary="All that is known of a shopper",
    dependencies=[Depends(Leave("admin"))], responses=_refusals(404),
)  # fmt: skip
def export_shopper(shop: TheShop, shopper_id: ShopperId) -> wire.Known:
    """What was given of a shopper and all that she did, for herself."""
    return wire.Known.model_validate(shop.known_of(shopper_id))


@reads.get("/v1/stores", tags=["stores"], summary="List stores")
def stores(shop: TheShop, query: Annotated[wire.StoresNear, Query()]) -> wire.Stores:
    """The stores by id; with ``near``, the nearest first and how far each is."""
    near = shop.stores.near(query.position, query.within)
    return wire.Stores(stores=[wire.Store(**row) for row in near.iter_rows(named=True)])


OneOrMany = Annotated[
    Annotated[wire.PurchaseIn, Tag("one")]
    | Annotated[list[wire.PurchaseIn], Field(min_length=1, max_length=1000), Tag("many")],
    Discriminator(lambda sent: "many" if isinstance(sent, list) else "one"),
]


@writes.post("/v1/purchases", tags=["purchases"], summary="Record purchases", responses=_refusals(404))
def post_purchases(
    shop: TheShop,
    sent: Annotated[OneOrMany, Body(examples=[{"shopper_id": "1", "item_id": "0002", "order_id": "A-1001"}])],
) -> wire.Recorded:
    """Record one purchase or up to 1000, all or none; the answer comes when they are on disk.

    Sent again with the same ``order_id``, an item is counted as known and not recorded twice.
    """
    now = utc_now()
    many = sent if isinstance(sent, list) else [sent]
    recorded = shop.purchases.record([_happened(one, now) for one in many])
    return wire.Recorded(recorded=recorded, known=len(many) - recorded)


@writes.delete(
    "/v1/purchases/{event_id}", tags=["purchases"], summary="Take a purchase back", status_code=204,
    responses=_refusals(404),
)  # fmt: skip
def delete_purchase(shop: TheShop, event_id: EventId) -> None:
    """Forget a purchase or another event that never was; a shopper's data has their ``event_id``.

    One that is gone already, with its shopper for instance, is no error; one that never was is.
    """
    shop.purchases.remove(event_id)


# For whoever watches


@watching.get(
    "/health",
    summary="Alive and ready",
    responses={503: {"model": wire.Health, "description": "Not ready."}},
    dependencies=[Depends(Leave("anyone"))],
)
async def health(request: Request, response: Response) -> wire.Health:
    """Whether the service lives (it answers) and is ready (its database does too, within some seconds)."""
    ready = await request.app.state.readiness.check()
    response.status_code = 200 if ready else 503
    return wire.Health(alive=True, ready=ready)


@watching.get(
    "/metrics", summary="Metrics", response_class=Response, dependencies=[KEY],
    responses={**_refusals(401, 403, 421, 429, 503), 200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)  # fmt: skip
async def metrics(request: Request, shop: TheShop) -> Response:
    """Latency by route, items, vectors missing and the age of the popularity, for Prometheus."""
    state = request.app.state
    text = await state.metrics_queue.run(lambda: state.meters.scrape(shop.coverage))
    return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")


async def _chosen(photo: UploadFile | None) -> bytes | None:
    """What was sent; None for a field that was left empty, which browsers send all the same."""
    return await photo.read() if photo is not None and (photo.filename or photo.size) else None


# Shaping answers


def _utc(at: datetime | None) -> Any:
    """A time of the shop, which are UTC, as it is sent."""
    return at and at.replace(tzinfo=UTC)


def _made(item_id: str, given: wire.ItemIn) -> Item:
    """What was given, as an item without photos."""
    fields = {name: getattr(given, name) for name in wire.ItemIn.model_fields}
    return Item(item_id, **fields | {"product": given.product or ""})


def _happened(one: wire.PurchaseIn, now: datetime) -> Event:
    kind = one.kind if isinstance(one, wire.EventIn) else "purchase"
    return Event(one.shopper_id, one.item_id, one.at or now, kind, one.quantity, one.order_id, one.line)


def _each(model: type[Sent], sent: Sequence[Any]) -> tuple[list[tuple[int, Sent]], list[wire.Refused]]:
    """Those of ``sent`` that are as they should be, with their places from 1, and the others with reasons."""
    taken, refused = [], []
    for line, one in enumerate(sent, 1):
        try:
            taken.append((line, model.model_validate(one)))
        except ValidationError as error:
            refused.append(wire.Refused(line=line, detail="; ".join(map(sentence, error.errors()[:5]))))
    return taken, refused


def _item(row: dict[str, Any]) -> wire.Item:
    """A row of :meth:`Items.browse <modiste.shop.items.Items.browse>` as it is sent."""
    photo, further = addresses.address("items", row["item_id"], "photo"), range(1, 1 + len(row["photos"]))
    own = {
        "on_offer": not row["hidden"] and row["available"] is not False and (row["stock"] is None or row["stock"] > 0),
        "hidden": bool(row["hidden"]),
        "photos": [f"{photo}?number={number}" for number in further],
        "attributes": json.loads(row["attributes"]),
        "popularity_now": row["count"],
        "normalised_popularity": row["normpop"],
    }
    return wire.Item(**row | own | addresses.pictures(row["item_id"], row["image"] is not None, "mask"))


def _item_now(shop: Shop, item_id: str) -> wire.Item:
    snapshot = shop.snapshot()
    row, popularity = snapshot.row(item_id), snapshot.popularity()
    return _item({**snapshot.item(row), "count": popularity.counts[row], "normpop": popularity.normpop[row]})


def _as_of() -> datetime | None:
    """Of when the answer is, if the database is away."""
    return min(STOOD_IN.get() or (), default=None)


def _served(
    response: Response,
    shop: Shop,
    caller: Caller,
    ask: wire.Placed,
    where: str,
    who: str | None,
    recommend: Callable[..., Recommendations],
) -> dict[str, Any]:
    """A list for a placement (``where``, if nothing else is said), with the id by which it is reported.

    What rules did is not told on the shop's pages.
    """
    given = {name: value for name, value in ask.given.items() if name not in ("placement", "session", "items")}

    def made(scenario: str | None) -> Recommendations:
        return recommend(**given | {"scenario": scenario})

    found, served = shop.ab.serve(ask.placement or ask.scenario or where, ask.scenario, who, made)
    list_id = shop.storefront.sign(served)
    if len(list_id) <= LONGEST_HEADER:
        response.headers["X-List-ID"] = list_id
    answer = _sent(found) | {"list_id": list_id, "placement": served.placement}
    if not caller.may("viewer"):
        shown = [one.model_copy(update={"rules": []}) for one in answer["recommendations"]]
        answer |= {"rules": [], "recommendations": shown}
    return answer


def _sent(found: Recommendations) -> dict[str, Any]:
    """The fields of :class:`modiste.wire.Answer`."""
    told = {"scenario": found.scenario, "rules": found.rules, "nothing": found.nothing}
    return told | {"recommendations": _shown(found), "as_of": _as_of()}


def _shown(found: Recommendations) -> list[wire.Recommendation]:
    return [
        wire.Recommendation(**one.as_json(), **addresses.pictures(one.item_id, one.image is not None)) for one in found
    ]


def _version(one: Version) -> dict[str, Any]:
    said = None if one.scenario is None else one.scenario.as_data()
    return vars(one) | {"at": one.at.replace(tzinfo=UTC), "scenario": said}


def _tag(if_match: str | None) -> str | None:
    """The ETag that If-Match names; None for any."""
    return None if if_match is None or if_match == "*" else if_match.strip().strip('"')


def _expected(if_match: str | None) -> int | None:
    """The version that If-Match names. Raises ChangedError where it is none."""
    written = _tag(if_match)
    if written is not None and not written.isdecimal():
        raise ChangedError(f"If-Match is {written!r}, which is the ETag of no version")
    return None if written is None else int(written)


# Pictures


def _mask(keep: Bools) -> str:
    return pictures.data_uri(Image.fromarray(keep).convert("L"), "PNG")


def _with_photo(shop: Shop, item_id: str) -> dict[str, Any]:
    try:
        item = shop.items[item_id]
    except StorageError:
        snapshot = shop.snapshot()
        item = snapshot.item(snapshot.row(item_id))
    if item["image"] is None:
        raise HTTPException(404, f"item {item_id!r} has no photo")
    if item["shown"] is not None:
        others = [one for one in (item["image"], *item["photos"]) if one != item["shown"]]
        number = item["photos"].index(item["shown"])
        item |= {"image": item["shown"], "photos": others, "stamp": f"{item['stamp']}-{number}"}
    return item


def _kept(request: Request) -> dict[str, str]:
    """How long a picture may be shown without asking, and that only a publishable key's is for everybody's cache."""
    public = not request.state.caller.may("viewer")
    return {
        "Cache-Control": f"{'public' if public else 'private'}, max-age={MAX_AGE_S}",
        "Cross-Origin-Resource-Policy": "cross-origin" if public else "same-origin",
        "Vary": "Authorization, Cookie, Origin",
    }


def _caching(request: Request, stamp: str) -> tuple[dict[str, str], Response | None]:
    """The headers that let a browser keep a picture, and the answer to one that has it already."""
    tag = f'"{quote(stamp, safe="")}"'
    headers = {"ETag": tag, **_kept(request)}
    known = {one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")}
    return headers, Response(status_code=304, headers=headers) if known & {tag, "*"} else None


def _file(file: Path, item_id: str, headers: dict[str, str]) -> Response:
    try:
        with open_regular(file, MAX_BYTES) as opened, Image.open(opened, formats=FORMATS) as header:
            form = {"MPO": "jpeg"}.get(str(header.format), str(header.format).lower())
    except Exception as error:  # gone, or no longer a photo; Pillow's readers raise many kinds
        raise HTTPException(404, f"the photo of item {item_id!r} can't be read; it may have been moved") from error
    return FileResponse(file, media_type=f"image/{form}", headers=headers)
