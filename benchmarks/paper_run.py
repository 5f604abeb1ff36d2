"""The authors' own run, judged again: what of their Table 2 follows from the files they published.

The folder holds ``items.csv`` (item_id, gender, category, popularity after the run), ``users.csv`` (user_id,
trendiness) and ``purchases.csv`` (user_id, item_id, …), but no photos. So "no visual" can be reproduced and nothing
else of the paper's tables::

    python benchmarks/paper_run.py FOLDER [--out DIR]
"""

import argparse
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from modiste.arrays import Floats
from modiste.behaviour.popularity import normalise
from modiste.catalog.taxonomy import Taxonomy
from modiste.errors import SourceError
from modiste.evaluation import figures, published
from modiste.evaluation.baselines import BASELINES
from modiste.evaluation.metrics import Measure
from modiste.evaluation.tables import EvaluationReport, Row, Table
from modiste.evaluation.trials import Purchases, Spread, judge, judge_ties
from modiste.ranking.candidates import Candidates
from modiste.ranking.relevance import Weights
from modiste.ranking.topk import rank

NO_VISUAL = Weights(0.0, 0.2, 0.0)
"""The paper's weights without the visual term; only the popularity term is left (its α is .4, β .2, γ 0)."""

POPULAR_SHARE = 0.15
"""The authors' simulation calls an item popular from this share of *all* purchases (their ``P_threshold``)."""

TOP = 5
DRAWS = 200
GENDERS = {"MEN": 1, "WOMEN": 2}


@dataclass(frozen=True, slots=True)
class Way:
    """How "no visual" is run and judged; the defaults are the honest way, ``AUTHORS`` is theirs.

    ``gender_filter`` keeps the other gender out. ``other_views`` lets another photo of the bought product be
    recommended. ``catalogue_order`` breaks ties by the row in items.csv instead of by item id. ``self_comparison``
    judges gender as the authors' published code does: the shopper's against that of the item she *bought*.
    """

    gender_filter: bool = False
    other_views: bool = False
    catalogue_order: bool = False
    self_comparison: bool = False


AUTHORS = Way(other_views=True, catalogue_order=True, self_comparison=True)
"""The way of the authors' published code: no gender filter, ties in catalogue order, other views allowed."""


@dataclass(frozen=True, eq=False)
class PaperRun:
    """The run as arrays: 10,324 candidates without vectors and 137 purchases of 50 shoppers, in the real one.

    ``popularity`` float64 (n,) are the counts after the run.
    """

    candidates: Candidates
    purchases: Purchases
    popularity: Floats

    def row(self, name: str, way: Way, seed: int = 0) -> Row:
        """ "No visual" run in one way, judged."""
        candidates = self._seen(way)
        lists = rank(candidates, self.purchases.queries(gender_filter=way.gender_filter), NO_VISUAL, TOP).items
        return Row(name, _columns(judge(candidates, self.purchases, lists, seed), way))

    def expected(self, name: str, way: Way, draws: int = DRAWS, seed: int = 0) -> tuple[Row, dict[str, Spread]]:
        """The same over ``draws`` random tie-breaks: what to expect, and each metric's spread.

        The spreads' keys are category, mae, gender (honest) and gender_authors.
        """
        queries = self.purchases.queries(gender_filter=way.gender_filter)
        measures, spreads = judge_ties(self._seen(way), queries, self.purchases, NO_VISUAL, TOP, draws, seed)
        return Row(name, _columns(measures, way)), spreads

    def baseline(self, name: str, seed: int = 0) -> Row:
        """A baseline's lists without the gender filter, judged."""
        lists = BASELINES[name](self.candidates, self.purchases.queries(gender_filter=False), TOP, seed)
        return Row(name, _columns(judge(self.candidates, self.purchases, lists, seed), Way()))

    @property
    def threshold(self) -> float:
        """The count from which the authors' simulation calls an item popular."""
        return POPULAR_SHARE * float(self.popularity.sum())

    def _seen(self, way: Way) -> Candidates:
        candidates = self.candidates
        if way.other_views:
            candidates = replace(candidates, product=np.arange(len(candidates)))
        if way.catalogue_order:
            candidates = replace(candidates, item_ids=tuple(f"{row:012d}" for row in range(len(candidates))))
        return candidates


