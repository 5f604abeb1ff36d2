"""What every request passes: its id, the limits, who may write, the log line, the histogram, and the safe headers."""

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
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from modiste.server.logs import REQUESTS
from modiste.server.metrics import Meters
from modiste.server.settings import Settings, is_local

MAX_JSON = 1_000_000
"""Bytes of a body that is no upload."""

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


class Gate:
    """The outermost layer of the service."""

    def __init__(self, app: ASGIApp, settings: Settings, meters: Meters) -> None:
        self.app = app
        self.settings = settings
        self.meters = meters
        self.in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; whatever goes wrong, the answer is JSON and the reason is in the log."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        request_id = given if _SANE_ID.fullmatch(given) else uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        started, status = perf_counter(), 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                out = MutableHeaders(scope=message)
                out["X-Request-ID"] = request_id
                for name, value in HEADERS.items():
                    out.setdefault(name, value)
            await send(message)

        self.in_flight += 1
        try:
            refused = self._refused(scope, headers)
            await (refused or self.app)(scope, self._limited(headers, receive), answer)
        except Exception:
            REQUESTS.exception("unforeseen error", extra={"told": {"request_id": request_id}})
            if not status:
                told = "something went wrong here; the log has the reason under this request id"
                await problem(500, told, request_id=request_id)(scope, receive, answer)
        finally:
            self.in_flight -= 1
            self._tell(scope, request_id, status, perf_counter() - started)

    def _tell(self, scope: Scope, request_id: str, status: int, seconds: float) -> None:
        chosen = scope.get("route")
        route: str = getattr(chosen, "path_format", getattr(chosen, "path", "none"))
        self.meters.observe(scope["method"], route, status, seconds)
        told = {
            "request_id": request_id, "method": scope["method"], "route": route, "status": status,
            "ms": round(1000 * seconds, 1),
        }  # fmt: skip
        REQUESTS.info("request", extra={"told": told})

    def _refused(self, scope: Scope, headers: Headers) -> Response | None:
        if self.in_flight > self.settings.in_flight and scope["path"] not in ALWAYS_ANSWERED:
            return busy()
        if self.settings.token is None and not is_local(_name(headers.get("host", ""))):
            # A page elsewhere may have its own name resolve to this machine and then read whatever it likes.
            return problem(
                403, "without MODISTE_TOKEN the service answers to localhost only; set one to use another name"
            )
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


def _name(host: str) -> str:
    """A Host header's name, without its port and an IPv6 address's brackets."""
    bracketed = re.fullmatch(r"\[([^\]]*)\](:\d+)?", host)
    return bracketed[1] if bracketed else host.partition(":")[0]
