"""Modiste: explained fashion recommendations from garment photos, purchases and each shopper's taste for trends.

>>> from modiste import Shop
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modiste.ask import Ask as Ask
    from modiste.catalog.events import Event as Event
    from modiste.catalog.items import Item as Item
    from modiste.client import Client as Client
    from modiste.evaluation import evaluate as evaluate
    from modiste.ranking.relevance import Weights as Weights
    from modiste.shop.recommendations import Recommendation as Recommendation
    from modiste.shop.shop import Shop as Shop

__version__ = "0.1.0"
__all__ = ["Ask", "Client", "Event", "Item", "Recommendation", "Shop", "Weights", "__version__", "evaluate"]

_HOMES = {
    "Ask": "modiste.ask",
    "Client": "modiste.client",
    "Item": "modiste.catalog.items",
    "Event": "modiste.catalog.events",
    "Recommendation": "modiste.shop.recommendations",
    "Shop": "modiste.shop.shop",
    "Weights": "modiste.ranking.relevance",
    "evaluate": "modiste.evaluation",
}


def __getattr__(name: str) -> Any:
    """Import on first use, so that ``modiste --help`` answers at once."""
    if name not in _HOMES:
        raise AttributeError(f"module 'modiste' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
