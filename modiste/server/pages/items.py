"""The page /items: the catalogue as a wall of pictures."""

from typing import Any

from fastapi import APIRouter, Request, Response

from modiste.ask import Ask
from modiste.server.addresses import here
from modiste.server.dependencies import TheSettings, TheShop
from modiste.server.pages.rendering import next_page, number, page_number, part_wanted, render, with_query
from modiste.shop.items import STATES

A_PAGE = 48
"""How many items a page has."""

router = APIRouter(include_in_schema=False)


@router.get("/items")
def items(request: Request, shop: TheShop, settings: TheSettings) -> Response:
    """The catalogue as a wall of pictures, filtered and sorted, a page at a time."""
    query, filters = request.query_params, asked(request)
    page = shop.items.browse(**filters, offset=(page_number(request) - 1) * A_PAGE, limit=A_PAGE)
    part = {"wall": "_wall.html", "more": "_wall_more.html"}.get(part_wanted(request) or "")
    values: dict[str, Any] = {
        "page": page,
        "total": len(shop.items),
        "following": next_page(request, page.total, A_PAGE),
        "filters": filters,
        "sheet": with_query(here("/items.csv"), query.multi_items()),
        "waiting": len(shop.vectors.waiting()) if filters["state"] == "no vector" else 0,
    }
    if part:
        return render(request, part, **values)
    return render(
        request,
        "items.html",
        **values,
        categories=shop.items.categories(),
        known=shop.taxonomy.categories,
        genders=shop.items.genders(),
        priced=shop.items.browse(min_price=0, limit=1).total > 0,
        facets=shop.items.attributes(),
        states=STATES,
        low=query.get("min_price", ""),
        high=query.get("max_price", ""),
        attribute=query.get("attribute", ""),
        most_bytes=settings.max_upload,
    )


def asked(request: Request) -> dict[str, Any]:
    """The filters and the order of an address, as :meth:`Items.browse <modiste.shop.items.Items.browse>` takes them.

    Raises SettingError for prices the wrong way round.
    """
    query = request.query_params
    filters: dict[str, Any] = {
        "categories": [name for name in query.getlist("categories") if name],
        "gender": query.get("gender") or None,
        "min_price": number(query.get("min_price"), 0, 1e9),
        "max_price": number(query.get("max_price"), 0, 1e9),
        "match": "any" if query.get("match") == "any" else "all",
    }
    gender = Ask.of(**filters).gender  # words that nobody knows and prices the wrong way round are refused
    filters["gender"] = None if gender == "any" else gender
    name, _, value = query.get("attribute", "").partition("=")
    state = query["state"] if query.get("state") in STATES else None
    own = {"text": query.get("q", "").strip(), "sort": query.get("sort", "id"), "state": state}
    return filters | own | {"attributes": {name: value} if name and value else {}}
