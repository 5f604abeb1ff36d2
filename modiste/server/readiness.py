"""Whether the service can answer: whether the shop is open, and its database answers."""

import asyncio
from collections.abc import Callable

from anyio import CapacityLimiter, to_thread

from modiste.shop.shop import Shop

READY_S = 3.0
"""A database that hasn't answered in so many seconds makes the service not ready."""


class Readiness:
    """Asks the shop's database, in one thread at a time however many want to know."""

    def __init__(self, shop: Callable[[], Shop | None]) -> None:
        self._shop = shop
        self._limiter = CapacityLimiter(1)
        self._running: asyncio.Task[bool] | None = None

    async def check(self) -> bool:
        """True if the database answered within READY_S; false otherwise, and while it hangs."""
        running = self._running
        if running is None or running.done():
            running = self._running = asyncio.create_task(to_thread.run_sync(self._answers, limiter=self._limiter))
        done, _ = await asyncio.wait({running}, timeout=READY_S)
        return bool(done) and running.result()

    def _answers(self) -> bool:
        shop = self._shop()
        if shop is None:
            return False
        try:
            shop.vectors.spaces()
        except Exception:
            return False
        return True
