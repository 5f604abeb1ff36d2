"""A question to the shop's ranking, and how its answer is told."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np
import polars as pl
from numpy.typing import NDArray
from PIL import Image

from modiste.catalog.items import GENDERS
from modiste.errors import SettingError
from modiste.ranking.relevance import Weights, sentence
from modiste.ranking.topk import Candidates, Queries, Ranking
from modiste.shop.filters import Filter
from modiste.shop.recommendations import Recommendation, Recommendations
from modiste.vision.embedding import VectorSpace


class Options(TypedDict, total=False):
    """How any recommendation may be asked for; every option has a default.

    - ``weights``: a preset's name or :class:`Weights`; "balanced".
    - ``trendiness``: in [0, 1], instead of the shopper's own (or of the popularity of the item looked at).
    - ``any_gender``: recommend the other gender's items too.
    - ``gender``: "men" or "women", instead of that of each purchased item.
    - ``near``: (latitude, longitude) in degrees; by default the shopper's own place.
    - ``within_km``: keep only items in stores so near.
    - ``space``: a vector space, its key or its backbone's name; by default the latest embedded into.
    - ``where``: a :class:`Filter` on category and price.
    - ``exclude``: ids of items not to recommend, in all their views.
    - ``half_life``: in days; with it old purchases count less in the popularity.
    """

    weights: str | Weights
    trendiness: float | None
    any_gender: bool
    gender: str | None
    near: tuple[float, float] | None
    within_km: float | None
    space: VectorSpace | str | None
    where: Filter | None
    exclude: Collection[str]
    half_life: float | None


@dataclass(frozen=True)
class Found:
    """What a photo was seen as, and what looks like it.

    ``photo`` is upright RGB. ``labels``, uint8 (h, w), names its pixels in the palette and ``keep``, bool (h, w), tells
    which were compared; both are None where the photo was taken whole.
    """

    photo: Image.Image
    labels: NDArray[np.uint8] | None
    keep: NDArray[np.bool_] | None
    recommendations: Recommendations


@dataclass(frozen=True)
class Asked:
    """A question put to the ranking, with what is needed to tell the answer. ``verb`` ends "the denim …".

    ``space`` is the vector space the candidates' vectors are of, None where nothing is embedded.
    """

    candidates: Candidates
    queries: Queries
    weights: Weights
    frame: pl.DataFrame
    distances: NDArray[np.float64] | None
    verb: str
    space: VectorSpace | None

    def told(self, ranking: Ranking, query: int, place: int) -> Recommendation:
        """One place of the ranking as a recommendation with its reasons."""
        row, cause = int(ranking.items[query, place]), int(self.queries.item[query])
        item = self.frame.row(row, named=True)
        terms = {
            name: float(getattr(ranking, name)[query, place])
            for name in ("visual", "popularity", "category", "distance")
        }
        km = None if self.distances is None or np.isnan(self.distances[row]) else float(self.distances[row])
        return Recommendation(
            item_id=item["item_id"],
            relevance=float(ranking.relevance[query, place]),
            **terms,
            because=self.candidates.item_ids[cause] if cause >= 0 else None,
            store_id=item["store_id"],
            distance_km=km,
            image=item["image"],
            kind=item["category"],
            why=sentence(
                self.weights,
                **terms,
                trendiness=float(self.queries.trendiness[query]),
                distance_km=km,
                cause=self._cause(cause),
            ),
        )

    def _cause(self, row: int) -> str:
        if row < 0 and self.queries.vectors is not None:
            return "your photo"
        kind = self.frame["category"][row] if row >= 0 else None
        return f"the {kind.replace('_', ' ').lower()} {self.verb}" if kind else f"what {self.verb}"


def gender_code(gender: str) -> int:
    """The ranking's number for a gender. Raises SettingError for another word."""
    if gender not in GENDERS:
        raise SettingError(f"no gender {gender!r}; there are: {', '.join(GENDERS)}")
    return GENDERS.index(gender) + 1


def spread(ranking: Ranking, categories: NDArray[np.int64], top: int) -> list[int]:
    """Places of the one query's ranking, at most ``top``: the best of each category first, then each one's second."""
    rounds: dict[int, int] = {}
    order: list[tuple[int, int]] = []
    for place, row in enumerate(ranking.items[0].tolist()):
        if row >= 0:
            kind = int(categories[row])
            rounds[kind] = rounds.get(kind, -1) + 1
            order.append((rounds[kind], place))
    return [place for _, place in sorted(order)[:top]]


def checked_trendiness(trendiness: float | None) -> float | None:
    """As it came. Raises SettingError outside [0, 1]."""
    if trendiness is not None and not 0 <= trendiness <= 1:
        raise SettingError(f"trendiness must be between 0 and 1, not {trendiness}")
    return trendiness


def checked_place(near: Any) -> tuple[float, float] | None:
    """(latitude, longitude) in degrees as it came. Raises SettingError outside the globe."""
    if near is None:
        return None
    latitude, longitude = near
    if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
        raise SettingError(f"near is {latitude}, {longitude}: latitude is -90 to 90, longitude -180 to 180")
    return float(latitude), float(longitude)
