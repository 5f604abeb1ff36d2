"""Who may do what. Every route asks for a leave, and is closed to whoever has less; without a word of its own it asks
for a viewer's, and a :class:`WriteRoute` for a merchandiser's.

    @router.delete("/v1/shoppers/{shopper_id}", dependencies=[Depends(Leave("admin"))])

:class:`~modiste.server.guard.Guard` decides, before a body is read.
"""

import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

from fastapi import Depends, HTTPException, Request, Response
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute, Mount

Role = Literal["anyone", "publishable", "viewer", "merchandiser", "server", "admin"]
"""What one may be: each may do all that those before it may."""

ROLES: tuple[Role, ...] = get_args(Role)

COOKIE = "modiste-session"
"""The cookie that says who is logged in."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: ``name`` as the audit trail has it, what she may, and whether it is a person who has logged in."""

    name: str
    role: Role
    person: bool = False

    def may(self, role: Role) -> bool:
        """Whether she may do what asks for ``role``."""
        return ROLES.index(self.role) >= ROLES.index(role)


def json_of(body: bytes) -> Any:
    """What a body in JSON says. Raises ValueError for what is none, and 400 where a name comes twice in an object, of
    which one would be passed over, or for more depth than anything we take has."""
    try:
        return json.loads(body, object_pairs_hook=_each_once)
    except RecursionError:
        raise HTTPException(400, "the body is nested too deep; nothing that is taken here is") from None


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise HTTPException(400, f"the body says {twice[:80]!r} {names.count(twice)} times in one object; say it once")
    return found


class _JsonRequest(Request):
    async def json(self) -> Any:
        return json_of(await self.body())


class JsonRoute(APIRoute):
    """A route whose body, if it is JSON, is read by :func:`json_of`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """As FastAPI's."""
        handle = super().get_route_handler()

        async def handled(request: Request) -> Response:
            return await handle(_JsonRequest(request.scope, request.receive))

        return handled


class WriteRoute(JsonRoute):
    """A route that changes the shop."""


class Leave:
    """What a route asks of its caller, as one of its ``dependencies`` or of its router's; the last one counts.

    ``here``: or that she is on this machine, by one of its own names and through no proxy; for what tells of the
    catalogue alone, which the shop's own pages tell everybody.
    """

    def __init__(self, role: Role, *, here: bool = False) -> None:
        self.role, self.here = role, here

    async def __call__(self) -> None:
        """Nothing: Guard has asked already."""


def leave_of(route: BaseRoute | None) -> Role:
    """What a route asks for; None: an address that has no route."""
    if isinstance(route, Mount):
        return "anyone"  # the pages' own files
    said = _said(route)
    return said[-1].role if said else "merchandiser" if isinstance(route, WriteRoute) else "viewer"


def is_catalogue(route: BaseRoute | None) -> bool:
    """Whether a route is open to whoever is on this machine, without a key."""
    said = _said(route)
    return bool(said) and said[-1].here


def _said(route: BaseRoute | None) -> list[Leave]:
    return [one.dependency for one in getattr(route, "dependencies", ()) if isinstance(one.dependency, Leave)]


async def get_caller(request: Request) -> Caller:
    """Who asks, on a route that needs leave."""
    caller: Caller = request.state.caller
    return caller


TheCaller = Annotated[Caller, Depends(get_caller)]
