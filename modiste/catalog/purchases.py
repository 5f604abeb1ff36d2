"""Real purchases from a shop's table of orders."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from modiste.catalog.items import Rejected
from modiste.catalog.tables import read_rows
from modiste.catalog.values import identifier, moment
from modiste.errors import SettingError

_REQUIRED = ("shopper_id", "item_id", "date")
_WORDS = {"shopper_id": ("user_id",), "item_id": (), "date": ("at",), "order_id": ()}


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


def read_purchases(file: Path, known_items: Collection[str]) -> tuple[list[Purchase], list[Rejected]]:
    """Read a table with shopper_id (or user_id, or both), item_id, date (or at) and, optionally, order_id.

    Rows without a shopper, of an unknown item or with a date that can't be (:func:`~modiste.catalog.values.moment`)
    are rejected with their reason.
    Raises SourceError if the file can't be read, lacks a column or has no rows.
    """

    def purchase(row: Mapping[str, str]) -> Purchase:
        shopper = row["shopper_id"] or row.get("user_id", "")
        if shopper in ("", "None"):
            raise SettingError("no shopper_id")
        if row["item_id"] not in known_items:
            raise SettingError(f"no item {row['item_id'][:80]!r} in the shop; add it first")
        order = row.get("order_id")
        return Purchase(
            identifier(shopper, "shopper_id"),
            row["item_id"],
            moment(row["date"]),
            identifier(order, "order_id") if order else None,
        )

    taken, rejected = read_rows(file, "orders", _REQUIRED, _WORDS).parse(purchase)
    return [one for _, one in taken], rejected
