"""Where things are: the addresses of items, their pictures and the pages, written once."""

from contextvars import ContextVar
from typing import Any

from modiste import wire
from modiste.wire import quoted

PREFIX: ContextVar[str] = ContextVar("prefix", default="")
"""Under which path a proxy shows the service, of the request that is answered; empty: at the root."""


def here(path: str) -> str:
    """The address of what the service has at ``path``, as a browser asks for it."""
    return PREFIX.get() + path


def address(noun: str, name: str, part: str = "") -> str:
    """As :func:`modiste.wire.address`, as a browser asks for it."""
    return here(wire.address(noun, name, part))


def pictures(item_id: str, has_photo: bool, *parts: str) -> dict[str, Any]:
    """The addresses of an item's photo, thumbnail and other ``parts`` by name, None without a photo."""
    names = ("photo", "thumbnail", *parts)
    return {name: address("items", item_id, name) if has_photo else None for name in names}


def thumbnail(item_id: str, height: int) -> str:
    """The address of an item's small picture."""
    return f"{address('items', item_id, 'thumbnail')}?height={height}"


def item_page(item_id: str) -> str:
    """The address of an item's page."""
    return here(f"/items/{quoted(item_id)}")


def shopper_page(shopper_id: str) -> str:
    """The address of a shopper's page."""
    return here(f"/shoppers/{quoted(shopper_id)}")
