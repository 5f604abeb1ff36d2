"""The pages' pictures, drawn here as SVG: bars, a time line, a histogram, popularity over time, a map of stores.

Nothing uses a style attribute, so a strict Content-Security-Policy may stand; colours come from the style sheet.
Every picture has its text beside it or in its title, and every text that comes from the shop is escaped.
"""

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from io import BytesIO

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import NDArray
from PIL import Image

from modiste.catalog.palette import LABELS
from modiste.vision.masks import apply_mask

KM_PER_DEGREE = 6371.0 * math.pi / 180
"""Of latitude, on the sphere that the shop's distances use."""

_QUIET = {"hair": "#8d8079", "face": "#b39b8c", "skin": "#c9b2a3"}
_HUES = (
    "#d1495b", "#00798c", "#7b5ea7", "#edae49", "#2e6fb7", "#66a182", "#e07a5f", "#3d405b", "#81b29a", "#b5838d",
    "#5c946e", "#f2cc8f", "#8f2d56", "#218380", "#fbb13c", "#73d2de", "#d81159", "#6a994e", "#bc4749", "#577590",
)  # fmt: skip


def _label_colours() -> tuple[str, ...]:
    hues = iter(_HUES)
    return ("#000000", *(_QUIET.get(name) or next(hues) for name in LABELS[1:]))


LABEL_COLOURS = _label_colours()
"""A colour for each parsing label that can be told from its neighbours; the palette's own are almost all near white."""


@dataclass(frozen=True, slots=True)
class Stop:
    """One purchase on a time line: when, where its page is, its picture (None: no photo) and what to call it."""

    at: datetime
    href: str
    picture: str | None
    name: str


@dataclass(frozen=True, slots=True)
class Place:
    """A store on the map. ``state``: ``own`` (it has the item), ``view`` (another view of the product), ``other``."""

    name: str
    latitude: float
    longitude: float
    state: str
    km: float | None = None


@dataclass(frozen=True, slots=True)
class LabelShare:
    """One label of a parse: its name, the colour that stands for it and the share of the photo that it covers."""

    name: str
    colour: str
    share: float


def bar(value: float, full: float, kind: str) -> Markup:
    """A thin bar of ``value`` where ``full`` fills it; a negative value draws nothing. Its text stands beside it."""
    width = 100 * min(max(value / full, 0.0), 1.0) if full > 0 else 0.0
    return Markup(
        '<svg class="bar term-{}" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true" focusable="false">'
        '<rect class="track" width="100" height="8"/><rect class="fill" width="{}" height="8"/></svg>'
    ).format(kind, f"{width:.1f}")


def swatch(colour: str) -> Markup:
    """A small square of ``colour`` (#rrggbb) for a legend."""
    return Markup(
        '<svg class="swatch" viewBox="0 0 10 10" aria-hidden="true" focusable="false">'
        '<rect width="10" height="10" rx="2" fill="{}"/></svg>'
    ).format(colour)


