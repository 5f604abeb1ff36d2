"""What is compared in the benchmark: every baseline, the formulas and the choice model, each a small class.

A new one needs ``fit`` and ``scores``, and a line in :func:`recommenders`.
"""

import warnings
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from functools import lru_cache
from io import StringIO
from typing import Any, Protocol

import numpy as np

from modiste.arrays import Array, Bools, Floats, Ints, Singles
from modiste.behaviour.choice import DEFAULT, ChoiceModel, Events, History, likeness
from modiste.behaviour.trendiness import estimated_trendiness
from modiste.behaviour.tuning import Fit, logit
from modiste.behaviour.tuning import fit as fit_choice
from modiste.errors import MissingExtraError
from modiste.ranking.relevance import PRESETS, Scale, Weights, terms

HALF_LIFE = 30.0
"""The half-life of decayed popularity, in days."""

MOST_DENSE = 8000
"""EASE inverts a matrix of items by items; with more items it is not run."""


@dataclass(frozen=True, eq=False)
class Data:
    """Purchases sorted by day and what is known of the n items.

    ``events``: shoppers, items and days. ``product``, ``category`` (-1: not known) int64 (n,). ``similarity`` float64
    (c, c) of the categories. ``looks`` and ``colours`` float32 (n, d), zeros where there is none; None: no photos.
    ``scales``: how they are calibrated.
    """

    events: Events
    shoppers: int
    product: Ints
    category: Ints
    similarity: Floats
    looks: Singles | None = None
    colours: Singles | None = None
    scales: tuple[Scale, Scale] = (Scale(), Scale())

    @property
    def items(self) -> int:
        """How many items there are."""
        return len(self.product)

    def before(self, day: float) -> "Data":
        """The same without the purchases on or after the day."""
        many, events = int(np.searchsorted(self.events.day, day)), self.events
        return replace(self, events=Events(events.shopper[:many], events.item[:many], events.day[:many]))


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


class _Histories:
    """Each shopper's purchases, the oldest first."""

    def __init__(self, train: Data) -> None:
        order = np.argsort(train.events.shopper, kind="stable")
        self.items = train.events.item[order]
        self.starts = np.searchsorted(train.events.shopper[order], np.arange(train.shoppers + 1))

    def of(self, shopper: int) -> Ints:
        return self.items[self.starts[shopper] : self.starts[shopper + 1]]


class SameCategory:
    """The categories that she buys, the decayed popular first among equals."""

    logits = False

    def fit(self, train: Data, cut: float) -> None:  # noqa: D102
        self.popular, self.histories, self.category = Popular(HALF_LIFE), _Histories(train), train.category
        self.popular.fit(train, cut)

    def scores(self, shoppers: Ints) -> Array:  # noqa: D102
        found = 1e-6 * self.popular.scores(shoppers)
        for row, shopper in enumerate(shoppers.tolist()):
            counts = np.bincount(self.category[self.histories.of(shopper)] + 1, minlength=self.category.max() + 2)
            found[row] += counts[self.category + 1] * (self.category >= 0)
        return found


@dataclass
class Neighbourhood:
    """A recommender of irspack's. Where it has nothing to say, decayed popularity decides."""

    kind: str
    settings: Mapping[str, Any]
    logits = False

    def fit(self, train: Data, cut: float) -> None:  # noqa: D102
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # its own dependencies' deprecations
                import irspack
                from scipy.sparse import csr_matrix
        except ImportError as error:
            raise MissingExtraError("evaluate", f"irspack's {self.kind}") from error
        pairs = np.unique(np.stack([train.events.shopper, train.events.item]), axis=1)
        seen = csr_matrix((np.ones(pairs.shape[1]), (pairs[0], pairs[1])), shape=(train.shoppers, train.items))
        with redirect_stdout(StringIO()):  # it draws a bar of its own
            self.model = getattr(irspack, self.kind)(seen, **self.settings).learn()
        self.popular = Popular(HALF_LIFE)
        self.popular.fit(train, cut)

    def scores(self, shoppers: Ints) -> Array:  # noqa: D102
        found = np.asarray(self.model.get_score(shoppers), np.float64)
        return np.nan_to_num(found) + 1e-6 * self.popular.scores(shoppers)


@dataclass
class Formula:
    """The formula that a shop ranks by, at each shopper's last purchase; her trendiness estimated from the others."""

    weights: Weights
    logits = False

    def fit(self, train: Data, cut: float) -> None:  # noqa: D102
        self.train, self.histories = train, _Histories(train)
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
    """The choice model, fitted to what came before the cut, without the features ``left``; or as it ships."""

    left: tuple[str, ...] = ()
    shipped: bool = False
    logits = True

    def fit(self, train: Data, cut: float) -> None:  # noqa: D102
        self.cut = cut
        if self.shipped:
            self.history = _history(train)
            self.model: ChoiceModel = DEFAULT
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
    history = _history(train)
    return history, fit_choice(history, until=cut)


def _history(train: Data) -> History:
    extras = {}
    if train.looks is not None:
        extras["look"] = likeness(train.looks, *train.scales[0])
    if train.colours is not None:
        extras["colour"] = likeness(train.colours, *train.scales[1])
    return History(train.events, train.items, category=train.category, extras=extras)


def recommenders(data: Data, *, terms_left_out: bool = True) -> dict[str, Factory]:
    """Everything that can be compared on these data, by name, in the order in which tables show it."""
    found: dict[str, Factory] = {
        "random": lambda _: Random(),
        "popular": lambda _: Popular(),
        "decayed popular": lambda _: Popular(HALF_LIFE),
        "same category": lambda _: SameCategory(),
        "item-kNN": lambda _: Neighbourhood("CosineKNNRecommender", {"shrinkage": 10.0, "top_k": 200}),
        "RP3β": lambda _: Neighbourhood("RP3betaRecommender", {"alpha": 1.0, "beta": 0.4, "top_k": 200}),
        "iALS": lambda _: Neighbourhood("IALSRecommender", {"n_components": 64, "alpha0": 0.1, "reg": 0.01}),
    }
    if data.items <= MOST_DENSE:
        found["EASE"] = lambda _: Neighbourhood("DenseSLIMRecommender", {"reg": 100.0})
    if data.looks is not None:
        found["visual only"] = lambda _: Formula(PRESETS["visual"])
    found["paper"] = lambda _: Formula(PRESETS["paper"])
    found["choice model as shipped"] = lambda _: Choice(shipped=True)
    found["choice model"] = lambda _: Choice()
    if terms_left_out:
        for name, left in {
            "popularity": ("popularity", "taste", "lasting"),
            "taste": ("taste",),
            "newness": ("newness", "newness_regular", "newness_taste"),
            "category": ("category",),
            "together": ("together",),
            **({"look": ("look",), "colour": ("colour",)} if data.looks is not None else {}),
        }.items():
            found[f"choice without {name}"] = lambda _, left=left: Choice(left)  # type: ignore[misc]
    return found


def owned(events: Events, shoppers: int, product: Ints) -> Callable[[int], Bools]:
    """For a shopper: which items are of a product that she bought, bool (n,)."""
    histories = _Histories(Data(events, shoppers, product, product, np.zeros((0, 0))))

    def of(shopper: int) -> Bools:
        return np.isin(product, product[histories.of(shopper)])

    return of
