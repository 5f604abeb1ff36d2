"""A year of purchases by simulated shoppers, after the paper: each buys along or against the trend, by her τ.

``simulate`` has the paper's model, the authors' code and, by ``choice``, the choice model of
:mod:`modiste.behaviour.choice`, whose weights and θ are then known and can be looked for. What follows is the paper's.

A purchase's item is drawn with probability proportional to

    τ · n + (1 − τ) · (1 − n)

with n the item's normalised popularity at that moment, and raises its count. The draw is exact but never looks at the
whole catalogue: the weight is a mixture of a uniform draw, and of one by n (an urn with a ball for each purchase)
for trend followers or one by 1 − n (rejection) for the others.
"""

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

import numpy as np
import polars as pl

from modiste.arrays import Array, Floats, Ints
from modiste.behaviour.choice import DEFAULT, ChoiceModel, Past, category_lift, likeness
from modiste.behaviour.popularity import RunningCounts
from modiste.behaviour.taste import HIGHEST, LOWEST
from modiste.catalog.items import GENDERS
from modiste.catalog.values import utc_now
from modiste.errors import SettingError

MODELS = ("paper", "pools", "choice")
POPULAR_SHARE = 0.15
"""In the authors' code an item is popular from this share of *all* purchases on: in a large catalogue none is."""

_PATIENCE = 64  # rejections before the draw is made over the whole pool, so that no catalogue makes it slow


@dataclass(frozen=True)
class Simulation:
    """A year's purchases: two frames.

    ``shoppers``: shopper_id (String, "1" on), trendiness (Float64 in [0, 1]); under the choice model, whose θ has
    another scale, theta (Float64) as well, and trendiness is null.
    ``purchases``, in the order in which they were made, on one day too: shopper_id, item_id (String), date (Date).
    """

    shoppers: pl.DataFrame
    purchases: pl.DataFrame


def simulate(
    catalogue: pl.DataFrame,
    shoppers: int = 50,
    purchases: int = 5,
    year: int = 2025,
    seed: int = 42,
    model: str = "paper",
    choice: ChoiceModel = DEFAULT,
    vectors: Array | None = None,
) -> Simulation:
    """Simulate ``shoppers`` of uniform τ who each buy 1 to ``purchases`` items on random days of a past ``year``.

    ``catalogue`` has item_id, gender ("men", "women", null: unknown) and popularity (the count at the start). A
    shopper's first item is uniform over the catalogue and sets her gender; later ones are of that gender or of none,
    and any if the first had none. She may buy an item again. Popularity is normalised over the whole catalogue.

    ``model`` "paper" is the formula above; "pools" is what the authors' code does: with probability τ a uniform
    draw from the popular items (``POPULAR_SHARE``), else from the others; where one is empty, from the other.

    ``model`` "choice" draws from the whole catalogue, gender or not, with P ∝ exp(θ · popularity + category + look):
    each shopper's θ is drawn from the prior of ``choice``, which has the half-life too, and the weights of "category"
    and, with the items' ``vectors`` float (n, d), "look"; its other weights have no part in it. What was bought on the
    day itself is not seen. The same seed gives the same result.

    Raises SettingError for an empty catalogue, an item without a count, a parameter out of range, or a year that is not
    over: a purchase in the future would be the newest for good.
    """
    if catalogue.is_empty():
        raise SettingError("there is nothing to buy: the catalogue is empty")
    if model not in MODELS:
        raise SettingError(f"no model {model!r}; there are: {', '.join(MODELS)}")
    for name, value in (("shoppers", shoppers), ("purchases", purchases), ("year", year)):
        if value < 1:
            raise SettingError(f"{name} must be at least 1, not {value}")
    if year >= (today := utc_now()).year:
        raise SettingError(
            f"{year} is not over, and nobody has bought in the future; simulate {today.year - 1} or before"
        )
    start_counts = catalogue["popularity"].cast(pl.Float64).to_numpy()
    if not np.isfinite(start_counts).all():
        item = catalogue["item_id"][int(np.argmin(np.isfinite(start_counts)))]
        raise SettingError(f"item {item} has no popularity to start from; give it a count, 0 for never bought")
    rng = np.random.default_rng(seed)
    tau = rng.uniform(size=shoppers)
    buyer = np.repeat(np.arange(shoppers), rng.integers(1, purchases, shoppers, endpoint=True))
    days = (date(year, 12, 31) - date(year, 1, 1)).days + 1
    day = rng.integers(0, days, len(buyer))
    order = np.lexsort((rng.random(len(buyer)), day))
    buyer, day = buyer[order], day[order]
    names = np.array([str(number + 1) for number in range(shoppers)])
    if model == "choice":
        theta = np.clip(rng.normal(choice.prior.mean, choice.prior.sd, shoppers), LOWEST, HIGHEST)
        kinds = catalogue["category"] if "category" in catalogue.columns else pl.Series([None] * len(catalogue))
        bought = _choose(buyer, day, theta, start_counts, _codes(kinds), choice, vectors, rng)
        people = pl.DataFrame({"shopper_id": names.tolist(), "trendiness": None, "theta": theta})
    else:
        bought = _by_trend(buyer, tau, start_counts, catalogue, model, rng)
        people = pl.DataFrame({"shopper_id": names.tolist(), "trendiness": tau})
    start = date(year, 1, 1)
    calendar = [start + timedelta(days=number) for number in range(days)]
    return Simulation(
        people.with_columns(pl.col("trendiness").cast(pl.Float64)),
        pl.DataFrame(
            {
                "shopper_id": names[buyer].tolist(),
                "item_id": catalogue["item_id"].gather(bought),
                "date": [calendar[one] for one in day],
            },
            schema={"shopper_id": pl.String, "item_id": pl.String, "date": pl.Date},
        ),
    )


