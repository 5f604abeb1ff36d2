"""What any recommender must beat: random items, the best sellers, the purchase's own category, and the photo alone.

Every baseline obeys the same rules as the formula: never what the shopper bought, never another view of it, and no item
of the other gender where the query filters.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from modiste.arrays import Ints
from modiste.ranking.candidates import Candidates, Queries
from modiste.ranking.relevance import PRESETS, Weights
from modiste.ranking.topk import rank

Baseline = Callable[[Candidates, Queries, int, int], Ints]
"""(candidates, queries, top, seed) → int64 (q, top): rows of the candidates, −1 where a list runs out."""


def random_items(candidates: Candidates, queries: Queries, top: int, seed: int) -> Ints:
    """Any admissible items, uniformly."""
    rng = np.random.default_rng(seed)
    lists = np.full((len(queries), top), -1, np.int64)
    for row in range(len(queries)):
        admitted = candidates.admits(int(queries.gender[row]))
        admitted[queries.taken(row, candidates)] = False
        pool = np.flatnonzero(admitted)
        chosen = rng.choice(pool, min(top, len(pool)), replace=False)
        lists[row, : len(chosen)] = chosen
    return lists


def best_sellers(candidates: Candidates, queries: Queries, top: int, seed: int) -> Ints:
    """The most popular items, the same for everybody: the popularity term alone, as if every τ were 1."""
    everybody = replace(queries, trendiness=np.ones(len(queries)))
    return rank(with_random_ties(candidates, seed), everybody, Weights(0.0, 1.0, 0.0), top).items


def same_category(candidates: Candidates, queries: Queries, top: int, seed: int) -> Ints:
    """Items of the purchase's category, any of them."""
    return rank(with_random_ties(candidates, seed), queries, Weights(0.0, 0.0, 1.0), top).items


def visual_only(candidates: Candidates, queries: Queries, top: int, seed: int) -> Ints:
    """The items that look most like the purchase."""
    return rank(candidates, queries, PRESETS["visual"], top).items


BASELINES: Mapping[str, Baseline] = {
    "random items": random_items,
    "best sellers": best_sellers,
    "same category": same_category,
    "visual only": visual_only,
}
"""By name, in the order in which tables show them."""


def with_random_ties(candidates: Candidates, seed: int) -> Candidates:
    """The same candidates under ids that are shuffled, so that equal relevances stand in a random order."""
    order = np.random.default_rng(seed).permutation(len(candidates))
    return replace(candidates, item_ids=tuple(f"{place:012d}" for place in order))
