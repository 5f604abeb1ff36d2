"""Fits: a logit with a known answer, and what the simulator was given must be found again."""

import numpy as np
import polars as pl
import pytest

from modiste.behaviour.choice import ChoiceModel, Events, History, Past, likeness, log_prices, price_fit, whose_fit
from modiste.behaviour.simulation import Simulation, simulate
from modiste.behaviour.taste import GRID, Prior, posterior
from modiste.behaviour.tuning import draw_sets, fit, logit

N = 300
RNG = np.random.default_rng(1)
CODES = RNG.integers(0, 6, N)
ITEMS = pl.DataFrame(
    {
        "item_id": [str(row) for row in range(N)],
        "gender": pl.Series([None] * N, dtype=pl.String),
        "category": [f"kind {code}" for code in CODES],
        "popularity": np.floor(RNG.lognormal(1.5, 1.3, N)),
    }
)
VECTORS = RNG.normal(size=(N, 8))
VECTORS /= np.linalg.norm(VECTORS, axis=1, keepdims=True)


def history(made: Simulation) -> History:
    """The simulated year as a history in which everything is always on offer."""
    bought = made.purchases
    day = bought["date"].dt.ordinal_day().to_numpy().astype(float) - 1
    events = Events(
        bought["shopper_id"].cast(pl.Int64).to_numpy() - 1, bought["item_id"].cast(pl.Int64).to_numpy(), day
    )
    start = ITEMS["popularity"].to_numpy()
    return History(events, N, category=CODES, start=start, extras={"look": likeness(VECTORS)}, offer_days=None)


def test_a_logit_of_two_alternatives_is_the_log_of_their_odds():
    x = np.zeros((100, 2, 1))
    x[:, 0, 0] = np.repeat([1.0, 0.0], [80, 20])  # the item with the feature was chosen in 80 of 100
    x[:, 1, 0] = 1 - x[:, 0, 0]
    found = logit(x, np.zeros((100, 2)))
    assert found.weights[0] == pytest.approx(np.log(4), abs=1e-3)
    assert found.errors[0] == pytest.approx((100 * 0.8 * 0.2) ** -0.5, rel=1e-2)
    assert found.log_likelihood == pytest.approx(0.8 * np.log(0.8) + 0.2 * np.log(0.2), abs=1e-4)


def test_what_nothing_tells_has_no_standard_error():
    assert np.isnan(logit(np.zeros((5, 3, 1)), np.zeros((5, 3))).errors[0])


@pytest.mark.parametrize("alternatives", [N, 30])  # the whole choice set, and a tenth of it with the correction
def test_the_simulator_s_weights_are_found_within_two_standard_errors(alternatives):
    truth = ChoiceModel({"category": 0.9, "look": 2.0}, 25.0, Prior(0.7, 1e-6))
    given, within = {"popularity": 0.7, "category": 0.9, "look": 2.0}, []
    for seed in range(5):
        made = simulate(ITEMS, 80, 20, seed=seed, model="choice", choice=truth, vectors=VECTORS)
        found = fit(history(made), names=tuple(given), half_life=25.0, prior=truth.prior, alternatives=alternatives)
        within += [abs(found.model.weights[name] - weight) < 2 * found.errors[name] for name, weight in given.items()]
        assert all(found.errors[name] < 0.25 * weight for name, weight in given.items())
    assert sum(within) >= 13  # of 15: one of twenty lies farther away by chance


def test_what_price_and_another_gender_weigh_is_found_within_two_standard_errors():
    rng, n, truth = np.random.default_rng(7), 120, {"price": 3.0, "other": 1.5}
    gender, children = rng.integers(0, 3, n), rng.random(n) < 0.3
    prices = log_prices(np.where(rng.random(n) < 0.1, np.nan, rng.lognormal(4, 1, n)), rng.integers(0, 2, n))
    own = {"price": price_fit(prices), "other": whose_fit(gender, children)}
    rows, bought = np.arange(n), []
    for shopper in range(300):
        hers: list[int] = []
        for day in range(12):
            past = Past(shopper, np.array(hers, np.int64), np.zeros(len(hers)), np.zeros(len(hers)))
            utility = sum(weight * own[name](past, rows) for name, weight in truth.items())
            hers.append(int(rng.choice(n, p=np.exp(utility) / np.exp(utility).sum())))
            bought.append((day, shopper, hers[-1]))
    day, shopper, item = np.array(sorted(bought)).T
    made = History(Events(shopper, item, day.astype(float)), n, extras=own, offer_days=None)
    found = fit(made, names=tuple(truth), half_life=30.0, prior=Prior())
    for name, weight in truth.items():
        assert abs(found.model.weights[name] - weight) < 2 * found.errors[name], name
        assert found.errors[name] < 0.1 * weight


