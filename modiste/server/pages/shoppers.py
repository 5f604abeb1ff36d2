"""The page /shoppers: every shopper with her taste and latest purchases."""

import polars as pl
from fastapi import APIRouter, Request, Response

from modiste.server.addresses import here
from modiste.server.dependencies import TheShop
from modiste.server.pages.rendering import next_page, page_number, part_wanted, render, with_query
from modiste.shop.shop import Shop
from modiste.shop.taste import Taste

A_PAGE = 24
"""How many shoppers a page has."""

ORDERS = {"crowd": ("theta", True), "own": ("theta", False), "purchases": ("purchases", True)}
"""How shoppers may be sorted, but for their ids: the column, and whether the highest comes first."""

router = APIRouter(include_in_schema=False)


@router.get("/shoppers")
def shoppers(request: Request, shop: TheShop) -> Response:
    """Every shopper with her taste and latest purchases, searched by id, a page at a time."""
    matching = found(request, shop)
    shown = matching.slice((page_number(request) - 1) * A_PAGE, A_PAGE)
    latest, snapshot = shop.purchases.latest(shown["shopper_id"].to_list()), shop.snapshot()
    people = []
    for one in shown.iter_rows(named=True):
        rows = [snapshot.find(item_id) for item_id in latest.get(one["shopper_id"], ())]
        told = Taste(one["theta"], one["sd"], one["told"]) if one["told"] else None
        if told is None and one["purchases"]:  # a large shop, or she bought just now
            told = shop.taste(one["shopper_id"])
        known = [snapshot.item(row) for row in rows if row >= 0]
        people.append(one | {"taste": told if told and told.purchases else None, "latest": known})
    name = {"people": "_people.html", "more": "_people_more.html"}.get(part_wanted(request) or "", "shoppers.html")
    return render(
        request,
        name,
        people=people,
        matching=matching.height,
        total=len(shop.shoppers),
        q=request.query_params.get("q", "").strip(),
        sort=request.query_params.get("sort", "id"),
        sheet=with_query(here("/shoppers.csv"), request.query_params.multi_items()),
        following=next_page(request, matching.height, A_PAGE),
    )


def found(request: Request, shop: Shop) -> pl.DataFrame:
    """The shoppers that an address asks for, in its order."""
    text, everyone = request.query_params.get("q", "").strip(), shop.tastes()
    if text:
        everyone = everyone.filter(pl.col("shopper_id").str.to_lowercase().str.contains(text.lower(), literal=True))
    return _sorted(everyone, request.query_params.get("sort", "id"))


def _sorted(people: pl.DataFrame, sort: str) -> pl.DataFrame:
    if sort in ORDERS:
        column, down = ORDERS[sort]
        return people.sort(column, "shopper_id", descending=[down, False], nulls_last=True)
    digits = pl.col("shopper_id").str.extract(r"(\d+)$").cast(pl.Int64, strict=False)
    return people.sort(pl.col("shopper_id").str.replace(r"\d+$", ""), digits, "shopper_id", nulls_last=True)
