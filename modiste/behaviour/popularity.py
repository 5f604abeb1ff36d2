"""Popularity: how often each item was bought, decayed over time if wanted, normalised over the catalogue."""

import numpy as np

from modiste.arrays import Array, Floats, Ints
from modiste.errors import SettingError


def normalise(counts: Floats) -> Floats:
    """Min-max over the catalogue: float64 (n,) counts to float64 (n,) in [0, 1]; zeros if all counts are equal."""
    if not len(counts):
        return np.zeros(0)
    low, high = counts.min(), counts.max()
    if not high > low:
        return np.zeros(len(counts))
    share: Floats = counts - low
    share /= high - low  # in place: a million items are asked about after each purchase
    return share


def decayed_counts(
    rows: Ints, ages: Array, half_life: float | None, start: Floats, bought: Array | None = None
) -> Floats:
    """Counts per item, float64 (n,): ``start`` plus one for each purchase, worth 2^(−age / half_life) if decayed.

    ``rows``: int64 (m,) the item of each purchase, or of ``bought`` (m,) of them. ``ages``: (m,) in days, 0 or more.
    ``half_life`` in days, None: no decay. The start counts have no date and do not decay. Raises SettingError for a
    half-life of 0 or less.
    """
    if half_life is not None and not half_life > 0:
        raise SettingError(f"the half-life must be more than 0 days, not {half_life}")
    worth = (
        bought if half_life is None else np.exp2(-np.maximum(ages, 0) / half_life) * (1 if bought is None else bought)
    )
    return start + np.bincount(rows, worth, minlength=len(start))


class RunningCounts:
    """Counts that change one purchase at a time, with the normalised popularity of any item at that moment."""

    def __init__(self, start: Floats) -> None:
        self.counts: list[float] = start.astype(float).tolist()
        self.low, self.high = (float(start.min()), float(start.max())) if len(start) else (0.0, 0.0)
        self._at_low = self.counts.count(self.low)

    def normalised(self, row: int) -> float:
        """The item's normalised popularity now, in [0, 1]."""
        return (self.counts[row] - self.low) / (self.high - self.low) if self.high > self.low else 0.0

    def add(self, row: int) -> bool:
        """Count one purchase; True if the catalogue's lowest count has risen by it."""
        before = self.counts[row]
        self.counts[row] = before + 1
        self.high = max(self.high, before + 1)
        if before != self.low:
            return False
        self._at_low -= 1
        if self._at_low:
            return False
        self.low = min(self.counts)
        self._at_low = self.counts.count(self.low)
        return True
