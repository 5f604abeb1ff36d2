"""What every request passes: its id, the limits, who may write, the log line, the histogram, and the safe headers."""

import asyncio
import hmac
import re
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from time import perf_counter
from typing import Any, TypeVar
from uuid import uuid4

from anyio import CapacityLimiter, to_thread
from fastapi import HTTPException, Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from modiste.server.logs import REQUESTS
from modiste.server.metrics import Meters
from modiste.server.settings import Settings, is_local, name_of
from modiste.shop.shop import Shop

MAX_JSON = 1_000_000
"""Bytes of a body that is no upload."""

FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")

READY_S = 3.0
"""A database that hasn't answered in so many seconds makes the service not ready."""

ALWAYS_ANSWERED = ("/health", "/metrics")
"""What is answered however many requests are in flight: who watches the service must see it when it is busiest."""

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'"
    ),
}
"""Sent with every answer: pages may load this service's own files only."""

_SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

T = TypeVar("T")


class BusyError(Exception):
    """More work than the service takes at once; told as 429 with Retry-After."""


class Turnstile:
    """Heavy work off the event loop: ``at_once`` pieces in threads of their own, ``queue`` more wait."""

    def __init__(self, at_once: int, queue: int) -> None:
        self._limiter = CapacityLimiter(at_once)
        self._places = at_once + queue
        self._taken = 0

    async def run(self, work: Callable[[], T]) -> T:
        """What ``work`` returns. Raises BusyError at once where every place is taken."""
        if self._taken >= self._places:
            raise BusyError
        self._taken += 1
        try:
            return await to_thread.run_sync(work, limiter=self._limiter)
        finally:
            self._taken -= 1


