"""Single draws at fixed counts: the urn, the rejection and the popular set, each against the formula."""

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modiste.behaviour.popularity import normalise
from modiste.behaviour.simulation import POPULAR_SHARE, _Market

DRAWS = 20_000
COUNTS = [0, 1, 2, 5, 5, 9, 12, 0]
GENDERS = ["men", "women", None, "women", "men", None, "women", "women"]


def market(counts, genders, seed=5):
    return _Market(np.array(counts, float), genders, Random(seed))


def chi_square(drawn, weights):
    """Pearson's statistic of the drawn rows against the weights; infinite if an item of weight 0 was drawn."""
    expected = np.array(weights) / sum(weights) * len(drawn)
    seen = np.bincount(drawn, minlength=len(expected))
    if seen[expected == 0].any():
        return np.inf
    some = expected > 0
    return float((np.square(seen - expected)[some] / expected[some]).sum())


@pytest.mark.parametrize("gender", [None, "women"])
@pytest.mark.parametrize("bought", [[], [1, 3, 6, 6, 2, 0], [0, 7, 6, 1, 1, 5]], ids=["fresh", "urn", "risen-low"])
@pytest.mark.parametrize("tau", [0, 0.3, 0.5, 0.8, 1])
def test_items_are_drawn_as_the_formula_says(tau, bought, gender):
    shop = market(COUNTS, GENDERS)
    for row in bought:
        shop.buy(row)
    counts = np.array(COUNTS, float) + np.bincount(bought, minlength=len(COUNTS))
    n = normalise(counts)
    suits = np.array([gender is None or one in (gender, None) for one in GENDERS])
    weights = np.where(suits, tau * n + (1 - tau) * (1 - n), 0)
    drawn = np.array([shop.draw_by_trend(shop.pools[gender], tau) for _ in range(DRAWS)])
    assert chi_square(drawn, weights) < 35  # at most 7 degrees of freedom: p = 1e-5


def test_where_nearly_all_are_the_most_popular_the_rare_one_is_still_found():
    shop = market([0] + [1] * 999, [None] * 1000)
    assert {shop.draw_by_trend(shop.pools[None], 0.0) for _ in range(200)} == {0}


def test_where_all_are_equally_popular_the_draw_is_uniform():
    shop = market([3] * 6, [None] * 6)
    for tau in (0.0, 0.7, 1.0):
        drawn = np.array([shop.draw_by_trend(shop.pools[None], tau) for _ in range(6000)])
        assert chi_square(drawn, [1] * 6) < 30


def test_a_pools_shopper_buys_from_the_popular_items_with_probability_tau():
    shop = market([50, 40, 1, 1, 1], [None] * 5)
    assert shop.popular == {0, 1}
    drawn = np.array([shop.draw_from_pools(shop.pools[None], 0.8) for _ in range(DRAWS)])
    assert chi_square(drawn, [0.4, 0.4, 0.2 / 3, 0.2 / 3, 0.2 / 3]) < 30


def test_where_one_of_the_two_pools_is_empty_the_other_serves():
    none_popular = market([1] * 10, [None] * 10)
    assert none_popular.popular == set()
    assert len({none_popular.draw_from_pools(none_popular.pools[None], 1.0) for _ in range(300)}) == 10
    all_popular = market([5, 5], [None] * 2)
    assert {all_popular.draw_from_pools(all_popular.pools[None], 0.0) for _ in range(50)} == {0, 1}
    hers_unpopular = market([90, 1, 1], ["men", "women", None])
    assert {hers_unpopular.draw_from_pools(hers_unpopular.pools["women"], 1.0) for _ in range(50)} == {1, 2}


@given(st.lists(st.integers(0, 9), min_size=1, max_size=6), st.lists(st.integers(0, 5), max_size=40))
def test_the_popular_set_follows_every_purchase(start, bought):
    shop, counts = market(start, [None] * len(start)), np.array(start)
    for row in (one % len(start) for one in bought):
        shop.buy(row)
        counts[row] += 1
        assert shop.popular == set(np.flatnonzero(counts >= POPULAR_SHARE * counts.sum()).tolist())
