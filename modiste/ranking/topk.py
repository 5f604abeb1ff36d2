"""The exact Top-K: every candidate scored for every purchase, in blocks of one matrix product.

A fast pass in float32 finds the few candidates that can be among the best; those are scored again in float64, one dot
product each, and sorted by relevance and then by item id. So neither the BLAS library nor the block size decides a tie.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from modiste.errors import SettingError
from modiste.ranking.relevance import Floats, Weights, terms

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

TIE = 1e-12
"""Relevances this close, relative to the sum of the weights, are a tie and stand in the order of their item ids."""

_BLOCK_CELLS = 1 << 24  # float32 cosines in memory at once: 64 MiB
_KEPT = ("id_rank", "similarity_with_unknown", "most_views", "_by_product")


@dataclass(frozen=True, eq=False)
class Candidates:
    """Every item that could be recommended, as arrays aligned by row; a snapshot, whose popularity is that moment's.

    Args:
        vectors: float32 (n, d), rows of unit length, free of NaN (zeros, say, for items without a vector).
        has_vector: bool (n,); the visual term of an item without one is 0.
        normpop: float64 (n,), normalised popularity in [0, 1].
        category: int64 (n,), row of ``similarity``; -1: no category, similar to nothing.
        similarity: float64 (c, c) in [0, 1], symmetric.
        gender: int8 (n,): 0 unknown (passes every filter), 1 men, 2 women.
        product: int64 (n,), equal for the views of one product.
        item_ids: n different ids.
        distance_km: float64 (n,) from the shopper to the item's store, NaN where it is not known.
        allowed: bool (n,), False for items that must not be recommended to anybody now; None: all may.

    Raises:
        SettingError: the arrays' lengths differ.
    """

    vectors: NDArray[np.float32]
    has_vector: Bools
    normpop: NDArray[np.float64]
    category: Ints
    similarity: NDArray[np.float64]
    gender: NDArray[np.int8]
    product: Ints
    item_ids: tuple[str, ...]
    distance_km: NDArray[np.float64] | None = None
    allowed: Bools | None = None

    def __post_init__(self) -> None:
        aligned = ("vectors", "has_vector", "normpop", "category", "gender", "product", "distance_km", "allowed")
        for name in aligned:
            value = getattr(self, name)
            if value is not None and len(value) != len(self.item_ids):
                raise SettingError(f"candidates have {len(self.item_ids)} ids but {len(value)} rows of {name}")

    def __len__(self) -> int:
        return len(self.item_ids)

    def updated(
        self,
        *,
        normpop: NDArray[np.float64] | None = None,
        distance_km: NDArray[np.float64] | None = None,
        allowed: Bools | None = None,
    ) -> "Candidates":
        """The same items with another popularity, distances or filter; what was derived from the rest is kept."""
        moved = replace(
            self,
            normpop=self.normpop if normpop is None else normpop,
            distance_km=self.distance_km if distance_km is None else distance_km,
            allowed=self.allowed if allowed is None else allowed,
        )
        moved.__dict__.update({name: self.__dict__[name] for name in _KEPT if name in self.__dict__})
        return moved

    @cached_property
    def id_rank(self) -> Ints:
        """int64 (n,): each item's place when the ids are sorted by code point."""
        order = sorted(range(len(self)), key=self.item_ids.__getitem__)
        ranks = np.empty(len(self), np.int64)
        ranks[order] = np.arange(len(self))
        return ranks

    @cached_property
    def similarity_with_unknown(self) -> NDArray[np.float64]:
        """float64 (c + 1, c + 1): the similarity with a last row and column of zeros, which index -1 finds."""
        return np.pad(np.asarray(self.similarity, np.float64), (0, 1))

    def admits(self, gender: int) -> Bools:
        """bool (n,): the items a shopper of ``gender`` may be shown (0: any), before her own purchases are left out."""
        suits = np.full(len(self), True) if gender == 0 else (self.gender == gender) | (self.gender == 0)
        return suits if self.allowed is None else suits & self.allowed

    def views_of(self, rows: Ints) -> Ints:
        """The rows of every item whose product is that of one of ``rows``, themselves among them."""
        order, products = self._by_product
        wanted = np.unique(self.product[rows])
        starts, ends = np.searchsorted(products, wanted), np.searchsorted(products, wanted, side="right")
        return np.concatenate([order[a:b] for a, b in zip(starts, ends, strict=True)] or [np.empty(0, np.int64)])

    @cached_property
    def most_views(self) -> int:
        """The largest number of rows that show one product."""
        return int(np.unique(self.product, return_counts=True)[1].max(initial=1))

    @cached_property
    def _by_product(self) -> tuple[Ints, Ints]:
        order = np.argsort(self.product, kind="stable")
        return order, self.product[order]


