"""Pictures that are made here: thumbnails and drawn masks, made by few threads at a time and kept in memory."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from io import BytesIO
from pathlib import Path
from typing import Generic, TypeVar

from PIL import Image

from modiste.server.gate import Turnstile
from modiste.vision.photos import open_photo

HEIGHTS = (60, 120, 160, 220, 330, 480, 720, 1024)
"""The heights of thumbnails; another one is rounded up, so that no visitor can fill the memory with a thousand."""

THUMBNAILS, MASKS = 512, 256
"""How many of each a worker keeps."""

T = TypeVar("T")


class Kept(Generic[T]):
    """The last ``most`` things asked for, by keys that name their content. For the event loop's thread alone."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._things: OrderedDict[Hashable, T] = OrderedDict()

    def __len__(self) -> int:
        return len(self._things)

    async def get(self, key: Hashable, make: Callable[[], T], turnstile: Turnstile) -> T:
        """What is kept under ``key``, else what ``make`` returns behind ``turnstile``. Raises what that raises."""
        if key not in self._things:
            made = await turnstile.run(make)
            self._things[key] = made
            if len(self._things) > self._most:
                self._things.popitem(last=False)
            return made
        self._things.move_to_end(key)
        return self._things[key]


def step(height: int) -> int:
    """The height of the thumbnail that stands for ``height``: the next of HEIGHTS."""
    return next((one for one in HEIGHTS if one >= height), HEIGHTS[-1])


def thumbnail(image: Path, height: int) -> bytes:
    """A photo as a JPEG of at most ``height`` pixels high and twice as wide. Raises PhotoError."""
    small = open_photo(image)
    small.thumbnail((2 * height, height), Image.Resampling.LANCZOS)
    return encoded(small, "JPEG", quality=82)


def encoded(picture: Image.Image, form: str = "PNG", **options: object) -> bytes:
    """The picture's bytes in a format of Pillow's."""
    buffer = BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()
