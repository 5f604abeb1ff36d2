"""``shop.purchases``: who bought what, and what follows from it for popularity.

Purchases are not held in memory. What is asked of them is counted in the transaction that records them: per item
(``counts``), per item and day (``sales``) and per shopper (the sum of the popularity of what she bought).
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from modiste.behaviour.popularity import decayed_counts, normalise
from modiste.behaviour.trends import bought_lately, popularity_over_time
from modiste.catalog.columns import Layout
from modiste.catalog.events import read_events
from modiste.catalog.purchases import Purchase
from modiste.catalog.taxonomy import Taxonomy
from modiste.errors import SettingError, UnknownIdError
from modiste.shop import schema
from modiste.shop.moments import Moments, day_of
from modiste.shop.reports import AddReport
from modiste.shop.shoppers import new_shopper
from modiste.shop.snapshot import Snapshot
from modiste.shop.storage import Storage, Writing, chunks, frame, present, set_setting, setting

_COLUMNS = ("shopper_id", "item_id", "at", "order_id", "simulated")
_BATCH = 20_000  # purchases written at once when all are counted anew


class Purchases:
    """A shop's purchases."""

    def __init__(self, storage: Storage, moments: Moments, taxonomy: Taxonomy) -> None:
        self._storage, self._moments, self._taxonomy = storage, moments, taxonomy

    # Reading

    def __len__(self) -> int:
        with self._storage.reading() as connection:
            return int(setting(connection, "purchases"))

    def frame(self) -> pl.DataFrame:
        """All purchases in the order in which they were made: shopper_id, item_id, at, order_id, simulated."""
        return self._storage.frame(_made())

    def of(self, shopper_id: str) -> pl.DataFrame:
        """As :meth:`frame`, of one shopper."""
        return self._storage.frame(_made().where(schema.purchases.c.shopper_id == shopper_id))

    def items_of(self, connection: sa.Connection, shopper_id: str) -> list[str]:
        """The items that a shopper bought, each once, in the order of the first time."""
        wanted = _made().where(schema.purchases.c.shopper_id == shopper_id)
        return list(dict.fromkeys(row.item_id for row in connection.execute(wanted)))

    def latest(self, shopper_ids: Collection[str], each: int = 4) -> dict[str, list[str]]:
        """The last ``each`` items that shoppers bought, the latest first."""
        found: defaultdict[str, list[str]] = defaultdict(list)
        for some in chunks(shopper_ids):
            for row in self._storage.rows(_made().where(schema.purchases.c.shopper_id.in_(some))):
                found[row["shopper_id"]].append(row["item_id"])
        return {shopper_id: items[: -each - 1 : -1] for shopper_id, items in found.items()}

    def popularity(self, half_life: float | None = None, at: datetime | None = None) -> pl.DataFrame:
        """Columns item_id, popularity (count) and normpop in [0, 1] (min-max over the items), by item id.

        With ``half_life`` (days) a purchase counts 2^(-age / half-life) on the day of the last one. With ``at`` only
        purchases up to then count.
        """
        with self._moments.now() as (snapshot, connection):
            return _popularity(snapshot, connection, half_life, at)

    def trending(
        self,
        window: float = 30.0,
        *,
        top: int = 10,
        categories: Collection[str] = (),
        at: datetime | None = None,
        sold_out: bool = False,
    ) -> pl.DataFrame:
        """What is bought now, the most bought first; ties by popularity, then by id; nothing ``sold_out`` by default.

        Columns item_id, category, popularity (count), normpop in [0, 1], bought (purchases in the ``window`` days up to
        ``at``, by default the last purchase), before (in as many days before those), change (bought - before), image.
        """
        table, items, counts = schema.purchases.c, schema.items.c, schema.counts.c
        kept: sa.ColumnElement[bool] = sa.true()
        if categories:
            kept = items.category.in_({self._taxonomy.canonical(name) for name in categories} - {None})
        if not sold_out:
            kept &= sa.func.coalesce(items.available, sa.true()) & (sa.func.coalesce(items.stock, 1) > 0)
        with self._moments.now() as (snapshot, connection):
            moment = at or connection.execute(sa.select(sa.func.max(table.at))).scalar() or datetime(1970, 1, 1)
            since = moment - 2 * timedelta(days=min(window, 10_000))
            wanted = sa.select(table.item_id, table.at).join(schema.items).where(table.at > since, table.at <= moment)
            lately = bought_lately(frame(connection, wanted.where(kept)), window, moment)
            popular = (
                sa.select(counts.item_id).join(schema.items).where(kept).order_by(counts.count.desc(), counts.item_id)
            )
            if at is None:  # no other can be among the first
                popular = popular.limit(top + len(lately))
            others = connection.execute(popular).scalars()
            considered = [snapshot.item(snapshot.row(one)) for one in dict.fromkeys([*lately["item_id"], *others])]
            current = snapshot.popularity()
            then = None if at is None else _popularity(snapshot, connection, None, at)
        rows = [snapshot.row(item["item_id"]) for item in considered]
        found = pl.DataFrame(
            {
                "item_id": [item["item_id"] for item in considered],
                "category": [item["category"] for item in considered],
                "popularity": current.counts[rows],
                "normpop": current.normpop[rows],
                "image": [item["image"] for item in considered],
            },
            schema_overrides={"item_id": pl.String, "category": pl.String, "image": pl.String},
        )
        if then is not None:
            found = found.drop("popularity", "normpop").join(then, on="item_id")
        return (
            found.join(lately, on="item_id", how="left")
            .with_columns(pl.col("bought", "before").fill_null(0))
            .with_columns(change=pl.col("bought") - pl.col("before"))
            .sort("bought", "popularity", "item_id", descending=[True, True, False])
            .head(top)
        )

    def history(self, item_id: str, days: float = 7.0) -> pl.DataFrame:
        """One item's popularity over time: columns at (begin of each period of ``days``), bought, popularity (its count
        at the end). Raises UnknownIdError."""
        table = schema.purchases.c
        with self._moments.now() as (snapshot, connection):
            start = snapshot.item(snapshot.row(item_id))["popularity"] or 0.0
            times = frame(connection, sa.select(table.at).where(table.item_id == item_id))["at"]
        return popularity_over_time(times, start, days)

    # Writing

    def add(self, file: str | Path, mapping: Layout | None = None, day_first: bool | None = None) -> AddReport:
        """Add purchases from a table: shopper_id, item_id, date, optional order_id.

        Ints of items or dates that the shop can't make sense of are reported; an item that came before under the same
        order is skipped.
        """
        items = {row["item_id"] for row in self._storage.rows(sa.select(schema.items.c.item_id))}
        found = read_events(Path(file), items, mapping, day_first)
        taken_back = {(one.shopper_id, one.item_id) for one in found.events if one.kind in ("return", "cancel")}
        purchases = [
            Purchase(one.shopper_id, one.item_id, one.at, one.order_id)
            for one in found.events
            if one.kind == "purchase" and (one.shopper_id, one.item_id) not in taken_back
        ]
        added = self.record(purchases)
        return AddReport(added, 0, len(purchases) - added, found.rejected, understood=found.understood)

    def record(self, purchases: Sequence[Purchase]) -> int:
        """Record purchases durably; returns how many were new: an item that came before under its order is not.

        Raises UnknownIdError for an item the shop doesn't have; then nothing is recorded.
        """
        with self._storage.writing() as writing:
            have = present(writing.connection, schema.items.c.item_id, [one.item_id for one in purchases])
            for one in purchases:
                if one.item_id not in have:
                    name = self._storage.path.name
                    raise UnknownIdError(f"no item {one.item_id!r} in {name}; nothing was recorded")
            lines = _lines(writing.connection, [one.order_id for one in purchases if one.order_id is not None])
            new = []
            for one in purchases:
                if one.order_id is None or (one.order_id, one.item_id) not in lines:
                    new.append(one)
                    lines.add((one.order_id or "", one.item_id))
            insert(writing, new)
        return len(new)

    def recount(self) -> None:
        """Count anew, from the purchases, all that is counted as they are recorded. Nobody writes meanwhile."""
        table = schema.purchases
        with self._storage.writing() as writing:
            _count_nothing(writing)
            last = 0
            wanted = sa.select(table.c.purchase_id, table.c.shopper_id, table.c.item_id, table.c.at)
            while True:
                some = writing.execute(
                    wanted.where(table.c.purchase_id > last).order_by(table.c.purchase_id).limit(_BATCH)
                ).all()
                if not some:
                    return
                shares = _count(writing, [(one.shopper_id, one.item_id, one.at) for one in some])
                writing.execute(
                    table.update()
                    .where(table.c.purchase_id == sa.bindparam("one"))
                    .values(normpop=sa.bindparam("share")),
                    [{"one": one.purchase_id, "share": share} for one, share in zip(some, shares, strict=True)],
                )
                last = some[-1].purchase_id

    def refuse_real(self, connection: sa.Connection) -> None:
        """Raises SettingError where there are purchases that nobody simulated."""
        table = schema.purchases.c
        if connection.execute(sa.select(table.purchase_id).where(sa.not_(table.simulated)).limit(1)).first():
            raise SettingError(f"{self._storage.path.name} has real purchases; simulate in a shop of its own")

    def replace_simulated(self, shoppers: pl.DataFrame, purchases: pl.DataFrame) -> None:
        """Make these simulated shoppers and purchases (shopper_id, item_id, date) the only ones there are.

        Raises SettingError where there are real purchases.
        """
        with self._storage.writing() as writing:
            self.refuse_real(writing.connection)
            for table in (schema.purchases, schema.shoppers):
                writing.execute(table.delete().where(table.c.simulated))
            _count_nothing(writing)
            people = shoppers.select("shopper_id", "trendiness", "latitude", "longitude").to_dicts()
            real = present(writing.connection, schema.shoppers.c.shopper_id, [one["shopper_id"] for one in people])
            if real:
                name = self._storage.path.name
                raise SettingError(f"{name} has a real shopper {min(real)!r}; simulate in a shop of its own")
            if people:
                writing.execute(
                    schema.shoppers.insert(), [new_shopper(one["shopper_id"], simulated=True) | one for one in people]
                )
            bought = purchases.select("shopper_id", "item_id", pl.col("date").cast(pl.Datetime)).iter_rows()
            insert(writing, [Purchase(*one) for one in bought], simulated=True)


