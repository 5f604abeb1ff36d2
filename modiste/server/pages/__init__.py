"""The merchandiser's pages, one file a page, named as its template; with htmx where a part changes.

Every page works without JavaScript: forms have a button, and what htmx loads has an address of its own.
"""

from modiste.server.pages import (
    docs,
    editing,
    experiments,
    item,
    items,
    overview,
    search,
    sheets,
    shopper,
    shoppers,
    stores,
)
from modiste.server.pages.rendering import STATIC

_PAGES = (overview, sheets, editing, stores, shoppers, shopper, items, item, search, experiments, docs)

ROUTERS = tuple(page.router for page in _PAGES)
"""The pages' routes."""

__all__ = ["ROUTERS", "STATIC"]
