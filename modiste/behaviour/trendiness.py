"""Trendiness from real purchases: a shopper who buys what is popular follows the trend."""

from typing import TypeVar

import numpy as np

from modiste.arrays import Floats

STRENGTH = 3.0
"""How many purchases the population's mean is worth in a shopper's estimate."""

Number = TypeVar("Number", float, Floats)


def estimated_trendiness(normpop: Number, purchases: Number, mean: float) -> Number:
    """A shopper's τ in [0, 1]: the mean popularity of what she bought, shrunk towards the mean of all purchases.

    ``normpop``: the sum, over her ``purchases``, of the item's normalised popularity just before she bought it;
    numbers, or arrays for many shoppers. ``mean``: the mean of that over everybody's. The estimate orders shoppers as
    their τ does, but in a narrower range: even a shopper of τ = 1 buys items that are less than the most popular.
    """
    estimate = (normpop + STRENGTH * mean) / (purchases + STRENGTH)
    # sums from which purchases were taken again are out by their rounding
    return estimate.clip(0, 1) if isinstance(estimate, np.ndarray) else min(max(estimate, 0.0), 1.0)