def read_paper_run(folder: Path) -> PaperRun:
    """Read the three files. Raises SourceError, with file and row, for what is missing or doesn't fit together."""
    items = _read(
        folder / "items.csv",
        {"item_id": pl.String, "gender": pl.String, "category": pl.String, "popularity": pl.Float64},
    )
    users = _read(folder / "users.csv", {"user_id": pl.String, "trendiness": pl.Float64})
    bought = _read(folder / "purchases.csv", {"user_id": pl.String, "item_id": pl.String})
    rows = {one: row for row, one in enumerate(items["item_id"])}
    if len(rows) != len(items):
        raise SourceError(f"{folder / 'items.csv'}: an item_id stands twice; each item needs its own")
    people = {one: row for row, one in enumerate(users["user_id"])}
    for line, (user, item) in enumerate(bought.select("user_id", "item_id").iter_rows(), 2):
        if user not in people or item not in rows:
            missing = (
                f"user {user!r} is not in users.csv" if user not in people else f"item {item!r} is not in items.csv"
            )
            raise SourceError(f"{folder / 'purchases.csv'}, row {line}: {missing}")
    names = sorted(set(items["category"]))
    kinds = {name: row for row, name in enumerate(names)}
    products: dict[str, int] = {}
    counts = items["popularity"].to_numpy()
    candidates = Candidates(
        vectors=np.zeros((len(items), 0), np.float32),
        has_vector=np.zeros(len(items), bool),
        normpop=normalise(counts),
        category=np.array([kinds[name] for name in items["category"]], np.int64),
        similarity=Taxonomy.load().matrix(names),
        gender=np.array([GENDERS.get(name, 0) for name in items["gender"]], np.int8),
        product=np.array(
            [products.setdefault(one.rpartition("_")[0] or one, len(products)) for one in items["item_id"]]
        ),
        item_ids=tuple(items["item_id"]),
    )
    shopper = np.array([people[one] for one in bought["user_id"]], np.int64)
    purchases = Purchases.of(
        np.array([rows[one] for one in bought["item_id"]], np.int64),
        shopper,
        users["trendiness"].to_numpy()[shopper],
        candidates.gender,
    )
    return PaperRun(candidates, purchases, counts)


def _columns(measures: dict[str, Measure], way: Way) -> dict[str, Measure]:
    """The measures under the names of the table's columns."""
    gender = {"gender" if way.gender_filter else "gender_unfiltered": measures["gender"]}
    theirs = {"gender_authors": measures["gender_authors"]} if way.self_comparison else {}
    return {name: measures[name] for name in ("category", "mae")} | gender | theirs


def _read(file: Path, columns: dict[str, pl.DataType | type[pl.DataType]]) -> pl.DataFrame:
    try:
        frame = pl.read_csv(file, infer_schema=False)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise SourceError(f"{file} can't be read as CSV: {error}; name the folder of the authors' run") from error
    if absent := [name for name in columns if name not in frame.columns]:
        raise SourceError(f"{file} has no column {', '.join(absent)}; it needs {', '.join(columns)}")
    typed = frame.with_columns(pl.col(name).cast(kind, strict=False) for name, kind in columns.items())
    for name in columns:
        if (bad := typed[name].is_null()).any():
            row = int(bad.arg_max() or 0)
            raise SourceError(f"{file}, row {row + 2}: {name} is {frame[name][row]!r}; give a value of the right kind")
    return typed


def evaluate_paper_run(folder: Path, out: Path | None = None, seed: int = 0, draws: int = DRAWS) -> EvaluationReport:
    """Judge the run in ``folder`` in the honest way and in the authors', and say what the rest of it shows.

    Writes ``tables.md``, ``no_visual.csv`` and ``threshold.png`` into ``out`` where one is given. Raises SourceError.
    """
    run = read_paper_run(Path(folder))
    theirs = published.ABLATION["no visual"]
    photos = "the photos are not part of the run"
    expected, spread = run.expected("no visual", Way(), draws, seed)
    filtered, filtered_spread = run.expected("no visual, gender filter", Way(gender_filter=True), draws, seed)
    random = f"ties at random, mean of {draws}"
    rows = [
        Row("full", published=published.ABLATION["full"], note=photos),
        Row("no popularity", published=published.ABLATION["no popularity"], note=photos),
        replace(expected, published=theirs, note=random),
        replace(filtered, published=theirs, note=random),
        replace(run.row("no visual", Way(), seed), published=theirs, note="ties by item id"),
        replace(
            run.row("no visual, the authors' way", AUTHORS, seed), published=theirs, note="ties by row in items.csv"
        ),
        *(run.baseline(name, seed) for name in ("random items", "best sellers", "same category")),
    ]
    table = Table("no_visual", "Table 2 from the authors' own run", rows, _CAPTION)
    pictures = []
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        pictures.append(draw_threshold(run.popularity, run.threshold, out / "threshold.png"))
    notes = [
        _told(f"Over {draws} random tie-breaks without the gender filter", spread),
        _told(f"Over {draws} random tie-breaks with the gender filter", filtered_spread),
        *_findings(run),
    ]
    report = EvaluationReport("The authors' own run, judged again", [table], notes, pictures)
    if out is not None:
        report.write(out)
    return report


