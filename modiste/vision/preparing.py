"""From a photo and its mask to what a network reads."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from modiste.arrays import Bools, Singles
from modiste.errors import MaskError, SettingError
from modiste.vision.backbones import CROPS, BackboneSpec
from modiste.vision.masks import apply_mask

MARGIN = 0.06
"""How much wider than the garment's box its crop is on each side, as a share of the box's longer side."""

_LONGEST = 16
"""How many times as long as wide a photo is read at most; enlarged whole, a thin strip would take gigabytes."""

_FINEST = 16
"""A garment twice as fine as so many pixels to one of the input's is averaged down to that, lest it take gigabytes."""

Fill = tuple[int, int, int]
BLACK: Fill = (0, 0, 0)
"""What removed pixels become in the paper."""


def prepare(
    photo: Image.Image,
    keep: Bools | None,
    spec: BackboneSpec,
    crop: str,
    fill: Fill = BLACK,
    cut: bool = True,
) -> NDArray[np.uint8]:
    """The backbone's input before normalisation, uint8 (spec.height, spec.width, 3).

    ``keep``, bool at the photo's size, gives all other pixels the colour ``fill`` before anything is resized; None
    keeps the photo whole. ``crop`` "centre" is torchvision's way and the paper's: the shorter side to ``spec.resize``,
    then the middle. "garment" takes the box of the kept pixels with a margin, padded by ``fill`` to the input's
    proportions so that nothing is distorted or cut off; without ``keep`` it is the centre crop. Unless it is to be
    ``cut`` out, the box shows what was there.
    Raises SettingError for another crop, MaskError where ``keep`` is empty or of another size.
    """
    if crop not in CROPS:
        raise SettingError(f"no crop {crop!r}; there are: {', '.join(CROPS)}")
    if keep is None:
        return _centre(photo, spec)
    if keep.shape != (photo.height, photo.width):
        raise MaskError(f"mask is {keep.shape[1]}×{keep.shape[0]}, its photo {photo.width}×{photo.height}")
    if not keep.any():
        raise MaskError("mask keeps no pixel of the photo")
    masked = Image.fromarray(apply_mask(np.asarray(photo), keep, fill)) if cut else photo
    return _centre(masked, spec) if crop == "centre" else _garment(masked, keep, spec, fill)


def _centre(photo: Image.Image, spec: BackboneSpec) -> NDArray[np.uint8]:
    """torchvision's Resize and CenterCrop on a Pillow image, roundings included, and a long strip's ends left out."""
    longest = _LONGEST * min(photo.size)
    if max(photo.size) > longest:
        left, top = max(0, photo.width - longest) // 2, max(0, photo.height - longest) // 2
        photo = photo.crop((left, top, photo.width - left, photo.height - top))
    width, height = photo.size
    if width <= height:
        size = (spec.resize, int(spec.resize * height / width))
    else:
        size = (int(spec.resize * width / height), spec.resize)
    resized = photo.resize(size, Image.Resampling.BILINEAR)
    left, top = round((size[0] - spec.width) / 2), round((size[1] - spec.height) / 2)
    return np.asarray(resized.crop((left, top, left + spec.width, top + spec.height)))


def _garment(photo: Image.Image, keep: Bools, spec: BackboneSpec, fill: Fill) -> NDArray[np.uint8]:
    rows, columns = np.flatnonzero(keep.any(1)), np.flatnonzero(keep.any(0))
    (top, bottom), (left, right) = (rows[0], rows[-1] + 1), (columns[0], columns[-1] + 1)
    pixel = max((right - left) / spec.width, (bottom - top) / spec.height) * (1 + 2 * MARGIN)
    if pixel >= 2 * _FINEST:
        factor = int(pixel / _FINEST)
        photo, pixel = photo.reduce(factor), pixel / factor
        left, right, top, bottom = left // factor, -(-right // factor), top // factor, -(-bottom // factor)
    width, height = max(1, round(spec.width * pixel)), max(1, round(spec.height * pixel))
    window = Image.new("RGB", (width, height), fill)
    window.paste(photo, (int(width - left - right) // 2, int(height - top - bottom) // 2))
    return np.asarray(window.resize((spec.width, spec.height), Image.Resampling.BILINEAR))


def normalise(batch: NDArray[np.uint8], spec: BackboneSpec) -> Singles:
    """uint8 (n, height, width, 3) to what the network reads: float32 (n, 3, height, width), (x/255 − mean) / std."""
    scale = (1 / (255 * np.asarray(spec.std))).astype(np.float32)
    shift = (np.asarray(spec.mean) / np.asarray(spec.std)).astype(np.float32)
    planes = batch.transpose(0, 3, 1, 2).astype(np.float32)
    planes *= scale[:, None, None]
    planes -= shift[:, None, None]
    return planes
