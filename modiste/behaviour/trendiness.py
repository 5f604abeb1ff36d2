"""Trendiness from real purchases: a shopper who buys what is popular follows the trend."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from modiste.behaviour.popularity import Floats, Rows, RunningCounts

STRENGTH = 3.0
"""How many purchases the population's mean is worth in a shopper's estimate."""


def estimate_trendiness(shoppers: Sequence[str], normpop: Floats, strength: float = STRENGTH) -> pl.DataFrame:
    """Each shopper's τ in [0, 1]: the mean normalised popularity of what she bought, shrunk towards the mean of all.

    ``shoppers``: the buyer of each purchase. ``normpop``: float64 (m,), the item's normalised popularity when bought.
    Returns shopper_id, trendiness, purchases (how many), by shopper id. The estimate orders shoppers as their τ does,
    but in a narrower range: even a shopper of τ = 1 buys items that are less than the most popular.
    """
    frame = pl.DataFrame(
        {"shopper_id": list(shoppers), "n": normpop}, schema={"shopper_id": pl.String, "n": pl.Float64}
    )
    prior = float(np.mean(normpop)) if len(normpop) else 0.5
    return (
        frame.group_by("shopper_id")
        .agg(total=pl.col("n").sum(), purchases=pl.len().cast(pl.Int64))
        .select(
            "shopper_id",
            trendiness=((pl.col("total") + strength * prior) / (pl.col("purchases") + strength)).clip(0, 1),
            purchases="purchases",
        )
        .sort("shopper_id")
    )


class RunningTrendiness:
    """Trendiness estimated from purchases that go on coming, each counted once.

    ``start``: float64 (n,), each item's count of purchases before the first.
    """

    def __init__(self, start: Floats) -> None:
        self._counts = RunningCounts(start)
        self._shoppers: list[str] = []
        self._normpop: list[float] = []

    def add(self, shoppers: Sequence[str], rows: Rows) -> None:
        """Purchases in the order made: who bought, and which item, int64 (m,)."""
        for row in rows.tolist():
            self._normpop.append(self._counts.normalised(row))
            self._counts.add(row)
        self._shoppers.extend(shoppers)

    def estimates(self) -> pl.DataFrame:
        """As :func:`estimate_trendiness` of all purchases so far."""
        return estimate_trendiness(self._shoppers, np.array(self._normpop))
