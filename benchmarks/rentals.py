"""The choice model on real rentals: fitted to what came before a day, judged on the quarter after it.

    python benchmarks/rentals.py [--data ../shared/data] [--cut 2016-11-04 ...] [--days 365] [--sample 0] [--out FILE]

Every rental from a cut on is ranked among what was rented in the 180 days before its day, by what was known before its
day; weights, half-life and prior are fitted to what was known before the cut. The default cut leaves the last quarter
of the rentals. Recall@20 (in %) of all of them, of those by shoppers with a history, and with five or more rentals
before; mean reciprocal rank and log-likelihood of those with a history. In brackets: the 95% interval of the difference
from decayed popularity (half-life 30 days), bootstrapped over shoppers. Item-kNN is the cosine of shoppers in common,
of each of her last ten rentals: it too knows what was rented until the day before.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl

from modiste.arrays import Bools, Floats, Ints
from modiste.behaviour.choice import DEFAULT, LAST, Events, History, features
from modiste.behaviour.popularity import normalise
from modiste.behaviour.taste import Prior, posterior
from modiste.behaviour.trendiness import estimated_trendiness
from modiste.behaviour.tuning import Fit, fit, logit

DATA = Path("../shared/data")
CUT = date(2016, 11, 4)
DAYS, BASELINE_HALF_LIFE = 365, 30.0
SLOPES: Floats = np.arange(0.5, 1.55, 0.05)
FULL, BASELINE = "choice model", "decayed popularity"


@dataclass(frozen=True, eq=False)
class Rentals:
    """The rentals as events; ``category`` int64 (n,) of the items, ``first`` the day that is 0."""

    events: Events
    category: Ints
    first: date


def read_rentals(folder: Path) -> Rentals:
    """Read ``rentals/rentals.parquet``; shoppers, items and categories are numbered by their ids."""
    frame = pl.read_parquet(folder / "rentals" / "rentals.parquet").sort("date", maintain_order=True)
    first: date = frame["date"][0]
    day = (frame["date"] - first).dt.total_days().to_numpy().astype(np.float64)
    _, shopper = np.unique(frame["user_id"].to_numpy(), return_inverse=True)
    _, item = np.unique(frame["item_id"].to_numpy(), return_inverse=True)
    _, code = np.unique(frame["category"].to_numpy(), return_inverse=True)
    category = np.zeros(item.max() + 1, np.int64)
    category[item] = code
    return Rentals(Events(shopper.astype(np.int64), item.astype(np.int64), day), category, first)


@dataclass(frozen=True, eq=False)
class Judged:
    """Rankings judged on q rentals: ``rank`` float64 (q, rankings) from 0 on, and ``likelihood``, NaN: not one.

    ``shopper`` and ``before`` int64 (q,): who, and how many rentals she had before. ``slope``: what the fitted utility
    should be multiplied by. ``overlap``: what two shoppers' top fives have in
    common if only their θ differ: of all, and of those with a history, of whose θ alone anything is known.
    """

    names: list[str]
    rank: Floats
    likelihood: Floats
    shopper: Ints
    before: Ints
    slope: float
    overlap: dict[str, tuple[float, float]]


def judge(
    rentals: Rentals, cut: float, days: int = DAYS, sample: int = 0, seed: int = 42, choices: int = 20_000
) -> tuple[Fit, Judged]:
    """Fit to ``choices`` before the day ``cut`` and judge on the ``days`` after it, all rentals or ``sample``."""
    history = History(rentals.events, len(rentals.category), category=rentals.category)
    fitted = fit(history, until=cut, sample=choices, seed=seed)
    model, names = fitted.model, fitted.choices.names
    leave = {
        "without popularity": ("popularity", "taste", "lasting"),
        "without taste": ("taste",),
        "without newness": ("newness", "newness_regular", "newness_taste"),
        "without category": ("category",),
        "without together": ("together",),
    }
    columns = {FULL: np.array([model.weights[name] for name in names])}
    for label, left in leave.items():
        kept = [name for name in names if name not in left]
        found = logit(fitted.choices.only(kept).x, fitted.choices.offset)
        columns[label] = np.array([dict(zip(kept, found.weights, strict=True)).get(name, 0.0) for name in names])
    weights = np.stack(list(columns.values()), axis=1)
    alone = logit(fitted.choices.only(["popularity"]).x, fitted.choices.offset).weights[0]

    events = rentals.events
    wanted = np.flatnonzero((events.day >= cut) & (events.day < cut + days))
    if sample and sample < len(wanted):
        wanted = np.sort(np.random.default_rng(seed).choice(wanted, sample, replace=False))
    ranks, likelihoods, who, slopes, common = [], [], [], [], []
    spread = {"10th and 90th": 1.2816, "5th and 95th": 1.6449}
    paper = _Paper(history)
    crowd = history.crowd(model.half_life)
    for event in wanted.tolist():
        shopper, day, item = int(events.shopper[event]), float(events.day[event]), int(events.item[event])
        moment = history.moment(day, model.half_life)
        offer = moment.offer
        place = int(np.searchsorted(offer, item))
        if place == len(offer) or offer[place] != item:
            continue
        found = features(history, shopper, day, offer, model.half_life, model.prior)
        utility = np.stack([found[name] for name in names], axis=1) @ weights
        bought, partitions, _ = crowd.before(np.array([shopper]), day)
        theta = posterior(bought, partitions, model.prior)[0][0]
        decayed = history.moment(day, BASELINE_HALF_LIFE).popularity[offer]
        usual = DEFAULT.utilities(history, np.array([shopper]), day, offer)[0]
        hers = history.past(shopper, day).items
        kinds = np.bincount(rentals.category[hers], minlength=history.categories)[rentals.category[offer]]
        mates = history.together(hers[-LAST:], day)[0][offer] * np.exp(-0.5 * found["lasting"])
        plain = [paper.scores(shopper, day)[offer], kinds + 1e-3 * decayed, mates + 1e-6 * decayed]
        scores = np.column_stack([utility, usual, decayed * alone, theta * found["popularity"], *plain])
        ranks.append((scores > scores[place]).sum(axis=0) + ((scores == scores[place]).sum(axis=0) - 1) / 2)
        likelihoods.append((scores[place] - np.log(np.exp(scores - scores[place]).sum(axis=0)) - scores[place])[:-3])
        slopes.append(-np.log(np.exp(np.multiply.outer(SLOPES, utility[:, 0] - utility[place, 0])).sum(axis=1)))
        who.append((shopper, len(hers)))
        rest = utility[:, 0] - model.weights["taste"] * found["taste"]
        bend = model.weights["taste"] * model.prior.sd * found["popularity"]
        common.append([len(_top(rest - far * bend) & _top(rest + far * bend)) / 5 for far in spread.values()])
    curve = np.polyfit(SLOPES, np.mean(slopes, axis=0), 4)
    fine = np.linspace(SLOPES[0], SLOPES[-1], 1001)
    people, shared = np.array(who), np.array(common)
    overlap = zip(shared.mean(axis=0).tolist(), shared[people[:, 1] > 0].mean(axis=0).tolist(), strict=True)
    likelihood = np.column_stack([np.array(likelihoods), np.full((len(ranks), 3), np.nan)])
    return fitted, Judged(
        [
            *columns,
            "the defaults",
            BASELINE,
            "θ · log popularity",
            "paper's popularity term, τ estimated",
            "same category, the popular first",
            "item-kNN, the popular first",
        ],
        np.array(ranks),
        likelihood,
        people[:, 0],
        people[:, 1],
        float(fine[np.argmax(np.polyval(curve, fine))]),
        dict(zip(spread, overlap, strict=True)),
    )


def _top(utility: Floats) -> set[int]:
    return set(np.argpartition(-utility, 5)[:5].tolist())


class _Paper:
    """The paper's popularity term, 1 − (n − τ)², with n min-max popularity and τ estimated from her purchases."""

    def __init__(self, history: History) -> None:
        self.history = history
        share = np.zeros(len(history.events))
        counts = np.zeros(history.n_items)
        _, firsts = np.unique(history.events.day, return_index=True)
        for first, end in zip(firsts, np.append(firsts[1:], len(share)), strict=True):
            item = history.events.item[first:end]
            share[first:end] = normalise(counts)[item]
            counts += np.bincount(item, minlength=history.n_items)
        self._share, self._events = share, history.events
        self._day, self._popularity = -1.0, np.zeros(history.n_items)
        self._mean = np.concatenate([[0.5], np.cumsum(share) / np.arange(1, len(share) + 1)])
        self._order = np.argsort(history.events.shopper, kind="stable")
        self._cumulative = np.concatenate([[0.0], np.cumsum(share[self._order])])

    def scores(self, shopper: int, day: float) -> Floats:
        many = int(np.searchsorted(self._events.day, day))
        if day != self._day:
            counts = np.bincount(self._events.item[:many], minlength=self.history.n_items)
            self._day, self._popularity = day, normalise(counts.astype(float))
        first, last = self.history._span(shopper, day)
        total = float(self._cumulative[last] - self._cumulative[first])
        tau = estimated_trendiness(total, float(last - first), float(self._mean[many]))
        scores: Floats = 1 - (self._popularity - tau) ** 2
        return scores


