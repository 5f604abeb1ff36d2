from datetime import date
from random import Random

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modiste.behaviour.popularity import normalise
from modiste.behaviour.simulation import POPULAR_SHARE, _Market, simulate
from modiste.errors import SettingError

DRAWS = 20_000
COUNTS = [0, 1, 2, 5, 5, 9, 12, 0]
GENDERS = ["men", "women", None, "women", "men", None, "women", "women"]


def catalogue(genders, counts=None):
    names = [f"i{number}" for number in range(len(genders))]
    frame = {"item_id": names, "gender": genders, "popularity": counts or [0] * len(genders)}
    return pl.DataFrame(frame, schema={"item_id": pl.String, "gender": pl.String, "popularity": pl.Int64})


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


@pytest.mark.parametrize("model", ["paper", "pools"])
def test_the_same_seed_gives_the_same_year_and_another_seed_another(model):
    shop = catalogue(GENDERS * 5, COUNTS * 5)
    one, again, other = (simulate(shop, 40, 6, seed=seed, model=model) for seed in (3, 3, 4))
    assert one.purchases.equals(again.purchases)
    assert one.shoppers.equals(again.shoppers)
    assert not one.purchases.equals(other.purchases)


@pytest.mark.parametrize("model", ["paper", "pools"])
@given(
    genders=st.lists(st.sampled_from(["men", "women", None]), min_size=1, max_size=8),
    shoppers=st.integers(1, 9),
    most=st.integers(1, 5),
    year=st.integers(1, 9999),
    seed=st.integers(0, 1000),
)
def test_a_year_is_one_that_the_rules_allow(model, genders, shoppers, most, year, seed):
    shop = catalogue(genders)
    year_of = simulate(shop, shoppers, most, year, seed, model)
    assert year_of.shoppers["shopper_id"].to_list() == [str(number + 1) for number in range(shoppers)]
    assert year_of.shoppers["trendiness"].is_between(0, 1).all()
    bought = year_of.purchases
    assert bought.schema == {"shopper_id": pl.String, "item_id": pl.String, "date": pl.Date}
    assert bought["date"].is_sorted()
    assert bought["date"].is_between(date(year, 1, 1), date(year, 12, 31)).all()
    per_shopper = bought["shopper_id"].value_counts()
    assert set(per_shopper["shopper_id"]) == set(year_of.shoppers["shopper_id"])
    assert per_shopper["count"].is_between(1, most).all()
    gender_of = dict(zip(shop["item_id"], genders, strict=True))
    for _, hers in bought.group_by("shopper_id"):
        first, *later = [gender_of[item] for item in hers["item_id"]]
        assert first is None or all(one in (first, None) for one in later)


def test_days_reach_from_new_year_to_new_years_eve_and_through_a_leap_day():
    days = set(simulate(catalogue([None]), 9000, 1, 2024).purchases["date"])
    assert {date(2024, 1, 1), date(2024, 2, 29), date(2024, 12, 31)} <= days
    assert len(days) == 366


def test_a_shoppers_first_item_is_uniform_however_popular_another_is():
    drawn = simulate(catalogue([None, "men", "women", "men"], [1000, 0, 0, 5]), 4000, 1).purchases["item_id"]
    rows = drawn.str.slice(1).cast(pl.Int64).to_numpy()
    assert chi_square(rows, [1] * 4) < 25


def test_what_was_bought_earlier_in_the_year_is_more_popular_later():
    """Half the shoppers follow the trend, and all counts start equal: purchases gather on what was bought before."""
    rows = simulate(catalogue([None] * 60), 300, 40, seed=1).purchases["item_id"].str.slice(1).cast(pl.Int64)
    counts, before = np.zeros(60), []
    for row in rows:
        before.append(counts[row] - counts.mean())
        counts[row] += 1
    early, late = np.mean(before[:1000]), np.mean(before[-1000:])
    assert late > early > 0


def test_a_catalogue_of_one_item_sells_that_item_only():
    for model in ("paper", "pools"):
        assert set(simulate(catalogue(["men"]), 5, 5, model=model).purchases["item_id"]) == {"i0"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"shoppers": 0}, "shoppers must be at least 1"),
        ({"purchases": 0}, "purchases must be at least 1"),
        ({"year": 0}, "year must be at least 1"),
        ({"year": 10_000}, "year must be at most 9999"),
        ({"model": "other"}, "no model 'other'"),
    ],
)
def test_parameters_out_of_range_are_refused(change, words):
    with pytest.raises(SettingError, match=words):
        simulate(catalogue([None]), **change)


def test_there_must_be_something_to_buy_and_each_item_must_have_a_count():
    with pytest.raises(SettingError, match="empty"):
        simulate(catalogue([]))
    with pytest.raises(SettingError, match="item i1 has no popularity"):
        simulate(catalogue([None] * 3, [1, None, 2]))
