"""The approximate Top-K: something proposes a pool by distance in the relevance's own space, the formula decides.

What proposes (a graph in memory, a database) may be hours old: the pool is scored exactly, with the popularity, filters
and weights of the moment.
"""

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from modiste.errors import SettingError
from modiste.ranking.relevance import Weights
from modiste.ranking.space import Points, Space
from modiste.ranking.topk import Candidates, Ints, Queries, Ranking, rank, rank_among

_SAMPLE = 512  # candidates per gender whose cosines bound every span, whatever is proposed
_EXTREMES = 16  # neighbours looked at for the lowest and the highest cosine

_BY_LOOKS = Weights(1.0, 0.0, 0.0)


class Proposals(ABC):
    """Nearest neighbours in a :class:`Space`, from wherever they come, made into a ranking."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self._sampled: tuple[object, Ints] = (None, np.empty(0, np.int64))

    @abstractmethod
    def _nearest(self, candidates: Candidates, points: Points, queries: Queries, count: int) -> list[Ints]:
        """For each query's point about ``count`` of the nearest candidates' rows that its gender admits, or none."""

    def rank(
        self, candidates: Candidates, queries: Queries, weights: Weights, top: int = 5, pool: int = 200
    ) -> Ranking:
        """The ``top`` of about ``pool`` proposals per query, scored as ``candidates`` are now.

        As ``topk.rank``, but approximate in two ways: an item outside the pool is never found, and min-max scaling
        takes the lowest and highest cosine that could be found. Penalties other than 2 and distances only
        re-order the pool. Ranked exactly is a query whose pool holds fewer than ``top`` admissible products, and one
        without a photo or with α = 0: popularity and category alone are too flat for a graph to find its way.

        Raises:
            SettingError: ``pool`` is below ``top``.
        """
        if pool < top:
            raise SettingError(f"a pool of {pool} can't hold a Top-{top}; make it at least {top}")
        spans = np.zeros((len(queries), 2))
        if weights.scaling == "minmax" and weights.alpha:
            spans = self._spans(candidates, queries)
        points = self.space.queries(candidates, queries, weights, spans).points
        guided = queries.embedded(candidates)[1] & (weights.alpha > 0)
        pools = [np.empty(0, np.int64)] * len(queries)
        led = np.flatnonzero(guided)
        for row, found in zip(led, self._nearest(candidates, points[led], queries.at(led), pool), strict=True):
            pools[row] = found
        ranking = rank_among(candidates, queries, weights, pools, [(low, high) for low, high in spans.tolist()], top)
        short = np.flatnonzero(ranking.items[:, top - 1] < 0)
        if len(short):
            _put(ranking, short, rank(candidates, queries.at(short), weights, top))
        return ranking

    def _spans(self, candidates: Candidates, queries: Queries) -> NDArray[np.float64]:
        """The lowest and highest cosine of each query's admissible candidates, float64 (q, 2), as far as is found."""
        vectors, embedded = queries.embedded(candidates)
        ahead = self.space.queries(candidates, queries, _BY_LOOKS).points
        behind = ahead.copy()
        behind[:, : vectors.shape[1]] *= -1
        led = np.flatnonzero(embedded)
        asked = queries.at(led)
        near = self._nearest(candidates, ahead[led], asked, _EXTREMES)
        far = self._nearest(candidates, behind[led], asked, _EXTREMES)
        sample = self._sample(candidates)
        admitted = {gender: candidates.admits(gender) & candidates.has_vector for gender in {*queries.gender.tolist()}}
        spans = np.zeros((len(queries), 2))
        for row, ends in zip(led, zip(near, far, strict=True), strict=True):
            seen = np.concatenate([*ends, sample])
            seen = seen[admitted[int(queries.gender[row])][seen]]
            seen = seen[~np.isin(seen, queries.taken(int(row), candidates))]
            if len(seen):
                cosines = candidates.vectors[seen] @ vectors[row]
                spans[row] = cosines.min(), cosines.max()
        return spans

    def _sample(self, candidates: Candidates) -> Ints:
        """Rows of some candidates of each gender, evenly spread."""
        whose, sample = self._sampled
        if whose is not candidates.gender:
            rows = [np.flatnonzero(candidates.gender == gender) for gender in np.unique(candidates.gender)]
            sample = np.concatenate([*(some[:: max(1, len(some) // _SAMPLE)] for some in rows), np.empty(0, np.int64)])
            self._sampled = candidates.gender, sample
        return sample


def _put(into: Ranking, rows: Ints, ranking: Ranking) -> None:
    """Replace the lists ``rows`` of ``into`` by those of ``ranking``."""
    for name in Ranking.__dataclass_fields__:
        getattr(into, name)[rows] = getattr(ranking, name)
