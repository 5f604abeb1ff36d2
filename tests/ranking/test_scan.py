"""The fast pass loses nothing, however the work is cut up, and costs no more memory, ids or rows than it must."""

import tracemalloc
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modiste.ranking import scan
from modiste.ranking.candidates import Candidates, Queries
from modiste.ranking.relevance import PRESETS, Weights
from modiste.ranking.topk import rank

FULL = Weights(0.4, 0.3, 0.2, penalty=4, scaling="minmax", distance=0.1)
WEIGHTS = [*PRESETS.values(), FULL, replace(FULL, scaling="none"), Weights(0, 1, 0), Weights(0, 0.5, 1, distance=1)]
CUT_UP = {"_CELLS": 96, "_LAYERS": 4, "_KEEP_CELLS": 800, "_ALONE_BELOW": 0, "_UNSHARED": 1, "THREADS": 3}


def cut_up(patch: pytest.MonkeyPatch, **sizes: int) -> None:
    """Have few candidates to a chunk, and several threads."""
    for name, size in {**CUT_UP, **sizes}.items():
        patch.setattr(scan, name, size)


def nobody(vectors: np.ndarray, *, tau: float = 0.5) -> Queries:
    """Photos that nobody bought."""
    count = len(vectors)
    return Queries(np.full(count, -1), vectors, np.full(count, tau), np.zeros(count, np.int8))


class Ids(Sequence[str]):
    """Ids that count how often one is read."""

    def __init__(self, count: int) -> None:
        self.count, self.read = count, 0

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, row):
        self.read += 1
        return f"{row:07d}"


@given(
    st.integers(0, 10_000),
    st.sampled_from(WEIGHTS),
    st.sampled_from([1, 3, 40]),
    st.sampled_from([1, 2, 9]),
    st.sampled_from([0.0, 0.1, 0.9]),
    st.sampled_from([0.02, 0.6, None]),
    st.sampled_from([2, 16, 1 << 20]),
)
@settings(max_examples=120, deadline=None)
def test_however_it_is_cut_up_it_is_the_formula_written_out(
    draw, written_out, seed, weights, top, views, missing, allowed, layers
):
    candidates, queries = draw(seed, n=90, d=5, views=views, missing=missing)
    rng = np.random.default_rng(seed)
    if seed % 2:  # ends of spans, levels of popularity and whole relevances that nearly or truly tie
        vectors = np.round(candidates.vectors, 1) + np.float32(1e-7) * rng.integers(0, 3, candidates.vectors.shape)
        candidates = replace(candidates, vectors=vectors.astype(np.float32), normpop=np.round(candidates.normpop, 1))
    candidates = replace(candidates, allowed=None if allowed is None else rng.random(90) < allowed)
    if seed % 3 == 0:
        queries = replace(queries, trendiness=np.full(len(queries), 0.3))
    with pytest.MonkeyPatch.context() as patch:
        cut_up(patch, _LAYERS=min(layers, 16), _KEEP_CELLS=layers * 64)
        ranking = rank(candidates, queries, weights, top)
    for row, expected in enumerate(written_out(candidates, queries, weights, top)):
        size = len(expected)
        assert ranking.items[row].tolist() == [item for item, _ in expected] + [-1] * (top - size)
        assert np.abs(ranking.relevance[row, :size] - [score for _, score in expected]).max(initial=0) < 1e-12


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("sizes", [{"THREADS": 1}, {"_KEEP_CELLS": 0}, {"_CELLS": 1}, {"_SPARSE": 1}])
def test_neither_threads_nor_chunks_change_a_bit(candidates, queries, monkeypatch, weights, sizes):
    whole = rank(candidates, queries, weights, 9)
    cut_up(monkeypatch, **sizes)
    parts = rank(candidates, queries, weights, 9)
    assert (whole.items == parts.items).all()
    assert whole.relevance.tobytes() == parts.relevance.tobytes()


@pytest.mark.parametrize("weights", [PRESETS["visual"], PRESETS["paper"]])
def test_what_float32_can_t_tell_apart_float64_decides(weights):
    rng = np.random.default_rng(3)
    vectors = rng.standard_normal(64) + 3e-6 * rng.standard_normal((400, 64))
    vectors = np.concatenate([vectors, rng.standard_normal((400, 64))])
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    candidates = Candidates(
        vectors, np.ones(800, bool), np.full(800, 0.5), np.zeros(800, int), np.eye(1), np.zeros(800, np.int8),
        np.arange(800), Ids(800),
    )  # fmt: skip
    query = vectors[:1] + np.float32(0.01)
    cosines = vectors.astype(float) @ query[0].astype(float)
    assert rank(candidates, nobody(query), weights, 20).items[0].tolist() == np.argsort(-cosines)[:20].tolist()


