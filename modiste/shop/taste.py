"""What a shopper's purchases say of her at one moment of the shop: how far she follows the crowd, which kinds she buys,
and what goes with what she bought.

The choice model's features (:mod:`modiste.behaviour.choice`), as a question needs them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from modiste.arrays import Floats, Ints
from modiste.behaviour.choice import (
    DEFAULT,
    LASTING_HALF_LIFE,
    NEWNESS_STRENGTH,
    TOGETHER_STRENGTH,
    ChoiceModel,
    category_lift,
    newness_of,
)
from modiste.behaviour.taste import NODES, log_partition, posterior, theta_words
from modiste.ranking.relevance import SMOOTHING, THETA
from modiste.shop.snapshot import Snapshot

MOST_EXACT = 20_000
"""Items of a large shop whose sales are all looked at to know the crowd."""

LATEST = 50
"""Purchases of a shopper that her taste is told from, the latest."""

MOST_TOGETHER = 200
"""Items that go together with what she bought, the strongest: of the others a buyer or two is all there is."""

_FORGOTTEN = 12.0  # half-lives after which a purchase counts nothing: less than 1/4000
_LEAST = 0.05  # the weight of taste by which others are divided, where orders know of none

Companions = Mapping[str, Mapping[str, float]]
"""For each item how often another was bought by those who bought it, by ids."""


@dataclass(frozen=True)
class Taste:
    """How far a shopper follows the crowd: θ and its standard deviation, from how many ``purchases``."""

    theta: float
    sd: float
    purchases: int
    model: ChoiceModel = DEFAULT

    @property
    def trendiness(self) -> float:
        """θ as the ranking takes it, in [0, 1]: what all shoppers have in common counts with the weight it has."""
        weights = self.model.weights
        common = weights.get("popularity", 0.0) / max(weights.get("taste", 0.0), _LEAST)
        theta = common + self.theta - self.model.prior.mean
        return min(max((theta - THETA[0]) / (THETA[1] - THETA[0]), 0.0), 1.0)

    @property
    def words(self) -> str:
        """In words, empty where nothing is known."""
        return theta_words(self.theta, self.sd, self.purchases)


def usual(snapshot: Snapshot) -> float:
    """The trendiness of somebody of whom nothing is known."""
    return Taste(snapshot.model.prior.mean, snapshot.model.prior.sd, 0, snapshot.model).trendiness


class Crowd:
    """What all shoppers could choose from, week by week. What sold in a week that is over stays the same, so that a
    crowd serves all snapshots after the one it was made for.

    Of a large shop the MOST_EXACT items that sell most are all looked at, and of the others a sample.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        sold = np.bincount(snapshot.column("alive").nonzero()[0], minlength=snapshot.rows).astype(float)
        if snapshot.rows > 2 * MOST_EXACT:
            counts = snapshot.popularity().counts
            exact = counts >= np.partition(counts, -MOST_EXACT)[-MOST_EXACT]
            rest = np.flatnonzero((sold > 0) & ~exact)
            sample = rest[:: max(1, len(rest) // MOST_EXACT)]
            sold[:] = 0
            sold[sample], sold[exact] = len(rest) / max(1, len(sample)), 1
        row, day, bought = snapshot.sales.rows_days()
        chosen = sold[row] > 0
        self.rows = np.flatnonzero(sold)
        self.weights = np.log(sold[self.rows])
        self.row = np.searchsorted(self.rows, row[chosen])
        self.day, self.bought = day[chosen], bought[chosen]
        self.logged, self.half_life = snapshot.sales.logged, snapshot.model.half_life
        self.weeks: dict[int, Floats | None] = {}

    def partition(self, snapshot: Snapshot, day: int) -> Floats | None:
        """log Σ exp(θ · log popularity) in the week of a day, at NODES, (13,); None where nothing had sold yet."""
        week = day - day % 7
        if week not in self.weeks:
            self.weeks[week] = self._partition(snapshot, week)
        return self.weeks[week]

    def _partition(self, snapshot: Snapshot, day: int) -> Floats | None:
        counts = snapshot.column("popularity")[self.rows]
        lately = (self.day < day) & (self.day > day - _FORGOTTEN * self.half_life)
        worth = self.bought[lately] * np.exp2((self.day[lately] - day) / self.half_life)
        counts = counts + np.bincount(self.row[lately], worth, minlength=len(self.rows))
        for row, when, change in snapshot.sales.log[self.logged : snapshot.sales.logged]:
            place = int(np.searchsorted(self.rows, row))
            if when < day and place < len(self.rows) and self.rows[place] == row:
                counts[place] += change * 2.0 ** ((when - day) / self.half_life)
        if not counts.any():
            return None
        # rounded there are few different ones: most of a large catalogue hardly sells
        logs = np.round(np.log1p(np.maximum(counts, 0.0) / SMOOTHING), 3)
        weights = np.unique(self.weights)
        parts = [log_partition(logs[self.weights == one]) + one for one in weights.tolist()]
        summed: Floats = np.logaddexp.reduce(parts, axis=0)
        return summed


def taste_of(snapshot: Snapshot, bought: Sequence[tuple[str, int]]) -> Taste:
    """The taste that purchases, ids with their days, tell: each is held against what was on offer on its day."""
    worth, partitions, count = 0.0, np.zeros(len(NODES)), 0
    model = snapshot.model
    if "crowd" not in snapshot.kept or snapshot.kept["crowd"].half_life != model.half_life:
        snapshot.kept["crowd"] = Crowd(snapshot)
    crowd: Crowd = snapshot.kept["crowd"]
    for item_id, day in bought[-LATEST:]:
        row = snapshot.find(item_id)
        if row >= 0 and (partition := crowd.partition(snapshot, day)) is not None:
            worth += snapshot.log_popularity(row, day, model.half_life)
            partitions += partition
            count += 1
    mean, sd = posterior(np.array([worth]), partitions[None], model.prior)
    return Taste(float(mean[0]), float(sd[0]), count, model)


def freshness(snapshot: Snapshot, bought: Sequence[tuple[str, int]]) -> float:
    """What newness is worth to her: more to whoever bought often, and to whoever bought what was new."""
    came, many = snapshot.came(), len(bought)
    rows = [(row, day) for one, day in bought if (row := snapshot.find(one)) >= 0 and came[row] > 0]
    ages = np.array([max(day - int(came[row]), 0) for row, day in rows], float)
    leaning = float(newness_of(ages).sum() - len(rows) * usual_newness(snapshot)) / (many + NEWNESS_STRENGTH)
    plain, regular, taste = (
        snapshot.model.weights.get(name, 0.0) for name in ("newness", "newness_regular", "newness_taste")
    )
    return float(plain + regular * np.log1p(many) + taste * leaning)


def usual_newness(snapshot: Snapshot) -> float:
    """The mean newness of all that was bought."""
    if "usual" not in snapshot.kept:
        row, day, bought = snapshot.sales.rows_days()
        ages = np.maximum(day - snapshot.came()[row], 0).astype(float)
        snapshot.kept["usual"] = float(bought @ newness_of(ages)) / max(float(bought.sum()), 1e-9)
    usual: float = snapshot.kept["usual"]
    return usual


def habits(snapshot: Snapshot, bought: Sequence[str], half_life: float) -> Floats:
    """How much more than others she buys of each of the snapshot's categories, float64 (c + 1,), at least 0."""
    category = snapshot.column("category")
    rows = [row for one in bought if (row := snapshot.find(one)) >= 0 and category[row] >= 0]
    lift = category_lift(np.array(rows, np.int64), category, snapshot.shares(half_life))
    lift[-1] = 0.0
    alike = snapshot.model.weights.get("category", 0.0)
    return np.maximum(alike * (lift - min(float(lift.min()), 0.0)), 0.0)


def together(snapshot: Snapshot, companions: Companions) -> tuple[Ints, Floats]:
    """Rows of what goes with what she bought, and how much more often than by chance: log lifts, above 0."""
    mass: dict[str, float] = {}
    for others in companions.values():
        root = sum(others.values()) ** 0.5
        for item_id, count in others.items():
            mass[item_id] = mass.get(item_id, 0.0) + count / root
    strongest = sorted(mass, key=lambda one: (-mass[one], one))[:MOST_TOGETHER]
    found = {row: mass[one] for one in strongest if (row := snapshot.find(one)) >= 0}
    rows = np.array(sorted(found), np.int64)
    if not len(rows):
        return rows, np.zeros(0)
    lasting = snapshot.popularity(LASTING_HALF_LIFE).counts
    expected = (1 + lasting[rows]) / (len(lasting) + lasting.sum())
    lift = np.log1p(np.array([found[row] for row in rows.tolist()]) / (TOGETHER_STRENGTH * expected))
    return rows, lift * max(snapshot.model.weights.get("together", 0.0), 0.0) / DEFAULT.weights["together"]