@dataclass(frozen=True, eq=False)
class Queries:
    """The purchases (or photos) to recommend for, one row each.

    Args:
        item: int64 (q,), the purchased item's row among the candidates; -1: none, then ``vectors`` has its embedding.
        vectors: float32 (q, d) of unit length, read where ``item`` is -1; a row of zeros, or None, is no photo at all.
        trendiness: float64 (q,), the shopper's τ in [0, 1].
        gender: int8 (q,): 1 men, 2 women, 0 no filter.
        excluded: for each query the rows that the shopper bought; they and their products' other views are left out, as
            are the views of ``item`` itself.

    Raises:
        SettingError: the lengths differ or a trendiness is outside [0, 1].
    """

    item: Ints
    vectors: NDArray[np.float32] | None
    trendiness: NDArray[np.float64]
    gender: NDArray[np.int8]
    excluded: Sequence[Ints] | None = None

    def __post_init__(self) -> None:
        for name in ("vectors", "trendiness", "gender", "excluded"):
            value = getattr(self, name)
            if value is not None and len(value) != len(self.item):
                raise SettingError(f"there are {len(self.item)} queries but {len(value)} rows of {name}")
        if not np.all((self.trendiness >= 0) & (self.trendiness <= 1)):
            raise SettingError("a trendiness must lie in [0, 1]")

    def __len__(self) -> int:
        return len(self.item)

    def at(self, rows: Ints) -> "Queries":
        """The queries ``rows`` alone."""
        return Queries(
            item=self.item[rows],
            vectors=None if self.vectors is None else self.vectors[rows],
            trendiness=self.trendiness[rows],
            gender=self.gender[rows],
            excluded=None if self.excluded is None else [self.excluded[row] for row in rows.tolist()],
        )

    def embedded(self, candidates: Candidates) -> tuple[NDArray[np.float32], Bools]:
        """Every query's vector, float32 (q, d), zeros where it has none, and bool (q,) whether it has one."""
        known = np.asarray(self.item) >= 0
        vectors = np.zeros((len(self), candidates.vectors.shape[1]), np.float32)
        vectors[known] = candidates.vectors[self.item[known]]
        has = np.zeros(len(self), bool)
        has[known] = candidates.has_vector[self.item[known]]
        if self.vectors is not None:
            vectors[~known] = self.vectors[~known]
            has[~known] = np.any(self.vectors[~known] != 0, axis=1)
        return vectors, has

    def kinds(self, candidates: Candidates) -> Ints:
        """int64 (q,): every query's category, -1 where it has none."""
        kinds = np.full(len(self), -1, np.int64)
        known = np.asarray(self.item) >= 0
        kinds[known] = candidates.category[self.item[known]]
        return kinds

    def taken(self, row: int, candidates: Candidates) -> Ints:
        """The candidates' rows that query ``row`` must not be shown: what she bought, in all its views."""
        bought = np.asarray(self.excluded[row] if self.excluded is not None else [], np.int64)
        if self.item[row] >= 0:
            bought = np.append(bought, self.item[row])
        return candidates.views_of(bought)


@dataclass(frozen=True, eq=False)
class Ranking:
    """The best candidates of each query, best first; places that no candidate fills have item -1 and terms NaN.

    ``items`` int64 (q, top) are rows of the candidates, ``products`` and ``id_rank`` theirs. The weighted terms
    ``visual``, ``popularity``, ``category`` and ``distance``, float64 (q, top), add up to ``relevance``.
    """

    items: Ints
    visual: NDArray[np.float64]
    popularity: NDArray[np.float64]
    category: NDArray[np.float64]
    distance: NDArray[np.float64]
    relevance: NDArray[np.float64]
    products: Ints
    id_rank: Ints

    def __len__(self) -> int:
        return len(self.items)


