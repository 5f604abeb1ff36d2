"""One trial: rank for every purchase, judge the lists. What all tables are made of."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modiste.evaluation.baselines import with_random_ties
from modiste.evaluation.metrics import (
    Floats,
    Ints,
    Measure,
    category_similarity,
    gender_alignment,
    measure,
    popularity_error,
)
from modiste.ranking.relevance import Weights
from modiste.ranking.topk import Candidates, Queries, rank


@dataclass(frozen=True, eq=False)
class Purchases:
    """What was bought, q rows in the order of purchase, none of a shopper's twice.

    ``item`` int64 (q,) rows of the candidates; ``shopper`` int64 (q,) numbers the shoppers; ``trendiness`` float64 (q,)
    in [0, 1] and ``gender`` int8 (q,) are the shopper's (0 unknown, 1 men, 2 women).
    """

    item: Ints
    shopper: Ints
    trendiness: Floats
    gender: NDArray[np.int8]

    @classmethod
    def of(cls, item: Ints, shopper: Ints, trendiness: Floats, item_gender: NDArray[np.int8]) -> "Purchases":
        """Purchases as they were made. A shopper's gender is that of the first item she bought whose gender is known.

        ``item_gender`` int8 is the candidates'. (Section 3.3 of the paper: the first purchase sets the gender.)
        """
        _, first = np.unique(np.stack([shopper, item]), axis=1, return_index=True)
        kept = np.sort(first)
        item, shopper, trendiness = item[kept], shopper[kept], trendiness[kept]
        genders = np.zeros(int(shopper.max(initial=-1)) + 1, np.int8)
        bought = item_gender[item]
        known = np.flatnonzero(bought)
        people, earliest = np.unique(shopper[known], return_index=True)
        genders[people] = bought[known][earliest]
        return cls(item, shopper, trendiness, genders[shopper])

    def __len__(self) -> int:
        return len(self.item)

    def where(self, keep: NDArray[np.bool_]) -> "Purchases":
        """Those of the shoppers for whom ``keep`` bool (q,) is true; it must not split a shopper."""
        return Purchases(self.item[keep], self.shopper[keep], self.trendiness[keep], self.gender[keep])

    def queries(self, *, gender_filter: bool) -> Queries:
        """One query per purchase; everything the shopper bought is excluded from all of hers."""
        order = np.argsort(self.shopper, kind="stable")
        people, starts = np.unique(self.shopper[order], return_index=True)
        owned = dict(zip(people.tolist(), np.split(self.item[order], starts[1:]), strict=True)) if len(self) else {}
        return Queries(
            item=self.item,
            vectors=None,
            trendiness=self.trendiness,
            gender=self.gender if gender_filter else np.zeros_like(self.gender),
            excluded=[owned[one] for one in self.shopper.tolist()],
        )


def judge(candidates: Candidates, purchases: Purchases, lists: Ints, seed: int) -> dict[str, Measure]:
    """Every metric of ``lists`` int64 (q, top), rows of the candidates, −1 where a list ran out.

    Keys: category, mae, gender (of whatever lists these are) and gender_authors, the authors' self-comparison.
    """
    points, whose = _points(candidates, purchases, lists)
    return {name: measure(column, whose, seed) for name, column in points.items()}


def _points(candidates: Candidates, purchases: Purchases, lists: Ints) -> tuple[dict[str, Floats], Ints]:
    query, place = np.nonzero(lists >= 0)
    found, bought = lists[query, place], purchases.item[query]
    kinds, gender = candidates.category, purchases.gender[query]
    points = {
        "category": category_similarity(candidates.similarity, kinds[bought], kinds[found]),
        "mae": popularity_error(candidates.normpop[found], purchases.trendiness[query]),
        "gender": gender_alignment(gender, candidates.gender[found]),
        "gender_authors": gender_alignment(gender, candidates.gender[bought]),
    }
    return points, purchases.shopper[query]


def trial(
    candidates: Candidates, purchases: Purchases, weights: Weights, top: int, seed: int, *, authors: bool = False
) -> dict[str, Measure]:
    """Rank with and without the gender filter, and judge both.

    Category similarity and popularity MAE are those with the filter, as a shopper meets them; gender alignment stands
    for both, since with the filter it only says that the filter works. ``authors`` adds their self-comparison.
    """
    filtered = rank(candidates, purchases.queries(gender_filter=True), weights, top).items
    free = rank(candidates, purchases.queries(gender_filter=False), weights, top).items
    return both_ways(candidates, purchases, filtered, free, seed, authors=authors)


def both_ways(
    candidates: Candidates, purchases: Purchases, filtered: Ints, free: Ints, seed: int, *, authors: bool = False
) -> dict[str, Measure]:
    """The measures of lists made with the gender filter, and the gender alignment of lists made without."""
    measures = judge(candidates, purchases, filtered, seed)
    theirs = measures.pop("gender_authors")
    measures["gender_unfiltered"] = judge(candidates, purchases, free, seed)["gender"]
    return measures | ({"gender_authors": theirs} if authors else {})


@dataclass(frozen=True, slots=True)
class Spread:
    """A metric's mean, lowest and highest value over ``draws`` random tie-breaks, in points."""

    mean: float
    low: float
    high: float
    draws: int

    def __str__(self) -> str:
        return f"{self.mean:.2f} ({self.low:.2f} to {self.high:.2f})"


def tie_spread(
    candidates: Candidates, queries: Queries, purchases: Purchases, weights: Weights, top: int, draws: int, seed: int
) -> Mapping[str, Spread]:
    """How far the metrics move when equal relevances are put in a random order, ``draws`` times.

    Counts are small integers, so thousands of items share a popularity, and without a visual term nothing but the
    order of the catalogue decides between them. Keys: category, gender, mae.
    """
    means: dict[str, list[float]] = {"category": [], "gender": [], "mae": []}
    for draw in range(draws):
        lists = rank(with_random_ties(candidates, seed + draw), queries, weights, top).items
        points, _ = _points(candidates, purchases, lists)
        for name, values in means.items():
            judged = points[name][~np.isnan(points[name])]
            values.append(float(judged.mean()) if len(judged) else float("nan"))
    return {name: Spread(float(np.mean(v)), min(v), max(v), draws) for name, v in means.items()}