def rows(judged: Judged, draws: int = 1000, seed: int = 42) -> Iterator[dict[str, str]]:
    """A table's row for each ranking."""
    hit, mrr = (judged.rank < 20).astype(float) * 100, 1 / (judged.rank + 1)
    base = judged.names.index(BASELINE)
    parts = {"all": judged.before >= 0, "with a history": judged.before > 0, "with ≥ 5": judged.before >= 5}
    some = parts["with a history"]
    for column, name in enumerate(judged.names):
        likelihood = judged.likelihood[some, column].mean()
        yield {
            "recall@20, %": name,
            **{
                label: _paired(hit[part, column], hit[part, base], judged.shopper[part], draws, seed)
                for label, part in parts.items()
            },
            "MRR": f"{mrr[some, column].mean():.4f}",
            "log-likelihood": "" if np.isnan(likelihood) else f"{likelihood:.3f}",
        }


def _paired(values: Floats, base: Floats, shopper: Ints, draws: int, seed: int) -> str:
    """The mean, and in brackets the paired difference's 95% interval over shoppers."""
    gap = values - base
    if not gap.any():
        return f"{values.mean():.2f}"
    low, high = interval(gap, shopper, draws, seed)
    return f"{values.mean():.2f} [{low:+.2f}, {high:+.2f}]"


