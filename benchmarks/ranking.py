"""What the whole ranking costs beside the bare matrix product that any exact search by looks needs.

    python benchmarks/ranking.py [--items 10000 100000 1000000] [--runs 9] [--json ranking.json]

Medians of interleaved runs: ``rank`` and ``merge`` of one query and of a shopper's 20 purchases, Top-5, beside the
float32 product of the same queries with all items (of its two layouts the quicker). The order is drawn anew for every
run, since what comes after a product is slower than what comes after a ranking. What a whole shop costs beside it is
measured by ``scale.py``.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from modiste.catalog.taxonomy import Taxonomy
from modiste.ranking.candidates import Candidates, Queries
from modiste.ranking.relevance import PRESETS
from modiste.ranking.topk import merge, rank

DIMENSIONS, TOP, PURCHASES = 128, 5, 20


def make_shop(items: int, seed: int = 0) -> Candidates:
    """Items of unit length in clusters, as garments are, with long-tailed popularity and two views a product."""
    rng = np.random.default_rng(seed)
    taxonomy = Taxonomy.load()
    centres = rng.standard_normal((200, DIMENSIONS), np.float32)
    cluster = rng.integers(0, len(centres), items)
    vectors = rng.standard_normal((items, DIMENSIONS), np.float32)
    vectors *= 0.7
    vectors += centres[cluster]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Candidates(
        vectors=vectors,
        has_vector=np.ones(items, bool),
        normpop=rng.beta(1, 6, items),
        category=cluster % len(taxonomy.categories),
        similarity=taxonomy.matrix(taxonomy.categories),
        gender=rng.integers(1, 3, items).astype(np.int8),
        product=np.arange(items) // 2,
        item_ids=[f"{number:07d}" for number in range(items)],
    )


def make_queries(candidates: Candidates, purchases: int, seed: int = 1) -> Queries:
    """Purchases of one shopper, who is shown none of them again."""
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.choice(len(candidates), purchases, replace=False))
    return Queries(rows, None, np.full(purchases, 0.3), candidates.gender[rows], [rows] * purchases)


def measure(candidates: Candidates, purchases: int, runs: int) -> dict[str, float]:
    """Medians in milliseconds: the bare ``product``, and the ranking of each preset."""
    queries = make_queries(candidates, purchases)
    vectors, own = candidates.vectors, candidates.vectors[queries.item]
    ways: dict[str, Callable[[], Any]] = {"columns": lambda: vectors @ own.T, "rows": lambda: own @ vectors.T}
    for name, weights in PRESETS.items():
        ways[name] = lambda weights=weights: merge(rank(candidates, queries, weights, TOP), TOP)
    rng = np.random.default_rng(2)
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for run in range(-1, runs):  # the first, not counted, fills what is derived once
        for name in rng.permutation(list(ways)).tolist():
            way = ways[name]
            began = perf_counter()
            way()
            if run >= 0:
                spent[name].append(1000 * (perf_counter() - began))
    figures = {name: median(times) for name, times in spent.items()}
    return {"product": min(figures.pop("columns"), figures.pop("rows")), **figures}


def main() -> None:
    """Print the table, and write the figures if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--json", type=Path, help="write the figures here, in milliseconds")
    chosen = parser.parse_args()
    results = []
    print(f"{'items':>8} {'queries':>8} {'product':>9} " + " ".join(f"{name:>18}" for name in PRESETS))
    for items in chosen.items:
        candidates = make_shop(items)
        for purchases in (1, PURCHASES):
            figures = measure(candidates, purchases, chosen.runs)
            results.append({"items": items, "queries": purchases, **figures})
            cells = [f"{figures[name]:.2f} ({figures[name] / figures['product']:.2f} x)" for name in PRESETS]
            line = " ".join(f"{cell:>18}" for cell in cells)
            print(f"{items:>8} {purchases:>8} {figures['product']:>9.2f} {line}", flush=True)
    if chosen.json:
        chosen.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
