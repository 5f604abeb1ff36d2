"""The simulator against its own formula, purchase by purchase, and what a year must look like."""

from collections.abc import Iterator
from datetime import UTC, date, datetime

import numpy as np
import polars as pl
import pytest

from benchmarks.simulation import popularity_at_purchase
from modiste.behaviour.popularity import normalise
from modiste.behaviour.simulation import POPULAR_SHARE, Simulation, simulate
from modiste.errors import SettingError


def catalogue(counts, genders=None) -> pl.DataFrame:
    counts = np.asarray(counts, float)
    return pl.DataFrame(
        {
            "item_id": [f"i{number}" for number in range(len(counts))],
            "gender": list(genders) if genders is not None else [None] * len(counts),
            "category": ["Denim"] * len(counts),
            "popularity": counts,
        },
        schema_overrides={"gender": pl.String},
    )


def replay(items: pl.DataFrame, made: Simulation, model: str) -> Iterator[tuple[float, int, np.ndarray, np.ndarray]]:
    """Each purchase but the shoppers' first: τ, the row, and all items' popularity and probability by the formula."""
    row_of = {item: row for row, item in enumerate(items["item_id"])}
    gender_of = items["gender"].to_list()
    tau_of = dict(made.shoppers.iter_rows())
    counts = items["popularity"].to_numpy().copy()
    shopper_gender: dict[str, str | None] = {}
    for shopper, item, _ in made.purchases.iter_rows():
        row = row_of[item]
        if shopper in shopper_gender:
            gender, tau = shopper_gender[shopper], tau_of[shopper]
            pool = np.array([gender is None or one in (gender, None) for one in gender_of])
            n = normalise(counts)
            if model == "paper":
                weight = pool * (tau * n + (1 - tau) * (1 - n))
            else:
                popular = pool & (counts >= POPULAR_SHARE * counts.sum()) & (counts > 0)
                others = pool & ~popular
                shares = [(tau, popular), (1 - tau, others)]
                weight = sum(share * part / part.sum() for share, part in shares if part.any())
            yield tau, row, n, weight / weight.sum()
        else:
            shopper_gender[shopper] = gender_of[row]
        counts[row] += 1


RNG = np.random.default_rng(0)
GENDERS = ["men", "women", None, "women", "men", "women", None, "men"]
MARKETS = {
    "nothing bought yet": catalogue(np.zeros(8), GENDERS),
    "small counts": catalogue([0, 1, 2, 3, 5, 8, 13, 21], GENDERS),
    "settled popularity": catalogue(np.arange(8) * 1e6, GENDERS),
    "fractions": catalogue(RNG.uniform(0, 3, 8), GENDERS),
    "one rarity": catalogue([0, *[1e6] * 149]),  # rejection alone would take 150 tries to find it
    "one hit": catalogue([500, *[0] * 39]),
    "a large empty shop": catalogue(np.zeros(3_000)),  # the lowest count never rises
}


@pytest.mark.parametrize("model", ["paper", "pools"])
@pytest.mark.parametrize("market", MARKETS)
def test_every_draw_follows_the_formula_at_its_moment(market, model):
    items = MARKETS[market]
    made = simulate(items, shoppers=4_000, purchases=6, seed=11, model=model)
    bought = np.zeros((3, len(items)))  # by thirds of τ
    expected, variance = np.zeros_like(bought), np.zeros_like(bought)
    surprise, spread = np.zeros(3), np.zeros(3)  # of the popularity bought
    for tau, row, n, p in replay(items, made, model):
        third = min(int(tau * 3), 2)
        assert p[row] > 0
        bought[third, row] += 1
        expected[third] += p
        variance[third] += p * (1 - p)
        surprise[third] += n[row] - p @ n
        spread[third] += p @ n**2 - (p @ n) ** 2
    likely = variance > 5
    z = (bought - expected)[likely] / np.sqrt(variance[likely])
    assert np.abs(z).max(initial=0) < 4.5
    assert np.square(z).sum() <= likely.sum() + 5 * np.sqrt(2 * likely.sum())
    assert np.abs(surprise / np.sqrt(spread)).max() < 4


def test_the_first_item_is_uniform_whatever_its_popularity():
    items = catalogue(np.arange(20) ** 3)
    made = simulate(items, shoppers=20_000, purchases=1, seed=2)
    counts = made.purchases["item_id"].value_counts()["count"].to_numpy()
    assert len(counts) == 20
    assert np.square(counts - 1000).sum() / 1000 < 19 + 5 * np.sqrt(38)


