"""The relevance formula: how much a candidate suits a shopper at one of her purchases, and why.

    relevance = α · visual + β · (1 − (n − τ)^p) + γ · category + δ · exp(−km / 10)

the scoring function of "Trend-Aware Fashion Recommendation with Visual Segmentation and Semantic Similarity" (arXiv
2506.07773): n is the candidate's normalised popularity, τ the shopper's trendiness, category the taxonomy's similarity.
The last term is ours and its weight δ is 0 by default.
"""

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from modiste.arrays import Reals
from modiste.errors import SettingError

DISTANCE_SCALE_KM = 10.0
"""The distance at which a store's nearness is worth 1/e of what it is worth next door."""

EQUAL_COSINES = 1e-6
"""Cosines that differ by less than this over all candidates say nothing; min-max scaling makes them 0."""

Scaling = Literal["none", "minmax"]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


@dataclass(frozen=True, slots=True)
class Weights:
    """How much each term counts.

    ``alpha`` (visual), ``beta`` (popularity), ``gamma`` (category) and ``distance`` are finite, at least 0, not all 0;
    they need not add up to 1. ``penalty`` is the exponent p, a positive even integer. ``scaling`` "minmax" stretches
    the cosines of each query's admissible candidates to [0, 1], as the authors' code does; "none" leaves them alone.

    Raises:
        SettingError: a weight or the penalty is outside its range, or the scaling is unknown.
    """

    alpha: float
    beta: float
    gamma: float
    penalty: int = 2
    scaling: Scaling = "none"
    distance: float = 0.0

    def __post_init__(self) -> None:
        for name in ("alpha", "beta", "gamma", "distance"):
            value = getattr(self, name)
            if not _is_number(value) or not math.isfinite(value) or value < 0:
                raise SettingError(f"{name} is {value!r}; a weight must be a finite number of at least 0")
        if not (self.alpha or self.beta or self.gamma or self.distance):
            raise SettingError("every weight is 0, so no item would be better than another; give one a positive weight")
        penalty = self.penalty
        if not _is_number(penalty) or penalty <= 0 or penalty % 2 != 0:  # inf % 2 is NaN, so it is refused as well
            raise SettingError(f"penalty is {penalty!r}; it must be a positive even integer, such as 2 or 4")
        if self.scaling not in ("none", "minmax"):
            raise SettingError(f"scaling is {self.scaling!r}; choose 'none' or 'minmax'")


PRESETS = {
    "balanced": Weights(0.5, 0.25, 0.25, scaling="minmax"),
    "paper": Weights(0.4, 0.2, 0.0, scaling="minmax"),
    "visual": Weights(1.0, 0.0, 0.0),
}
"""Weights by name; ``balanced`` is the default."""


def preset(name: str) -> Weights:
    """The weights called ``name``; raises SettingError, with the names there are, for any other."""
    if name not in PRESETS:
        raise SettingError(f"there is no preset {name!r}; choose one of {', '.join(PRESETS)}")
    return PRESETS[name]


class Terms(NamedTuple):
    """The weighted terms of the relevance, in relevance points; arrays of one shape and float type."""

    visual: Reals
    popularity: Reals
    category: Reals
    distance: Reals

    @property
    def relevance(self) -> Reals:
        """Their sum."""
        return self.visual + self.popularity + self.category + self.distance


def terms(
    weights: Weights,
    *,
    cosine: Reals | None,
    span: tuple[float | Reals, float | Reals],
    normpop: Reals,
    trendiness: float | Reals,
    similarity: Reals | None,
    distance_km: Reals | None = None,
) -> Terms:
    """The weighted terms of n candidates, for one query or for one each, in the float type of ``normpop``.

    Args:
        weights: the weights.
        cosine: (n,) in [-1, 1]; None where the query has no photo: every visual term is 0.
        span: the lowest and highest cosine over the query's admissible candidates; only min-max scaling uses it.
        normpop: (n,) normalised popularity in [0, 1].
        trendiness: the shopper's τ in [0, 1]; with ``span``, a number or (n,).
        similarity: (n,) category similarity in [0, 1]; None where the query has no category: the term is 0.
        distance_km: (n,) to each candidate's store, NaN where it is not known; None: not known for any.
    """
    nothing = np.zeros_like(normpop)
    visual = nothing
    if cosine is not None and weights.alpha:
        if weights.scaling == "none":
            visual = weights.alpha * cosine
        else:
            width = np.asarray(span[1] - span[0])
            scale = np.where(width > EQUAL_COSINES, weights.alpha / np.maximum(width, EQUAL_COSINES), 0.0)
            visual = np.clip((cosine - span[0]) * scale, 0.0, weights.alpha)
    popularity = nothing
    if weights.beta:
        popularity = weights.beta * (1 - np.square(normpop - trendiness) ** (int(weights.penalty) // 2))
    category = weights.gamma * similarity if similarity is not None and weights.gamma else nothing
    near = nothing
    if distance_km is not None and weights.distance:
        near = weights.distance * np.nan_to_num(np.exp(distance_km * (-1 / DISTANCE_SCALE_KM)), nan=0.0)
    return Terms(visual, popularity, category, near)


def sentence(
    weights: Weights,
    *,
    visual: float,
    popularity: float,
    category: float,
    distance: float = 0.0,
    trendiness: float,
    distance_km: float | None = None,
    cause: str = "what you bought",
) -> str:
    """One sentence that a shopper understands, from the weighted terms of one recommendation.

    Only terms that speak for the item are named. ``cause`` is what it was recommended for, in words that fit after
    "looks like": "the denim you bought", "your photo". With min-max scaling, looking alike is meant among all there is.
    """
    looks = _looks(visual / weights.alpha, cause) if weights.alpha else ""
    told = [
        looks,
        _kind(category / weights.gamma, "it" if looks else cause) if weights.gamma else "",
        _fashion(popularity / weights.beta, weights.penalty, trendiness) if weights.beta else "",
        f"is sold {distance_km:.1f} km from you" if distance_km is not None and distance > 0 else "",
    ]
    told = [reason for reason in told if reason]
    if not told:
        return f"It is the nearest we have to {cause}."
    return f"It {told[0]}." if len(told) == 1 else f"It {', '.join(told[:-1])} and {told[-1]}."


def _looks(share: float, cause: str) -> str:
    if share >= 0.85:
        return f"looks very much like {cause}"
    return f"looks like {cause}" if share >= 0.6 else ""


def _fashion(share: float, penalty: int, trendiness: float) -> str:
    gap = max(0.0, 1 - share) ** (1 / penalty)  # |n − τ|
    if gap > 0.2:
        return ""
    if trendiness > 2 / 3:
        return "is as popular as you like things"
    return "is as unusual as you like things" if trendiness < 1 / 3 else "is as well known as you like things"


def _kind(share: float, cause: str) -> str:
    if share >= 0.999:
        return "is the same kind of garment" + ("" if cause == "it" else f" as {cause}")
    if share >= 0.75:
        return f"is of a kind close to {cause}"
    return f"goes with {cause}" if share >= 0.3 else ""