def interval(values: Floats, shopper: Ints, draws: int = 1000, seed: int = 42) -> tuple[float, float]:
    """The 95% interval of the mean, bootstrapped over shoppers."""
    people, number = np.unique(shopper, return_inverse=True)
    total, many = np.bincount(number, values), np.bincount(number)
    rng = np.random.default_rng(seed)
    means = []
    for _ in range(draws):
        drawn = np.bincount(rng.integers(0, len(people), len(people)), minlength=len(people))
        means.append((drawn @ total) / (drawn @ many))
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def table(found: list[dict[str, str]]) -> str:
    """As Markdown."""
    head = list(found[0])
    lines = [head, ["---"] * len(head), *[list(one.values()) for one in found]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def weights_table(fitted: Fit) -> str:
    """The fitted weights with their standard errors, as Markdown."""
    return table(
        [
            {"feature": name, "weight": f"{weight:.3f}", "standard error": f"{fitted.errors[name]:.3f}"}
            for name, weight in fitted.model.weights.items()
        ]
    )


def report(rentals: Rentals, cut: date, days: int, sample: int) -> str:
    """All that is said of one cut."""
    since = float((cut - rentals.first).days)
    counts = np.bincount(rentals.events.item[rentals.events.day < since]).astype(float)
    median = np.median(normalise(counts[counts > 0]))
    fitted, judged = judge(rentals, since, days, sample)
    has: Bools = judged.before > 0
    prior: Prior = fitted.model.prior
    return "\n".join(
        [
            f"## From {cut} on",
            "",
            f"{len(has)} rentals on offer, {has.sum()} by shoppers with a history,",
            f"{(judged.before >= 5).sum()} by those with five or more before.",
            f"Min-max popularity of the median item before: {median:.3f}.",
            f"Half-life {fitted.model.half_life} days; θ ~ N({prior.mean:.2f}, {prior.sd:.2f}²).",
            f"Slope of the fitted utility: {judged.slope:.3f}.",
            "Top fives of a low and a high θ, of a hundred shoppers' the "
            + ", the ".join(
                f"{who}: {share:.0%} in common ({known:.0%} with a history)"
                for who, (share, known) in judged.overlap.items()
            )
            + ".",
            "",
            table(list(rows(judged))),
            "",
            weights_table(fitted),
            "",
        ]
    )


def main() -> None:
    """Read the options and print a report for each cut."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--cut", type=date.fromisoformat, nargs="+", default=[CUT])
    parser.add_argument("--days", type=int, default=DAYS, help="so many from each cut on are judged")
    parser.add_argument("--sample", type=int, default=0, help="so many rentals of them; 0: all")
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    rentals = read_rentals(chosen.data)
    text = "\n".join(report(rentals, cut, chosen.days, chosen.sample) for cut in chosen.cut)
    print(text)
    if chosen.out:
        chosen.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
