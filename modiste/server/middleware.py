"""What every request passes on its way in and every answer on its way out: layers with one duty each."""

import re
from collections.abc import Callable, Sequence
from time import perf_counter
from uuid import uuid4

from fastapi import HTTPException
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from modiste.server.addresses import PREFIX
from modiste.server.errors import busy, problem
from modiste.server.logs import REQUESTS
from modiste.server.metrics import Meters
from modiste.server.settings import PREFIXES, Settings, is_local, name_of

MAX_JSON = 1_000_000
"""Bytes of a body that is no upload."""

ALWAYS_ANSWERED = ("/health", "/metrics")
"""What is answered however many requests are in flight: who watches the service must see it when it is busiest."""

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'"
    ),
}
"""Sent with every answer that has none of its own: pages may load this service's own files only, nobody may show them
in a frame, and no cache keeps what is private."""

SAFE_ONLY = "max-age=31536000"
"""For a year a browser that came by https asks by nothing else (Strict-Transport-Security)."""

_BOUNDARY = re.compile(r"""boundary=(?:"([^"]+)"|([^\s;"]+))""", re.IGNORECASE)
_SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def middlewares(settings: Settings, meters: Meters, cors: Middleware) -> list[Middleware]:
    """The layers around the service, the outermost first; ``cors`` too stands around all that refuses."""
    return [
        Middleware(RequestIds),
        Middleware(Prefixes, root_path=settings.root_path),
        Middleware(AccessLog, meters=meters),
        Middleware(SecurityHeaders),
        Middleware(Heads),
        cors,
        Middleware(UnforeseenErrors),
        Middleware(InFlightLimit, most=settings.in_flight),
        Middleware(TrustedHosts, hosts=settings.hosts),
        Middleware(BodyLimit, max_upload=settings.max_upload),
    ]


class Layer:
    """One layer, which handles requests; the application's start and end pass."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        await (self._handle if scope["type"] == "http" else self.app)(scope, receive, send)

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        raise NotImplementedError


def _at_start(send: Send, note: Callable[[Message], None]) -> Send:
    """``send``, with ``note`` called on the message that starts the answer before it goes."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            note(message)
        await send(message)

    return sending


class RequestIds(Layer):
    """Every request has an id, its own if that is a sane one; its answer names it."""

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if _SANE_ID.fullmatch(given) else uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id

        def name(start: Message) -> None:
            MutableHeaders(scope=start)["X-Request-ID"] = request_id

        await self.app(scope, receive, _at_start(send, name))


class Prefixes(Layer):
    """The service may be shown under a path: addresses in answers begin with it, and a request may or may not."""

    def __init__(self, app: ASGIApp, root_path: str) -> None:
        super().__init__(app)
        self._root_path = root_path

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        said = Headers(scope=scope).get("x-forwarded-prefix", "").rstrip("/") if scope["state"]["trusted"] else ""
        prefix = said if PREFIXES.fullmatch(said) else self._root_path
        if prefix and scope["path"].startswith(prefix + "/"):
            raw = scope.get("raw_path") or b""
            scope = {**scope, "path": scope["path"][len(prefix) :], "raw_path": raw.removeprefix(prefix.encode())}
        PREFIX.set(prefix)
        await self.app(scope, receive, send)


class AccessLog(Layer):
    """Every request is a line of the log, and counts in the histogram under its route; status 0: it had no answer."""

    def __init__(self, app: ASGIApp, meters: Meters) -> None:
        super().__init__(app)
        self._meters = meters

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        started, start = perf_counter(), {"status": 0}
        try:
            await self.app(scope, receive, _at_start(send, start.update))
        finally:
            seconds, route = perf_counter() - started, scope.get("route")
            name: str = getattr(route, "path_format", getattr(route, "path", "none"))
            self._meters.observe(scope["method"], name, start["status"], seconds)
            fields = {
                "request_id": scope["state"]["request_id"], "method": scope["method"], "route": name,
                "status": start["status"], "ms": round(1000 * seconds, 1),
            }  # fmt: skip
            REQUESTS.info("request", extra={"fields": fields})


