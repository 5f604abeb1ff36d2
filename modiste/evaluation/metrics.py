"""How good a list is: the paper's three metrics, each with its n and a bootstrap interval over shoppers.

All take flat arrays with one row per recommendation, m rows in all, and return float64 (m,) in points (0 to 100), with
NaN where a recommendation can't be judged. ``measure`` turns such a column into a mean with its interval.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modiste.arrays import Floats, Ints
from modiste.errors import SettingError

AT = (5, 10, 20)
"""The lengths at which lists are judged."""

RESAMPLES = 2000
"""Bootstrap resamples of the shoppers behind every interval."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A mean over recommendations, in points (0 to 100), and its 95% bootstrap interval over shoppers.

    ``n`` recommendations of ``shoppers`` shoppers were judged; with none, the mean and the interval are NaN.
    """

    mean: float
    low: float
    high: float
    n: int
    shoppers: int


def category_similarity(similarity: Floats, bought: Ints, found: Ints) -> Floats:
    """Similarity of the purchase's category and the recommended item's, %; (c, c) in [0, 1]; category -1 scores 0."""
    padded = np.pad(similarity, (0, 1))
    return 100.0 * padded[bought, found]


def gender_alignment(shopper: NDArray[np.int8], found: NDArray[np.int8]) -> Floats:
    """100 where the recommended item's gender is the shopper's, 0 where it is the other, NaN where one is neither men's
    (1) nor women's (2) for sure.

    The authors' published code compares the shopper's gender with the gender of the item that she *bought*: pass that
    as ``found`` and the result is theirs, 100 for every recommendation, whatever was recommended.
    """
    judged = np.isin(shopper, (1, 2)) & np.isin(found, (1, 2))
    return np.where(judged, 100.0 * (shopper == found), np.nan)


def popularity_error(normpop: Floats, trendiness: Floats) -> Floats:
    """The popularity MAE's summand, |n − τ| × 100, of the recommended items; both (m,) in [0, 1]."""
    return 100.0 * np.abs(normpop - trendiness)


def list_metrics(places: Ints) -> dict[str, float]:
    """nDCG, recall, MRR and hit rate, in %, of one list: ``places`` int64 (r,), from 0 on, at which what was wanted
    stands."""
    found = {}
    for k in AT:
        inside = places[places < k]
        ideal = (1 / np.log2(np.arange(min(len(places), k)) + 2)).sum()
        found[f"ndcg_at_{k}"] = 100 * float((1 / np.log2(inside + 2)).sum() / ideal)
        found[f"recall_at_{k}"] = 100 * len(inside) / len(places)
        found[f"mrr_at_{k}"] = 100 / (int(inside.min()) + 1) if len(inside) else 0.0
        found[f"hit_at_{k}"] = 100.0 * bool(len(inside))
    return found


def measure(points: Floats, shopper: Ints, seed: int = 0, resamples: int = RESAMPLES) -> Measure:
    """The mean of ``points`` (m,), NaN left out, and its 95% percentile interval.

    Whole shoppers are resampled, with all their recommendations, for a shopper's recommendations resemble one another:
    an interval over single recommendations would be far too narrow. ``shopper`` int64 (m,) says whose each one is.
    Raises SettingError if the lengths differ or ``resamples`` is below 1.
    """
    return measures(points[:, None], shopper, seed, resamples)[0]


def measures(points: Floats, shopper: Ints, seed: int = 0, resamples: int = RESAMPLES) -> list[Measure]:
    """As :func:`measure` for each column of ``points`` (m, k), by the same resamples of the same shoppers."""
    if len(points) != len(shopper):
        raise SettingError(f"there are {len(points)} points but {len(shopper)} shoppers to resample")
    if resamples < 1:
        raise SettingError(f"resamples is {resamples}; it must be at least 1")
    judged = ~np.isnan(points)
    some = judged.any(axis=1)
    points, judged, (_, whose) = points[some], judged[some], np.unique(shopper[some], return_inverse=True)
    people, columns = int(whose.max(initial=-1)) + 1, points.shape[1]
    sums, counts = np.zeros((people, columns)), np.zeros((people, columns))
    np.add.at(sums, whose, np.where(judged, points, 0.0))
    np.add.at(counts, whose, judged)
    means = np.full((resamples, columns), np.nan)
    rng = np.random.default_rng(seed)
    # a hundred at a time: memory stays small for a million shoppers
    for start in range(0, resamples if people else 0, 100):
        drawn = rng.multinomial(people, np.full(people, 1 / people), size=min(100, resamples - start))
        with np.errstate(invalid="ignore"):  # none of those whom a column can judge were drawn
            means[start : start + len(drawn)] = (drawn @ sums) / (drawn @ counts)
    found = []
    for column in range(columns):
        values = points[judged[:, column], column]
        if not len(values):
            found.append(Measure(np.nan, np.nan, np.nan, 0, 0))
            continue
        low, high = np.nanquantile(means[:, column], [0.025, 0.975])
        who = int((counts[:, column] > 0).sum())
        found.append(Measure(float(values.mean()), float(low), float(high), len(values), who))
    return found
