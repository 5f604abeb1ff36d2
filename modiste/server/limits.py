"""How much the service does at once: heavy work waits its turn in a queue, and what finds no room there is refused."""

from collections.abc import Callable
from typing import TypeVar

from anyio import CapacityLimiter, to_thread

T = TypeVar("T")


class BusyError(Exception):
    """More work than the service takes at once; answered as 429 with Retry-After."""


class WorkQueue:
    """Heavy work off the event loop: ``at_once`` pieces in threads of their own, ``waiting`` more wait."""

    def __init__(self, at_once: int, waiting: int) -> None:
        self._limiter = CapacityLimiter(at_once)
        self._room = at_once + waiting

    async def run(self, work: Callable[[], T]) -> T:
        """What ``work`` returns. Raises BusyError at once where there is no room left."""
        if not self._room:
            raise BusyError
        self._room -= 1
        try:
            return await to_thread.run_sync(work, limiter=self._limiter)
        finally:
            self._room += 1
