"""The paper's experiments on a shop: its Tables 1 to 3, the baselines, and one purchase seen by every vector space."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from modiste.errors import SettingError
from modiste.evaluation import figures, published
from modiste.evaluation.baselines import BASELINES
from modiste.evaluation.tables import EvaluationReport, Row, Table
from modiste.evaluation.trials import Purchases, both_ways, judge_ties, trial
from modiste.ranking.relevance import PRESETS
from modiste.ranking.topk import rank
from modiste.shop.shop import Shop
from modiste.shop.snapshot import Snapshot
from modiste.vision.embedding import VectorSpace

WHAT = ("backbones", "ablation", "trendiness", "all")
TOP = 5
DRAWS = 50
"""Random tie-breaks behind the range that a table without a visual term reports."""

ABLATIONS = (
    ("paper", {"no popularity": ("beta",), "no visual": ("alpha",)}),
    ("balanced", {"no popularity": ("beta",), "no visual": ("alpha", "colour"), "no category": ("gamma",)}),
)
"""Presets, and the weights that each of their ablations sets to 0. The paper's γ is 0: no category to leave out."""

TERTILES = (("low", 0.0, 1 / 3), ("medium", 1 / 3, 2 / 3), ("high", 2 / 3, 1.0))
"""Thirds of [0, 1], the lower end included; the paper's text gives no usable thresholds."""


def evaluate(
    shop: Shop,
    what: str = "all",
    out: Path | None = None,
    seed: int = 42,
    *,
    top: int = TOP,
    authors_gender: bool = False,
) -> EvaluationReport:
    """Run the paper's experiments on the purchases of ``shop``.

    Args:
        shop: items, purchases and at least one vector space; the latest is the one that is ablated.
        what: ``backbones`` (Table 1, the baselines and the qualitative figure), ``ablation`` (Table 2), ``trendiness``
            (Table 3) or ``all``.
        out: folder for ``tables.md``, one CSV per table and the figures; None writes nothing and draws nothing.
        seed: of the bootstrap, the random baselines and tie-breaks, and the choice of the purchase that is shown.
        top: recommendations per purchase.
        authors_gender: also report the authors' self-comparison of gender, which is 100% whatever is recommended.

    Raises:
        SettingError: ``what`` is unknown, or the shop has no purchases.
        UnknownIdError: the shop has no vectors yet.
    """
    if what not in WHAT:
        raise SettingError(f"there is no experiment {what!r}; choose one of {', '.join(WHAT)}")
    snapshot = shop.snapshot(*shop.vectors.spaces())
    purchases, estimated = purchases_of(shop, snapshot)
    if not len(purchases):
        raise SettingError(
            f"{shop.name} has no purchases to evaluate; add orders, or make some with: modiste simulate {shop.name}"
        )
    snapshot.space()  # there is one
    experiment = _Experiment(snapshot, purchases, top, seed, authors_gender)
    tables: list[Table] = []
    if what in ("backbones", "all"):
        tables += [experiment.backbones(), experiment.baselines()]
    if what in ("ablation", "all"):
        tables.append(experiment.ablation())
    if what in ("trendiness", "all"):
        tables.append(experiment.trendiness())
    pictures = []
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        pictures = [one for table in tables for one in figures.both_schemes(table, out / f"{table.name}.png")]
        if what in ("backbones", "all"):
            pictures += experiment.side_by_side(out / "side_by_side.png")
    report = EvaluationReport(f"Evaluation of {shop.name}", tables, _notes(experiment, estimated), pictures)
    if out is not None:
        report.write(out)
    return report


def purchases_of(shop: Shop, snapshot: Snapshot) -> tuple[Purchases, int]:
    """The shop's purchases by the snapshot's rows, and how many of the shoppers' trendiness was estimated from them."""
    people = shop.shoppers.frame().select("shopper_id", "trendiness", "given").with_row_index("who")
    bought = shop.purchases.frame().join(people, on="shopper_id", how="left", maintain_order="left")
    estimated = bought.filter(pl.col("given").is_null())["who"].n_unique()
    purchases = Purchases.of(
        np.array([snapshot.row(item_id) for item_id in bought["item_id"]], np.int64),
        bought["who"].to_numpy().astype(np.int64),
        bought["trendiness"].to_numpy().astype(float),
        snapshot.column("gender"),
    )
    return purchases, estimated


