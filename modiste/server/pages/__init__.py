"""The merchandiser's pages, one file a page, named as its template; with htmx where a part changes.

Every page works without JavaScript: forms have a button, and what htmx loads has an address of its own.
"""

from modiste.server.pages import audit, docs, experiments, item, items, login, search, shopper, shoppers
from modiste.server.pages.rendering import STATIC

ROUTERS = tuple(page.router for page in (shoppers, shopper, items, item, search, experiments, docs, login, audit))
"""The pages' routes."""

__all__ = ["ROUTERS", "STATIC"]
