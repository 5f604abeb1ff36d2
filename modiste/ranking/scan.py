"""The fast pass of the Top-K: all candidates scored in float32, and of them the few that float64 must decide between.

Candidates are taken in chunks that stay in the processor's cache. A chunk costs one matrix product and a handful of
passes; of its scores only the highest of every few candidates is looked at again, where it reaches what the best so far
have. Threads of our own share the chunks, since BLAS's wait for one another on a busy machine.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

import numpy as np

from modiste.arrays import Floats, Ints, Singles
from modiste.ranking.candidates import WHOSE, Pairing, Rows
from modiste.ranking.relevance import EQUAL_COSINES, WORN, Weights, terms

Scored = tuple[Ints, Ints, Singles]  # pairs: query, row and score

THREADS = min(4, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
"""How many threads share the chunks of one ranking."""

_CELLS, _MOST_ROWS = 1 << 18, 1 << 16  # scores of a chunk (1 MiB), and its candidates
_ALONE_BELOW = 1 << 26  # multiplications that no second thread is worth its while for
_KEEP_CELLS = 1 << 24  # cosines that are kept for the second pass, 64 MiB; the others are computed again
_LAYERS = 32  # candidates of which only the highest score is looked at; a chunk is a multiple of it
_UNSHARED, _UNSHARED_VECTOR = 1 << 18, 9 << 10  # multiplications, with a matrix or a vector, that OpenBLAS won't share
_SPARSE = 4  # where fewer than one in so many candidates may be recommended at all, the others are left out
_UNIT = 2.0**-24  # float32's rounding


class Shortlist:
    """The pairs of query and candidate that may be among the best ``top`` products of each query; safe for threads.

    Scores may be wrong by ``error`` float64 (q,): whatever lies twice as far below the ``top``-th best product can't be
    among them.
    """

    def __init__(self, pairing: Pairing, top: int, error: Floats) -> None:
        self._pairing, self._top, self._slack = pairing, top, 2 * error
        self._lock = Lock()
        self._cut = np.full(len(pairing), -np.inf)
        self._pairs: Scored = (np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))
        self._new, self._due = False, 0
        # So many groups' highest scores are likely to show ``top`` products, or else but for what was bought.
        self._depths = (2 * top + 8, 2 * top + 8 + 4 * pairing.owned)

    def add(self, rows: Rows, scores: Singles) -> None:
        """Take what may be among the best of ``scores`` (p, q), p a multiple of _LAYERS; NaN: may not be recommended.

        Score i is that of the i-th of ``rows``.
        """
        layers = scores.reshape(_LAYERS, -1)  # each all groups, and of each group all queries
        highest = np.fmax.reduce(layers, axis=0).reshape(-1, len(self._cut))
        if not (highest >= self._cut).any():
            return
        with self._lock:
            level, more = self._cut.copy(), None
            unsure = level == -np.inf
            if unsure.any():
                unsure &= np.fmax.reduce(highest, axis=0) > -np.inf  # not those that nothing here may be shown to
            for depth in self._depths if unsure.any() else ():
                if depth < len(highest):
                    groups = highest[:, unsure]
                    groups[np.isnan(groups)] = -np.inf
                    groups.partition(len(groups) - depth, axis=0)
                    level[unsure] = groups[-depth]
                    more = self._with(_at_least(level, rows, highest, layers))
                    self._raise(more)
                    unsure &= self._cut == -np.inf
                    if not unsure.any():
                        break
            if more is None or (self._cut < level).any():
                more, self._new = self._with(_at_least(self._cut, rows, highest, layers)), True
            self._pairs = more
            if self._new and len(more[0]) >= self._due:
                self._tighten()

    def pairs(self) -> tuple[Ints, Ints]:
        """The query and the row of each pair."""
        self._tighten()
        return self._pairs[:2]

    def _with(self, more: Scored) -> Scored:
        """The pairs so far and ``more``, but for what was bought."""
        query, row, score = more
        free = self._pairing.free(query, row)
        if not len(self._pairs[0]):
            return query[free], row[free], score[free]
        return (
            np.concatenate([self._pairs[0], query[free]]),
            np.concatenate([self._pairs[1], row[free]]),
            np.concatenate([self._pairs[2], score[free]]),
        )

    def _tighten(self) -> None:
        """Drop what is no longer among the best."""
        if self._new:
            self._raise(self._pairs)
        query, row, score = self._pairs
        best = score >= self._cut[query]
        self._pairs = query[best], row[best], score[best]
        self._new, self._due = False, 2 * len(self._pairs[0]) + 256

    def _raise(self, pairs: Scored) -> None:
        """Raise each query's cut to what the ``top``-th best product of ``pairs`` has, less the slack."""
        query, row, score = pairs
        if self._top == 1:  # whatever its product is
            np.maximum.at(self._cut, query, score - self._slack[query])
            return
        product = self._pairing.candidates.product[row]
        order = np.lexsort((-score, product, query))
        query, product, score = query[order], product[order], score[order]
        first = np.ones(len(order), bool)
        first[1:] = (query[1:] != query[:-1]) | (product[1:] != product[:-1])
        query, score = query[first], score[first]
        score = score[np.lexsort((-score, query))]
        counts = np.bincount(query, minlength=len(self._cut))
        enough = np.flatnonzero(counts >= self._top)
        last = np.cumsum(counts)[enough] - counts[enough] + self._top - 1
        self._cut[enough] = np.maximum(self._cut[enough], score[last] - self._slack[enough])


