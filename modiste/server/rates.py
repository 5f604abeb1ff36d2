"""How many requests somebody may make in a minute, counted by all workers of a service together."""

import mmap
from collections.abc import Callable, Hashable
from hashlib import blake2b
from pathlib import Path
from time import monotonic

ROOMS = 1 << 20
"""Those who ask are told apart by so many numbers; two who share one share its room."""


class Rates:
    """Rooms that become free evenly: so many requests may come at once, then so many a minute.

    What was counted lies in ``file``, which every worker that is given it maps, 8 bytes for each of ROOMS: the time (of
    the machine's own clock, which all processes share) at which somebody's room is whole again. Without a file one
    process counts alone. Two workers that count at the very same time may count one request for two.
    """

    def __init__(self, file: Path | None = None, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        if file is None:
            self._mapped = mmap.mmap(-1, 8 * ROOMS)
        else:
            file.touch(0o600)
            with file.open("r+b") as opened:
                opened.truncate(8 * ROOMS)
                self._mapped = mmap.mmap(opened.fileno(), 8 * ROOMS)
        self._whole = memoryview(self._mapped).cast("d")

    def take(self, who: Hashable, per_minute: float, *, count: int = 1, burst: float | None = None) -> float:
        """Count ``count`` requests of ``who``: 0, or in how many seconds to come back where there were too many.

        ``burst``: by default as many as come in a minute. What doesn't fit is not counted.
        """
        room = int.from_bytes(blake2b(repr(who).encode("utf-8", "replace"), digest_size=8).digest()) % ROOMS
        now, each = self._clock(), 60 / per_minute
        whole = max(self._whole[room], now) + count * each
        wait = whole - now - (per_minute if burst is None else burst) * each
        if wait > 1e-9:
            return wait
        self._whole[room] = whole
        return 0.0
