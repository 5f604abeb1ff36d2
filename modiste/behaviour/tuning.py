"""Fitting the choice model to purchases: a conditional logit by maximum likelihood, on sampled choice sets.

For each purchase of a sample, what was chosen stands beside alternatives drawn from what was on offer, half of them
uniformly and half by popularity. Drawn with chance q an alternative's utility gets −log q (McFadden 1978, "Modelling
the choice of residential location"), which makes the estimates those of the whole choice set, with wider errors. Where
so few items are on offer that all can be taken, they are.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from modiste.arrays import Array, Floats, Ints, Singles
from modiste.behaviour.choice import FEATURES, ChoiceModel, Events, History, features
from modiste.behaviour.taste import Prior, fit_prior

HALF_LIVES = (7.0, 14.0, 21.0, 30.0, 45.0, 60.0, 90.0, 180.0)
"""The half-lives, in days, between which the likeliest is looked for."""

FEWEST = 200
"""From so many purchases on, whose choice set is known, a fit is worth reading."""

_BLOCK = 2_048
_RIDGE = 1e-3  # a normal prior of sd 30 on each weight: finite where nothing tells


@dataclass(frozen=True, eq=False)
class Choices:
    """Choice sets: ``x`` float32 (e, k, features), the chosen one first; ``offset`` float32 (e, k), −log q or −inf."""

    names: tuple[str, ...]
    x: Singles
    offset: Singles

    def only(self, names: Sequence[str]) -> "Choices":
        """With some of the features."""
        return Choices(tuple(names), self.x[:, :, [self.names.index(name) for name in names]], self.offset)


@dataclass(frozen=True)
class Logit:
    """A fit: ``weights``, standard ``errors`` (NaN where nothing tells), and the mean log-likelihood of a choice."""

    weights: Floats
    errors: Floats
    log_likelihood: float


@dataclass(frozen=True, eq=False)
class Fit:
    """A fitted model and how sure it is.

    ``errors``: the weights' standard errors by name. ``prior_errors``: of the prior's mean and sd. ``log_likelihood``:
    the mean of the choices in the sample, with their sampled alternatives; ``chance``: that of all weights 0.
    ``half_lives``: the log-likelihood at each half-life tried. ``choices``: the choice sets; ``left_out``: purchases
    in the sample of what was not on offer by the record, such as an item's first.
    """

    model: ChoiceModel
    errors: dict[str, float]
    prior_errors: tuple[float, float]
    log_likelihood: float
    chance: float
    half_lives: dict[float, float]
    choices: Choices
    left_out: int


def fit(
    history: History,
    *,
    until: float = np.inf,
    names: Sequence[str] | None = None,
    half_life: float | None = None,
    prior: Prior | None = None,
    sample: int = 20_000,
    alternatives: int = 100,
    seed: int = 42,
    progress: Callable[[int, int], None] | None = None,
) -> Fit:
    """Fit weights, half-life and θ's prior to the purchases before the day ``until``; nothing later is looked at.

    The choices are of the last two years, though all before them is their history. ``names``: the features, by default
    all there are. ``half_life`` and ``prior``: given ones are kept.
    """
    events, rng = history.events, np.random.default_rng(seed)
    if len(events) and events.day[-1] >= until:  # what is later must not be seen, not even by the order of shoppers
        history = cut(history, until)
        events = history.events
    since = float(events.day[-1]) - 730 if len(events) else 0.0
    sampled, offsets, sets = draw_sets(history, since, sample, alternatives, rng)
    left_out = min(sample, int((events.day >= since).sum())) - len(sampled)
    curve: dict[float, float] = {}
    if half_life is None:
        half_life, curve = _fit_half_life(history, sampled, offsets, sets)
    prior_errors = (float("nan"), float("nan"))
    if prior is None:
        bought, partitions, _ = history.crowd(half_life).all_before(np.inf)
        if len(bought) > 50_000:
            some = rng.choice(len(bought), 50_000, replace=False)
            bought, partitions = bought[some], partitions[some]
        prior, prior_errors = fit_prior(bought, partitions)
    choices = read_choices(history, sampled, offsets, sets, half_life, prior, progress)
    if names is not None:
        choices = choices.only([name for name in names if name in choices.names])
    found = logit(choices.x, choices.offset)
    told = {name: float(value) for name, value in zip(choices.names, found.weights, strict=True)}
    return Fit(
        ChoiceModel(told, half_life, prior),
        dict(zip(choices.names, found.errors.tolist(), strict=True)),
        prior_errors,
        found.log_likelihood,
        _derivatives(choices.x[:, :, :1], choices.offset, np.zeros(1))[0] / max(len(choices.x), 1),
        curve,
        choices,
        left_out,
    )


def cut(history: History, until: float) -> History:
    """The history as it was before the day ``until``."""
    events, many = history.events, int(np.searchsorted(history.events.day, until))
    return History(
        Events(events.shopper[:many], events.item[:many], events.day[:many]),
        history.n_items,
        category=history.category,
        start=history.start,
        since=np.where(history.since < until, history.since, np.nan),
        extras=history.extras,
        offer_days=history.offer_days,
    )


def draw_sets(
    history: History, since: float, sample: int, alternatives: int, rng: np.random.Generator
) -> tuple[Ints, Singles, Ints]:
    """Purchases from the day ``since`` on, at most ``sample``, whose item was on offer, and their choice sets.

    Returns the purchases int64 (e,), offsets float32 (e, k) and rows int64 (e, k): what was chosen first, then
    ``alternatives`` drawn with replacement, or all that was on offer where that is not much more.
    """
    events = history.events
    wanted = np.flatnonzero(events.day >= since)
    if len(wanted) > sample:
        wanted = np.sort(rng.choice(wanted, sample, replace=False))
    kept: list[Ints] = []
    rows: list[Ints] = []
    offsets: list[Singles] = []
    for first, end, popularity, offer in history.daily([30.0]):
        some = wanted[np.searchsorted(wanted, first) : np.searchsorted(wanted, end)]
        some = some[np.isin(events.item[some], offer)]
        if not len(some) or len(offer) < 2:
            continue
        chosen = events.item[some]
        if len(offer) <= alternatives + 1:
            drawn = np.broadcast_to(offer, (len(some), len(offer))).copy()
            worth = np.zeros(drawn.shape, np.float32)
            worth[drawn == chosen[:, None]] = -np.inf  # it stands first already
            own = np.zeros((len(some), 1), np.float32)
        else:
            weight = np.exp(popularity[0, offer])
            chance = 0.5 / len(offer) + 0.5 * weight / weight.sum()
            places = rng.choice(len(offer), (len(some), alternatives), p=chance)
            drawn = offer[places]
            worth = -np.log(chance[places]).astype(np.float32)
            own = -np.log(chance[np.searchsorted(offer, chosen)]).astype(np.float32)[:, None]
        wide = alternatives + 2
        row, offset = np.zeros((len(some), wide), np.int64), np.full((len(some), wide), -np.inf, np.float32)
        row[:, : drawn.shape[1] + 1] = np.concatenate([chosen[:, None], drawn], axis=1)
        offset[:, : drawn.shape[1] + 1] = np.concatenate([own, worth], axis=1)
        kept.append(some)
        rows.append(row)
        offsets.append(offset)
    if not kept:
        nothing = np.zeros((0, 1))
        return np.zeros(0, np.int64), nothing.astype(np.float32), nothing.astype(np.int64)
    return np.concatenate(kept), np.concatenate(offsets), np.concatenate(rows)


def read_choices(
    history: History,
    sampled: Ints,
    offsets: Singles,
    sets: Ints,
    half_life: float,
    prior: Prior,
    progress: Callable[[int, int], None] | None = None,
) -> Choices:
    """The features of choice sets as :func:`draw_sets` returns them."""
    events = history.events
    names = [name for name in FEATURES if name != "category" or history.categories] + list(history.extras)
    x = np.zeros((*sets.shape, len(names)), np.float32)
    for number, (event, rows) in enumerate(zip(sampled.tolist(), sets, strict=True)):
        shopper, day = int(events.shopper[event]), float(events.day[event])
        found = features(history, shopper, day, rows, half_life, prior)
        for column, name in enumerate(names):
            x[number, :, column] = found[name]
        if progress is not None and number % 500 == 0:
            progress(number, len(sampled))
    return Choices(tuple(names), x, offsets)


def logit(x: Array, offset: Array) -> Logit:
    """Maximum likelihood by Newton's method, for choice sets (e, k, features) whose first is chosen.

    ``offset`` (e, k) is added to every utility, −inf where there is no alternative. The mean log-likelihood is that of
    the choice among the set as it is.
    """
    many = x.shape[2]
    weights = np.zeros(many)
    likelihood, gradient, hessian = _derivatives(x, offset, weights)
    for _ in range(50):
        step = np.linalg.solve(hessian + 1e-9 * np.eye(many), gradient)
        scale = 1.0
        while True:
            at = _derivatives(x, offset, weights + scale * step)
            if at[0] >= likelihood - 1e-12 or scale < 1e-4:
                break
            scale /= 2
        weights = weights + scale * step
        likelihood, gradient, hessian = at
        if np.abs(scale * step).max() < 1e-6:
            break
    errors = np.sqrt(np.maximum(np.diag(np.linalg.pinv(hessian)), 0.0))
    flat = np.diag(hessian) < 2 * _RIDGE
    errors[flat] = np.nan
    ridge = 0.5 * _RIDGE * float(weights @ weights)
    return Logit(weights, errors, (likelihood + ridge) / max(len(x), 1))


def _derivatives(x: Array, offset: Array, weights: Floats) -> tuple[float, Floats, Floats]:
    """The log-likelihood with its ridge, its gradient, and the negative of its Hessian."""
    many = x.shape[2]
    likelihood, gradient = -0.5 * _RIDGE * float(weights @ weights), -_RIDGE * weights
    hessian = _RIDGE * np.eye(many)
    for first in range(0, len(x), _BLOCK):
        part = x[first : first + _BLOCK].astype(np.float64)
        utility = part @ weights + offset[first : first + _BLOCK]
        utility -= utility.max(axis=1, keepdims=True)
        chance = np.exp(utility)
        total = chance.sum(axis=1)
        chance /= total[:, None]
        likelihood += float((utility[:, 0] - np.log(total)).sum())
        mean = np.matmul(chance[:, None], part)[:, 0]
        gradient = gradient + (part[:, 0] - mean).sum(axis=0)
        flat = part.reshape(-1, many)
        hessian += (flat * chance.reshape(-1, 1)).T @ flat - mean.T @ mean
    return likelihood, gradient, hessian


def _fit_half_life(history: History, sampled: Ints, offsets: Singles, sets: Ints) -> tuple[float, dict[float, float]]:
    """The likeliest half-life beside lasting popularity and newness: the peak of a parabola in its logarithm."""
    events = history.events
    tried = (*HALF_LIVES, 365.0)
    x = np.zeros((*sets.shape, len(tried) + 1), np.float32)
    for first, end, popularity, _ in history.daily(tried):
        part = slice(*np.searchsorted(sampled, [first, end]))
        rows = sets[part]
        if len(rows):
            x[part, :, :-1] = np.moveaxis(popularity[:, rows], 0, -1)
            age = np.maximum(events.day[first] - history.since[rows], 0)
            x[part, :, -1] = np.where(np.isfinite(age), -np.log(age + 7), 0)
    many, likelihoods = len(tried), []
    for number in range(len(HALF_LIVES)):
        likelihoods.append(logit(x[:, :, [number, many - 1, many]], offsets).log_likelihood)
    curve = dict(zip(HALF_LIVES, likelihoods, strict=True))
    best = int(np.argmax(likelihoods))
    if 0 < best < len(HALF_LIVES) - 1:
        near = slice(best - 1, best + 2)
        a, b, _ = np.polyfit(np.log(HALF_LIVES[near]), likelihoods[near], 2)
        return float(np.round(np.exp(-b / (2 * a)), 1)), curve
    return HALF_LIVES[best], curve
