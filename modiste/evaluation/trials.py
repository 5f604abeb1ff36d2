"""One trial: rank for every purchase, judge the lists. What all tables are made of."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modiste.arrays import Bools, Floats, Ints
from modiste.evaluation.metrics import Measure, category_similarity, gender_alignment, measure, popularity_error
from modiste.ranking.candidates import Candidates, Queries
from modiste.ranking.relevance import Weights
from modiste.ranking.topk import TIE, rank


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

        As in the paper, where the first purchase sets the gender. ``item_gender`` int8 is the candidates'.
        """
        _, first = np.unique(np.stack([shopper, item]), axis=1, return_index=True)
        kept = np.sort(first)
        item, shopper, trendiness = item[kept], shopper[kept], trendiness[kept]
        genders = np.zeros(int(shopper.max(initial=-1)) + 1, np.int8)
        bought = item_gender[item]
        known = np.flatnonzero(np.isin(bought, (1, 2)))
        people, earliest = np.unique(shopper[known], return_index=True)
        genders[people] = bought[known][earliest]
        return cls(item, shopper, trendiness, genders[shopper])

    def __len__(self) -> int:
        return len(self.item)

    def where(self, keep: Bools) -> "Purchases":
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
    """A metric over random tie-breaks, in points: its mean, and the range that holds 95% of ``draws`` of them."""

    mean: float
    low: float
    high: float
    draws: int

    def __str__(self) -> str:
        return f"{self.mean:.2f} ({self.low:.2f} to {self.high:.2f})"


def random_ties(
    candidates: Candidates, queries: Queries, weights: Weights, top: int, draws: int, seed: int
) -> Iterator[Ints]:
    """The Top-K ``draws`` times, int64 (q, top) each, with equal relevances in the order of a shuffled catalogue.

    Counts are small integers, so many items share a popularity, and without a visual term nothing but the order of the
    catalogue decides between them. One order serves all queries, as in any program that sorts.
    """
    deep = top
    while True:  # as deep as the longest tie that reaches into the Top-K
        deep = min(4 * deep, max(top, len(candidates)))
        ranking = rank(candidates, queries, weights, deep)
        level = np.round(np.nan_to_num(ranking.relevance, nan=-np.inf) / (weights.total * TIE))
        cut = level[:, -1] == level[:, top - 1]
        if deep >= len(candidates) or not np.any(cut & (ranking.items[:, -1] >= 0)):
            break
    rng = np.random.default_rng(seed)
    for _ in range(draws):
        shuffled = rng.permutation(len(candidates))[ranking.items]
        order = np.lexsort((shuffled, -level), axis=1)[:, :top]
        yield np.take_along_axis(ranking.items, order, axis=1)


def judge_ties(
    candidates: Candidates, queries: Queries, purchases: Purchases, weights: Weights, top: int, draws: int, seed: int
) -> tuple[dict[str, Measure], dict[str, Spread]]:
    """Every metric's expectation over random tie-breaks, and how far a single tie-break may be from it.

    The measures are those of ``judge``, each place's points averaged over the draws first, so their intervals are over
    shoppers alone; the spreads are over tie-breaks alone.
    """
    sums: dict[str, Floats] = {}
    counts: dict[str, Ints] = {}
    means: dict[str, list[float]] = {}
    whose: Ints = np.empty(0, np.int64)
    for lists in random_ties(candidates, queries, weights, top, draws, seed):
        points, whose = _points(candidates, purchases, lists)
        for name, column in points.items():
            judged = ~np.isnan(column)
            sums[name] = sums.get(name, 0.0) + np.where(judged, column, 0.0)
            counts[name] = counts.get(name, 0) + judged.astype(np.int64)
            means.setdefault(name, []).append(float(column[judged].mean()) if judged.any() else np.nan)
    measures = {}
    for name, total in sums.items():
        average = np.full(len(total), np.nan)
        np.divide(total, counts[name], out=average, where=counts[name] > 0)
        measures[name] = measure(average, whose, seed)
    spreads = {}
    for name, values in means.items():
        low, high = np.quantile(values, [0.025, 0.975])
        spreads[name] = Spread(float(np.mean(values)), float(low), float(high), draws)
    return measures, spreads
