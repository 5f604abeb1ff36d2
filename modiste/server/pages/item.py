"""The page /items/…: one item's photo and parse, what is like it, how it sells, and the stores that have it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from modiste.ask import Ask, Position
from modiste.catalog.items import GENDERS
from modiste.errors import MaskError, PhotoError, SettingError, UnknownIdError
from modiste.ranking.relevance import PRESETS
from modiste.server.dependencies import TheShop, TheWorkQueue
from modiste.server.limits import BusyError
from modiste.server.pages.parses import Parse
from modiste.server.pages.rendering import looks, part_wanted, render, term_bars
from modiste.shop.shop import Shop

SIMILAR = 8
"""How many similar items are shown."""

MOST_VIEWS = 500
"""How many views of a product are shown."""

MOST_HOMES = 500
"""How many shoppers are proposed whose homes distances may be measured from."""

WEEK = 7.0
"""Days of a column of what was sold when."""

SAID = {
    "saved": "Saved.", "photo": "Saved, and the new photo is compared from now on.", "made": "It is there.",
    "hide": "It is in no list any more.", "show": "It is in the lists again.",
}  # fmt: skip
"""What the page says after a form was sent."""

STATE_WORDS = ("on offer", "hidden", "not available, says its source", "sold out", "on offer, without a photo")
"""What the shop's states are called."""

STATES = ("own", "view", "other")
"""What a store has, in the order in which stores are listed: the item, another view of its product, neither."""

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where distances are measured from: a position or None, what to call it, what was wrong with it."""

    position: Position | None = None
    name: str = ""
    remark: str = ""


@router.get("/items/{item_id:path}")
async def item(request: Request, shop: TheShop, queue: TheWorkQueue, item_id: str) -> Response:
    """One item: photo and parse, what is like it, how it sold when, and which store has it how far away."""
    about = await run_in_threadpool(shop.items.__getitem__, item_id)
    parse = Parse()
    if part_wanted(request) is None and about["image"] is not None:
        try:
            key = (about["shown"] or about["image"], about["mask"], about["stamp"], about["category"])
            parse = await request.app.state.parses.get(
                key, lambda: Parse.of(shop.vectors.labels(item_id), about["category"]), queue
            )
        except (PhotoError, MaskError) as error:
            parse = Parse(remark=str(error))
        except BusyError:
            parse = Parse(remark="Too many photos are being parsed right now; come back in a moment.")
    return await run_in_threadpool(_item, request, shop, about, parse)


def _item(request: Request, shop: Shop, about: Mapping[str, Any], parse: Parse) -> Response:
    item_id, query, target = about["item_id"], request.query_params, part_wanted(request)
    preset = query["preset"] if query.get("preset") in PRESETS else "balanced"
    snapshot = shop.snapshot()
    values: dict[str, Any] = {"item": about}
    if target != "stores":
        similar = shop.recommend(item=item_id, top=SIMILAR, preset=preset)
        values |= {"similar": similar, "preset": preset, **term_bars(PRESETS[preset], similar)}
        values |= looks(shop)
    if target == "similar":
        return render(request, "_similar.html", **values)
    if target is None:
        values["outfit"] = shop.goes_with(item_id)
    views = shop.items.browse(product=about["product"], limit=MOST_VIEWS).items.to_dicts()
    origin = _origin(shop, query)
    stores = _stores(shop, about["store_id"], {view["store_id"] for view in views}, origin)
    values |= {"origin": origin, "stores": stores, "near": query.get("near", ""), "of": query.get("shopper", "")}
    if target == "stores":
        return render(request, "_stores.html", **values)
    row, counts = snapshot.row(item_id), snapshot.popularity().counts
    there = counts if snapshot.alive is None else counts[snapshot.alive]
    past = shop.purchases.history(item_id, WEEK)
    weeks = [(f"week of {at:%d %b %Y}", count) for at, count in past.select("at", "bought").iter_rows()]
    homes = shop.shoppers.frame().drop_nulls("latitude")["shopper_id"].head(MOST_HOMES)
    return render(
        request,
        "item.html",
        **values,
        parse=parse,
        attributes=sorted(json.loads(about["attributes"] or "{}").items()),
        count=float(counts[row]),
        better=float((there < counts[row]).mean()),
        bought=past["bought"].sum(),
        weeks=weeks,
        views=[view for view in views if view["item_id"] != item_id],
        homes=homes.to_list(),
        said=SAID.get(query.get("said", "")),
        tag=shop.items.tag(item_id),
        state=STATE_WORDS[int(snapshot.column("state")[row])],
        known=shop.taxonomy.categories,
        genders=GENDERS,
        most_bytes=request.app.state.settings.max_upload,
    )


def _origin(shop: Shop, query: Mapping[str, str]) -> Origin:
    near, shopper_id = query.get("near", "").strip(), query.get("shopper", "").strip()
    try:
        if near:
            return Origin(Ask.of(near=near.replace(";", ",").split(",")).position, "the place you gave")
        if shopper_id:
            home = shop.shoppers[shopper_id].position
            if home is None:
                return Origin(remark=f"It is not known where shopper {shopper_id} lives.")
            return Origin(home, f"shopper {shopper_id}")
    except SettingError:
        return Origin(remark="A place is latitude, longitude in degrees, such as 48.86, 2.35.")
    except UnknownIdError:
        return Origin(remark=f"There is no shopper {shopper_id}.")
    return Origin()


def _stores(shop: Shop, own: str | None, others: set[str | None], origin: Origin) -> list[dict[str, Any]]:
    """All stores, those that have the item first, then those with another view of its product, then by distance."""
    stores = shop.stores.near(origin.position).to_dicts()
    for one in stores:
        one["state"] = "own" if one["store_id"] == own else "view" if one["store_id"] in others else "other"
    return sorted(stores, key=lambda one: (STATES.index(one["state"]), one["distance_km"] or 0.0, one["name"]))
