"""The page /search: what looks like a photo."""

from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, File, Form, Request, Response, UploadFile
from fastapi.concurrency import run_in_threadpool
from PIL import Image, ImageOps

from modiste.arrays import Bools
from modiste.ask import SearchAsk
from modiste.catalog.items import GENDERS
from modiste.catalog.palette import SPOKEN
from modiste.errors import ModisteError, PhotoError
from modiste.server.dependencies import TheSettings, TheShop, TheWorkQueue
from modiste.server.pages.parses import Parse
from modiste.server.pages.rendering import looks, part_wanted, render, term_bars
from modiste.server.pictures import data_uri
from modiste.server.settings import Settings
from modiste.shop.shop import Shop
from modiste.vision.masks import apply_mask

LONGER_SIDE = 480
"""Pixels of the longer side of a searched photo as it is shown again."""

GARMENT_SIZE = (240, 320)
"""Width and height of one of its garments as it is shown."""

router = APIRouter(include_in_schema=False)


@router.get("/search")
def search(request: Request, shop: TheShop, settings: TheSettings) -> Response:
    """The form that takes a photo."""
    return render(request, "search.html", **_form(shop, settings))


@router.post("/search")
async def searched(
    request: Request,
    shop: TheShop,
    settings: TheSettings,
    queue: TheWorkQueue,
    photo: Annotated[UploadFile | None, File()] = None,
    category: Annotated[str, Form()] = "",
    gender: Annotated[str, Form()] = "",
) -> Response:
    """The photo's parse and the items that look like it. Nothing of the photo is kept."""
    content = await photo.read() if photo is not None else b""
    form = await run_in_threadpool(_form, shop, settings)
    form |= {
        "category": category if category in form["categories"] else "",
        "gender": gender if gender in GENDERS else "",
    }
    status = 200
    try:
        if photo is None or not photo.filename:
            raise PhotoError("choose a photo first")
        chosen = form["category"]  # the garment that is meant, and the category that is wanted
        wanted = {"category": chosen, "categories": [chosen]} if chosen else {}
        ask = SearchAsk.of(**wanted, gender=form["gender"] or None)
        form |= await queue.run(lambda: _result(shop, content, settings.max_pixels, ask))
    except ModisteError as error:
        form["remark"], status = str(error), 422
    name = "_result.html" if part_wanted(request) == "found" else "search.html"
    return await run_in_threadpool(lambda: render(request, name, status=status, **form))


def _form(shop: Shop, settings: Settings) -> dict[str, Any]:
    return {
        "categories": [name for name, _ in shop.items.categories()],
        "genders": shop.items.genders(),
        **looks(shop),
        "most_bytes": settings.max_upload,
        "category": "",
        "gender": "",
        "result": None,
        "remark": "",
    }


def _result(shop: Shop, content: bytes, max_pixels: int, ask: SearchAsk) -> dict[str, Any]:
    """A photo's parse, what of it was compared, and what looks like it and its garments, as the page shows them."""
    made = shop.search(content, max_pixels=max_pixels, **dict(ask))
    small = made.photo.copy()
    small.thumbnail((LONGER_SIDE, LONGER_SIDE))
    used, labels = None, made.labels
    if labels is None and made.keep is not None:  # one thing, whatever it is
        labels = made.keep.astype(np.uint8)
    if made.keep is not None and not made.keep.all():
        left = Image.fromarray(apply_mask(np.asarray(made.photo), made.keep, (255, 255, 255)))
        used = data_uri(left.resize(small.size, Image.Resampling.LANCZOS))
    result = {
        "photo": data_uri(small),
        "width": small.width,
        "height": small.height,
        "parse": Parse.of(labels, ask.category),
        "used": used,
        "recommendations": made.recommendations,
        "whose": made.whose,
    }
    lists = [made.recommendations, *(one.recommendations for one in made.garments)]
    result["garments"] = [
        (one, SPOKEN.get(one.label, one.label), data_uri(_cut(made.photo, one.keep))) for one in made.garments
    ]
    return {"result": result, **term_bars(ask.weights, [one for many in lists for one in many])}


def _cut(photo: Image.Image, keep: Bools) -> Image.Image:
    """A garment alone, on white, in its box."""
    alone = Image.fromarray(apply_mask(np.asarray(photo), keep, (255, 255, 255)))
    return ImageOps.pad(alone.crop(Image.fromarray(keep).getbbox()), GARMENT_SIZE, color="white")
