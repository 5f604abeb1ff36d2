"""Masks: which pixels of a photo are garment, and which of them are this item's own (the paper, figure 2)."""

from collections.abc import Iterator, Set
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from modiste.arrays import Bools
from modiste.catalog.palette import LABELS, PALETTE
from modiste.errors import MaskError, PhotoError, SettingError
from modiste.vision.colour import COLOURS
from modiste.vision.ground import largest_piece
from modiste.vision.photos import MAX_PIXELS, decoded

__all__ = [
    "LABELS",
    "MASKINGS",
    "PALETTE",
    "Mask",
    "apply_mask",
    "decode_mask",
    "encode_mask",
    "garment_pixels",
    "garments_of",
    "shows_person",
]

MASKINGS = ("none", "paper", "clothes", "own")
"""What stays of a photo: all of it; all but background, hair, face and skin; also no accessories; the item's own."""

TOLERANCE = 12
"""How far from a palette colour (largest channel difference, in levels) a pixel still takes its label."""

OWN_AT_LEAST = 0.1
"""Where an item's own labels cover less than this share of the clothes found, ``own`` falls back to ``clothes``."""

SMALL_AT_LEAST = 0.01
"""The same for what is small beside clothes: shoes, bags, hats, jewellery."""

PERSON_AT_LEAST = 0.02
"""The share of hair, face and skin among a mask's labelled pixels from which it shows a person."""

_UPPER = 0.3  # of a top's pixels, those that a dress beside it begins above if it is a part of it
_COARSE = 96  # pixels of the longer side that pieces are told apart at
_BAND = 250_000  # pixels whose colours are looked at at a time

_NO_GARMENT = ("background", "hair", "face", "skin")
_ACCESSORIES = ("bag", "eyeglass", "wrist wearing", "ring", "necklace", "earrings")
_ONE_PIECE = frozenset(("dress", "rompers"))
_LOWER = frozenset(("skirt", "pants", "leggings"))
_BODY = np.array([label in (*_ONE_PIECE, *_LOWER, "top", "outer") for label in LABELS])
_SMALL = frozenset((*_ACCESSORIES, "headwear", "neckwear", "belt", "footwear", "socks", "gloves", "tie"))
_PERSON = np.array([label in ("hair", "face", "skin") for label in LABELS])
_KEPT = {
    "paper": np.array([label not in _NO_GARMENT for label in LABELS]),
    "clothes": np.array([label not in _NO_GARMENT + _ACCESSORIES for label in LABELS]),
}

MASKED = 2
"""Another number for each change to what is kept of photos, and how it is cut out; a test tells whoever makes one."""

FORM = f"{COLOURS}-{MASKED}"
"""What makes a vector beside its space's settings and networks: those of another form are never compared with ours."""

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Mask:
    """A label for each pixel, uint8 (height, width) in 0–23, and how many pixels lay off the palette (background)."""

    labels: Pixels
    off_palette: int


def decode_mask(source: Path | Image.Image) -> Mask:
    """Read a mask: a picture in the palette's colours, or a map of the raw labels 0–23 (greyscale, or greys in RGB).

    A palette PNG's index is not its label, so palette masks are decoded by colour. Pixels of no palette colour take the
    nearest within ``TOLERANCE``; the rest become background and are counted.
    Raises MaskError if the file can't be read or is a greyscale picture with values above 23.
    """
    if isinstance(source, Image.Image):
        return _decoded(source)
    try:
        with decoded(source, MAX_PIXELS, max_pixels=MAX_PIXELS) as (picture, _):
            return _decoded(picture)
    except PhotoError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            raise MaskError(f"there is no mask {source.name}") from error
        raise MaskError(f"mask {source.name} can't be read ({str(error).removeprefix('photo ')})") from error