def timeline(stops: Sequence[Stop]) -> Markup:
    """Purchases from left to right at their dates, each joined by a line to its picture below. Needs one at least."""
    gap, top, wide, tall = 100, 48, 84, 112
    width = max(800, gap * len(stops) + 24)
    first, last = min(stop.at for stop in stops), max(stop.at for stop in stops)
    start, end = _months_around(first, last)
    span = (end - start).total_seconds()

    def across(at: datetime) -> float:
        return 12 + (width - 24) * (at - start).total_seconds() / span

    parts = [f'<line class="axis" x1="12" x2="{width - 12}" y1="24" y2="24"/>']
    for mark, text in _ticks(start, end):
        x = across(mark)
        parts.append(f'<line class="tick" x1="{x:.1f}" x2="{x:.1f}" y1="20" y2="28"/>')
        if x < width - 40:
            parts.append(f'<text class="small" x="{x + 3:.1f}" y="15">{text}</text>')
    places = _spread([across(stop.at) for stop in stops], gap, 12 + gap / 2, width - 12 - gap / 2)
    for stop, x in zip(stops, places, strict=True):
        at = across(stop.at)
        parts.append(f'<path class="leader" d="M{at:.1f} 24 C{at:.1f} 40 {x:.1f} 32 {x:.1f} {top}"/>')
    for stop, x in zip(stops, places, strict=True):
        day = f"{stop.at:%d %b %Y}"
        picture = (
            Markup(
                '<image href="{}" x="{}" y="{}" width="{}" height="{}" preserveAspectRatio="xMidYMin slice"/>'
            ).format(stop.picture, f"{x - wide / 2:.1f}", top, wide, tall)
            if stop.picture
            else Markup('<text class="small mid" x="{}" y="{}">no photo</text>').format(f"{x:.1f}", top + tall // 2)
        )
        parts.append(
            Markup(
                '<a href="{}" aria-label="{}, bought {}"><circle class="dot" cx="{}" cy="24" r="5"/>'
                '<rect class="frame" x="{}" y="{}" width="{}" height="{}" rx="6"/>{}'
                '<text class="small mid" x="{}" y="{}">{}</text></a>'
            ).format(
                stop.href, stop.name, day, f"{across(stop.at):.1f}", f"{x - wide / 2:.1f}", top, wide, tall, picture,
                f"{x:.1f}", top + tall + 16, f"{stop.at:%d %b}",
            )
        )  # fmt: skip
    return _svg("timeline", width, top + tall + 24, "".join(parts), fixed=True, role="group", title="Purchases by date")


def _months_around(first: datetime, last: datetime) -> tuple[datetime, datetime]:
    """The start of the month of ``first`` and of the month after ``last``: at least a month apart, or almost."""
    start = first.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    if (last.year, last.month) == (datetime.max.year, 12):
        return start, datetime.max
    year, month = divmod(last.year * 12 + last.month, 12)
    return start, last.replace(year=year, month=month + 1, day=1, hour=0, minute=0, second=0, microsecond=0)


def _ticks(start: datetime, end: datetime) -> list[tuple[datetime, str]]:
    """Starts of months, or of years where there are more than two years, at most about twelve of them."""
    months = (end.year - start.year) * 12 + end.month - start.month
    step = next((step for step in (1, 2, 3, 6) if months / step <= 13), 12 * math.ceil(months / 12 / 12))
    found = []
    for number in range(0, months + 1, step):
        year, month = divmod(start.year * 12 + start.month - 1 + number, 12)
        if year > datetime.max.year:
            break
        at = datetime(year, month + 1, 1)
        found.append((at, f"{at:%Y}" if step >= 12 else f"{at:%b %Y}" if at.month == 1 or not number else f"{at:%b}"))
    return found


def _spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Places near ``wanted`` (ascending), ``gap`` apart, in [low, high] where they fit."""
    placed = list(wanted)
    for number, place in enumerate(placed):
        placed[number] = max(place, low if number == 0 else placed[number - 1] + gap)
    for number in reversed(range(len(placed))):
        placed[number] = min(placed[number], high if number == len(placed) - 1 else placed[number + 1] - gap)
    return placed


def histogram(values: Sequence[float], mark: float, bins: int = 20) -> Markup:
    """How many shoppers have each trendiness in [0, 1], and where one of them (``mark``) stands."""
    counts, _ = np.histogram(np.asarray(values, dtype=float), bins=bins, range=(0.0, 1.0))
    width, base, tall = 300, 112, 80
    most = max(int(counts.max(initial=0)), 1)
    step = width / bins
    hers = min(int(mark * bins), bins - 1)
    parts = []
    for number, count in enumerate(counts.tolist()):
        height = tall * count / most
        kind = "column hers" if number == hers else "column"
        parts.append(
            f'<rect class="{kind}" x="{10 + number * step + 1:.1f}" y="{base - height:.1f}" '
            f'width="{step - 2:.1f}" height="{height:.1f}"/>'
        )
    x = 10 + width * mark
    parts.append(f'<line class="axis" x1="10" x2="{10 + width}" y1="{base}" y2="{base}"/>')
    parts.append(f'<path class="pointer" d="M{x:.1f} {base - 4} V24 M{x - 5:.1f} 17 H{x + 5:.1f} L{x:.1f} 25 Z"/>')
    parts.append(f'<text class="strong mid" x="{min(max(x, 26), width - 6):.1f}" y="12">{mark:.2f}</text>')
    for value, anchor in ((0, ""), (0.5, " mid"), (1, " end")):
        parts.append(f'<text class="small{anchor}" x="{10 + width * value:.0f}" y="{base + 15}">{value:g}</text>')
    parts.append(f'<text class="small" x="10" y="{base + 31}">likes the unusual</text>')
    parts.append(f'<text class="small end" x="{10 + width}" y="{base + 31}">follows the trend</text>')
    below = float((np.asarray(values, dtype=float) < mark).mean()) if len(values) else 0.0
    title = f"Trendiness {mark:.2f}; {below:.0%} of {len(values)} shoppers are below."
    return _svg("histogram", width + 20, base + 38, "".join(parts), title=title)


def history(starts: Sequence[datetime], bought: Sequence[int], popularity: Sequence[float], days: float) -> Markup:
    """An item's popularity over time as a line, and its purchases in each period of ``days`` as columns under it."""
    width, base, tall, left = 640, 190, 150, 44
    first = popularity[0] - bought[0]
    low, high = min(first, *popularity), max(popularity)
    if high - low < 1:
        high = low + 1
    long = timedelta(days=days)
    ends = [at + long if at < datetime.max - long else datetime.max for at in starts]
    start, span = starts[0], max((ends[-1] - starts[0]).total_seconds(), 1.0)

    def across(at: datetime) -> float:
        return left + (width - left - 10) * (at - start).total_seconds() / span

    def up(value: float) -> float:
        return base - tall * (value - low) / (high - low)

    parts = []
    for value in _nice_steps(low, high):
        parts.append(f'<line class="grid" x1="{left}" x2="{width - 10}" y1="{up(value):.1f}" y2="{up(value):.1f}"/>')
        parts.append(f'<text class="small end" x="{left - 6}" y="{up(value) + 4:.1f}">{value:,.0f}</text>')
    year = ""
    for at, text in _ticks(*_months_around(start, ends[-1])):
        if start <= at <= ends[-1]:
            x = across(at)
            parts.append(f'<line class="tick" x1="{x:.1f}" x2="{x:.1f}" y1="{base}" y2="{base + 5}"/>')
            if x < width - 40:
                told = text if year or text.endswith(f"{at:%Y}") else f"{text} {at:%Y}"
                year = f"{at:%Y}"
                parts.append(f'<text class="small" x="{x:.1f}" y="{base + 17}">{told}</text>')
    most = max(max(bought), 1)
    for at, end, count in zip(starts, ends, bought, strict=True):
        if count:
            height = 46 * count / most
            parts.append(
                f'<rect class="column" x="{across(at) + 0.5:.1f}" y="{base - height:.1f}" '
                f'width="{max(across(end) - across(at) - 1, 1.5):.1f}" height="{height:.1f}"/>'
            )
    line = " ".join(f"L{across(end):.1f} {up(value):.1f}" for end, value in zip(ends, popularity, strict=True))
    begin = up(first)
    parts.append(f'<path class="area" d="M{left} {base} L{left} {begin:.1f} {line} V{base} Z"/>')
    parts.append(f'<path class="line" d="M{left} {begin:.1f} {line}"/>')
    parts.append(f'<line class="axis" x1="{left}" x2="{width - 10}" y1="{base}" y2="{base}"/>')
    title = (
        f"Popularity from {first:,.0f} to {popularity[-1]:,.0f} between {start:%d %b %Y} and "
        f"{ends[-1]:%d %b %Y}; {sum(bought)} purchases."
    )
    return _svg("history", width, base + 24, "".join(parts), title=title)


def _nice_steps(low: float, high: float, wanted: int = 4) -> list[float]:
    """Round whole numbers in [low, high], at most about ``wanted`` of them."""
    step = max(_nice((high - low) / wanted), 1.0)
    return [number * step for number in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def _nice(size: float) -> float:
    """The smallest of 1, 2, 5 × 10ⁿ that is at least ``size``."""
    power = 10.0 ** math.floor(math.log10(max(size, 1e-9)))
    return next(times * power for times in (1, 2, 5, 10) if times * power >= size * (1 - 1e-9))


def store_map(places: Sequence[Place], here: tuple[float, float] | None, here_name: str = "here") -> Markup:
    """Stores and the place that distances are measured from, north up, with a scale bar and rings of distance.

    Degrees become kilometres around the middle of all points, which is right within a city and good enough within a
    country. Needs one store at least.
    """
    width, height, edge = 520, 380, 46
    points = [(place.latitude, place.longitude) for place in places] + ([here] if here else [])
    latitudes, longitudes = [point[0] for point in points], [point[1] for point in points]
    middle = (min(latitudes) + max(latitudes)) / 2, (min(longitudes) + max(longitudes)) / 2
    squeeze = max(math.cos(math.radians(middle[0])), 0.01)
    wide = max((max(longitudes) - min(longitudes)) * KM_PER_DEGREE * squeeze, 0.5)
    high = max((max(latitudes) - min(latitudes)) * KM_PER_DEGREE, 0.5)
    scale = min((width - 2 * edge - 40) / wide, (height - 2 * edge) / high)  # pixels a km

    def at(latitude: float, longitude: float) -> tuple[float, float]:
        x = width / 2 + (longitude - middle[1]) * KM_PER_DEGREE * squeeze * scale
        return x, height / 2 - (latitude - middle[0]) * KM_PER_DEGREE * scale

    parts = [f'<rect class="sea" width="{width}" height="{height}" rx="10"/>']
    if here:
        x, y = at(*here)
        step = _nice(min(wide, high) / 2.5)
        for ring in range(1, 6):
            radius = ring * step * scale
            if radius < 1.2 * width:
                parts.append(f'<circle class="ring" cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}"/>')
                if y - radius > 14:
                    parts.append(
                        f'<text class="small mid faint" x="{x:.1f}" y="{y - radius - 3:.1f}">{ring * step:g} km</text>'
                    )
    taken: list[tuple[float, float, float, float]] = []
    order = sorted(places, key=lambda place: ("own", "view", "other").index(place.state))
    for place in order:
        x, y = at(place.latitude, place.longitude)
        radius = 9 if place.state == "own" else 6
        parts.append(f'<circle class="store {place.state}" cx="{x:.1f}" cy="{y:.1f}" r="{radius}"/>')
        if (spot := _room(x, y, place.name, taken, width, height)) is not None:
            parts.append(
                Markup('<text class="name {}{}" x="{}" y="{}">{}</text>').format(
                    place.state, spot[2], f"{spot[0]:.1f}", f"{spot[1]:.1f}", place.name
                )
            )
    if here:
        x, y = at(*here)
        parts.append(
            Markup('<path class="here" d="M{} {} l5 10 h-10 z m0 0 l5 -10 h-10 z"/>').format(f"{x:.1f}", f"{y:.1f}")
        )
        if (spot := _room(x, y, here_name, taken, width, height)) is not None:
            parts.append(
                Markup('<text class="name here{}" x="{}" y="{}">{}</text>').format(
                    spot[2], f"{spot[0]:.1f}", f"{spot[1]:.1f}", here_name
                )
            )
    length = _nice(70 / scale)
    x, y = 18, height - 16
    parts.append(f'<path class="scale" d="M{x} {y - 6} V{y} H{x + length * scale:.1f} V{y - 6}"/>')
    text = f"{length:g} km" if length >= 1 else f"{length * 1000:g} m"
    parts.append(f'<text class="small mid" x="{x + length * scale / 2:.1f}" y="{y - 7}">{text}</text>')
    x = width - 24
    parts.append(f'<path class="north" d="M{x} 34 V14 m-5 7 l5 -8 5 8"/>')
    parts.append(f'<text class="small mid" x="{x}" y="47">N</text>')
    have = [place.name for place in places if place.state == "own"]
    title = f"Map of {len(places)} stores" + (f"; {', '.join(have)} has the item" if have else "")
    return _svg("map", width, height, "".join(parts), title=title)


def _room(
    x: float, y: float, text: str, taken: list[tuple[float, float, float, float]], width: float, height: float
) -> tuple[float, float, str] | None:
    """Where a label of a point finds room: (x, y, class of its anchor), or None; notes the box in ``taken``."""
    long = 7.2 * len(text)
    for dx, dy, left, anchor in (
        (13, 4, 13.0, ""), (-13, 4, -13 - long, " end"), (0, -13, -long / 2, " mid"), (0, 21, -long / 2, " mid"),
    ):  # fmt: skip
        box = (x + left, y + dy - 12, x + left + long, y + dy + 3)
        inside = box[0] >= 4 and box[2] <= width - 4 and box[1] >= 4 and box[3] <= height - 22
        if inside and not any(box[0] < b[2] and b[0] < box[2] and box[1] < b[3] and b[1] < box[3] for b in taken):
            taken.append(box)
            return x + dx, y + dy, anchor
    return None


def shares(labels: NDArray[np.uint8]) -> list[LabelShare]:
    """The labels of a parse without the background, largest share of the photo first."""
    counts = np.bincount(labels.ravel(), minlength=len(LABELS))[: len(LABELS)]
    found = [
        LabelShare(LABELS[number], LABEL_COLOURS[number], float(counts[number] / labels.size))
        for number in np.flatnonzero(counts)
        if number
    ]
    return sorted(found, key=lambda one: -one.share)


def parse_overlay(labels: NDArray[np.uint8], height: int = 480) -> str:
    """The parse as a data URI to lie over its photo: a PNG in LABEL_COLOURS whose background is clear."""
    every = max(1, math.ceil(labels.shape[0] / height))
    picture = Image.fromarray(np.ascontiguousarray(labels[::every, ::every])).convert("L")
    picture.putpalette(b"".join(bytes.fromhex(colour[1:]) for colour in LABEL_COLOURS))
    return data_uri(picture, "PNG", transparency=bytes([0] + [255] * (len(LABELS) - 1)))


def cut_out(photo: Image.Image, keep: NDArray[np.bool_], size: tuple[int, int]) -> Image.Image:
    """The photo at ``size`` (width, height), white where ``keep`` (of the whole photo) is false."""
    left = Image.fromarray(apply_mask(np.asarray(photo), keep, (255, 255, 255)))
    return left.resize(size, Image.Resampling.LANCZOS)


def data_uri(picture: Image.Image, kind: str = "JPEG", **options: object) -> str:
    """The picture as a data URI, JPEG or PNG."""
    buffer = BytesIO()
    picture.save(buffer, kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _svg(
    kind: str, width: int, height: int, inside: str, *, title: str, fixed: bool = False, role: str = "img"
) -> Markup:
    size = f' width="{width}" height="{height}"' if fixed else ""
    whole = (
        f'<svg class="chart {kind}" viewBox="0 0 {width} {height}"{size} role="{role}" aria-label="{escape(title)}">'
        f"{inside}</svg>"
    )
    return Markup(whole)  # noqa: S704  (its texts are escaped above)
