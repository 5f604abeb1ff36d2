"""Catalogues for the ranking: a large random one, and its slow and obvious ranking to compare with."""

from collections.abc import Callable

import numpy as np
import pytest

from modiste.ranking.candidates import Candidates, Queries

KINDS = 4


def make_candidates(n: int = 600, d: int = 24, seed: int = 0, views: int = 2, missing: float = 0.1) -> Candidates:
    """Random items, some without a vector, category or gender; ``views`` to a product; ids not in order."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(n, d)) + rng.normal(size=d)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    has_vector = rng.random(n) >= missing
    vectors[~has_vector] = 0
    return Candidates(
        vectors=vectors.astype(np.float32),
        has_vector=has_vector,
        normpop=rng.random(n),
        category=rng.integers(-1 if missing else 0, KINDS, n),
        similarity=np.full((KINDS, KINDS), 0.3) + 0.7 * np.eye(KINDS),
        gender=rng.integers(0, 3, n).astype(np.int8),
        product=np.arange(n) // views * 7,
        item_ids=tuple(f"item-{number}" for number in rng.permutation(n)),
        distance_km=np.where(rng.random(n) < 0.2, np.nan, rng.uniform(0, 30, n)),
        allowed=rng.random(n) < 0.9,
    )


def make_queries(candidates: Candidates, q: int = 12, seed: int = 1) -> Queries:
    """Purchases of random items, by shoppers with others behind them; the last two are photos, and one is nothing."""
    rng = np.random.default_rng(seed)
    item = rng.integers(0, len(candidates), q)
    item[-3:] = -1
    vectors = rng.normal(size=(q, candidates.vectors.shape[1]))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors[-1] = 0
    return Queries(
        item=item,
        vectors=vectors.astype(np.float32),
        trendiness=rng.random(q),
        gender=rng.integers(0, 3, q).astype(np.int8),
        excluded=[rng.integers(0, len(candidates), rng.integers(0, 4)) for _ in range(q)],
    )


@pytest.fixture
def candidates() -> Candidates:
    return make_candidates()


@pytest.fixture
def queries(candidates: Candidates) -> Queries:
    return make_queries(candidates)


@pytest.fixture(scope="session")
def draw() -> Callable[..., tuple[Candidates, Queries]]:
    """Another random catalogue and its queries, by seed and size."""

    def drawn(seed: int, **shape: float) -> tuple[Candidates, Queries]:
        candidates = make_candidates(seed=seed, **shape)
        return candidates, make_queries(candidates, seed=seed + 1)

    return drawn
