"""The merchandiser's pages, one file a page, named as its template; with htmx where a part changes.

Every page works without JavaScript: forms have a button, and what htmx loads has an address of its own.
"""

from modiste.server.pages import (
    audit,
    docs,
    editing,
    experiments,
    item,
    items,
    login,
    overview,
    scenarios,
    search,
    sheets,
    shopper,
    shoppers,
    storefront,
    stores,
)
from modiste.server.pages.rendering import STATIC

_PAGES = (
    overview,
    sheets,
    editing,
    stores,
    shoppers,
    shopper,
    items,
    item,
    scenarios,
    search,
    experiments,
    storefront,
    docs,
    login,
    audit,
)

ROUTERS = (*(page.router for page in _PAGES), scenarios.writes, storefront.writes)
"""The pages' routes."""

__all__ = ["ROUTERS", "STATIC"]