def _count_nothing(writing: Writing) -> None:
    """Let all counts be what they were before the first purchase."""
    items, settings = schema.items.c, schema.settings
    writing.execute(schema.counts.delete())
    start = sa.select(items.item_id, sa.func.coalesce(items.popularity, 0.0))
    writing.execute(schema.counts.insert().from_select(["item_id", "count"], start))
    writing.execute(schema.sales.update().values(bought=0, revision=writing.revision))
    writing.execute(schema.shoppers.update().values(purchases=0, normpop=0.0))
    writing.execute(settings.update().where(settings.c.name.in_(["purchases", "normpop"])).values(value="0.0"))


def insert(writing: Writing, purchases: Sequence[Purchase], *, simulated: bool = False) -> None:
    """Insert purchases of items that are there, in the order of their times, and count them; makes their shoppers."""
    if not purchases:
        return
    ordered = sorted(purchases, key=lambda one: one.at)
    who = dict.fromkeys(one.shopper_id for one in ordered)
    known = present(writing.connection, schema.shoppers.c.shopper_id, list(who))
    if new := [new_shopper(one, simulated) for one in sorted(who.keys() - known)]:
        writing.execute(schema.shoppers.insert(), new)
    shares = _count(writing, [(one.shopper_id, one.item_id, one.at) for one in ordered])
    writing.execute(
        schema.purchases.insert(),
        [asdict(one) | {"simulated": simulated, "normpop": n} for one, n in zip(ordered, shares, strict=True)],
    )


