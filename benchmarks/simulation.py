"""What a simulated year costs, and how much of each shopper's trendiness her purchases tell.

    python benchmarks/simulation.py [--items 2000 20000] [--runs 5]

First: simulate() against the obvious way, which weighs every item the shopper may buy anew for each purchase and asks
numpy to choose one; medians of interleaved runs. Then: the correlation of the true trendiness with the estimate, by
the most a shopper buys in the year (she buys 1 to that many, the first at random). Last: how well any estimate at all
can do from so many purchases, each a choice among all items, under the paper's model and under P ∝ popularity^θ; the
posterior mean by exact quadrature, which nothing beats, its correlation with the truth over 4,000 shoppers.
"""

import argparse
from collections.abc import Callable
from functools import partial
from statistics import median
from time import perf_counter

import numpy as np
import polars as pl

from modiste.arrays import Floats, Ints
from modiste.behaviour.popularity import RunningCounts, normalise
from modiste.behaviour.simulation import simulate
from modiste.behaviour.trendiness import estimated_trendiness

SHOPPERS = 100
MOST = (1, 2, 5, 10, 20, 50, 100)


def make_catalogue(items: int) -> pl.DataFrame:
    """Items for men, women and either, bought 0 to 99 times so far."""
    counts = np.random.default_rng(1).integers(0, 100, items)
    return pl.DataFrame(
        {
            "item_id": [str(number) for number in range(items)],
            "gender": [("men", "women", None)[number % 3] for number in range(items)],
            "popularity": counts,
        }
    )


def simulate_naively(catalogue: pl.DataFrame, purchases: int, seed: int) -> int:
    """As many purchases as simulate() made, each chosen over the whole pool; returns how many."""
    rng = np.random.default_rng(seed)
    counts = catalogue["popularity"].to_numpy().astype(float)
    suits = np.flatnonzero(catalogue["gender"].is_null() | (catalogue["gender"] == "women"))
    tau = rng.uniform(size=SHOPPERS)
    for buyer in rng.integers(0, SHOPPERS, purchases):
        n = normalise(counts)[suits]
        weight = tau[buyer] * n + (1 - tau[buyer]) * (1 - n)
        counts[rng.choice(suits, p=weight / weight.sum())] += 1
    return purchases


def seconds(work: Callable[[], object]) -> float:
    """How long it took."""
    start = perf_counter()
    work()
    return perf_counter() - start


def compare_speed(sizes: list[int], runs: int) -> None:
    """Print microseconds per purchase of both ways, and their ratio."""
    print(f"{'items':>8} {'purchases':>10} {'simulate, µs each':>18} {'naive, µs each':>15} {'naive / ours':>13}")
    for items in sizes:
        catalogue = make_catalogue(items)
        made = len(simulate(catalogue, SHOPPERS, 20).purchases)
        ours, naive = [], []
        for _ in range(runs):
            ours.append(seconds(partial(simulate, catalogue, SHOPPERS, 20)) / made)
            naive.append(seconds(partial(simulate_naively, catalogue, made, 42)) / made)
        ratio = median(slow / fast for slow, fast in zip(naive, ours, strict=True))
        print(f"{items:>8} {made:>10} {median(ours) * 1e6:>18.1f} {median(naive) * 1e6:>15.1f} {ratio:>13.1f}")
    catalogue = make_catalogue(max(sizes))
    few, many = (
        median(seconds(partial(simulate, catalogue, shoppers, 20)) for _ in range(runs)) for shoppers in (100, 10_000)
    )
    print(f"100 times the shoppers, {max(sizes)} items: {many / few:.1f} times the time ({many:.2f} s)")


def popularity_at_purchase(rows: Ints, start: Floats) -> Floats:
    """Each purchase's item's normalised popularity just before it, float64 (m,), for purchases in the order made."""
    running = RunningCounts(start)
    popularity = np.empty(len(rows))
    for number, row in enumerate(rows.tolist()):
        popularity[number] = running.normalised(row)
        running.add(row)
    return popularity


