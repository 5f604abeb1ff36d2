"""What a shopper's purchases say of her at one moment of the shop: how far she follows the crowd, which kinds she buys,
and what goes with what she bought.

The choice model's features (:mod:`modiste.behaviour.choice`), as a question needs them.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from modiste.arrays import Floats, Ints
from modiste.behaviour.choice import (
    DEFAULT,
    NEWNESS_STRENGTH,
    TOGETHER_STRENGTH,
    ChoiceModel,
    category_lift,
    newness_of,
)
from modiste.behaviour.taste import NODES, log_partition, posterior, theta_words
from modiste.ranking.relevance import SMOOTHING, THETA
from modiste.shop.selling import LEAST
from modiste.shop.snapshot import Snapshot

MOST_EXACT = 20_000
"""Items of a large shop whose sales are all looked at to know the crowd."""

LATEST = 50
"""Purchases of a shopper that her taste is told from, the latest."""

MOST_TOGETHER = 200
"""Items that go together with what she bought, the strongest: of the others a buyer or two is all there is."""

_FORGOTTEN = 12.0  # half-lives after which a purchase counts nothing: less than 1/4000

EPOCH = date(1970, 1, 1)
"""From which days are counted here; the first of the year 1 is day 1."""

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
        common = weights.get("popularity", 0.0) / max(weights.get("taste", 0.0), LEAST)
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
    """What all shoppers could choose from, week by week, and ``usual``, the mean newness of all that was bought.

    What sold in a week that is over stays the same, so that a crowd serves later snapshots too, until much has come.
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
        ages = np.maximum(day - snapshot.selling().came[row], 0).astype(float)
        self.usual = float(bought @ newness_of(ages)) / max(float(bought.sum()), 1e-9)
        self.logged, self.half_life = snapshot.sales.logged, snapshot.model.half_life
        self.most = snapshot.rows + snapshot.rows // 10, self.logged + min(max(len(bought) // 10, 100), 5000)
        self.weeks: dict[int, Floats | None] = {}

    @classmethod
    def of(cls, snapshot: Snapshot) -> "Crowd":
        """The one that an earlier snapshot had, unless much has come since, or another model is in use."""
        known: Crowd | None = snapshot.kept.get("crowd")
        far = known is None or snapshot.rows > known.most[0] or snapshot.sales.logged > known.most[1]
        if known is None or far or known.half_life != snapshot.model.half_life:
            known = snapshot.kept["crowd"] = cls(snapshot)
        return known

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
    model, crowd = snapshot.model, Crowd.of(snapshot)
    pairs = [(row, day) for item_id, day in bought[-LATEST:] if (row := snapshot.find(item_id)) >= 0]
    sold: defaultdict[int, list[tuple[int, float]]] = defaultdict(list)
    for row, day, many in snapshot.sales.of({row for row, _ in pairs}):
        sold[row].append((day, many))
    worth, partitions, count = 0.0, np.zeros(len(NODES)), 0
    for row, day in pairs:
        if (partition := crowd.partition(snapshot, day)) is not None:
            before = sum(many * 2.0 ** ((when - day) / model.half_life) for when, many in sold[row] if when < day)
            worth += float(np.log1p((before + snapshot.column("popularity")[row]) / SMOOTHING))
            partitions += partition
            count += 1
    mean, sd = posterior(np.array([worth]), partitions[None], model.prior)
    return Taste(float(mean[0]), float(sd[0]), count, model)


