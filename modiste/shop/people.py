"""Who buys what: shoppers, purchases, and what both say about popularity and trendiness."""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import sqlalchemy as sa

from modiste.behaviour.popularity import decayed_counts, normalise
from modiste.behaviour.simulation import Simulation, simulate
from modiste.behaviour.stores import BOX
from modiste.behaviour.trendiness import RunningTrendiness
from modiste.behaviour.trends import bought_lately, popularity_over_time
from modiste.catalog.purchases import Purchase
from modiste.catalog.purchases import read_purchases as read_orders
from modiste.errors import SettingError, SourceError, UnknownIdError
from modiste.shop import database as db
from modiste.shop.filters import Filter
from modiste.shop.records import AddReport, Catalogue, Records, present

START_COUNTS = 100
"""Simulated catalogues without a popularity of their own start at a uniform count between 0 and this (the paper)."""

KEPT_HALF_LIVES = 8
"""For how many half-lives the popularity is kept in memory."""


@dataclass(frozen=True, eq=False)
class _Purchases:
    """All purchases as they were recorded, and the versions at which they were read."""

    version: str
    removed: str
    frame: pl.DataFrame


@dataclass(frozen=True, eq=False)
class _Estimates:
    """Every shopper's estimated trendiness, of which catalogue and purchases, and what goes on with the next ones."""

    catalogue: Catalogue
    bought: _Purchases
    running: RunningTrendiness
    told: pl.DataFrame

    def fits(self, catalogue: Catalogue) -> bool:
        """Whether the items and their counts at the start are the same."""
        ours = self.catalogue
        return catalogue is ours or (
            catalogue.item_ids == ours.item_ids and np.array_equal(catalogue.start, ours.start)
        )

    def grows_into(self, catalogue: Catalogue, bought: _Purchases, ordered: pl.DataFrame) -> bool:
        """Whether ``ordered`` is the purchases counted so far and then others, all made later."""
        count = len(self.bought.frame)
        if not self.fits(catalogue) or bought.removed != self.bought.removed or len(ordered) < count:
            return False
        return count == 0 or ordered["purchase_id"].head(count).max() == self.bought.frame["purchase_id"][-1]


