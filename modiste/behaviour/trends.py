"""What is bought now: purchases of a window beside those of the window before, and an item's popularity over time."""

import math
from datetime import datetime, timedelta

import polars as pl

from modiste.errors import SettingError


def bought_lately(purchases: pl.DataFrame, days: float, at: datetime) -> pl.DataFrame:
    """Columns item_id, bought (purchases in the ``days`` up to ``at``), before (in as many days before those).

    ``purchases``: columns item_id and at. Items without a purchase in either window are left out.
    """
    window = _span(days)
    recent = pl.col("at") > at - window
    return (
        purchases.filter(pl.col("at").is_between(at - 2 * window, at, closed="right"))
        .group_by("item_id")
        .agg(bought=recent.sum().cast(pl.Int64), before=(~recent).sum().cast(pl.Int64))
    )


def popularity_over_time(times: pl.Series, start: float, days: float) -> pl.DataFrame:
    """One item's purchases by period: columns at (the period's begin), bought, popularity (the count at its end).

    ``times``: when it was bought. ``start``: its count before any of them. Periods are ``days`` long from the first
    purchase's midnight to the last purchase; those without a purchase are there too. No purchase, no row.
    """
    schema = {"at": pl.Datetime, "bought": pl.Int64, "popularity": pl.Float64}
    first, last = times.min(), times.max()
    if not isinstance(first, datetime) or not isinstance(last, datetime):
        return pl.DataFrame(schema=schema)
    period = _span(days)
    begin = first.replace(hour=0, minute=0, second=0, microsecond=0)
    periods = int((last - begin) / period) + 1
    number = ((times - begin).dt.total_microseconds() // (period // timedelta(microseconds=1))).cast(pl.Int64)
    counted = pl.DataFrame({"number": number}).group_by("number").len("bought")
    return (
        pl.DataFrame({"number": range(periods)}, schema={"number": pl.Int64})
        .join(counted, on="number", how="left", maintain_order="left")
        .select(
            at=pl.lit(begin, pl.Datetime) + pl.col("number") * pl.lit(period, pl.Duration),
            bought=pl.col("bought").fill_null(0).cast(pl.Int64),
        )
        .with_columns(popularity=start + pl.col("bought").cum_sum().cast(pl.Float64))
    )


def by_month(times: pl.Series) -> pl.DataFrame:
    """How many of ``times`` are in each calendar month from the first to the last: columns month (text such as
    2025-03) and count."""
    months = times.drop_nulls().dt.strftime("%Y-%m").value_counts(name="count").rename({times.name: "month"})
    if months.is_empty():
        return months
    first, last = (str(end).split("-") for end in (months["month"].min(), months["month"].max()))
    low, high = (12 * int(year) + int(month) - 1 for year, month in (first, last))
    every = [f"{number // 12:04d}-{number % 12 + 1:02d}" for number in range(low, high + 1)]
    return pl.DataFrame({"month": every}).join(months, on="month", how="left", maintain_order="left").fill_null(0)


def _span(days: float) -> timedelta:
    if not (math.isfinite(days) and 1 / 24 <= days <= 3660):
        raise SettingError(f"a window must be between an hour and ten years, not {days} days")
    return timedelta(days=days)