def _codes(kinds: pl.Series) -> Ints:
    """The categories numbered by name, −1 where there is none."""
    codes: Ints = (kinds.cast(pl.String).rank("dense").fill_null(0).cast(pl.Int64) - 1).to_numpy()
    return codes


def _choose(
    buyer: Ints,
    day: Ints,
    theta: Floats,
    start: Floats,
    category: Ints,
    choice: ChoiceModel,
    vectors: Array | None,
    rng: np.random.Generator,
) -> list[int]:
    """The row of each purchase's item under the choice model; purchases in the order of their days."""
    weight = {"category": 0.0, "look": 0.0} | dict(choice.weights)
    past: list[list[int]] = [[] for _ in theta]
    look, everything = None if vectors is None else likeness(vectors), np.arange(len(start))
    counts, known = np.zeros(len(start)), category >= 0
    bought, nothing = np.zeros(len(buyer), np.int64), np.zeros(0)  # likeness looks at no day
    days, firsts = np.unique(day, return_index=True)
    ends, before = np.append(firsts[1:], len(day)), 0
    for today, first, end in zip(days.tolist(), firsts.tolist(), ends.tolist(), strict=True):
        counts *= 2.0 ** ((before - today) / choice.half_life)
        popularity = np.log1p(counts + start)
        shares = np.bincount(category[known], (counts + start)[known], minlength=category.max(initial=-1) + 1) + 0.5
        for number in range(first, end):
            hers = np.array(past[buyer[number]], np.int64)
            utility = theta[buyer[number]] * popularity
            if len(hers) and known.any():
                utility = utility + weight["category"] * category_lift(hers, category, shares / shares.sum())[category]
            if look is not None:
                utility = utility + weight["look"] * look(Past(int(buyer[number]), hers, nothing, nothing), everything)
            bought[number] = np.argmax(utility + rng.gumbel(size=len(utility)))
        for number in range(first, end):
            past[buyer[number]].append(int(bought[number]))
        counts += np.bincount(bought[first:end], minlength=len(counts))
        before = today
    chosen: list[int] = bought.tolist()
    return chosen


def _by_trend(
    buyer: Ints, tau: Floats, start: Floats, catalogue: pl.DataFrame, model: str, rng: np.random.Generator
) -> list[int]:
    """The row of each purchase's item under the paper's model, or the authors' code."""
    market = _Market(start, catalogue["gender"].to_list(), Random(int(rng.integers(2**63))))
    draw = market.draw_by_trend if model == "paper" else market.draw_from_pools
    return _play(buyer.tolist(), tau.tolist(), market, draw)