def with_estimates(shoppers: pl.DataFrame, purchases: pl.DataFrame, start: Floats) -> pl.DataFrame:
    """The simulated shoppers with their estimated trendiness, ``estimate``, and how many ``purchases`` they made.

    ``start``: float64 (n,), the counts before the first purchase of the items, whose ids are their rows.
    """
    rows = purchases["item_id"].cast(pl.Int64).to_numpy()
    bought = purchases.with_columns(normpop=popularity_at_purchase(rows, start))
    sums = bought.group_by("shopper_id").agg(pl.col("normpop").sum(), purchases=pl.len())
    joined = shoppers.join(sums, on="shopper_id")
    normpop, made = (joined[name].to_numpy().astype(float) for name in ("normpop", "purchases"))
    return joined.with_columns(estimate=estimated_trendiness(normpop, made, float(bought["normpop"].mean())))


def recovered(items: int, most: int, seed: int) -> float:
    """The correlation over 400 shoppers of their trendiness and its estimate."""
    catalogue = make_catalogue(items)
    year = simulate(catalogue, 400, most, seed=seed)
    both = with_estimates(year.shoppers, year.purchases, catalogue["popularity"].to_numpy().astype(float))
    return float(np.corrcoef(both["trendiness"], both["estimate"])[0, 1])


def compare_trendiness(sizes: list[int], runs: int) -> None:
    """Print the median correlation over ``runs`` seeds for each catalogue size and most purchases."""
    print(f"\n{'items':>8} " + " ".join(f"{f'1 to {most}':>9}" for most in MOST) + "   purchases a shopper")
    for items in sizes:
        cells = [median(recovered(items, most, seed) for seed in range(runs)) for most in MOST]
        print(f"{items:>8} " + " ".join(f"{cell:>9.2f}" for cell in cells))


def best_correlations(popularity: Floats, many: int, seed: int = 1, shoppers: int = 4_000) -> tuple[float, float]:
    """Of the posterior mean with the truth, from ``many`` purchases: of τ, uniform, and of θ ~ N(0.8, 0.4²).

    ``popularity`` float64 (n,): counts, which stay as they are.
    """
    rng = np.random.default_rng(seed)
    n, logs = normalise(popularity), np.log1p(popularity)
    tau, theta = np.linspace(0, 1, 101), np.linspace(-1, 2, 121)
    follow = np.log(tau[:, None] * n + (1 - tau[:, None]) * (1 - n) + 1e-12)
    power = theta[:, None] * logs
    found = []
    for grid, weight, prior in (
        (tau, follow, np.zeros(len(tau))),
        (theta, power, -0.5 * ((theta - 0.8) / 0.4) ** 2),
    ):
        chance = np.exp(weight - weight.max(axis=1, keepdims=True))
        chance /= chance.sum(axis=1, keepdims=True)
        density = np.exp(prior) / np.exp(prior).sum()
        true = rng.choice(len(grid), shoppers, p=density)
        means = np.empty(shoppers)
        told = np.log(chance).T
        for row in np.unique(true):
            hers = np.flatnonzero(true == row)
            bought = rng.choice(len(n), (len(hers), many), p=chance[row])
            posterior = told[bought].sum(axis=1) + prior
            posterior = np.exp(posterior - posterior.max(axis=1, keepdims=True))
            means[hers] = posterior @ grid / posterior.sum(axis=1)
        found.append(float(np.corrcoef(means, grid[true])[0, 1]))
    return found[0], found[1]


def compare_limits() -> None:
    """Print the best correlations that any estimate can reach."""
    rng = np.random.default_rng(0)
    shops = {"uniform": rng.uniform(0, 100, 2_000), "lognormal": np.floor(rng.lognormal(1.5, 1.5, 2_000))}
    print(f"\n{'popularity':>12} {'purchases':>10} {'paper, τ':>10} {'choice, θ':>10}   best possible correlation")
    for name, popularity in shops.items():
        for many in (5, 20, 100):
            paper, choice = best_correlations(popularity, many)
            print(f"{name:>12} {many:>10} {paper:>10.2f} {choice:>10.2f}")


def main() -> None:
    """Read the options and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, nargs="+", default=[2000, 20_000])
    parser.add_argument("--runs", type=int, default=5)
    chosen = parser.parse_args()
    compare_speed(chosen.items, chosen.runs)
    compare_trendiness(chosen.items, chosen.runs)
    compare_limits()


if __name__ == "__main__":
    main()