def _at_least(cut: Floats, rows: Rows, highest: Singles, layers: Singles) -> Scored:
    """All scores of ``layers`` (_LAYERS, g · q) that reach their query's ``cut``; ``highest`` (g, q) of each group."""
    place = (highest >= cut).ravel().nonzero()[0]
    group, query = np.divmod(place, len(cut))
    scores = layers.take(place, axis=1)
    layer, which = np.divmod((scores >= cut[query]).ravel().nonzero()[0], max(1, len(place)))
    local = layer * len(highest) + group[which]
    return query[which], local + rows.start if isinstance(rows, slice) else rows[local], scores[layer, which]


class Scan:
    """Some queries put to all candidates: one pass, or two with min-max scaling, the first for the cosines' spans.

    ``spans`` float64 (q, 2) has the lowest and highest cosine among each query's admissible candidates, exactly, after
    :meth:`contenders`, where min-max scaling asks for them.
    """

    def __init__(self, pairing: Pairing, weights: Weights) -> None:
        self.pairing, self.weights = pairing, weights
        self.shop, self.count = pairing.candidates, len(pairing)
        self.looks = bool(weights.seen and pairing.embedded.any())
        self.spans = np.zeros((self.count, 2))
        self._slope, self._floor, self._columns, self._gain = self._seen()
        taus = pairing.queries.trendiness.astype(np.float32)
        self._taus = taus[:1] if np.all(taus == taus[:1]) else taus
        self._popularity = self.shop.popularity(weights)
        fresh = pairing.freshness.astype(np.float32)
        self._fresh = fresh[:1] if np.all(fresh == fresh[:1]) else fresh
        self._price = self.shop.price if self.weights.price and np.isfinite(pairing.usual[:, 0]).any() else None
        usual = pairing.usual.tobytes() == np.tile(pairing.usual[:1], (self.count, 1)).tobytes()
        self._payers = slice(0, 1) if usual else slice(None)
        self._barrier = self._barriers()
        self._chunks, self._size = self._plan()
        self._kept = np.empty((0, self.count), np.float32)

    def contenders(self, top: int) -> tuple[Ints, Ints]:
        """The query and the row, int64 (k,), of all that may be among the best ``top`` products."""
        if self.looks and self.weights.scaling == "minmax":
            self._measure_spans()
        table, slopes = self._worth(), np.tile(self._slope.astype(np.float32), self._size // _LAYERS)
        kin = float(np.abs(self.pairing.kinship).max(initial=1.0))
        rest = (
            self.weights.beta * max(1.0, 3 * max(map(abs, self.shop.ends)))
            + self.weights.gamma * kin
            + self.weights.distance
            + 2 * self.weights.other
        )
        if (price := self._price) is not None:
            rest += self.weights.price * (1 + float(np.nanmax(np.abs(price), initial=0.0)))
        if self.weights.newness and self.shop.newness is not None:
            most = float(np.abs(self.pairing.freshness).max(initial=0.0))
            rest += self.weights.newness * float(self.shop.newness.max(initial=0.0)) * most
        if self.shop.worn is not None:
            rest += WORN * abs(self.weights.colour) * float(np.abs(self.shop.worn).max(initial=0.0))
        if self.shop.boost is not None:
            rest += float(np.abs(self.shop.boost).max(initial=0.0))
        error = self._cosine_error * self._slope * self._gain + rest * (2 * self.weights.penalty + 16) * _UNIT
        best = Shortlist(self.pairing, top, error)

        def score(number: int, cosines: Singles, scores: Singles) -> None:
            rows, count = self._chunks[number]
            np.take(table, self.shop.groups[rows], axis=0, out=scores[:count], mode="clip")
            if self.looks:
                cosines = self._cosines(number, cosines, again=True)
                known = self.shop.has_vector[rows]
                if not known.all():  # so that the terms are 0
                    cosines[np.flatnonzero(~known)] = self._floor
                layers = cosines.reshape(_LAYERS, -1)
                layers *= slopes[: layers.shape[1]]
                scores[:count] += cosines[:count]
            if (base := self._base(rows)) is not None:
                scores[:count] += base
            scores[count:] = np.nan
            best.add(rows, scores)

        self._share(score)
        return best.pairs()

    # The plan

    def _plan(self) -> tuple[list[tuple[Rows, int]], int]:
        """The chunks, each the rows and how many, and the largest one's number of rows rounded up to layers."""
        rows, n, allowed = None, len(self.shop), self.shop.allowed
        if allowed is not None and _SPARSE * np.count_nonzero(allowed) < n:
            rows = np.flatnonzero(allowed)
            n = len(rows)
        size = min(_MOST_ROWS, max(1, _CELLS // self.count))
        if n * self.count * len(self._columns) > _ALONE_BELOW:
            size = min(size, -(-n // THREADS))
        size = -(-size // _LAYERS) * _LAYERS
        starts = range(0, n, size)
        if rows is None:
            return [(slice(start, min(start + size, n)), min(size, n - start)) for start in starts], size
        return [(rows[start : start + size], min(size, n - start)) for start in starts], size

    def _share(self, work: Callable[[int, Singles, Singles], None]) -> None:
        """Have every chunk worked on, by several threads: its number, and room for cosines and scores (p, q)."""
        numbers, lock = iter(range(len(self._chunks))), Lock()

        def labour() -> None:
            room = np.empty((2, self._size, self.count), np.float32)
            with np.errstate(invalid="ignore", over="ignore"):  # in what fills up the layers
                while True:
                    with lock:
                        number = next(numbers, None)
                    if number is None:
                        return
                    padded = -(-self._chunks[number][1] // _LAYERS) * _LAYERS
                    work(number, room[0, :padded], room[1, :padded])

        others = min(THREADS, len(self._chunks)) - 1
        if others < 1:
            labour()
            return
        with ThreadPoolExecutor(others) as pool:
            waiting = [pool.submit(labour) for _ in range(others)]
            labour()
            for one in waiting:
                one.result()

    # Looks

    def _seen(self) -> tuple[Floats, Floats, Singles, float]:
        """How the terms of look and colour come from one product of the candidates with columns (d, q): the slope
        (q,), what of the product makes them 0 (q,), the columns, and how much a column was stretched at most."""
        weights, shop, columns = self.weights, self.shop, self.pairing.vectors.T.copy()
        embedded, look = self.pairing.embedded, self.shop.look_dim
        if weights.formula == "paper":
            columns[look:] = 0
            return np.where(embedded, float(weights.alpha), 0.0), np.zeros(self.count), columns, 1.0
        (low, high), (pale, deep) = shop.scales
        by_look, by_colour = weights.alpha / (high - low), weights.colour / (deep - pale) if shop.colour_dim else 0.0
        columns[:look] *= np.float32(by_look)
        columns[look:] *= np.float32(by_colour)
        floor = by_look * low + by_colour * (deep if by_colour < 0 else pale)
        return embedded.astype(float), np.full(self.count, floor), columns, by_look + abs(by_colour)

    @property
    def _cosine_error(self) -> float:
        """More than a float32 cosine can err by, in whatever order it was summed."""
        return (len(self._columns) + 16) * _UNIT

    def _cosines(self, number: int, room: Singles, again: bool = False) -> Singles:
        """A chunk's cosines with all queries, (p, q), in ``room`` or where they are kept for the second pass."""
        rows, count = self._chunks[number]
        if (number + 1) * self._size <= len(self._kept):
            room = self._kept[number * self._size :][: len(room)]
            if again:
                return room
        vectors = np.asarray(self.shop.vectors[rows])
        dim = vectors.shape[1]
        unshared = _UNSHARED_VECTOR if self.count == 1 else _UNSHARED
        stack = min(64, max(8, unshared // (dim * self.count)))
        whole = count // stack * stack
        stacks = room[:whole].reshape(-1, stack, self.count)
        np.matmul(vectors[:whole].reshape(-1, stack, dim), self._columns, out=stacks)
        np.matmul(vectors[whole:], self._columns, out=room[whole:count])
        return room

    def _measure_spans(self) -> None:
        """Look at all cosines, and fill ``spans`` and what the visual term makes of them."""
        keep = min(len(self._chunks), _KEEP_CELLS // (self._size * self.count))
        self._kept = np.empty((keep * self._size, self.count), np.float32)
        error = np.full(self.count, self._cosine_error)
        barrier = np.where(self.pairing.embedded, self._barrier, np.float32(np.nan))
        lowest, highest = Shortlist(self.pairing, 1, error), Shortlist(self.pairing, 1, error)

        def look(number: int, cosines: Singles, scores: Singles) -> None:
            rows, count = self._chunks[number]
            cosines = self._cosines(number, cosines)
            np.take(barrier, self.shop.groups[rows], axis=0, out=scores[:count], mode="clip")
            scores[:count] += cosines[:count]
            known = self.shop.has_vector[rows]
            if self.shop.allowed is not None:
                known = known & self.shop.allowed[rows]
            if not known.all():
                scores[np.flatnonzero(~known)] = np.nan
            scores[count:] = np.nan
            highest.add(rows, scores)
            lowest.add(rows, np.negative(scores, out=scores))

        self._share(look)
        ends = np.stack([np.full(self.count, np.inf), np.full(self.count, -np.inf)], axis=1)
        for side, shortlist, extreme in ((0, lowest, np.minimum), (1, highest, np.maximum)):
            query, row = shortlist.pairs()
            extreme.at(ends[:, side], query, self.pairing.similarities(query, row)[0])
        self.spans = np.where(np.isfinite(ends), ends, 0.0)
        self._floor = self.spans[:, 0]
        width = self.spans[:, 1] - self.spans[:, 0]
        apart = self.pairing.embedded & (width > EQUAL_COSINES)
        self._slope = np.where(apart, self.weights.alpha / np.where(apart, width, 1.0), 0.0)

    # The other terms

    def _barriers(self) -> Singles:
        """0, or NaN where a query's gender or age rules an item's out, by the items' group and query."""
        barred = np.where(self.pairing.barred, np.float32(np.nan), np.float32(0))
        return np.tile(barred, (self.pairing.kinship.shape[1], 1))

    def _worth(self) -> Singles:
        """The terms of category and gender, less what no look is worth, by the items' group and query; NaN where one is
        barred."""
        by_category = np.roll(self.pairing.kinship, 1, axis=1).T  # that of no category first
        worth = self.weights.gamma * np.repeat(by_category, WHOSE, axis=0) - self._slope * self._floor
        if self.weights.formula == "choice":
            worth -= self.weights.other * np.tile(self.pairing.other, (len(by_category), 1))
        return worth.astype(np.float32) + self._barrier

    def _base(self, rows: Rows) -> Singles | None:
        """The terms of popularity, distance, worn, newness, price and boost, (m, 1) or (m, q), NaN where not allowed.

        None: all are 0.
        """
        base, worn, boost = None, self.shop.worn, self.shop.boost
        km = self.shop.distance_km if self.weights.distance else None
        new = self.shop.newness if self.weights.newness and self._fresh.any() else None
        cost = None if self._price is None else self._price[rows].astype(np.float32)[:, None]
        if self.weights.beta or any(one is not None for one in (km, worn, new, cost, boost)):
            base = terms(
                self.weights,
                look=None,
                popularity=self._popularity[rows].astype(np.float32)[:, None],
                ends=self.shop.ends,
                trendiness=self._taus,
                similarity=None,
                distance_km=None if km is None else km[rows].astype(np.float32)[:, None],
                worn=None if worn is None else worn[rows].astype(np.float32)[:, None],
                newness=None if new is None else new[rows].astype(np.float32)[:, None] * self._fresh,
                price=None if cost is None else self.pairing.prices(cost, self._payers),
                boost=None if boost is None else boost[rows].astype(np.float32)[:, None],
            ).relevance
        if self.shop.allowed is not None:
            allowed = self.shop.allowed[rows]
            base = np.zeros((len(allowed), 1), np.float32) if base is None else base
            base[~allowed] = np.nan
        return base
