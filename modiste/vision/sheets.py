"""Contact sheets: the photo, its mask, and what is left of it (the paper's figure 2)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from modiste.arrays import Bools
from modiste.errors import SettingError
from modiste.vision.masks import PALETTE, apply_mask

_PAPER, _CARD, _INK, _QUIET = (246, 243, 238), (255, 255, 255), (58, 54, 48), (150, 144, 134)
_GAP, _CAPTION = 14, 26

Row = tuple[Image.Image, NDArray[np.uint8] | None, Bools | None, str]
"""Photo, labels uint8 (h, w), kept pixels bool (h, w), caption; labels and pixels may be missing."""


def contact_sheet(rows: Sequence[Row], columns: int = 3, height: int = 280) -> Image.Image:
    """A sheet of ``columns`` triples a line, each photo ``height`` pixels high, with its caption under it.

    Raises SettingError without any row.
    """
    if not rows:
        raise SettingError("a contact sheet needs a photo or more")
    triples = [_triple(row, height) for row in rows]
    columns = min(columns, len(triples))
    wide, high = max(triple.width for triple in triples), height + _CAPTION
    size = (_GAP + columns * (wide + _GAP), _GAP - (-len(triples) // columns) * (high + _GAP))
    sheet = Image.new("RGB", size, _PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for number, (triple, row) in enumerate(zip(triples, rows, strict=True)):
        x, y = _GAP + number % columns * (wide + _GAP), _GAP + number // columns * (high + _GAP)
        draw.rectangle((x - 4, y - 4, x + wide + 3, y + high), _CARD)
        sheet.paste(triple, (x, y))
        draw.text((x + 2, y + height + 6), _shortened(row[3], font, wide - 4), fill=_INK, font=font)
    return sheet


def _triple(row: Row, height: int) -> Image.Image:
    photo, labels, keep, _ = row
    width = max(1, round(photo.width * height / photo.height))
    pixels = np.asarray(photo)
    triple = Image.new("RGB", (3 * width + 8, height), _CARD)
    parts = (
        (pixels, Image.Resampling.LANCZOS),
        (None if labels is None else PALETTE[labels], Image.Resampling.BOX),
        (pixels if keep is None else apply_mask(pixels, keep), Image.Resampling.LANCZOS),
    )
    for place, (part, resampling) in enumerate(parts):
        left = place * (width + 4)
        if part is not None:
            triple.paste(Image.fromarray(part).resize((width, height), resampling), (left, 0))
        else:
            draw = ImageDraw.Draw(triple)
            draw.rectangle((left, 0, left + width - 1, height), _PAPER)
            draw.text((left + width / 2, height / 2), "no mask", fill=_QUIET, anchor="mm")
    return triple


def _shortened(text: str, font: ImageFont.ImageFont | ImageFont.FreeTypeFont, width: int) -> str:
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"
