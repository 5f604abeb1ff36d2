"""One list from many purchases: which way of joining what each of them finds alike says best what is taken next.

    python -m benchmarks.joining rentals [--data ../shared/data]
    python -m benchmarks.joining simulated STUDIO STREET [--seeds 3]

On the rentals, which have no photos, three likenesses stand for look, all made of what was rented until half a year
before the cut: what was rented by the same people (item by item, 64 dimensions of positive pointwise mutual
information), for the same occasions, and the same of the categories. On simulated orders look and colour are those of
the photos, the truth joins them in one of three ways, and nobody buys an item twice. Each way of joining becomes a
feature of the choice model, beside all others, with a weight of its own, fitted to the half year before the cut
(simulated: to nine months). Judged are the purchases after it by shoppers with two purchases or more before, where the
ways differ: log-likelihood in thousandths of a nat, and recall@20. Only items of which the likeness is known, and that
she has not had before, take part. In brackets: 95% intervals over shoppers of the paired difference from the best of
her purchases.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
from scipy.sparse import csr_matrix
from scipy.sparse.linalg import svds

from benchmarks.rentals import CUT, DATA, interval, read_rentals, table
from benchmarks.simulated import COLOUR_SHARE, DAYS, orders
from modiste import Shop
from modiste.arrays import Array, Bools, Floats, Ints
from modiste.behaviour.choice import DEFAULT, Events, History, Past, features
from modiste.behaviour.tuning import draw_sets, logit, read_choices
from modiste.evaluation.benchmark import items_of
from modiste.evaluation.recommenders import Data

Alike = Callable[[Ints, Ints], Array]
"""Rows of what she bought (h,) and of items (r,) to how alike they are (h, r)."""

BEST = "the best"
TRUTHS = (BEST, "the mean", "the mean, half after 90 days")
AGES = (30.0, 90.0, 365.0)
HALF_YEAR = 182.0


def _mean(alike: Array, before: Floats, half_life: float = np.inf) -> Array:
    worth = np.exp2(-before / half_life)
    found: Array = worth / worth.sum() @ alike
    return found


def _best(alike: Array, before: Floats, half_life: float = np.inf) -> Array:
    found: Array = (np.exp2(-before / half_life)[:, None] * alike).max(axis=0)
    return found


def _soft(alike: Array, before: Floats, sharp: float) -> Array:
    found: Array = np.log(np.exp(sharp * alike).mean(axis=0)) / sharp
    return found


WAYS: dict[str, Callable[[Array, Floats], Array]] = {
    BEST: _best,
    "the last": lambda alike, before: alike[-1],
    "the mean": _mean,
    **{f"the mean, half after {days:g} days": partial(_mean, half_life=days) for days in AGES},
    **{f"log-sum-exp, {sharp:g} times": partial(_soft, sharp=sharp) for sharp in (2.0, 3.0, 5.0, 10.0)},
    **{f"the best, half after {days:g} days": partial(_best, half_life=days) for days in AGES},
}
"""How many purchases, (h, r) alike and (h,) days before the last of them, become one (r,)."""


@dataclass(frozen=True, eq=False)
class Judged:
    """What q purchases say: ``likelihood`` and ``hit`` float64 (q, ways + 1), the last column without any likeness;
    ``shopper`` and ``past`` int64 (q,): who, and how many she made before; ``weights`` and ``errors`` (ways,)."""

    likelihood: Floats
    hit: Floats
    shopper: Ints
    past: Ints
    weights: Floats
    errors: Floats


def joined(past: Past, rows: Ints, alike: Alike, has: Array) -> Floats:
    """All ways of joining her purchases, float64 (r, ways); 0 where nothing is known."""
    found = np.zeros((len(rows), len(WAYS)))
    some = np.flatnonzero(has[past.items])
    if len(some):
        pairs, before = alike(past.items[some], rows), past.days[-1] - past.days[some]
        found[:] = np.where(has[rows][:, None], np.stack([way(pairs, before) for way in WAYS.values()], axis=1), 0.0)
    return found


def _new(events: Events) -> Bools:
    """Whether a purchase is the shopper's first of that item, bool (m,); the order within a day counts."""
    _, first = np.unique(np.stack([events.shopper, events.item]), axis=1, return_index=True)
    found: Bools = np.isin(np.arange(len(events)), first)
    return found


