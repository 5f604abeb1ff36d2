"""Real purchases from a shop's table of orders."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from modiste.catalog.items import Rejected
from modiste.catalog.tables import read_table
from modiste.errors import SettingError, SourceError

EARLIEST = datetime(1970, 1, 1)
"""No order is older (UTC)."""

AHEAD = timedelta(days=1)
"""How far an order's clock may be ahead of ours."""

_REQUIRED = ("shopper_id", "item_id", "date")


@dataclass(frozen=True, slots=True)
class Purchase:
    """One item bought by one shopper at a time (UTC, without a zone).

    Purchases of several items under one ``order_id`` are the lines of one order; the same item under the same
    ``order_id`` is the same line, which a shop keeps once.
    """

    shopper_id: str
    item_id: str
    at: datetime
    order_id: str | None = None


def check_date(at: datetime) -> None:
    """Raises SettingError unless an order may be of the time ``at`` (UTC, without a zone).

    One in the future would be the newest for good: trends and fading popularity are counted from the last purchase.
    """
    if at < EARLIEST:
        raise SettingError(f"{at:%Y-%m-%d} is before {EARLIEST:%Y-%m-%d}; give the day of the order")
    if at > datetime.now(UTC).replace(tzinfo=None) + AHEAD:
        raise SettingError(f"{at:%Y-%m-%d} is in the future; give the day of the order")


def read_orders(file: Path, known_items: Collection[str]) -> tuple[list[Purchase], list[Rejected]]:
    """Read a CSV or Parquet table with shopper_id (or user_id), item_id, date (ISO) and, optionally, order_id.

    Rows without a shopper, of an unknown item or with a date that can't be (:func:`check_date`) are rejected with their
    reason.
    Raises SourceError if the file can't be read or lacks a column.
    """
    frame = read_table(file).rename({"user_id": "shopper_id", "at": "date"}, strict=False)
    if missing := [name for name in _REQUIRED if name not in frame.columns]:
        raise SourceError(f"{file}: no column {', '.join(missing)}; orders need {', '.join(_REQUIRED)}")
    orders, rejected = [], []
    for number, row in enumerate(frame.iter_rows(named=True), 2):
        shopper, item, when = (str(row[name] if row[name] is not None else "").strip() for name in _REQUIRED)
        reason = ""
        at = datetime.min
        if not shopper or shopper == "None":
            reason = "no shopper_id"
        elif item not in known_items:
            reason = f"no item {item!r} in the shop; add it first"
        else:
            try:
                at = datetime.fromisoformat(when)
                at = at if at.tzinfo is None else at.astimezone(UTC).replace(tzinfo=None)
                check_date(at)
            except SettingError as error:
                reason = str(error)
            except (ValueError, OverflowError):
                reason = f"{when!r} is not a date; write it as 2025-03-31 or 2025-03-31T14:05"
        if reason:
            rejected.append(Rejected(str(file), number, reason))
            continue
        order = row.get("order_id")
        orders.append(Purchase(shopper, item, at, None if order is None else str(order)))
    return orders, rejected
