"""Stores: where they are, which items they have, and how far they are from a shopper."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from modiste.arrays import Floats, Ints
from modiste.errors import SettingError

EARTH_RADIUS_KM = 6371.0
"""The mean radius the paper's Haversine distance uses."""

BOX = (48.80, 48.91, 2.25, 2.42)
"""(south, north, west, east) in degrees: where simulated stores and shoppers are, a large city."""


def distances_km(point: tuple[float, float], places: Floats) -> Floats:
    """Great-circle distances (Haversine), float64 (n,) in km, from ``point`` to ``places`` (n, 2) in degrees."""
    here, there = np.radians(point), np.radians(places)
    half = np.sin((there - here) / 2) ** 2
    chord = half[:, 0] + np.cos(here[0]) * np.cos(there[:, 0]) * half[:, 1]
    away: Floats = 2 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(np.minimum(chord, 1.0)))
    return away


def make_stores(n: int, seed: int = 42) -> pl.DataFrame:
    """``n`` stores at uniformly random places in BOX: store_id, name, latitude, longitude.

    Raises SettingError if n is below 1.
    """
    south, north, west, east = BOX
    if n < 1:
        raise SettingError(f"a shop needs at least 1 store, not {n}")
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
        rows: Ints = rng.permutation(np.flatnonzero(keys == key))
        places[rows] = (np.arange(len(rows)) + rng.integers(len(stores))) % len(stores)
    return [stores[place] for place in places.tolist()]
