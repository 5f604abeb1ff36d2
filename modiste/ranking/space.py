"""The space in which the relevance of p = 2 is a distance: items and purchases as points, recommending as neighbours.

With unit embeddings v, category rows e (e_q · e_x is the similarity), popularity n and trendiness τ,

    relevance = (α + β + γ) − ‖[√(α/2)·v_q ; √β·τ ; √(γ/2)·e_q] − [√(α/2)·v_x ; √β·n_x ; √(γ/2)·e_x]‖²

Item points are made once, for one set of weights. Other weights only move the query's point: its cosine and category
coordinates are stretched by as much as the weights differ, in proportion to β. Min-max scaling is such a stretch.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modiste.errors import SettingError
from modiste.ranking.relevance import EQUAL_COSINES, Weights
from modiste.ranking.topk import Candidates, Queries

Points = NDArray[np.float32]
Reals = NDArray[np.float64]

ITEM_WEIGHTS = Weights(1.0, 0.25, 0.1)
"""What item points are made for: with these HNSW finds most for every preset (``benchmarks/ranking.py --weights``)."""

_LEAST_BETA = 0.02
"""Where nobody asks for popularity, the share of the other weights it gets all the same: β is the space's unit."""


@dataclass(frozen=True)
class QueryPoints:
    """Queries as points of a :class:`Space`.

    ``points`` float32 (q, m); ``scale`` and ``offset`` float64 (q,): relevance = scale · (offset − squared distance).
    """

    points: Points
    scale: Reals
    offset: Reals

    def relevance(self, squared: Reals) -> Reals:
        """Squared distances (q, k) of each query to k items as relevances (q, k)."""
        return self.scale[:, None] * (self.offset[:, None] - squared)


class Space:
    """Euclidean coordinates for the relevance formula: m = d + e + 3, the last of each part a spare one.

    The spare coordinates give an item without a vector or category the same distance to everything, as cosine 0 would.

    Args:
        kinds: float64 (c, e), unit rows, zero for no category, aligned with the candidates' similarity matrix
            (``Taxonomy.embedding``).
        weights: what the items' coordinates are made for; its scaling and penalty play no part.

    Raises:
        SettingError: α, β or γ of ``weights`` is 0, so that the space could not answer queries that ask for it.
    """

    def __init__(self, kinds: Reals, weights: Weights = ITEM_WEIGHTS) -> None:
        if not (weights.alpha and weights.beta and weights.gamma):
            raise SettingError("a space needs positive alpha, beta and gamma; queries may set any of them to 0")
        self.weights = weights
        self.kinds = np.vstack([kinds, np.zeros(kinds.shape[1])])  # index -1: no category

    def items(self, candidates: Candidates) -> Points:
        """Every candidate's point, float32 (n, m), with the popularity it has in ``candidates``."""
        w = self.weights
        seen = np.where(candidates.has_vector[:, None], candidates.vectors, np.float32(0))
        return np.hstack(
            [
                np.sqrt(w.alpha / 2) * _with_spare(seen),
                np.sqrt(w.beta) * candidates.normpop[:, None],
                np.sqrt(w.gamma / 2) * _with_spare(self.kinds[candidates.category]),
            ],
            dtype=np.float32,
            casting="same_kind",
        )

    def queries(
        self, candidates: Candidates, queries: Queries, weights: Weights, spans: Reals | None = None
    ) -> QueryPoints:
        """The queries' points for ``weights``, as if its penalty were 2 and its distance weight 0.

        ``spans``: float64 (q, 2), the lowest and highest cosine over each query's candidates, for min-max scaling.
        An item without a vector then lies where cosine 0 would, not at the lowest. Where β is 0, popularity still
        counts a little. Raises SettingError if min-max scaling is asked for without ``spans``.
        """
        w = self.weights
        low, alpha = np.zeros(len(queries)), np.full(len(queries), float(weights.alpha))
        if weights.scaling == "minmax":
            if spans is None:
                raise SettingError("min-max scaling needs each query's lowest and highest cosine")
            low, wide = spans[:, 0], spans[:, 1] - spans[:, 0]
            alpha = np.where(wide > EQUAL_COSINES, alpha / np.maximum(wide, EQUAL_COSINES), 0.0)
        scale = np.maximum(weights.beta, _LEAST_BETA * (alpha + weights.gamma)) / w.beta
        scale = np.where(scale > 0, scale, 1.0)  # nothing asked for but nearness: any order will do
        vectors, _ = queries.embedded(candidates)
        looks = vectors * (alpha / (scale * np.sqrt(2 * w.alpha)))[:, None]
        fashion = np.sqrt(w.beta) * queries.trendiness[:, None]
        kind = self.kinds[queries.kinds(candidates)] * (weights.gamma / (scale * np.sqrt(2 * w.gamma)))[:, None]
        nowhere = np.zeros((len(queries), 1))
        moved = np.square(looks).sum(axis=1) + np.square(kind).sum(axis=1)
        offset = w.beta + w.alpha / 2 + w.gamma / 2 + moved - alpha * low * np.any(vectors, axis=1) / scale
        points = np.hstack([looks, nowhere, fashion, kind, nowhere], dtype=np.float32, casting="same_kind")
        return QueryPoints(points, scale, offset)


def _with_spare(rows: NDArray[np.floating]) -> Reals:
    """The rows with one more coordinate that makes their length 1."""
    missing = np.sqrt(np.maximum(0.0, 1 - np.square(rows, dtype=np.float64).sum(axis=1)))
    return np.hstack([rows, missing[:, None]], dtype=np.float64)
