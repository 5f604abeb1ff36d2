"""The fast pass of the Top-K: all candidates scored in float32, only those kept that float64 could put among the best.

Candidates are taken in chunks that stay in the processor's cache; each chunk costs a matrix product and a handful of
passes. Of the scores only the highest of every _STRIDE candidates is kept: the d-th highest of these is below d
candidates' scores, so that whatever lies below it, by more than float32 can err, is none of the best d.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from threading import Lock
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from modiste.ranking.candidates import Bools, Candidates, Ints, Queries
from modiste.ranking.relevance import DISTANCE_SCALE_KM, EQUAL_COSINES, Weights

Singles = NDArray[np.float32]
T = TypeVar("T")

MOST_CELLS = 1 << 25
"""Cosines in memory at once: 128 MiB."""

_ALONE_BELOW = 4096  # candidates that no second thread is worth its while for
_CHUNK_CELLS = 1 << 18  # scores of one chunk: 1 MiB
_STRIDE = 64
_NEVER = np.float32(-np.inf)
_BLAS = ThreadpoolController()
_THREADS = ThreadPoolExecutor(min(4, os.cpu_count() or 1), thread_name_prefix="ranking")
_ERR = 1e-6  # more than a float32 cosine differs from itself, computed otherwise


@dataclass(frozen=True, eq=False)
class Contenders:
    """Candidates that may be among the best of their queries: ``query`` and ``row``, int64 (m,).

    ``sure`` bool (m,) are those above every candidate that is not here. ``complete`` bool (q,) tells for each query
    that all admissible candidates are here, and ``spans`` float64 (q, 2) the lowest and highest cosine among those.
    """

    query: Ints
    row: Ints
    sure: Bools
    complete: Bools
    spans: NDArray[np.float64]


class _Alone:
    """While anybody is in it, a matrix product keeps to the thread that asks for it: we share the chunks out ourselves.

    On a busy machine BLAS's own threads wait for one another for longer than a product takes.
    """

    def __init__(self) -> None:
        self._inside, self._lock = 0, Lock()
        self._limit: Any = None

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._limit = _BLAS.limit(limits=1, user_api="blas")
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._limit.restore_original_limits()


_ALONE = _Alone()


class Scan:
    """Some queries put to all candidates. Their cosines are computed once; :meth:`contenders` may be asked again."""

    def __init__(self, candidates: Candidates, queries: Queries, weights: Weights) -> None:
        self.candidates, self.queries, self.weights = candidates, queries, weights
        self.count, self.rows = len(queries), len(candidates)
        share = self.rows if self.rows < _ALONE_BELOW else self.rows // 2
        width = min(1 << 16, _CHUNK_CELLS // max(1, self.count), share)
        width = max(_STRIDE, -(-width // _STRIDE) * _STRIDE)
        self.chunks = [(start, min(start + width, self.rows)) for start in range(0, self.rows, width)]
        self.taken = self._taken()
        self.takers: list[tuple[int | slice, Ints]] = list(enumerate(self.taken))
        if all(one is self.taken[0] for one in self.taken):  # as those of one shopper are
            self.takers = [(slice(None), self.taken[0])]
        self.vectors, self.embedded = queries.embedded(candidates)
        self.gender = queries.gender.astype(np.int64)
        self.category = queries.kinds(candidates)
        known: dict[tuple[int, int, float], int] = {}  # queries that differ by looks alone are of one kind
        keys = zip(self.category.tolist(), self.gender.tolist(), queries.trendiness.tolist(), strict=True)
        self.kind = np.array([known.setdefault(key, len(known)) for key in keys], np.int64)
        self.kinds = np.array(list(known)).reshape(-1, 3).T
        self.tables = self._tables()
        self.spans = np.zeros((self.count, 2))
        self.scale = np.ones(self.count, np.float32)
        self.cosines = None
        if weights.alpha and self.embedded.any():
            with _ALONE:
                self.cosines = self._cosines()
        self.highest = self._highest()

    def _taken(self) -> list[Ints]:
        """For each query the rows that must not be recommended."""
        known: dict[tuple[int, bytes], Ints] = {}
        taken = []
        for row in range(self.count):
            owned = None if self.queries.excluded is None else self.queries.excluded[row]
            inside = owned is not None and int(self.queries.item[row]) in owned
            key = (id(owned), b"" if inside else self.queries.item[row].tobytes())
            if key not in known:
                known[key] = self.queries.taken(row, self.candidates)
            taken.append(known[key])
        return taken

    def _tables(self) -> Singles:
        """For each kind of query, by an item's group, what its category is worth; never, where its gender bars it."""
        similarity = np.pad(self.candidates.similarity_with_unknown[:-1, :-1], (1, 0))  # as groups count: from none on
        tables = np.repeat(similarity[self.kinds[0].astype(np.int64) + 1] * self.weights.gamma, 3, axis=1)
        tables = tables.astype(np.float32)
        gender = self.kinds[1]
        for hers, his in ((1, 2), (2, 1)):
            tables[np.ix_(gender == hers, np.arange(his, tables.shape[1], 3))] = _NEVER
        return tables

    @cached_property
    def near(self) -> Singles | None:
        """What each candidate's nearness is worth."""
        km = self.candidates.distance_km
        if km is None or not self.weights.distance:
            return None
        worth = self.weights.distance * np.nan_to_num(np.exp(km * (-1 / DISTANCE_SCALE_KM)), nan=0.0)
        return worth.astype(np.float32)

    def _worth(self, rows: slice | Ints, kinds: Ints) -> Singles:
        """All but looks, of candidates for kinds of queries: (len(kinds), rows), or elementwise for two arrays."""
        shop, weights = self.candidates, self.weights
        group, elementwise = shop.groups[rows], not isinstance(rows, slice)
        if elementwise:
            worth = self.tables[kinds, group]
        else:
            worth = np.stack([self.tables[kind].take(group) for kind in kinds.tolist()])
        if weights.beta:
            normpop = shop.normpop[rows].astype(np.float32)
            taus = self.kinds[2, kinds].astype(np.float32)
            if not elementwise and np.all(taus == taus[0]):
                worth += self._popularity(normpop, taus[0])
            else:
                worth += self._popularity(normpop, taus if elementwise else taus[:, None])
        if self.near is not None:
            worth += self.near[rows]
        if shop.allowed is not None:
            barred = ~shop.allowed[rows]
            worth[barred if elementwise else (slice(None), barred)] = _NEVER
        return worth

    def _popularity(self, normpop: Singles, tau: Singles | np.float32) -> Singles:
        term: Singles = np.square(normpop - tau)
        if self.weights.penalty > 2:
            term **= self.weights.penalty // 2
        term *= np.float32(-self.weights.beta)
        return term  # but for β itself, which all have

    # Looks

    def _cosines(self) -> Singles:
        """float32 (q, n): every query's cosines, never of what is taken; and, for min-max scaling, their spans."""
        cosines, shop = np.empty((self.count, self.rows), np.float32), self.candidates
        scaled = self.weights.scaling == "minmax"
        genders = np.unique(self.gender).tolist()

        def chunk(start: int, end: int) -> tuple[Singles, Singles]:
            part = cosines[:, start:end]
            np.matmul(self.vectors, shop.vectors[start:end].T, out=part)
            if not scaled:
                self._take(part, start, end, _NEVER)
                return part[:, :0], part[:, :0]
            walls = {gender: self._wall(start, end, gender) for gender in genders}
            wall = walls[genders[0]] if len(walls) == 1 else np.stack([walls[one] for one in self.gender.tolist()])
            barred = bool(np.any(wall))
            self._take(part, start, end, np.float32(np.inf))
            lows = _lowest(part + wall if barred else part)
            self._take(part, start, end, _NEVER)
            return lows, _highest(part - wall if barred else part)

        ends = self._by_chunk(chunk)
        if scaled:
            self._stretch(cosines, *(np.concatenate(side, axis=1) for side in zip(*ends, strict=True)))
        else:
            self.scale[:] = self.weights.alpha
        self.scale[~self.embedded] = 1
        for row in np.flatnonzero(~self.embedded).tolist():
            cosines[row] = 0
            cosines[row, self.taken[row]] = _NEVER
        if not shop.all_embedded:  # as if they were the least alike
            low = np.where(self.embedded & (self.scale != 1), self.spans[:, 0], 0.0).astype(np.float32)
            without = np.flatnonzero(~shop.has_vector)
            for row in range(self.count):
                cosines[row, without] = np.where(cosines[row, without] == _NEVER, _NEVER, low[row])
        return cosines

    def _by_chunk(self, work: Callable[[int, int], T]) -> list[T]:
        """What ``work`` gives for each chunk; some are worked on at a time, since numpy lets others run meanwhile."""
        if len(self.chunks) == 1:
            return [work(start, end) for start, end in self.chunks]
        return list(_THREADS.map(lambda chunk: work(*chunk), self.chunks))

    def _take(self, part: Singles, start: int, end: int, score: np.float32) -> None:
        """Give what is taken a score in a chunk."""
        for rows, taken in self.takers:
            low, high = np.searchsorted(taken, (start, end))
            if high > low:
                part[rows, taken[low:high] - start] = score

    def _wall(self, start: int, end: int, gender: int) -> Singles:
        """0 for the candidates of a chunk that a span is over, infinite for others; but for those that are taken."""
        shop, wall = self.candidates, np.zeros(end - start, np.float32)
        if not shop.all_embedded:
            wall[~shop.has_vector[start:end]] = np.inf
        if shop.allowed is not None:
            wall[~shop.allowed[start:end]] = np.inf
        if gender:
            wall[shop.gender[start:end] == 3 - gender] = np.inf
        return wall

    def _stretch(self, cosines: Singles, lows: Singles, highs: Singles) -> None:
        """Find each query's span in float64, and the scale that stretches it to the weight of looks."""
        shop, ends = self.candidates, (lows.min(axis=1), highs.max(axis=1))
        some = self.embedded & np.isfinite(ends[0]) & np.isfinite(ends[1])
        for side, (blocks, end) in enumerate(zip((lows, highs), ends, strict=True)):
            near = np.abs(blocks - np.where(some, end, np.nan)[:, None]) <= _ERR
            query, block = np.nonzero(near)
            rows = self._rows_of(block)
            query, rows = np.repeat(query, rows.shape[1])[rows.ravel() >= 0], rows[rows >= 0]
            kept = np.abs(cosines[query, rows] - end[query]) <= _ERR
            kept &= shop.has_vector[rows] & (self.tables[self.kind[query], shop.groups[rows]] > _NEVER)
            if shop.allowed is not None:
                kept &= shop.allowed[rows]
            query, rows = query[kept], rows[kept]
            exact = np.einsum("nd,nd->n", shop.vectors[rows], self.vectors[query], dtype=np.float64)
            self.spans[some, side] = (np.inf, -np.inf)[side]
            (np.minimum, np.maximum)[side].at(self.spans[:, side], query, exact)
        width = self.spans[:, 1] - self.spans[:, 0]
        apart = width > EQUAL_COSINES
        self.scale = np.where(apart, self.weights.alpha / np.where(apart, width, 1.0), 1.0).astype(np.float32)
        for row in np.flatnonzero(~apart).tolist():
            cosines[row] = 0
            cosines[row, self.taken[row]] = _NEVER

    # What may be among the best

    def _highest(self) -> Singles:
        """float32 (q, blocks): the highest score of every _STRIDE candidates."""
        shared = np.arange(self.kinds.shape[1])

        def chunk(start: int, end: int) -> Singles:
            worth = self._worth(slice(start, end), shared)
            if self.cosines is None:
                scores = worth[self.kind]
                self._take(scores, start, end, _NEVER)
            else:
                scores = self.cosines[:, start:end] * self.scale[:, None]
                scores += worth if len(shared) == 1 else worth[self.kind]
            return _highest(scores)

        return np.concatenate(self._by_chunk(chunk), axis=1)

    def contenders(self, depth: int, wanted: Ints) -> Contenders:
        """Of the queries ``wanted``, numbered anew: all that may be among the best ``depth`` candidates."""
        highest = self.highest[wanted]
        cut = np.full(len(wanted), _NEVER)
        if depth < highest.shape[1]:
            cut = np.partition(highest, highest.shape[1] - depth, axis=1)[:, highest.shape[1] - depth]
        floor = cut - self._slack()[wanted]
        number, block = np.nonzero((highest >= floor[:, None]) & (highest > _NEVER))
        rows = self._rows_of(block)
        number = np.repeat(number, rows.shape[1])
        rows = rows.reshape(-1)
        number, rows = number[rows >= 0], rows[rows >= 0]
        asked = wanted[number]
        scores = self._worth(rows, self.kind[asked])
        if self.cosines is not None:
            scores = self.cosines[asked, rows] * self.scale[asked] + scores
        else:
            for query in np.unique(number).tolist():
                scores[(number == query) & np.isin(rows, self.taken[wanted[query]])] = _NEVER
        kept = np.flatnonzero((scores >= floor[number]) & (scores > _NEVER))
        number, rows, scores = number[kept], rows[kept], scores[kept]
        return Contenders(number, rows, scores >= cut[number], cut == _NEVER, self.spans[wanted])

    def _slack(self) -> Singles:
        """More than float32 can err by: a cosine by 1e-5, the other terms by their own rounding."""
        w = self.weights
        looks = 1e-5 * self.scale if self.cosines is not None else np.zeros(self.count)
        return (looks + 1e-6 * (w.penalty * w.beta + w.gamma + w.distance) + 1e-7).astype(np.float32)

    def _rows_of(self, blocks: Ints) -> Ints:
        """The candidates of blocks, int64 (m, _STRIDE), -1 where a block has fewer."""
        width = self.chunks[0][1] - self.chunks[0][0] if self.chunks else 1
        each = -(-width // _STRIDE)  # blocks of a chunk
        chunk, inside = np.divmod(blocks, each)
        size = np.array([end - start for start, end in self.chunks])[chunk]
        apart = -(-size // _STRIDE)
        inside_chunk = inside[:, None] + apart[:, None] * np.arange(_STRIDE)
        return np.where(inside_chunk < size[:, None], chunk[:, None] * width + inside_chunk, -1)


def _highest(scores: Singles, worst: np.float32 = _NEVER) -> Singles:
    """The highest of every _STRIDE scores: float32 (q, n) to (q, n / _STRIDE), of those that far apart."""
    count, rows = scores.shape
    apart = -(-rows // _STRIDE)
    if rows < apart * _STRIDE:
        scores = np.concatenate([scores, np.full((count, apart * _STRIDE - rows), worst)], axis=1)
    blocks = scores.reshape(count, _STRIDE, apart)
    highest: Singles = blocks.max(axis=1) if worst == _NEVER else blocks.min(axis=1)
    return highest


def _lowest(scores: Singles) -> Singles:
    """As :func:`_highest`, the lowest."""
    return _highest(scores, -_NEVER)
