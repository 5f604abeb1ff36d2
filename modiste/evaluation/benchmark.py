"""Every way of ranking, judged on the purchases that came after it: one time line, several cuts, full rankings.

At each cut the recommenders learn from what was bought before it and rank all that was on offer for those who bought
something in the weeks after it. What a shopper bought then is what her list should hold. Nothing later than the cut is
handed to ``fit``, and audits look whether something came through another door.
"""

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from modiste.arrays import Array, Bools, Floats, Ints
from modiste.behaviour.choice import Events
from modiste.behaviour.popularity import normalise
from modiste.behaviour.trendiness import estimated_trendiness
from modiste.errors import SettingError
from modiste.evaluation import figures
from modiste.evaluation.metrics import (
    AT,
    Measure,
    category_similarity,
    gender_alignment,
    list_metrics,
    measure,
    measures,
    popularity_error,
)
from modiste.evaluation.recommenders import MOST_DENSE, OFFER_DAYS, Data, Factory, Histories, owned
from modiste.evaluation.tables import EvaluationReport, Row, Table
from modiste.evaluation.tuned import recommenders
from modiste.shop.shop import Shop
from modiste.shop.snapshot import Snapshot
from modiste.shop.taste import EPOCH

REFERENCE = "choice model as shipped"
"""What the others are compared with, shopper by shopper: what a shop is served by."""

PAPERS = ("category", "mae", "gender_unfiltered")
"""The paper's metrics; no recommender here filters by gender."""

_CELLS = 4_000_000  # of a block of scores
_ITEMS = ("warm", "cold")
_HEAD = 0.2  # the share of items that are not the long tail
_SHOWN = ("hit_at_20", "recall_at_20", "ndcg_at_20", "likelihood")  # first what a merchandiser understands

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Protocol:
    """How the benchmark judges: ``cuts`` cuts, evenly over the last ``share`` of the purchases, the ``window`` days
    after each; at most ``sample`` shoppers a cut; with ``repeats``, what a shopper bought before counts again."""

    cuts: int = 4
    share: float = 0.25
    window: float = 28.0
    sample: int = 2000
    repeats: bool = False
    seed: int = 42

    def __post_init__(self) -> None:
        if self.cuts < 1 or self.sample < 1 or self.window <= 0 or not 0 < self.share < 1:
            raise SettingError("cuts and sample must be at least 1, the window above 0 days, the share within 0 and 1")


@dataclass(frozen=True, eq=False)
class Part:
    """What is judged at one cut. ``wanted``: for each of the shoppers int64 (q,) the items she bought after it;
    ``barred``: for each the items that her list leaves out; ``offer``, ``new`` bool (n,): on offer,
    never sold before."""

    cut: float
    train: Data
    shoppers: Ints
    wanted: Sequence[Ints]
    barred: Sequence[Ints]
    offer: Bools
    new: Bools


