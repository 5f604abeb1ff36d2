"""Masks: which pixels of a photo are garment, and which of them are this item's own (the paper, figure 2)."""

from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from modiste.catalog.palette import LABELS, PALETTE
from modiste.errors import MaskError, SettingError

MASKINGS = ("none", "paper", "clothes", "own")
"""What stays of a photo: all of it; all but background, hair, face and skin; also no accessories; the item's own."""

TOLERANCE = 24
"""How far from a palette colour (largest channel difference, in levels) a pixel still takes its label."""

OWN_AT_LEAST = 0.01
"""Where an item's own labels cover less than this share of the photo, ``own`` falls back to ``clothes``."""

_BODY = ("background", "hair", "face", "skin")
_ACCESSORIES = ("bag", "eyeglass", "wrist wearing", "ring", "necklace", "earrings")
_KEPT = {
    "paper": np.array([label not in _BODY for label in LABELS]),
    "clothes": np.array([label not in _BODY + _ACCESSORIES for label in LABELS]),
}

Labels = NDArray[np.uint8]


@dataclass(frozen=True)
class Mask:
    """A label for each pixel, uint8 (height, width) in 0–23, and how many pixels lay off the palette (background)."""

    labels: Labels
    off_palette: int


def decode_mask(source: Path | Image.Image) -> Mask:
    """Read a mask: a picture in the palette's colours, or a greyscale map of the raw labels 0–23.

    A palette PNG's index is not its label, so palette masks are decoded by colour. Pixels of no palette colour take the
    nearest within ``TOLERANCE``; the rest become background and are counted.
    Raises MaskError if the file can't be read, or holds neither colours of the palette nor labels.
    """
    picture = _opened(source)
    if picture.mode in ("L", "I;16", "I", "1"):
        raw = np.asarray(picture)
        if raw.max(initial=0) >= len(LABELS):
            raise MaskError(f"is a greyscale map with values up to {raw.max()}; raw labels are 0 to {len(LABELS) - 1}")
        return Mask(raw.astype(np.uint8), 0)
    if picture.mode == "P":  # only the few colours of its palette have to be decoded
        indices = np.asarray(picture)
        colours = np.array(picture.convert("RGB").getpalette() or picture.getpalette(), np.uint8).reshape(-1, 3)
        of_index, known = _nearest(np.resize(colours, (256, 3)))
        known[len(colours) :] = False
        return Mask(of_index[indices], int((~known)[indices].sum()))
    pixels = np.asarray(picture.convert("RGB"))
    packed = pixels.astype(np.int32) @ np.array([65536, 256, 1], np.int32)
    unique, inverse = np.unique(packed, return_inverse=True)
    of_colour, known = _nearest(np.stack([unique >> 16, unique >> 8 & 255, unique & 255], 1).astype(np.uint8))
    inverse = inverse.reshape(packed.shape)
    return Mask(of_colour[inverse], int((~known)[inverse].sum()))


def _opened(source: Path | Image.Image) -> Image.Image:
    if isinstance(source, Image.Image):
        return source
    try:
        with Image.open(source) as picture:
            picture.load()
            return picture.copy()
    except UnidentifiedImageError as error:
        raise MaskError(f"mask {source.name} is not an image") from error
    except Exception as error:
        raise MaskError(f"mask {source.name} can't be read ({error})") from error


def _nearest(colours: NDArray[np.uint8]) -> tuple[Labels, NDArray[np.bool_]]:
    """For each colour (n, 3) the label of the nearest palette colour, and whether it is within the tolerance."""
    gaps = np.abs(colours[:, None].astype(np.int16) - PALETTE[None].astype(np.int16)).max(2)
    labels = gaps.argmin(1).astype(np.uint8)
    known = gaps.min(1) <= TOLERANCE
    labels[~known] = 0
    return labels, known


def encode_mask(labels: Labels) -> Image.Image:
    """Labels (height, width) as a palette picture in the paper's colours, for a PNG; inverse of decode_mask."""
    height, width = labels.shape
    picture = Image.frombytes("P", (width, height), labels.astype(np.uint8).tobytes())
    picture.putpalette(PALETTE.tobytes())
    return picture


def garment_pixels(labels: Labels, masking: str, own: Set[str] = frozenset()) -> NDArray[np.bool_]:
    """Which pixels stay, bool (height, width), under one of ``MASKINGS``.

    ``own`` names the labels that belong to the item's category; without any, or where they cover under 1% of the photo,
    masking ``own`` keeps what ``clothes`` keeps. Raises SettingError for an unknown masking.
    """
    if masking not in MASKINGS:
        raise SettingError(f"no masking {masking!r}; there are: {', '.join(MASKINGS)}")
    if masking == "none":
        return np.ones(labels.shape, dtype=bool)
    if masking == "own":
        kept: NDArray[np.bool_] = np.array([label in own for label in LABELS])[labels]
        return kept if kept.mean() >= OWN_AT_LEAST else _KEPT["clothes"][labels]
    return _KEPT[masking][labels]


def apply_mask(photo: NDArray[np.uint8], keep: NDArray[np.bool_], fill: tuple[int, int, int] = (0, 0, 0)) -> Any:
    """A copy of the photo, uint8 (height, width, 3), whose removed pixels are ``fill``."""
    return np.where(keep[..., None], photo, np.asarray(fill, np.uint8))
