"""The page /items: the catalogue as a wall of pictures."""

from typing import Any

from fastapi import APIRouter, Request, Response

from modiste.ask import Ask
from modiste.server.dependencies import TheShop
from modiste.server.pages.rendering import next_page, number, page_number, part_wanted, render

A_PAGE = 48
"""How many items a page has."""

router = APIRouter(include_in_schema=False)


@router.get("/items")
def items(request: Request, shop: TheShop) -> Response:
    """The catalogue as a wall of pictures, filtered by text, category, gender and price, a page at a time."""
    query = request.query_params
    text, sort = query.get("q", "").strip(), query.get("sort", "id")
    filters: dict[str, Any] = {
        "categories": [name for name in query.getlist("categories") if name],
        "gender": query.get("gender") or None,
        "min_price": number(query.get("min_price"), 0, 1e9),
        "max_price": number(query.get("max_price"), 0, 1e9),
        "match": "any" if query.get("match") == "any" else "all",
    }
    gender = Ask.of(**filters).gender  # words that nobody knows and prices the wrong way round are refused
    filters["gender"] = None if gender == "any" else gender
    page = shop.items.browse(**filters, text=text, sort=sort, offset=(page_number(request) - 1) * A_PAGE, limit=A_PAGE)
    return render(
        request,
        {"wall": "_wall.html", "more": "_wall_more.html"}.get(part_wanted(request) or "", "items.html"),
        page=page,
        total=len(shop.items),
        following=next_page(request, page.total, A_PAGE),
        categories=shop.items.categories(),
        genders=shop.items.genders(),
        priced=shop.items.browse(min_price=0, limit=1).total > 0,
        q=text,
        filters=filters,
        low=query.get("min_price", ""),
        high=query.get("max_price", ""),
        sort=sort,
    )
