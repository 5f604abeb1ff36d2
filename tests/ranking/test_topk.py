"""The exact Top-K against the formula written out item by item, and every promise about ties and exclusions."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modiste.errors import SettingError
from modiste.ranking.candidates import Candidates, Queries
from modiste.ranking.relevance import PRESETS, Weights
from modiste.ranking.topk import merge, rank, rank_among

EVERY_WEIGHT = Weights(0.4, 0.3, 0.2, penalty=4, scaling="minmax", distance=0.1)


@pytest.mark.parametrize(
    "weights",
    [
        *PRESETS.values(), EVERY_WEIGHT, Weights(0, 1, 0), Weights(0, 0, 1), Weights(1, 1, 1),
        Weights(0, 1, 0, together=1, formula="choice"), Weights(1, 0.2, 0.3, colour=-1, distance=0.1, formula="choice"),
        Weights(0, 0, 0, colour=1, formula="choice"), Weights(1, 0, 0, newness=0.5, formula="choice"),
        Weights(0, 0, 0, price=2, formula="choice"), Weights(2, 0.3, 0, price=1.5, other=3, formula="choice"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("top", [1, 5, 1000])
def test_the_ranking_is_the_formula_written_out(candidates, queries, weights, top, written_out):
    found = rank(candidates, queries, weights, top)
    for row, expected in enumerate(written_out(candidates, queries, weights, top)):
        size = len(expected)
        assert found.items[row, :size].tolist() == [item for item, _ in expected]
        assert found.relevance[row, :size] == pytest.approx([score for _, score in expected], abs=1e-9)
        assert (found.items[row, size:] == -1).all()
        assert np.isnan(found.relevance[row, size:]).all()


@pytest.mark.parametrize("weights", [*PRESETS.values(), Weights(0, 0, 1), Weights(1, 0, 0, formula="choice")])
def test_what_rules_add_counts_like_any_other_term(candidates, queries, weights, written_out):
    rng = np.random.default_rng(5)
    boost = np.where(rng.random(len(candidates)) < 0.3, rng.normal(0, 2, len(candidates)), 0.0)
    boosted = candidates.updated(boost=boost)
    found = rank(boosted, queries, weights, 7)
    for row, expected in enumerate(written_out(boosted, queries, weights, 7)):
        assert found.items[row, : len(expected)].tolist() == [item for item, _ in expected]
        assert found.terms.boost[row, : len(expected)] == pytest.approx([boost[item] for item, _ in expected])
    filled = found.items >= 0
    assert np.abs(sum(found.terms) - found.relevance)[filled].max() < 1e-9


def test_the_terms_add_up_to_the_relevance(candidates, queries):
    found = rank(candidates, queries, EVERY_WEIGHT, 50)
    assert np.abs(sum(found.terms) - found.relevance).max() < 1e-9
    assert found.terms.look.min() == 0
    assert found.terms.look.max() == pytest.approx(0.4)


@pytest.mark.parametrize("block", [1, 5, 100])
def test_the_block_size_changes_nothing(candidates, queries, block):
    whole, blocked = (rank(candidates, queries, PRESETS["balanced"], 20, size) for size in (None, block))
    assert (whole.items == blocked.items).all()
    assert whole.relevance.tobytes() == blocked.relevance.tobytes()


def twins(n: int, d: int = 96, seed: int = 3) -> Candidates:
    """``n`` items that are all alike, so that nothing but the id can order them."""
    rng = np.random.default_rng(seed)
    vector = rng.normal(size=d).astype(np.float32)
    return Candidates(
        vectors=np.tile(vector / np.linalg.norm(vector), (n, 1)),
        has_vector=np.ones(n, bool),
        normpop=np.full(n, 0.4),
        category=np.zeros(n, np.int64),
        similarity=np.ones((1, 1)),
        gender=np.zeros(n, np.int8),
        product=np.arange(n),
        item_ids=tuple(f"{number:05d}" for number in rng.permutation(n)),
    )


def ask(candidates: Candidates, item: int | np.ndarray, tau: float = 0.5, gender: int = 0) -> Queries:
    rows = np.atleast_1d(np.asarray(item, np.int64))
    return Queries(rows, None, np.full(len(rows), tau), np.full(len(rows), gender, np.int8))


@pytest.mark.parametrize("scaling", ["none", "minmax"])
def test_a_tie_at_the_last_place_goes_to_the_smallest_ids(scaling):
    candidates = twins(1003)
    queries = ask(candidates, np.flatnonzero(np.array(candidates.item_ids) > "00990"))
    found = rank(candidates, queries, Weights(0.5, 0.25, 0.25, scaling=scaling), 7)
    assert {tuple(candidates.item_ids[x] for x in row) for row in found.items} == {
        tuple(f"{number:05d}" for number in range(7))
    }


def test_ties_behind_better_items_are_cut_by_id_too():
    candidates = twins(500)
    better = candidates.item_ids.index("00499")
    normpop = candidates.normpop.copy()
    normpop[better] = 0.5
    found = rank(
        candidates.updated(normpop=normpop), ask(candidates, candidates.item_ids.index("00000")), Weights(0, 1, 0), 3
    )
    assert [candidates.item_ids[x] for x in found.items[0]] == ["00499", "00001", "00002"]


def test_ids_are_ordered_by_code_point_not_by_row():
    candidates = replace(twins(4), item_ids=("b", "Z", "ä", "a"))
    found = rank(candidates, Queries(np.array([-1]), None, np.array([0.5]), np.zeros(1, np.int8)), Weights(0, 1, 0), 4)
    assert [candidates.item_ids[x] for x in found.items[0]] == ["Z", "a", "b", "ä"]


@pytest.mark.parametrize("popularities", [(0.05, 0.95), (0.95, 0.05)])
def test_a_tie_that_rounding_would_break_is_still_a_tie(popularities):
    assert 1 - (0.95 - 0.5) ** 2 != 1 - (0.05 - 0.5) ** 2  # by one unit in the last place
    candidates = replace(twins(2), item_ids=("b", "a")).updated(normpop=np.array(popularities))
    found = rank(candidates, Queries(np.array([-1]), None, np.array([0.5]), np.zeros(1, np.int8)), Weights(0, 1, 0), 2)
    assert found.items[0].tolist() == [1, 0]


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_the_order_of_the_catalogue_does_not_matter(seed):
    rng = np.random.default_rng(seed)
    n = 60
    copied = rng.integers(0, 12, n)  # many duplicates: ties everywhere
    vectors = rng.normal(size=(12, 33)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    first = replace(
        twins(n), vectors=vectors[copied], normpop=copied % 3 / 2, item_ids=tuple(f"{x:03d}" for x in range(n))
    )
    order = rng.permutation(n)
    second = replace(
        first,
        vectors=first.vectors[order],
        normpop=first.normpop[order],
        item_ids=tuple(first.item_ids[x] for x in order),
    )
    lists = [
        [
            [snapshot.item_ids[x] for x in row]
            for row in rank(snapshot, ask(snapshot, bought), PRESETS["balanced"], 9).items
        ]
        for snapshot, bought in ((first, np.arange(n)), (second, np.argsort(order)))
    ]
    assert lists[0] == lists[1]


def test_neither_the_purchase_nor_its_views_nor_the_other_gender_come_back(candidates, queries):
    found = rank(candidates, queries, PRESETS["balanced"], 300)
    for row, items in enumerate(found.items):
        items = items[items >= 0]
        bought = [*queries.excluded[row], *([queries.item[row]] if queries.item[row] >= 0 else [])]
        assert not set(candidates.product[items]) & set(candidates.product[np.array(bought, int)])
        assert candidates.allowed[items].all()
        if queries.gender[row] in (1, 2):
            assert 3 - queries.gender[row] not in candidates.gender[items]


def test_of_a_product_only_the_best_view_is_listed(candidates, queries):
    found = rank(candidates, queries, PRESETS["balanced"], 100)
    for products in found.products:
        assert len(set(products[products >= 0])) == (products >= 0).sum()


def test_products_of_their_own_let_other_views_in():
    candidates = replace(twins(3), product=np.array([0, 0, 1]))
    each = replace(candidates, product=np.arange(3))
    assert (rank(candidates, ask(candidates, 0), PRESETS["visual"], 2).items >= 0).sum() == 1
    assert (rank(each, ask(each, 0), PRESETS["visual"], 2).items >= 0).sum() == 2


def test_items_without_a_photo_are_ranked_by_the_other_terms():
    candidates = replace(twins(3), has_vector=np.array([True, True, False]), normpop=np.array([0, 0.1, 0.5]))
    found = rank(candidates, ask(candidates, 0), Weights(0.1, 1, 0), 2)
    assert found.items[0].tolist() == [2, 1]
    assert found.terms.look[0] == pytest.approx([0, 0.1])


def test_an_empty_catalogue_has_nothing_to_recommend():
    nothing = twins(0)
    found = rank(nothing, Queries(np.array([-1]), None, np.array([0.5]), np.zeros(1, np.int8)), PRESETS["balanced"], 3)
    assert found.items.tolist() == [[-1, -1, -1]]
    assert merge(found, 3).shape == (0, 2)


def test_no_queries_give_no_lists(candidates):
    assert rank(candidates, ask(candidates, np.empty(0, int)), PRESETS["paper"], 3).items.shape == (0, 3)


def test_a_filter_that_admits_nothing_gives_empty_lists(candidates, queries):
    closed = candidates.updated(allowed=np.zeros(len(candidates), bool))
    assert (rank(closed, queries, PRESETS["balanced"], 5).items == -1).all()


def test_an_updated_snapshot_ranks_as_a_new_one(candidates, queries):
    rank(candidates, queries, PRESETS["balanced"])  # fills what is derived once
    normpop = candidates.normpop[::-1].copy()
    kept, made = candidates.updated(normpop=normpop), replace(candidates, normpop=normpop)
    assert kept.groups is candidates.groups
    assert (rank(kept, queries, EVERY_WEIGHT).items == rank(made, queries, EVERY_WEIGHT).items).all()


def test_ranking_among_all_items_is_ranking(candidates, queries):
    weights = Weights(0.5, 0.25, 0.25)
    pools = [np.random.default_rng(row).permutation(len(candidates)) for row in range(len(queries))]
    among = rank_among(candidates, queries, weights, pools, [(0.0, 0.0)] * len(queries), 9)
    exact = rank(candidates, queries, weights, 9)
    assert (among.items == exact.items).all()
    assert among.relevance == pytest.approx(exact.relevance, abs=1e-12, nan_ok=True)


def test_a_merged_list_has_each_product_once_with_its_best_cause(candidates, queries):
    ranking = rank(candidates, queries, PRESETS["balanced"], 10)
    merged = merge(ranking, 15)
    places = [tuple(place) for place in merged.tolist()]
    products, relevance = (getattr(ranking, name)[tuple(merged.T)] for name in ("products", "relevance"))
    assert len(set(products.tolist())) == len(places) == 15
    assert (np.diff(relevance) <= 0).all()
    for product, score in zip(products, relevance, strict=True):
        assert score == ranking.relevance[ranking.products == product].max()
    assert np.sort(np.unique(relevance))[0] >= np.nanmax(ranking.relevance[~np.isin(ranking.products, products)])


def test_a_merged_tie_goes_to_the_smaller_id_and_the_earlier_purchase():
    candidates = twins(6)
    ranking = rank(candidates, ask(candidates, np.array([0, 1])), PRESETS["visual"], 5)
    merged = merge(ranking, 3)
    ids = [candidates.item_ids[ranking.items[query, place]] for query, place in merged]
    assert ids == ["00000", "00001", "00002"]
    first_with = {name: min(q for q in (0, 1) if candidates.item_ids[q] != name) for name in ids}
    assert merged[:, 0].tolist() == [first_with[name] for name in ids]


@pytest.mark.parametrize(("top", "block"), [(0, None), (-1, None), (5, 0)])
def test_a_list_or_block_of_nothing_is_refused(candidates, queries, top, block):
    with pytest.raises(SettingError, match="at least 1"):
        rank(candidates, queries, PRESETS["balanced"], top, block)


def test_arrays_of_other_lengths_are_refused(candidates):
    with pytest.raises(SettingError, match="599 rows of normpop"):
        replace(candidates, normpop=candidates.normpop[1:])
    with pytest.raises(SettingError, match="2 rows of trendiness"):
        Queries(np.array([1]), None, np.array([0.5, 0.5]), np.zeros(1, np.int8))


@pytest.mark.parametrize("tau", [-0.1, 1.1, math.nan])
def test_a_trendiness_outside_its_range_is_refused(candidates, tau):
    with pytest.raises(SettingError, match=r"\[0, 1\]"):
        ask(candidates, 0, tau)
