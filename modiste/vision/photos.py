"""Opening photos safely: whatever a shop's folder holds becomes upright RGB, or a PhotoError that says why not.

What a photo costs is judged from its header. Decoding and converting one takes at most MAX_MEMORY beside its file.
"""

import math
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from threading import Lock
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, UnidentifiedImageError
from PIL.JpegImagePlugin import JpegImageFile
from PIL.TiffImagePlugin import TiffImageFile

from modiste.catalog.files import open_regular
from modiste.errors import ModisteError, PhotoError
from modiste.extras import install_command

MAX_PIXELS = 64_000_000
"""Larger photos are refused before they are decoded: a small file can unpack to gigabytes."""

MAX_SIDE = 65_535
"""The longest side of a photo, in pixels."""

MAX_BYTES = 100_000_000
"""Larger files are refused before they are read."""

MAX_MEMORY = 200_000_000
"""Bytes that decoding a photo may take, as far as its header tells; a photo that would take more is refused."""

READ_PIXELS = 8_000_000
"""A photo with more is read at the half, third … of its width and height: no network looks closer."""

with suppress(ImportError):
    import pi_heif

    pi_heif.register_heif_opener(thumbnails=False)

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", *(["HEIF"] if "pi_heif" in sys.modules else []))
"""What is decoded; JPEG includes MPO, the files of phones that take several pictures at once. HEIF (HEIC) needs the
extra ``formats``."""

_LARGE = Lock()  # of the photos that take more than _SMALL bytes, one is decoded at a time
_SMALL = 50_000_000
_WARNINGS = Lock()  # warnings.catch_warnings changes the whole process, and photos are opened by several threads

_BAND = 500_000  # pixels that are converted at a time
_ROW = 8  # bytes that Pillow keeps for each row, beside its pixels
_DEEP = ("I", "F")
_WITH_ALPHA = ("RGBA", "LA", "PA", "La", "RGBa")
_STORED = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2, "I;16N": 2}
"""Bytes a pixel in Pillow's memory, by mode; 4 in all others."""

_DECODER = {"WEBP": 10.3, "AVIF": 5.5, "HEIF": 4.5}
"""Bytes a pixel that a format's decoder takes beside Pillow's own, measured by benchmarks/photo_memory.py."""

_ORIENTATION, _COMPRESSION, _BITS, _ROWS_PER_STRIP, _TILE_WIDTH, _TILE_LENGTH = 274, 259, 258, 278, 322, 323  # tags

