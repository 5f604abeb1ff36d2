"""The routes of the shop's own pages: the component that shows lists there, what comes back of them, and what of that.

Whoever reports a list needs no key: its id, which this service signed, is the leave. So a page reports with
``navigator.sendBeacon``, whose bodies are plain text and whose answers nobody reads.
"""

import hashlib
import math
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from fastapi import Body, Depends, HTTPException, Query, Request, Response
from fastapi import Path as InPath
from starlette.concurrency import run_in_threadpool

from modiste import wire
from modiste.catalog.messages import is_message, told
from modiste.catalog.values import moment, utc_now
from modiste.errors import SettingError
from modiste.server.api import KEY, Many, Router, _each, _happened, _refusals
from modiste.server.api import writes as server_writes
from modiste.server.auth import Leave, WriteRoute, json_of
from modiste.server.dependencies import TheShop, check_query
from modiste.server.origins import network_of
from modiste.server.pages.rendering import STATIC
from modiste.server.rates import Rates
from modiste.shop.ab import Standing
from modiste.shop.shop import Shop
from modiste.shop.storefront import Seen

COMPONENT = (STATIC / "modiste-list.js").read_bytes()
"""The web component ``<modiste-list>``."""

A_MINUTE, AT_ONCE = 60, 3000
"""What an address may report without a key, and what may be reported of one list that says of nobody for whom it was
made: so much at once, and so much a minute after that. Whatever a page does, it fills no disk."""

_TAG = f'"{hashlib.blake2b(COMPONENT, digest_size=8).hexdigest()}"'
_ANY_PAGE = {"Access-Control-Allow-Origin": "*", "Cross-Origin-Resource-Policy": "cross-origin"}

TestName = Annotated[str, InPath(max_length=60, description="The test's name.", examples=["winter"])]

told_by_pages = Router(
    dependencies=[Depends(check_query), Depends(Leave("anyone"))], responses=_refusals(400, 413, 422, 429, 503)
)
reads = Router(dependencies=[KEY, Depends(check_query)], responses=_refusals(401, 403, 421, 422, 429, 503))
writes = Router(
    route_class=WriteRoute,
    dependencies=[KEY, Depends(check_query)],
    responses=_refusals(400, 401, 403, 413, 421, 422, 429, 503),
)


def _body(**example: str) -> dict[str, Any]:
    """How OpenAPI tells of a body that may be one or many, each judged for itself, and of either type."""
    schema = {"anyOf": [{"type": "object"}, {"type": "array", "items": {}, "minItems": 1, "maxItems": 1000}]}
    content = {kind: {"schema": schema, "example": [example]} for kind in ("application/json", "text/plain")}
    return {"requestBody": {"required": True, "content": content}}


async def _sent(request: Request) -> list[Any]:
    """The body's objects, whatever type it says: what a page sends without asking first is plain text.

    Raises 429 where an address reports more than it may.
    """
    try:
        sent = json_of(await request.body())
    except ValueError as error:
        raise HTTPException(400, "the body is no JSON; send a list of objects, such as [{...}]") from error
    many = sent if isinstance(sent, list) else [sent]
    if not isinstance(sent, list | dict):
        raise HTTPException(422, "the body is no object and no list of them; send a list, such as [{...}]")
    if not 1 <= len(many) <= 1000:
        raise HTTPException(422, f"the body has {len(many)} objects; send 1 to 1000")
    who = "reports", network_of(request)
    if wait := request.app.state.rates.take(who, A_MINUTE, count=len(many), burst=AT_ONCE):
        detail = f"an address reports {AT_ONCE:,} at once and {A_MINUTE} a minute; a back end sends to /v1/events"
        raise HTTPException(429, detail, {"Retry-After": str(math.ceil(wait))})
    return many


Sent = Annotated[list[Any], Depends(_sent)]


@told_by_pages.get(
    "/storefront/modiste-list.js", tags=["storefront"], summary="The component <modiste-list>",
    response_class=Response, responses={200: {"content": {"text/javascript": {"schema": {"type": "string"}}}}},
)  # fmt: skip
async def component(request: Request) -> Response:
    """The web component that shows a list on any page of the shop: load it once with ``<script async src=…>``."""
    headers = {**_ANY_PAGE, "Cache-Control": "public, max-age=3600, stale-while-revalidate=86400", "ETag": _TAG}
    if _TAG in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(COMPONENT, media_type="text/javascript; charset=utf-8", headers=headers)


