"""The page /stores: where things are sold, and how much is on offer there."""

import polars as pl
from fastapi import APIRouter, Request, Response

from modiste.server.dependencies import TheShop
from modiste.server.pages.rendering import render
from modiste.shop.shop import Shop

ORDERS = {"name": ("name", False), "items": ("items", True), "north": ("latitude", True)}
"""How stores may be sorted: the column, and whether the highest comes first."""

router = APIRouter(include_in_schema=False)


@router.get("/stores")
def stores(request: Request, shop: TheShop) -> Response:
    """Every store."""
    sort = request.query_params.get("sort", "name")
    return render(request, "stores.html", stores=found(request, shop).to_dicts(), sort=sort)


def found(request: Request, shop: Shop) -> pl.DataFrame:
    """The stores as an address asks for them."""
    column, down = ORDERS.get(request.query_params.get("sort", ""), ORDERS["name"])
    return shop.stores.stocked().sort(column, "store_id", descending=[down, False])
