"""The choice model: how much each item suits a shopper, learnt from what shoppers chose.

    utility(x | u) = Σ weight · feature(x | u)        P(u takes x) ∝ exp(utility(x | u)), over what is on offer

a conditional logit. Its features are named, add up, and are made of what was known before the day in question:

    popularity       log(1 + purchases of x, each worth 2^(−age / half-life)): decayed popularity (Ji et al. 2020, "A
                     re-visit of the popularity baseline in recommender systems")
    taste            (θ_u − mean of all) · popularity: see :mod:`modiste.behaviour.taste`
    lasting          log(1 + purchases of x, with a half-life of 365 days)
    newness          log(365 / (days since x first came + 7))
    newness_regular  log(1 + her purchases) · newness: who bought often has seen what is old
    newness_taste    (mean newness of what she bought − that of all that was bought), shrunk, · newness
    category         how much more than others she buys of the item's category: a log lift, shrunk
    together         how much more than its popularity x was bought by those who bought what she bought: a log lift

and whatever else is given as ``extras``, such as look, colour, price or whom it is for. Nagatani and Sato (2017,
"Accurate and diverse recommendation based on users' tendencies toward temporal item popularity") join popularity and
taste in the same way.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modiste.arrays import Array, Bools, Floats, Ints
from modiste.behaviour.taste import NODES, Prior, log_partition, posterior
from modiste.errors import SettingError

LASTING_HALF_LIFE = 365.0
"""The half-life of lasting popularity, in days."""

NEW_DAYS, OLD_DAYS = 7.0, 365.0
"""Newness is log(OLD_DAYS / (age + NEW_DAYS)): 4 on the first day, 0 after a year."""

OFFER_DAYS = 180.0
"""Where it is not known what was on offer: what came or sold within so many days."""

LAST = 10
"""How many of a shopper's last purchases say what goes together, and are paired with her next."""

CATEGORY_STRENGTH = 8.0
"""How many purchases the others' shares of categories are worth in hers."""

TOGETHER_STRENGTH = 10.0
"""How much mass the items' popularity has in what goes together; an item's pairs have the root of their number."""

NEWNESS_STRENGTH = 2.0
"""How many purchases the mean of all is worth in the newness of what she buys."""

PRICE_STRENGTH = 2.0
"""How many purchases not knowing what she usually pays is worth."""

_CURRENCIES_APART = 32.0  # powers of ten: no price comes near another currency's

FEATURES = (
    "popularity",
    "taste",
    "lasting",
    "newness",
    "newness_regular",
    "newness_taste",
    "category",
    "together",
)
"""The features that need nothing but purchases (and ``category`` the items' categories)."""

_MOMENTS = 4  # days whose popularity is remembered


@dataclass(frozen=True, eq=False)
class Events:
    """Purchases sorted by day: ``shopper`` and ``item`` int64 (m,) from 0 on, ``day`` float64 (m,).

    Raises SettingError for arrays of unlike lengths or in another order.
    """

    shopper: Ints
    item: Ints
    day: Floats

    def __post_init__(self) -> None:
        if not len(self.shopper) == len(self.item) == len(self.day):
            raise SettingError("events need a shopper, an item and a day each")
        if (np.diff(self.day) < 0).any():
            raise SettingError("events must be sorted by day")

    def __len__(self) -> int:
        return len(self.day)


@dataclass(frozen=True, eq=False)
class Past:
    """What a shopper bought before a day: ``items`` int64 (h,), the oldest first, and their ``days``; ``newness`` (h,)
    is what that of each was when she bought it."""

    shopper: int
    items: Ints
    days: Floats
    newness: Floats


@dataclass(frozen=True, eq=False)
class Moment:
    """All items before a day: ``popularity``, ``lasting`` and ``newness``, float64 (n,), as the features of that name.

    ``offer`` int64: the rows that are on offer. ``shares`` (categories,): each category's share of decayed popularity.
    ``expected`` (n,): each item's share of lasting popularity. ``usual_newness``: the mean of all that was bought.
    """

    day: float
    popularity: Floats
    lasting: Floats
    newness: Floats
    offer: Ints
    shares: Floats
    expected: Floats
    usual_newness: float


Feature = Callable[[Past, Ints], Array]
"""A feature of one's own: a shopper's past and rows int64 (r,) to values (r,)."""


