import numpy as np
import polars as pl
import pytest

from modiste.behaviour.popularity import popularity_at_purchase
from modiste.behaviour.simulation import simulate
from modiste.behaviour.trendiness import estimate_trendiness


def test_an_estimate_is_her_mean_drawn_towards_that_of_all():
    found = estimate_trendiness(["b", "a", "b", "b"], np.array([0.9, 0.1, 0.8, 1.0]), strength=3)
    assert found.columns == ["shopper_id", "trendiness", "purchases"]
    assert found["shopper_id"].to_list() == ["a", "b"]
    assert found["purchases"].to_list() == [1, 3]
    assert found["trendiness"].to_list() == pytest.approx([(0.1 + 3 * 0.7) / 4, (2.7 + 3 * 0.7) / 6])


def test_without_purchases_there_are_no_estimates():
    assert estimate_trendiness([], np.zeros(0)).is_empty()


@pytest.mark.parametrize(("most", "least"), [(5, 0.2), (20, 0.5), (100, 0.75)])
def test_the_more_a_shopper_buys_the_better_her_trendiness_is_known(most, least):
    """Measured over three seeds and catalogues of 200 and 2,000: .28 to .35, .52 to .65, .79 to .86."""
    counts = np.random.default_rng(1).integers(0, 100, 2000)
    shop = pl.DataFrame(
        {
            "item_id": [str(number) for number in range(2000)],
            "gender": [["men", "women", None][number % 3] for number in range(2000)],
            "popularity": counts,
        }
    )
    year = simulate(shop, 400, most, seed=1)
    rows = year.purchases["item_id"].cast(pl.Int64).to_numpy()
    seen = popularity_at_purchase(rows, counts.astype(float))
    found = estimate_trendiness(year.purchases["shopper_id"].to_list(), seen)
    both = year.shoppers.join(found, on="shopper_id", suffix="_found")
    assert np.corrcoef(both["trendiness"], both["trendiness_found"])[0, 1] > least
