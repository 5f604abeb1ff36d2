"""The look book: products drawn from several views, with DeepFashion's file names, exact masks and the truth."""

import csv
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from lookbook.canvas import HEIGHT, OVERSAMPLING, WIDTH, Canvas
from lookbook.figure import Body, Person, Pose
from lookbook.scenes import SCENES, backdrop, ground_shadow
from lookbook.styling import paint_figure
from lookbook.wardrobe import DEPARTMENTS, Garment, Rng, cut, dress_up, pick
from modiste.catalog.palette import LABELS
from modiste.errors import SettingError

VIEWS: Final = ("front", "side", "back", "full", "additional")
_CODES: Final = {"front": 1, "side": 2, "back": 3, "full": 4, "additional": 7}

_OWN_AT_LEAST = 0.034  # share of the photo that the item covers; where it is less, the camera steps closer
_CLOSEST = 380.0  # units from top to bottom

COLUMNS: Final = (
    "item_id",
    "image",
    "mask",
    "category",
    "gender",
    "product",
    "view",
    "price",
    "colour",
    "rgb",
    "pattern",
    "garment",
    "sleeve",
    "neck",
    "scene",
)
"""Columns of ``looks.csv``; it reads as a catalogue table, with the rest as attributes."""


@dataclass(frozen=True, slots=True)
class Look:
    """One photo to draw: a product seen from a view."""

    seed: int
    number: int
    category: str
    gender: str
    view: str

    @property
    def product(self) -> str:
        """DeepFashion's product id."""
        return f"id_{self.number:08d}-01"

    @property
    def item_id(self) -> str:
        """DeepFashion's item id: the product and the number of its view."""
        return f"{self.product}_{_CODES[self.view]}"

    @property
    def stem(self) -> str:
        """DeepFashion's file name, less its ending."""
        return f"{self.gender.upper()}-{self.category}-{self.item_id}_{self.view}"


@dataclass(frozen=True, slots=True)
class Lookbook:
    """Where a look book lies: ``photos`` and ``masks`` are folders, ``table`` the CSV of what was drawn."""

    photos: Path
    masks: Path
    table: Path
    items: int


def draw_lookbook(
    folder: Path,
    *,
    products: int = 160,
    views: int = 2,
    seed: int = 42,
    progress: Callable[[int, int], None] | None = None,
) -> Lookbook:
    """Draw ``products`` products from ``views`` views each (1 to 5) into ``folder``/photos and ``folder``/masks.

    Photos are 256 x 384 RGB PNG, masks palette PNG of the same size (colours of ``modiste.catalog.palette``); what was
    drawn stands in ``folder``/looks.csv. Categories and genders take turns, so that 23 products show every category of
    each. The same arguments draw the same bytes. ``progress`` is called with (photos done, photos in all).

    Raises SettingError for fewer than one product, or views outside 1 to 5.
    """
    if products < 1:
        raise SettingError(f"a look book needs at least one product, not {products}")
    if not 1 <= views <= len(VIEWS):
        raise SettingError(f"a product has 1 to {len(VIEWS)} views, not {views}")
    book = Lookbook(folder / "photos", folder / "masks", folder / "looks.csv", products * views)
    book.photos.mkdir(parents=True, exist_ok=True)
    book.masks.mkdir(parents=True, exist_ok=True)
    looks = list(plan(products, views, seed))

    def save(look: Look) -> dict[str, str]:
        photo, mask, truth = draw(look)
        photo.save(folder / truth["image"], compress_level=4)
        mask.save(folder / truth["mask"])
        return truth

    with ThreadPoolExecutor(max_workers=2) as pool, book.table.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        table.writeheader()
        for done, row in enumerate(pool.map(save, looks), start=1):
            table.writerow(row)
            if progress is not None:
                progress(done, len(looks))
    return book