def data_of(shop: Shop) -> Data:
    """A shop's purchases and items, with the looks and colours of its latest vector space where it has one."""
    snapshot = shop.snapshot(*shop.vectors.spaces()[:1])
    bought = shop.purchases.frame().sort("at", maintain_order=True)
    if bought.is_empty():
        raise SettingError(f"{shop.name} has no purchases to judge by; add orders with: modiste add purchases")
    rows = {item_id: snapshot.row(item_id) for item_id in bought["item_id"].unique()}
    days = (bought["at"].dt.epoch("s") // 86_400).to_numpy().astype(float)
    shopper = bought["shopper_id"].rank("dense").cast(pl.Int64).to_numpy() - 1
    item = bought["item_id"].replace_strict(rows, return_dtype=pl.Int64).to_numpy()
    events = Events(shopper, item, days - days[0])
    added = snapshot.column("came")
    came = np.where(added > 0, added - EPOCH.toordinal() - days[0], np.nan)
    return replace(items_of(snapshot), events=events, shoppers=int(shopper.max()) + 1, came=came)


def items_of(snapshot: Snapshot) -> Data:
    """A shop's items as :func:`data_of` has them, without purchases."""
    _, product = np.unique(snapshot.column("product"), return_inverse=True)
    looks = colours = None
    scales = Data.scales
    if snapshot.spaces and (matrix := snapshot.matrix()).has[: snapshot.rows].any():
        looks, scales = matrix.looks[: snapshot.rows], matrix.scales
        colours = matrix.vectors[: snapshot.rows, looks.shape[1] :] if matrix.colour_dim else None
    category, none = snapshot.column("category").astype(np.int64), np.zeros(0, np.int64)
    events = Events(none, none, none.astype(float))
    gender = snapshot.column("gender").copy()
    return Data(events, 0, product, category, snapshot.similarity, looks, colours, scales, gender=gender)


def parts(data: Data, protocol: Protocol) -> list[Part]:
    """What is judged at each cut, the earliest first. Raises SettingError where nobody bought anything after any."""
    events, found = data.events, []
    first, last = float(np.quantile(events.day, 1 - protocol.share)), float(events.day[-1]) + 1
    for cut in np.unique(np.floor(np.linspace(first, last, protocol.cuts + 1)[:-1])).tolist():
        start, end = np.searchsorted(events.day, [cut, min(cut + protocol.window, last)])
        if start == 0 or start == end:
            continue
        train, rng = data.before(cut), np.random.default_rng(protocol.seed)
        sold = np.bincount(train.events.item, minlength=data.items) > 0
        later = np.bincount(events.item[start:end], minlength=data.items) > 0
        new = later & ~sold
        offer = new | train.offered(cut, cut + protocol.window)
        people = rng.permutation(np.unique(events.shopper[start:end]))
        hers = owned(train.events, data.shoppers, data.product)
        shoppers, wanted, barred = [], [], []
        for shopper in people.tolist():
            bought = np.unique(events.item[start:end][events.shopper[start:end] == shopper])
            out = np.flatnonzero(hers(shopper)) if not protocol.repeats else np.empty(0, np.int64)
            bought = np.setdiff1d(bought[offer[bought]], out)
            if len(bought):
                shoppers.append(shopper)
                wanted.append(bought)
                barred.append(out)
            if len(shoppers) == protocol.sample:
                break
        if shoppers:
            found.append(Part(cut, train, np.array(shoppers), wanted, barred, offer, new))
    if not found:
        raise SettingError("nobody bought anything new after the cuts; more purchases are needed, or repeats counted")
    return found


# Metrics


def judge(part: Part, scores: Callable[[Ints], Array], *, logits: bool, seed: int = 42) -> pl.DataFrame:
    """Every metric for each shopper of a part, a row each; ``scores`` gives those of some shoppers, (q, n)."""
    train, n = part.train, part.train.items
    offered = np.flatnonzero(part.offer)
    place_of = np.full(n, -1)
    place_of[offered] = np.arange(len(offered))
    noise = np.random.default_rng(seed).permutation(n)[offered]
    counts = np.bincount(train.events.item, minlength=n)
    percentile = np.searchsorted(np.sort(counts[offered]), counts, side="left") / max(len(offered), 1)
    head = percentile >= 1 - _HEAD
    information = -np.log2((counts + 1) / (len(train.events) + n))
    bought = np.bincount(train.events.shopper, minlength=train.shoppers)
    histories, normpop = Histories(train), normalise(counts.astype(np.float64))
    usual = float(normpop[train.events.item].mean()) if len(train.events) else 0.5
    tendency = np.bincount(train.events.shopper, percentile[train.events.item], minlength=train.shoppers)
    rows, lists = [], []
    step = max(1, _CELLS // n)
    for start in range(0, len(part.shoppers), step):
        some = part.shoppers[start : start + step]
        block = np.asarray(scores(some))[:, offered].astype(np.float64)
        for offset, shopper in enumerate(some.tolist()):
            barred, wanted, row = place_of[part.barred[start + offset]], part.wanted[start + offset], block[offset]
            row[barred[barred >= 0]] = -np.inf
            ranks = np.array(
                [(row > row[one]).sum() + ((row == row[one]) & (noise < noise[one])).sum() for one in place_of[wanted]]
            )
            many = min(AT[-1], len(row) - int((barred >= 0).sum()))
            pool = np.flatnonzero(row >= np.partition(row, len(row) - many)[len(row) - many])
            top = offered[pool[np.lexsort((noise[pool], -row[pool]))[:many]]]
            lists.append(top)
            kinds = train.category[top]
            pairs = many * (many - 1)
            same = sum(int(count) * (int(count) - 1) for count in np.unique(kinds, return_counts=True)[1])
            found = {"shopper": shopper, "before": int(bought[shopper]), **list_metrics(ranks)}
            cold = part.new[wanted]
            for name, some_of in (("warm_recall_at_20", ~cold), ("cold_recall_at_20", cold)):
                found[name] = 100.0 * (ranks[some_of] < 20).mean() if some_of.any() else None
            found |= _papers(train, histories.of(shopper), top, normpop, usual)
            likelihood = None
            if logits:
                peak = row.max()
                likelihood = float((row[place_of[wanted]] - peak - np.log(np.exp(row - peak).sum())).mean())
            found |= {
                "likelihood": likelihood,
                "tail": 100.0 * float((~head[top]).mean()),
                "popularity": 100.0 * float(percentile[top].mean()),
                "novelty": float(information[top].mean()),
                "variety": 100.0 * (1 - same / pairs) if pairs else None,
                "hers": 100.0 * float(tendency[shopper] / bought[shopper]) if bought[shopper] else None,
            }
            rows.append(found)
    coverage = 100.0 * len(np.unique(np.concatenate(lists))) / len(offered)
    return pl.DataFrame(rows, infer_schema_length=None).with_columns(coverage=coverage, cut=part.cut)


def _papers(train: Data, hers: Ints, top: Ints, normpop: Floats, usual: float) -> dict[str, float | None]:
    """The paper's metrics of a list for a shopper who bought ``hers``, her τ and gender told by them; None: not known.

    ``normpop``: min-max popularity before the cut, whose mean over all purchases is ``usual``.
    """
    if not len(hers):
        return dict.fromkeys(PAPERS)
    tau = estimated_trendiness(normpop[hers].sum(), len(hers), usual)
    found: dict[str, float | None] = {
        "category": float(
            category_similarity(train.similarity, train.category[hers][:, None], train.category[top]).mean()
        ),
        "mae": float(popularity_error(normpop[top], tau).mean()),
        "gender_unfiltered": None,
    }
    if train.gender is not None:
        sexes = np.bincount(train.gender[hers], minlength=3)[1:3]
        whose = np.full(len(top), 1 + sexes.argmax() if sexes[0] != sexes[1] else 0, np.int8)
        judged = gender_alignment(whose, train.gender[top])
        found["gender_unfiltered"] = None if np.isnan(judged).all() else float(np.nanmean(judged))
    return found


# Audits


def audit_products(part: Part) -> str | None:
    """Whether a shopper's list should hold a view or size of what she had bought already; what was found, or None."""
    hers = owned(part.train.events, part.train.shoppers, part.train.product)
    found = sum(bool(hers(int(one))[wanted].any()) for one, wanted in zip(part.shoppers, part.wanted, strict=True))
    return (
        f"{found:,} shoppers are judged by a view or size of a product that they had bought before" if found else None
    )


def audit_time(part: Part) -> str | None:
    """Whether purchases on or after the cut are in the training data; what was found, or None."""
    late = int((part.train.events.day >= part.cut).sum())
    return f"{late:,} purchases of the training data were made after the cut" if late else None


def audit_future(factory: Factory, data: Data, part: Part, fitted: Callable[[Ints], Array]) -> str | None:
    """Whether scores change where nothing but the purchases after the cut does: popularity counted after it, and
    calibration or weights fitted to what is judged; what was found, or None. ``fitted``: the scores as they were."""
    some = part.shoppers[:16]
    blind = factory(data.before(part.cut))
    blind.fit(part.train, part.cut)
    with_future, without = np.asarray(fitted(some), float), np.asarray(blind.scores(some), float)
    if np.allclose(with_future, without, rtol=1e-3, atol=1e-6 + 1e-3 * float(np.abs(without).mean())):
        return None
    return "its scores depend on what was bought after the cut"


# The whole


def benchmark(
    data: Data,
    protocol: Protocol,
    out: Path,
    factories: Mapping[str, Factory] | None = None,
    *,
    title: str = "Benchmark",
    progress: Progress | None = None,
) -> EvaluationReport:
    """Judge every recommender at every cut; what is finished lies in ``out``/parts, and is not done again.

    Writes ``tables.md``, a CSV per table and figures into ``out`` after each cut. Leaks that the audits find are told
    first among the notes.
    """
    factories = recommenders(data) if factories is None else factories
    judged = parts(data, protocol)
    folder = out / "parts" / _fingerprint(data, protocol)
    folder.mkdir(parents=True, exist_ok=True)
    leaks = [f"LEAK: {found}" for part in judged for found in (audit_time(part),) if found]
    if not protocol.repeats:
        leaks += [f"LEAK: {found}" for part in judged if (found := audit_products(part))]
    results: dict[str, list[pl.DataFrame]] = {}
    report = EvaluationReport(title, [])
    for number, part in enumerate(judged):
        for done, (name, factory) in enumerate(factories.items()):
            file = folder / f"{number}-{hashlib.sha256(name.encode()).hexdigest()[:12]}.json"
            if not file.exists():
                made = factory(data)
                made.fit(part.train, part.cut)
                leak = audit_future(factory, data, part, made.scores) if not number else None
                frame = judge(part, made.scores, logits=made.logits, seed=protocol.seed)
                partial = file.with_suffix(".new")
                partial.write_text(json.dumps({"name": name, "leak": leak, "rows": frame.to_dicts()}), encoding="utf-8")
                partial.replace(file)
            kept = json.loads(file.read_text(encoding="utf-8"))
            if kept["leak"]:
                leaks.append(f"LEAK: {name}: {kept['leak']}")
            results.setdefault(name, []).append(pl.DataFrame(kept["rows"], infer_schema_length=None))
            if progress:
                progress(number * len(factories) + done + 1, len(judged) * len(factories))
        joined = {name: pl.concat(frames, how="vertical_relaxed") for name, frames in results.items()}
        report = _report(title, joined, data, judged[: number + 1], len(judged), protocol, leaks, out)
    return report


def _fingerprint(data: Data, protocol: Protocol) -> str:
    digest = hashlib.blake2b(json.dumps(asdict(protocol), sort_keys=True).encode(), digest_size=8)
    events = data.events
    known = (data.product, data.category, data.looks, data.colours, data.came, data.gender)
    for array in (events.shopper, events.item, events.day, *known):
        digest.update(b"-" if array is None else np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _report(
    title: str,
    results: Mapping[str, pl.DataFrame],
    data: Data,
    judged: Sequence[Part],
    cuts: int,
    protocol: Protocol,
    leaks: Sequence[str],
    out: Path,
) -> EvaluationReport:
    seed = protocol.seed
    caption = (
        f"{len(judged)} of {cuts} cuts, the {protocol.window:g} days after each; ranked among what came or sold in the "
        f"{OFFER_DAYS:g} days before a cut, or came or first sold after it ({judged[-1].offer.sum():,} at the last); "
        f"what a shopper bought before {'counts again' if protocol.repeats else 'is left out'}. Mean [95% interval "
        "over shoppers]; log-likelihood in nats a purchase."
    )
    every = [f"{what}_at_{k}" for k in AT for what in ("ndcg", "recall", "mrr", "hit")] + ["likelihood"]
    beyond = ["coverage", "tail", "popularity", "novelty", "variety"]

    def table(name: str, heading: str, columns: Sequence[str], keep: pl.Expr | None = None) -> Table:
        rows = []
        for label, frame in results.items():
            some = frame if keep is None else frame.filter(keep)
            rows.append(Row(label, _measures(some, columns, seed)))
        return Table(name, heading, rows, caption)

    tables = [
        table("accuracy", "All shoppers", every),
        table("warm", "Shoppers with purchases before the cut", every, pl.col("before") > 0),
        table("regular", "Shoppers with five or more", every, pl.col("before") >= 5),
        table("cold", "Shoppers without", every, pl.col("before") == 0),
        table(
            "items", "Items that had sold before the cut, and that never had", [f"{of}_recall_at_20" for of in _ITEMS]
        ),
        table("beyond", "Beyond accuracy, Top-20", beyond),
        table("papers", "The paper's metrics, Top-20, shoppers with purchases", PAPERS),
    ]
    tables.append(_differences(results, seed))
    tables.append(_thirds(results, caption, seed))
    tables = [one for one in tables if any(row.measures for row in one.rows)]
    pictures = figures.both_schemes(tables[0], out / "accuracy.png", _SHOWN)
    notes = [*dict.fromkeys(leaks)] or ["The audits found no leak."]
    if data.items > MOST_DENSE:
        notes.append(
            f"EASE was not run: it inverts a matrix of items by items, and {data.items:,} are more than {MOST_DENSE:,}."
        )
    report = EvaluationReport(title, tables, notes, pictures)
    report.write(out)
    return report


def _measures(frame: pl.DataFrame, columns: Sequence[str], seed: int) -> dict[str, Measure]:
    points = frame.select(pl.col(columns).cast(pl.Float64).fill_null(np.nan)).to_numpy()
    found = measures(points, frame["shopper"].to_numpy(), seed, resamples=500)
    return {name: one for name, one in zip(columns, found, strict=True) if one.n}


def _differences(results: Mapping[str, pl.DataFrame], seed: int) -> Table:
    """nDCG@20 of the warm, by which each is better than the reference, with Holm's correction."""
    rows: list[tuple[str, Measure, float]] = []
    base = results.get(REFERENCE)
    for name, frame in results.items() if base is not None else ():
        if name == REFERENCE or base is None or len(frame) != len(base):
            continue
        warm = (frame["before"] > 0).to_numpy()
        points: Floats = (frame["ndcg_at_20"] - base["ndcg_at_20"]).to_numpy()[warm]
        one = measure(points, frame["shopper"].to_numpy()[warm], seed, resamples=500)
        error = (one.high - one.low) / (2 * 1.96) if one.n else 0.0
        rows.append((name, one, math.erfc(abs(one.mean) / error / math.sqrt(2)) if error else 1.0))
    corrected = holm([p for _, _, p in rows])
    return Table(
        "differences",
        f"nDCG@20 beside {REFERENCE}, shoppers with purchases",
        [Row(name, {"difference": one}, note=f"p {p:.3f}") for (name, one, _), p in zip(rows, corrected, strict=True)],
        "Paired by shopper; p (two-sided, normal) with Holm's correction for all lines.",
    )


def holm(p: Sequence[float]) -> list[float]:
    """Holm's correction of p-values for their number."""
    order, found, largest = np.argsort(p), [0.0] * len(p), 0.0
    for rank, place in enumerate(order.tolist()):
        largest = max(largest, min(1.0, (len(p) - rank) * p[place]))
        found[place] = largest
    return found


def _thirds(results: Mapping[str, pl.DataFrame], caption: str, seed: int) -> Table:
    """Popularity of what shoppers buy and of their lists, by thirds of the former."""
    rows = []
    for name, frame in results.items():
        warm = frame.filter(pl.col("hers").is_not_null())
        if len(warm) < 3:
            continue
        low, high = np.quantile(warm["hers"].to_numpy(), [1 / 3, 2 / 3])
        thirds = {
            "low": pl.col("hers") <= low,
            "medium": (pl.col("hers") > low) & (pl.col("hers") <= high),
            "high": pl.col("hers") > high,
        }
        for third, keep in thirds.items():
            rows.append(Row(f"{name}, {third}", _measures(warm.filter(keep), ["hers", "popularity"], seed)))
    return Table("tendency", "Popularity of what shoppers buy and of their lists, by thirds", rows, caption)