class _Experiment:
    """One shop's purchases, to be judged in every way."""

    def __init__(self, snapshot: Snapshot, purchases: Purchases, top: int, seed: int, authors: bool) -> None:
        self.snapshot, self.purchases, self.top, self.seed, self.authors = snapshot, purchases, top, seed, authors
        self.spaces = snapshot.spaces
        self.names = _names(self.spaces)
        self.candidates = snapshot.candidates()

    def backbones(self) -> Table:
        rows = []
        for space, name in zip(self.spaces, self.names, strict=True):
            candidates = self.snapshot.candidates(space)
            measures = trial(candidates, self.purchases, PRESETS["paper"], self.top, self.seed, authors=self.authors)
            there = candidates.has_vector & self.snapshot.column("alive")
            missing = self.snapshot.size - int(there.sum())
            note = f"{missing:,} items without a vector" if missing else ""
            rows.append(Row(name, measures, published.BACKBONES.get(space.backbone), note))
        embedded = {space.backbone for space in self.spaces}
        rows += [
            Row(name, published=paper, note="this shop has no vectors of it")
            for name, paper in published.BACKBONES.items()
            if name not in embedded
        ]
        return Table(
            "table1", "Table 1: backbones", rows, self._caption("Weights of the paper (α .4, β .2, γ 0, p 2).")
        )

    def baselines(self) -> Table:
        rows = [self._row("Modiste, paper's weights", "paper"), self._row("Modiste, balanced weights", "balanced")]
        for name, baseline in BASELINES.items():
            filtered, free = (
                baseline(self.candidates, self.purchases.queries(gender_filter=on), self.top, self.seed)
                for on in (True, False)
            )
            measures = both_ways(self.candidates, self.purchases, filtered, free, self.seed, authors=self.authors)
            rows.append(Row(name, measures))
        return Table("baselines", "Baselines", rows, self._caption(f"Vector space: {self.names[0]}."))

    def ablation(self) -> Table:
        rows = []
        for preset, ablations in ABLATIONS:
            for name, weight in {"full": "", **ablations}.items():
                paper = published.ABLATION[name] if preset == "paper" else None
                rows.append(self._row(f"{preset}: {name}", preset, weight, paper))
        caption = (
            f"Vector space: {self.names[0]}. The paper's weights have γ 0, so only the balanced ones can lose it. "
            "Balanced weights are judged on each purchase alone: what all of a shopper's purchases tell plays no part."
        )
        return Table("table2", "Table 2: ablation", rows, self._caption(caption))

    def trendiness(self) -> Table:
        rows = []
        for name, low, high in TERTILES:
            tau = self.purchases.trendiness
            part = self.purchases.where((tau >= low) & ((tau < high) | (high == 1.0)))
            paper = published.TRENDINESS[name]
            label = f"{name} ({low:.2f} to {high:.2f})"
            if len(part):
                measures = trial(self.candidates, part, PRESETS["paper"], self.top, self.seed, authors=self.authors)
                rows.append(Row(label, measures, paper))
            else:
                rows.append(Row(label, published=paper, note="no shopper has such a trendiness"))
        caption = "Thirds of [0, 1]: the paper gives no usable thresholds. Weights of the paper."
        return Table("table3", "Table 3: trendiness", rows, self._caption(caption))

    def side_by_side(self, path: Path) -> list[Path]:
        """One purchase, drawn by the seed among those with a vector in every space, and each space's Top-K."""
        spaces = [self.snapshot.candidates(space) for space in self.spaces]
        seen = np.all([one.has_vector[self.purchases.item] for one in spaces], axis=0)
        choices = np.flatnonzero(seen) if seen.any() else np.arange(len(self.purchases))
        chosen = int(np.random.default_rng(self.seed).choice(choices))
        queries = self.purchases.queries(gender_filter=True)
        query = queries.at(np.array([chosen]))

        def shown(row: int) -> tuple[str, str | None]:
            item = self.snapshot.item(row)
            category = item["category"]
            return (category.replace("_", " ") if category else item["item_id"]), item["image"]

        lines = []
        for name, candidates in zip(self.names, spaces, strict=True):
            found = rank(candidates, query, PRESETS["paper"], self.top).items[0]
            lines.append((name, [shown(int(row)) for row in found if row >= 0]))
        bought = int(query.item[0])
        caption, image = shown(bought)
        return figures.side_by_side((f"bought: {caption}", image), lines, path)

    def _row(
        self, name: str, preset: str, without: Sequence[str] = (), paper: published.Published | None = None
    ) -> Row:
        weights = PRESETS[preset]
        if without:
            weights = replace(weights, **dict.fromkeys(without, 0.0))  # type: ignore[arg-type]
        measures = trial(self.candidates, self.purchases, weights, self.top, self.seed, authors=self.authors)
        note = ""
        if not weights.seen:
            queries = self.purchases.queries(gender_filter=True)
            _, spread = judge_ties(self.candidates, queries, self.purchases, weights, self.top, DRAWS, self.seed)
            note = f"over {DRAWS} random tie-breaks, mean and 95% range: category {spread['category']}%"
        return Row(name, measures, paper, note)

    def _caption(self, first: str) -> str:
        return (
            f"{first} Top-{self.top} for each of {len(self.purchases):,} purchases; mean [95% bootstrap interval over "
            "shoppers]. Category similarity and popularity MAE are those of lists made with the gender filter; a "
            "gender alignment of 100% with it only says that the filter works."
        )


def _names(spaces: Sequence[VectorSpace]) -> list[str]:
    """A short name for each space: its backbone, and as much more as tells it from the others."""
    names = [f"{space.backbone}, masking {space.masking}, crop {space.crop}" for space in spaces]
    return [
        name if names.count(name) == 1 else f"{name} ({space.key})" for name, space in zip(names, spaces, strict=True)
    ]


def _notes(experiment: _Experiment, estimated: int) -> list[str]:
    gender = experiment.candidates.gender
    notes = [
        "The paper's figures are of DeepFashion-MultiModal with three backbones' ImageNet weights: other photos, other "
        "purchases; they stand beside ours to be read, not to be beaten."
    ]
    if estimated:
        notes.append(
            f"The trendiness of {estimated:,} of the shoppers was estimated from these same purchases, so their "
            "popularity MAE is more favourable than it would be for purchases to come."
        )
    unknown = float((~np.isin(gender[experiment.snapshot.column("alive")], (1, 2))).mean())
    if unknown:
        notes.append(f"The gender of {100 * unknown:.0f}% of the items is unknown; those are not judged by it.")
    return notes
