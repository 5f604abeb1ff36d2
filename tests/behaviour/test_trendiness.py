"""Trendiness: the shrinkage by hand, and how well it recovers what the simulator gave its shoppers."""

import numpy as np
import polars as pl
import pytest

from modiste.behaviour.popularity import popularity_at_purchase
from modiste.behaviour.simulation import simulate
from modiste.behaviour.trendiness import estimate_trendiness


def test_few_purchases_are_shrunk_towards_the_mean_of_all():
    found = estimate_trendiness(["ann", "bea", "ann", "ann"], np.array([0.9, 0.1, 0.7, 0.3]), strength=2)
    assert found.rows() == [
        ("ann", pytest.approx((1.9 + 2 * 0.5) / 5), 3),
        ("bea", pytest.approx((0.1 + 2 * 0.5) / 3), 1),
    ]


def test_without_shrinkage_it_is_the_mean():
    assert estimate_trendiness(["a", "a"], np.array([0.2, 0.6]), strength=0)["trendiness"].to_list() == [0.4]


def test_nobody_bought_anything():
    assert estimate_trendiness([], np.empty(0)).is_empty()


@pytest.fixture(scope="module")
def recovered() -> pl.DataFrame:
    """Simulated shoppers of 1 to 40 purchases: trendiness, their estimate, purchases."""
    rng = np.random.default_rng(0)
    items = pl.DataFrame(
        {
            "item_id": [str(row) for row in range(2_000)],
            "gender": ["men", "women"] * 1_000,
            "popularity": rng.integers(0, 101, 2_000).astype(float),
        }
    )
    made = simulate(items, shoppers=3_000, purchases=40, seed=1)
    rows = made.purchases["item_id"].cast(pl.Int64).to_numpy()
    seen = popularity_at_purchase(rows, items["popularity"].to_numpy())
    found = estimate_trendiness(made.purchases["shopper_id"].to_list(), seen)
    return made.shoppers.join(found.rename({"trendiness": "estimate"}), on="shopper_id")


def correlation(frame: pl.DataFrame) -> float:
    return float(np.corrcoef(frame["trendiness"], frame["estimate"])[0, 1])


def test_the_simulator_s_trendiness_is_recovered_the_better_the_more_was_bought(recovered):
    by_size = [
        correlation(recovered.filter(pl.col("purchases").is_between(*bounds)))
        for bounds in ((2, 5), (10, 15), (30, 40))
    ]
    assert by_size == sorted(by_size)
    assert by_size[0] > 0.3
    assert by_size[-1] > 0.8


def test_the_estimate_orders_shoppers_but_in_a_narrower_range(recovered):
    many = recovered.filter(pl.col("purchases") >= 20)
    low, high = many.filter(pl.col("trendiness") < 0.1), many.filter(pl.col("trendiness") > 0.9)
    assert 0.25 < low["estimate"].mean() < 0.5 < high["estimate"].mean() < 0.75
