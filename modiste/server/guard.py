"""Who asks, by a key, by having logged in or by sitting here, and whether she has the leave that the route asks for."""

import asyncio
import hmac
import math
import re
from time import monotonic
from urllib.parse import urlencode

from fastapi import HTTPException, Request
from starlette.concurrency import run_in_threadpool
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import RedirectResponse, Response
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from modiste.errors import StorageError
from modiste.server.addresses import here
from modiste.server.auth import COOKIE, Caller, Role, is_catalogue, leave_of
from modiste.server.dependencies import get_shop
from modiste.server.middleware import AS_OF, Layer
from modiste.server.origins import is_here, is_own, network_of, page_origin
from modiste.server.rates import Rates
from modiste.shop.keys import Key, digest
from modiste.shop.shop import Shop

SAFE = ("GET", "HEAD", "OPTIONS")
"""Methods that change nothing."""

OWNER = Caller("this machine", "admin")
"""Whoever sits at the machine, as long as nobody was given an account or a key."""

NEIGHBOUR = Caller("somebody on this machine", "viewer")
"""Whoever sits at the machine, once there is an account or a key: she may read the catalogue, and nothing else."""

TOKEN = Caller("MODISTE_TOKEN", "admin")

FRESH_S = 2.0
"""For so long a worker believes what it knows of keys: a withdrawn one is refused after it."""

NEW_S = 0.1
"""Where a key isn't known, what there is is read again, so long after the last time: a new one is taken at once."""

MOST_SHOWN = 50
"""The longest list that a publishable key may ask for."""


class Register:
    """Keys, and whether there are accounts, as the database said within FRESH_S; while it is away, as it said last."""

    def __init__(self, token: str | None) -> None:
        self._token = token
        self._shop: Shop | None = None
        self._keys: dict[str, Key] = {}
        self._users = 0
        self._read_at, self._reading = -math.inf, asyncio.Lock()
        self.origins: frozenset[str] = frozenset()

    def open(self, shop: Shop) -> None:
        """From now on, tell of this shop's."""
        self._shop = shop

    async def refresh(self) -> None:
        """Read what there is, unless that was done FRESH_S seconds ago. Raises StorageError if the database never told
        anything."""
        if monotonic() - self._read_at < FRESH_S:
            return
        async with self._reading:
            if monotonic() - self._read_at >= FRESH_S:
                await self._read()

    async def renew(self) -> None:
        """Read what there is now, once for all who ask meanwhile, and NEW_S after the last time."""
        asked = monotonic()
        async with self._reading:
            if self._read_at < asked:
                await asyncio.sleep(self._read_at + NEW_S - monotonic())
                await self._read()

    async def _read(self) -> None:
        if self._shop is None:
            return
        began = monotonic()
        try:
            self._keys = await run_in_threadpool(self._shop.keys.by_digest)
            self._users = await run_in_threadpool(len, self._shop.users)
        except StorageError:
            if self._read_at == -math.inf:
                raise
        self.origins = frozenset(one for key in self._keys.values() for one in key.origins)
        self._read_at = began

    @property
    def is_empty(self) -> bool:
        """Whether nobody was given anything yet."""
        return self._token is None and not self._keys and not self._users

    def key(self, secret: str) -> tuple[Caller, Key | None] | None:
        """Whose key it is, with what is known of it (not of MODISTE_TOKEN); None: nobody's."""
        if self._token is not None and hmac.compare_digest(secret.encode("utf-8", "replace"), self._token.encode()):
            return TOKEN, None
        key = self._keys.get(digest(secret))
        return None if key is None else (Caller(f"key {key.name}", key.role), key)


class Cors(CORSMiddleware):
    """Browsers are told that pages of the publishable keys' origins may read answers, and no others."""

    def __init__(self, app: ASGIApp, register: Register) -> None:
        super().__init__(
            app,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "X-Request-ID"],
            expose_headers=["X-List-ID", "X-Request-ID", "Retry-After", AS_OF],
        )
        self._register = register

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or the question whether it may be made."""
        if scope["type"] == "http":
            await self._register.refresh()
        await (super().__call__ if self._register.origins else self.app)(scope, receive, send)

    def is_allowed_origin(self, origin: str) -> bool:
        """Whether some publishable key is for that origin's pages."""
        return origin in self._register.origins


