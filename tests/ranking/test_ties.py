"""Small catalogues of coarse numbers, whose sums are exact and whose ties are many, ranked as a person would."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from modiste.ranking.candidates import Candidates, Queries
from modiste.ranking.relevance import Weights
from modiste.ranking.topk import rank

quarters = st.integers(0, 4).map(lambda number: number / 4)
weights_with_ties = st.builds(
    Weights,
    alpha=quarters,
    beta=quarters,
    gamma=st.just(0.25),
    penalty=st.sampled_from([2, 4]),
    scaling=st.sampled_from(["none", "minmax"]),
    distance=quarters,
)


def columns(n, *values):
    return [st.lists(value, min_size=n, max_size=n) for value in values]


@st.composite
def shops(draw):
    """A catalogue on a coarse grid with its queries: cosines are -1, 0 or 1."""
    n, q = draw(st.integers(1, 14)), draw(st.integers(1, 4))
    row = st.integers(0, n - 1)
    arrow = st.sampled_from([(1, 0), (0, 1), (-1, 0), (0, -1), (0, 0)])
    drawn = (arrow, quarters, st.integers(-1, 1), st.integers(0, 2), row, st.sampled_from([0.0, 5.0, math.nan]))
    vectors, normpop, category, gender, products, km = (draw(column) for column in columns(n, *drawn))
    allowed = draw(st.none() | st.lists(st.booleans(), min_size=n, max_size=n))
    asked = (st.integers(-1, n - 1), arrow, quarters, st.integers(0, 2), st.lists(row, max_size=2))
    item, photos, tau, wanted, excluded = (draw(column) for column in columns(q, *asked))
    candidates = Candidates(
        vectors=np.array(vectors, np.float32),
        has_vector=np.array(vectors).any(axis=1),
        normpop=np.array(normpop),
        category=np.array(category, np.int64),
        similarity=np.array([[1.0, 0.5], [0.5, 1.0]]),
        gender=np.array(gender, np.int8),
        product=np.array(products, np.int64),
        item_ids=tuple(draw(st.permutations([f"i{number:02d}" for number in range(n)]))),
        distance_km=np.array(km),
        allowed=None if allowed is None else np.array(allowed),
    )
    queries = Queries(
        item=np.array(item, np.int64),
        vectors=np.array(photos, np.float32),
        trendiness=np.array(tau),
        gender=np.array(wanted, np.int8),
        excluded=[np.array(rows, np.int64) for rows in excluded],
    )
    return candidates, queries


def ranked_slowly(shop: Candidates, queries: Queries, q: int, weights: Weights) -> list[tuple[float, str, int]]:
    """Every product that query q may be shown: (minus relevance, item id, row) of its best view, best first."""
    bought = int(queries.item[q])
    v = (shop.vectors[bought] if bought >= 0 else queries.vectors[q]).astype(float)
    owned = {int(shop.product[x]) for x in [*queries.excluded[q], bought] if x >= 0}
    free = [
        x
        for x in range(len(shop))
        if int(shop.product[x]) not in owned
        and (shop.allowed is None or shop.allowed[x])
        and (not queries.gender[q] or shop.gender[x] in (0, queries.gender[q]))
    ]
    cosine = {x: float(v @ shop.vectors[x]) for x in free if shop.has_vector[x]}
    low, high = (min(cosine.values()), max(cosine.values())) if cosine else (0.0, 0.0)
    scored = []
    for x in free:
        visual = cosine.get(x, 0.0)
        if weights.scaling == "minmax":
            visual = (visual - low) / (high - low) if x in cosine and high > low else 0.0
        kinds = (int(shop.category[bought]) if bought >= 0 else -1, int(shop.category[x]))
        near = 0.0 if math.isnan(shop.distance_km[x]) else math.exp(-shop.distance_km[x] / 10)
        relevance = (
            weights.alpha * visual
            + weights.beta * (1 - (shop.normpop[x] - queries.trendiness[q]) ** weights.penalty)
            + weights.gamma * (0.0 if -1 in kinds else shop.similarity[kinds])
            + weights.distance * near
        )
        scored.append((-relevance, shop.item_ids[x], x))
    best: dict[int, tuple[float, str, int]] = {}
    for one in sorted(scored):
        best.setdefault(int(shop.product[one[2]]), one)
    return list(best.values())


@given(shops(), weights_with_ties, st.integers(1, 6), st.sampled_from([None, 1, 3]))
@settings(max_examples=200, deadline=None)
def test_with_ties_everywhere_each_place_holds_the_item_it_must(shop, weights, top, block):
    candidates, queries = shop
    found = rank(candidates, queries, weights, top, block)
    for q in range(len(queries)):
        expected = ranked_slowly(candidates, queries, q, weights)[:top]
        assert found.items[q].tolist() == [x for _, _, x in expected] + [-1] * (top - len(expected))
        assert np.abs(found.relevance[q, : len(expected)] + [minus for minus, _, _ in expected]).max(initial=0) < 1e-9
