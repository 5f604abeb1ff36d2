"""Opening photos safely: whatever a shop's folder holds becomes upright RGB, or a PhotoError that says why not."""

import warnings
from io import BytesIO
from pathlib import Path
from threading import Lock
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from modiste.errors import PhotoError

MAX_PIXELS = 64_000_000
"""Larger photos are refused before they are decoded: a small file can unpack to gigabytes."""

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
"""What is decoded; JPEG includes MPO, the files of phones that take several pictures at once."""

_WARNINGS = Lock()  # warnings.catch_warnings changes the whole process, and photos are opened by several threads

_ROWS = 256  # converted at a time

_WITH_ALPHA = ("RGBA", "LA", "PA", "La", "RGBa")


def open_photo(source: Path | bytes | BinaryIO, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """The photo as upright RGB: EXIF orientation applied, alpha laid on white, the first frame of an animation.

    CMYK, greyscale, palette and 16-bit photos are converted. Raises PhotoError with the reason if it is missing, empty,
    truncated, no image, or larger than ``max_pixels``.
    """
    with _opened(source, max_pixels) as photo:
        try:
            photo.load()
            return _to_rgb(_upright(photo))
        except Exception as error:  # Pillow's decoders raise many kinds, struct.error and SyntaxError among them
            raise _damaged(error) from error


def check_photo(source: Path | bytes | BinaryIO, *, max_pixels: int = MAX_PIXELS) -> None:
    """Read a photo to its end, at an eighth of its size where the format allows it. Raises PhotoError."""
    with _opened(source, max_pixels) as photo:
        try:
            photo.draft("RGB", (max(1, photo.width // 8), max(1, photo.height // 8)))
            photo.load()
        except Exception as error:
            raise _damaged(error) from error


def _opened(source: Path | bytes | BinaryIO, max_pixels: int) -> Image.Image:
    """The photo with its header read and its pixels not."""
    if source == b"":
        raise PhotoError("photo is empty")
    try:
        if isinstance(source, Path) and source.stat().st_size == 0:
            raise PhotoError("photo is empty (0 bytes)")
        with _WARNINGS, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of damaged EXIF, and of a size that is checked below
            photo = Image.open(BytesIO(source) if isinstance(source, bytes) else source, formats=FORMATS)
    except PhotoError:
        raise
    except FileNotFoundError as error:
        raise PhotoError("there is no such photo") from error
    except UnidentifiedImageError as error:
        raise PhotoError("not a photo that can be read (JPEG, PNG, WebP, GIF, BMP or TIFF)") from error
    except Image.DecompressionBombError as error:
        raise PhotoError(f"photo has more than {max_pixels / 1e6:g} megapixels; make it smaller") from error
    except Exception as error:
        raise _damaged(error) from error
    if photo.width * photo.height > max_pixels:
        size = f"{photo.width}×{photo.height}"
        photo.close()
        raise PhotoError(f"photo is {size} pixels, more than {max_pixels / 1e6:g} megapixels; make it smaller")
    return photo


def _damaged(error: Exception) -> PhotoError:
    why = error.strerror if isinstance(error, OSError) and error.strerror else str(error) or type(error).__name__
    return PhotoError(f"photo can't be decoded, it may be truncated or damaged ({why})")


def _upright(photo: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(photo)
    except Exception:  # damaged EXIF around sound pixels: take the photo as it lies
        return photo


def _to_rgb(photo: Image.Image) -> Image.Image:
    if photo.mode.startswith("I;16") or photo.mode in ("I", "F"):
        return Image.fromarray(_in_8_bits(photo)).convert("RGB")
    if photo.mode in _WITH_ALPHA or "transparency" in photo.info:
        clear = photo.convert("RGBA")
        white = Image.new("RGB", clear.size, "white")
        white.paste(clear, mask=clear.getchannel("A"))
        return white
    return photo.convert("RGB")


def _in_8_bits(photo: Image.Image) -> NDArray[np.uint8]:
    """The levels of a photo of 16 or 32 bits, uint8 (h, w); a few rows at a time, as small files hold large photos."""
    levels = np.asarray(photo)
    white = 1.0 if photo.mode == "F" and np.nanmax(levels, initial=0) <= 1 else 65535.0
    small = np.empty(levels.shape, np.uint8)
    for top in range(0, len(levels), _ROWS):
        rows = np.nan_to_num(levels[top : top + _ROWS].astype(np.float64))
        small[top : top + _ROWS] = np.clip(rows / white * 255 + 0.5, 0, 255)
    return small