class Guard(Layer):
    """Nobody comes further without leave."""

    def __init__(self, app: ASGIApp, register: Register, rates: Rates) -> None:
        super().__init__(app)
        self._register, self._rates = register, rates

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        route, named = None, {}
        for one in scope["app"].routes:
            match, found = one.matches(scope)
            if match is Match.FULL:
                scope["route"], route, named = one, one, found.get("path_params", {})
                break
        leave = leave_of(route)
        request.state.caller = None
        try:
            if leave != "anyone":
                await self._register.refresh()
                request.state.caller = await self._admitted(request, leave, is_catalogue(route))
            elif request.method not in SAFE and not scope["path"].startswith("/v1/"):  # pages elsewhere report there
                _check_own(request)
        except HTTPException as error:
            if error.status_code != 401 or scope["path"].startswith("/v1/"):
                raise
            answer = _to_login(request)
            if answer is None:
                raise
            await answer(scope, receive, send)
            return
        if leave in ("merchandiser", "admin") and request.method not in SAFE:
            about = ", ".join(str(value) for name, value in named.items() if name != "shopper_id")
            send = _noted(request, send, getattr(route, "summary", None) or str(getattr(route, "name", "")), about)
        await self.app(scope, receive, send)

    async def _admitted(self, request: Request, leave: Role, catalogue: bool) -> Caller:
        """Who asks, if she has the leave. Raises 401 where nobody says who she is, 403 where she may not."""
        caller = await self._by_key(request, leave) or await self._by_session(request)
        if caller is None and self._register.is_empty:
            if not is_here(request):
                raise HTTPException(
                    403, "nobody has an account or a key yet, so only this machine itself is let in; make one there"
                )
            caller = OWNER
        if caller is None and catalogue and is_here(request):
            caller = NEIGHBOUR
        if caller is None:
            raise _unknown("this needs a key: Authorization: Bearer $MODISTE_TOKEN; or log in")
        if caller.person or caller in (OWNER, NEIGHBOUR):
            _check_own(request)
        if not caller.may(leave):
            raise HTTPException(403, f"this needs the leave of: {leave}; {caller.name} has that of: {caller.role}")
        return caller

    async def _by_session(self, request: Request) -> Caller | None:
        """Who is logged in; while the database is away, whoever looks at something is believed for a while."""
        session = request.cookies.get(COOKIE)
        if not session:
            return None
        users = (await get_shop(request)).users
        try:
            user = await run_in_threadpool(users.whose, session)
        except StorageError as error:
            believed = error.kind == "away" and request.method in SAFE
            user = users.known(session) if believed else None
            if user is None:
                raise
        return None if user is None else Caller(user.name, user.role, person=True)

    async def _by_key(self, request: Request, leave: Role) -> Caller | None:
        """Whose key is sent; None: there is none. A publishable one may stand in the address too, as ``key``."""
        scheme, _, secret = request.headers.get("authorization", "").partition(" ")
        in_address = request.query_params.get("key") if leave == "publishable" else None
        if scheme.lower() != "bearer":
            if in_address is None:
                return None
            secret = in_address
            parts = request.scope["query_string"].split(b"&")
            request.scope["query_string"] = b"&".join(one for one in parts if one.partition(b"=")[0] != b"key")
        found = self._register.key(secret.strip())
        if found is None:  # it may have been made just now
            await self._register.renew()
            found = self._register.key(secret.strip())
        if found is None:
            raise _unknown("there is no such key; it may have been withdrawn")
        caller, key = found
        if scheme.lower() != "bearer" and caller.role != "publishable":
            raise _unknown("only a publishable key may stand in an address; send this one as Authorization: Bearer")
        if key is not None:
            self._heed(request, key)
        return caller

    def _heed(self, request: Request, key: Key) -> None:
        """Raise 429 for too many requests, and 403 for what a publishable key doesn't do."""
        public = key.role == "publishable"
        who = (key.name, network_of(request)) if public else key.name
        picture = public and request.url.path.endswith(("/thumbnail", "/photo"))  # a list has one for each item
        wait = 0.0 if picture else self._rates.take(who, key.per_minute)
        if wait:
            detail = f"the key {key.name!r} makes {key.per_minute} requests a minute; try again later"
            raise HTTPException(429, detail, {"Retry-After": str(math.ceil(wait))})
        if public:
            origin, unread = page_origin(request), request.headers.get("sec-fetch-mode") == "no-cors"
            if origin not in key.origins and not (
                origin is None and unread
            ):  # a picture needn't say whose page it is on
                raise HTTPException(403, f"the key {key.name!r} is for pages of: {', '.join(key.origins)}")
            top = request.query_params.get("top")
            if top is not None and not (re.fullmatch("[0-9]{1,4}", top) and int(top) <= MOST_SHOWN):
                raise HTTPException(
                    403, f"with a publishable key a list has at most {MOST_SHOWN} items, such as top=12"
                )


def _noted(request: Request, send: Send, what: str, about: str) -> Send:
    """``send``, with a line in the audit trail before an answer that says that it was done."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] < 400:
            add = request.app.state.shop.audit.add
            await run_in_threadpool(add, request.state.caller.name, what.replace("_", " ").lower(), about)
        await send(message)

    return sending


def _check_own(request: Request) -> None:
    """Raise 403 for what a page of another origin has a browser send along with who is logged in here.

    A browser says where a form comes from, with or without JavaScript; one that says nothing sends no form of ours.
    """
    said = "origin" in request.headers or "sec-fetch-site" in request.headers
    silent = COOKIE in request.cookies and request.method not in SAFE and not said
    if silent or not is_own(request):
        raise HTTPException(403, "a page of another site sent this; only the service's own pages may")


def _to_login(request: Request) -> Response | None:
    """Where a person goes who must log in first; None: it is a program that asks."""
    if "HX-Request" in request.headers:
        return Response(status_code=401, headers={"HX-Redirect": here("/login")})
    if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
        query = request.url.query and f"?{request.url.query}"
        return RedirectResponse(f"{here('/login')}?{urlencode({'next': request.scope['path'] + query})}", 303)
    return None


def _unknown(detail: str) -> HTTPException:
    return HTTPException(401, detail, {"WWW-Authenticate": "Bearer"})
