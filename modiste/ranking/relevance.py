"""How much a candidate suits a shopper at one of her purchases, and why: two formulas, whose terms add up.

``choice``, a conditional logit: people buy in proportion to exp(relevance), with

    relevance = α · look + κ · colour + β · θ · log(1 + n / s) + ν · newness + γ · category + δ · exp(−km / 10)
                + μ · together + ρ · price − η · other

look and colour are calibrated (0: as alike as two strangers, 1: as two photos of one product), n is what was bought
lately of the candidate and θ the shopper's trendiness: 0 takes no notice of what others buy, 1 buys in proportion.
price is 1 for what costs as much as she usually pays, and falls with the logarithm to 0 for ten times as much, or a
tenth; other tells whether it is for another gender or age, where no filter hides that.

``paper``, the scoring function of "Trend-Aware Fashion Recommendation with Visual Segmentation and Semantic
Similarity" (arXiv 2506.07773), to which a nearness was added whose weight is 0 there:

    relevance = α · visual + β · (1 − (n − τ)^p) + γ · category + δ · exp(−km / 10)

visual is the plain cosine, n the candidate's normalised popularity, τ the shopper's trendiness.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from modiste.arrays import Reals
from modiste.errors import SettingError

DISTANCE_SCALE_KM = 10.0
"""The distance at which a store's nearness is worth 1/e of what it is worth next door."""

EQUAL_COSINES = 1e-6
"""Cosines that differ by less than this over all candidates say nothing; min-max scaling makes them 0."""

THETA = (-1.0, 2.0)
"""The θ of a trendiness of 0 and of 1; between them it is linear, so that 1/3 takes no notice of what others buy."""

SMOOTHING = 1.0
"""The purchases s that popularity is measured in: what nobody bought is as far from what s did as that from three."""

NO_NOTICE, MOST = 0.15, 0.6
"""A θ nearer to 0 takes no notice of what others buy; what reaches so much of the highest popularity is popular."""

NEW = 0.7
"""What newness has to be worth to be told: an item of a few weeks, to somebody who cares as shoppers usually do."""

OFTEN = 0.5
"""The category's term, without its weight, from which on a shopper buys a kind clearly more often than others do."""

WORN = 1.5
"""What the logarithm of how much oftener something is worn counts beside the colour: about as much as that varies."""

WORN_OFTEN = math.log(1.25)
"""From which such a logarithm is told."""

Formula = Literal["choice", "paper"]
Scaling = Literal["none", "minmax"]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


@dataclass(frozen=True, slots=True)
class Weights:
    """How much each term counts.

    ``alpha`` (look), ``beta`` (popularity), ``gamma`` (category), ``distance``, ``together`` (bought together),
    ``newness`` and ``price`` are finite and at least 0; ``colour`` may be below 0, which asks for another colour. Not
    all are 0; they need not add up to 1. ``other``, what an item loses that is for another gender or age, is one point
    where orders teach nothing else: as much as it gains, by ``balanced``, for being of the same kind. Colour, together,
    newness, price and other belong to the formula ``choice``. To ``paper`` belong
    ``penalty``, the exponent p, a positive even integer, and ``scaling``: "minmax" stretches the cosines of each
    query's admissible candidates to [0, 1], as the authors' code does; "none" leaves them alone.

    Raises:
        SettingError: a weight or the penalty is outside its range, or the scaling or formula is unknown.
    """

    alpha: float
    beta: float
    gamma: float
    penalty: int = 2
    scaling: Scaling = "none"
    distance: float = 0.0
    colour: float = 0.0
    together: float = 0.0
    newness: float = 0.0
    price: float = 0.0
    other: float = 1.0
    formula: Formula = "paper"

    def __post_init__(self) -> None:
        for name in ("alpha", "beta", "gamma", "distance", "colour", "together", "newness", "price", "other"):
            value = getattr(self, name)
            if not _is_number(value) or not math.isfinite(value) or (value < 0 and name != "colour"):
                raise SettingError(f"{name} is {value!r}; a weight must be a finite number of at least 0")
        if not self.total:
            raise SettingError("every weight is 0, so no item would be better than another; give one a positive weight")
        penalty = self.penalty
        if not _is_number(penalty) or penalty <= 0 or penalty % 2 != 0:  # inf % 2 is NaN, so it is refused as well
            raise SettingError(f"penalty is {penalty!r}; it must be a positive even integer, such as 2 or 4")
        if self.scaling not in ("none", "minmax"):
            raise SettingError(f"scaling is {self.scaling!r}; choose 'none' or 'minmax'")
        if self.formula not in ("choice", "paper"):
            raise SettingError(f"formula is {self.formula!r}; choose 'choice' or 'paper'")
        if self.formula == "choice" and self.scaling != "none":
            raise SettingError("scaling belongs to the paper's formula; leave it out, or ask for formula paper")
        for name in ("colour", "together", "newness", "price"):
            if self.formula == "paper" and getattr(self, name):
                raise SettingError(f"the paper's formula has no term for {name}; leave it out, or ask for choice")

    @property
    def total(self) -> float:
        """The sum of the weights, without what is only taken off."""
        own = self.alpha + self.beta + self.gamma + self.distance + self.together + self.newness + self.price
        return own + abs(self.colour)

    @property
    def seen(self) -> bool:
        """Whether the pictures count."""
        return bool(self.alpha or self.colour)