class People(Records):
    """A shop's shoppers and purchases."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._purchases_cache: _Purchases | None = None
        self._estimates: _Estimates | None = None
        self._counts_cache: dict[float | None, tuple[Catalogue, _Purchases, np.ndarray[Any, Any]]] = {}

    # Shoppers

    def shoppers(self) -> pl.DataFrame:
        """Columns shopper_id, trendiness in [0, 1] (null: estimated on demand), latitude, longitude, simulated."""
        return self._frame(sa.select(db.shoppers).order_by(db.shoppers.c.shopper_id))

    def shopper(self, shopper_id: str) -> dict[str, Any]:
        """One row of :meth:`shoppers`. Raises UnknownIdError."""
        row = self._row(sa.select(db.shoppers).where(db.shoppers.c.shopper_id == shopper_id))
        if row is None:
            raise UnknownIdError(f"no shopper {shopper_id!r} in {self.path.name}")
        return dict(row)

    def knows(self, shopper_id: str) -> bool:
        """Whether there is such a shopper."""
        wanted = sa.select(db.shoppers.c.shopper_id).where(db.shoppers.c.shopper_id == shopper_id)
        return self._row(wanted) is not None

    def set_shopper(
        self,
        shopper_id: str,
        trendiness: float | None = None,
        latitude: float | None = None,
        longitude: float | None = None,
    ) -> None:
        """Make a shopper or change one. ``trendiness`` in [0, 1]; None leaves it to be estimated from purchases."""
        if trendiness is not None and not 0 <= trendiness <= 1:
            raise SettingError(f"trendiness must be between 0 and 1, not {trendiness}")
        values = {"trendiness": trendiness, "latitude": latitude, "longitude": longitude}
        with self._writing("purchases_version") as connection:
            chosen = db.shoppers.update().where(db.shoppers.c.shopper_id == shopper_id)
            if connection.execute(chosen.values(**values)).rowcount == 0:
                connection.execute(db.shoppers.insert().values(shopper_id=shopper_id, simulated=False, **values))

    def _home(self, shopper: str | None) -> tuple[float, float] | None:
        row = self._row(sa.select(db.shoppers).where(db.shoppers.c.shopper_id == shopper)) if shopper else None
        if row is None or row["latitude"] is None or row["longitude"] is None:
            return None
        return float(row["latitude"]), float(row["longitude"])

    # Purchases

    def purchases(self) -> pl.DataFrame:
        """All purchases in the order in which they were made: shopper_id, item_id, at, order_id, simulated."""
        return self._all_purchases().frame.sort("at", "purchase_id").drop("purchase_id")

    def _all_purchases(self) -> "_Purchases":
        """All purchases in the order in which they were recorded, from memory but for those that came since."""
        cached = self._purchases_cache
        if cached is not None and cached.version == self._setting("purchases_version"):
            return cached
        with self._memory:
            version, removed = self._setting("purchases_version"), self._setting("purchases_removed")
            cached = self._purchases_cache
            if cached is not None and cached.version == version:
                return cached
            table = db.purchases.c
            wanted = sa.select(
                table.purchase_id, table.shopper_id, table.item_id, table.at, table.order_id, table.simulated
            ).order_by(table.purchase_id)
            if cached is None or cached.removed != removed:
                frame = self._frame(wanted)
            else:
                last = cached.frame["purchase_id"].max() if len(cached.frame) else 0
                frame = pl.concat([cached.frame, self._frame(wanted.where(table.purchase_id > last))])
            self._purchases_cache = _Purchases(version, removed, frame)
            return self._purchases_cache

    def add_purchases(self, file: str | Path) -> AddReport:
        """Add orders from a CSV or Parquet file: shopper_id, item_id, date, optional order_id.

        Rows of items or dates that the shop can't make sense of are reported; an item seen before in its order is
        skipped.
        """
        orders, rejected = read_orders(Path(file), set(self._catalogue().row))
        added = self.record(orders)
        return AddReport(added, 0, len(orders) - added, rejected)

    def record(self, orders: Sequence[Purchase]) -> int:
        """Record purchases durably; returns how many were new (an item seen before in its order is not recorded again).

        Raises UnknownIdError for an item the shop doesn't have; then nothing is recorded.
        """
        with self._writing("purchases_version") as connection:
            have = present(connection, db.items.c.item_id, [order.item_id for order in orders])
            for order in orders:
                if order.item_id not in have:
                    raise UnknownIdError(f"no item {order.item_id!r} in {self.path.name}; nothing was recorded")
            known = present(connection, db.shoppers.c.shopper_id, [order.shopper_id for order in orders])
            numbers = [order.order_id for order in orders if order.order_id is not None]
            seen = _lines(connection, numbers)
            fresh: list[Purchase] = []
            for order in orders:
                if order.order_id is None or (order.order_id, order.item_id) not in seen:
                    fresh.append(order)
                    if order.order_id is not None:
                        seen.add((order.order_id, order.item_id))
            if missing := sorted({order.shopper_id for order in fresh} - known):
                connection.execute(db.shoppers.insert(), [{"shopper_id": one, "simulated": False} for one in missing])
            if fresh:
                connection.execute(db.purchases.insert(), [asdict(order) | {"simulated": False} for order in fresh])
        return len(fresh)

    def simulate(
        self, shoppers: int = 50, purchases: int = 5, year: int = 2025, seed: int = 42, model: str = "paper"
    ) -> Simulation:
        """Simulate a year of purchases (paper, section on behaviour), replacing an earlier simulation.

        A catalogue without any popularity first gets random counts 0 to 100, one without stores gets five.
        Raises SettingError in a shop with real purchases: simulated ones would mix with them.
        """
        if self.purchases().filter(~pl.col("simulated")).height:
            raise SettingError(f"{self.path.name} has real purchases; simulate in a shop of its own")
        if self.stores().is_empty():
            self.make_stores(seed=seed)
        frame = self.items()
        if frame.is_empty():
            raise SourceError(
                f"{self.path.name} has no items; add some with: modiste add items {self.path.name} SOURCE"
            )
        rng = np.random.default_rng(seed)
        if frame["popularity"].null_count() == len(frame):
            counts = rng.integers(0, START_COUNTS, len(frame), endpoint=True).astype(float)
            frame = frame.with_columns(popularity=counts)
            with self._writing("items_version") as connection:
                connection.execute(
                    db.items.update()
                    .where(db.items.c.item_id == sa.bindparam("one"))
                    .values(popularity=sa.bindparam("count")),
                    [{"one": one, "count": float(n)} for one, n in zip(frame["item_id"], counts, strict=True)],
                )
        made = simulate(
            frame.select("item_id", "gender", "category", pl.col("popularity").fill_null(0.0)),
            shoppers,
            purchases,
            year,
            seed,
            model,
        )
        people = made.shoppers.with_columns(
            latitude=rng.uniform(BOX[0], BOX[1], made.shoppers.height),
            longitude=rng.uniform(BOX[2], BOX[3], made.shoppers.height),
            simulated=True,
        )
        bought = made.purchases.select("shopper_id", "item_id", at=pl.col("date").cast(pl.Datetime), simulated=True)
        with self._writing("purchases_version", "purchases_removed") as connection:
            for table in (db.purchases, db.shoppers):
                connection.execute(table.delete().where(table.c.simulated))
            connection.execute(
                db.shoppers.insert(),
                people.select("shopper_id", "trendiness", "latitude", "longitude", "simulated").to_dicts(),
            )
            connection.execute(db.purchases.insert(), bought.to_dicts())
        return made

    def _bought(self, catalogue: Catalogue, shopper: str | None) -> list[int]:
        table = db.purchases.c
        mine = sa.select(table.item_id).where(table.shopper_id == shopper).order_by(table.at, table.purchase_id)
        bought = dict.fromkeys(row["item_id"] for row in self._rows(mine))
        return [catalogue.row[one] for one in bought if one in catalogue.row]

    # Popularity

    def popularity(self, half_life: float | None = None, at: datetime | None = None) -> pl.DataFrame:
        """Columns item_id, popularity (count) and normpop in [0, 1] (min-max over the catalogue), by item id.

        With ``half_life`` (days) each purchase counts 2^(−age / half-life) at the time ``at`` (default: the last one).
        """
        return self._popularity(self._catalogue(), half_life, at)

    def _popularity(self, catalogue: Catalogue, half_life: float | None, at: datetime | None) -> pl.DataFrame:
        counts = self._counts(catalogue, half_life, at)
        return pl.DataFrame(
            {"item_id": catalogue.frame["item_id"], "popularity": counts, "normpop": normalise(counts)},
            schema={"item_id": pl.String, "popularity": pl.Float64, "normpop": pl.Float64},
        )

    def _counts(
        self, catalogue: Catalogue, half_life: float | None = None, at: datetime | None = None
    ) -> np.ndarray[Any, Any]:
        """The popularity of the catalogue's items, float64 (n,)."""
        everything = self._all_purchases()
        cached = self._counts_cache.get(half_life)
        if at is None and cached and cached[0] is catalogue and cached[1] is everything:
            return cached[2]
        index = pl.DataFrame({"item_id": catalogue.frame["item_id"]}).with_row_index("row")
        bought = everything.frame.join(index, on="item_id")
        if at is not None:
            bought = bought.filter(pl.col("at") <= at)
        now = pl.lit(at, pl.Datetime) if at else pl.col("at").max()
        ages = bought.select(age=(now - pl.col("at")).dt.total_seconds() / 86_400)["age"].to_numpy()
        counts = decayed_counts(bought["row"].to_numpy().astype(np.int64), ages, half_life, catalogue.start)
        if at is None:
            if len(self._counts_cache) >= KEPT_HALF_LIVES:
                self._counts_cache.clear()
            self._counts_cache[half_life] = (catalogue, everything, counts)
        return counts

    def trending(
        self, window_days: float = 30.0, *, top: int = 10, categories: Collection[str] = (), at: datetime | None = None
    ) -> pl.DataFrame:
        """What is bought now, the most bought first; ties by popularity, then by id.

        Columns item_id, category, popularity (count), normpop in [0, 1], bought (purchases in the ``window_days`` up
        to ``at``, by default the last purchase), before (in as many days before those) and change (bought − before).
        """
        where = Filter(frozenset(categories))
        catalogue = self._catalogue()
        items = catalogue.frame.select("item_id", "category", "price")
        items = items.filter(pl.Series(where.keeps(items, self.taxonomy), dtype=pl.Boolean)).drop("price")
        bought = self._all_purchases().frame
        moment = at or bought["at"].max() or datetime(1970, 1, 1)
        lately = bought_lately(bought, window_days, moment)  # type: ignore[arg-type]
        return (
            items.join(self._popularity(catalogue, None, at), on="item_id")
            .join(lately, on="item_id", how="left")
            .with_columns(pl.col("bought", "before").fill_null(0))
            .with_columns(change=pl.col("bought") - pl.col("before"))
            .sort("bought", "popularity", "item_id", descending=[True, True, False])
            .head(top)
        )

    def history(self, item_id: str, days: float = 7.0) -> pl.DataFrame:
        """One item's popularity over time: columns at (begin of each period of ``days``), bought, popularity (its count
        at the end). Raises UnknownIdError."""
        start = self.item(item_id)["popularity"] or 0.0
        bought = self._all_purchases().frame.filter(pl.col("item_id") == item_id)
        return popularity_over_time(bought["at"], start, days)

    # Trendiness

    def trendiness(self, shopper_id: str) -> float:
        """The shopper's τ in [0, 1]: as given, else estimated from her purchases, else the population's mean."""
        given = self.shopper(shopper_id)["trendiness"]
        if given is not None:
            return float(given)
        estimates = self.estimated_trendiness().filter(pl.col("shopper_id") == shopper_id)
        return float(estimates["trendiness"][0]) if estimates.height else self._mean_trendiness()

    def estimated_trendiness(self) -> pl.DataFrame:
        """Columns shopper_id, trendiness (estimated from purchases alone, shrunk towards the mean), purchases (n)."""
        catalogue, bought = self._catalogue(), self._all_purchases()
        known = self._estimates
        if known is not None and known.bought is bought and known.fits(catalogue):
            return known.told
        with self._memory:
            known, ordered = self._estimates, bought.frame.sort("at", "purchase_id")
            if known is None or not known.grows_into(catalogue, bought, ordered):
                known = _Estimates(catalogue, bought, RunningTrendiness(catalogue.start), pl.DataFrame())
                new = ordered
            else:
                new = ordered.slice(len(known.bought.frame))
            new = new.filter(pl.col("item_id").is_in(catalogue.frame["item_id"].implode()))
            rows = np.array([catalogue.row[one] for one in new["item_id"]], dtype=np.int64)
            known.running.add(new["shopper_id"].to_list(), rows)
            self._estimates = _Estimates(catalogue, bought, known.running, known.running.estimates())
            return self._estimates.told

    def _mean_trendiness(self) -> float:
        """The mean over all shoppers, as given or else as estimated; 0.5 without any."""
        known = self.shoppers().select("shopper_id", "trendiness")
        joined = known.join(self.estimated_trendiness(), on="shopper_id", how="left")
        mean = joined.select(pl.coalesce("trendiness", "trendiness_right").mean()).item()
        return 0.5 if mean is None else float(mean)


def _lines(connection: sa.Connection, numbers: Sequence[str], chunk: int = 500) -> set[tuple[str, str]]:
    """(order_id, item_id) of all lines of the orders ``numbers``."""
    table = db.purchases.c
    wanted = list(dict.fromkeys(numbers))
    found: set[tuple[str, str]] = set()
    for start in range(0, len(wanted), chunk):
        lines = sa.select(table.order_id, table.item_id).where(table.order_id.in_(wanted[start : start + chunk]))
        found.update((order_id, item_id) for order_id, item_id in connection.execute(lines))
    return found