def judge(
    history: History,
    alike: Alike,
    has: Array,
    names: Sequence[str],
    since: float,
    cut: float,
    sample: int,
    seed: int = 42,
) -> Judged:
    """Fit each way's weight, beside the features ``names``, to the choices from ``since`` to ``cut``, and judge it on
    at most ``sample`` after it."""
    events, rng = history.events, np.random.default_rng(seed)
    half_life, prior = DEFAULT.half_life, DEFAULT.prior
    many = np.array(
        [has[history.past(*one).items].sum() for one in zip(events.shopper.tolist(), events.day.tolist(), strict=True)]
    )
    chosen, offsets, sets = draw_sets(history, since, len(events), 100, rng)
    kept = has[events.item[chosen]] & _new(events)[chosen]
    chosen, offsets, sets = chosen[kept], offsets[kept], sets[kept]
    fitted = np.flatnonzero((events.day[chosen] < cut) & (many[chosen] > 0))
    fitted = np.sort(rng.choice(fitted, min(len(fitted), 10_000), replace=False))
    choices = read_choices(history, chosen[fitted], offsets[fitted], sets[fitted], half_life, prior).only(names)
    ways = np.zeros((*choices.x.shape[:2], len(WAYS)), np.float32)
    for number, event in enumerate(chosen[fitted].tolist()):
        past = history.past(int(events.shopper[event]), float(events.day[event]))
        rows = sets[fitted[number]]
        ways[number] = joined(past, rows, alike, has)
        choices.offset[number, ~has[rows] | np.isin(rows, past.items)] = -np.inf
    found = [logit(np.append(choices.x, ways[:, :, [way]], axis=2), choices.offset) for way in range(len(WAYS))]
    base = np.column_stack([*(one.weights[:-1] for one in found), logit(choices.x, choices.offset).weights])
    own = np.array([one.weights[-1] for one in found])

    test = chosen[(events.day[chosen] >= cut) & (many[chosen] > 1)]
    test = np.sort(rng.choice(test, min(len(test), sample), replace=False))
    likelihood, hit = np.zeros((2, len(test), len(WAYS) + 1))
    for number, event in enumerate(test.tolist()):
        shopper, day = int(events.shopper[event]), float(events.day[event])
        past, offer = history.past(shopper, day), history.moment(day, half_life).offer
        offer = offer[has[offer] & ~np.isin(offer, past.items)]
        told = features(history, shopper, day, offer, half_life, prior)
        utility = np.stack([told[name] for name in names], axis=1) @ base
        utility[:, :-1] += joined(past, offer, alike, has) * own
        utility -= utility[np.searchsorted(offer, events.item[event])]
        likelihood[number] = -np.log(np.exp(utility).sum(axis=0))
        place = (utility > 0).sum(axis=0) + ((utility == 0).sum(axis=0) - 1) / 2
        hit[number] = 100.0 * (place < 20)
    return Judged(likelihood, hit, events.shopper[test], many[test], own, np.array([one.errors[-1] for one in found]))


def _gap(values: Floats, base: Floats, shopper: Ints, digits: int) -> str:
    """The mean of the difference and its interval."""
    gap = values - base
    if not gap.any():
        return "0"
    low, high = interval(gap, shopper)
    return f"{gap.mean():+.{digits}f} [{low:+.{digits}f}, {high:+.{digits}f}]"


# Rentals


def together(groups: Ints, members: Ints, many: int, dims: int = 64) -> Floats:
    """Unit vectors (many, dims) of members by the groups they are in, rows of 0 for those with no company: singular
    vectors of the positive pointwise mutual information of pairs."""
    pairs = np.unique(np.stack([groups, members]), axis=1)
    within = csr_matrix((np.ones(pairs.shape[1]), pairs), (int(groups.max()) + 1, many))
    both = (within.T @ within).tocoo()
    apart = both.row != both.col
    row, column, count = both.row[apart], both.col[apart], both.data[apart]
    total = np.bincount(row, count, many)
    told = np.log(count * total.sum() / (total[row] * total[column]))
    matrix = csr_matrix((np.maximum(told, 0.0), (row, column)), (many, many))
    left, scale, _ = svds(matrix, min(dims, many - 2), random_state=0)
    return _unit(left * np.sqrt(scale))


def _unit(vectors: Floats) -> Floats:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Floats = np.where(length > 1e-9, vectors / np.maximum(length, 1e-9), 0.0)
    return unit


def _cosine(vectors: Floats, hers: Ints, rows: Ints) -> Array:
    found: Array = vectors[hers] @ vectors[rows].T
    return found


def rentals(folder: Path, sample: int) -> Iterator[str]:
    """Lines of Markdown."""
    found = read_rentals(folder)
    cut = float((CUT - found.first).days)
    since, events, items = cut - HALF_YEAR, found.events, len(found.category)
    many = int(np.searchsorted(events.day, since))
    shopper, item = events.shopper[:many], events.item[:many]
    frame = pl.read_parquet(folder / "rentals" / "rentals.parquet").sort("date", maintain_order=True)
    reason = frame["rented_for"].cast(pl.String).fill_null("").rank("dense").to_numpy().astype(int)[:many]
    worn = np.zeros((items, reason.max() + 1))
    np.add.at(worn, (item, reason), 1.0)
    likenesses = {
        "rented by the same people": together(shopper, item, items),
        "rented for the same occasions": _unit(np.sqrt(worn)),
        "of categories rented by the same people": together(shopper, found.category[item], found.category.max() + 1)[
            found.category
        ],
    }
    history = History(events, items, category=found.category)
    names = list(DEFAULT.weights)
    for title, vectors in likenesses.items():
        for left in ((), ("together",)) if title == "rented by the same people" else ((),):
            kept = [name for name in names if name not in left]
            has, alike = vectors.any(axis=1), partial(_cosine, vectors)
            judged = judge(history, alike, has, kept, since, cut, sample)
            yield from _told(title + "".join(f", without the feature {name}" for name in left), judged)


