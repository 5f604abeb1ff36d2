"""What shoppers did, from a shop's table of orders or log of events."""

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


KINDS = ("view", "cart", "purchase", "return", "cancel")
"""What a shopper can do with an item. A return or a cancellation takes a purchase back."""


@dataclass(frozen=True, slots=True)
class Event:
    """What one shopper did with one item at a time (UTC, without a zone).

    Events of several items under one ``order_id`` are the lines of one order. ``line`` is the shop's own key of the
    order's line, where it gives one. ``quantity`` is 1 or more.
    """

    shopper_id: str
    item_id: str
    at: datetime
    kind: str = "purchase"
    quantity: int = 1
    order_id: str | None = None
    line: str | None = None


@dataclass(frozen=True)
class Events:
    """What a table of orders or events holds, in its order, and what was not taken."""

    events: list[Event]
    rejected: list[Rejected]


def read_events(file: Path, known_items: Collection[str]) -> Events:
    """Read a table with shopper_id (or user_id, or both), item_id, date (or at) and, optionally, order_id.

    Rows without a shopper, of an unknown item or with a date that can't be (:func:`~modiste.catalog.values.moment`)
    are rejected with their reason.
    Raises SourceError if the file can't be read, lacks a column or has no rows.
    """

    def purchase(row: Mapping[str, str]) -> Event:
        shopper = row["shopper_id"] or row.get("user_id", "")
        if shopper in ("", "None"):
            raise SettingError("no shopper_id")
        if row["item_id"] not in known_items:
            raise SettingError(f"no item {row['item_id'][:80]!r} in the shop; add it first")
        order = row.get("order_id")
        return Event(
            identifier(shopper, "shopper_id"),
            row["item_id"],
            moment(row["date"]),
            order_id=identifier(order, "order_id") if order else None,
        )

    taken, rejected = read_rows(file, "orders", _REQUIRED, _WORDS).parse(purchase)
    return Events([one for _, one in taken], rejected)
