"""What the pages' pictures show and where: a time line, a histogram, popularity over time, a map of stores.

They are drawn by the templates in ``templates/charts``. Nothing there uses a style attribute, so a strict
Content-Security-Policy may stand; colours come from the style sheet. Every picture has its text in its title.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from markupsafe import Markup

from modiste.ask import Position
from modiste.server.pages.rendering import drawn

KM_PER_DEGREE = 6371.0 * math.pi / 180
"""Of latitude, on the sphere that the shop's distances use."""

STATES = ("own", "view", "other")
"""What a store has, in the order in which stores are listed: the item, another view of its product, neither."""


def timeline(purchases: Sequence[Mapping[str, Any]]) -> Markup:
    """Purchases (an item each, with ``at``) from left to right at their dates, each joined by a line to its picture.

    Needs one at least, in the order made.
    """
    gap, width = 100, max(800, 100 * len(purchases) + 24)
    start, end = _months_around(purchases[0]["at"], purchases[-1]["at"])
    across = _across(start, end, 12, width - 12)
    dots = [across(one["at"]) for one in purchases]
    pictures = _spread(dots, gap, 12 + gap / 2, width - 12 - gap / 2)
    ticks = [(across(at), text) for at, text in _ticks(start, end)]
    return drawn("timeline", width=width, ticks=ticks, purchases=list(zip(purchases, dots, pictures, strict=True)))


def histogram(values: Sequence[float], mark: float, bins: int = 20) -> Markup:
    """How many shoppers have each trendiness in [0, 1], and where one of them (``mark``) stands."""
    everyone = np.asarray(values, dtype=float)
    counts, _ = np.histogram(everyone, bins=bins, range=(0.0, 1.0))
    heights = 80 * counts / max(int(counts.max(initial=0)), 1)
    below = float((everyone < mark).mean()) if len(values) else 0.0
    hers = min(int(mark * bins), bins - 1)
    return drawn("histogram", heights=heights.tolist(), hers=hers, mark=mark, below=below, everyone=len(values))


def history(starts: Sequence[datetime], bought: Sequence[int], popularity: Sequence[float], days: float) -> Markup:
    """An item's popularity over time as a line, and its purchases in each period of ``days`` as columns under it."""
    left, right, base, tall = 44, 630, 190, 150
    first = popularity[0] - bought[0]
    low, high = min(first, *popularity), max(popularity)
    if high - low < 1:
        high = low + 1
    long = timedelta(days=days)
    ends = [at + long if at < datetime.max - long else datetime.max for at in starts]
    across = _across(starts[0], ends[-1], left, right)

    def up(value: float) -> float:
        return base - tall * (value - low) / (high - low)

    ticks = [(across(at), at, text) for at, text in _ticks(*_months_around(starts[0], ends[-1]))]
    ticks = [(x, at, text) for x, at, text in ticks if starts[0] <= at <= ends[-1]]
    if ticks and not ticks[0][2].endswith(f"{ticks[0][1]:%Y}"):
        ticks[0] = (*ticks[0][:2], f"{ticks[0][2]} {ticks[0][1]:%Y}")
    most = max(max(bought), 1)
    columns = [
        (across(at) + 0.5, max(across(end) - across(at) - 1, 1.5), 46 * count / most)
        for at, end, count in zip(starts, ends, bought, strict=True)
        if count
    ]
    return drawn(
        "history",
        grid=[(up(value), value) for value in _nice_steps(low, high)],
        ticks=ticks,
        columns=columns,
        line=[(left, up(first)), *((across(end), up(value)) for end, value in zip(ends, popularity, strict=True))],
        first=first,
        last=popularity[-1],
        start=starts[0],
        end=ends[-1],
        purchases=sum(bought),
    )


def store_map(stores: Sequence[Mapping[str, Any]], here: Position | None, here_name: str = "here") -> Markup:
    """Stores, each with its ``state``, and the position that distances are measured from, north up.

    Degrees become kilometres around the middle of all points, which is right within a city and good enough within a
    country. Needs one store at least.
    """
    width, height, edge = 520, 380, 46
    points = [(store["latitude"], store["longitude"]) for store in stores] + ([here] if here else [])
    latitudes, longitudes = [point[0] for point in points], [point[1] for point in points]
    middle = (min(latitudes) + max(latitudes)) / 2, (min(longitudes) + max(longitudes)) / 2
    squeeze = max(math.cos(math.radians(middle[0])), 0.01)
    wide = max((max(longitudes) - min(longitudes)) * KM_PER_DEGREE * squeeze, 0.5)
    high = max((max(latitudes) - min(latitudes)) * KM_PER_DEGREE, 0.5)
    scale = min((width - 2 * edge - 40) / wide, (height - 2 * edge) / high)  # pixels a km

    def at(latitude: float, longitude: float) -> tuple[float, float]:
        x = width / 2 + (longitude - middle[1]) * KM_PER_DEGREE * squeeze * scale
        return x, height / 2 - (latitude - middle[0]) * KM_PER_DEGREE * scale

    taken: list[tuple[float, float, float, float]] = []
    shown = []
    for store in sorted(stores, key=lambda one: STATES.index(one["state"])):
        x, y = at(store["latitude"], store["longitude"])
        shown.append((store, x, y, _room(x, y, store["name"], taken, width, height)))
    centre = None
    if here:
        x, y = at(*here)
        centre = (x, y, _room(x, y, here_name, taken, width, height))
    step, length = _nice(min(wide, high) / 2.5), _nice(70 / scale)
    return drawn(
        "map",
        width=width,
        height=height,
        stores=shown,
        here=centre,
        here_name=here_name,
        rings=[(ring * step, ring * step * scale) for ring in range(1, 6) if ring * step * scale < 1.2 * width],
        length=length,
        bar=length * scale,
        own=", ".join(store["name"] for store in stores if store["state"] == "own"),
    )


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


def _across(start: datetime, end: datetime, left: float, right: float) -> Callable[[datetime], float]:
    """Where a time between ``start`` and ``end`` is, from ``left`` to ``right``."""
    span = max((end - start).total_seconds(), 1.0)
    return lambda at: left + (right - left) * (at - start).total_seconds() / span


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
    ticks = []
    for number in range(0, months + 1, step):
        year, month = divmod(start.year * 12 + start.month - 1 + number, 12)
        if year > datetime.max.year:
            break
        at = datetime(year, month + 1, 1)
        ticks.append((at, f"{at:%Y}" if step >= 12 else f"{at:%b %Y}" if at.month == 1 or not number else f"{at:%b}"))
    return ticks


def _spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Numbers near ``wanted`` (ascending), ``gap`` apart, in [low, high] where they fit."""
    spread = list(wanted)
    for number, one in enumerate(spread):
        spread[number] = max(one, low if number == 0 else spread[number - 1] + gap)
    for number in reversed(range(len(spread))):
        spread[number] = min(spread[number], high if number == len(spread) - 1 else spread[number + 1] - gap)
    return spread


def _nice_steps(low: float, high: float, wanted: int = 4) -> list[float]:
    """Round whole numbers in [low, high], at most about ``wanted`` of them."""
    step = max(_nice((high - low) / wanted), 1.0)
    return [number * step for number in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def _nice(size: float) -> float:
    """The smallest of 1, 2, 5 × 10ⁿ that is at least ``size``."""
    power = 10.0 ** math.floor(math.log10(max(size, 1e-9)))
    return next(times * power for times in (1, 2, 5, 10) if times * power >= size * (1 - 1e-9))
