"""The exact Top-K: every candidate scored for every purchase, close to the cost of one matrix product.

A fast pass in float32 (:mod:`modiste.ranking.scan`) finds the few candidates that can be among the best; those are
scored again in float64, one dot product each, and sorted by relevance and then by item id. So neither the BLAS library
nor the size of a block decides a tie.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modiste.errors import SettingError
from modiste.ranking.candidates import Bools, Candidates, Ints, Queries
from modiste.ranking.relevance import Weights, terms
from modiste.ranking.scan import MOST_CELLS, Contenders, Scan

TIE = 1e-12
"""Relevances this close, relative to the sum of the weights, are a tie and stand in the order of their item ids."""


@dataclass(frozen=True, eq=False)
class Ranking:
    """The best candidates of each query, best first; places that no candidate fills have item -1 and terms NaN.

    ``items`` int64 (q, top) are rows of the candidates, ``products`` theirs; ``item_ids`` are those of all candidates.
    The weighted terms ``visual``, ``popularity``, ``category`` and ``distance``, float64 (q, top), add up to
    ``relevance``.
    """

    items: Ints
    visual: NDArray[np.float64]
    popularity: NDArray[np.float64]
    category: NDArray[np.float64]
    distance: NDArray[np.float64]
    relevance: NDArray[np.float64]
    products: NDArray[Any]
    item_ids: Sequence[str]

    def __len__(self) -> int:
        return len(self.items)


def rank(candidates: Candidates, queries: Queries, weights: Weights, top: int = 5, block: int | None = None) -> Ranking:
    """The ``top`` most relevant candidates of every query, exactly, one view a product.

    For the authors' way, where two views of a garment are two items, give every candidate a product of its own.

    ``block`` is how many queries are scored at once; by default as many as keep the cosines within 128 MiB. It never
    changes the result. Raises SettingError for a ``top`` or ``block`` below 1.
    """
    if block is None:
        block = max(1, min(256, MOST_CELLS // max(1, len(candidates))))
    if block < 1:
        raise SettingError(f"block is {block}; it must be at least 1")
    best = _Best(candidates, queries, weights, top)
    for start in range(0, len(queries) if len(candidates) else 0, block):
        rows = np.arange(start, min(start + block, len(queries)))
        scan, depth = Scan(candidates, queries.at(rows), weights), 4 * top
        while len(rows):
            found = scan.contenders(depth, rows - start)
            done = best.fill(rows, found)
            rows, depth = rows[~done], 8 * depth  # many views of few products
    return best.ranking()


def rank_among(
    candidates: Candidates,
    queries: Queries,
    weights: Weights,
    pools: Sequence[Ints],
    spans: Sequence[tuple[float, float]],
    top: int = 5,
) -> Ranking:
    """As ``rank``, but query i chooses among the rows ``pools[i]`` only, with min-max scaling over ``spans[i]``.

    So somebody's own index of nearest neighbours can propose, and the formula decides, with the popularity, filters and
    weights of the moment.
    """
    best = _Best(candidates, queries, weights, top)
    admitted = {gender: candidates.admits(gender) for gender in np.unique(queries.gender).tolist()}
    free = [
        pool[admitted[int(queries.gender[row])][pool] & ~np.isin(pool, queries.taken(row, candidates))]
        for row, pool in enumerate(pools)
    ]
    query = np.repeat(np.arange(len(queries)), [len(one) for one in free])
    row = np.concatenate([*free, np.empty(0, np.int64)])
    everything = np.ones(len(queries), bool)
    found = Contenders(query, row, np.ones(len(row), bool), everything, np.array(spans, float).reshape(-1, 2))
    best.fill(np.arange(len(queries)), found)
    return best.ranking()


def merge(ranking: Ranking, top: int) -> Ints:
    """One shopper's lists as one: int64 (m, 2), m ≤ top, rows (query, position) of ``ranking``, most relevant first.

    Of a product found more than once, in whatever view and for whichever purchase, only the most relevant place stays;
    ties are broken by item id, then by the earlier query.
    """
    query, position = np.nonzero(ranking.items >= 0)
    key = np.round(ranking.relevance[query, position], 12)
    order = _sorted(np.zeros(len(key), np.int64), key, ranking.items[query, position], ranking.item_ids)
    _, first = np.unique(ranking.products[query, position][order], return_index=True)
    chosen = order[np.sort(first)[:top]]
    return np.stack([query[chosen], position[chosen]], axis=1).astype(np.int64)


def _sorted(query: Ints, key: NDArray[np.float64], row: Ints, item_ids: Sequence[str]) -> Ints:
    """The order by query, the highest key first; equal keys by item id, then as they stand."""
    order = np.lexsort((-key, query))
    same = (key[order][1:] == key[order][:-1]) & (query[order][1:] == query[order][:-1])
    if not same.any():
        return order
    tied = order[np.r_[same, False] | np.r_[False, same]]
    ids = {one: item_ids[one] for one in set(row[tied].tolist())}
    place = {one: number for number, one in enumerate(sorted(ids, key=ids.__getitem__))}
    by_id = np.zeros(len(key), np.int64)
    by_id[tied] = [place[one] for one in row[tied].tolist()]
    return np.lexsort((by_id, -key, query))


class _Best:
    """The lists being filled: scores contenders in float64 and keeps the best."""

    def __init__(self, candidates: Candidates, queries: Queries, weights: Weights, top: int) -> None:
        if top < 1:
            raise SettingError(f"top is {top}; it must be at least 1")
        self.candidates, self.queries, self.weights, self.top = candidates, queries, weights, top
        self.vectors, self.embedded = queries.embedded(candidates)
        self.kinds = queries.kinds(candidates)
        self.total = weights.alpha + weights.beta + weights.gamma + weights.distance
        self.items = np.full((len(queries), top), -1, np.int64)
        self.scores = np.full((5, len(queries), top), np.nan)

    def fill(self, rows: Ints, found: Contenders) -> Bools:
        """Fill the lists of the queries ``rows``, which ``found`` numbers from 0; returns which of them are done.

        A list is done where its products are sure to be the best, or where there are no more.
        """
        shop, weights = self.candidates, self.weights
        asked, row = rows[found.query], found.row
        cosine = None
        if weights.alpha:
            has = shop.has_vector[row] & self.embedded[asked]
            dots = np.einsum("nd,nd->n", shop.vectors[row], self.vectors[asked], dtype=np.float64)
            cosine = np.where(has, dots, 0.0)
        parts = terms(
            weights,
            cosine=cosine,
            span=(found.spans[found.query, 0], found.spans[found.query, 1]),
            normpop=shop.normpop[row],
            trendiness=self.queries.trendiness[asked],
            similarity=shop.similarity_with_unknown[self.kinds[asked], shop.category[row]],
            distance_km=None if shop.distance_km is None else shop.distance_km[row],
        )
        if cosine is not None:
            parts = parts._replace(visual=np.where(has, parts.visual, 0.0))
        relevance = parts.relevance
        order = _sorted(found.query, np.round(relevance / (self.total * TIE)), row, shop.item_ids)
        _, number = np.unique(shop.product[row[order]], return_inverse=True)
        pair = found.query[order] * (len(order) + 1) + number
        _, first = np.unique(pair, return_index=True)  # the best view of each product
        order = order[np.sort(first)]
        query = found.query[order]
        place = np.arange(len(order)) - np.searchsorted(query, query)
        kept = place < self.top
        order, query, place = order[kept], query[kept], place[kept]
        self.items[rows] = -1
        self.items[rows[query], place] = row[order]
        self.scores[:, rows[query], place] = np.stack([*parts, relevance])[:, order]
        sure = np.unique(np.stack([found.query[found.sure], shop.product[row[found.sure]]]), axis=1)[0]
        return found.complete | (np.bincount(sure, minlength=len(rows)) >= self.top)

    def ranking(self) -> Ranking:
        """What was filled in."""
        products = np.full(self.items.shape, -1, self.candidates.product.dtype)
        found = self.items >= 0
        products[found] = self.candidates.product[self.items[found]]
        visual, popularity, category, distance, relevance = self.scores
        item_ids = self.candidates.item_ids
        return Ranking(self.items, visual, popularity, category, distance, relevance, products, item_ids)
