"""A shop's real stores from its table."""

from pathlib import Path

import polars as pl

from modiste.catalog.columns import Columns, Layout, Understood, known
from modiste.catalog.items import Rejected
from modiste.catalog.tables import open_table
from modiste.catalog.values import identifier, position
from modiste.errors import SettingError, SourceError

_SCHEMA = {"store_id": pl.String, "name": pl.String, "latitude": pl.Float64, "longitude": pl.Float64}


def read_stores(file: Path, mapping: Layout | None = None) -> tuple[pl.DataFrame, list[Rejected], Understood]:
    """Read a table with store_id, latitude, longitude and, optionally, name; the frame has these.

    Columns are known by other words too (:mod:`~modiste.catalog.columns`); ``mapping`` says more.
    Rows with a missing id, an id that stood before or an impossible position are rejected.
    Raises SourceError if the file can't be read, lacks a column or has no rows.
    """
    table = open_table(file, known("stores"))
    columns = Columns.of(file, table.header, "stores", mapping)
    layout = columns.layout
    stores: dict[str, tuple[str, str, float, float]] = {}
    rejected: list[Rejected] = []
    for number, cells in table.lines:
        try:
            if isinstance(cells, str):
                raise SettingError(cells)
            row = dict(layout.constants)
            for name, places in columns.read.items():
                if told := next(filter(None, (cells[place].strip() for place in places)), ""):
                    row[name] = layout.words.get(name, {}).get(told, told)
            if not row.get("store_id"):
                raise SettingError("no store_id")
            store_id = identifier(row["store_id"], "store_id")
            if store_id in stores:
                raise SettingError(f"store_id {store_id!r} stands twice")
            degrees = position(row.get("latitude"), row.get("longitude"))
            stores[store_id] = (store_id, row.get("name", store_id), *degrees)
        except SettingError as error:
            rejected.append(Rejected(str(file), number, str(error)))
    if not stores and not rejected:
        raise SourceError(f"{file} has no rows; write some below the names of the columns")
    understood = Understood(columns=columns.called(), unread=columns.unread)
    return pl.DataFrame(list(stores.values()), schema=_SCHEMA, orient="row"), rejected, understood
