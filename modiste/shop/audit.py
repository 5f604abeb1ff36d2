"""``shop.audit``: who changed what, and when. It names no shopper, and forgets after a year."""

from datetime import timedelta

import polars as pl
import sqlalchemy as sa

from modiste.catalog.values import utc_now
from modiste.shop import schema
from modiste.shop.storage import Storage

KEPT = timedelta(days=365)
"""For so long it is known who changed what."""


class Audit:
    """A shop's audit trail."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def add(self, who: str, what: str, about: str = "") -> None:
        """Note that ``who`` did ``what`` with ``about`` (an item, a key, a user; never a shopper) now."""
        table, now = schema.audit, utc_now()
        with self._storage.aside() as connection:
            connection.execute(table.delete().where(table.c.at < now - KEPT))
            connection.execute(table.insert().values(at=now, who=who, what=what, about=about))

    def __len__(self) -> int:
        return self._storage.count(schema.audit)

    def frame(self, most: int = 100, skip: int = 0) -> pl.DataFrame:
        """The last ``most`` changes before the last ``skip``, the newest first.

        Columns at (UTC), who, what, about.
        """
        table = schema.audit.c
        wanted = sa.select(table.at, table.who, table.what, table.about).order_by(table.audit_id.desc())
        return self._storage.frame(wanted.limit(most).offset(skip))
