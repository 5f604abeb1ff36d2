"""Results as tables: what was measured, beside what the paper reports, as Markdown and CSV."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from modiste.catalog.tables import as_cell
from modiste.evaluation.metrics import Measure
from modiste.evaluation.published import Published

COLUMNS: Mapping[str, str] = {
    "category": "Category similarity, %",
    "mae": "Popularity MAE, ×100",
    "gender": "Gender alignment with the filter, %",
    "gender_unfiltered": "Gender alignment without the filter, %",
    "gender_authors": "The authors' self-comparison of gender, %",
    "recall_1": "Same product, R@1, %",
    "recall_5": "Same product, R@5, %",
    "recall_10": "Same product, R@10, %",
    "same_colour_1": "Same product and colour, R@1, %",
    "same_colour_5": "Same product and colour, R@5, %",
    "same_colour_10": "Same product and colour, R@10, %",
    "kind": "Neighbours of the same category, %",
    "sex": "Neighbours of the same gender, %",
    "colour": "Neighbours of the same colour, %",
    **{
        f"{metric}_at_{k}": f"{name}@{k}, %"
        for k in (5, 10, 20)
        for metric, name in (("ndcg", "nDCG"), ("recall", "Recall"), ("mrr", "MRR"), ("hit", "Hit rate"))
    },
    "likelihood": "Log-likelihood",
    "warm_recall_at_20": "What had sold, recall@20, %",
    "cold_recall_at_20": "What never had, recall@20, %",
    "difference": "nDCG@20, points",
    "coverage": "Coverage, % of the offer",
    "tail": "Long tail, %",
    "hers": "Popularity of what they bought, percentile",
    "popularity": "Popularity of the lists, percentile",
    "novelty": "Novelty, bits",
    "variety": "Pairs of other categories, %",
}
"""What can be measured, and the words for it; a table shows those that any of its rows has."""

NOT_RUN = "not run here"
UNKNOWN = "not known here"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table. Without ``measures`` it was not run, and ``note`` says why."""

    name: str
    measures: Mapping[str, Measure] = field(default_factory=dict)
    published: Published | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A table: ``name`` is its file's stem, ``caption`` says what a reader must know to judge it.

    ``units`` are what was resampled for the intervals.
    """

    name: str
    title: str
    rows: Sequence[Row]
    caption: str = ""
    units: str = "shoppers"

    @property
    def columns(self) -> list[str]:
        """The names of what was measured, in the order of COLUMNS."""
        found = [name for name in COLUMNS if any(name in row.measures for row in self.rows)]
        return found or ["category", "mae"]

    def cells(self, *, intervals: bool = True) -> tuple[list[str], list[list[str]]]:
        """The columns' names, and the cells of each row: mean [95% interval], and n where it is not the row's; without
        ``intervals`` means alone."""
        beside = any(row.published for row in self.rows)
        header = ["", *(COLUMNS[name] for name in self.columns), "n", self.units]
        if beside:
            header.append("Paper: category / gender / MAE")
        noted = any(row.note for row in self.rows)
        if noted:
            header.append("")
        rows = []
        for row in self.rows:
            n = max((one.n for one in row.measures.values()), default=0)
            people = max((one.shoppers for one in row.measures.values()), default=0)
            cells = [row.name, *(_cell(row, name, n, intervals) for name in self.columns)]
            cells += [f"{n:,}", f"{people:,}"] if row.measures else ["", ""]
            if beside:
                cells.append(_paper(row.published))
            if noted:
                cells.append(row.note)
            rows.append(cells)
        return header, rows

    @property
    def markdown(self) -> str:
        """A heading, the table and its caption."""
        header, rows = self.cells()
        lines = [f"## {self.title}", "", *map(_line, (header, ["---"] * len(header), *rows))]
        if self.caption:
            lines += ["", self.caption]
        return "\n".join(lines) + "\n"

    def csv(self) -> str:
        """One line per row, numbers unrounded, empty where nothing was measured."""
        parts = {"mean": "mean", "low": "low", "high": "high", "n": "n", "shoppers": self.units}
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        measured = [f"{name}_{part}" for name in self.columns for part in parts.values()]
        beside = any(row.published for row in self.rows)
        writer.writerow(
            ["row", *measured, *(("paper_category", "paper_gender", "paper_mae") if beside else ()), "note"]
        )
        for row in self.rows:
            cells: list[object] = [as_cell(row.name)]
            for name in self.columns:
                one = row.measures.get(name)
                cells += [getattr(one, part) if one and one.n else "" for part in parts]
            paper = row.published
            if beside:
                cells += [paper.category, paper.gender, paper.mae] if paper else [None, None, None]
            writer.writerow(["" if cell is None else cell for cell in [*cells, as_cell(row.note)]])
        return out.getvalue()


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """All that an evaluation found. ``figures`` are the pictures' paths, empty unless it was written to a folder."""

    title: str
    tables: Sequence[Table]
    notes: Sequence[str] = ()
    figures: Sequence[Path] = ()

    @property
    def markdown(self) -> str:
        """The tables, the notes and links to the pictures for light pages, as one page; a table's picture stands under
        its heading, others at the end."""
        light = [figure for figure in self.figures if not figure.stem.endswith("-dark")]
        pictures = {figure.stem: f"![{figure.stem.replace('_', ' ')}]({figure.name})\n" for figure in light}
        parts = [f"# {self.title}\n"]
        for table in self.tables:
            heading, rest = table.markdown.split("\n\n", 1)
            parts += [f"{heading}\n", pictures.pop(table.name), rest] if table.name in pictures else [table.markdown]
        if self.notes:
            parts.append("## Notes\n\n" + "\n".join(f"- {note}" for note in self.notes) + "\n")
        return "\n".join([*parts, *pictures.values()])

    def write(self, folder: Path) -> None:
        """``tables.md`` and one CSV per table, into ``folder``, made if need be."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "tables.md").write_text(self.markdown, encoding="utf-8")
        for table in self.tables:
            (folder / f"{table.name}.csv").write_text(table.csv(), encoding="utf-8")


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _cell(row: Row, name: str, n: int, interval: bool) -> str:
    if not row.measures:
        return NOT_RUN
    one = row.measures.get(name)
    if one is None:
        return ""
    if not one.n:
        return UNKNOWN
    counted = "" if one.n == n else f", n {one.n:,}"
    return f"{one.mean:.2f} [{one.low:.2f}, {one.high:.2f}]{counted}" if interval else f"{one.mean:.2f}"


def _paper(row: Published | None) -> str:
    if row is None:
        return ""
    gender = "not given" if row.gender is None else f"{row.gender:g}%"
    return f"{row.category:g}% / {gender} / {row.mae:g}"
