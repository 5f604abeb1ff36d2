"""Catalogues for the ranking: a large random one, and its slow and obvious ranking to compare with."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from modiste.arrays import Floats
from modiste.ranking.candidates import Candidates, Queries
from modiste.ranking.relevance import Scale, Weights

KINDS = 4


COLOURS = 6


def make_candidates(n: int = 600, d: int = 24, seed: int = 0, views: int = 2, missing: float = 0.1) -> Candidates:
    """Random items, some without a vector, category or gender; ``views`` to a product; ids not in order."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(n, d)) + rng.normal(size=d)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors = np.hstack([vectors, _colours(rng, n)])
    has_vector = rng.random(n) >= missing
    vectors[~has_vector] = 0
    return Candidates(
        vectors=vectors.astype(np.float32),
        has_vector=has_vector,
        normpop=rng.random(n),
        category=rng.integers(-1 if missing else 0, KINDS, n),
        similarity=np.full((KINDS, KINDS), 0.3) + 0.7 * np.eye(KINDS),
        gender=rng.integers(0, 5, n).astype(np.int8),
        product=np.arange(n) // views * 7,
        item_ids=tuple(f"item-{number}" for number in rng.permutation(n)),
        distance_km=np.where(rng.random(n) < 0.2, np.nan, rng.uniform(0, 30, n)),
        allowed=rng.random(n) < 0.9,
        children=rng.random(n) < 0.2,
        fashion=np.log1p(rng.pareto(1, n)),
        newness=rng.uniform(0, 4, n),
        price=np.where(rng.random(n) < 0.2, np.nan, rng.uniform(0.5, 2.5, n) + 32 * rng.integers(-1, 3, n)),
        colour_dim=COLOURS,
        scales=(Scale(0.1, 0.8), Scale(0.3, 0.9)),
    )


def _colours(rng: np.random.Generator, n: int) -> Floats:
    colours = rng.random((n, COLOURS)) ** 4
    return colours / np.linalg.norm(colours, axis=1, keepdims=True)


def make_queries(candidates: Candidates, q: int = 12, seed: int = 1) -> Queries:
    """Purchases of random items, by shoppers with others behind them; the last two are photos, and one is nothing."""
    rng = np.random.default_rng(seed)
    item = rng.integers(0, len(candidates), q)
    item[-3:] = -1
    vectors = rng.normal(size=(q, candidates.look_dim))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors = np.hstack([vectors, _colours(rng, q)])
    vectors[-1] = 0
    together = [rng.permutation(len(candidates))[: rng.integers(0, 9)] for _ in range(q)]
    return Queries(
        item=item,
        vectors=vectors.astype(np.float32),
        trendiness=rng.random(q),
        gender=rng.integers(0, 5, q).astype(np.int8),
        excluded=[rng.integers(0, len(candidates), rng.integers(0, 4)) for _ in range(q)],
        children=rng.integers(0, 5, q).astype(np.int8),
        freshness=rng.uniform(-0.1, 0.8, q),
        usual=np.stack([candidates.price[rng.integers(0, len(candidates), q)], rng.random(q)], axis=1),
        together=[(rows, rng.uniform(0.1, 4, len(rows))) for rows in together],
    )


def formula(candidates: Candidates, queries: Queries, weights: Weights, top: int) -> list[list[tuple[int, float]]]:
    """The ranking as a person would write it: loops, float64, one item after another."""
    answers = []
    for q in range(len(queries)):
        bought = int(queries.item[q])
        has = candidates.has_vector[bought] if bought >= 0 else queries.vectors is not None and queries.vectors[q].any()
        v = candidates.vectors[bought] if bought >= 0 else queries.vectors[q] if has else None
        kind = candidates.category[bought] if bought >= 0 else -1
        owned = {int(candidates.product[row]) for row in [*queries.excluded[q], *([bought] if bought >= 0 else [])]}
        free = [
            x
            for x in range(len(candidates))
            if candidates.product[x] not in owned
            and (candidates.allowed is None or candidates.allowed[x])
            and {int(queries.gender[q]), int(candidates.gender[x])} != {1, 2}
            and (
                queries.children is None
                or queries.children[q] not in (1, 2)
                or candidates.children[x] == queries.children[q] - 1
            )
        ]
        cosine, colour, d = {}, {}, candidates.look_dim
        if has:
            cosine = {x: float(np.dot(candidates.vectors[x, :d].astype(float), v[:d].astype(float)))
                      for x in free if candidates.has_vector[x]}  # fmt: skip
            colour = {x: float(np.dot(candidates.vectors[x, d:].astype(float), v[d:].astype(float))) for x in cosine}
        low, high = (min(cosine.values()), max(cosine.values())) if cosine else (0, 0)
        scored, people = [], ["", "m", "w", "m", "w"]
        pairs = queries.together[q] if queries.together else (np.empty(0), np.empty(0))
        together = dict(zip(pairs[0].tolist(), pairs[1].tolist(), strict=True))
        age = 0 if queries.children is None else int(queries.children[q])
        usual, sure = (math.nan, 0.0) if queries.usual is None else queries.usual[q]
        fresh = 0.0 if queries.freshness is None else queries.freshness[q]
        theta, (one, other) = 3 * queries.trendiness[q] - 1, candidates.scales
        for x in free:
            visual = cosine.get(x, 0.0)
            if weights.scaling == "minmax":
                visual = (visual - low) / (high - low) if x in cosine and high - low > 1e-6 else 0.0
            which = int(candidates.category[x])
            similarity = candidates.similarity[kind, which] if kind >= 0 and which >= 0 else 0.0
            km = math.nan if candidates.distance_km is None else candidates.distance_km[x]
            near = 0.0 if math.isnan(km) else math.exp(-km / 10)
            gap = candidates.normpop[x] - queries.trendiness[q]
            popular, alike = 1 - gap**weights.penalty, 0.0
            if weights.formula == "choice":
                popular = theta * candidates.fashion[x] - min(
                    theta * candidates.fashion.min(), theta * candidates.fashion.max()
                )
                if x in cosine:
                    visual = (cosine[x] - one.low) / (one.high - one.low)
                    alike = (colour[x] - other.low) / (other.high - other.low) - (weights.colour < 0)
            paid = math.nan if candidates.price is None else candidates.price[x]
            others = {people[queries.gender[q]], people[candidates.gender[x]]} == {"m", "w"}
            scored.append(
                weights.alpha * visual
                + weights.colour * alike
                + weights.beta * popular
                + weights.gamma * similarity
                + weights.distance * near
                + weights.together * together.get(x, 0.0)
                + weights.newness * fresh * (0.0 if candidates.newness is None else candidates.newness[x])
                + weights.price * (max(0.0, 1 - abs(paid - usual)) * sure if paid == paid and usual == usual else 0.0)
                - (weights.formula == "choice")
                * weights.other
                * (int(others) + int(age > 2 and age - 3 != candidates.children[x]))
                + (0.0 if candidates.boost is None else candidates.boost[x])
            )
        best, seen = [], set()
        for place in sorted(range(len(free)), key=lambda p: (-round(scored[p], 11), candidates.item_ids[free[p]])):
            if candidates.product[free[place]] not in seen and len(best) < top:
                seen.add(candidates.product[free[place]])
                best.append((free[place], scored[place]))
        answers.append(best)
    return answers


@pytest.fixture(scope="session")
def written_out() -> Callable[[Candidates, Queries, Weights, int], list[list[tuple[int, float]]]]:
    """The ranking as :func:`formula` has it."""
    return formula


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