class History:
    """Purchases, indexed so that what was known before any day is found without reading them all.

    Args:
        events: the purchases.
        n_items: n, how many items there are; rows of all arrays.
        category: int64 (n,), −1 where it is not known; None: of none.
        start: float64 (n,) purchases before the first day, which do not decay; None: none.
        since: float64 (n,) the day on which an item came, NaN: not known, so that it came with its first purchase.
        extras: features of one's own by name; :func:`likeness`, :func:`whose_fit` and :func:`price_fit` make such.
        offer_days: what came or sold within so many days was on offer; None: all items always.
    """

    def __init__(
        self,
        events: Events,
        n_items: int,
        *,
        category: Ints | None = None,
        start: Floats | None = None,
        since: Floats | None = None,
        extras: Mapping[str, Feature] | None = None,
        offer_days: float | None = OFFER_DAYS,
    ) -> None:
        self.events, self.n_items, self.offer_days = events, n_items, offer_days
        self.extras = dict(extras or {})
        self.category = np.full(n_items, -1) if category is None else category
        self.categories = int(self.category.max(initial=-1)) + 1
        self.start = np.zeros(n_items) if start is None else start
        first = np.full(n_items, np.inf)
        np.minimum.at(first, events.item, events.day)
        self.since = first if since is None else np.where(np.isnan(since), first, np.minimum(since, first))
        newness = newness_of(events.day - self.since[events.item])
        self._newness_so_far = np.concatenate([[0.0], np.cumsum(newness)])
        order = np.argsort(events.shopper, kind="stable")
        self.n_shoppers = int(events.shopper.max(initial=-1)) + 1
        self._starts: Ints = np.searchsorted(events.shopper[order], np.arange(self.n_shoppers + 1))
        self._order = order
        self._items = events.item[order].astype(np.int32)
        self._days = events.day[order]
        self._newness = newness[order].astype(np.float32)
        self._pair_starts, self._pair_items, self._pair_days = self._paired()
        self._moments: OrderedDict[tuple[float, float], Moment] = OrderedDict()
        self._crowds: dict[float, Crowd] = {}

    def _paired(self) -> tuple[Ints, NDArray[np.int32], NDArray[np.float32]]:
        """Every pair of items that one shopper bought, both ways: those of item i from starts[i] on, by day."""
        place = np.arange(len(self._items)) - np.repeat(self._starts[:-1], np.diff(self._starts))
        found: list[tuple[Array, Array, Array]] = []
        for apart in range(1, LAST + 1):
            later = np.flatnonzero(place >= apart)
            one, other, day = self._items[later - apart], self._items[later], self._days[later].astype(np.float32)
            unlike = one != other
            one, other, day = one[unlike], other[unlike], day[unlike]
            found += [(one, other, day), (other, one, day)]
        one, other, day = (np.concatenate(columns) for columns in zip(*found, strict=True))
        order = np.lexsort((day, one))
        return np.searchsorted(one[order], np.arange(self.n_items + 1)), other[order], day[order]

    def past(self, shopper: int, day: float) -> Past:
        """What she bought before the day; nothing if ``shopper`` is −1 or nobody who ever bought."""
        first, last = self._span(shopper, day)
        part = slice(first, last)
        return Past(shopper, self._items[part].astype(np.int64), self._days[part], self._newness[part].astype(float))

    def _span(self, shopper: int, day: float) -> tuple[int, int]:
        if not 0 <= shopper < self.n_shoppers:
            return 0, 0
        first, end = int(self._starts[shopper]), int(self._starts[shopper + 1])
        return first, first + int(np.searchsorted(self._days[first:end], day))

    def moment(self, day: float, half_life: float) -> Moment:
        """All items as they were before the day."""
        key = (day, half_life)
        if key not in self._moments:
            while len(self._moments) >= _MOMENTS:
                self._moments.popitem(last=False)
            self._moments[key] = self._moment(day, half_life)
        return self._moments[key]

    def _moment(self, day: float, half_life: float) -> Moment:
        many = int(np.searchsorted(self.events.day, day))
        item, age = self.events.item[:many], day - self.events.day[:many]
        counts, lasting = (
            self.start + np.bincount(item, np.exp2(-age / one), minlength=self.n_items)
            for one in (half_life, LASTING_HALF_LIFE)
        )
        came = self.since < day
        newness = np.where(came, newness_of(day - self.since), 0.0)  # of what has not come nothing is known
        sold = np.bincount(item[self._lately(many, day) :], minlength=self.n_items) > 0
        offer = np.flatnonzero(self._offered(sold, day))
        known = self.category >= 0
        shares = np.bincount(self.category[known], counts[known], minlength=self.categories) + 0.5
        expected = (1 + lasting) / (1 + lasting[offer]).sum() if len(offer) else np.ones(self.n_items)
        usual = self._newness_so_far[many] / many if many else 0.0
        return Moment(
            day, np.log1p(counts), np.log1p(lasting), newness, offer, shares / shares.sum(), expected, float(usual)
        )

    def _lately(self, many: int, day: float) -> int:
        """The first of the ``many`` purchases before the day that tells what is on offer."""
        since = -np.inf if self.offer_days is None else day - self.offer_days
        return int(np.searchsorted(self.events.day[:many], since))

    def _offered(self, sold: Bools, day: float) -> Bools:
        if self.offer_days is None:
            return np.ones(self.n_items, bool)
        return sold | ((self.since < day) & (self.since >= day - self.offer_days))

    def daily(self, half_lives: Sequence[float]) -> Iterator[tuple[int, int, Floats, Ints]]:
        """Day by day, forwards: its first purchase and the next day's, log(1 + decayed purchases before it) float64
        (half-lives, n), and the rows on offer. The array is the next day's too: copy what is to be kept."""
        events, rates = self.events, 1 / np.asarray(half_lives, float)
        counts, out = np.zeros((len(rates), self.n_items)), np.empty((len(rates), self.n_items))
        days, firsts = np.unique(events.day, return_index=True)
        ends, before = np.append(firsts, len(events))[1:], days[0] if len(days) else 0.0
        last = np.full(self.n_items, -np.inf)
        for day, first, end in zip(days.tolist(), firsts.tolist(), ends.tolist(), strict=True):
            counts *= np.exp2((before - day) * rates)[:, None]
            np.log1p(counts + self.start, out=out)
            offer = np.flatnonzero(self._offered(last >= day - (self.offer_days or 0), day))
            yield first, end, out, offer
            today = events.item[first:end]
            counts += np.bincount(today, minlength=self.n_items)
            last[today] = day
            before = day

    def crowd(self, half_life: float) -> "Crowd":
        """What shoppers' θ are estimated from, with popularity of this half-life."""
        if half_life not in self._crowds:
            self._crowds[half_life] = Crowd.of(self, half_life)
        return self._crowds[half_life]

    def together(self, items: Ints, day: float) -> tuple[Floats, float]:
        """What was bought by those who bought any of ``items``, before the day.

        Each of them spreads the root of the number of its pairs over the items it was paired with: float64 (n,) of
        what falls on each, and the sum of it. So an item that goes with everything counts for less.
        """
        found: list[Array] = []
        roots: list[float] = []
        for item in items.tolist():
            first, end = int(self._pair_starts[item]), int(self._pair_starts[item + 1])
            many = int(np.searchsorted(self._pair_days[first:end], day))
            found.append(self._pair_items[first : first + many])
            roots.append(many**0.5)
        if not any(roots):
            return np.zeros(self.n_items), 0.0
        worth = np.repeat([1 / max(root, 1.0) for root in roots], [len(one) for one in found])
        mass: Floats = np.bincount(np.concatenate(found), worth, minlength=self.n_items).astype(np.float64)
        return mass, float(sum(roots))