def plan(products: int, views: int, seed: int) -> Iterator[Look]:
    """Which products are drawn from which views, without drawing them."""
    rng = np.random.default_rng([seed, 0])
    turn = list(DEPARTMENTS)
    for number in range(products):
        if number % len(turn) == 0:
            rng.shuffle(turn)
        gender, category = turn[number % len(turn)]
        for view in rng.permutation(VIEWS)[:views]:
            yield Look(seed, number + 1, str(category), str(gender), str(view))


def draw(look: Look) -> tuple[Image.Image, Image.Image, dict[str, str]]:
    """One look: its photo (RGB), its mask (palette) and its row of the table. The item depends on the product alone."""
    tailor = np.random.default_rng([look.seed, look.number])
    item = cut(tailor, look.category, look.gender)
    price = round(float(tailor.uniform(12, 190))) - 0.01
    rng = np.random.default_rng([look.seed, look.number, _CODES[look.view]])
    outfit = dress_up(rng, item, look.gender, pick(rng, ("warm", "cold")))
    body = Body(Person.draw(rng, look.gender, outfit.accessories.hat is not None), Pose.draw(rng, look.view))
    light = float(rng.choice((-1, 1)))
    scene = pick(rng, SCENES, (2, 2, 3, 3, 2, 1, 3))
    frame, offset = _frame(rng, item[0], look.view), float(rng.uniform(-14, 14))
    warmth, exposure = rng.uniform(-5, 5), rng.uniform(122, 134)
    tint = (round(exposure + warmth), round(exposure), round(exposure - warmth))
    own = [LABELS.index(garment.label) for garment in item]
    middle = float(np.clip(item[0].hem - 110, 250, 560))
    while True:
        top, bottom = frame
        scale = HEIGHT * OVERSAMPLING / (bottom - top)
        left = WIDTH * OVERSAMPLING / 2 + offset * scale
        floor = (796 - top) * scale / OVERSAMPLING
        sheet = backdrop(np.random.default_rng([look.seed, look.number, _CODES[look.view], 1]), scene, floor, light)
        ground_shadow(sheet, left / OVERSAMPLING, floor, 62 * scale / OVERSAMPLING, light)
        canvas = Canvas(sheet, scale, (left, -top * scale), light)
        paint_figure(canvas, body, outfit)
        photo, mask = canvas.finish(tint)
        if np.isin(np.asarray(canvas.labels)[::4, ::4], own).mean() > _OWN_AT_LEAST or bottom - top < _CLOSEST:
            return photo, mask, _truth(look, item[0], price, scene)
        frame = (middle + (top - middle) * 0.88, middle + (bottom - middle) * 0.88)  # step closer


def _frame(rng: Rng, garment: Garment, view: str) -> tuple[float, float]:
    """Top and bottom of the photo in units: the whole figure, or closer to the garment."""
    whole = (-46.0, 832.0)
    if view == "full":
        return whole
    if garment.shape in ("pants", "skirt") or garment.hem > 480:
        if view != "additional":
            return whole
        if garment.shape in ("pants", "skirt"):
            return (float(rng.uniform(225, 265)), 826.0) if garment.hem > 560 else (215.0, 690.0)
        return -36.0, min(garment.hem + 60, 832.0)
    if view == "additional":
        return -30.0, float(rng.uniform(480, 540))
    return -40.0, float(pick(rng, (580.0, 660.0, 832.0, 832.0)))


def _truth(look: Look, garment: Garment, price: float, scene: str) -> dict[str, str]:
    lengths = ((0.0, "none"), (0.5, "short"), (0.8, "three-quarter"), (1.0, "long"))
    return {
        "item_id": look.item_id,
        "image": f"photos/{look.stem}.png",
        "mask": f"masks/{look.stem}_segm.png",
        "category": look.category,
        "gender": look.gender,
        "product": look.product,
        "view": look.view,
        "price": f"{price:.2f}",
        "colour": garment.fabric.name,
        "rgb": "#{:02x}{:02x}{:02x}".format(*garment.fabric.colour),
        "pattern": garment.fabric.pattern,
        "garment": garment.shape,
        "sleeve": next(name for share, name in lengths if garment.sleeve <= share),
        "neck": garment.neck,
        "scene": scene,
    }
