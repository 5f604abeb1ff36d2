"""Where things are: the addresses of items, their pictures and the pages, written once."""

from typing import Any

from modiste.wire import address, quoted


def pictures(item_id: str, has_photo: bool, *parts: str) -> dict[str, Any]:
    """The addresses of an item's photo, thumbnail and other ``parts`` by name, None without a photo."""
    names = ("photo", "thumbnail", *parts)
    return {name: address("items", item_id, name) if has_photo else None for name in names}


def thumbnail(item_id: str, height: int) -> str:
    """The address of an item's small picture."""
    return f"{address('items', item_id, 'thumbnail')}?height={height}"


def item_page(item_id: str) -> str:
    """The address of an item's page."""
    return f"/items/{quoted(item_id)}"


def shopper_page(shopper_id: str) -> str:
    """The address of a shopper's page."""
    return f"/shoppers/{quoted(shopper_id)}"
