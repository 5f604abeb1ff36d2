"""The approximate ranking against the exact one."""

import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest

from modiste.errors import SettingError
from modiste.ranking.relevance import PRESETS, Weights
from modiste.ranking.topk import Candidates, Queries, rank

if not find_spec("usearch"):  # not importorskip, which would import it before onnxruntime
    pytest.skip("needs the extra ann (usearch)", allow_module_level=True)

from modiste.ranking.index import Index

N, D, KINDS = 6_000, 48, 6
SIMILARITY = np.full((KINDS, KINDS), 0.3) + 0.7 * np.eye(KINDS)
ROOT = np.linalg.cholesky(SIMILARITY)


@pytest.fixture(scope="module")
def crowd() -> Candidates:
    """Clustered vectors, long-tailed popularity, men's, women's and anybody's items."""
    rng = np.random.default_rng(7)
    vectors = rng.normal(size=(60, D))[rng.integers(0, 60, N)] * 0.7 + rng.normal(size=(N, D))
    counts = rng.pareto(1.2, N)
    return Candidates(
        vectors=(vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32),
        has_vector=np.ones(N, bool),
        normpop=np.minimum(counts / np.quantile(counts, 0.999), 1),
        category=rng.integers(0, KINDS, N),
        similarity=SIMILARITY,
        gender=rng.choice(3, N, p=[0.1, 0.3, 0.6]).astype(np.int8),
        product=np.arange(N) // 2,
        item_ids=tuple(f"{number:05d}" for number in range(N)),
    )


@pytest.fixture(scope="module")
def shoppers(crowd: Candidates) -> Queries:
    rng = np.random.default_rng(8)
    item = rng.integers(0, N, 60)
    return Queries(item, None, rng.random(60), crowd.gender[item], [rng.integers(0, N, 3) for _ in item])


@pytest.fixture(scope="module")
def index(crowd: Candidates) -> Index:
    return Index(crowd, ROOT)


def recall(found, exact) -> float:
    pairs = zip(found.items, exact.items, strict=True)
    return float(np.mean([len(set(a[b >= 0]) & set(b[b >= 0])) / (b >= 0).sum() for a, b in pairs]))


@pytest.mark.parametrize("name", PRESETS)
def test_one_graph_finds_nearly_all_of_every_preset(index, crowd, shoppers, name):
    found, exact = index.rank(crowd, shoppers, PRESETS[name], 10), rank(crowd, shoppers, PRESETS[name], 10)
    assert recall(found, exact) >= 0.97


def test_a_penalty_the_graph_was_not_built_for_orders_its_pool(index, crowd, shoppers):
    weights = Weights(0.5, 0.25, 0.25, penalty=4)
    assert recall(index.rank(crowd, shoppers, weights, 10), rank(crowd, shoppers, weights, 10)) >= 0.97


def test_popularity_that_moved_since_is_the_one_that_decides(index, crowd, shoppers):
    rng = np.random.default_rng(9)
    later = crowd.updated(normpop=np.clip(crowd.normpop + rng.normal(0, 0.05, N), 0, 1))
    weights = Weights(0.5, 0.25, 0.25)
    found, exact = index.rank(later, shoppers, weights, 10), rank(later, shoppers, weights, 10)
    assert recall(found, exact) >= 0.97
    same = found.items == exact.items
    assert found.relevance[same] == pytest.approx(exact.relevance[same], abs=1e-12)
    assert (found.popularity != index.rank(crowd, shoppers, weights, 10).popularity).any()


def test_filters_hold_for_proposals(index, crowd, shoppers):
    open_rows = np.arange(N) % 3 > 0
    found = index.rank(crowd.updated(allowed=open_rows), shoppers, PRESETS["balanced"], 10)
    assert open_rows[found.items].all()
    for row, items in enumerate(found.items):
        gender = shoppers.gender[row]
        assert gender == 0 or set(crowd.gender[items]) <= {0, gender}
        gone = crowd.product[[shoppers.item[row], *shoppers.excluded[row]]]
        assert not set(crowd.product[items]) & set(gone)


def test_where_the_pool_runs_dry_the_exact_ranking_answers(index, crowd, shoppers):
    rare = crowd.updated(allowed=np.arange(N) % 500 == 0)
    found, exact = (ranker(rare, shoppers, PRESETS["balanced"], 10) for ranker in (index.rank, rank))
    assert (found.items == exact.items).all()
    assert found.relevance == pytest.approx(exact.relevance, nan_ok=True)


def test_where_looks_do_not_count_the_exact_ranking_answers(index, crowd, shoppers):
    nobody = Queries(np.array([-1]), None, np.array([0.9]), np.zeros(1, np.int8))
    for queries, weights in ((nobody, PRESETS["balanced"]), (shoppers, Weights(0, 1, 1))):
        found, exact = (ranker(crowd, queries, weights, 10) for ranker in (index.rank, rank))
        assert (found.items == exact.items).all()


def test_a_catalogue_smaller_than_the_pool_is_ranked_whole(candidates, queries):
    index = Index(candidates, np.linalg.cholesky(candidates.similarity))
    weights = Weights(0.5, 0.25, 0.25)
    found, exact = index.rank(candidates, queries, weights, 5, pool=600), rank(candidates, queries, weights, 5)
    assert (found.items == exact.items).all()


def test_an_empty_catalogue_has_nothing_to_propose(crowd):
    arrays = {name: value[:0] for name, value in crowd.__dict__.items()
              if name in Candidates.__dataclass_fields__ and value is not None and name != "similarity"}  # fmt: skip
    nothing = replace(crowd, **arrays)
    nobody = Queries(np.array([-1]), None, np.array([0.9]), np.zeros(1, np.int8))
    assert (Index(nothing, ROOT).rank(nothing, nobody, PRESETS["balanced"], 3).items == -1).all()


def test_another_catalogue_or_a_pool_too_small_is_refused(index, crowd, shoppers, candidates, queries):
    with pytest.raises(SettingError, match="built for other items"):
        index.rank(candidates, queries, PRESETS["balanced"])
    with pytest.raises(SettingError, match="make it at least 5"):
        index.rank(crowd, shoppers, PRESETS["balanced"], top=5, pool=4)


def test_without_usearch_the_error_says_what_to_install():
    code = (
        "import sys; sys.modules['usearch'] = sys.modules['usearch.index'] = None\n"
        "from modiste.errors import MissingExtraError\n"
        "try:\n    import modiste.ranking.index\n"
        "except MissingExtraError as error:\n    print(error)\n"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "pip install 'modiste[ann]'" in told


def test_the_index_and_the_backbones_live_in_one_process():
    code = "import modiste.ranking.index, onnxruntime; print(onnxruntime.get_available_providers())"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "CPUExecutionProvider" in told
