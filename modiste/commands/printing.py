"""How commands print: lines, tables, lists of recommendations, what was not taken, how far they are."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from modiste.catalog.items import Rejected
    from modiste.evaluation.tables import EvaluationReport
    from modiste.shop.recommendations import Recommendations

SHOWN = 10
"""So many rows that were not taken are shown."""

_OBEYED = {code: repr(chr(code))[1:-1] for code in (*range(9), *range(11, 32), *range(127, 160))}


def say(*parts: str | tuple[str, str], error: bool = False) -> None:
    """A line, however long: texts, and pairs of a text and its style. What a terminal would obey is written out."""
    from rich.text import Text

    harmless = [
        one.translate(_OBEYED) if isinstance(one, str) else (one[0].translate(_OBEYED), one[1]) for one in parts
    ]
    _console(error).print(Text.assemble(*harmless), soft_wrap=True)


def warn(text: object, label: str = "warning") -> None:
    """A line on standard error, after a yellow ``label``."""
    say((f"{label}:", "yellow"), f" {text}", error=True)


def print_table(header: Sequence[str], rows: Iterable[Sequence[object]], title: str | None = None) -> None:
    """Rows below their names; with lines where the table has a title."""
    from rich.box import HEAVY_HEAD
    from rich.table import Column, Table
    from rich.text import Text

    columns = (Column(name, overflow="fold") for name in header)
    table = Table(*columns, title=title, title_justify="left", box=HEAVY_HEAD if title else None)
    for row in rows:
        table.add_row(*(Text(str(cell).translate(_OBEYED)) for cell in row))
    _console().print(table)


def print_report(report: "EvaluationReport") -> None:
    """An evaluation: as Markdown, or on a terminal as tables, with their intervals where these find room."""
    if not sys.stdout.isatty():
        print(report.markdown)
        return
    for table in report.tables:
        header, rows = table.cells()
        words = [max(name.split(), key=len, default="") for name in header]
        if sum(3 + max(map(len, column)) for column in zip(words, *rows, strict=True)) > _console().width:
            header, rows = table.cells(intervals=False)
        print_table(header, rows, table.title)
        say(table.caption)
    for note in report.notes:
        say(f"- {note}")


def print_list(title: str, found: "Recommendations") -> None:
    """One line of numbers a recommendation, and its reason in a line below."""
    if not found:
        say(f"{title}: {found.nothing or 'nothing to recommend'}")
        return
    say((title, "bold"))
    for place, one in enumerate(found, 1):
        terms = " + ".join(f"{name} {value:.3f}" for name, value in one.terms.items() if abs(value) >= 0.0005) or "0"
        category = (one.category or "").replace("_", " ")
        store = "" if one.distance_km is None else f"  {one.distance_km:.1f} km"
        say(f"{place:>2}. ", (one.item_id, "bold"), f"  {category}  {one.relevance:.3f} = {terms}{store}")
        because = f" (because of {one.because})" if one.because else ""
        ruled = "".join(f"; {said}" for said in one.rules)
        say("    ", (f"{one.why}{because}{ruled}", "dim"))


def print_rejected(rejected: "Sequence[Rejected]", path: Path | None, strict: bool, what: str = "not taken") -> None:
    """Count what was not taken (or remarked), show the first rows, write all of them to a file in ``path``."""
    if not rejected:
        return
    say((f"{len(rejected)} {what}:", "yellow"), error=True)
    for one in rejected[:SHOWN]:
        say(f"  {one}", error=True)
    if (more := len(rejected) - SHOWN) > 0:
        file = path and path / f"{what.replace(' ', '-')}.txt"
        if file:
            file.write_text("".join(f"{one}\n" for one in rejected), encoding="utf-8")
        say(f"  and {more} more{f': all in {file}' if file else ''}", error=True)
    if strict:
        raise typer.Exit(1)


class Estimate:
    """Says once how long work of many pieces will take, by the speed of the first ones, if that is long.

    ``clock`` gives seconds. Where the first pieces took AFTER seconds, and the others are likely to take LONG or more,
    ``say`` gets a sentence.
    """

    AFTER, LONG = 3.0, 60.0

    def __init__(self, what: str, say: Callable[[str], object], clock: Callable[[], float] = monotonic) -> None:
        self._what, self._say, self._clock = what, say, clock
        self._first: tuple[float, int] | None = None
        self._said = False

    def __call__(self, done: int, total: int) -> None:
        """So many of ``total`` are done."""
        now = self._clock()
        if self._first is None:  # what was loaded before the first one is not counted
            self._first = now, done
        since, before = self._first
        if self._said or now - since < self.AFTER or done <= before:
            return
        self._said, left = True, (total - done) * (now - since) / (done - before)
        if left >= self.LONG:
            minutes = round(left / 60)
            self._say(f"{total:,} {self._what}, about {minutes} {'minute' if minutes == 1 else 'minutes'} to go")


@contextmanager
def progress_bar(label: str, what: str = "") -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal (rate and time left), nothing where the output goes to a file; for pieces called ``what``
    an estimate too, in either case."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = _console(error=True)
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task(label, total=None, rate="")
        estimate = Estimate(what, bar.console.print) if what else None

        def advance(done: int, total: int) -> None:
            if estimate:
                estimate(done, total)
            speed = bar.tasks[0].finished_speed or bar.tasks[0].speed
            bar.update(task, completed=done, total=total, rate=f"{speed:.0f}/s" if speed else "")

        yield advance


def _console(error: bool = False) -> "Console":
    from rich.console import Console

    return Console(stderr=error)
