"""A page that takes long, as it comes: what is there at once, how far it is, and the rest; no script is needed.

Whoever leaves the page, or presses Stop, ends the work: its connection ends.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from threading import Event

from fastapi import Response
from fastapi.responses import StreamingResponse

from modiste.errors import ModisteError
from modiste.server.limits import BusyError, WorkQueue
from modiste.server.pages.rendering import HEADERS, notice
from modiste.shop.reports import Progress

SO_FAR, CAME = b"<!-- so far -->", b"<!-- what came -->"
"""Where in a page it says how far it is, and before what came of it."""


class LeftError(Exception):
    """Nobody waits for the work any more."""


def as_it_comes(begun: Response, queue: WorkQueue, work: Callable[[Progress], Response]) -> Response:
    """One page: ``begun`` up to SO_FAR, how far ``work`` is as often as it says so, what it gives from CAME on."""
    before, _, after = bytes(begun.body).partition(SO_FAR)
    close = after.partition(CAME)[0]

    async def coming() -> AsyncIterator[bytes]:
        loop, steps, left = asyncio.get_running_loop(), asyncio.Queue[tuple[int, int] | None](), Event()

        def progress(done: int, total: int) -> None:
            if left.is_set():
                raise LeftError
            loop.call_soon_threadsafe(steps.put_nowait, (done, total))

        task = asyncio.create_task(queue.run(lambda: work(progress)))
        task.add_done_callback(lambda _: steps.put_nowait(None))
        try:
            yield before
            while (step := await steps.get()) is not None:
                yield f"<p>{step[0]:,} of {step[1]:,} shoppers</p>\n".encode()
            try:
                yield close + bytes(task.result().body).partition(CAME)[2]
            except (ModisteError, BusyError) as error:
                said = "The service is busy; try again in a moment." if isinstance(error, BusyError) else str(error)
                yield close + notice(said).encode() + after.partition(CAME)[2]
        finally:
            left.set()
            if not task.done():
                task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())

    return StreamingResponse(coming(), media_type="text/html; charset=utf-8", headers=HEADERS)
