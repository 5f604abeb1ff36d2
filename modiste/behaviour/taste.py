"""θ, a shopper's taste for what is popular, with its uncertainty.

The chance that she takes x of what is on offer is taken to be

    P(x) ∝ exp(θ · log popularity(x)) = popularity(x)^θ

so 0 means that she takes no notice of the crowd, 1 that she buys in proportion to popularity, and below 0 that she
avoids what is popular. All shoppers' θ are one normal distribution, the prior, which each purchase updates against what
was on offer that day. Of a shopper's purchases two sums are enough: the log popularity of what she bought, and the log
partition function log Σ_x exp(θ · log popularity(x)) of those days, as a function of θ; it is smooth, so ``NODES``
values tell it. A day's log partition is the same for all who buy on it. Both sums grow by addition, and shrink by
subtraction where a purchase is returned.

That shoppers differ in this, and steadily, was seen by Oh et al. (2011, "Novel recommendation based on personal
popularity tendency") and Abdollahpouri et al. (2021, "User-centered evaluation of popularity bias in recommender
systems"); Lesota et al. (2023, "Computational versus perceived popularity miscalibration in recommender systems") ask
whether people notice. Nagatani and Sato (2017) make popularity a feature of choice with a weight for each user.
"""

from dataclasses import dataclass

import numpy as np
from numpy.polynomial import chebyshev

from modiste.arrays import Floats

LOWEST, HIGHEST = -1.0, 2.0
"""The range of θ."""

NODES: Floats = (LOWEST + HIGHEST) / 2 - (HIGHEST - LOWEST) / 2 * np.cos(np.pi * np.arange(13) / 12)
"""The θ at which log partition functions are kept, float64 (13,): Chebyshev's, between which they are interpolated."""

GRID: Floats = np.linspace(LOWEST, HIGHEST, 241)
"""The θ over which posteriors are summed, float64 (241,)."""

_BLOCK = 8_192  # shoppers whose posteriors are held at once


def _scaled(theta: Floats) -> Floats:
    return (2 * theta - LOWEST - HIGHEST) / (HIGHEST - LOWEST)


_BETWEEN: Floats = chebyshev.chebvander(_scaled(GRID), len(NODES) - 1) @ np.linalg.inv(
    chebyshev.chebvander(_scaled(NODES), len(NODES) - 1)
)


@dataclass(frozen=True, slots=True)
class Prior:
    """The normal distribution of all shoppers' θ, cut to the range of θ."""

    mean: float = 1.0
    sd: float = 0.4

    def log_density(self) -> Floats:
        """Its logarithm over ``GRID``, float64 (241,), normalised to a sum of 1."""
        density = -0.5 * ((GRID - self.mean) / self.sd) ** 2
        normalised: Floats = density - _log_sum(density)
        return normalised


def log_partition(log_popularity: Floats) -> Floats:
    """log Σ_x exp(θ · log popularity(x)) at ``NODES``, float64 (13,), over what is on offer, (n,)."""
    # equal popularities are one exponential: most of a catalogue has never sold
    values, counts = np.unique(log_popularity, return_counts=True)
    partition: Floats = _log_sum(NODES[:, None] * values + np.log(counts))
    return partition


def posterior(bought: Floats, partitions: Floats, prior: Prior) -> tuple[Floats, Floats]:
    """Mean and standard deviation of shoppers' θ, float64 (m,) each.

    ``bought`` (m,): the sum of the log popularity of what each bought. ``partitions`` (m, 13): the sum of the
    log partitions of those purchases' days. Zeros give the prior's own.
    """
    means, sds = np.empty(len(bought)), np.empty(len(bought))
    for first in range(0, len(bought), _BLOCK):
        part = slice(first, first + _BLOCK)
        chances, _ = _chances(bought[part], partitions[part], prior)
        means[part] = chances @ GRID
        sds[part] = np.sqrt(np.maximum(chances @ GRID**2 - means[part] ** 2, 0.0))
    return means, sds


def fit_prior(bought: Floats, partitions: Floats) -> tuple[Prior, tuple[float, float]]:
    """The prior by marginal likelihood, and the standard errors of its mean and sd; arguments as of :func:`posterior`.

    Newton's method on (mean, log sd), whose gradient the posteriors' moments give. With too few purchases to tell
    shoppers apart, sd ends at its lowest, 0.02: then everybody's θ is the mean.
    """
    point, low, high = np.array([0.8, np.log(0.3)]), np.array([LOWEST, np.log(0.02)]), np.array([HIGHEST, 0.0])
    step, hessian = 1e-3, -np.eye(2)
    for _ in range(40):
        gradient = _gradient(bought, partitions, point)
        hessian = np.stack(
            [(_gradient(bought, partitions, point + move) - gradient) / step for move in step * np.eye(2)]
        )
        hessian = (hessian + hessian.T) / 2
        values, vectors = np.linalg.eigh(hessian)
        newton = vectors @ ((vectors.T @ gradient) / np.maximum(np.abs(values), 1e-9))  # uphill, whatever the curvature
        moved = np.clip(point + np.clip(newton, -0.3, 0.3), low, high)
        done = bool(np.abs(moved - point).max() < 1e-4)
        point = moved
        if done:
            break
    mean, sd = float(point[0]), float(np.exp(point[1]))
    free = point > low + 1e-6
    errors = np.full(2, np.nan)
    if free.all():
        errors = np.sqrt(np.maximum(np.diag(np.linalg.pinv(-hessian)), 0.0))
    return Prior(mean, sd), (float(errors[0]), float(errors[1] * sd))


def theta_words(mean: float, sd: float, purchases: int) -> str:
    """θ in words: "follows the crowd: 0.7 ± 0.3, 4 purchases" (± one standard deviation); "" without a purchase."""
    if purchases < 1:
        return ""
    words = "takes no notice of the crowd"
    if abs(mean) > 0.25:
        words = "follows the crowd" if mean > 0 else "avoids the crowd"
    return f"{words}: {mean:.1f} ± {sd:.1f}, {purchases} purchase{'' if purchases == 1 else 's'}"


def _log_sum(logs: Floats) -> Floats:
    """log Σ exp over the last axis."""
    top = logs.max(axis=-1, keepdims=True)
    summed: Floats = top[..., 0] + np.log(np.exp(logs - top).sum(axis=-1))
    return summed


def _chances(bought: Floats, partitions: Floats, prior: Prior) -> tuple[Floats, Floats]:
    """The posteriors over ``GRID``, (m, 241), and the log marginal likelihoods, (m,)."""
    logs = bought[:, None] * GRID - partitions @ _BETWEEN.T + prior.log_density()
    total = _log_sum(logs)
    return np.exp(logs - total[:, None]), total


def _gradient(bought: Floats, partitions: Floats, point: Floats) -> Floats:
    """Of the log marginal likelihood by (mean, log sd)."""
    prior = Prior(float(point[0]), float(np.exp(point[1])))
    away = (GRID - prior.mean) / prior.sd
    slopes = np.stack([away / prior.sd, away**2], axis=1)
    total = -len(bought) * (np.exp(prior.log_density()) @ slopes)
    for first in range(0, len(bought), _BLOCK):
        chances, _ = _chances(bought[first : first + _BLOCK], partitions[first : first + _BLOCK], prior)
        total += chances.sum(axis=0) @ slopes
    gradient: Floats = total
    return gradient
