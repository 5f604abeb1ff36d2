"""pgvector ranks the whole relevance: its Top-10 is the exact one, while purchases arrive and items change."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from uuid import uuid4

import numpy as np
import pytest
import sqlalchemy as sa

from modiste.behaviour.popularity import normalise
from modiste.errors import SettingError
from modiste.ranking.relevance import PRESETS, Weights
from modiste.ranking.topk import Candidates, Queries, Ranking, rank
from modiste.shop import database as db
from modiste.shop.points import MOVED, PointIndex

KINDS = 18
MANY = 1_500
SIMILARITY = np.full((KINDS, KINDS), 0.3) + 0.7 * np.eye(KINDS)
ROOT = np.linalg.cholesky(SIMILARITY)


def crowd(n: int, dim: int, counts: np.ndarray, seed: int = 7) -> Candidates:
    """Garments that come in looks: clustered unit vectors whose later dimensions say less, as after a PCA."""
    rng = np.random.default_rng(seed)
    spread = np.linspace(1, 0.2, dim)
    vectors = rng.normal(size=(n // 100, dim))[rng.integers(0, n // 100, n)] + rng.normal(size=(n, dim))
    vectors *= spread
    return Candidates(
        vectors=(vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32),
        has_vector=np.ones(n, bool),
        normpop=normalise(counts),
        category=rng.integers(0, KINDS, n),
        similarity=SIMILARITY,
        gender=rng.choice(3, n, p=[0.1, 0.3, 0.6]).astype(np.int8),
        product=np.arange(n) // 2,
        item_ids=tuple(f"item-{number:05d}" for number in range(n)),
    )


def shoppers(candidates: Candidates, counts: np.ndarray, q: int, seed: int = 8) -> Queries:
    """Purchases as they happen: of popular items more often."""
    rng = np.random.default_rng(seed)
    item = rng.choice(len(candidates), q, p=(counts + 1) / (counts + 1).sum())
    bought = [rng.integers(0, len(candidates), 3) for _ in item]
    return Queries(item, None, rng.random(q), candidates.gender[item], bought)


def recall(found: Ranking, exact: Ranking) -> float:
    pairs = zip(found.items, exact.items, strict=True)
    return float(np.mean([len(set(a[b >= 0]) & set(b[b >= 0])) / (b >= 0).sum() for a, b in pairs]))


@pytest.fixture(scope="module")
def engine(postgres_server: str) -> Iterator[sa.Engine]:
    """A schema with pgvector, where nothing is read in order while an index will do: a small table would be."""
    schema = f"points_{uuid4().hex[:12]}"
    made = db.postgres(f"{postgres_server}&schema={schema}&options=-cenable_seqscan%3Doff")
    with made.begin() as connection:
        connection.execute(sa.text("CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA public"))
        connection.execute(sa.text(f"CREATE SCHEMA {schema}"))
    yield made
    made.dispose()


@pytest.fixture
def few() -> Candidates:
    return crowd(MANY, 24, np.random.default_rng(3).integers(0, 100, MANY).astype(float))


@pytest.fixture
def index(engine: sa.Engine) -> PointIndex:
    return PointIndex(engine, uuid4().hex, ROOT)


def test_its_top_10_is_the_exact_one_on_20_000_items_while_purchases_arrive(engine):
    rng = np.random.default_rng(11)
    counts = np.floor(rng.lognormal(1.0, 1.3, 20_000))
    candidates = crowd(20_000, 128, counts)
    index = PointIndex(engine, "large", ROOT)
    assert index.refresh(candidates) == 20_000
    written = []
    for arriving in (0, 5_000, 20_000):
        liked = counts + 1
        liked[rng.integers(0, 20_000, 50)] += liked.sum() / 100  # and fifty come into fashion
        counts += np.bincount(rng.choice(20_000, arriving, p=liked / liked.sum()), minlength=20_000)
        candidates = candidates.updated(normpop=normalise(counts))
        queries = shoppers(candidates, counts, 40)
        for name, weights in PRESETS.items():
            found, exact = index.rank(candidates, queries, weights, 10), rank(candidates, queries, weights, 10)
            assert recall(found, exact) >= 0.99, (name, arriving)
        if index.is_stale(candidates):
            written.append(index.refresh(candidates))
            assert not index.is_stale(candidates)
    assert written, "so many purchases must move some items far"
    assert sum(written) < 5_000, "and few need a new point"
    with engine.connect() as connection:
        plan = connection.execute(
            sa.text(f"EXPLAIN SELECT item_id FROM {index.name} ORDER BY point <-> '{[0.1] * 148}' LIMIT 200")
        ).scalars()
        assert "Index Scan" in " ".join(plan), "what was tested is the index"


@pytest.mark.parametrize("name", PRESETS)
def test_what_it_finds_has_the_exact_relevance_although_points_are_float16(index, few, name):
    index.refresh(few)
    queries = shoppers(few, few.normpop, 20)
    found, exact = index.rank(few, queries, PRESETS[name], 10), rank(few, queries, PRESETS[name], 10)
    assert recall(found, exact) == 1
    assert np.array_equal(found.items, exact.items)
    if PRESETS[name].scaling == "none":
        assert found.relevance == pytest.approx(exact.relevance, abs=1e-12)


def test_other_penalties_and_weights_are_answered_from_the_same_points(index, few):
    index.refresh(few)
    queries = shoppers(few, few.normpop, 20)
    for weights in (Weights(0.5, 0.25, 0.25, penalty=4), Weights(0.3, 1.0, 0.0), Weights(0.0, 1.0, 0.0)):
        assert recall(index.rank(few, queries, weights, 10), rank(few, queries, weights, 10)) >= 0.99


def test_only_the_shopper_s_gender_and_allowed_items_are_proposed(index, few):
    index.refresh(few)
    for share in (0.5, 0.02):
        allowed = few.updated(allowed=np.random.default_rng(5).random(MANY) < share)
        queries = shoppers(few, few.normpop, 20)
        found = index.rank(allowed, queries, PRESETS["balanced"], 5)
        assert recall(found, rank(allowed, queries, PRESETS["balanced"], 5)) >= 0.99
        for row, gender in zip(found.items, queries.gender, strict=True):
            shown = row[row >= 0]
            assert allowed.allowed is not None
            assert allowed.allowed[shown].all()
            assert set(few.gender[shown]) <= ({0, 1, 2} if gender == 0 else {0, gender})


def test_an_item_that_everybody_buys_is_found_before_its_point_has_moved(index, few):
    few = few.updated(normpop=few.normpop * 0.9)
    index.refresh(few)
    normpop = few.normpop.copy()
    lonely = int(np.argmin(normpop))
    normpop[lonely] = 1.0
    later = few.updated(normpop=normpop)
    assert index.is_stale(later)
    trendy = Queries(np.array([lonely ^ 2]), None, np.ones(1), np.zeros(1, np.int8))
    weights = Weights(0.01, 1.0, 0.0)
    assert lonely in rank(later, trendy, weights, 10).items
    assert lonely in index.rank(later, trendy, weights, 10, pool=10).items
    assert index.refresh(later) == 1
    assert not index.is_stale(later)


def test_a_purchase_that_moves_little_costs_no_writing(index, few):
    index.refresh(few)
    later = few.updated(normpop=np.clip(few.normpop + MOVED / 2, 0, 1))
    assert not index.is_stale(later)
    assert index.refresh(later) == 0


def test_a_new_item_is_found_at_once_and_one_that_is_gone_never(index, few):
    start = {name: getattr(few, name)[:-2] for name in ("vectors", "has_vector", "normpop", "category")}
    start |= {name: getattr(few, name)[:-2] for name in ("gender", "product", "item_ids")}
    index.refresh(replace(few, **start))
    alike = few.vectors.copy()
    alike[-1] = alike[0]  # the newest looks like the first
    now = replace(few, vectors=alike)
    assert index.is_stale(now)
    queries = Queries(np.array([0]), None, np.array([0.5]), np.zeros(1, np.int8))
    assert len(now) - 1 in index.rank(now, queries, PRESETS["visual"], 3).items
    assert index.refresh(now) == 2
    gone = {name: getattr(now, name)[1:] for name in start}
    without = replace(now, **gone)
    assert index.is_stale(without)
    queries = Queries(np.array([MANY - 2]), None, np.array([0.5]), np.zeros(1, np.int8))
    found = index.rank(without, queries, PRESETS["visual"], 10)
    assert np.array_equal(found.items, rank(without, queries, PRESETS["visual"], 10).items)
    index.refresh(without)
    with index.engine.connect() as connection:
        assert connection.execute(sa.text(f"SELECT count(*) FROM {index.name}")).scalar() == MANY - 1
        assert "item-00000" not in connection.execute(sa.text(f"SELECT item_id FROM {index.name}")).scalars().all()


def test_an_item_embedded_anew_is_found_where_it_now_is(index, few):
    index.refresh(few)
    vectors = few.vectors.copy()
    vectors[300] = vectors[0]
    now = replace(few, vectors=vectors, gender=np.zeros(MANY, np.int8))
    queries = Queries(np.array([0]), None, np.array([0.5]), np.zeros(1, np.int8))
    assert index.rank(now, queries, PRESETS["visual"], 1).items.tolist() == [[300]]
    assert index.refresh(now) > 1
    assert not index.is_stale(now)
    assert index.rank(now, queries, PRESETS["visual"], 1).items.tolist() == [[300]]


def test_another_process_finds_the_points_made_and_writes_none(index, few):
    index.refresh(few)
    other = PointIndex(index.engine, "", ROOT)
    other.name = index.name
    assert other.is_stale(few)
    assert other.refresh(few) == 0
    assert not other.is_stale(few)


def test_of_those_who_refresh_at_once_one_writes(engine, few):
    space = uuid4().hex
    indexes = [PointIndex(engine, space, ROOT) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        written = list(pool.map(lambda one: one.refresh(few), indexes))
    assert sorted(written) == [0, 0, 0, MANY]


def test_other_categories_renew_the_points(index, few):
    index.refresh(few)
    wider = PointIndex(index.engine, "", np.pad(ROOT, ((0, 0), (0, 3))))
    wider.name = index.name
    queries = shoppers(few, few.normpop, 10)
    assert wider.refresh(few) == MANY
    exact = rank(few, queries, PRESETS["balanced"], 10)
    assert np.array_equal(wider.rank(few, queries, PRESETS["balanced"], 10).items, exact.items)
    assert np.array_equal(index.rank(few, queries, PRESETS["balanced"], 10).items, exact.items), "the older answers too"


def test_points_may_be_dropped_at_any_time(index, few):
    index.refresh(few)
    with index.engine.begin() as connection:
        connection.execute(sa.text(f"DROP TABLE {index.name}"))
    queries = shoppers(few, few.normpop, 10)
    exact = rank(few, queries, PRESETS["balanced"], 10)
    assert np.array_equal(index.rank(few, queries, PRESETS["balanced"], 10).items, exact.items)
    assert index.refresh(few) == MANY


def test_a_pool_smaller_than_the_list_is_refused(index, few):
    with pytest.raises(SettingError, match="at least 10"):
        index.rank(few, shoppers(few, few.normpop, 1), PRESETS["visual"], 10, pool=5)
