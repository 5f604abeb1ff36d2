"""The approximate Top-K: an HNSW graph over the relevance's own space proposes, current popularity decides.

Needs the extra ``ann`` (usearch). The graph finds a pool of a few hundred candidates by distance (``ranking/space.py``)
that are scored exactly, with the popularity, filters and weights of the moment, so the graph may be hours old.
"""

import numpy as np
import onnxruntime  # noqa: F401  (first: with usearch 2.26 loaded before it, importing onnxruntime 1.32 crashes Python)
from numpy.typing import NDArray

from modiste.errors import MissingExtraError, SettingError
from modiste.ranking.relevance import Weights
from modiste.ranking.space import ITEM_WEIGHTS, Points, Space
from modiste.ranking.topk import Candidates, Ints, Queries, Ranking, rank, rank_among

try:
    from usearch.index import Index as Graph
except ImportError as error:
    raise MissingExtraError("ann", "Searching approximately (HNSW)") from error

_SAMPLE = 512  # candidates per gender whose cosines bound every span, whatever the graph finds
_EXTREMES = 16  # neighbours looked at for the lowest and the highest cosine

_BY_LOOKS = Weights(1.0, 0.0, 0.0)


class Index:
    """HNSW graphs over a snapshot of the candidates, one for each gender, since a graph can't filter.

    Args:
        candidates: the items; a later snapshot of the same items may be ranked with.
        kinds: float64 (c, e), the categories' coordinates, as :class:`Space` takes them.
        weights: what the graph is built for; any others are answered too, best where they are not far from these.
        connectivity, expansion: HNSW's M and the width of its search while building; more is better and slower.

    Raises:
        MissingExtraError: on import, if usearch is not installed.
    """

    def __init__(
        self,
        candidates: Candidates,
        kinds: NDArray[np.float64],
        weights: Weights = ITEM_WEIGHTS,
        connectivity: int = 32,
        expansion: int = 128,
    ) -> None:
        self.item_ids = candidates.item_ids
        self.space = Space(kinds, weights)
        self._graphs: dict[int, Graph] = {}
        points = self.space.items(candidates)
        samples = []
        for gender in np.unique(candidates.gender).tolist():
            rows = np.flatnonzero(candidates.gender == gender)
            graph = Graph(
                ndim=points.shape[1],
                metric="l2sq",
                dtype="f32",
                connectivity=connectivity,
                expansion_add=expansion,
                expansion_search=expansion,
                enable_key_lookups=False,
            )
            graph.add(rows.astype(np.uint64), points[rows])
            self._graphs[gender] = graph
            samples.append(rows[:: max(1, len(rows) // _SAMPLE)])
        self._sample = np.concatenate(samples) if samples else np.empty(0, np.int64)

    def rank(
        self, candidates: Candidates, queries: Queries, weights: Weights, top: int = 5, pool: int = 200
    ) -> Ranking:
        """The ``top`` of ``pool`` proposals per query and gender, scored as ``candidates`` are now.

        As ``topk.rank``, but approximate in two ways: an item outside the pool is never found, and min-max scaling
        takes the lowest and highest cosine that the graph could find. Penalties other than 2 and distances only
        re-order the pool. Ranked exactly is a query whose pool holds fewer than ``top`` admissible products, and one
        without a photo or with α = 0: popularity and category alone are too flat for a graph to find its way.

        Raises:
            SettingError: ``candidates`` are other items than the index was built for, or ``pool`` is below ``top``.
        """
        if candidates.item_ids != self.item_ids:
            raise SettingError("the index was built for other items; build it again")
        if pool < top:
            raise SettingError(f"a pool of {pool} can't hold a Top-{top}; make it at least {top}")
        spans = np.zeros((len(queries), 2))
        if weights.scaling == "minmax" and weights.alpha:
            spans = self._spans(candidates, queries)
        points = self.space.queries(candidates, queries, weights, spans).points
        guided = queries.embedded(candidates)[1] & (weights.alpha > 0)
        nearest = self._nearest(points, queries, pool)
        pools = [found if led else found[:0] for found, led in zip(nearest, guided, strict=True)]
        found = rank_among(candidates, queries, weights, pools, [(low, high) for low, high in spans.tolist()], top)
        short = np.flatnonzero(found.items[:, top - 1] < 0)
        if len(short):
            _put(found, short, rank(candidates, queries.at(short), weights, top))
        return found

    def _nearest(self, points: Points, queries: Queries, count: int) -> list[Ints]:
        """Rows of the ``count`` nearest items in each graph that the query's gender admits."""
        pools: list[list[Ints]] = [[] for _ in points]
        for gender, graph in self._graphs.items():
            asking = np.flatnonzero((queries.gender == gender) | (queries.gender == 0) | (gender == 0))
            if not len(asking):
                continue
            matches = graph.search(points[asking], min(count, len(graph)))
            keys = np.asarray(matches.keys, np.int64).reshape(len(asking), -1)
            counts = np.reshape(getattr(matches, "counts", keys.shape[1]), -1)
            for query, row, known in zip(asking, keys, np.broadcast_to(counts, len(asking)), strict=True):
                pools[query].append(row[:known])
        return [np.concatenate(pool) if pool else np.empty(0, np.int64) for pool in pools]

    def _spans(self, candidates: Candidates, queries: Queries) -> NDArray[np.float64]:
        """The lowest and highest cosine of each query's admissible candidates, float64 (q, 2), as far as is found."""
        vectors, embedded = queries.embedded(candidates)
        ahead = self.space.queries(candidates, queries, _BY_LOOKS).points
        behind = ahead.copy()
        behind[:, : vectors.shape[1]] *= -1
        near, far = (self._nearest(points, queries, _EXTREMES) for points in (ahead, behind))
        admitted = {gender: candidates.admits(gender) & candidates.has_vector for gender in {*queries.gender.tolist()}}
        spans = np.zeros((len(queries), 2))
        for row in np.flatnonzero(embedded):
            seen = np.concatenate([near[row], far[row], self._sample])
            seen = seen[admitted[int(queries.gender[row])][seen]]
            seen = seen[~np.isin(seen, queries.taken(int(row), candidates))]
            if len(seen):
                cosines = candidates.vectors[seen] @ vectors[row]
                spans[row] = cosines.min(), cosines.max()
        return spans


def _put(into: Ranking, rows: Ints, ranking: Ranking) -> None:
    """Replace the lists ``rows`` of ``into`` by those of ``ranking``."""
    for name in Ranking.__dataclass_fields__:
        getattr(into, name)[rows] = getattr(ranking, name)
