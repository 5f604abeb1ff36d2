"""Plain garments on white, drawn so that every answer is known."""

from io import BytesIO

from PIL import Image, ImageDraw

COLOURS = {"red": (200, 40, 40), "blue": (40, 60, 190)}
BOXES = {"Dresses": (24, 16, 72, 136), "Denim": (30, 60, 66, 140), "Tees_Tanks": (18, 16, 78, 70)}
"""Categories, and where their garments are on a photo of 96 × 144: left, top, right, bottom."""


def drawn(
    category: str = "Dresses",
    colour: str = "red",
    *,
    slimmer: int = 0,
    size: tuple[int, int] = (96, 144),
    form: str = "PNG",
) -> bytes:
    """An encoded photo of a garment, ``slimmer`` by so many pixels on either side."""
    left, top, right, bottom = BOXES[category]
    photo = Image.new("RGB", (96, 144), "white")
    ImageDraw.Draw(photo).rectangle((left + slimmer, top, right - slimmer, bottom), fill=COLOURS.get(colour, colour))
    buffer = BytesIO()
    photo.resize(size).save(buffer, form)
    return buffer.getvalue()
