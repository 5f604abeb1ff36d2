"""Pictures on their way out: thumbnails and drawn masks, made by few threads at a time and cached in memory."""

import base64
from collections.abc import Callable, Hashable
from io import BytesIO
from typing import Generic, TypeVar

from PIL import Image

from modiste.server.limits import WorkQueue

HEIGHTS = (60, 120, 160, 220, 330, 480, 720, 1024)
"""The heights of thumbnails; another one is rounded up, so that no visitor can fill the memory with a thousand."""

THUMBNAILS, MASKS = 512, 256
"""How many of each a worker's cache has."""

T = TypeVar("T")


class Cache(Generic[T]):
    """The last ``most`` things asked for, by keys that name their content. For the event loop's thread alone."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._things: dict[Hashable, T] = {}

    def __len__(self) -> int:
        return len(self._things)

    async def get(self, key: Hashable, make: Callable[[], T], queue: WorkQueue) -> T:
        """What the cache has under ``key``, else what ``make`` returns in ``queue``. Raises what that raises."""
        if key in self._things:
            self._things[key] = self._things.pop(key)
        else:
            self._things[key] = await queue.run(make)
            if len(self._things) > self._most:
                del self._things[next(iter(self._things))]
        return self._things[key]


def step(height: int) -> int:
    """The height of the thumbnail that stands for ``height``: the next of HEIGHTS."""
    return next((one for one in HEIGHTS if one >= height), HEIGHTS[-1])


def encoded(picture: Image.Image, form: str = "PNG", **options: object) -> bytes:
    """The picture's bytes in a format of Pillow's."""
    buffer = BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()


def data_uri(picture: Image.Image, form: str = "JPEG", **options: object) -> str:
    """The picture as a data URI in a format of Pillow's."""
    return f"data:image/{form.lower()};base64,{base64.b64encode(encoded(picture, form, **options)).decode()}"
