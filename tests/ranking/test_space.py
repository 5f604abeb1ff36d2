"""In the space, near is relevant: distances against the exact ranking's own scores."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modiste.errors import SettingError
from modiste.ranking.relevance import PRESETS, Weights
from modiste.ranking.space import Space
from modiste.ranking.topk import Candidates, Queries, rank

weight = st.floats(0.2, 5)  # from a fiftieth of the others on β is what was asked for
weights = st.builds(Weights, weight, weight, weight)


def kinds(candidates: Candidates) -> np.ndarray:
    """Rows whose products are the similarity matrix, by its symmetric root."""
    values, vectors = np.linalg.eigh(candidates.similarity)
    return vectors * np.sqrt(values) @ vectors.T


def open_to_all(candidates: Candidates, queries: Queries) -> tuple[Candidates, Queries]:
    """Every item admissible for every query but the purchase itself, so that distances need no filter."""
    everything = Candidates(
        **{
            **candidates.__dict__,
            "allowed": None,
            "distance_km": None,
            "product": np.arange(len(candidates)),
            "gender": np.zeros(len(candidates), np.int8),
        }
    )
    return everything, Queries(queries.item, queries.vectors, queries.trendiness, queries.gender * 0)


def squared_distances(points: np.ndarray, items: np.ndarray) -> np.ndarray:
    return np.square(points.astype(float)[:, None] - items.astype(float)[None]).sum(axis=2)


@given(st.integers(0, 1000), weights, weights)
@settings(max_examples=40, deadline=None)
def test_the_order_by_distance_is_the_order_by_relevance_for_any_weights(draw, seed, built, asked):
    candidates, queries = open_to_all(*draw(seed, n=80))
    space = Space(kinds(candidates), built)
    located = space.queries(candidates, queries, asked)
    squared = squared_distances(located.points, space.items(candidates))
    exact = rank(candidates, queries, asked, len(candidates))
    told = located.relevance(squared)
    total = asked.alpha + asked.beta + asked.gamma
    for row, items in enumerate(exact.items):
        items = items[items >= 0]
        scores = exact.relevance[row, : len(items)]
        assert told[row, items] == pytest.approx(scores, abs=2e-5 * total)
        gaps = np.diff(squared[row, items])  # best first: the distance never falls, but for float32
        assert gaps.min() >= -4e-5 * total / located.scale[row]


def test_for_the_weights_it_was_made_for_the_relevance_is_the_sum_less_the_distance(draw):
    candidates, queries = open_to_all(*draw(5, missing=0))
    weights = Weights(0.5, 0.25, 0.25)
    space = Space(kinds(candidates), weights)
    located = space.queries(candidates, queries, weights)
    assert located.scale == pytest.approx(1)
    assert located.offset[:-3] == pytest.approx(1, abs=1e-6)  # α + β + γ; the last three have no category


def test_min_max_scaling_is_a_stretch_of_the_query(draw):
    candidates, queries = open_to_all(*draw(6, missing=0))
    vectors, _ = queries.embedded(candidates)
    cosines = vectors.astype(float) @ candidates.vectors.astype(float).T
    spans = np.empty((len(queries), 2))
    for row, item in enumerate(queries.item):
        rest = np.delete(cosines[row], item) if item >= 0 else cosines[row]
        spans[row] = rest.min(), rest.max()
    space = Space(kinds(candidates))
    located = space.queries(candidates, queries, PRESETS["balanced"], spans)
    told = located.relevance(squared_distances(located.points, space.items(candidates)))
    exact = rank(candidates, queries, PRESETS["balanced"], len(candidates))
    for row, items in enumerate(exact.items):
        items = items[items >= 0]
        assert told[row, items] == pytest.approx(exact.relevance[row, : len(items)], abs=1e-4)


@pytest.mark.parametrize("built", [Weights(0, 1, 1), Weights(1, 0, 1), Weights(1, 1, 0)])
def test_a_space_without_one_of_the_terms_is_refused(built):
    with pytest.raises(SettingError, match="positive alpha, beta and gamma"):
        Space(np.eye(2), built)


def test_min_max_scaling_without_spans_is_refused(candidates, queries):
    with pytest.raises(SettingError, match="lowest and highest"):
        Space(kinds(candidates)).queries(candidates, queries, PRESETS["paper"])


def test_asking_for_nearness_alone_gives_finite_points(candidates, queries):
    located = Space(kinds(candidates)).queries(candidates, queries, Weights(0, 0, 0, distance=1))
    assert np.isfinite(located.points).all()