@dataclass(frozen=True, eq=False)
class Crowd:
    """Running sums of purchases, from which a shopper's θ follows at any day; see :mod:`modiste.behaviour.taste`.

    ``sums`` float64 (m + 1, 15): of the purchases up to each, by shopper and day: log popularity of what was bought,
    the log partitions of those days, and how many they are. A purchase of what was not on offer counts nowhere.
    """

    history: History
    sums: Floats

    @classmethod
    def of(cls, history: History, half_life: float) -> "Crowd":
        """Of all purchases, with popularity of this half-life."""
        parts = np.zeros((len(history.events), len(NODES) + 2))
        for first, end, popularity, offer in history.daily([half_life]):
            if len(offer) < 2:
                continue
            item = history.events.item[first:end]
            offered = np.zeros(history.n_items, bool)
            offered[offer] = True
            values = np.empty(len(NODES) + 2)
            values[1:-1], values[-1] = log_partition(popularity[0, offer]), 1.0
            part = parts[first:end]
            part[:] = values
            part[:, 0] = popularity[0, item]
            part[~offered[item]] = 0.0
        return cls(history, np.concatenate([np.zeros((1, parts.shape[1])), np.cumsum(parts[history._order], axis=0)]))

    def before(self, shoppers: Ints, day: float) -> tuple[Floats, Floats, Floats]:
        """The sums of the shoppers' purchases before the day: bought (q,), partitions (q, 13), how many (q,)."""
        spans = np.array([self.history._span(one, day) for one in shoppers.tolist()]).reshape(-1, 2)
        found = self.sums[spans[:, 1]] - self.sums[spans[:, 0]]
        return found[:, 0], found[:, 1:-1], found[:, -1]

    def all_before(self, day: float) -> tuple[Floats, Floats, Floats]:
        """As :meth:`before`, of all shoppers who had bought anything, in no order."""
        bought, partitions, many = self.before(np.arange(self.history.n_shoppers), day)
        some = many > 0
        return bought[some], partitions[some], many[some]


