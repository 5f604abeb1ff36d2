"""What sells now against the window before: of each item, category, colour or price band, with its chance."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, cast

import numpy as np
import polars as pl
import sqlalchemy as sa

from modiste.arrays import Floats
from modiste.behaviour.trends import chances, span
from modiste.errors import SettingError
from modiste.shop import schema
from modiste.shop.storage import frame

GROUPS = ("category", "colour", "price")
"""By what trends are told, beside single items."""

BANDS = 5
"""Price bands with about as many items each."""

UNUSUAL = 0.05
"""A change of at most this chance is told as one: of those told, one in twenty is expected to be by chance."""


def compared(
    connection: sa.Connection, window: float, now: datetime, by: sa.ColumnElement[Any] | None = None
) -> pl.DataFrame:
    """Purchases of the ``window`` days up to ``now`` beside those of as many days before, of what sold in either.

    ``by``: what of items they are counted by, by default the item. Columns name, bought and before (pieces), buyers and
    buyers_before (shoppers; one who buys often is no trend), chance (that buyers' shares differ so by chance, corrected
    for how many names there are) and rises (whether the share grew). Raises SettingError for a window that can't be.
    """
    table, items, length = schema.events.c, schema.items.c, span(window)
    first, middle = now - min(2 * length, now - datetime.min), now - min(length, now - datetime.min)
    name, lately = items.item_id if by is None else by, table.at > middle

    def counted(when: sa.ColumnElement[bool]) -> list[sa.ColumnElement[int]]:
        return [
            sa.func.sum(sa.case((when, table.kept), else_=0)),
            sa.func.count(sa.case((when, table.shopper_id)).distinct()),
        ]

    (bought, buyers), (before, buyers_before) = counted(lately), counted(sa.not_(lately))
    wanted = (
        sa.select(
            sa.type_coerce(name, sa.String).label("name"),
            sa.type_coerce(bought, sa.Integer).label("bought"),
            sa.type_coerce(before, sa.Integer).label("before"),
            sa.type_coerce(buyers, sa.Integer).label("buyers"),
            sa.type_coerce(buyers_before, sa.Integer).label("buyers_before"),
        )
        .select_from(schema.events.join(schema.items))
        .where(schema.BOUGHT, table.at > first, table.at <= now, name.is_not(None))
        .group_by(name)
        .order_by(name)
    )
    found = frame(connection, cast(sa.Select[Any], wanted))
    recent, earlier = (found[one].to_numpy().astype(np.int64) for one in ("buyers", "buyers_before"))
    rises = recent * max(int(earlier.sum()), 1) > earlier * max(int(recent.sum()), 1)
    return found.with_columns(chance=pl.Series(chances(recent, earlier), dtype=pl.Float64), rises=pl.Series(rises))


def grouped(
    connection: sa.Connection, window: float, now: datetime, by: str, prices: Floats, currency: str | None = None
) -> pl.DataFrame:
    """As :func:`compared`, by one of GROUPS, the most bought first; ``prices`` are those of all items.

    Raises SettingError for what is none of GROUPS.
    """
    items = schema.items.c
    if by not in GROUPS:
        raise SettingError(f"there are no trends by {by!r}; there are: {', '.join(GROUPS)}")
    column: sa.ColumnElement[Any] = items.category if by == "category" else items.colour
    if by == "price":
        bands = price_bands(prices, currency)
        if not bands:
            return compared(connection, window, now).clear()
        column = sa.case(
            *((items.price < high, label) for high, label in bands if high is not None), else_=bands[-1][1]
        )
        column = sa.case((items.price.is_not(None), column))
    return compared(connection, window, now, column).sort("bought", "name", descending=[True, False])


def price_bands(prices: Floats, currency: str | None = None) -> list[tuple[float | None, str]]:
    """Up to BANDS bands with about as many of ``prices`` each: where each ends (below; None: nowhere), and its name."""
    known = prices[np.isfinite(prices)]
    if not len(known):
        return []
    ends = [float(f"{one:.2g}") for one in np.quantile(known, np.arange(1, BANDS) / BANDS).tolist()]
    ends = sorted({one for one in ends if float(known.min()) < one <= float(known.max())})
    money = f" {currency}" if currency else ""
    names = [f"{low:g} to {high:g}{money}" for low, high in pairwise(ends)]
    if not ends:
        return [(None, f"{float(known.min()):g}{money}")]
    return list(zip([*ends, None], [f"under {ends[0]:g}{money}", *names, f"{ends[-1]:g}{money} and more"], strict=True))


def unusual(found: pl.DataFrame, rises: bool, top: int) -> pl.DataFrame:
    """Those of :func:`compared` that rise (or fall) by more than chance, the least probable first."""
    told = found.filter((pl.col("chance") <= UNUSUAL) & (pl.col("rises") == rises))
    return told.sort("chance", "bought", "name", descending=[False, rises, False]).head(top)


def by_week(connection: sa.Connection, weeks: int, now: datetime) -> Sequence[tuple[datetime, int]]:
    """How many pieces were sold in each of the last weeks up to ``now``, the earliest first, each with its begin."""
    table, last = schema.events.c, now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    begins = [last - timedelta(days=7 * number) for number in range(weeks, 0, -1)]
    sums = [
        sa.func.coalesce(sa.func.sum(sa.case(((table.at >= at) & (table.at < at + timedelta(days=7)), table.kept))), 0)
        for at in begins
    ]
    wanted = sa.select(*sums).where(schema.BOUGHT, table.at >= begins[0], table.at < last)
    return list(zip(begins, map(int, connection.execute(wanted).one()), strict=True))
