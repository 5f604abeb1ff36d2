"""What another way of choosing would have earned, told from lists that were shown: replay by inverse propensity.

All take float64 arrays (n,), one row for each list (or place of one) that was logged: ``reward``, what came of it;
``logged``, the probability with which it was chosen, above 0; ``target``, the probability with which the other
way would have chosen the same. Where the other way would choose what is never shown, nothing can be told from the log.
"""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from modiste.arrays import Array, Floats, Ints
from modiste.errors import SettingError

_Z = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean reward with its 95% interval, from ``n`` rows that are worth ``effective`` rows of the other way's own
    (Kish's effective sample size): far fewer than ``n`` means that the log tells little."""

    value: float
    low: float
    high: float
    n: int
    effective: float


def ips(reward: Array, logged: Array, target: Array, shopper: Ints | None = None) -> Estimate:
    """Inverse propensity scoring (Horvitz and Thompson 1952): unbiased, and the more uncertain the less is in common.

    ``shopper`` int64 (n,) says whose each row is: rows of one shopper resemble one another. Raises SettingError.
    """
    weights = _weights(reward, logged, target)
    value = float((weights * reward).mean())
    return _estimate(value, weights * reward - value, weights, shopper)


def snips(reward: Array, logged: Array, target: Array, shopper: Ints | None = None) -> Estimate:
    """Self-normalised IPS (Swaminathan and Joachims 2015): a weighted mean; a little biased, and mostly closer."""
    weights = _weights(reward, logged, target)
    total = weights.mean()
    if not total:
        return Estimate(np.nan, np.nan, np.nan, len(weights), 0.0)
    value = float((weights * reward).mean() / total)
    return _estimate(value, weights * (reward - value) / total, weights, shopper)


def doubly_robust(
    reward: Array, logged: Array, target: Array, predicted: Array, expected: Array, shopper: Ints | None = None
) -> Estimate:
    """Doubly robust (Dudík, Langford and Li 2011): a prediction, corrected by IPS of what it got wrong.

    ``predicted`` (n,) is the reward predicted for what was shown, ``expected`` (n,) the prediction's mean over what the
    other way would have shown. Right if the propensities or the prediction are right.
    """
    weights = _weights(reward, logged, target)
    rows = np.asarray(expected, np.float64) + weights * (np.asarray(reward) - np.asarray(predicted))
    value = float(rows.mean())
    return _estimate(value, rows - value, weights, shopper)


def _weights(reward: Array, logged: Array, target: Array) -> Floats:
    if not len(reward) == len(logged) == len(target) or not len(reward):
        raise SettingError(
            f"{len(reward)} rewards, {len(logged)} and {len(target)} propensities; there must be as many"
        )
    if (np.asarray(logged) <= 0).any():
        raise SettingError("a list that was shown has a propensity above 0; log it with the list")
    return np.asarray(target, np.float64) / np.asarray(logged, np.float64)


def _estimate(value: float, deviations: Floats, weights: Floats, shopper: Ints | None) -> Estimate:
    """With the interval from each row's deviation, those of one shopper together."""
    n = len(deviations)
    sums = deviations if shopper is None else np.bincount(np.unique(shopper, return_inverse=True)[1], deviations)
    half = _Z * float(np.sqrt((sums**2).sum())) / n
    effective = float(weights.sum() ** 2 / max((weights**2).sum(), 1e-300))
    return Estimate(value, value - half, value + half, n, effective)