def _decoded(picture: Image.Image) -> Mask:
    if picture.mode in ("1", "L", "I") or picture.mode.startswith("I;16"):
        raw = np.asarray(picture)
        if raw.min(initial=0) < 0 or raw.max(initial=0) >= len(LABELS):
            raise MaskError(f"mask is greyscale with values up to {raw.max()}; raw labels are 0 to {len(LABELS) - 1}")
        return Mask(raw.astype(np.uint8), 0)
    raw_labels = all(map(_of_raw_labels, _bands(picture)))
    labels, off_palette, top = np.empty((picture.height, picture.width), np.uint8), 0, 0
    for band in _bands(picture):
        colours, where = _colours(band)
        gaps = np.abs(colours[:, None].astype(np.int16) - PALETTE.astype(np.int16)).max(2)
        known = np.ones(len(colours), bool) if raw_labels else gaps.min(1) <= TOLERANCE
        label = np.where(known, colours[:, 0] if raw_labels else gaps.argmin(1), 0).astype(np.uint8)
        labels[top : top + band.height] = label[where]
        off_palette += int((~known)[where].sum())
        top += band.height
    return Mask(labels, off_palette)


def _bands(picture: Image.Image) -> Iterator[Image.Image]:
    """The picture from top to bottom, some rows at a time: a large one's colours would take gigabytes."""
    rows = max(1, _BAND // max(1, picture.width))
    for top in range(0, picture.height, rows):
        yield picture.crop((0, top, picture.width, min(top + rows, picture.height)))


def _of_raw_labels(band: Image.Image) -> bool:
    colours, where = _colours(band)
    used = colours[np.flatnonzero(np.bincount(where.ravel()))]
    return bool((used == used[:, :1]).all() and used.max(initial=0) < len(LABELS))


def _colours(picture: Image.Image) -> tuple[Pixels, NDArray[np.integer]]:
    """The picture's colours, uint8 (n, 3), and for each pixel the number of its colour."""
    if picture.mode == "P":
        colours = np.array(picture.getpalette("RGB"), np.uint8).reshape(-1, 3)
        where = np.asarray(picture)
        missing = int(where.max(initial=0)) + 1 - len(colours)  # an index past the palette's end is black
        return np.vstack([colours, np.zeros((max(0, missing), 3), np.uint8)]), where
    red, green, blue = np.moveaxis(np.asarray(picture.convert("RGB")).astype(np.int32), 2, 0)
    unique, where = np.unique(red << 16 | green << 8 | blue, return_inverse=True)
    colours = np.stack([unique >> 16, unique >> 8 & 255, unique & 255], 1).astype(np.uint8)
    return colours, where.reshape(red.shape)


def encode_mask(labels: Pixels) -> Image.Image:
    """Labels (height, width) as a palette picture in the paper's colours, to be saved as PNG; undone by decode_mask."""
    picture = Image.fromarray(labels).convert("L")
    picture.putpalette(PALETTE.tobytes())
    return picture


def counts_of(labels: Pixels) -> NDArray[np.int64]:
    """How many of a mask's pixels, uint8 (h, w), have each label, int64 (24,)."""
    return np.array(Image.fromarray(labels).histogram()[: len(LABELS)], np.int64)  # bincount would take 8 bytes a pixel


def shows_person(labels: Pixels) -> bool:
    """Whether a mask's labels, uint8 (h, w), have as much hair, face and skin as a dressed person shows."""
    counts = counts_of(labels)
    return bool(counts[_PERSON].sum() >= PERSON_AT_LEAST * max(1, counts[1:].sum()))


def one_thing(labels: Pixels, thing: Bools | None = None) -> Pixels:
    """A mask without a person, uint8 (h, w), with the palette's first label, top, for all of the ``thing``.

    A parser learns its labels on bodies, and mixes them up on single things: alone, the label means no more than that
    it is the thing. ``thing`` is by default what has a label of clothes or accessories.
    """
    return (_KEPT["paper"].take(labels) if thing is None else thing).astype(np.uint8)


def named(labels: Pixels, own: Set[str]) -> Pixels | None:
    """A mask, uint8 (h, w), to be shown: one of one label, a single thing's, has that of its category, whose labels
    are ``own``; None where these are several or none, so that nobody knows the label."""
    if np.count_nonzero(counts_of(labels)[1:]) != 1:
        return labels
    return np.where(labels > 0, _labelled(own).argmax().astype(np.uint8), np.uint8(0)) if len(own) == 1 else None


def garment_pixels(labels: Pixels, masking: str, own: Set[str] = frozenset()) -> Bools:
    """Which pixels stay, bool (height, width), under one of ``MASKINGS``.

    ``own`` names the labels that belong to the item's category. Masking ``own`` keeps them where they are sure, which
    is from 10% of the clothes found (small things such as shoes: 1%); otherwise, as masking ``clothes`` does, all but
    accessories, and where there is nothing else, these. A dress or a jumpsuit has to be as much in one piece: parsers
    take one for a top and a skirt or trousers, and these are then its own, with an outer garment where there is no top.
    They take a top for a dress, too: one that begins as high as the top is of it, one that begins below is a skirt. And
    where trousers are sought and not sure, a skirt is they, and the other way round.
    Raises SettingError for an unknown masking.
    """
    if masking not in MASKINGS:
        raise SettingError(f"no masking {masking!r}; there are: {', '.join(MASKINGS)}")
    if masking == "none":
        return np.ones(labels.shape, dtype=bool)
    if masking == "paper":
        return _KEPT[masking].take(labels)
    own = own if masking == "own" else frozenset()
    mine, counts = _labelled(own), counts_of(labels)
    clothes = counts[_KEPT["clothes"]].sum()
    if own and own <= _ONE_PIECE:
        coarse = _coarse(labels)
        if _sure(mine.take(coarse), coarse):
            return mine.take(labels)
        upper = "top" if counts[LABELS.index("top")] > OWN_AT_LEAST * counts[_BODY].sum() else "outer"
        mine = _labelled({*_ONE_PIECE, *_LOWER, upper})
        least = 0.0
    else:
        if "top" in own and _begins_above(_coarse(labels), _ONE_PIECE):
            mine = _labelled(own | _ONE_PIECE)
        least = (SMALL_AT_LEAST if own <= _SMALL else OWN_AT_LEAST) * clothes
        if own and own <= _LOWER and counts[mine].sum() < least:
            mine = _labelled(_LOWER)
    if counts[mine].sum() >= max(1, least):
        return mine.take(labels)
    return _KEPT["clothes" if clothes else "paper"].take(labels)


def _labelled(names: Set[str]) -> Bools:
    return np.array([label in names for label in LABELS])


def _coarse(labels: Pixels) -> Pixels:
    """Every so many of a mask's labels, to tell pieces apart."""
    factor = max(1, -(-max(labels.shape) // _COARSE))
    return labels[factor // 2 :: factor, factor // 2 :: factor]


def _begins_above(coarse: Pixels, names: Set[str]) -> bool:
    """Whether some labels begin as high on a coarse mask as the upper part of the top."""
    rows = np.nonzero(_labelled(names).take(coarse))[0], np.nonzero(coarse == LABELS.index("top"))[0]
    return all(map(len, rows)) and bool(np.quantile(rows[0], 0.05) < np.quantile(rows[1], _UPPER))


def _sure(some: Bools, coarse: Pixels) -> bool:
    """Whether one piece of ``some`` of a coarse mask's pixels is as much of its clothes as what is sure."""
    return bool(largest_piece(some) >= max(1, OWN_AT_LEAST * counts_of(coarse)[_KEPT["clothes"]].sum()))


def garments_of(labels: Pixels) -> dict[str, Bools]:
    """The pixels, bool (height, width), of each garment that a mask with a person on it surely shows, by its label, the
    largest first; of a mask without a person none: a single thing's labels mean nothing.

    Sure is what covers as much of the clothes found as masking ``own`` asks for; in one piece, but for what is small:
    where a parser wavers between two labels, the other one lies about in patches.
    """
    if not shows_person(labels):
        return {}
    coarse, counts = _coarse(labels), counts_of(labels)
    found: dict[str, Bools] = {}
    for number in np.argsort(-counts, kind="stable").tolist():
        if not _KEPT["paper"][number]:
            continue
        if LABELS[number] in _SMALL:
            sure = counts[number] >= max(1, SMALL_AT_LEAST * counts[_KEPT["clothes"]].sum())
        else:
            sure = _sure(coarse == number, coarse)
        if sure:
            found[LABELS[number]] = labels == number
    return found


def apply_mask(photo: Pixels, keep: Bools, fill: tuple[int, int, int] = (0, 0, 0)) -> Pixels:
    """A copy of the photo, uint8 (height, width, 3), whose removed pixels are ``fill``."""
    left = Image.new("RGB", photo.shape[1::-1], fill)
    left.paste(Image.fromarray(photo), mask=Image.fromarray(keep))
    return np.array(left)
