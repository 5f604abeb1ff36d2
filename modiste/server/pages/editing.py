"""What the pages' forms change: items edited, hidden and shown, given photos or made, and photos compared."""

from time import monotonic
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile

from modiste import wire
from modiste.ask import sentence
from modiste.catalog.items import Item
from modiste.errors import SettingError
from modiste.server.addresses import here, item_page
from modiste.server.auth import WriteRoute
from modiste.server.dependencies import TheShop, TheWorkQueue
from modiste.shop.items import EDITABLE

COMPARED_S = 20.0
"""For about so long photos are compared before the page answers."""

router = APIRouter(include_in_schema=False, route_class=WriteRoute)


@router.post("/items")
async def make(request: Request, shop: TheShop, queue: TheWorkQueue) -> Response:
    """A new item, with its photo if one was chosen."""
    async with request.form() as form:
        item_id = str(form.get("item_id", "")).strip()
        photo, changes = await _photo(form), _changes(form)
    if not item_id:
        raise SettingError("an item needs an id: the shop's own number of it")
    if await run_in_threadpool(lambda: item_id in shop.items):
        raise SettingError(f"there is an item {item_id} already; change it on its page")
    await queue.run(lambda: shop.items.put(Item(item_id, **changes), photo))
    return RedirectResponse(f"{item_page(item_id)}?said=made", 303)


@router.post("/items/{item_id:path}")
async def change(request: Request, shop: TheShop, queue: TheWorkQueue, item_id: str) -> Response:
    """Change what is known of an item, hide it or show it again, as the button that was pressed says."""
    async with request.form() as form:
        do = form.get("do")
        if do in ("hide", "show"):
            await run_in_threadpool(shop.items.hide, item_id, do == "hide")
            return RedirectResponse(f"{item_page(item_id)}?said={do}", 303)
        photo, changes, match = await _photo(form), _changes(form), str(form.get("tag", "")) or None
    report = await queue.run(lambda: shop.items.edit(item_id, changes, photo, match=match))
    return RedirectResponse(f"{item_page(item_id)}?said={'photo' if photo and report.embedded else 'saved'}", 303)


@router.post("/compare")
async def compare(shop: TheShop, queue: TheWorkQueue) -> Response:
    """Compare photos that wait for it, as many as COMPARED_S allow; the others wait on."""

    def some() -> None:
        until = monotonic() + COMPARED_S
        for item_id in shop.vectors.waiting():
            shop.vectors.embed_item(item_id)
            if monotonic() > until:
                break

    await queue.run(some)
    return RedirectResponse(here("/items?state=no+vector"), 303)


def _changes(form: FormData) -> dict[str, Any]:
    """What a form says of EDITABLE, validated as over HTTP; empty is nothing. Raises SettingError."""
    given = {name: str(form[name]).strip() or None for name in EDITABLE if name in form}
    try:
        made = wire.ItemIn.model_validate(given)
    except ValidationError as error:
        raise SettingError("; ".join(map(sentence, error.errors()[:5]))) from None
    return {name: getattr(made, name) for name in given}


async def _photo(form: FormData) -> bytes | None:
    photo = form.get("photo")
    chosen = isinstance(photo, UploadFile) and bool(photo.filename)
    return await photo.read() if chosen and isinstance(photo, UploadFile) else None
