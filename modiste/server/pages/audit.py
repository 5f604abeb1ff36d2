"""The page /audit: who changed what, for admins."""

from fastapi import APIRouter, Depends, Request, Response

from modiste.server.auth import Leave
from modiste.server.dependencies import TheShop
from modiste.server.pages.rendering import next_page, page_number, render
from modiste.shop.audit import KEPT

A_PAGE = 100
"""How many changes a page has."""

router = APIRouter(include_in_schema=False, dependencies=[Depends(Leave("admin"))])


@router.get("/audit")
def audit(request: Request, shop: TheShop) -> Response:
    """The changes, the newest first, a page at a time."""
    changes = shop.audit.frame(A_PAGE, (page_number(request) - 1) * A_PAGE)
    following = next_page(request, len(shop.audit), A_PAGE)
    return render(request, "audit.html", changes=changes.to_dicts(), following=following, days=KEPT.days)