_SRGB = ImageCms.createProfile("sRGB")
_PROFILED = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}
_PROBE = Image.fromarray(np.stack(np.meshgrid(*[np.arange(0, 256, 51).astype(np.uint8)] * 3), -1).reshape(-1, 6, 3))
"""Colours that tell whether a profile is sRGB by another name."""

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What makes a photo upright, by its EXIF orientation."""


def open_photo(source: Path | bytes | BinaryIO, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """The photo as upright RGB: EXIF orientation applied, alpha laid on white, the first frame of an animation.

    CMYK, greyscale, palette and 16-bit photos are converted, and colours of another profile than sRGB. One with more
    than READ_PIXELS is read at the half, third … of its size, which ``info["full_size"]`` has then, (width, height)
    upright. Raises PhotoError with the reason if it is missing, no regular file, empty, truncated, no image, larger
    than ``max_pixels``, or would take too much memory.
    """
    with decoded(source, READ_PIXELS, max_pixels=max_pixels) as (photo, full):
        rgb = _in_rgb(photo, _factor(photo.size, READ_PIXELS))
        turn = _UPRIGHT.get(_orientation(photo))
    if turn is not None:
        rgb = rgb.transpose(turn)
    if rgb.width * rgb.height < full[0] * full[1]:
        rgb.info["full_size"] = full if (rgb.width > rgb.height) == (full[0] > full[1]) else full[::-1]
    return rgb


def check_photo(source: Path | bytes | BinaryIO, *, max_pixels: int = MAX_PIXELS) -> None:
    """Read a photo to its end, at an eighth of its size where the format allows it. Raises PhotoError."""
    with decoded(source, 1, max_pixels=max_pixels) as (_, full):
        if max(full) < 4:
            raise PhotoError(f"photo is {full[0]}×{full[1]} pixels, which show nothing; give the garment's photo")


def thumbnail_of(source: Path, height: int) -> bytes:
    """A photo as a JPEG of at most ``height`` pixels high and twice as wide. Raises PhotoError."""
    small, buffer = open_photo(source), BytesIO()
    small.thumbnail((2 * height, height), Image.Resampling.LANCZOS)
    small.save(buffer, "JPEG", quality=82)
    return buffer.getvalue()


@contextmanager
def decoded(
    source: Path | bytes | BinaryIO, enough: int, *, max_pixels: int = MAX_PIXELS
) -> Iterator[tuple[Image.Image, tuple[int, int]]]:
    """A photo as it lies in its file, with its size there; a JPEG with more than ``enough`` pixels at a half, a
    quarter or an eighth of it. Raises PhotoError, also for what Pillow raises while it is open."""
    with _opened(source, max_pixels) as photo:
        full = photo.size
        with _room(photo, _draft(photo, enough)):
            try:
                photo.load()
                yield photo, full
            except ModisteError:
                raise
            except Exception as error:  # Pillow's decoders raise many kinds, struct.error and SyntaxError among them
                raise _damaged(error) from error


@contextmanager
def _opened(source: Path | bytes | BinaryIO, max_pixels: int) -> Iterator[Image.Image]:
    """The photo with its header read and its pixels not."""
    with ExitStack() as opened:
        try:
            if isinstance(source, Path):
                file: BinaryIO = opened.enter_context(open_regular(source, MAX_BYTES))
            else:
                file = BytesIO(source) if isinstance(source, bytes) else source
            if not file.read(1):
                raise PhotoError("photo is empty (0 bytes)")
            file.seek(0)
            with _WARNINGS, warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of damaged EXIF, and of a size that is checked below
                photo = opened.enter_context(Image.open(file, formats=FORMATS))
        except PhotoError:
            raise
        except FileNotFoundError as error:
            raise PhotoError("there is no such photo") from error
        except UnidentifiedImageError as error:
            if _is_heic(file):
                raise PhotoError(
                    f"photo is a HEIC, which needs the extra formats: {install_command('formats')}"
                ) from error
            raise PhotoError("not a photo that can be read (JPEG, PNG, WebP, AVIF, HEIC, GIF, BMP or TIFF)") from error
        except Image.DecompressionBombError as error:
            raise PhotoError(f"photo has more than {max_pixels / 1e6:g} megapixels; make it smaller") from error
        except Exception as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise PhotoError(f"photo can't be read: {error.strerror}") from error
            raise _damaged(error) from error
        size = f"photo is {photo.width}×{photo.height} pixels"
        if max(photo.size) > MAX_SIDE:
            raise PhotoError(f"{size}; a side has at most {MAX_SIDE:,}, cut it to the garment")
        if photo.width * photo.height > max_pixels:
            raise PhotoError(f"{size}, more than {max_pixels / 1e6:g} megapixels; make it smaller")
        yield photo


def _is_heic(source: BinaryIO) -> bool:
    source.seek(0)
    return source.read(12)[4:] in (b"ftypheic", b"ftypheix", b"ftypmif1", b"ftypheim", b"ftypmsf1")


def _damaged(error: Exception) -> PhotoError:
    why = error.strerror if isinstance(error, OSError) and error.strerror else str(error) or type(error).__name__
    return PhotoError(f"photo can't be decoded, it may be truncated or damaged ({why})")


# What it costs


def _factor(size: tuple[int, int], most: int) -> int:
    """By what both sides are divided so that at most ``most`` pixels are left."""
    return math.ceil(math.sqrt(size[0] * size[1] / most))


def _draft(photo: Image.Image, most: int) -> int:
    """Let a JPEG of more than ``most`` pixels be decoded at a half, a quarter or an eighth; returns the cost."""
    width, height = full = photo.size
    try:
        if photo.format in ("JPEG", "MPO"):
            scale = next((one for one in (1, 2, 4) if width * height <= most * one**2), 8)
            photo.draft(None, (max(1, width // scale), max(1, height // scale)))
        return _cost(photo, full)
    except Exception as error:  # whatever a header may say, such as that a JPEG samples nothing
        raise _damaged(error) from error


def _cost(photo: Image.Image, full: tuple[int, int]) -> int:
    """Bytes that it takes to decode and convert the photo, as far as its header tells; ``full`` is its whole size."""
    pixels = photo.width * photo.height
    stored = pixels * _STORED.get(photo.mode, 4) + photo.height * _ROW
    converted = 4 * pixels / _factor(photo.size, READ_PIXELS) ** 2 + _BAND * 32
    decoder = 0.0
    if isinstance(photo, JpegImageFile) and _keeps_coefficients(photo):
        shares = [wide * high for _, wide, high, _ in photo.layer]
        most = max(wide for _, wide, _, _ in photo.layer) * max(high for _, _, high, _ in photo.layer)
        decoder = 2 * full[0] * full[1] * sum(shares) / most
    elif isinstance(photo, TiffImageFile):
        decoder = _strip(photo)
    kept = pixels * _DECODER.get(str(photo.format), 0.0)  # until the photo is closed
    return math.ceil(stored + kept + max(decoder, converted))


def _keeps_coefficients(photo: JpegImageFile) -> bool:
    """Whether the decoder holds all of the photo at once: it comes in several scans."""
    if "progressive" in photo.info or photo.fp is None:
        return True
    place = photo.fp.tell()  # behind the mark of the first scan: its length, and how many of the layers it has
    scan = photo.fp.read(3)
    photo.fp.seek(place)
    return len(scan) < 3 or scan[2] < len(photo.layer)


def _strip(photo: TiffImageFile) -> int:
    """Bytes of the largest strip or tile, which is decompressed as a whole, and of the file, which is mapped."""
    tags = photo.tag_v2
    if tags.get(_COMPRESSION, 1) == 1 or photo.fp is None:
        return 0
    place = photo.fp.tell()
    file = photo.fp.seek(0, os.SEEK_END)
    photo.fp.seek(place)
    wide = tags.get(_TILE_WIDTH, photo.width)
    high = tags.get(_TILE_LENGTH) or min(tags.get(_ROWS_PER_STRIP, photo.height), photo.height)
    return file + int(wide) * int(high) * max(4, -(-sum(tags.get(_BITS, (1,))) // 8))


@contextmanager
def _room(photo: Image.Image, cost: int) -> Iterator[None]:
    """Wait until there is room for it. Raises PhotoError where there never is."""
    if cost > MAX_MEMORY:
        raise PhotoError(
            f"photo takes {cost / 1e6:.0f} MB to decode ({photo.width}×{photo.height} {photo.mode}, {photo.format}), "
            f"at most {MAX_MEMORY / 1e6:.0f} are given; make it smaller, or save it as a baseline JPEG"
        )
    with _LARGE if cost > _SMALL else nullcontext():
        yield


# What it becomes


def _orientation(photo: Image.Image) -> int:
    try:
        return int(photo.getexif().get(_ORIENTATION, 1))
    except Exception:  # damaged EXIF around sound pixels: take the photo as it lies
        return 1


def _in_rgb(photo: Image.Image, factor: int) -> Image.Image:
    """RGB at 1 / ``factor`` of both sides; a few rows at a time, as small files hold large photos."""
    white, colours = _white(photo), _colours(photo.info.get("icc_profile"))
    rows = factor * max(1, _BAND // (photo.width * factor))
    rgb = Image.new("RGB", (-(-photo.width // factor), -(-photo.height // factor)))
    for top in range(0, photo.height, rows):
        band = _to_rgb(photo.crop((0, top, photo.width, min(top + rows, photo.height))), white, colours)
        rgb.paste(band if factor == 1 else band.reduce(factor), (0, top // factor))
    return rgb


def _white(photo: Image.Image) -> float:
    """The level that is white in a photo of more than 8 bits."""
    if photo.mode != "F":
        return 65535.0
    rows = max(1, _BAND // photo.width)
    bands = (photo.crop((0, top, photo.width, min(top + rows, photo.height))) for top in range(0, photo.height, rows))
    return 1.0 if max(float(np.nanmax(np.asarray(band), initial=0)) for band in bands) <= 1 else 65535.0


@lru_cache(maxsize=32)
def _colours(profile: bytes | None) -> tuple[str, ImageCms.ImageCmsTransform] | None:
    """A mode, and what changes the colours of photos in it from ``profile`` to sRGB; None where nothing is changed."""
    if not profile:
        return None
    try:
        theirs = ImageCms.ImageCmsProfile(BytesIO(profile))
        mode = _PROFILED[theirs.profile.xcolor_space.strip()]
        made = ImageCms.buildTransform(theirs, _SRGB, mode, "RGB")
    except Exception:  # a damaged profile around sound pixels: take them for sRGB
        return None
    if mode == "RGB":
        changed = np.asarray(ImageCms.applyTransform(_PROBE, made)).astype(int) - np.asarray(_PROBE)
        if np.abs(changed).max() <= 2:
            return None
    return mode, made


def _to_rgb(photo: Image.Image, white: float, colours: tuple[str, ImageCms.ImageCmsTransform] | None) -> Image.Image:
    if photo.mode.startswith("I;16") or photo.mode in _DEEP:
        photo = Image.fromarray(_in_8_bits(np.asarray(photo), white))
    if photo.mode in _WITH_ALPHA or "transparency" in photo.info:
        clear = photo.convert("RGBA")
        photo = Image.new("RGB", clear.size, "white")
        photo.paste(clear, mask=clear.getchannel("A"))
    if colours is None:
        return photo.convert("RGB")
    mode, transform = colours
    photo = photo.convert("RGB") if mode == "RGB" else photo
    if photo.mode != mode:  # the profile is that of another photo
        return photo.convert("RGB")
    changed = ImageCms.applyTransform(photo, transform)
    return photo if changed is None else changed


def _in_8_bits(levels: NDArray[np.generic], white: float) -> NDArray[np.uint8]:
    """The levels of a photo of 16 or 32 bits, uint8 (h, w)."""
    shares = np.nan_to_num(levels.astype(np.float32)) / white
    small: NDArray[np.uint8] = np.clip(shares * 255 + 0.5, 0, 255).astype(np.uint8)
    return small
