"""Trendiness: the shrinkage by hand, and how well it recovers what the simulator gave its shoppers."""

import numpy as np
import polars as pl
import pytest

from benchmarks.simulation import with_estimates
from modiste.behaviour.simulation import simulate
from modiste.behaviour.trendiness import STRENGTH, estimated_trendiness


def test_few_purchases_are_shrunk_towards_the_mean_of_all():
    assert STRENGTH == 3
    assert estimated_trendiness(1.9, 3, mean=0.5) == pytest.approx((1.9 + 3 * 0.5) / 6)
    both = estimated_trendiness(np.array([1.9, 0.1]), np.array([3.0, 1.0]), mean=0.5)
    assert both == pytest.approx([(1.9 + 3 * 0.5) / 6, (0.1 + 3 * 0.5) / 4])


def test_many_purchases_outweigh_the_mean_of_all():
    assert estimated_trendiness(0.2 * 1e6, 1e6, mean=0.9) == pytest.approx(0.2, abs=1e-5)


def test_what_rounding_adds_never_leads_out_of_the_range():
    assert estimated_trendiness(-1e-16, 1.0, mean=0.0) == 0
    assert estimated_trendiness(np.array([-1e-16, 2 + 1e-15]), np.array([1.0, 2.0]), mean=1.0).max() <= 1


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
    return with_estimates(made.shoppers, made.purchases, items["popularity"].to_numpy())


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
