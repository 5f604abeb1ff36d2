"""Where things are: the addresses of items, their pictures and the pages, written once."""

from urllib.parse import quote

HEIGHT = 330
"""The height of the pages' pictures, twice what they take up on an ordinary screen."""


def item(item_id: str, part: str = "") -> str:
    """The address of an item under /v1, or of a ``part`` of it: photo, thumbnail, mask, similar."""
    return f"/v1/items/{_name(item_id)}" + (f"/{part}" if part else "")


def photo(item_id: str) -> str:
    """The address of an item's photo."""
    return item(item_id, "photo")


def thumbnail(item_id: str, height: int = HEIGHT) -> str:
    """The address of an item's small picture."""
    return f"{item(item_id, 'thumbnail')}?height={height}"


def recommendations(shopper_id: str) -> str:
    """The address of a shopper's recommendations."""
    return f"/v1/shoppers/{_name(shopper_id)}/recommendations"


def item_page(item_id: str) -> str:
    """The address of an item's page."""
    return f"/items/{_name(item_id)}"


def shopper_page(shopper_id: str) -> str:
    """The address of a shopper's page."""
    return f"/shoppers/{_name(shopper_id)}"


def _name(one: str) -> str:
    """An id as one part of a path; dots alone are written so that fewer programs take them for folders."""
    name = quote(one, safe="")
    return name if name.strip(".") else name.replace(".", "%2E")
