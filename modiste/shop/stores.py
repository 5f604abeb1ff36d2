"""``shop.stores``: where they are, and how far."""

from pathlib import Path

import polars as pl
import sqlalchemy as sa

from modiste.behaviour.stores import assign_items, distances_km, make_stores
from modiste.catalog.columns import Layout
from modiste.catalog.stores import read_stores
from modiste.errors import SettingError
from modiste.shop import schema
from modiste.shop.reports import AddReport
from modiste.shop.storage import Storage, Writing


class Stores:
    """A shop's stores."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def frame(self) -> pl.DataFrame:
        """Columns store_id, name, latitude, longitude (degrees), by id."""
        return self._storage.frame(sa.select(schema.stores).order_by(schema.stores.c.store_id))

    def stocked(self) -> pl.DataFrame:
        """As :meth:`frame`, with items: how many are on offer there."""
        stores, items = schema.stores.c, schema.items.c
        count = sa.func.count(sa.case((schema.ON_OFFER, items.item_id)))
        wanted = sa.select(*stores, sa.type_coerce(count, sa.Integer).label("items"))
        joined = wanted.select_from(schema.stores.outerjoin(schema.items, items.store_id == stores.store_id))
        return self._storage.frame(joined.group_by(*stores).order_by(stores.store_id))

    def near(self, position: tuple[float, float] | None = None, within: float | None = None) -> pl.DataFrame:
        """As :meth:`frame`, with distance_km, the nearest first; null and by id without a ``position`` in degrees.

        ``within``: only so near, in km. Raises SettingError where it is given without a position.
        """
        found = self.frame()
        if position is None:
            if within is not None:
                raise SettingError("within needs a position: give near as latitude,longitude")
            return found.with_columns(distance_km=pl.lit(None, pl.Float64))
        away = distances_km(position, found.select("latitude", "longitude").to_numpy())
        found = found.with_columns(distance_km=pl.Series(away, dtype=pl.Float64)).sort("distance_km", "store_id")
        return found if within is None else found.filter(pl.col("distance_km") <= within)

    def add(self, file: str | Path, mapping: Layout | None = None) -> AddReport:
        """Add or update stores (store_id, latitude, longitude, optional name) from a table. Raises SourceError."""
        known = set(self.frame()["store_id"])
        found, rejected, understood = read_stores(Path(file), mapping)
        table = schema.stores
        with self._storage.writing() as writing:
            for store_id in found["store_id"]:
                writing.execute(table.delete().where(table.c.store_id == store_id))
            _insert(writing, found)
        updated = sum(store in known for store in found["store_id"])
        return AddReport(len(found) - updated, updated, 0, rejected, understood=understood)

    def make(self, n: int = 5, seed: int = 42) -> pl.DataFrame:
        """Replace the stores by ``n`` at random positions and spread the items evenly over them per category."""
        made, items = make_stores(n, seed), schema.items
        with self._storage.writing() as writing:
            writing.execute(schema.stores.delete())
            _insert(writing, made)
            found = writing.execute(sa.select(items.c.item_id, items.c.category).order_by(items.c.item_id)).all()
            spread = assign_items([category for _, category in found], made["store_id"].to_list(), seed)
            where = [{"item_id": one, "store_id": store} for (one, _), store in zip(found, spread, strict=True)]
            writing.update(items, "item_id", where, revision=writing.revision)
        return made


def _insert(writing: Writing, found: pl.DataFrame) -> None:
    if len(found):
        writing.execute(schema.stores.insert(), found.select("store_id", "name", "latitude", "longitude").to_dicts())