def _count(writing: Writing, bought: Sequence[tuple[str, str, datetime]]) -> list[float]:
    """Count purchases (shopper, item, when) in the order made; returns each item's normalised popularity before."""
    tally = _Tally(writing, [item_id for _, item_id, _ in bought])
    shares = [tally.add(item_id) for _, item_id, _ in bought]
    tally.write()
    days = Counter((item_id, day_of(at)) for _, item_id, at in bought)
    made = (sqlite if writing.connection.dialect.name == "sqlite" else postgresql).insert(schema.sales)
    writing.execute(
        made.on_conflict_do_update(
            index_elements=["item_id", "day"],
            set_={"bought": schema.sales.c.bought + made.excluded.bought, "revision": made.excluded.revision},
        ),
        [
            {"item_id": item_id, "day": day, "bought": count, "revision": writing.revision}
            for (item_id, day), count in days.items()
        ],
    )
    sums: defaultdict[str, list[float]] = defaultdict(list)
    for (shopper_id, _, _), share in zip(bought, shares, strict=True):
        sums[shopper_id].append(share)
    shoppers = schema.shoppers
    writing.execute(
        shoppers.update()
        .where(shoppers.c.shopper_id == sa.bindparam("who"))
        .values(purchases=shoppers.c.purchases + sa.bindparam("n"), normpop=shoppers.c.normpop + sa.bindparam("share")),
        [{"who": who, "n": len(one), "share": sum(one)} for who, one in sums.items()],
    )
    for name, value in (("purchases", len(shares)), ("normpop", sum(shares))):
        set_setting(writing.connection, name, setting(writing.connection, name) + value)
    return shares


