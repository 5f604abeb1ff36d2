"""The page /storefront: what came of the lists on the shop's own pages, and how A/B tests stand."""

from datetime import datetime, timedelta
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from starlette.concurrency import run_in_threadpool

from modiste.catalog.values import utc_now
from modiste.errors import SettingError
from modiste.server.addresses import here
from modiste.server.auth import WriteRoute
from modiste.server.dependencies import TheShop
from modiste.server.pages.rendering import number, render
from modiste.shop.ab import LIFT, Experiment
from modiste.shop.storefront import WINDOW

PERIODS = {7: "the last week", 28: "the last 4 weeks", 90: "the last 3 months", 180: "the last half year"}
"""Over which days the page tells, and what it calls them."""

WINDOWS = (1, 3, 7, 14, 30)
"""Days after a click in which a sale counts."""

SHOWN = 10
"""So many tests are shown, the latest."""

router = APIRouter(include_in_schema=False)
writes = APIRouter(include_in_schema=False, route_class=WriteRoute)


@router.get("/storefront")
def storefront(request: Request, shop: TheShop) -> Response:
    """What came of the lists by placement, how the tests stand, and a form for a new one."""
    period, since, days = asked(request)
    tests = shop.ab.all()[:SHOWN]
    return render(
        request,
        "storefront.html",
        lists=[(one, [one.clicked, one.cart, one.bought]) for one in shop.storefront.funnel(since, days=days)],
        standings=[shop.ab.report(one.name) for one in tests],
        scenarios=[one.name for one in shop.scenarios.all()],
        periods=PERIODS,
        windows=WINDOWS,
        period=period,
        days=days,
    )


def asked(request: Request) -> tuple[int, datetime, float]:
    """Of how many days an address wants lists, since when that is, and how long after a click a sale counts."""
    query = request.query_params
    period = int(number(query.get("period"), min(PERIODS), max(PERIODS)) or 28)
    since = utc_now() - timedelta(days=period)
    return period, since, number(query.get("within"), 0.5, 90) or WINDOW


@writes.post("/storefront", summary="Start an A/B test")
async def start(request: Request, shop: TheShop) -> Response:
    """Start a test."""
    form = await request.form()
    said = {name: str(form.get(name, "")).strip() for name in ("name", "a", "b", "placement", "counts")}
    rate, lift = _share(form.get("rate"), "rate"), _share(form.get("lift"), "lift")
    mixed = said["counts"] == "interleaved"

    def begin() -> Experiment:
        return shop.ab.start(
            said["name"],
            said["a"],
            said["b"],
            placement=said["placement"] or None,
            counts="clicked" if mixed else said["counts"] or "bought",
            rate=rate,
            lift=LIFT if lift is None else lift,
            interleaved=mixed,
        )

    await run_in_threadpool(begin)
    return RedirectResponse(here("/storefront") + "#tests", 303)


@writes.post("/storefront/{name}/stop", summary="Stop an A/B test")
def stop(shop: TheShop, name: str) -> Response:
    """Stop a test."""
    shop.ab.stop(name)
    return RedirectResponse(here("/storefront") + "#tests", 303)


def _share(written: Any, name: str) -> float | None:
    """A percentage as a share. Raises SettingError."""
    text = str(written or "").strip().removesuffix("%").replace(",", ".")
    try:
        return float(text) / 100 if text else None
    except ValueError:
        raise SettingError(f"{name} is {text[:80]!r}; write a percentage, such as 2.5") from None