@told_by_pages.post(
    "/v1/impressions",
    tags=["storefront"],
    summary="Report lists that were seen",
    openapi_extra=_body(list_id="kR3…", session="2740-…"),
)
async def post_impressions(request: Request, shop: TheShop, sent: Sent) -> wire.RecordedSome:
    """Up to 1000 lists that came into view, each by the ``list_id`` that came with it; sent again, it counts once.

    Each may have a ``session``, what the page calls its visitor, and the time, ``at``. The body is JSON, and may say
    that it is plain text.
    """
    return await run_in_threadpool(_reported, shop, request.app.state.rates, wire.SeenIn, sent)


@told_by_pages.post(
    "/v1/clicks", tags=["storefront"], summary="Report clicks", openapi_extra=_body(list_id="kR3…", item_id="0002")
)
async def post_clicks(request: Request, shop: TheShop, sent: Sent) -> wire.RecordedSome:
    """Up to 1000 items that were clicked, each an ``item_id`` with its list's ``list_id``; sent again, it counts once.

    Each may have a ``session`` and the time, ``at``. The body is JSON, and may say that it is plain text. A list that
    was clicked was seen.
    """
    return await run_in_threadpool(_reported, shop, request.app.state.rates, wire.ClickIn, sent)


def _reported(shop: Shop, rates: Rates, model: type[wire.SeenIn], sent: Sequence[Any]) -> wire.RecordedSome:
    taken, refused = _each(model, sent)
    return _noted(shop, [(line, Seen(**dict(one))) for line, one in taken], refused, rates)


def _noted(
    shop: Shop, seen: Sequence[tuple[int, Seen]], refused: list[wire.Refused], rates: Rates | None = None
) -> wire.RecordedSome:
    """Record what can be, and name the others beside those ``refused`` before; ``rates`` bound what pages report."""
    right = []
    for line, one in seen:
        try:
            served = shop.storefront.check(one)
            if rates and served.who is None and rates.take(("list", one.list_id), A_MINUTE, burst=AT_ONCE):
                refused.append(wire.Refused(line=line, detail="too many report this list, which was made for nobody"))
                continue
            right.append(one)
        except SettingError as error:
            refused.append(wire.Refused(line=line, detail=str(error)))
    new = shop.storefront.record(right)
    refused.sort(key=lambda one: one.line)
    return wire.RecordedSome(recorded=new, known=max(0, len(right) - new), refused=refused)


# Events, in the shop's own words or those of GA4 and Segment


@server_writes.post("/v1/events", tags=["purchases"], summary="Record events")
def post_events(
    shop: TheShop,
    sent: Annotated[Many | dict[str, Any], Body(examples=[[{"shopper_id": "1", "item_id": "0002", "kind": "view"}]])],
) -> wire.RecordedSome:
    """Record up to 1000 events: views, carts, purchases, returns and cancellations; those that can be are on disk when
    the answer comes, and each other one is named with its line and reason.

    Each has the fields of a purchase and, if it is none, a ``kind``. Or it is what GA4 (Measurement Protocol, data
    layer) or Segment (track, batch) call it: lists that were seen and clicked are reported so as well.
    """
    now = utc_now()
    own, seen, refused = _translated(shop, sent if isinstance(sent, list) else [sent], now)
    taken, wrong = _each(wire.EventIn, [one for _, one in own])
    places = [line for line, _ in own]
    refused += [wire.Refused(line=places[one.line - 1], detail=one.detail) for one in wrong]
    there = shop.items.present([one.item_id for _, one in taken])
    refused += [
        wire.Refused(line=places[at - 1], detail=f"no item {one.item_id!r} in {shop.name}")
        for at, one in taken
        if one.item_id not in there
    ]
    happened = [one for _, one in taken if one.item_id in there]
    recorded = shop.purchases.record([_happened(one, now) for one in happened])
    shop.storefront.link({one.session: one.shopper_id for one in happened if one.session is not None})
    noted = _noted(shop, seen, refused)
    known = len(happened) - recorded + noted.known
    return wire.RecordedSome(recorded=recorded + noted.recorded, known=known, refused=noted.refused)


