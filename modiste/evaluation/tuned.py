"""The usual recommenders, tuned before they are compared: neighbourhoods, factors, and two stages of all that is there.

Each is tuned as the choice model is, on nothing later than the cut: settings are compared by the last weeks before it.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field, replace
from io import StringIO
from itertools import product
from typing import Any

import numpy as np

from modiste.arrays import Array, Bools, Floats, Ints, Singles
from modiste.behaviour.choice import Events
from modiste.errors import MissingExtraError
from modiste.evaluation.metrics import list_metrics
from modiste.evaluation.recommenders import (
    HALF_LIFE,
    MOST_DENSE,
    Choice,
    Data,
    Factory,
    Formula,
    Histories,
    Popular,
    Random,
    Recommender,
    SameCategory,
)
from modiste.ranking.relevance import PRESETS

WINDOW = 28.0
"""The days before a cut by which settings are compared, and from which the second stage learns."""

_THREADS = 1  # LightGBM's wait for each other, the longer the more a machine has to do
_MOST_SHOPPERS = 20_000  # whose purchases settings are tried on
_MOST_TRIED = 50_000  # of their purchases
_JUDGED = 500  # shoppers that settings are judged by
_PROPOSED = 100  # by each recommender of the first stage
_LEARNT = 3_000  # shoppers that the second stage learns from, and fewer where there are many items:
_CELLS = 100_000_000  # shoppers times items

GRIDS: dict[str, tuple[str, dict[str, Sequence[float]]]] = {
    "item-kNN": ("CosineKNNRecommender", {"shrinkage": (0.0, 10.0, 50.0, 200.0), "top_k": (50, 200)}),
    "RP3β": ("RP3betaRecommender", {"beta": (0.2, 0.4, 0.6, 0.8), "alpha": (0.6, 1.0), "top_k": (200,)}),
    "iALS": ("IALSRecommender", {"alpha0": (0.01, 0.1, 0.5, 1.0), "reg": (0.001, 0.01), "n_components": (64,)}),
    "EASE": ("DenseSLIMRecommender", {"reg": (10.0, 50.0, 100.0, 300.0, 1000.0, 3000.0, 10_000.0, 30_000.0)}),
}
"""irspack's recommenders and the settings they are tried with, eight each; the choice model tries eight half-lives."""


class Neighbourhood:
    """A recommender of irspack's, by its name there. Where it has nothing to say, decayed popularity decides."""

    logits = False

    def __init__(self, kind: str, **settings: Any) -> None:
        self.kind, self.settings = kind, settings

    def fit(self, train: Data, cut: float) -> None:  # noqa: D102
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # its own dependencies' deprecations
                import irspack
                from scipy.sparse import csr_matrix
        except ImportError as error:
            raise MissingExtraError("evaluate", f"irspack's {self.kind}") from error
        pairs = _pairs(train)
        seen = csr_matrix((np.ones(pairs.shape[1]), (pairs[0], pairs[1])), shape=(train.shoppers, train.items))
        with redirect_stdout(StringIO()):  # it draws a bar of its own
            self.model = getattr(irspack, self.kind)(seen, **self.settings).learn()
        self.popular = Popular(HALF_LIFE)
        self.popular.fit(train, cut)

    def scores(self, shoppers: Ints) -> Array:  # noqa: D102
        found = np.asarray(self.model.get_score(shoppers), np.float64)
        return np.nan_to_num(found) + 1e-6 * self.popular.scores(shoppers)


class BPR:
    """Matrix factorisation by Bayesian personalised ranking (Rendle et al. 2009), by stochastic gradients in batches.

    ``penalty`` is that of the factors and of the items' biases; ``epochs`` passes over the purchases.
    """

    logits = False

    def __init__(self, penalty: float = 0.01, epochs: int = 20, factors: int = 32, rate: float = 0.05) -> None:
        self.penalty, self.epochs, self.factors, self.rate = penalty, epochs, factors, rate

    def fit(self, train: Data, cut: float) -> None:  # noqa: D102
        rng = np.random.default_rng(42)
        shoppers, items = _pairs(train)
        hers = rng.normal(0, 0.1, (train.shoppers, self.factors)).astype(np.float32)
        its = rng.normal(0, 0.1, (train.items, self.factors)).astype(np.float32)
        bias = np.zeros(train.items, np.float32)
        for _ in range(self.epochs):
            order = rng.permutation(len(shoppers))
            for start in range(0, len(order), 4096):
                some = order[start : start + 4096]
                who, one, other = shoppers[some], items[some], rng.integers(0, train.items, len(some))
                apart = its[one] - its[other]
                margin = (hers[who] * apart).sum(axis=1) + bias[one] - bias[other]
                pull = (self.rate / (1 + np.exp(margin)))[:, None]
                shrunk = np.float32(self.rate * self.penalty)
                steps = pull * hers[who]
                np.add.at(hers, who, pull * apart - shrunk * hers[who])
                np.add.at(its, one, steps - shrunk * its[one])
                np.add.at(its, other, -steps - shrunk * its[other])
                np.add.at(bias, one, pull[:, 0] - shrunk * bias[one])
                np.add.at(bias, other, -pull[:, 0] - shrunk * bias[other])
        self.hers, self.its, self.bias = hers, its, bias

    def scores(self, shoppers: Ints) -> Array:  # noqa: D102
        return self.hers[shoppers] @ self.its.T + self.bias


