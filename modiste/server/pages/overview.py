"""The page /overview, on which a visit begins, and /trending, what sells now against before."""

import polars as pl
from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from modiste.server.addresses import here
from modiste.server.dependencies import TheShop
from modiste.server.pages.rendering import number, render
from modiste.shop.overview import SEEN_DAYS, WINDOW, overview, trends
from modiste.shop.trends import GROUPS, UNUSUAL

MOST = 50
"""So many items that sell are listed."""

WINDOWS = (7, 28, 90)
"""Days that the page of trends offers."""

router = APIRouter(include_in_schema=False)


@router.get("/")
def home() -> Response:
    """Where a visit begins."""
    return RedirectResponse(here("/overview"))


@router.get("/overview")
def overview_page(request: Request, shop: TheShop) -> Response:
    """How the shop does: sales, what rises and falls, what is recommended and what never is, and what to do."""
    snapshot, now = shop.snapshot(), overview(shop)
    never = [snapshot.item(row) for one in now.reach.never if (row := snapshot.find(one)) >= 0]
    steps = now.status.steps(shop.name)
    return render(request, "overview.html", now=now, steps=steps, never=never, seen_days=SEEN_DAYS)


@router.get("/trending")
def trending_page(request: Request, shop: TheShop) -> Response:
    """What sold in a window against the window before: items, or by category, colour or price band."""
    by, window = asked(request)
    found = trends(shop, by, window)
    unusual = pl.col("chance") <= UNUSUAL
    told = found.filter(unusual).sort("chance", maintain_order=True)
    shown = pl.concat([told, found.filter(~unusual)]).head(MOST).to_dicts()
    return render(
        request, "trending.html", by=by, window=window, windows=WINDOWS, groups=("item", *GROUPS), told=told.height,
        total=found.height, shown=shown, most=max((one["bought"] for one in shown), default=0),
    )  # fmt: skip


def asked(request: Request) -> tuple[str, int]:
    """By what an address wants trends, and of how many days."""
    query = request.query_params
    by = query["by"] if query.get("by") in GROUPS else "item"
    return by, int(number(query.get("window"), 1, 365) or WINDOW)
