"""A shop's real stores from its table."""

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from modiste.catalog.items import Rejected
from modiste.catalog.tables import read_rows
from modiste.catalog.values import identifier, position
from modiste.errors import SettingError

_REQUIRED = ("store_id", "latitude", "longitude")
_WORDS = {"store_id": (), "latitude": ("lat",), "longitude": ("lon", "lng"), "name": ()}
_SCHEMA = {"store_id": pl.String, "name": pl.String, "latitude": pl.Float64, "longitude": pl.Float64}


def read_stores(file: Path) -> tuple[pl.DataFrame, list[Rejected]]:
    """Read a table with store_id, latitude (lat), longitude (lon, lng) and, optionally, name; the frame has these.

    Rows with a missing id, an id that stood before or an impossible position are rejected.
    Raises SourceError if the file can't be read, lacks a column or has no rows.
    """
    stores: dict[str, tuple[str, str, float, float]] = {}

    def store(row: Mapping[str, str]) -> None:
        if not row["store_id"]:
            raise SettingError("no store_id")
        store_id = identifier(row["store_id"], "store_id")
        if store_id in stores:
            raise SettingError(f"store_id {store_id!r} stands twice")
        degrees = position(row["latitude"] or None, row["longitude"] or None)
        stores[store_id] = (store_id, row.get("name") or store_id, *degrees)

    _, rejected = read_rows(file, "stores", _REQUIRED, _WORDS).parse(store)
    return pl.DataFrame(list(stores.values()), schema=_SCHEMA, orient="row"), rejected
