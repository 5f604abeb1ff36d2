"""The merchandiser's pages, one file a page, named as its template; with htmx where a part changes.

Every page works without JavaScript: forms have a button, and what htmx loads has an address of its own.
"""

from modiste.server.pages import (
    audit,
    docs,
    experiments,
    item,
    items,
    login,
    scenarios,
    search,
    shopper,
    shoppers,
    storefront,
)
from modiste.server.pages.rendering import STATIC

ROUTERS = (
    *(
        page.router
        for page in (shoppers, shopper, items, item, scenarios, search, experiments, storefront, docs, login, audit)
    ),
    scenarios.writes,
    storefront.writes,
)
"""The pages' routes."""

__all__ = ["ROUTERS", "STATIC"]