@dataclass
class Tuned:
    """One of several settings of a recommender: the one with the best nDCG@20 in the last weeks before the cut."""

    settings: Sequence[Callable[[], Recommender]]
    logits: bool = False
    model: Recommender = field(init=False)

    def fit(self, train: Data, cut: float) -> None:  # noqa: D102
        chosen = self.settings[0]
        if len(self.settings) > 1 and (held := HeldOut.of(_fewer(train), cut - WINDOW)) is not None:
            chosen = max(self.settings, key=lambda one: held.ndcg(one()))
        self.model = chosen()
        self.model.fit(train, cut)

    def scores(self, shoppers: Ints) -> Array:  # noqa: D102
        return self.model.scores(shoppers)


@dataclass(frozen=True, eq=False)
class HeldOut:
    """What was bought from a day on, by shoppers who had bought before. ``hidden``: what their lists leave out."""

    train: Data
    day: float
    shoppers: Ints
    wanted: Sequence[Ints]
    histories: Histories
    offer: Bools

    @classmethod
    def of(cls, data: Data, day: float, most: int = _JUDGED) -> "HeldOut | None":
        """Some of them, always the same; None where there are none."""
        train, first = data.before(day), int(np.searchsorted(data.events.day, day))
        offer = train.offered(day, day + WINDOW)
        histories, later = Histories(train), Histories(replace(data, events=_from(data.events, first)))
        shoppers, wanted = [], []
        for shopper in np.random.default_rng(42).permutation(np.unique(data.events.shopper[first:])).tolist():
            hers = histories.of(shopper)
            bought = np.setdiff1d(later.of(shopper), hers)
            bought = bought[offer[bought]]
            if len(hers) and len(bought):
                shoppers.append(shopper)
                wanted.append(bought)
            if len(shoppers) == most:
                break
        return cls(train, day, np.array(shoppers), wanted, histories, offer) if shoppers else None

    def ndcg(self, recommender: Recommender) -> float:
        """The mean nDCG@20 of their lists, %, once it has learnt from what came before."""
        recommender.fit(self.train, self.day)
        found = 0.0
        for start in range(0, len(self.shoppers), 50):
            some = self.shoppers[start : start + 50]
            block = np.array(recommender.scores(some), np.float64)
            for row, shopper, wanted in zip(block, some.tolist(), self.wanted[start : start + 50], strict=True):
                row[~self.offer] = row[self.histories.of(shopper)] = -np.inf
                found += list_metrics(np.array([(row > row[one]).sum() for one in wanted]))["ndcg_at_20"]
        return found / len(self.shoppers)


