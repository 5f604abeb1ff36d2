"""What the whole relevance costs beside the bare matrix product that any exact visual search needs.

    python benchmarks/ranking.py [--items 10000 50000] [--runs 9]

Medians of interleaved runs on one machine: rank() of a block of queries, against the float32 product of the queries
with all items, and against that product with the partition that a Top-K by cosine alone needs as well. What a whole
shop costs beside it, up to a million items, is told by ``scale.py``.
"""

import argparse
from collections.abc import Callable
from functools import partial
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from modiste.catalog.taxonomy import Taxonomy
from modiste.ranking.candidates import Candidates, Queries
from modiste.ranking.relevance import PRESETS
from modiste.ranking.topk import rank

QUERIES, DIMENSIONS, TOP = 64, 512, 10
Vectors = NDArray[np.float32]


def make_shop(items: int, dimensions: int = DIMENSIONS) -> tuple[Candidates, Queries]:
    """Items in clusters, as garments are, of two views a product; shoppers of both genders who bought five each."""
    rng = np.random.default_rng(0)
    taxonomy = Taxonomy.load()
    centres = rng.normal(size=(200, dimensions)) * 0.5
    vectors = centres[rng.integers(0, 200, items)] + rng.normal(size=(items, dimensions))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    candidates = Candidates(
        vectors=vectors.astype(np.float32),
        has_vector=np.full(items, True),
        normpop=rng.beta(1, 6, items),
        category=rng.integers(0, len(taxonomy.categories), items),
        similarity=taxonomy.matrix(taxonomy.categories),
        gender=rng.integers(1, 3, items).astype(np.int8),
        product=np.arange(items) // 2,
        item_ids=tuple(f"{number:07d}" for number in range(items)),
    )
    bought = rng.integers(0, items, (QUERIES, 5))
    queries = Queries(bought[:, 0], None, rng.random(QUERIES), candidates.gender[bought[:, 0]], list(bought))
    return candidates, queries


def product(asked: Vectors, vectors: Vectors) -> Vectors:
    """The bare cosines."""
    return asked @ vectors.T


def product_and_partition(asked: Vectors, vectors: Vectors) -> NDArray[np.int64]:
    """The unordered Top-K by cosine alone."""
    return np.argpartition(-(asked @ vectors.T), TOP, axis=1)[:, :TOP]


def compare_speed(sizes: list[int], runs: int) -> None:
    """Print the milliseconds per query of each way, and the ratios within a run."""
    print(f"{QUERIES} queries, {DIMENSIONS} dimensions, Top-{TOP}; milliseconds per query")
    print(f"{'items':>7} {'weights':>9} {'product':>8} {'+ top':>8} {'rank()':>8} {'/ product':>10} {'/ + top':>8}")
    for items in sizes:
        candidates, queries = make_shop(items)
        asked = candidates.vectors[queries.item]
        for name, weights in PRESETS.items():
            ways: tuple[Callable[[], object], ...] = (
                partial(product, asked, candidates.vectors),
                partial(product_and_partition, asked, candidates.vectors),
                partial(rank, candidates, queries, weights, TOP),
            )
            taken = np.empty((runs, len(ways)))
            for run in range(-1, runs):  # the first, not kept, fills what is derived once
                for number, way in enumerate(ways):
                    start = perf_counter()
                    way()
                    taken[max(run, 0), number] = perf_counter() - start
            bare, top, ours = np.median(taken, axis=0) * 1000 / QUERIES
            ratios = np.median(taken[:, 2:] / taken[:, :2], axis=0)
            print(
                f"{items:>7} {name:>9} {bare:>8.2f} {top:>8.2f} {ours:>8.2f} {ratios[0]:>10.1f} {ratios[1]:>8.1f}",
                flush=True,
            )


def main() -> None:
    """Read the options and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, nargs="+", default=[10_000, 50_000])
    parser.add_argument("--runs", type=int, default=9)
    chosen = parser.parse_args()
    compare_speed(chosen.items, chosen.runs)


if __name__ == "__main__":
    main()
