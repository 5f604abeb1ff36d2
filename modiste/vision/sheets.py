"""Contact sheets: the photo, its mask, and what is left of it (the paper's figure 2)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from modiste.catalog.palette import PALETTE
from modiste.vision.masks import apply_mask

_PAPER, _INK = (250, 248, 245), (70, 66, 60)

Row = tuple[Image.Image, NDArray[np.uint8] | None, NDArray[np.bool_] | None, str]
"""Photo, labels uint8 (h, w), kept pixels bool (h, w), caption; labels and pixels may be missing."""


def contact_sheet(rows: Sequence[Row], columns: int = 3, height: int = 260) -> Image.Image:
    """A sheet of ``columns`` triples a line, each photo ``height`` pixels high, with its caption under it."""
    gap, caption = 10, 24
    triples = [_triple(row, height) for row in rows]
    width = max(triple.width for triple in triples)
    lines = -(-len(triples) // columns)
    size = (gap + min(columns, len(triples)) * (width + 2 * gap), gap + lines * (height + caption + gap))
    sheet = Image.new("RGB", size, _PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for number, (triple, row) in enumerate(zip(triples, rows, strict=True)):
        x = gap + number % columns * (width + 2 * gap)
        y = gap + number // columns * (height + caption + gap)
        sheet.paste(triple, (x, y))
        draw.text((x, y + height + 4), row[3], fill=_INK, font=font)
    return sheet


def _triple(row: Row, height: int) -> Image.Image:
    photo, labels, keep, _ = row
    pixels = np.asarray(photo)
    mask = pixels if labels is None else PALETTE[labels]
    left = pixels if keep is None else apply_mask(pixels, keep)
    width = max(1, round(photo.width * height / photo.height))
    triple = Image.new("RGB", (3 * width + 8, height), _PAPER)
    for place, part in enumerate((pixels, mask, left)):
        small = Image.fromarray(part).resize((width, height), Image.Resampling.LANCZOS)
        triple.paste(small, (place * (width + 4), 0))
    return triple