class TwoStage:
    """The best of each of several recommenders, ranked anew by gradient-boosted trees (LambdaMART, LightGBM).

    The trees learn from the last weeks before the cut what the recommenders said of them without having seen them: what
    is left to gain by a larger model, and nothing that a shop is served by.
    """

    logits = False

    def __init__(self, first: Mapping[str, Callable[[], Recommender]]) -> None:
        self.first = first

    def fit(self, train: Data, cut: float) -> None:  # noqa: D102
        try:
            import lightgbm  # type: ignore[import-not-found,unused-ignore]
        except ImportError as error:
            raise MissingExtraError("evaluate", "the two-stage recommender") from error
        held = HeldOut.of(train, cut - WINDOW, min(_LEARNT, max(1, _CELLS // train.items)))
        self.trees = None
        if held is not None:
            self._learn(held.train, held.day)
            rows, targets, groups = [], [], []
            for start in range(0, len(held.shoppers), 50):
                some = held.shoppers[start : start + 50]
                blocks = self._blocks(some)
                for place, shopper in enumerate(some.tolist()):
                    proposed, told = self._proposed(blocks[:, place], shopper)
                    rows.append(told)
                    targets.append(np.isin(proposed, held.wanted[start + place]))
                    groups.append(len(proposed))
            data = lightgbm.Dataset(np.concatenate(rows), np.concatenate(targets).astype(int), group=groups)
            settings = {
                "objective": "lambdarank", "learning_rate": 0.05, "num_leaves": 15, "min_data_in_leaf": 50,
                "verbose": -1, "seed": 42, "deterministic": True, "num_threads": _THREADS,
            }  # fmt: skip
            self.trees = lightgbm.train(settings, data, num_boost_round=150)
        self._learn(train, cut)

    def _learn(self, train: Data, day: float) -> None:
        self.recommenders = [make() for make in self.first.values()]
        for one in self.recommenders:
            one.fit(train, day)
        self.histories = Histories(train)
        self.offer = train.offered(day, day + WINDOW)

    def _blocks(self, shoppers: Ints) -> Floats:
        """What each recommender says, (recommenders, q, n)."""
        return np.stack([np.asarray(one.scores(shoppers), np.float64) for one in self.recommenders])

    def _proposed(self, said: Floats, shopper: int) -> tuple[Ints, Singles]:
        """The best of each, int64 (m,), and for each of them scores and ranks, float32 (m, 2 · recommenders + 1)."""
        hers = self.histories.of(shopper)
        open_ = self.offer.copy()
        open_[hers] = False
        rows = np.flatnonzero(open_)
        some = said[:, rows]
        best = np.arange(len(rows))
        if len(rows) > _PROPOSED:
            best = np.unique(np.argpartition(-some, _PROPOSED - 1, axis=1)[:, :_PROPOSED])
        above = [len(rows) - np.searchsorted(np.sort(one), one[best], side="right") for one in some]
        many = np.full((1, len(best)), len(hers))
        return rows[best], np.concatenate([some[:, best], np.log1p(above), many]).T.astype(np.float32)

    def scores(self, shoppers: Ints) -> Array:  # noqa: D102
        blocks = self._blocks(shoppers)
        found: Floats = blocks[0] - 1e6  # what nobody proposed stands last, in the order of the first
        for place, shopper in enumerate(shoppers.tolist()):
            proposed, told = self._proposed(blocks[:, place], shopper)
            if self.trees is not None and len(proposed):
                found[place, proposed] = self.trees.predict(told, num_threads=_THREADS)
        return found


def recommenders(data: Data) -> dict[str, Factory]:
    """Everything that can be compared on these data, by name, in the order in which tables show it."""
    found: dict[str, Factory] = {
        "random": lambda _: Random(),
        "popular": lambda _: Popular(),
        "decayed popular": lambda _: Popular(HALF_LIFE),
        "same category": lambda _: SameCategory(),
        "item-kNN": lambda _: tuned("item-kNN"),
        "RP3β": lambda _: tuned("RP3β"),
        "iALS": lambda _: tuned("iALS"),
        "BPR": lambda _: tuned_bpr(),
    }
    if data.items <= MOST_DENSE:
        found["EASE"] = lambda _: tuned("EASE")
    if data.looks is not None:
        found["visual only"] = lambda _: Formula(PRESETS["visual"])
    found["paper"] = lambda _: Formula(PRESETS["paper"])
    found["choice model as shipped"] = lambda _: Choice(shipped=True)
    found["choice model"] = lambda _: Choice()
    found["two stages"] = lambda _: TwoStage(
        {
            "popular": lambda: Popular(HALF_LIFE),
            "lasting": Popular,
            "category": SameCategory,
            "kNN": lambda: Neighbourhood("CosineKNNRecommender", shrinkage=10.0, top_k=200),
            "RP3β": lambda: Neighbourhood("RP3betaRecommender", alpha=1.0, beta=0.4, top_k=200),
            "choice": lambda: Choice(shipped=True),
            **({"visual": lambda: Formula(PRESETS["visual"])} if data.looks is not None else {}),
        }
    )
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


def tuned(name: str) -> Tuned:
    """One of irspack's, of :data:`GRIDS`."""
    kind, grid = GRIDS[name]
    settings = [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]
    return Tuned([lambda one=one: Neighbourhood(kind, **one) for one in settings])  # type: ignore[misc]


def tuned_bpr() -> Tuned:
    """BPR with eight settings."""
    settings = product((0.001, 0.01, 0.05, 0.1), (10, 30))
    return Tuned([lambda one=one: BPR(*one) for one in settings])  # type: ignore[misc]


def _pairs(train: Data) -> Ints:
    pairs: Ints = np.unique(np.stack([train.events.shopper, train.events.item]), axis=1)
    return pairs


def _from(events: Events, first: int) -> Events:
    return Events(events.shopper[first:], events.item[first:], events.day[first:])


def _fewer(train: Data) -> Data:
    """The purchases of so many shoppers that eight settings are tried in the time that one takes with all; where these
    are a small part of a large shop's, among the items that are in them."""
    events = train.events
    tried = -(-len(events) // _MOST_TRIED)
    every = max(-(-train.shoppers // _MOST_SHOPPERS), tried)
    if every == 1:
        return train
    kept = events.shopper % every == 0
    shopper, item, day = events.shopper[kept], events.item[kept], events.day[kept]
    if every > tried:
        return replace(train, events=Events(shopper, item, day))
    rows, item = np.unique(item, return_inverse=True)
    return replace(
        train,
        events=Events(shopper // every, item, day),
        shoppers=-(-train.shoppers // every),
        product=train.product[rows],
        category=train.category[rows],
        looks=None,
        colours=None,
        came=None if train.came is None else train.came[rows],
        gender=None if train.gender is None else train.gender[rows],
    )
