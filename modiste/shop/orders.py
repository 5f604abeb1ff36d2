"""Real purchases from a shop's table of orders."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from modiste.catalog.items import Rejected
from modiste.catalog.tables import read_table
from modiste.errors import SourceError

_REQUIRED = ("shopper_id", "item_id", "date")


@dataclass(frozen=True, slots=True)
class Purchase:
    """One item bought by one shopper at a time (UTC, without a zone). Purchases with one ``order_id`` are one."""

    shopper_id: str
    item_id: str
    at: datetime
    order_id: str | None = None


def read_orders(file: Path, known_items: Collection[str]) -> tuple[list[Purchase], list[Rejected]]:
    """Read a CSV or Parquet table with shopper_id (or user_id), item_id, date (ISO) and, optionally, order_id.

    Rows without a shopper, of an unknown item or with an unreadable date are rejected with their reason.
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
            except ValueError:
                reason = f"{when!r} is not a date; write it as 2025-03-31 or 2025-03-31T14:05"
        if reason:
            rejected.append(Rejected(str(file), number, reason))
            continue
        if at.tzinfo is not None:
            at = at.astimezone(UTC).replace(tzinfo=None)
        order = row.get("order_id")
        orders.append(Purchase(shopper, item, at, None if order is None else str(order)))
    return orders, rejected
