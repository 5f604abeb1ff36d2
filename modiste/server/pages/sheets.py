"""Every list of the pages as a CSV file: /items.csv, /shoppers.csv, /stores.csv, /trending.csv, /scenarios.csv,
/storefront.csv and, for admins, /audit.csv."""

import polars as pl
from fastapi import APIRouter, Depends, Request, Response

from modiste.catalog.tables import as_cells
from modiste.server.auth import Leave
from modiste.server.dependencies import TheShop
from modiste.server.pages.items import asked
from modiste.server.pages.overview import asked as trends_asked
from modiste.server.pages.shoppers import found as shoppers_found
from modiste.server.pages.storefront import asked as lists_asked
from modiste.server.pages.stores import found as stores_found
from modiste.shop.overview import trends
from modiste.shop.storefront import STEPS

ITEMS = (
    "item_id", "title", "category", "gender", "age_group", "brand", "colour", "size", "price", "sale_price", "currency",
    "stock", "available", "hidden", "sold", "product", "view", "store_id", "url", "attributes",
)  # fmt: skip
"""The columns of the items."""

LISTS = ("placement", "scenario", "experiment", "variant", "lists", "people", "pieces", "returned")
"""The columns of lists on the shop's pages; of each step people, share and the ends of its 95% interval follow."""

SCENARIOS = ("scenario", "about", "rules", "version", "changed", "author", "reason")
"""The columns of the scenarios."""

router = APIRouter(include_in_schema=False)


def _sheet(name: str, frame: pl.DataFrame) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"', "Cache-Control": "no-cache"}
    return Response(as_cells(frame).write_csv(), media_type="text/csv; charset=utf-8", headers=headers)


@router.get("/items.csv")
def items(request: Request, shop: TheShop) -> Response:
    """The items that pass the filters of the page, in its order."""
    page = shop.items.browse(**asked(request), limit=None)
    return _sheet("items", page.items.rename({"count": "sold"}).select(ITEMS))


@router.get("/shoppers.csv")
def shoppers(request: Request, shop: TheShop) -> Response:
    """The shoppers that the page lists, in its order."""
    people = shoppers_found(request, shop).rename({"told": "told_by_purchases", "given": "given_trendiness"})
    return _sheet("shoppers", people)


@router.get("/stores.csv")
def stores(request: Request, shop: TheShop) -> Response:
    """The stores, in the page's order."""
    return _sheet("stores", stores_found(request, shop))


@router.get("/trending.csv")
def trending(request: Request, shop: TheShop) -> Response:
    """What sells now against before."""
    by, window = trends_asked(request)
    found = trends(shop, by, window)
    return _sheet(f"trending-{by}", found.drop("image", strict=False))


@router.get("/scenarios.csv")
def scenarios(shop: TheShop) -> Response:
    """The scenarios, each at its latest version."""
    rows = [
        (one.name, one.scenario.about, len(one.scenario.rules), one.version, one.at, one.author, one.reason)
        for one in shop.scenarios.all()
        if one.scenario is not None
    ]
    return _sheet("scenarios", pl.DataFrame(rows, SCENARIOS, orient="row"))


@router.get("/storefront.csv")
def lists(request: Request, shop: TheShop) -> Response:
    """What came of the lists on the shop's pages, in the page's time."""
    _, since, days = lists_asked(request)
    steps = [(step, part) for step in STEPS for part in ("people", "share", "low", "high")]
    rows = [
        (*(getattr(one, name) for name in LISTS), *(getattr(getattr(one, step), part) for step, part in steps))
        for one in shop.storefront.funnel(since, days=days)
    ]
    columns = (*LISTS, *(step if part == "people" else f"{step}_{part}" for step, part in steps))
    return _sheet("storefront", pl.DataFrame(rows, columns, orient="row"))


@router.get("/audit.csv", dependencies=[Depends(Leave("admin"))])
def audit(shop: TheShop) -> Response:
    """Who changed what, the newest first, as far as it is known."""
    return _sheet("audit", shop.audit.frame(len(shop.audit)))