class Pulse:
    """Whether the shop's database answers, asked by one thread at a time however many want to know."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._limiter = CapacityLimiter(1)
        self._asking: asyncio.Task[bool] | None = None

    async def beats(self) -> bool:
        """True if the database answered within READY_S; false otherwise, and while it hangs."""
        asking = self._asking
        if asking is None or asking.done():
            asking = self._asking = asyncio.create_task(to_thread.run_sync(self._ask, limiter=self._limiter))
        done, _ = await asyncio.wait({asking}, timeout=READY_S)
        return bool(done) and asking.result()

    def _ask(self) -> bool:
        try:
            self._shop.spaces()
        except Exception:
            return False
        return True


def the_shop(request: Request) -> Shop:
    """The shop that the service serves."""
    shop: Shop = request.app.state.shop
    return shop


def the_turnstile(request: Request) -> Turnstile:
    """The turnstile before the networks."""
    turnstile: Turnstile = request.app.state.turnstile
    return turnstile


def the_settings(request: Request) -> Settings:
    """What the service may do."""
    settings: Settings = request.app.state.settings
    return settings


class Gate:
    """The outermost layer of the service. Its own refusals carry the headers of CORS too; HEAD is GET with no body."""

    def __init__(self, app: ASGIApp, settings: Settings, meters: Meters) -> None:
        self.app = app
        self.settings = settings
        self.meters = meters
        self.in_flight = 0
        self._inside: ASGIApp = self._guarded
        if settings.origins:
            self._inside = CORSMiddleware(
                self._guarded,
                allow_origins=settings.origins,
                allow_methods=["GET", "HEAD", "PUT", "POST", "DELETE"],
                allow_headers=["Authorization", "Content-Type", "X-Request-ID"],
                expose_headers=["X-Request-ID", "Retry-After"],
            )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; whatever goes wrong, the answer is JSON and the reason is in the log."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        request_id = given if _SANE_ID.fullmatch(given) else uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        method, started, status = scope["method"], perf_counter(), 0
        asked: Scope = {**scope, "method": "GET"} if method == "HEAD" else scope

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                out = MutableHeaders(scope=message)
                out["X-Request-ID"] = request_id
                for name, value in HEADERS.items():
                    out.setdefault(name, value)
            elif method == "HEAD":
                message["body"] = b""
            await send(message)

        self.in_flight += 1
        try:
            await self._inside(asked, self._limited(headers, receive), answer)
        finally:
            self.in_flight -= 1
            chosen = asked.get("route")
            route: str = getattr(chosen, "path_format", getattr(chosen, "path", "none"))
            self._tell(method, route, request_id, status, perf_counter() - started)

    async def _guarded(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def answer(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await (self._refused(scope, Headers(scope=scope)) or self.app)(scope, receive, answer)
        except Exception:
            request_id = scope["state"]["request_id"]
            REQUESTS.exception("unforeseen error", extra={"told": {"request_id": request_id}})
            if not begun:
                told = "something went wrong here; the log has the reason under this request id"
                await problem(500, told, request_id=request_id)(scope, receive, send)

    def _tell(self, method: str, route: str, request_id: str, status: int, seconds: float) -> None:
        self.meters.observe(method, route, status, seconds)
        told = {
            "request_id": request_id, "method": method, "route": route, "status": status,
            "ms": round(1000 * seconds, 1),
        }  # fmt: skip
        REQUESTS.info("request", extra={"told": told})

    def _refused(self, scope: Scope, headers: Headers) -> Response | None:
        if self.in_flight > self.settings.in_flight and scope["path"] not in ALWAYS_ANSWERED:
            return busy()
        host = name_of(headers.get("host", ""))
        if not is_local(host):
            # A page elsewhere may have its own name resolve to this machine and then read whatever it likes.
            if self.settings.token is None:
                return problem(
                    403, "without MODISTE_TOKEN the service answers to localhost only; set one to use another name"
                )
            if self.settings.hosts and host not in self.settings.hosts:
                return problem(403, "the service doesn't answer to this name; add it to MODISTE_HOSTS")
        length = headers.get("content-length", "")
        if length.isdigit() and int(length) > self._limit(headers):
            return problem(413, self._too_large(headers), {"Connection": "close"})
        return None

    def _limit(self, headers: Headers) -> int:
        is_upload = headers.get("content-type", "").lower().startswith("multipart/")
        return self.settings.max_upload if is_upload else min(MAX_JSON, self.settings.max_upload)

    def _too_large(self, headers: Headers) -> str:
        return f"the request has more than {self._limit(headers) / 1e6:g} MB; send a smaller photo or fewer purchases"

    def _limited(self, headers: Headers, receive: Receive) -> Receive:
        """``receive``, counting: a body may be longer than it said, or not have said."""
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._limit(headers):
                raise HTTPException(413, self._too_large(headers), {"Connection": "close"})
            return message

        return counted


async def check_form(request: Request) -> None:
    """Raise 415 for a body that is no form, and 422 for a field that the route's form doesn't have."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in FORMS:
        async for chunk in request.stream():
            if chunk or kind:
                named = kind[:80] or "of no kind"
                raise HTTPException(415, f"the body is {named}; send a form: multipart/form-data (curl -F name=value)")
        return
    has = [field.alias for field in request.scope["route"].dependant.body_params]
    if unknown := sorted(set(await request.form()) - set(has)):
        named = ", ".join(repr(name[:80]) for name in unknown[:5])
        raise HTTPException(422, f"the form has no field {named}; its fields are {', '.join(has)}")


class WriteRoute(APIRoute):
    """A route that changes the shop: whoever may not is told so before the body is read."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The route's handler behind the check."""
        handler: Callable[[Request], Awaitable[Response]] = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            check_writer(request)
            return await handler(request)

        return guarded


def check_writer(request: Request) -> None:
    """Raise 401 for a missing or wrong token; without a token configured, 403 for anyone but this machine itself."""
    token: str | None = request.app.state.settings.token
    headers = request.headers
    if token is not None:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode("latin-1"), token.encode()):
            raise HTTPException(
                401,
                "writes need the service's token: Authorization: Bearer $MODISTE_TOKEN",
                {"WWW-Authenticate": "Bearer"},
            )
        return
    here = request.client is not None and is_local(request.client.host)
    forwarded = "forwarded" in headers or "x-forwarded-for" in headers
    origin = headers.get("origin")
    foreign = origin is not None and origin.partition("://")[2] != headers.get("host")
    crossed = headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none")
    if not here or forwarded or foreign or crossed:
        raise HTTPException(403, "without MODISTE_TOKEN only programs on this machine may write; set one, and send it")


def problem(
    status: int, detail: str, headers: Mapping[str, str] | None = None, request_id: str | None = None
) -> JSONResponse:
    """An error as all of them look; text that is no Unicode, as a request may hold it, is escaped."""
    content = {"detail": detail.encode("utf-8", "backslashreplace").decode()}
    return JSONResponse(content | ({"request_id": request_id} if request_id else {}), status, headers)


def busy() -> JSONResponse:
    """Overload, told."""
    return problem(429, "the service is busy; try again in a second", {"Retry-After": "1"})
