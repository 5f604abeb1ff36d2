"""A purchase, as a shop records it."""

from dataclasses import dataclass
from datetime import datetime


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