class _Tally:
    """The counts of some items as they are bought one by one, among those of all items."""

    def __init__(self, writing: Writing, item_ids: Sequence[str]) -> None:
        self._writing, self._left = writing, len(item_ids)
        self._counts: dict[str, float] = {}
        table = schema.counts.c
        for some in chunks(item_ids):
            wanted = sa.select(table.item_id, table.count).where(table.item_id.in_(some))
            self._counts.update((item_id, count) for item_id, count in writing.execute(wanted))
        self._before = dict(self._counts)
        self.low = self.high = 0.0
        self._look()

    def _look(self) -> None:
        """The lowest and highest count of all items, and how many have the lowest, as far as it matters."""
        table = schema.counts.c
        self.low, self.high = self._writing.execute(sa.select(sa.func.min(table.count), sa.func.max(table.count))).one()
        lowest = sa.select(table.item_id).where(table.count == self.low).limit(self._left + 1).subquery()
        self._at_low = int(self._writing.execute(sa.select(sa.func.count()).select_from(lowest)).scalar_one())

    def add(self, item_id: str) -> float:
        """Count one purchase; returns the item's normalised popularity just before it."""
        count = self._counts[item_id]
        share = (count - self.low) / (self.high - self.low) if self.high > self.low else 0.0
        self._counts[item_id] = count + 1
        self._left -= 1
        self.high = max(self.high, count + 1)
        if count == self.low:
            self._at_low -= 1
            if not self._at_low:
                self.write()
                self._look()
        return float(share)

    def write(self) -> None:
        """Write the counts that have changed."""
        table = schema.counts
        changed = [
            {"one": item_id, "n": count} for item_id, count in self._counts.items() if count != self._before[item_id]
        ]
        if changed:
            wanted = table.c.item_id == sa.bindparam("one")
            self._writing.execute(table.update().where(wanted).values(count=sa.bindparam("n")), changed)
            self._before = dict(self._counts)


def _made() -> sa.Select[Any]:
    table = schema.purchases.c
    return sa.select(*(table[name] for name in _COLUMNS)).order_by(table.at, table.purchase_id)


def _lines(connection: sa.Connection, order_ids: Sequence[str]) -> set[tuple[str, str]]:
    """(order_id, item_id) of all lines of the orders."""
    table = schema.purchases.c
    found: set[tuple[str, str]] = set()
    for some in chunks(order_ids):
        lines = sa.select(table.order_id, table.item_id).where(table.order_id.in_(some))
        found.update((order_id, item_id) for order_id, item_id in connection.execute(lines))
    return found


def _popularity(
    snapshot: Snapshot, connection: sa.Connection, half_life: float | None, at: datetime | None
) -> pl.DataFrame:
    """As :meth:`Purchases.popularity`, of the connection's moment, which is the snapshot's."""
    rows = np.flatnonzero(snapshot.column("alive"))
    counts = snapshot.popularity(half_life).counts[rows]
    if at is not None:
        sold = [(snapshot.row(item_id), day, n) for item_id, day, n in _sold(connection, at)]
        row, day, bought = np.array(sold, np.int64).reshape(-1, 3).T
        start = snapshot.column("popularity")
        counts = decayed_counts(row, day.max(initial=0) - day, half_life, start, bought)[rows]
    ids = [snapshot.item_ids[row] for row in rows.tolist()]
    schema_ = {"item_id": pl.String, "popularity": pl.Float64, "normpop": pl.Float64}
    found = {"item_id": ids, "popularity": counts, "normpop": normalise(counts)}
    return pl.DataFrame(found, schema_).sort("item_id")


def _sold(connection: sa.Connection, at: datetime) -> list[tuple[str, int, int]]:
    """Item, day and how many, of the purchases up to ``at``."""
    table = schema.purchases.c
    bought = connection.execute(sa.select(table.item_id, table.at).where(table.at <= at))
    return [(item_id, day, n) for (item_id, day), n in Counter((one.item_id, day_of(one.at)) for one in bought).items()]
