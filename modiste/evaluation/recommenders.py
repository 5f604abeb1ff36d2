"""What is compared in the benchmark: the plain baselines, the formulas and the choice model, each a small class.

A new one needs ``fit`` and ``scores``, and a line in :func:`modiste.evaluation.tuned.recommenders`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from modiste.arrays import Array, Bools, Floats, Ints, Singles
from modiste.behaviour.choice import DEFAULT, Events, History, likeness
from modiste.behaviour.trendiness import estimated_trendiness
from modiste.behaviour.tuning import Fit, logit
from modiste.behaviour.tuning import fit as fit_choice
from modiste.ranking.relevance import Scale, Weights, terms
from modiste.shop.tuning import served

HALF_LIFE = 30.0
"""The half-life of decayed popularity, in days."""

OFFER_DAYS = 180.0
"""What came or sold within so many days before a cut was on offer, as was what came or first sold after it."""

MOST_DENSE = 8000
"""EASE inverts a matrix of items by items; with more items it is not run."""


@dataclass(frozen=True, eq=False)
class Data:
    """Purchases sorted by day and what is known of the n items.

    ``events``: shoppers, items and days. ``product``, ``category`` (-1: not known) int64 (n,). ``similarity`` float64
    (c, c) of the categories. ``looks`` and ``colours`` float32 (n, d), zeros where there is none; None: no photos.
    ``scales``: how they are calibrated. ``came`` float64 (n,): the day on which an item came, NaN: not known, None: of
    none. Unlike a purchase, that is known of what comes after a cut on the day on which a list is made. ``gender`` int8
    (n,), 0: not known, None: of none.
    """

    events: Events
    shoppers: int
    product: Ints
    category: Ints
    similarity: Floats
    looks: Singles | None = None
    colours: Singles | None = None
    scales: tuple[Scale, Scale] = (Scale(), Scale())
    came: Floats | None = None
    gender: NDArray[np.int8] | None = None

    @property
    def items(self) -> int:
        """How many items there are."""
        return len(self.product)

    def before(self, day: float) -> "Data":
        """The same without the purchases on or after the day."""
        many, events = int(np.searchsorted(self.events.day, day)), self.events
        return replace(self, events=Events(events.shopper[:many], events.item[:many], events.day[:many]))

    def offered(self, day: float, until: float) -> Bools:
        """What was on offer from a day on, bool (n,): it came or sold in the days before, or came before ``until``."""
        first, end = np.searchsorted(self.events.day, [day - OFFER_DAYS, day])
        offered: Bools = np.bincount(self.events.item[first:end], minlength=self.items) > 0
        if self.came is not None:
            offered |= (self.came >= day - OFFER_DAYS) & (self.came < until)
        return offered


class Recommender(Protocol):
    """One way of ranking. ``logits``: whether its scores are utilities, P ∝ exp(score), of which a log-likelihood makes
    sense."""

    logits: bool

    def fit(self, train: Data, cut: float) -> None:
        """Learn from the purchases of ``train``, all of which were made before the day ``cut``."""

    def scores(self, shoppers: Ints) -> Array:
        """(q, n): how much each item suits each shopper on the day of the cut; ties are broken at random."""


Factory = Callable[[Data], Recommender]
"""Makes a fresh recommender; it is handed all data, so that the audits can see whether it peeks."""


class Random:
    """Every item alike."""

    logits = True

    def fit(self, train: Data, cut: float) -> None:  # noqa: D102
        self.items = train.items

    def scores(self, shoppers: Ints) -> Array:  # noqa: D102
        return np.zeros((len(shoppers), self.items))


@dataclass
class Popular:
    """log(1 + purchases), each worth 2^(−age / half-life); None: all alike."""

    half_life: float | None = None
    logits = True

    def fit(self, train: Data, cut: float) -> None:  # noqa: D102
        age = cut - train.events.day
        worth = None if self.half_life is None else np.exp2(-age / self.half_life)
        self.fashion: Floats = np.log1p(np.bincount(train.events.item, worth, minlength=train.items))

    def scores(self, shoppers: Ints) -> Array:  # noqa: D102
        return np.broadcast_to(self.fashion, (len(shoppers), len(self.fashion)))


class Histories:
    """Each shopper's purchases, the oldest first."""

    def __init__(self, train: Data) -> None:
        order = np.argsort(train.events.shopper, kind="stable")
        self.items = train.events.item[order]
        self.starts = np.searchsorted(train.events.shopper[order], np.arange(train.shoppers + 1))

    def of(self, shopper: int) -> Ints:
        """The items."""
        return self.items[self.starts[shopper] : self.starts[shopper + 1]]