class SecurityHeaders(Layer):
    """Every answer has HEADERS, unless the route chose its own."""

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        def add(start: Message) -> None:
            for name, value in HEADERS.items():
                MutableHeaders(scope=start).setdefault(name, value)
            if scope["scheme"] == "https":
                MutableHeaders(scope=start).setdefault("Strict-Transport-Security", SAFE_ONLY)

        await self.app(scope, receive, _at_start(send, add))


class Heads(Layer):
    """HEAD is answered wherever there is a GET, as GET is but without a body."""

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return
        as_get = {**scope, "method": "GET"}

        async def sending(message: Message) -> None:
            await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

        try:
            await self.app(as_get, receive, sending)
        finally:
            scope["route"] = as_get.get("route")  # for the log


class UnforeseenErrors(Layer):
    """Whatever goes wrong, the answer is JSON that gives nothing away, and the reason is in the log."""

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        starts: list[Message] = []
        try:
            await self.app(scope, receive, _at_start(send, starts.append))
        except Exception:
            request_id = scope["state"]["request_id"]
            REQUESTS.exception("unforeseen error", extra={"fields": {"request_id": request_id}})
            if not starts:
                detail = "something went wrong here; the log has the reason under this request id"
                await problem(500, detail, request_id=request_id)(scope, receive, send)


class InFlightLimit(Layer):
    """At most ``most`` requests are in hand at a time; others are refused, but for ALWAYS_ANSWERED."""

    def __init__(self, app: ASGIApp, most: int) -> None:
        super().__init__(app)
        self._room = most

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] in ALWAYS_ANSWERED:
            await self.app(scope, receive, send)
        elif not self._room:
            await busy()(scope, receive, send)
        else:
            self._room -= 1
            try:
                await self.app(scope, receive, send)
            finally:
                self._room += 1


class TrustedHosts(Layer):
    """The service answers to its own names: a page elsewhere may have its name resolve to this machine, and read."""

    def __init__(self, app: ASGIApp, hosts: Sequence[str]) -> None:
        super().__init__(app)
        self._hosts = hosts

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        host, app = name_of(Headers(scope=scope).get("host", "")), self.app
        if host not in self._hosts and not is_local(host) and scope["path"] != "/health":
            app = problem(421, "the service doesn't answer to this name; add it to MODISTE_HOSTS")
        await app(scope, receive, send)


class BodyLimit(Layer):
    """A body has at most ``max_upload`` bytes, and MAX_JSON where it is no upload, whatever length it said; a form
    that may hold files comes to its end."""

    def __init__(self, app: ASGIApp, max_upload: int) -> None:
        super().__init__(app)
        self._max_upload = max_upload

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers, read, tail = Headers(scope=scope), 0, b""
        kind = headers.get("content-type", "")
        is_upload = kind.lower().startswith("multipart/")
        named = _BOUNDARY.search(kind)
        end = f"--{named[1] or named[2]}--".encode("latin-1") if is_upload and named else b""
        most = self._max_upload if is_upload else min(MAX_JSON, self._max_upload)
        detail = f"the request has more than {most / 1e6:g} MB; send a smaller photo or fewer purchases"
        length, closing = headers.get("content-length", ""), {"Connection": "close"}
        if length.isdigit() and int(length) > most:
            await problem(413, detail, closing)(scope, receive, send)
            return

        async def counted() -> Message:
            nonlocal read, tail
            message = await receive()
            body = message.get("body", b"")
            read += len(body)
            if read > most:
                raise HTTPException(413, detail, closing)
            if end:
                tail = (tail + body)[-len(end) - 4 :]
                if not message.get("more_body", False) and not tail.rstrip().endswith(end):
                    raise HTTPException(400, "the form is cut short: its last boundary is missing; send it whole")
            return message

        await self.app(scope, counted, send)