def _play(buyers: list[int], tau: list[float], market: "_Market", draw: Callable[["_Pool", float], int]) -> list[int]:
    """Let the shoppers buy in turn; returns the row of each purchase's item."""
    pool_of: dict[int, _Pool] = {}
    bought = []
    for buyer in buyers:
        pool = pool_of.get(buyer)
        if pool is None:
            row = int(market.random.random() * len(market.genders))
            pool_of[buyer] = market.pools[market.genders[row]]
        else:
            row = draw(pool, tau[buyer])
        market.buy(row)
        bought.append(row)
    return bought


class _Pool:
    """The items that a shopper of one gender may buy, with an urn that holds each item in proportion to count − low."""

    def __init__(self, rows: Ints) -> None:
        self.rows: list[int] = rows.tolist()
        self.cumulative: list[float] = []
        self.balls: list[int] = []  # one for each purchase since the urn was filled

    def fill(self, running: RunningCounts) -> None:
        counts = np.array(running.counts)[self.rows]
        self.cumulative = np.cumsum(counts - running.low).tolist()
        self.balls = []

    @property
    def mass(self) -> float:
        """The sum of count − low over the pool."""
        return self.cumulative[-1] + len(self.balls)


class _Market:
    """Counts and pools that move with every purchase."""

    def __init__(self, counts: Floats, genders: list[str | None], random: Random) -> None:
        self.random = random
        self.running = RunningCounts(counts)
        self.genders: list[str | None] = [one if one in GENDERS else None for one in genders]
        known = np.array([one or "" for one in self.genders])
        self.pools: dict[str | None, _Pool] = {None: _Pool(np.arange(len(known)))}
        for gender in GENDERS:
            self.pools[gender] = _Pool(np.flatnonzero((known == gender) | (known == "")))
        self.open = {
            key: [pool for name, pool in self.pools.items() if key in (name, None) or name is None]
            for key in self.pools
        }  # the pools that items of each gender are in
        for pool in self.pools.values():
            if pool.rows:
                pool.fill(self.running)
        self.total = sum(self.running.counts)
        limit = POPULAR_SHARE * self.total
        self.popular = {row for row, count in enumerate(self.running.counts) if self.total and count >= limit}

    def buy(self, row: int) -> None:
        if self.running.add(row):
            for pool in self.pools.values():
                if pool.rows:
                    pool.fill(self.running)
        else:
            for pool in self.open[self.genders[row]]:
                pool.balls.append(row)
        self.total += 1
        limit = POPULAR_SHARE * self.total
        if self.popular or self.running.counts[row] >= limit:
            self.popular = {one for one in {*self.popular, row} if self.running.counts[one] >= limit}

    def draw_by_trend(self, pool: _Pool, tau: float) -> int:
        random, rows, running = self.random.random, pool.rows, self.running
        span = running.high - running.low
        if span <= 0:  # all equally popular: every item weighs 1 − τ
            return rows[int(random() * len(rows))]
        if tau >= 0.5:  # weight = (1 − τ) + (2τ − 1) n
            uniform, urn = (1 - tau) * len(rows), (2 * tau - 1) * pool.mass / span
            if random() * (uniform + urn) >= uniform and pool.mass > 0:
                ball = random() * pool.mass
                if ball < pool.cumulative[-1]:
                    return rows[bisect_right(pool.cumulative, ball)]
                return pool.balls[min(int(ball - pool.cumulative[-1]), len(pool.balls) - 1)]
            return rows[int(random() * len(rows))]
        unpopular = len(rows) - pool.mass / span  # weight = τ + (1 − 2τ) (1 − n)
        uniform = tau * len(rows)
        if random() * (uniform + (1 - 2 * tau) * unpopular) < uniform or unpopular <= 0:
            return rows[int(random() * len(rows))]
        for _ in range(_PATIENCE):
            row = rows[int(random() * len(rows))]
            if random() * span >= running.counts[row] - running.low:
                return row
        cumulative = np.cumsum(running.high - np.array(running.counts)[rows])
        return rows[min(int(np.searchsorted(cumulative, random() * cumulative[-1], side="right")), len(rows) - 1)]

    def draw_from_pools(self, pool: _Pool, tau: float) -> int:
        random, rows = self.random.random, pool.rows
        popular = [row for row in sorted(self.popular) if pool in self.open[self.genders[row]]]
        if popular and (random() < tau or len(popular) == len(rows)):
            return popular[int(random() * len(popular))]
        while True:
            row = rows[int(random() * len(rows))]
            if row not in self.popular:
                return row