PRESETS = {
    "balanced": Weights(3.0, 1.3, 1.0, colour=1.5, together=0.16, newness=1.0, formula="choice"),
    "paper": Weights(0.4, 0.2, 0.0, scaling="minmax"),
    "visual": Weights(1.0, 0.0, 0.0, colour=0.5, formula="choice"),
}
"""Weights by name; ``balanced`` is the default. None weighs price, of which the orders that they come from say nothing:
by ``balanced`` it weighs what ``modiste tune`` learnt from a shop's own."""


class Scale(NamedTuple):
    """The cosine of two strangers, and that of two photos of one product."""

    low: float = 0.0
    high: float = 1.0


class Terms(NamedTuple):
    """The weighted terms of the relevance, in relevance points; arrays of one shape and float type."""

    look: Reals
    colour: Reals
    popularity: Reals
    category: Reals
    distance: Reals
    together: Reals
    worn: Reals
    newness: Reals
    price: Reals
    gender: Reals
    boost: Reals

    @property
    def relevance(self) -> Reals:
        """Their sum."""
        return sum(self[1:], start=self[0])


def terms(
    weights: Weights,
    *,
    look: Reals | None,
    span: tuple[float | Reals, float | Reals] = (0.0, 1.0),
    colour: Reals | None = None,
    scales: tuple[Scale, Scale] = (Scale(), Scale()),
    popularity: Reals,
    ends: tuple[float, float] = (0.0, 0.0),
    trendiness: float | Reals,
    similarity: Reals | None,
    distance_km: Reals | None = None,
    together: Reals | None = None,
    worn: Reals | None = None,
    newness: Reals | None = None,
    price: Reals | None = None,
    other: Reals | None = None,
    boost: Reals | None = None,
) -> Terms:
    """The weighted terms of n candidates, for one query or for one each, in the float type of ``popularity``.

    Args:
        weights: the weights.
        look: (n,) cosines in [-1, 1]; None where the query has no photo: the terms of look and colour are 0.
        span: the lowest and highest cosine over the query's admissible candidates; only min-max scaling uses it.
        colour: (n,) similarity in [0, 1]; None where nothing is known of it.
        scales: those of look and of colour; ``choice`` uses them.
        popularity: (n,); for ``paper`` normalised, in [0, 1]; for ``choice`` log(1 + n / s), at least 0.
        ends: the lowest and highest of all candidates' popularity; ``choice`` counts from there, so that no term is
            below 0.
        trendiness: the shopper's τ in [0, 1], for ``choice`` on the scale of THETA; with ``span``, a number or (n,).
        similarity: (n,) category similarity in [0, 1]; None where the query has no category: the term is 0.
        distance_km: (n,) to each candidate's store, NaN where it is not known; None: not known for any.
        together: (n,) how much more often than by chance bought by those who bought what she did, at least 0.
        worn: (n,) how much oftener than others it is worn with what is asked about, as a logarithm; the colour's
            weight counts, where it is above 0.
        newness: (n,) log newness, times how much it matters to her.
        price: (n,) in [0, 1], 1: as she usually pays; 0 where one of the two is not known.
        other: (n,) in how much of gender and age it is, or perhaps is, for others: 0, 1 or 2; ``choice`` uses it.
        boost: (n,) what somebody's rules add to it, below 0 to bury it; no weight counts for it.
    """
    nothing = np.zeros_like(popularity)
    seen = alike = fashion = nothing
    if look is not None and weights.alpha:
        if weights.formula == "choice":
            seen = weights.alpha * _calibrated(look, scales[0])
        elif weights.scaling == "none":
            seen = weights.alpha * look
        else:
            width = np.asarray(span[1] - span[0])
            scale = np.where(width > EQUAL_COSINES, weights.alpha / np.maximum(width, EQUAL_COSINES), 0.0)
            seen = np.clip((look - span[0]) * scale, 0.0, weights.alpha)
    if look is not None and colour is not None and weights.colour:
        alike = weights.colour * (_calibrated(colour, scales[1]) - (weights.colour < 0))
    if weights.beta and weights.formula == "choice":
        theta = THETA[0] + (THETA[1] - THETA[0]) * trendiness
        fashion = weights.beta * (theta * popularity - np.minimum(theta * ends[0], theta * ends[1]))
    elif weights.beta:
        fashion = weights.beta * (1 - np.square(popularity - trendiness) ** (int(weights.penalty) // 2))
    category = weights.gamma * similarity if similarity is not None and weights.gamma else nothing
    near = nothing
    if distance_km is not None and weights.distance:
        near = weights.distance * np.nan_to_num(np.exp(distance_km * (-1 / DISTANCE_SCALE_KM)), nan=0.0)
    joint = weights.together * together if together is not None and weights.together else nothing
    outfit = WORN * weights.colour * worn if worn is not None and weights.colour > 0 else nothing
    fresh = weights.newness * newness if newness is not None and weights.newness else nothing
    cost = weights.price * price if price is not None and weights.price else nothing
    away = nothing - weights.other * other if other is not None and weights.formula == "choice" else nothing
    lifted = nothing if boost is None else boost
    return Terms(seen, alike, fashion, category, near, joint, outfit, fresh, cost, away, lifted)


def _calibrated(cosine: Reals, scale: Scale) -> Reals:
    """0 where it is that of two strangers, 1 where that of two photos of one product."""
    return (cosine - scale.low) * (1 / (scale.high - scale.low))


def sentence(
    weights: Weights,
    shown: Mapping[str, float],
    *,
    trendiness: float | None,
    peak: float = 0.0,
    distance_km: float | None = None,
    colour: str = "",
    habitual: bool = False,
    priced: bool = False,
    cause: str = "what you bought",
    worn: bool = False,
    seen_on: str = "",
) -> str:
    """One sentence that a shopper understands, from the weighted terms of one recommendation, by their names.

    Only terms that speak for the item are named. ``trendiness`` None: nothing tells it, and no sentence speaks of
    popularity. ``peak`` is how far the highest popularity is above the lowest; 0: nothing has sold. ``colour`` names
    the item's. ``habitual`` tells whether kinds and prices are those that she usually buys, and not those of one item;
    ``priced`` whether the price is about that. ``cause`` is what it was recommended for, in words that fit after "looks
    like": "the denim you bought", "your photo", and "" for no reason; ``worn``: to be worn with it, and
    ``seen_on`` says on which photo its like is. With min-max scaling, looking alike is meant among all there is.
    """
    looks = _looks(shown["look"] / weights.alpha, cause) if weights.alpha else ""
    told = [
        looks,
        _same_colour(shown["colour"] / abs(weights.colour), weights.colour < 0, colour) if weights.colour else "",
        _kind(shown["category"] / weights.gamma, "it" if looks else cause, habitual) if weights.gamma else "",
        seen_on if shown["worn"] >= WORN_OFTEN * WORN * weights.colour > 0 else "",
        _bought_together(shown["together"], cause if worn else "what you did"),
        ""
        if trendiness is None or not weights.beta or peak <= 0
        else _fashion(shown["popularity"] / weights.beta, weights, trendiness, peak),
        _costs("" if looks else cause, habitual) if priced else "",
        "is new" if weights.newness and shown["newness"] / weights.newness >= NEW else "",
        f"is sold {distance_km:.1f} km from you" if distance_km is not None and shown["distance"] > 0 else "",
    ]
    told = [reason for reason in told if reason]
    if not told and not cause:
        return "It is a suggestion for everybody."
    if not told:
        return f"It is {'what we have to go with' if worn else 'the nearest we have to'} {cause}."
    return f"It {told[0]}." if len(told) == 1 else f"It {', '.join(told[:-1])} and {told[-1]}."


def _looks(share: float, cause: str) -> str:
    if share >= 0.85:
        return f"looks very much like {cause}"
    return f"looks like {cause}" if share >= 0.6 else ""


def _same_colour(share: float, other: bool, name: str) -> str:
    if other:
        return "has another colour" + (f", {name}" if name else "") if share >= 0.6 else ""
    if share >= 0.85:
        return f"is the same {name or 'colour'}"
    return "is of a similar colour" if share >= 0.6 else ""


def _bought_together(share: float, cause: str) -> str:
    return f"is often bought by those who buy {cause}" if share > 0 else ""


def _fashion(share: float, weights: Weights, trendiness: float, peak: float) -> str:
    if weights.formula == "choice":
        theta = THETA[0] + (THETA[1] - THETA[0]) * trendiness
        if abs(theta) < NO_NOTICE or share < MOST * abs(theta) * peak:
            return ""
        return "is bought a lot just now" if theta > 0 else "is rarely bought, as you like it"
    gap = max(0.0, 1 - share) ** (1 / weights.penalty)  # |n − τ|
    if gap > 0.2:
        return ""
    if trendiness > 2 / 3:
        return "is as popular as you like things"
    return "is as unusual as you like things" if trendiness < 1 / 3 else "is as well known as you like things"


def _costs(cause: str, habitual: bool) -> str:
    if habitual:
        return "costs about what you usually pay"
    return f"costs about as much as {cause}" if cause else "costs about the same"


def _kind(share: float, cause: str, habitual: bool) -> str:
    if habitual:
        return "is of a kind that you often buy" if share >= OFTEN else ""
    if share >= 0.999:
        return "is the same kind of garment" + ("" if cause == "it" else f" as {cause}")
    if share >= 0.75:
        return f"is of a kind close to {cause}"
    return f"goes with {cause}" if share >= 0.3 else ""
