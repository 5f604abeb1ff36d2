"""What several commands need: arguments of one name, the shop, and who is at the keyboard."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from modiste.shop.shop import Shop

ShopPath = Annotated[Path, typer.Argument(metavar="SHOP", help="The shop's folder.", show_default=False)]
Strict = Annotated[bool, typer.Option("--strict", help="Exit with 1 if any row or file was not taken.")]


def open_shop(path: Path) -> "Shop":
    """The shop in a folder, to be closed by ``with``."""
    from modiste.shop.shop import Shop

    return Shop.open(path)


def note(shop: "Shop", what: str, about: str = "") -> None:
    """A line in the audit trail: whoever is logged in to this machine did it."""
    shop.audit.add(f"{login() or 'somebody'} by command", what, about)


def login() -> str:
    """Who is logged in to this machine; empty for an account without a name, as containers have."""
    from getpass import getuser

    try:
        return getuser()
    except (OSError, KeyError, ImportError):
        return ""
