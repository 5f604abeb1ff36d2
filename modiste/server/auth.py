"""Who may do what. Every route asks for a leave, and is closed to whoever has less; without a word of its own it asks
for a viewer's, and a :class:`WriteRoute` for a merchandiser's.

    @router.delete("/v1/shoppers/{shopper_id}", dependencies=[Depends(Leave("admin"))])

:class:`~modiste.server.guard.Guard` decides, before a body is read.
"""

from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from fastapi import Depends, Request
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


class WriteRoute(APIRoute):
    """A route that changes the shop."""


class Leave:
    """What a route asks of its caller, as one of its ``dependencies`` or of its router's; the last one counts."""

    def __init__(self, role: Role) -> None:
        self.role = role

    async def __call__(self) -> None:
        """Nothing: Guard has asked already."""


def leave_of(route: BaseRoute | None) -> Role:
    """What a route asks for; None: an address that has no route."""
    if isinstance(route, Mount):
        return "anyone"  # the pages' own files
    said = [one.dependency.role for one in getattr(route, "dependencies", ()) if isinstance(one.dependency, Leave)]
    return said[-1] if said else "merchandiser" if isinstance(route, WriteRoute) else "viewer"


async def get_caller(request: Request) -> Caller:
    """Who asks, on a route that needs leave."""
    caller: Caller = request.state.caller
    return caller


TheCaller = Annotated[Caller, Depends(get_caller)]
