"""Who may write."""

import hmac
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from fastapi import HTTPException, Request, Response
from fastapi.routing import APIRoute

from modiste.server.settings import is_local


class WriteRoute(APIRoute):
    """A route that changes the shop: whoever may not is refused before the body is read."""

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