def _translated(
    shop: Shop, sent: Sequence[Any], now: datetime
) -> tuple[list[tuple[int, Any]], list[tuple[int, Seen]], list[wire.Refused]]:
    """What was sent with its lines: the shop's own events as they are, and what messages of GA4 and Segment tell as
    such; lists that were seen and clicked; and what can't be understood."""
    own: list[tuple[int, Any]] = []
    seen: list[tuple[int, Seen]] = []
    refused: list[wire.Refused] = []
    rows: list[tuple[int, dict[str, Any]]] = []
    for line, one in enumerate(sent, 1):
        try:
            rows += [(line, row) for row in told(one)] if is_message(one) else [(line, {"own": one})]
        except SettingError as error:
            refused.append(wire.Refused(line=line, detail=str(error)))
    there = shop.items.present([one for _, row in rows for one in row.get("item_id", [])])
    for line, row in rows:
        ids, kind = row.pop("item_id", []), row.get("kind")
        known = next((one for one in ids if one in there), ids[0] if ids else None)
        if "own" in row:
            own.append((line, row["own"]))
        elif kind in ("seen", "clicked"):
            who = row.get("shopper_id") if row.get("shopper_id") != row.get("session") else None
            try:
                at = moment(row["at"]) if "at" in row else now
                seen.append((line, Seen(row["list_id"], known, at, who or row.get("session"))))
            except SettingError as error:
                refused.append(wire.Refused(line=line, detail=str(error)))
        elif known is None:  # a refund of a whole order
            lines = shop.purchases.lines(row["order_id"])
            own += [(line, {**row, **one}) for one in lines]
            if not lines:
                refused.append(wire.Refused(line=line, detail=f"there is no order {row['order_id']!r} to take back"))
        else:
            row.pop("list_id", None)
            own.append((line, {**row, "item_id": known}))
    return own, seen, refused


# What came of it


@reads.get("/v1/storefront", tags=["storefront"], summary="What came of the lists")
def get_storefront(shop: TheShop, query: Annotated[wire.Since, Query()]) -> wire.Storefront:
    """Shown, clicked, in the cart, bought: by placement, scenario and variant of an A/B test, over people, with 95%
    intervals; what was taken back is not bought."""
    rows = shop.storefront.funnel(query.since, query.until, days=query.days)
    return wire.Storefront.model_validate({"days": query.days, "lists": rows}, from_attributes=True)


@reads.get("/v1/ab", tags=["storefront"], summary="List A/B tests")
def list_tests(shop: TheShop) -> wire.Tests:
    """All A/B tests, the latest first."""
    return wire.Tests.model_validate({"tests": shop.ab.all()}, from_attributes=True)


@reads.get("/v1/ab/{name}", tags=["storefront"], summary="How an A/B test stands", responses=_refusals(404))
def get_test(shop: TheShop, name: TestName) -> wire.Standing:
    """How a test stands, in numbers and words. Ask as often as you like: it makes no more false alarms."""
    return _standing(shop.ab.report(name))


@writes.post("/v1/ab", tags=["storefront"], summary="Start an A/B test", status_code=201, responses=_refusals(404))
def start_test(shop: TheShop, given: wire.TestIn) -> wire.Test:
    """Start a test of two scenarios on a placement, whose shoppers are split by a hash; it says how many it needs."""
    return wire.Test.model_validate(shop.ab.start(**dict(given)), from_attributes=True)


@writes.post("/v1/ab/{name}/stop", tags=["storefront"], summary="Stop an A/B test", responses=_refusals(404))
def stop_test(shop: TheShop, name: TestName) -> wire.Standing:
    """Stop a test: everybody sees what she asks for again. The answer says how it stands."""
    return _standing(shop.ab.stop(name))


def _standing(one: Standing) -> wire.Standing:
    found = one.verdict
    told = {"test": one.experiment, "state": found.state, "verdict": found.words, "warnings": found.warnings}
    return wire.Standing.model_validate(vars(one) | told | {"difference": found.difference}, from_attributes=True)
