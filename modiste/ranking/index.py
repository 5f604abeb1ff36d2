"""The approximate Top-K: an HNSW graph over the relevance's own space proposes, current popularity decides.

Needs the extra ``ann`` (usearch). The graph finds a pool of a few hundred candidates by distance (``ranking/space.py``)
that are scored exactly, with the popularity, filters and weights of the moment, so the graph may be hours old.
"""

import numpy as np
import onnxruntime  # noqa: F401  (first: with usearch 2.26 loaded before it, importing onnxruntime 1.32 crashes Python)
from numpy.typing import NDArray

from modiste.errors import MissingExtraError, SettingError
from modiste.ranking.proposals import Proposals
from modiste.ranking.relevance import Weights
from modiste.ranking.space import ITEM_WEIGHTS, Points, Space
from modiste.ranking.topk import Candidates, Ints, Queries, Ranking

try:
    from usearch.index import Index as Graph
except ImportError as error:
    raise MissingExtraError("ann", "Searching approximately (HNSW)") from error


class Index(Proposals):
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
        super().__init__(Space(kinds, weights))
        self.item_ids = candidates.item_ids
        self._graphs: dict[int, Graph] = {}
        points = self.space.items(candidates)
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

    def rank(
        self, candidates: Candidates, queries: Queries, weights: Weights, top: int = 5, pool: int = 200
    ) -> Ranking:
        """The ``top`` of ``pool`` proposals per query and gender, scored as ``candidates`` are now.

        As :meth:`Proposals.rank`. Raises SettingError as well if ``candidates`` are other items than the index was
        built for.
        """
        if candidates.item_ids != self.item_ids:
            raise SettingError("the index was built for other items; build it again")
        return super().rank(candidates, queries, weights, top, pool)

    def _nearest(self, candidates: Candidates, points: Points, queries: Queries, count: int) -> list[Ints]:
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
