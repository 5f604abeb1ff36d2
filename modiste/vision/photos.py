"""Opening photos safely: whatever a shop's folder holds becomes upright RGB, or a PhotoError that says why not."""

import warnings
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from modiste.errors import PhotoError

MAX_PIXELS = 64_000_000
"""Larger photos are refused before they are decoded: a small file can unpack to gigabytes."""

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "MPO")
"""What is decoded; MPO is the JPEG of phones that take several pictures at once."""


def open_photo(source: Path | bytes, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """The photo as upright RGB: EXIF orientation applied, alpha laid on white, the first frame of an animation.

    CMYK, greyscale, palette and 16-bit photos are converted. Raises PhotoError with the reason if it is missing,
    empty, truncated, no image, or larger than ``max_pixels``.
    """
    with _opened(source, max_pixels) as photo:
        try:
            photo.load()
            return _to_rgb(ImageOps.exif_transpose(photo))
        except Exception as error:  # Pillow's decoders raise many kinds, struct.error and SyntaxError among them
            raise PhotoError(f"can't be decoded, perhaps truncated ({error})") from error


def check_photo(source: Path | bytes, *, max_pixels: int = MAX_PIXELS) -> None:
    """Read a photo to its end, at an eighth of its size where the format allows it. Raises PhotoError."""
    with _opened(source, max_pixels) as photo:
        photo.draft("RGB", (max(1, photo.width // 8), max(1, photo.height // 8)))
        try:
            photo.load()
        except Exception as error:
            raise PhotoError(f"can't be decoded, perhaps truncated ({error})") from error


def _opened(source: Path | bytes, max_pixels: int) -> Image.Image:
    if not isinstance(source, bytes) and not source.is_file():
        raise PhotoError("there is no such file")
    if (len(source) if isinstance(source, bytes) else source.stat().st_size) == 0:
        raise PhotoError("is empty")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own size warning: our limit below is the one that counts
            photo = Image.open(BytesIO(source) if isinstance(source, bytes) else source, formats=FORMATS)
    except UnidentifiedImageError as error:
        raise PhotoError("is not an image that can be read (JPEG, PNG, WebP, GIF, BMP or TIFF)") from error
    except Image.DecompressionBombError as error:
        raise PhotoError(f"is larger than {max_pixels / 1e6:.0f} megapixels") from error
    except Exception as error:
        raise PhotoError(f"can't be opened ({error})") from error
    if photo.width * photo.height > max_pixels:
        size = f"{photo.width}×{photo.height}"
        photo.close()
        raise PhotoError(f"is {size} pixels, more than {max_pixels / 1e6:.0f} megapixels")
    return photo


def _to_rgb(photo: Image.Image) -> Image.Image:
    if photo.mode.startswith("I;16") or photo.mode in ("I", "F"):
        levels = np.asarray(photo, dtype=np.float64)
        top = 1.0 if photo.mode == "F" and levels.max(initial=0) <= 1 else 65535.0
        return Image.fromarray(np.clip(levels / top * 255 + 0.5, 0, 255).astype(np.uint8)).convert("RGB")
    if photo.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in photo.info:
        clear = photo.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear).convert("RGB")
    return photo.convert("RGB")