def test_the_half_life_and_the_prior_are_found():
    truth = ChoiceModel({}, 30.0, Prior(0.9, 0.4))
    made = simulate(ITEMS.with_columns(popularity=0.0), 1_000, 20, seed=5, model="choice", choice=truth)
    kept = history(made)
    found = fit(History(kept.events, N, offer_days=None), sample=4_000)
    assert found.model.half_life == pytest.approx(30, rel=0.35)
    assert abs(found.model.prior.mean - 0.9) < 0.1
    assert abs(found.model.prior.sd - 0.4) < 0.1


@pytest.mark.parametrize("many", [5, 20, 100])
def test_theta_is_found_as_well_as_can_be(many):
    truth = ChoiceModel({}, 25.0, Prior(0.8, 0.4))
    made = simulate(ITEMS, 500, 2 * many, seed=many, model="choice", choice=truth)
    past = history(made)
    first = past._starts[:-1]
    people = np.flatnonzero(np.diff(past._starts) >= many)
    sums = past.crowd(25.0).sums
    found = sums[first[people] + many] - sums[first[people]]
    mean, _ = posterior(found[:, 0], found[:, 1:-1], truth.prior)
    true = made.shoppers["theta"].to_numpy()[people]
    best = exact(past, people, many, truth.prior)
    assert np.corrcoef(mean, true)[0, 1] >= 0.95 * np.corrcoef(best, true)[0, 1]
    assert mean == pytest.approx(best, abs=0.01)


def exact(past: History, people: np.ndarray, many: int, prior: Prior) -> np.ndarray:
    """The Bayes-optimal θ from each one's first purchases, every day's choice over the whole catalogue."""
    events, logs = past.events, {}
    for first, end, popularity, _ in past.daily([25.0]):
        chance = GRID[:, None] * popularity[0]
        top = chance.max(axis=1, keepdims=True)
        total = top[:, 0] + np.log(np.exp(chance - top).sum(axis=1))
        for event in range(first, end):
            logs[event] = GRID * popularity[0, events.item[event]] - total
    best = []
    for person in people:
        log = sum(logs[event] for event in np.flatnonzero(events.shopper == person)[:many])
        log = log - 0.5 * ((GRID - prior.mean) / prior.sd) ** 2
        chance = np.exp(log - log.max())
        best.append(chance @ GRID / chance.sum())
    return np.array(best)


def test_choice_sets_hold_what_was_on_offer_and_what_was_chosen_first():
    made = simulate(ITEMS, 50, 8, seed=1, model="choice")
    past = history(made)
    events, offsets, rows = draw_sets(past, 0.0, 100, 20, np.random.default_rng(0))
    assert (rows[:, 0] == past.events.item[events]).all()
    assert len(events) == 100
    assert np.isfinite(offsets[:, :21]).all()
    everything, offsets, rows = draw_sets(past, 0.0, 100, N, np.random.default_rng(0))
    real = np.isfinite(offsets)
    assert real.sum(axis=1).tolist() == [N] * len(everything)
    assert all(len(set(row[keep].tolist())) == N for row, keep in zip(rows, real, strict=True))


def test_nothing_after_the_day_is_fitted_to():
    made = simulate(ITEMS, 300, 10, seed=2, model="choice")
    past = history(made)
    many = int(np.searchsorted(past.events.day, 200.0))
    early = Events(past.events.shopper[:many], past.events.item[:many], past.events.day[:many])
    both = [
        fit(History(events, N, category=CODES, offer_days=None), until=200.0, half_life=20.0, sample=300)
        for events in (past.events, early)
    ]
    assert both[0].model == both[1].model
