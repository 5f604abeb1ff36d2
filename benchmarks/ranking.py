"""What the whole relevance costs beside the bare matrix product that any exact visual search needs.

    python benchmarks/ranking.py [--items 10000 50000] [--runs 9]
    python benchmarks/ranking.py --weights  (needs the extra ``ann``)

Medians of interleaved runs on one machine: rank() of a block of queries, against the float32 product of the queries
with all items, and against that product with the partition that a Top-K by cosine alone needs as well. ``--weights``:
the share of the exact Top-10 that the HNSW index finds, by the weights its points are made for and those asked for.
"""

import argparse
from collections.abc import Callable
from functools import partial
from statistics import median
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from modiste.catalog.taxonomy import Taxonomy
from modiste.ranking.relevance import PRESETS, Weights
from modiste.ranking.topk import Candidates, Queries, rank

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


def compare_weights(items: int) -> None:
    """Print the share of the exact Top-10 found, for several sets of weights that the points could be made for."""
    from modiste.ranking.index import Index

    candidates, queries = make_shop(items, 128)
    taxonomy = Taxonomy.load()
    exact = {name: rank(candidates, queries, weights, TOP).items for name, weights in PRESETS.items()}
    print(f"{items} items of 128 dimensions: share of the exact Top-{TOP} found (milliseconds per query)")
    print(f"{'made for α, β, γ':>18} " + " ".join(f"{name:>14}" for name in PRESETS))
    for made in ((1.0, 0.1, 0.1), (1.0, 0.25, 0.1), (1.0, 0.25, 0.25), (1.0, 0.5, 0.5), (1.0, 1.0, 0.1)):
        index = Index(candidates, taxonomy.embedding(taxonomy.categories), Weights(*made))
        cells = []
        for name, weights in PRESETS.items():
            taken = []
            for _ in range(3):
                start = perf_counter()
                found = index.rank(candidates, queries, weights, TOP)
                taken.append((perf_counter() - start) * 1000 / QUERIES)
            share = np.mean([np.isin(row, found.items[number]).mean() for number, row in enumerate(exact[name])])
            cells.append(f"{share:.3f} ({median(taken):.2f})")
        print(f"{', '.join(map(str, made)):>18} " + " ".join(f"{cell:>14}" for cell in cells), flush=True)


def main() -> None:
    """Read the options and print the table asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, nargs="+", default=[10_000, 50_000])
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--weights", action="store_true", help="compare what HNSW points may be made for instead")
    chosen = parser.parse_args()
    if chosen.weights:
        compare_weights(chosen.items[0])
    else:
        compare_speed(chosen.items, chosen.runs)


if __name__ == "__main__":
    main()