class SameCategory:
    """The categories that she buys, the decayed popular first among equals."""

    logits = False

    def fit(self, train: Data, cut: float) -> None:  # noqa: D102
        self.popular, self.histories, self.category = Popular(HALF_LIFE), Histories(train), train.category
        self.popular.fit(train, cut)

    def scores(self, shoppers: Ints) -> Array:  # noqa: D102
        found = 1e-6 * self.popular.scores(shoppers)
        for row, shopper in enumerate(shoppers.tolist()):
            counts = np.bincount(self.category[self.histories.of(shopper)] + 1, minlength=self.category.max() + 2)
            found[row] += counts[self.category + 1] * (self.category >= 0)
        return found


@dataclass
class Formula:
    """The formula that a shop ranks by, at each shopper's last purchase; her trendiness estimated from the others."""

    weights: Weights
    logits = False

    def fit(self, train: Data, cut: float) -> None:  # noqa: D102
        self.train, self.histories = train, Histories(train)
        counts = np.bincount(train.events.item, minlength=train.items).astype(float)
        self.normpop: Floats = counts / max(counts.max(initial=0.0), 1.0)
        popular = Popular(HALF_LIFE)
        popular.fit(train, cut)
        self.fashion = popular.fashion
        self.mean = float(self.normpop[train.events.item].mean()) if len(train.events) else 0.5

    def scores(self, shoppers: Ints) -> Array:  # noqa: D102
        train, popularity = self.train, self.normpop if self.weights.formula == "paper" else self.fashion
        found = np.empty((len(shoppers), train.items))
        for row, shopper in enumerate(shoppers.tolist()):
            hers = self.histories.of(shopper)
            last = int(hers[-1]) if len(hers) else -1
            look = colour = similarity = None
            if last >= 0 and train.looks is not None and train.looks[last].any():
                look = (train.looks @ train.looks[last]).astype(float)
                colour = None if train.colours is None else (train.colours @ train.colours[last]).astype(float)
            if last >= 0 and train.category[last] >= 0:
                similarity = np.append(train.similarity[train.category[last]], 0.0)[train.category]
            found[row] = terms(
                self.weights,
                look=look,
                span=(0.0, 1.0) if look is None else (look.min(), look.max()),
                colour=colour,
                scales=train.scales,
                popularity=popularity,
                ends=(float(popularity.min(initial=0.0)), float(popularity.max(initial=0.0))),
                trendiness=float(estimated_trendiness(self.normpop[hers].sum(), len(hers), self.mean)),
                similarity=similarity,
            ).relevance
        return found


@dataclass
class Choice:
    """The choice model, fitted to what came before the cut, without the features ``left``; or as it ships,
    with the weights of look and colour that a shop with photos begins with."""

    left: tuple[str, ...] = ()
    shipped: bool = False
    logits = True

    def fit(self, train: Data, cut: float) -> None:  # noqa: D102
        self.cut = cut
        if self.shipped:
            self.history, self.model = _history(train, cut), served(DEFAULT)
            return
        self.history, whole = _fitted(train, cut)
        self.model = whole.model
        if self.left:
            kept = [name for name in whole.choices.names if name not in self.left]
            weights = logit(whole.choices.only(kept).x, whole.choices.offset).weights
            self.model = replace(whole.model, weights=dict(zip(kept, weights.tolist(), strict=True)))

    def scores(self, shoppers: Ints) -> Array:  # noqa: D102
        return self.model.utilities(self.history, shoppers, self.cut)


@lru_cache(maxsize=1)
def _fitted(train: Data, cut: float) -> tuple[History, Fit]:
    """The whole model, which those with a term left out begin from."""
    history = _history(train, cut)
    return history, fit_choice(history, until=cut)


@lru_cache(maxsize=1)
def _history(train: Data, cut: float) -> History:
    extras = {}
    if train.looks is not None:
        extras["look"] = likeness(train.looks, *train.scales[0])
    if train.colours is not None:
        extras["colour"] = likeness(train.colours, *train.scales[1])
    came = None if train.came is None else np.minimum(train.came, cut - 1)  # what comes later is new when it is shown
    return History(train.events, train.items, category=train.category, since=came, extras=extras)


def owned(events: Events, shoppers: int, product: Ints) -> Callable[[int], Bools]:
    """For a shopper: which items are of a product that she bought, bool (n,)."""
    histories = Histories(Data(events, shoppers, product, product, np.zeros((0, 0))))

    def of(shopper: int) -> Bools:
        return np.isin(product, product[histories.of(shopper)])

    return of