def _told(title: str, judged: Judged) -> Iterator[str]:
    often = judged.past >= 5
    yield f"\n## {title}\n\n{len(judged.past):,} rentals, {often.sum():,} of them by those with five or more before.\n"
    lines, best = [], list(WAYS).index(BEST)
    for number, name in enumerate([*WAYS, "nothing of it"]):
        line = {
            "joined by": name,
            "weight": "" if number == len(WAYS) else f"{judged.weights[number]:.2f} ± {judged.errors[number]:.2f}",
        }
        for label, part in {"": slice(None), ", ≥ 5": often}.items():
            values, hit, who = judged.likelihood[part], judged.hit[part], judged.shopper[part]
            line[f"log-likelihood{label}"] = _gap(1000 * values[:, number], 1000 * values[:, best], who, 0)
            line[f"recall@20{label}, %"] = f"{hit[:, number].mean():.2f}: " + _gap(hit[:, number], hit[:, best], who, 2)
        lines.append(line)
    yield table(lines)


# Simulated orders


def seen_by(data: Data) -> tuple[Alike, Array]:
    """Look and colour of pairs as the default weighs them, in units of look, and of which items they are known."""
    assert data.looks is not None
    assert data.colours is not None
    (low, high), (pale, deep) = data.scales
    looks, colours = data.looks, data.colours

    def alike(hers: Ints, rows: Ints) -> Array:
        look = (looks[hers] @ looks[rows].T - low) / (high - low)
        found: Array = look + COLOUR_SHARE * (colours[hers] @ colours[rows].T - pale) / (deep - pale)
        return found

    return alike, looks.any(axis=1)


def simulated(folders: Sequence[Path], seeds: int, shoppers: int, sample: int) -> Iterator[str]:
    """Lines of Markdown."""
    for folder in folders:
        with Shop.open(folder) as shop:
            empty = items_of(shop.snapshot(*shop.vectors.spaces()[:1]))
        alike, has = seen_by(empty)
        told: dict[str, Judged] = {}
        for truth in TRUTHS:
            runs = [_year(empty, truth, alike, has, shoppers, sample, seed) for seed in range(1, seeds + 1)]
            told[truth] = Judged(
                np.concatenate([one.likelihood for one in runs]),
                np.concatenate([one.hit for one in runs]),
                np.concatenate([one.shopper + shoppers * number for number, one in enumerate(runs)]),
                np.concatenate([one.past for one in runs]),
                np.mean([one.weights for one in runs], axis=0),
                np.mean([one.errors for one in runs], axis=0),
            )
        yield f"\n## {folder.name}\n"
        yield from _regrets(told)


def _year(data: Data, truth: str, alike: Alike, has: Array, shoppers: int, sample: int, seed: int) -> Judged:
    place = list(WAYS).index(truth)

    def seen(past: Past, rows: Ints) -> Array:
        return np.where(np.isin(rows, past.items), -np.inf, joined(past, rows, alike, has)[:, place])

    made, _ = orders(data, shoppers, 10, seed, extras={"seen": seen}, weights=SIMULATED)
    history = History(made.events, made.items, category=made.category, since=made.came)
    return judge(history, alike, has, ["popularity", "taste", "category"], 0.0, 0.75 * DAYS, sample, seed)


SIMULATED = {"popularity": 0.8, "taste": 1.0, "category": 0.5, "seen": 3.0}


def _regrets(told: Mapping[str, Judged]) -> Iterator[str]:
    places = {truth: list(WAYS).index(truth) for truth in TRUTHS}
    for what, digits in (("log-likelihood", 0), ("recall@20, %", 2)):
        lines = []
        for number, name in enumerate([*WAYS, "nothing of it"]):
            line, worst = {f"what is lost in {what}, where the truth is": name}, 0.0
            for truth, judged in told.items():
                values = 1000 * judged.likelihood if not digits else judged.hit
                right = values[:, places[truth]]
                line[truth] = _gap(right, values[:, number], judged.shopper, digits)
                worst = max(worst, float((right - values[:, number]).mean()))
            lines.append(line | {"at worst": f"{worst:.{digits}f}"})
        yield table(lines) + "\n"
    yield ", ".join(f"{truth}: {len(one.past):,} purchases judged" for truth, one in told.items())


def main() -> None:
    """Read the options and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("of", choices=("rentals", "simulated"))
    parser.add_argument("shops", type=Path, nargs="*")
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--sample", type=int, default=100_000, help="at most so many purchases are judged")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--shoppers", type=int, default=400)
    asked = parser.parse_args()
    told = (
        rentals(asked.data, asked.sample)
        if asked.of == "rentals"
        else simulated(asked.shops, asked.seeds, asked.shoppers, asked.sample)
    )
    for line in told:
        print(line, flush=True)


if __name__ == "__main__":
    main()
