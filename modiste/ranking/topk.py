"""The exact Top-K: every candidate scored for every purchase, close to the cost of one matrix product.

A fast pass in float32 (:mod:`modiste.ranking.scan`) finds the few candidates that can be among the best; those are
scored again in float64, one dot product each, and sorted by relevance and then by item id. So neither the BLAS library
nor the size of a block decides a tie.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from modiste.arrays import Array, Floats, Ints
from modiste.errors import SettingError
from modiste.ranking.candidates import WHOSE, Candidates, Pairing, Queries
from modiste.ranking.relevance import Terms, Weights, terms
from modiste.ranking.scan import Scan

TIE = 1e-12
"""Relevances this close, relative to the sum of the weights, are a tie and stand in the order of their item ids."""

_BLOCK = 64  # queries that are scored at once


@dataclass(frozen=True, eq=False)
class Ranking:
    """The best candidates of each query, best first; places that no candidate fills have item -1 and terms NaN.

    ``items`` int64 (q, top) are rows of the candidates; ``products`` and ``item_ids`` (texts, None where there is no
    candidate) are theirs. The weighted ``terms``, float64 (q, top) each, add up to ``relevance``. ``spans`` float64
    (q, 2) has each query's lowest and highest cosine where min-max scaling asks for them.
    """

    items: Ints
    terms: Terms
    relevance: Floats
    products: Array
    item_ids: NDArray[np.object_]
    spans: Floats

    def __len__(self) -> int:
        return len(self.items)

    def part(self, start: int, end: int) -> "Ranking":
        """Of the queries from ``start`` to before ``end``."""
        some = slice(start, end)
        terms = Terms(*(one[some] for one in self.terms))
        return Ranking(
            self.items[some], terms, self.relevance[some], self.products[some], self.item_ids[some], self.spans[some]
        )


class Proposer(Protocol):
    """Somebody's own index of nearest neighbours, of which the formula chooses: what it gives goes to `rank_among`."""

    def __call__(
        self, candidates: Candidates, queries: Queries, weights: Weights, top: int
    ) -> tuple[Sequence[Ints], Sequence[tuple[float, float]]]:
        """For each query rows of the candidates that may be its best ``top``, and the span of all its cosines."""


def rank(candidates: Candidates, queries: Queries, weights: Weights, top: int = 5, block: int | None = None) -> Ranking:
    """The ``top`` most relevant candidates of every query, exactly, one view a product.

    For the authors' way, where two views of a garment are two items, give every candidate a product of its own.

    ``block`` is how many queries are scored at once, 64 by default. It never changes the result. Raises SettingError
    for a ``top`` or ``block`` below 1.
    """
    block = _BLOCK if block is None else block
    if block < 1:
        raise SettingError(f"block is {block}; it must be at least 1")
    best = _Best(candidates, queries, weights, top)
    for start in range(0, len(queries) if len(candidates) else 0, block):
        part = queries.at(np.arange(start, min(start + block, len(queries)))) if len(queries) > block else queries
        pairing = Pairing(candidates, part)
        if not weights.seen:  # many purchases, one question
            first, number = pairing.alike()
            pairing = Pairing(candidates, part.at(first))
        scan = Scan(pairing, weights)
        query, row = scan.contenders(top)
        if weights.together:  # what is bought together may pass everything that is best without that
            query, row = _with_those(pairing, query, row)
        best.choose(pairing, query, row, scan.spans, start)
        if not weights.seen:
            best.repeat(start, number)
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

    So a :class:`Proposer`, whose index may be hours old, finds candidates, and the formula decides, with popularity,
    filters and weights of the moment.
    """
    best, pairing = _Best(candidates, queries, weights, top), Pairing(candidates, queries)
    query = np.repeat(np.arange(len(queries)), [len(pool) for pool in pools])
    row = np.concatenate([*pools, np.empty(0, np.int64)]).astype(np.int64)
    free = pairing.admissible(query, row)
    best.choose(pairing, query[free], row[free], np.array(spans, float).reshape(-1, 2))
    return best.ranking()


def _with_those(pairing: Pairing, query: Ints, row: Ints) -> tuple[Ints, Ints]:
    """The pairs, and all others that are bought together."""
    more_query, more_row, _ = pairing.together()
    free = pairing.admissible(more_query, more_row)
    pairs = np.unique([np.append(query, more_query[free]), np.append(row, more_row[free])], axis=1)
    return pairs[0], pairs[1]


def merge(ranking: Ranking, top: int) -> Ints:
    """One shopper's lists as one: int64 (m, 2), m ≤ top, rows (query, position) of ``ranking``, most relevant first.

    Of a product found more than once, in whatever view and for whichever purchase, only the most relevant place stays;
    ties are broken by item id, then by the earlier query.
    """
    query, position = np.nonzero(ranking.items >= 0)
    level, ids = np.round(ranking.relevance[query, position], 12), ranking.item_ids[query, position]
    order = _sorted(np.zeros_like(query), level, np.arange(len(query)), ids)
    _, first = np.unique(ranking.products[query, position][order], return_index=True)
    chosen = order[np.sort(first)[:top]]
    return np.stack([query[chosen], position[chosen]], axis=1).astype(np.int64)


def _sorted(query: Ints, level: Floats, row: Ints, item_ids: Any) -> Ints:
    """The order by query, the highest level first; equal levels by the row's item id, then as they stand."""
    order = np.lexsort((-level, query))
    same = (level[order[1:]] == level[order[:-1]]) & (query[order[1:]] == query[order[:-1]])
    if not same.any():
        return order
    tied = np.unique(np.concatenate([order[1:][same], order[:-1][same]]))
    ids = {one: item_ids[one] for one in set(row[tied].tolist())}
    number = {item_id: number for number, item_id in enumerate(sorted(set(ids.values())))}
    by_id = np.zeros(len(row), np.int64)
    by_id[tied] = [number[ids[one]] for one in row[tied].tolist()]
    return np.lexsort((by_id, -level, query))