def test_many_views_of_one_product_take_no_other_product_s_place(candidates):
    """As a photo's 400 nearest are one dress in 400 sizes: the next best have to be looked for behind them."""
    query = candidates.vectors[candidates.has_vector][:1]
    alike = np.argsort(-(candidates.vectors @ query[0]))[:400]
    product = np.arange(len(candidates)) + 1
    product[alike] = 0
    open_to_all = replace(candidates, product=product, allowed=None, colour_dim=0)
    ranking = rank(open_to_all, nobody(query), Weights(1, 0, 0), 3)
    rest = np.setdiff1d(np.flatnonzero(candidates.has_vector), alike)
    nearest = rest[np.argsort(-(candidates.vectors[rest] @ query[0]))]
    assert ranking.items[0].tolist() == [alike[0], *nearest[:2]]


def test_what_was_bought_may_be_all_that_is_near(candidates, written_out):
    query = int(np.flatnonzero(candidates.has_vector)[0])
    bought = np.argsort(-(candidates.vectors @ candidates.vectors[query]))[:300]
    queries = Queries(np.array([query]), None, np.array([0.5]), np.zeros(1, np.int8), [bought])
    ranking = rank(candidates, queries, FULL, 5)
    assert ranking.items[0].tolist() == [item for item, _ in written_out(candidates, queries, FULL, 5)[0]]


def test_numbers_in_vectors_that_items_do_not_have_count_for_nothing(candidates, queries):
    vectors = np.where(candidates.has_vector[:, None], candidates.vectors, np.float32(np.nan))
    for weights in WEIGHTS:
        clean, dirty = (rank(one, queries, weights) for one in (candidates, replace(candidates, vectors=vectors)))
        assert clean.relevance.tobytes() == dirty.relevance.tobytes()


def test_columns_may_be_small_integers_and_vectors_a_file_s_map(candidates, queries, tmp_path):
    candidates.vectors.tofile(tmp_path / "vectors")
    mapped = np.memmap(tmp_path / "vectors", np.float32, "r", shape=candidates.vectors.shape)
    small = replace(
        candidates,
        vectors=mapped,
        category=candidates.category.astype(np.int16),
        product=candidates.product.astype(np.int32),
    )
    for weights in WEIGHTS:
        assert (rank(small, queries, weights).items == rank(candidates, queries, weights).items).all()


def test_ids_are_read_of_what_is_listed_or_ties_and_no_other(draw):
    candidates, queries = draw(5, n=20_000, d=8)
    ids = Ids(len(candidates))
    rank(replace(candidates, item_ids=ids), queries, FULL, 5)
    assert ids.read < 2 * 5 * len(queries)


def test_purchases_that_ask_the_same_are_ranked_once(candidates, monkeypatch):
    """Where looks don't count, a shopper's purchases differ by category at most."""
    rows = np.arange(40)
    counts = []
    monkeypatch.setattr(scan.Scan, "contenders", lambda self, top, inner=scan.Scan.contenders: (
        counts.append(self.count), inner(self, top))[1])  # fmt: skip
    queries = Queries(rows, None, np.full(40, 0.3), np.zeros(40, np.int8), [rows] * 40)
    ranking = rank(candidates, queries, Weights(0, 1, 0.5), 7)
    assert counts == [len(set(candidates.category[rows].tolist()))]
    for row in rows:
        alone = rank(candidates, queries.at(np.array([row])), Weights(0, 1, 0.5), 7)
        assert (ranking.items[row] == alone.items[0]).all()
        assert ranking.item_ids[row].tolist() == alone.item_ids[0].tolist()


def test_memory_does_not_grow_with_candidates_times_queries(monkeypatch):
    rng = np.random.default_rng(0)
    n, q = 120_000, 20
    vectors = rng.standard_normal((n, 4), np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    candidates = Candidates(
        vectors, np.ones(n, bool), rng.random(n), rng.integers(0, 2, n), np.eye(2), np.zeros(n, np.int8), np.arange(n),
        Ids(n),
    )  # fmt: skip
    candidates.groups  # noqa: B018  (once for all questions)
    monkeypatch.setattr(scan, "THREADS", 2)
    monkeypatch.setattr(scan, "_KEEP_CELLS", 0)
    tracemalloc.start()
    rank(candidates, nobody(vectors[:q]), PRESETS["balanced"])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.8 * 4 * n * q  # a chunk of cosines and of scores a thread, and not the float32 of every pair


def test_only_candidates_that_may_be_recommended_are_looked_at(candidates, queries, monkeypatch):
    allowed = np.arange(len(candidates)) % 50 == 0
    looked_at = []
    monkeypatch.setattr(scan.Scan, "_base", lambda self, rows, inner=scan.Scan._base: (
        looked_at.extend(np.arange(len(candidates))[rows]), inner(self, rows))[1])  # fmt: skip
    rank(candidates.updated(allowed=allowed), queries, PRESETS["balanced"])
    assert sorted(looked_at) == np.flatnonzero(allowed).tolist()