def rank(candidates: Candidates, queries: Queries, weights: Weights, top: int = 5, block: int | None = None) -> Ranking:
    """The ``top`` most relevant candidates of every query, exactly, one view a product.

    For the authors' way, where two views of a garment are two items, give every candidate a product of its own.

    ``block`` is how many queries are scored at once; by default as many as keep the cosines within 64 MiB. It never
    changes the result. Raises SettingError for a ``top`` or ``block`` below 1.
    """
    if block is None:
        block = max(1, min(256, _BLOCK_CELLS // max(1, len(candidates))))
    if block < 1:
        raise SettingError(f"block is {block}; it must be at least 1")
    best = _Best(candidates, queries, weights, top)
    fast = _FastPass(candidates, weights)
    for row, cosine in _cosines(candidates, best.vectors, weights, block) if len(candidates) else ():
        seen = cosine if best.embedded[row] else None
        contenders, span = fast.contenders(best, row, seen)
        best.choose(row, contenders, span)
    return best.ranking()


def rank_among(
    candidates: Candidates,
    queries: Queries,
    weights: Weights,
    pools: Sequence[Ints],
    spans: Sequence[tuple[float, float]],
    top: int = 5,
) -> Ranking:
    """As ``rank``, but query i chooses among the rows ``pools[i]`` only, with min-max scaling over ``spans[i]``."""
    best = _Best(candidates, queries, weights, top)
    admitted = {gender: candidates.admits(gender) for gender in np.unique(queries.gender).tolist()}
    for row, (pool, span) in enumerate(zip(pools, spans, strict=True)):
        free = admitted[int(queries.gender[row])][pool] & ~np.isin(pool, queries.taken(row, candidates))
        best.choose(row, pool[free], span)
    return best.ranking()


def merge(ranking: Ranking, top: int) -> Ints:
    """One shopper's lists as one: int64 (m, 2), m ≤ top, rows (query, position) of ``ranking``, most relevant first.

    Of a product found more than once, in whatever view and for whichever purchase, only the most relevant place stays;
    ties are broken by item id, then by the earlier query.
    """
    query, position = np.nonzero(ranking.items >= 0)
    relevance = ranking.relevance[query, position]
    order = np.lexsort((query, ranking.id_rank[query, position], -np.round(relevance, 12)))
    _, first = np.unique(ranking.products[query, position][order], return_index=True)
    chosen = order[np.sort(first)[:top]]
    return np.stack([query[chosen], position[chosen]], axis=1).astype(np.int64)


def _cosines(
    candidates: Candidates, vectors: NDArray[np.float32], weights: Weights, block: int
) -> Iterator[tuple[int, NDArray[np.float32] | None]]:
    """Each query's row number and its cosines with every candidate, float32 (n,); None where they don't count."""
    if not weights.alpha:
        yield from ((row, None) for row in range(len(vectors)))
        return
    for start in range(0, len(vectors), block):
        products = vectors[start : start + block] @ candidates.vectors.T
        yield from enumerate(products, start)


class _FastPass:
    """Scores all candidates in float32 and keeps those that float64 could still put among the best."""

    def __init__(self, candidates: Candidates, weights: Weights) -> None:
        self.candidates, self.weights = candidates, weights
        self.normpop = candidates.normpop.astype(np.float32)
        self.similarity = candidates.similarity_with_unknown.astype(np.float32)
        self.distance = None if candidates.distance_km is None else candidates.distance_km.astype(np.float32)
        self.without = None if candidates.has_vector.all() else ~candidates.has_vector
        self.barriers: dict[int, NDArray[np.float32]] = {}  # by gender: 0 where admitted, -inf elsewhere

    def contenders(
        self, best: "_Best", row: int, cosine: NDArray[np.float32] | None
    ) -> tuple[Ints, tuple[float, float]]:
        """Rows that may be among the best of query ``row``, and the span of the admissible cosines."""
        gender = int(best.queries.gender[row])
        if gender not in self.barriers:
            admitted = self.candidates.admits(gender)
            self.barriers[gender] = np.where(admitted, np.float32(0), np.float32(-np.inf))
        taken = best.queries.taken(row, self.candidates)
        span = (0.0, 0.0)
        if cosine is not None and self.weights.scaling == "minmax":
            span = self._span(best, row, cosine, self.barriers[gender], taken)
        if cosine is not None and self.without is not None:
            cosine = np.where(self.without, np.float32(span[0] if self.weights.scaling == "minmax" else 0), cosine)
        kind = best.kinds[row]
        similarity = None if kind < 0 else self.similarity[kind].take(self.candidates.category, mode="wrap")
        rough = terms(
            self.weights,
            cosine=cosine,
            span=span,
            normpop=self.normpop,
            trendiness=float(best.queries.trendiness[row]),
            similarity=similarity,
            distance_km=self.distance,
        ).relevance
        rough += self.barriers[gender]
        rough[taken] = -np.inf
        cut = -np.inf
        if best.depth < rough.size:
            cut = np.partition(rough, rough.size - best.depth)[rough.size - best.depth] - self._slack(span)
        return np.flatnonzero((rough >= cut) & (rough > -np.inf)), span

    def _span(
        self, best: "_Best", row: int, cosine: NDArray[np.float32], barrier: NDArray[np.float32], taken: Ints
    ) -> tuple[float, float]:
        walls = barrier.copy()
        walls[taken] = -np.inf
        if self.without is not None:
            walls[self.without] = -np.inf
        low, high = int(np.argmin(cosine - walls)), int(np.argmax(cosine + walls))
        if walls[low] or walls[high]:  # nothing admissible has a vector
            return 0.0, 0.0
        ends = best.cosine(row, np.array([low, high]))
        return float(ends[0]), float(ends[1])

    def _slack(self, span: tuple[float, float]) -> float:
        """More than float32 can err by: a cosine by 1e-5, the other terms by their own rounding."""
        w = self.weights
        stretch = 1 / max(span[1] - span[0], 1e-6) if w.scaling == "minmax" else 1.0
        return 1e-5 * w.alpha * stretch + 1e-6 * (w.penalty * w.beta + w.gamma + w.distance) + 1e-7


class _Best:
    """The lists being filled: scores a query's contenders in float64 and keeps the best."""

    def __init__(self, candidates: Candidates, queries: Queries, weights: Weights, top: int) -> None:
        if top < 1:
            raise SettingError(f"top is {top}; it must be at least 1")
        self.candidates, self.queries, self.weights, self.top = candidates, queries, weights, top
        self.vectors, self.embedded = queries.embedded(candidates)
        self.kinds = queries.kinds(candidates).tolist()
        self.depth = top * candidates.most_views  # so many rows show at least ``top`` products
        self.total = weights.alpha + weights.beta + weights.gamma + weights.distance
        self.items = np.full((len(queries), top), -1, np.int64)
        self.scores = np.full((5, len(queries), top), np.nan)

    def cosine(self, row: int, pool: Ints) -> Floats:
        """Cosines of query ``row`` with the candidates ``pool``, float64, 0 where one of the two has no vector."""
        if not self.embedded[row]:
            return np.zeros(len(pool))
        dots = np.einsum("nd,d->n", self.candidates.vectors[pool], self.vectors[row], dtype=np.float64)
        return np.where(self.candidates.has_vector[pool], dots, 0.0)

    def choose(self, row: int, pool: Ints, span: tuple[float, float]) -> None:
        """Fills row ``row`` with the best of ``pool``."""
        shop, weights = self.candidates, self.weights
        kind = self.kinds[row]
        parts = terms(
            weights,
            cosine=self.cosine(row, pool) if weights.alpha and self.embedded[row] else None,
            span=span,
            normpop=shop.normpop[pool],
            trendiness=float(self.queries.trendiness[row]),
            similarity=None if kind < 0 else shop.similarity_with_unknown[kind][shop.category[pool]],
            distance_km=None if shop.distance_km is None else shop.distance_km[pool],
        )
        if weights.scaling == "minmax":
            parts = parts._replace(visual=np.where(shop.has_vector[pool], parts.visual, 0.0))
        relevance = parts.relevance
        order = np.lexsort((shop.id_rank[pool], -np.round(relevance / (self.total * TIE))))
        _, first = np.unique(shop.product[pool[order]], return_index=True)
        order = order[np.sort(first)[: self.top]]
        self.items[row, : len(order)] = pool[order]
        self.scores[:, row, : len(order)] = np.stack([*parts, relevance])[:, order]

    def ranking(self) -> Ranking:
        """What was filled in."""
        products, id_rank = np.full_like(self.items, -1), np.full_like(self.items, -1)
        found = self.items >= 0
        products[found] = self.candidates.product[self.items[found]]
        id_rank[found] = self.candidates.id_rank[self.items[found]]
        visual, popularity, category, distance, relevance = self.scores
        return Ranking(
            self.items,
            visual,
            popularity,
            category,
            distance,
            relevance,
            products=products,
            id_rank=id_rank,
        )