def tastes_of(snapshot: Snapshot, bought: pl.DataFrame) -> pl.DataFrame:
    """As :func:`taste_of`, of many shoppers at once: columns shopper_id, theta, sd and told (from how many
    purchases), of those who bought something that is there.

    ``bought``: columns shopper_id, item_id, at, by time.
    """
    model, crowd = snapshot.model, Crowd.of(snapshot)
    latest = bought.group_by("shopper_id", maintain_order=True).tail(LATEST)
    ids = latest["item_id"].unique()
    places = pl.DataFrame(
        {"item_id": ids, "row": [snapshot.find(one) for one in ids]}, schema_overrides={"row": pl.Int64}
    )
    days = (pl.col("at").dt.date() - EPOCH).dt.total_days() + EPOCH.toordinal()
    known = latest.join(places.filter(pl.col("row") >= 0), on="item_id").with_columns(day=days)
    partitions = {day: one for day in known["day"].unique() if (one := crowd.partition(snapshot, day)) is not None}
    known = known.filter(pl.col("day").is_in(list(partitions)))
    row, day = known["row"].to_numpy(), known["day"].to_numpy()
    counts = _faded(snapshot, row, day) + snapshot.column("popularity")[row]
    who, place = np.unique(known["shopper_id"].to_numpy().astype(str), return_inverse=True)
    worth = np.bincount(place, np.log1p(counts / SMOOTHING), minlength=len(who)).astype(np.float64)
    sums = np.zeros((len(who), len(NODES)))
    if len(day):
        np.add.at(sums, place, np.stack([partitions[one] for one in day.tolist()]))
    theta, sd = posterior(worth, sums, model.prior)
    told = np.bincount(place, minlength=len(who))
    types = {"shopper_id": pl.String, "theta": pl.Float64, "sd": pl.Float64, "told": pl.Int64}
    return pl.DataFrame({"shopper_id": who, "theta": theta, "sd": sd, "told": told}, types)


def _faded(snapshot: Snapshot, row: Ints, day: Ints) -> Floats:
    """What had sold of each row before each day, float64, faded as the model in use has it."""
    sold_row, sold_day, bought = snapshot.sales.rows_days()
    half_life, after, worth, last = snapshot.model.half_life, np.empty(len(bought)), 0.0, (-1, 0)
    for number, (one, when, many) in enumerate(zip(sold_row.tolist(), sold_day.tolist(), bought.tolist(), strict=True)):
        worth = many + (worth * 2.0 ** ((last[1] - when) / half_life) if one == last[0] else 0.0)
        after[number], last = worth, (one, when)
    if not len(bought):
        return np.zeros(len(row))
    keys, wanted = snapshot.sales.key(sold_row, sold_day), snapshot.sales.key(row, day)
    place = np.searchsorted(keys, wanted) - 1
    found = (place >= 0) & (sold_row[place] == row)
    faded: Floats = np.where(found, after[place] * np.exp2((sold_day[place] - day) / half_life), 0.0)
    return faded


def freshness(snapshot: Snapshot, bought: Sequence[tuple[str, int]]) -> float:
    """What newness is worth to her: more to whoever bought often, and to whoever bought what was new."""
    came, many = snapshot.selling().came, len(bought)
    rows = [(row, day) for one, day in bought if (row := snapshot.find(one)) >= 0 and came[row] > 0]
    ages = np.array([max(day - int(came[row]), 0) for row, day in rows], float)
    leaning = float(newness_of(ages).sum() - len(rows) * Crowd.of(snapshot).usual) / (many + NEWNESS_STRENGTH)
    plain, regular, taste = (
        snapshot.model.weights.get(name, 0.0) for name in ("newness", "newness_regular", "newness_taste")
    )
    return float(plain + regular * np.log1p(many) + taste * leaning)


def habits(snapshot: Snapshot, bought: Sequence[str], half_life: float | None = None) -> Floats:
    """How much more than others she buys of each of the snapshot's categories, float64 (c + 1,), at least 0."""
    category = snapshot.column("category")
    rows = [row for one in bought if (row := snapshot.find(one)) >= 0 and category[row] >= 0]
    lift = category_lift(np.array(rows, np.int64), category, _shares(snapshot, half_life))
    lift[-1] = 0.0
    alike = snapshot.model.weights.get("category", 0.0)
    return np.maximum(alike * (lift - min(float(lift.min()), 0.0)), 0.0)


def _shares(snapshot: Snapshot, half_life: float | None) -> Floats:
    """Each category's share of what sells, worked out once for what sells now."""
    selling, category = snapshot.selling(half_life), snapshot.column("category")
    known = snapshot.kept.get("shares")
    if known is None or known[0] is not selling.lately or known[1] is not category.base:
        shares = selling.shares(category, len(snapshot.categories))
        known = snapshot.kept["shares"] = (selling.lately, category.base, shares)
    found: Floats = known[2]
    return found


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
    lasting = snapshot.selling().lasting
    expected = (1 + lasting[rows].astype(float)) / (len(lasting) + float(lasting.sum(dtype=float)))
    lift = np.log1p(np.array([found[row] for row in rows.tolist()]) / (TOGETHER_STRENGTH * expected))
    return rows, lift * max(snapshot.model.weights.get("together", 0.0), 0.0) / DEFAULT.weights["together"]