def features(
    history: History, shopper: int, day: float, rows: Ints, half_life: float, prior: Prior
) -> dict[str, Array]:
    """Every feature of the items ``rows`` int64 (r,) for a shopper before a day: name to values (r,)."""
    moment, past = history.moment(day, half_life), history.past(shopper, day)
    popularity, newness = moment.popularity[rows], moment.newness[rows]
    bought, partitions, _ = history.crowd(half_life).before(np.array([shopper]), day)
    mean = float(posterior(bought, partitions, prior)[0][0])
    many = len(past.items)
    leaning = (past.newness.sum() - many * moment.usual_newness) / (many + NEWNESS_STRENGTH)
    found: dict[str, Array] = {
        "popularity": popularity,
        "taste": (mean - prior.mean) * popularity,
        "lasting": moment.lasting[rows],
        "newness": newness,
        "newness_regular": np.log1p(many) * newness,
        "newness_taste": leaning * newness,
    }
    if history.categories:
        lift = category_lift(past.items, history.category, moment.shares)
        found["category"] = lift[history.category[rows]]
    mass, total = history.together(past.items[-LAST:], day)
    found["together"] = together_lift(mass[rows], total, moment.expected[rows])
    return found | {name: extra(past, rows) for name, extra in history.extras.items()}


def category_lift(items: Ints, category: Ints, shares: Floats) -> Floats:
    """log of her shrunk share of each category by everybody's: float64 (categories + 1,); the last, 0, is for −1.

    ``items``: rows of what she bought. ``category`` int64 (n,). ``shares`` (categories,): everybody's, adding up to 1.
    """
    counts = np.bincount(category[items] + 1, minlength=len(shares) + 1)[1:]
    share = (counts + CATEGORY_STRENGTH * shares) / (counts.sum() + CATEGORY_STRENGTH)
    return np.append(np.log(share / shares), 0.0)


def together_lift(mass: Floats, total: float, expected: Floats) -> Floats:
    """log of the items' shrunk share of what goes with hers by their ``expected`` share (r,); 0 where nothing does.

    ``mass`` (r,) and ``total`` as :meth:`History.together` returns them.
    """
    lift: Floats = np.log((mass + TOGETHER_STRENGTH * expected) / ((total + TOGETHER_STRENGTH) * expected))
    return lift


@dataclass(frozen=True)
class ChoiceModel:
    """The weights of the features by name (a missing one is 0), the half-life of popularity in days, θ's prior."""

    weights: Mapping[str, float]
    half_life: float
    prior: Prior = field(default_factory=Prior)

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> "ChoiceModel":
        """From its fields as JSON has them."""
        return cls(told["weights"], told["half_life"], Prior(**told["prior"]))

    def terms(self, history: History, shopper: int, day: float, rows: Ints | None = None) -> dict[str, Floats]:
        """The weighted features before the day, which add up to the utility: name to float64 (r,); all rows if None."""
        rows = np.arange(history.n_items) if rows is None else rows
        found = features(history, shopper, day, rows, self.half_life, self.prior)
        return {name: weight * found[name] for name, weight in self.weights.items() if name in found}

    def utilities(self, history: History, shoppers: Ints, day: float, rows: Ints | None = None) -> Floats:
        """float64 (q, r): what the items are worth to the shoppers before the day. −1: somebody who never bought."""
        return np.stack([sum(self.terms(history, one, day, rows).values()) for one in shoppers.tolist()])


DEFAULT = ChoiceModel(
    {
        "popularity": 0.8,
        "taste": 1.3,
        "lasting": 0.38,
        "newness": 0.28,
        "newness_regular": 0.18,
        "newness_taste": 0.32,
        "category": 0.5,
        "together": 0.16,
        "price": 0.0,
        "other": 1.0,
    },
    half_life=20.0,
    prior=Prior(1.1, 0.36),
)
"""What a shop without enough orders of its own begins with: about what dress rentals say before each of three cuts
(``python benchmarks/rentals.py --cut 2015-04-01 2016-04-01 2016-11-04``). They have neither photos nor prices, and are
all women's: nothing of look and colour follows from them, nothing of ``price``, which weighs nothing until a shop's own
orders tell, and nothing of ``other``, which is a guess."""


