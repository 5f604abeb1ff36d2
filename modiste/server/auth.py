"""Who may do what. Every route asks for a leave, and is closed to whoever has less; without a word of its own it asks
for a viewer's, and a :class:`WriteRoute` for a merchandiser's.

    @router.delete("/v1/shoppers/{shopper_id}", dependencies=[Depends(Leave("admin"))])

The decision is made before a body is read, by :class:`Guard`, around all that the application has.
"""

import hmac
from dataclasses import dataclass
from typing import Literal, get_args

from fastapi import HTTPException, Request
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute, Match, Mount
from starlette.types import Receive, Scope, Send

from modiste.server.middleware import Layer
from modiste.server.origins import is_here, is_own

Role = Literal["anyone", "publishable", "viewer", "merchandiser", "server", "admin"]
"""What one may be: each may do all that those before it may."""

ROLES: tuple[Role, ...] = get_args(Role)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: ``name`` as the audit trail has it, and what she may."""

    name: str
    role: Role

    def may(self, role: Role) -> bool:
        """Whether she may do what asks for ``role``."""
        return ROLES.index(self.role) >= ROLES.index(role)


OWNER = Caller("this machine", "admin")
"""Whoever sits at the machine, as long as nobody was given an account or a key."""

TOKEN = Caller("MODISTE_TOKEN", "admin")


class WriteRoute(APIRoute):
    """A route that changes the shop."""


class Leave:
    """What a route asks of its caller, as one of its ``dependencies`` or of its router's; the last one counts."""

    def __init__(self, role: Role) -> None:
        self.role = role

    def __call__(self) -> None:
        """Nothing: Guard has asked already."""


def leave_of(route: BaseRoute | None) -> Role:
    """What a route asks for; None: an address that has no route."""
    if isinstance(route, Mount):
        return "anyone"  # the pages' own files
    said = [one.dependency.role for one in getattr(route, "dependencies", ()) if isinstance(one.dependency, Leave)]
    return said[-1] if said else "merchandiser" if isinstance(route, WriteRoute) else "viewer"


class Guard(Layer):
    """Nobody comes further without leave."""

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        route = next((one for one in scope["app"].state.routes if one.matches(scope)[0] is Match.FULL), None)
        if route is not None:
            scope["route"] = route
        leave = leave_of(route)
        request.state.caller = None if leave == "anyone" else _admitted(request, leave)
        await self.app(scope, receive, send)


def _admitted(request: Request, leave: Role) -> Caller:
    """Who asks, if she has the leave. Raises 401 where nobody says who she is, 403 where she may not."""
    settings, headers = request.app.state.settings, request.headers
    scheme, _, given = headers.get("authorization", "").partition(" ")
    caller = None
    if settings.token is None:
        if not is_here(request) or not is_own(request):
            raise HTTPException(403, "without MODISTE_TOKEN only this machine itself is let in; set one, and send it")
        caller = OWNER
    elif scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode("latin-1"), settings.token.encode()):
        caller = TOKEN
    if caller is None:
        detail = "this needs the service's token: Authorization: Bearer $MODISTE_TOKEN"
        raise HTTPException(401, detail, {"WWW-Authenticate": "Bearer"})
    if not caller.may(leave):
        raise HTTPException(403, f"this needs the leave of: {leave}; {caller.name} has that of: {caller.role}")
    return caller
