"""What rises and falls by more than chance, and how much is bought over time."""

import math
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from modiste.arrays import Floats, Ints
from modiste.errors import SettingError


def chances(now: Ints, before: Ints) -> Floats:
    """How probable it is, for each of n things, that shares in two windows differ so much by chance: float64 (n,).

    ``now`` and ``before`` int64 (n,): how many of a window's purchases were of it. The share of a thing is held against
    that of all others together by Fisher's exact test, two-sided, so that a week in which everything sells twice is no
    news of any of them. Corrected for looking at n things at once (Benjamini and Hochberg, 1995): of those told at a
    chance of 0.05 or less, one in twenty is expected to be by chance.
    """
    total, recent = int(now.sum() + before.sum()), int(now.sum())
    both = now + before
    alone = np.ones(len(now))
    factorials = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, total + 1)))])

    def ways(of: int, some: Ints) -> Floats:  # the logarithm of how many
        found: Floats = factorials[of] - factorials[some] - factorials[of - some]
        return found

    for count in np.unique(both[both > 0]).tolist():  # the counts that differ add up to ``total`` at most
        outcomes = np.arange(max(0, count - (total - recent)), min(count, recent) + 1)
        logs = ways(recent, outcomes) + ways(total - recent, count - outcomes)
        likely = np.exp(logs - logs.max())
        rising = np.sort(likely)
        sums = np.cumsum(rising) / rising.sum()
        those = np.flatnonzero(both == count)
        seen = likely[now[those] - outcomes[0]] * (1 + 1e-9)
        alone[those] = sums[np.searchsorted(rising, seen, "right") - 1]
    order = np.argsort(-alone, kind="stable")
    corrected = alone[order] * len(alone) / np.arange(len(alone), 0, -1)
    found = np.empty(len(alone))
    found[order] = np.minimum.accumulate(corrected).clip(0, 1) if len(alone) else corrected
    return found


def popularity_over_time(times: pl.Series, start: float, days: float) -> pl.DataFrame:
    """One item's purchases by period: columns at (the period's begin), bought, popularity (the count at its end).

    ``times``: when it was bought. ``start``: its count before any of them. Periods are ``days`` long from the first
    purchase's midnight to the last purchase; those without a purchase are there too. No purchase, no row.
    """
    schema = {"at": pl.Datetime, "bought": pl.Int64, "popularity": pl.Float64}
    first, last = times.min(), times.max()
    if not isinstance(first, datetime) or not isinstance(last, datetime):
        return pl.DataFrame(schema=schema)
    period = span(days)
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


def span(days: float) -> timedelta:
    """A window's length. Raises SettingError for less than an hour or more than ten years."""
    if not (math.isfinite(days) and 1 / 24 <= days <= 3660):
        raise SettingError(f"a window must be between an hour and ten years, not {days} days")
    return timedelta(days=days)