class _Best:
    """The lists being filled: scores contenders in float64 and keeps the best."""

    def __init__(self, candidates: Candidates, queries: Queries, weights: Weights, top: int) -> None:
        if top < 1:
            raise SettingError(f"top is {top}; it must be at least 1")
        self.candidates, self.weights, self.top = candidates, weights, top
        self.items = np.full((len(queries), top), -1, np.int64)
        self.scores = np.full((len(Terms._fields) + 1, len(queries), top), np.nan)
        self.spans = np.zeros((len(queries), 2))

    def choose(self, pairing: Pairing, query: Ints, row: Ints, spans: Floats, start: int = 0) -> None:
        """Fill the lists from ``start`` on, those of the queries in ``pairing``, with the best of its pairs."""
        shop, queries, weights = self.candidates, pairing.queries, self.weights
        self.spans[start : start + len(spans)] = spans
        look, colour = pairing.similarities(query, row) if weights.seen else (None, None)
        parts = terms(
            weights,
            look=look,
            span=(spans[query, 0], spans[query, 1]),
            colour=colour if shop.colour_dim else None,
            scales=shop.scales,
            popularity=shop.popularity(weights)[row].astype(np.float64),
            ends=shop.ends,
            trendiness=queries.trendiness[query],
            similarity=pairing.kinship[query, shop.category[row]],
            distance_km=None if shop.distance_km is None else shop.distance_km[row],
            together=_looked_up(query, row, *pairing.together()) if weights.together else None,
            worn=None if shop.worn is None else shop.worn[row],
            newness=None if shop.newness is None else shop.newness[row] * pairing.freshness[query],
            price=None if shop.price is None else pairing.prices(shop.price[row].astype(np.float64), query),
            other=pairing.other[shop.groups[row] % WHOSE, query],
            boost=None if shop.boost is None else shop.boost[row],
        )
        seen = shop.has_vector[row] & pairing.embedded[query]
        parts = parts._replace(look=np.where(seen, parts.look, 0.0), colour=np.where(seen, parts.colour, 0.0))
        relevance = parts.relevance
        order = _sorted(query, np.round(relevance / (self.weights.total * TIE)), row, shop.item_ids)
        products, number = np.unique(shop.product[row[order]], return_inverse=True)
        _, first = np.unique(query[order] * (len(products) + 1) + number, return_index=True)  # each product's best view
        order = order[np.sort(first)]
        place = np.arange(len(order)) - np.searchsorted(query[order], query[order])
        order, place = order[place < self.top], place[place < self.top]
        self.items[start + query[order], place] = row[order]
        self.scores[:, start + query[order], place] = np.stack([*parts, relevance])[:, order]

    def repeat(self, start: int, number: Ints) -> None:
        """Give each list from ``start`` on what the list ``number`` int64 (m,) places behind ``start`` has."""
        self.items[start : start + len(number)] = self.items[start + number]
        self.scores[:, start : start + len(number)] = self.scores[:, start + number]

    def ranking(self) -> Ranking:
        """What was filled in."""
        filled = self.items >= 0
        products = np.full(self.items.shape, -1, self.candidates.product.dtype)
        products[filled] = self.candidates.product[self.items[filled]]
        item_ids = np.full(self.items.shape, None, object)
        item_ids[filled] = [self.candidates.item_ids[row] for row in self.items[filled].tolist()]
        return Ranking(self.items, Terms(*self.scores[:-1]), self.scores[-1], products, item_ids, self.spans)


def _looked_up(query: Ints, row: Ints, queries: Ints, rows: Ints, values: Floats) -> Floats:
    """The value of each pair of ``query`` and ``row``, 0 where it isn't among the pairs of ``queries`` and ``rows``."""
    if not len(values):
        return np.zeros(len(row))
    width = int(max(row.max(initial=0), rows.max())) + 1
    known = queries * width + rows
    order = np.argsort(known, kind="stable")
    place = np.minimum(np.searchsorted(known, query * width + row, sorter=order), len(known) - 1)
    found = known[order[place]] == query * width + row
    return np.where(found, values[order[place]], 0.0)
