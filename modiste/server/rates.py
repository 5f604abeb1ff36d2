"""How many requests somebody may make in a minute."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from time import monotonic

MOST = 20_000
"""So many of those who asked last are remembered; whoever is forgotten starts afresh."""


class Rates:
    """Buckets that fill evenly: ``per_minute`` requests may come at once, then one at a time as room is made.

    Each worker counts for itself.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._buckets: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def take(self, who: Hashable, per_minute: int) -> float:
        """Count one request of ``who``: 0, or in how many seconds to come back where there were too many."""
        now = self._clock()
        room, since = self._buckets.pop(who, (float(per_minute), now))
        room = min(room + (now - since) * per_minute / 60, per_minute)
        wait = 0.0 if room >= 1 else (1 - room) * 60 / per_minute
        self._buckets[who] = (room if wait else room - 1, now)
        if len(self._buckets) > MOST:
            self._buckets.popitem(last=False)
        return wait
