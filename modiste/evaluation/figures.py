"""The pictures: measures beside the paper's figures, and lists of photos side by side.

matplotlib is imported when a picture is drawn, never before; it needs no screen.
"""

from collections.abc import Sequence
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from modiste.errors import PhotoError
from modiste.evaluation.tables import COLUMNS, Table
from modiste.vision.photos import open_photo

if TYPE_CHECKING:
    from matplotlib.figure import Figure

OURS, PAPER, QUIET = "#1f5f8b", "#c4572e", "#8a8a8a"
_DPI = 150


class Scheme(NamedTuple):
    """The colours of a page that a figure stands on."""

    ground: str
    ink: str
    lines: str
    ours: str


LIGHT = Scheme("#ffffff", "#222222", "#e4e4e4", OURS)
DARK = Scheme("#16181c", "#e6e6e6", "#3a3d42", "#6fb1dd")


class Miss(NamedTuple):
    """A photo that found another of its product only at ``place``; (item id, path) of it, the other, and the first
    ones that it found."""

    place: int
    photos: Sequence[tuple[str, str]]


SHOWN = ("category", "mae", "gender_unfiltered")
"""The metrics of the paper's tables that are drawn."""


def both_schemes(table: Table, path: Path, columns: Sequence[str] = SHOWN) -> list[Path]:
    """:func:`measures` of ``columns`` for light pages at ``path`` and for dark ones beside it, as ``STEM-dark``."""
    return [measures(table, path, columns), measures(table, _dark(path), columns, scheme=DARK)]


def measures(table: Table, path: Path, columns: Sequence[str] = SHOWN, scheme: Scheme = LIGHT) -> Path:
    """The table as dots with their intervals, one panel per metric, the paper's figures as hollow diamonds."""
    names = [name for name in columns if name in table.columns]
    names = [name for name in names if any(row.measures.get(name) and row.measures[name].n for row in table.rows)]
    figure = _figure(3.2 * max(1, len(names)) + 2.2, 0.42 * len(table.rows) + 1.5)
    places = np.arange(len(table.rows))[::-1]
    axes = figure.subplots(1, max(1, len(names)), sharey=True, squeeze=False)[0]
    for axis, name in zip(axes, names, strict=False):
        for place, row in zip(places, table.rows, strict=True):
            one = row.measures.get(name)
            if one and one.n:
                axis.plot([one.low, one.high], [place, place], color=scheme.ours, linewidth=2, solid_capstyle="round")
                axis.plot(one.mean, place, "o", color=scheme.ours, markersize=6)
            paper = None if row.published is None else getattr(row.published, name, None)
            if paper is not None:
                axis.plot(paper, place, "D", color=PAPER, markersize=6, markerfacecolor="none", markeredgewidth=1.5)
        axis.set_title(fill(COLUMNS[name], 26), fontsize=9)
        axis.grid(axis="x", color=scheme.lines, linewidth=0.8)
        axis.set_axisbelow(True)
        axis.margins(x=0.08)
        _plain(axis)
    axes[0].set_yticks(places, [row.name for row in table.rows], fontsize=9)
    axes[0].set_ylim(-0.6, len(table.rows) - 0.4)
    figure.suptitle(table.title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    legend = f"● here, with the 95% interval over {table.units}"
    if any(row.published for row in table.rows):
        legend += "      ◇ the paper"
    figure.supxlabel(legend, fontsize=8)
    if scheme is not LIGHT:
        _repaint(figure, scheme)
    return _saved(figure, path)


def worst(misses: Sequence[Miss], path: Path) -> list[Path]:
    """A line for each photo that missed its product: the photo, the one it should have found, what it found first.

    As :func:`side_by_side` for light pages and for dark ones."""
    columns = max(len(miss.photos) for miss in misses)
    figure = _figure(1.55 * columns + 0.3, 2.3 * len(misses) + 0.5)
    axes = figure.subplots(len(misses), columns, squeeze=False)
    for line, miss in zip(axes, misses, strict=True):
        for axis in line:
            axis.set_axis_off()
        for number, (axis, (name, image)) in enumerate(zip(line, miss.photos, strict=False)):
            _photo(axis, name, image, edge=(PAPER, OURS, "#d0d0d0")[min(number, 2)])
        line[0].set_title(f"found at place {miss.place}", loc="left", fontsize=9)
    figure.suptitle("A photo, another of its product, and what it found first", x=0.01, ha="left", fontsize=11)
    return _saved_twice(figure, path)


def side_by_side(
    bought: tuple[str, str | None], rows: Sequence[tuple[str, Sequence[tuple[str, str | None]]]], path: Path
) -> list[Path]:
    """The qualitative figure: one purchase, and under it the Top-K of each vector space; for light pages at ``path``
    and for dark ones beside it, as ``STEM-dark``.

    ``bought`` and every item are (caption, path of the photo or None); ``rows`` are (name of the space, its items).
    """
    columns = 1 + max((len(items) for _, items in rows), default=0)
    figure = _figure(1.55 * columns + 0.3, 2.35 * len(rows) + 0.5)
    axes = figure.subplots(len(rows), columns, squeeze=False)
    for line, (name, items) in zip(axes, rows, strict=True):
        for axis in line:
            axis.set_axis_off()
        _photo(line[0], *bought, edge=PAPER)
        line[0].set_title(name, loc="left", fontsize=9, fontweight="bold")
        for axis, (caption, image) in zip(line[1:], items, strict=False):
            _photo(axis, caption, image, edge="#d0d0d0")
    figure.suptitle("One purchase (left), and what each vector space recommends", x=0.01, ha="left", fontsize=11)
    return _saved_twice(figure, path)


def _photo(axis: Any, caption: str, image: str | None, edge: str) -> None:
    axis.set_axis_on()
    axis.set_xticks([])
    axis.set_yticks([])
    for spine in axis.spines.values():
        spine.set_color(edge)
    axis.set_xlabel(caption, fontsize=7, color="#444444")
    try:
        photo = open_photo(Path(image)) if image is not None else None
    except PhotoError:
        photo = None
    if photo is None:
        axis.text(0.5, 0.5, "no photo", ha="center", va="center", color=QUIET, fontsize=8, transform=axis.transAxes)
        return
    photo.thumbnail((320, 480))
    axis.imshow(np.asarray(photo), aspect="equal")


def _figure(width: float, height: float) -> "Figure":
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _plain(axis: Any) -> None:
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
    axis.tick_params(labelsize=8)


def _repaint(figure: "Figure", scheme: Scheme) -> None:
    from matplotlib.text import Text

    figure.set_facecolor(scheme.ground)
    for text in figure.findobj(Text):
        text.set_color(scheme.ink)
    for axis in figure.axes:
        axis.set_facecolor(scheme.ground)
        axis.tick_params(colors=scheme.ink)
        for spine in axis.spines.values():
            if spine.get_edgecolor() == (0, 0, 0, 1):  # others say something of the photo inside
                spine.set_color(scheme.lines)


def _saved_twice(figure: "Figure", path: Path) -> list[Path]:
    light = _saved(figure, path)
    _repaint(figure, DARK)
    return [light, _saved(figure, _dark(path))]


def _dark(path: Path) -> Path:
    return path.with_name(f"{path.stem}-dark{path.suffix}")


def _saved(figure: "Figure", path: Path) -> Path:
    figure.savefig(path, dpi=_DPI, metadata={"Software": None})
    return path