def test_the_first_item_sets_the_gender_of_all_that_follow():
    items = catalogue(np.arange(40), [["men", "women", None][number % 3] for number in range(40)])
    made = simulate(items, shoppers=400, purchases=8, seed=3)
    joined = made.purchases.join(items, on="item_id", maintain_order="left")
    for _, bought in joined.group_by("shopper_id", maintain_order=True):
        first, later = bought["gender"][0], set(bought["gender"][1:].to_list())
        assert first is None or later <= {first, None}


def test_purchases_stand_in_the_order_of_their_dates_and_spread_over_the_year():
    made = simulate(catalogue(np.arange(50)), shoppers=4_000, purchases=5, year=2024, seed=4)
    dates = made.purchases["date"]
    assert dates.is_sorted()
    assert (dates[0], dates[-1]) == (date(2024, 1, 1), date(2024, 12, 31))
    assert dates.n_unique() == 366  # the leap day is one of them
    months = dates.dt.month().value_counts()["count"].to_numpy()
    assert months.min() > 0.8 * months.max()


def test_each_shopper_buys_one_to_n_items_and_trendiness_is_uniform():
    made = simulate(catalogue(np.arange(50)), shoppers=5_000, purchases=5, seed=5)
    each = made.purchases.group_by("shopper_id").len()["len"].value_counts().sort("len")
    assert each["len"].to_list() == [1, 2, 3, 4, 5]
    assert each["count"].min() > 850
    deciles = np.histogram(made.shoppers["trendiness"], bins=10, range=(0, 1))[0]
    assert np.square(deciles - 500).sum() / 500 < 9 + 5 * np.sqrt(18)
    assert made.shoppers["shopper_id"].to_list() == [str(number) for number in range(1, 5_001)]


@pytest.mark.parametrize("model", ["paper", "pools", "choice"])
def test_the_same_seed_gives_the_same_year_and_another_another(model):
    items = MARKETS["small counts"]
    first, again, other = (simulate(items, seed=seed, model=model) for seed in (42, 42, 43))
    assert first.shoppers.equals(again.shoppers)
    assert first.purchases.equals(again.purchases)
    assert not first.purchases.equals(other.purchases)


def test_followers_buy_what_is_popular_and_the_others_what_is_not():
    items = catalogue(np.arange(101) * 1e5)
    made = simulate(items, shoppers=4_000, purchases=6, seed=6)
    rows = made.purchases["item_id"].str.slice(1).cast(pl.Int64).to_numpy()
    bought = made.purchases.with_columns(n=popularity_at_purchase(rows, items["popularity"].to_numpy()))
    later = bought.filter(pl.int_range(pl.len()).over("shopper_id") > 0).join(made.shoppers, on="shopper_id")
    slope, start = np.polyfit(later["trendiness"], later["n"], 1)
    # n uniform on [0, 1]: E[n | τ] = 1/3 + τ/3, so what is bought leans towards τ but never reaches it
    assert (start, slope) == pytest.approx((1 / 3, 1 / 3), abs=0.02)


def test_in_a_large_catalogue_nothing_is_popular_by_the_authors_threshold():
    items = catalogue(np.random.default_rng(1).integers(0, 101, 1_000))
    made = simulate(items, shoppers=2_000, purchases=5, seed=7, model="pools")
    rows = made.purchases["item_id"].str.slice(1).cast(pl.Int64).to_numpy()
    seen = popularity_at_purchase(rows, items["popularity"].to_numpy())
    tau = made.purchases.join(made.shoppers, on="shopper_id", maintain_order="left")["trendiness"]
    assert abs(np.corrcoef(tau, seen)[0, 1]) < 0.05


def test_a_single_item_is_bought_every_time():
    made = simulate(catalogue([3]), shoppers=10, purchases=3, seed=8)
    assert set(made.purchases["item_id"]) == {"i0"}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"shoppers": 0}, "shoppers must be at least 1"),
        ({"purchases": 0}, "purchases must be at least 1"),
        ({"year": 0}, "year must be at least 1"),
        ({"year": datetime.now(UTC).year}, "is not over, and nobody has bought in the future"),
        ({"year": 10_000}, "10000 is not over"),
        ({"model": "popular"}, "there are: paper, pools, choice"),
    ],
)
def test_a_parameter_out_of_range_is_refused(change, complaint):
    with pytest.raises(SettingError, match=complaint):
        simulate(MARKETS["small counts"], **change)


def test_an_empty_catalogue_or_an_item_without_a_count_is_refused():
    with pytest.raises(SettingError, match="the catalogue is empty"):
        simulate(catalogue([]))
    with pytest.raises(SettingError, match="item i1 has no popularity"):
        simulate(catalogue([1, 2]).with_columns(popularity=pl.Series([1.0, None])))
