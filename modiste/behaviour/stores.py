"""Stores: where they are, which items they have, and how far they are from a shopper."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from modiste.behaviour.popularity import Floats
from modiste.catalog.items import Rejected
from modiste.catalog.tables import read_table
from modiste.errors import SettingError, SourceError

EARTH_RADIUS_KM = 6371.0
"""The mean radius the paper's Haversine distance uses."""

BOX = (48.80, 48.91, 2.25, 2.42)
"""(south, north, west, east) in degrees: where simulated stores and shoppers are, a large city."""

_ALIASES = {"lat": "latitude", "lon": "longitude", "lng": "longitude"}


def distances_km(point: tuple[float, float], places: Floats) -> Floats:
    """Great-circle distances (Haversine), float64 (n,) in km, from ``point`` to ``places`` (n, 2) in degrees."""
    here, there = np.radians(point), np.radians(places)
    half = np.sin((there - here) / 2) ** 2
    chord = half[:, 0] + np.cos(here[0]) * np.cos(there[:, 0]) * half[:, 1]
    away: Floats = 2 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(np.minimum(chord, 1.0)))
    return away


def make_stores(n: int, box: tuple[float, float, float, float] = BOX, seed: int = 42) -> pl.DataFrame:
    """``n`` stores at uniformly random places in ``box``: store_id, name, latitude, longitude.

    Raises SettingError if n is below 1 or the box is not (south, north, west, east).
    """
    south, north, west, east = box
    if n < 1:
        raise SettingError(f"a shop needs at least 1 store, not {n}")
    if not (-90 <= south < north <= 90 and -180 <= west < east <= 180):
        raise SettingError(f"the box must be south, north, west, east in degrees, not {box}")
    rng = np.random.default_rng(seed)
    names = [f"store-{number}" for number in range(1, n + 1)]
    return pl.DataFrame(
        {
            "store_id": names,
            "name": [f"Store {number}" for number in range(1, n + 1)],
            "latitude": rng.uniform(south, north, n),
            "longitude": rng.uniform(west, east, n),
        }
    )


def assign_items(categories: Sequence[str | None], stores: Sequence[str], seed: int = 42) -> list[str]:
    """A store for each item, each category spread evenly: no two stores differ by more than one item of it."""
    rng = np.random.default_rng(seed)
    places = np.empty(len(categories), dtype=np.int64)
    keys = np.array([category or "" for category in categories], dtype=str)
    for key in np.unique(keys):
        rows: NDArray[np.int64] = rng.permutation(np.flatnonzero(keys == key))
        places[rows] = (np.arange(len(rows)) + rng.integers(len(stores))) % len(stores)
    return [stores[place] for place in places.tolist()]


def read_stores(file: Path) -> tuple[pl.DataFrame, list[Rejected]]:
    """Read store_id, latitude (lat), longitude (lon, lng) and, optionally, name from a CSV or Parquet file.

    Rows with a missing id, an id seen before or an impossible place are rejected. Raises SourceError for the file.
    """
    frame = read_table(file)
    for alias, name in _ALIASES.items():
        if alias in frame.columns and name not in frame.columns:
            frame = frame.rename({alias: name})
    if missing := [name for name in ("store_id", "latitude", "longitude") if name not in frame.columns]:
        raise SourceError(f"{file}: no column {', '.join(missing)}; stores need store_id, latitude, longitude")
    kept: dict[str, tuple[str, str, float, float]] = {}
    rejected: list[Rejected] = []
    for number, row in enumerate(frame.iter_rows(named=True), 2):
        store = str("" if row["store_id"] is None else row["store_id"]).strip()
        try:
            latitude, longitude = float(row["latitude"]), float(row["longitude"])
        except (TypeError, ValueError):
            latitude = longitude = float("nan")
        if not store or store in kept:
            rejected.append(Rejected(str(file), number, f"store_id {store!r} stands twice" if store else "no store_id"))
        elif not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
            place = f"{row['latitude']}, {row['longitude']}"
            rejected.append(
                Rejected(str(file), number, f"{place} is no place: latitude -90 to 90, longitude -180 to 180")
            )
        else:
            kept[store] = (store, str(row.get("name") or store), latitude, longitude)
    schema = {"store_id": pl.String, "name": pl.String, "latitude": pl.Float64, "longitude": pl.Float64}
    return pl.DataFrame(list(kept.values()), schema=schema, orient="row"), rejected
