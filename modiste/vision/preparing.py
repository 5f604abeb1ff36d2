"""From a photo and its mask to the square that a backbone reads."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from modiste.errors import SettingError
from modiste.vision.backbones import BackboneSpec
from modiste.vision.masks import apply_mask

CROPS = ("centre", "garment")
MARGIN = 0.06
"""How much wider than the garment's box the crop is, as a share of its longer side, on each side."""


def prepare(
    photo: Image.Image,
    keep: NDArray[np.bool_] | None,
    spec: BackboneSpec,
    crop: str,
    fill: tuple[int, int, int] = (0, 0, 0),
) -> NDArray[np.uint8]:
    """The backbone's input before normalisation, uint8 (spec.height, spec.width, 3).

    ``keep``, bool at the photo's size, blackens the rest at full resolution; None keeps the photo whole. ``crop``
    "centre" is torchvision's way: the shorter side to ``spec.resize``, then the middle. "garment" takes the square
    around the kept pixels instead, filled where it leaves the photo, so that tall garments stay whole.
    Raises SettingError for another crop.
    """
    if crop not in CROPS:
        raise SettingError(f"no crop {crop!r}; there are: {', '.join(CROPS)}")
    if keep is not None:
        photo = Image.fromarray(apply_mask(np.asarray(photo), keep, fill))
    if crop == "centre":
        return _centre(photo, spec)
    box = _box(keep) if keep is not None and not keep.all() else (0, 0, photo.width, photo.height)
    return _square(photo, box, spec, fill)


def _centre(photo: Image.Image, spec: BackboneSpec) -> NDArray[np.uint8]:
    """torchvision's Resize and CenterCrop, rounding included."""
    width, height = photo.size
    if width <= height:
        size = (spec.resize, int(spec.resize * height / width))
    else:
        size = (int(spec.resize * width / height), spec.resize)
    resized = photo.resize(size, Image.Resampling.BILINEAR)
    left, top = round((size[0] - spec.width) / 2), round((size[1] - spec.height) / 2)
    return np.asarray(resized.crop((left, top, left + spec.width, top + spec.height)))


def _box(keep: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(keep.any(1)), np.flatnonzero(keep.any(0))
    if not len(rows):
        return 0, 0, keep.shape[1], keep.shape[0]
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _square(
    photo: Image.Image, box: tuple[int, int, int, int], spec: BackboneSpec, fill: tuple[int, int, int]
) -> NDArray[np.uint8]:
    left, top, right, bottom = box
    side = round(max(right - left, bottom - top) * (1 + 2 * MARGIN))
    x, y = (left + right - side) // 2, (top + bottom - side) // 2
    inside = photo.crop((max(x, 0), max(y, 0), min(x + side, photo.width), min(y + side, photo.height)))
    whole = Image.new("RGB", (side, side), fill)
    whole.paste(inside, (max(-x, 0), max(-y, 0)))
    return np.asarray(whole.resize((spec.width, spec.height), Image.Resampling.BILINEAR, reducing_gap=3.0))