_CAPTION = (
    f"Mean [95% bootstrap interval over shoppers]; Top-{TOP} for every purchase, the paper's weights without the "
    "visual term. What is left, popularity, has about a hundred different values for ten thousand items, so ties "
    "decide what is recommended; how far, the notes say. Baselines: no gender filter."
)


def _told(where: str, spread: dict[str, Spread]) -> str:
    return (
        f"{where}, mean and 95% range: category similarity {spread['category']}%, "
        f"gender alignment {spread['gender']}%, popularity MAE {spread['mae']}."
    )


def _findings(run: PaperRun) -> Iterable[str]:
    popular = int((run.popularity >= run.threshold).sum())
    yield (
        f"The counts add up to {run.popularity.sum():,.0f}, so an item is popular from {run.threshold:,.0f} purchases "
        f"(15% of all). The most popular has {run.popularity.max():,.0f}, and {popular} of "
        f"{len(run.popularity):,} reach the threshold. At most {int(1 / POPULAR_SHARE)} items ever could."
    )
    bought = run.candidates.normpop[run.purchases.item]
    tau = run.purchases.trendiness
    if min(len(np.unique(bought)), len(np.unique(tau))) > 1:
        yield (
            f"So the shoppers' trendiness τ had nothing to choose between: over the {len(tau)} purchases its "
            f"correlation with the normalised popularity of what was bought is {np.corrcoef(bought, tau)[0, 1]:.2f}."
        )
    blind = np.abs(run.candidates.normpop[:, None] - tau).mean()
    yield (
        f"Items chosen without any regard to popularity have an expected popularity MAE of {100 * blind:.2f} here; "
        f"the paper reports {published.ABLATION['no popularity'].mae:g} for no popularity."
    )
    women = run.candidates.gender == GENDERS["WOMEN"]
    yield (
        f"{100 * women.mean():.1f}% of the items are women's, so lists that know nothing of gender agree with most "
        "shoppers' all the same: compare the random items."
    )


def draw_threshold(popularity: Floats, limit: float, path: Path) -> Path:
    """How often each popularity count occurs, and where the authors' simulation begins to call an item popular."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axis = pyplot.subplots(figsize=(7.0, 3.2), layout="constrained")
    edges = np.geomspace(1, max(limit, popularity.max() + 1) * 1.6, 90)
    axis.hist(popularity + 1, bins=edges.tolist(), color=figures.OURS)
    axis.axvline(limit + 1, color=figures.PAPER, linewidth=2)
    axis.set_xscale("log")
    highest = axis.get_ylim()[1]
    axis.text(
        limit * 0.85,
        highest * 0.92,
        f"“popular”: 15% of all\npurchases, {limit:,.0f}",
        ha="right",
        va="top",
        color=figures.PAPER,
    )
    most = popularity.max()
    axis.text(most * 1.25, highest * 0.35, f"the most popular item\nhas {most:,.0f}", color=figures.OURS, va="top")
    axis.set_xlabel("purchases of an item, plus one (logarithmic)")
    axis.set_ylabel("items")
    axis.set_title(
        f"No item of {len(popularity):,} can be popular" if most < limit else "Popular items", loc="left", fontsize=11
    )
    axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)
    pyplot.close(figure)
    return path


def main() -> None:
    """Print the report of the folder named on the command line."""
    parser = argparse.ArgumentParser(prog="python benchmarks/paper_run.py", description=__doc__)
    parser.add_argument("folder", type=Path, help="items.csv, users.csv and purchases.csv of the authors' run")
    parser.add_argument("--out", type=Path, help="folder for tables.md, the CSV and the figure")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--draws", type=int, default=DRAWS, help="random tie-breaks to try (default: %(default)s)")
    asked = parser.parse_args()
    try:
        print(evaluate_paper_run(asked.folder, asked.out, asked.seed, asked.draws).markdown)
    except SourceError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