def log_chances(utilities: Floats) -> Floats:
    """log P of each item, float64 (q, r), where the items (q, r) are all that is on offer."""
    top = utilities.max(axis=-1, keepdims=True)
    logs: Floats = utilities - top - np.log(np.exp(utilities - top).sum(axis=-1, keepdims=True))
    return logs


# Features of one's own


def likeness(vectors: Array, low: float = 0.0, high: float = 1.0) -> Feature:
    """How alike the most alike of her last purchases is: an inner product, calibrated, of which ``low`` counts 0 and
    ``high`` 1, as in lists, which put the best of what each purchase finds first.

    ``vectors`` float (n, d), of unit length, rows of 0 where there is none. The feature is 0 for such, and where she
    has bought nothing that has one; an item that she has is compared with the others.
    """
    has: Bools = np.asarray(vectors.any(axis=1))

    def feature(past: Past, rows: Ints) -> Array:
        hers = past.items[-LAST:]
        hers = hers[has[hers]]
        # a copy of most rows costs more than the product with all of them
        many = 4 * len(rows) > len(vectors)
        alike = (vectors @ vectors[hers].T)[rows] if many else vectors[rows] @ vectors[hers].T
        best = np.where(rows[:, None] == hers, -np.inf, alike).max(axis=1, initial=-np.inf)
        return np.where(has[rows] & np.isfinite(best), (best - low) / (high - low), 0.0)

    return feature


def whose_fit(gender: Array, children: Bools) -> Feature:
    """For whom the item is: −(the share of her last purchases for the other gender + that for the other age).

    ``gender`` int (n,): 0 not known, odd for men, even for women. ``children`` bool (n,).
    """
    whose = np.stack([np.where(gender > 0, 2 * (gender % 2) - 1, 0), 2 * children.astype(np.int64) - 1])

    def feature(past: Past, rows: Ints) -> Array:
        hers, theirs = whose[:, past.items[-LAST:]], whose[:, rows]
        if not hers.size:
            return np.zeros(len(rows))
        of_one, of_other = ((hers == side).mean(axis=1, keepdims=True) for side in (1, -1))
        other: Array = np.where(theirs > 0, of_other, np.where(theirs < 0, of_one, 0.0)).sum(axis=0)
        return -other

    return feature


def log_prices(price: Floats, currency: Ints) -> Floats:
    """log10 of prices, those of different currencies far apart: float64 (n,), NaN where ``price`` is.

    ``currency`` int (n,): a number for each.
    """
    prices: Floats = np.log10(np.maximum(price, 0.01)) + _CURRENCIES_APART * currency
    return prices


def usual_price(bought: Floats) -> tuple[float, float]:
    """The mean of what somebody paid, as :func:`log_prices` has it, and how sure that is, in [0, 1].

    Prices in another currency than the one she paid in most count nothing. NaN and 0 where none is known.
    """
    known = bought[~np.isnan(bought)]
    currency, which, counts = np.unique(np.round(known / _CURRENCIES_APART), return_inverse=True, return_counts=True)
    if not len(currency):
        return float("nan"), 0.0
    hers = known[which == np.argmax(counts)]
    return float(hers.mean()), len(hers) / (len(hers) + PRICE_STRENGTH)


def price_fit(prices: Floats) -> Feature:
    """1 for what costs as much as she usually pays, falling with the logarithm to 0 for ten times as much, or a tenth;
    shrunk where she bought little, 0 where a price is not known. ``prices`` (n,) as :func:`log_prices` has them."""

    def feature(past: Past, rows: Ints) -> Array:
        mean, sure = usual_price(prices[past.items])
        fit: Array = np.fmax(1 - np.abs(prices[rows] - mean), 0.0) * sure  # NaN is no more than 0
        return fit

    return feature


def newness_of(age: Floats) -> Floats:
    """log(OLD_DAYS / (age + NEW_DAYS)) of items that came ``age`` days ago, any shape; inf: not known, 0."""
    newness: Floats = np.log(OLD_DAYS / (np.where(np.isinf(age), OLD_DAYS, np.maximum(age, 0.0)) + NEW_DAYS))
    return np.where(np.isinf(age), 0.0, newness)
