"""``shop.purchases``: who bought what, or looked at it, and what follows from it for popularity.

Events are not held in memory. What is asked of them is counted in the transaction that records them: per item
(``counts``), per item and day (``sales``) and per shopper (the sum of the popularity of what she bought).

A return or a cancellation takes purchases back: of the same order where it names one that the shopper has, a return
otherwise those of the item that came last before it. What it found no purchase for waits for one: the order in which
files come plays no part.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import sqlalchemy as sa

from modiste.behaviour.popularity import decayed_counts, normalise
from modiste.behaviour.trends import popularity_over_time
from modiste.catalog.columns import Layout
from modiste.catalog.events import KINDS, Event, Events, read_events
from modiste.catalog.taxonomy import Taxonomy
from modiste.catalog.values import composed, identifier, moment
from modiste.errors import SettingError, UnknownIdError
from modiste.shop import schema
from modiste.shop.items import add_counts
from modiste.shop.moments import Moments, day_of
from modiste.shop.reports import AddReport
from modiste.shop.shoppers import add_up, new_shopper
from modiste.shop.snapshot import Snapshot
from modiste.shop.storage import Storage, Writing, chunks, count_of, frame, present, set_setting, setting, upsert
from modiste.shop.trends import compared

WEIGHED = ("purchase", "cart", "view")
"""The kinds of events that count in an item's popularity, each by its weight."""

MOST_OF_ONE = 10_000
"""The highest quantity of an event."""

_BACK = ("return", "cancel")
_GIVEN = ("shopper_id", "item_id", "at", "kind", "quantity", "order_id")
_COLUMNS = ("shopper_id", "item_id", "at", "order_id", "simulated")
BUYERS = 30
"""Of an item's buyers so many, the last ones, tell what goes with it."""

_LAST_EVENT = {
    "sqlite": sa.text("SELECT seq FROM sqlite_sequence WHERE name = 'events'"),
    "postgresql": sa.text("SELECT pg_sequence_last_value(pg_get_serial_sequence('events', 'event_id')::regclass)"),
}

_BATCH = 20_000  # events written at once when all are counted anew


def _companions() -> sa.Select[Any]:
    """What the last BUYERS of ``item`` but ``shopper`` bought besides, with how many of them did."""
    table, other = schema.events.c, schema.events.alias().c
    item, shopper = sa.bindparam("item", type_=sa.String), sa.bindparam("shopper", type_=sa.String)
    buyers = sa.select(table.shopper_id).where(table.item_id == item, schema.BOUGHT, table.shopper_id != shopper)
    theirs = sa.select(other.item_id, sa.func.count(sa.distinct(other.shopper_id))).where(
        other.shopper_id.in_(buyers.order_by(table.at.desc()).limit(BUYERS)),
        other.item_id != item,
        other.kind == "purchase",
        other.kept > 0,
    )
    return theirs.group_by(other.item_id)


_COMPANIONS = _companions()  # made once: SQLAlchemy keeps with it what it compiles to


class Purchases:
    """A shop's purchases."""

    def __init__(self, storage: Storage, moments: Moments, taxonomy: Taxonomy) -> None:
        self._storage, self._moments, self._taxonomy = storage, moments, taxonomy

    # Reading

    def __len__(self) -> int:
        with self._storage.reading() as connection:
            return int(setting(connection, "purchases"))

    def frame(self) -> pl.DataFrame:
        """All purchases in the order in which they were made, without those that were wholly returned or cancelled.

        Columns shopper_id, item_id, at, order_id, simulated.
        """
        return self._storage.frame(made_purchases())

    def read(self, connection: sa.Connection, limit: int | None = None) -> pl.DataFrame:
        """As :meth:`frame`, of the connection's moment, the first ``limit`` of them."""
        return frame(connection, made_purchases().limit(limit))

    def of(self, shopper_id: str) -> pl.DataFrame:
        """As :meth:`frame`, of one shopper."""
        return self._storage.frame(made_purchases().where(schema.events.c.shopper_id == shopper_id))

    def events_of(self, shopper_id: str) -> pl.DataFrame:
        """All that a shopper did, by time: event_id, kind, item_id, at, quantity, kept (of the quantity: not taken
        back), order_id, line (empty: none)."""
        table = schema.events.c
        names = ("event_id", "kind", "item_id", "at", "quantity", "kept", "order_id", "line")
        wanted = sa.select(*(table[name] for name in names)).where(table.shopper_id == shopper_id)
        return self._storage.frame(wanted.order_by(table.at, table.event_id))

    def lines(self, order_id: str) -> list[dict[str, Any]]:
        """What of an order was not taken back yet: shopper_id, item_id, line (None: none), quantity."""
        table = schema.events.c
        wanted = sa.select(table.shopper_id, table.item_id, table.line, table.kept.label("quantity")).where(
            table.order_id == order_id, schema.BOUGHT
        )
        return [{**row, "line": row["line"] or None} for row in self._storage.rows(wanted.order_by(table.event_id))]

    def bought(self, connection: sa.Connection, shopper_ids: Collection[str]) -> dict[str, list[tuple[str, int]]]:
        """What each of some shoppers bought, each with its day, in the order in which she did."""
        found: dict[str, list[tuple[str, int]]] = {one: [] for one in shopper_ids}
        for some in chunks(shopper_ids):
            for row in connection.execute(made_purchases().where(schema.events.c.shopper_id.in_(some))):
                found[row.shopper_id].append((row.item_id, day_of(row.at)))
        return found

    def companions(
        self, connection: sa.Connection, shopper_id: str, item_ids: Sequence[str]
    ) -> dict[str, dict[str, float]]:
        """For each of some items, how often others were bought by the last BUYERS who bought it, her left out."""
        found = {one: connection.execute(_COMPANIONS, {"item": one, "shopper": shopper_id}).all() for one in item_ids}
        return {one: {row[0]: float(row[1]) for row in rows} for one, rows in found.items() if rows}

    def latest(self, shopper_ids: Collection[str], each: int = 4) -> dict[str, list[str]]:
        """The last ``each`` items that shoppers bought, the latest first."""
        with self._storage.reading() as connection:
            found = self.bought(connection, shopper_ids)
        return {who: [item_id for item_id, _ in some[: -each - 1 : -1]] for who, some in found.items() if some}

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
        ``at``, by default the last purchase), before (in as many days before those), change (bought - before), chance
        (that its share of the shop's buyers changed so by chance; see :func:`~modiste.shop.trends.compared`), image.
        Raises SettingError for a category that nobody knows.
        """
        items, counts = schema.items.c, schema.counts.c
        kept: sa.ColumnElement[bool] = sa.true()
        if not sold_out:
            kept &= schema.ON_OFFER
        with self._moments.now() as (snapshot, connection):
            names = self._taxonomy.chosen(categories, snapshot.categories) if categories else ()
            if categories:
                kept &= items.category.in_(names)
            now = at or last_purchase(connection) or datetime(1970, 1, 1)
            lately = compared(connection, window, now)
            popular = (
                sa.select(counts.item_id).join(schema.items).where(kept).order_by(counts.count.desc(), counts.item_id)
            )
            if at is None:  # no other can be among the first
                popular = popular.limit(top + len(lately))
            others = connection.execute(popular).scalars()
            considered = [snapshot.row(one) for one in dict.fromkeys([*lately["name"], *others])]
            current = snapshot.popularity()
            then = None if at is None else _popularity(snapshot, connection, None, at)
        considered = [row for row in considered if sold_out or snapshot.offered[row]]
        whats = [snapshot.item(row) for row in considered]
        if categories:
            whats = [item for item in whats if item["category"] in names]
        rows = [snapshot.row(item["item_id"]) for item in whats]
        found = pl.DataFrame(
            {
                "item_id": [item["item_id"] for item in whats],
                "category": [item["category"] for item in whats],
                "popularity": current.counts[rows],
                "normpop": current.normpop[rows],
                "image": [item["image"] for item in whats],
            },
            schema_overrides={"item_id": pl.String, "category": pl.String, "image": pl.String},
        )
        if then is not None:
            found = found.drop("popularity", "normpop").join(then, on="item_id")
        return (
            found.join(
                lately.select("name", "bought", "before", "chance"), left_on="item_id", right_on="name", how="left"
            )
            .with_columns(pl.col("bought", "before").fill_null(0), pl.col("chance").fill_null(1.0))
            .with_columns(change=pl.col("bought") - pl.col("before"))
            .sort("bought", "popularity", "item_id", descending=[True, True, False])
            .head(top)
        )

    def history(self, item_id: str, days: float = 7.0) -> pl.DataFrame:
        """One item's popularity over time: columns at (begin of each period of ``days``), bought, popularity (its count
        at the end). Raises UnknownIdError."""
        table = schema.events.c
        with self._moments.now() as (snapshot, connection):
            start = snapshot.item(snapshot.row(item_id))["popularity"] or 0.0
            sold = frame(connection, sa.select(table.at, table.kept).where(table.item_id == item_id, schema.BOUGHT))
        pieces = sold.select(pl.col("at").repeat_by("kept").explode())
        return popularity_over_time(pieces["at"], start, days)

    # Writing

    def add(self, file: str | Path, mapping: Layout | None = None, day_first: bool | None = None) -> AddReport:
        """Add purchases or other events from a table: shopper_id, item_id, date, optional order_id.

        Ids of items or dates that the shop can't make sense of are reported. What came before is not added again: a
        line of an order by its key, and without an order what is the same in shopper, item, time and kind, so often.
        """
        items = {row["item_id"] for row in self._storage.rows(sa.select(schema.items.c.item_id))}
        return self.take(read_events(Path(file), items, mapping, day_first))

    def take(self, found: Events) -> AddReport:
        """As :meth:`add`, of what was read."""
        with self._storage.writing() as writing:
            kinds = self._record(writing, found.events, recognise=True)
        unchanged = len(found.events) - kinds.total()
        return AddReport(kinds.total(), 0, unchanged, found.rejected, understood=found.understood, kinds=dict(kinds))

    def record(self, events: Sequence[Event]) -> int:
        """Record events durably; returns how many were new: a line of an order that came before is not.

        A line is known by its order, shopper, item and the shop's own key of it, if there is one. Raises UnknownIdError
        for an item the shop doesn't have, and SettingError for a value that can't be, such as a time more than a day
        ahead; then nothing is recorded.
        """
        with self._storage.writing() as writing:
            return self._record(writing, events).total()

    def _record(self, writing: Writing, events: Sequence[Event], *, recognise: bool = False) -> Counter[str]:
        """How many of each kind were new."""
        events = [_checked(one) for one in events]
        have = present(writing.connection, schema.items.c.item_id, [one.item_id for one in events])
        for one in events:
            if one.item_id not in have:
                name = self._storage.path.name
                raise UnknownIdError(f"no item {one.item_id!r} in {name}; nothing was recorded")
        lines = _lines(writing.connection, [one for one in events if one.order_id is not None])
        before = _seen(writing.connection, [one for one in events if one.order_id is None]) if recognise else Counter()
        new = []
        for one in events:
            if one.order_id is not None:
                if _key(one) not in lines:
                    lines.add(_key(one))
                    new.append(one)
            elif before[same := (one.shopper_id, one.item_id, one.at, one.kind)]:
                before[same] -= 1
            else:
                new.append(one)
        insert(writing, new)
        return Counter(one.kind for one in new)

    def remove(self, event_id: int) -> None:
        """Take back one event, as if it had never been; nothing happens if it is gone already.

        Raises UnknownIdError for one that never was.
        """
        table = schema.events
        with self._storage.writing() as writing:
            one = writing.execute(sa.select(table).where(table.c.event_id == event_id)).one_or_none()
            if one is None and event_id <= (
                writing.execute(_LAST_EVENT[writing.connection.dialect.name]).scalar() or 0
            ):
                return
            if one is None:
                raise UnknownIdError(f"no purchase {event_id} in {self._storage.path.name}")
            _keep(writing, [(one, 0)])
            writing.execute(table.delete().where(table.c.event_id == event_id))
            _settle(writing, {(one.shopper_id, one.item_id)})  # a return may be what is gone

    def forget(self, writing: Writing, shopper_id: str) -> None:
        """Delete all that a shopper did, and take it out of all that is counted."""
        table = schema.events
        some = writing.execute(sa.select(table).where(table.c.shopper_id == shopper_id)).all()
        _keep(writing, [(one, 0) for one in some])
        writing.execute(table.delete().where(table.c.shopper_id == shopper_id))

    def weigh(self, **weights: float) -> None:
        """Let each ``purchase``, ``cart`` or ``view`` count so much in popularity, and count all of them anew.

        Weights are 0 to 1000, kept as multiples of 1/1024, so that sums are exact in any order. At first a purchase
        counts 1 and the others nothing. Raises SettingError.
        """
        for kind, weight in weights.items():
            if kind not in WEIGHED or not 0 <= weight <= 1000:
                raise SettingError(f"{kind} can't weigh {weight}; {', '.join(WEIGHED)} may, from 0 to 1000")
        with self._storage.writing() as writing:
            for kind, weight in weights.items():
                set_setting(writing.connection, f"weight_{kind}", round(1024 * weight) / 1024)
            _recount(writing)

    def recount(self) -> None:
        """Count anew, from the events, all that is counted as they are recorded. Nobody writes meanwhile."""
        with self._storage.writing() as writing:
            _recount(writing)

    def miscounted(self, connection: sa.Connection) -> dict[str, int]:
        """How many of what is counted are not what the events say: of the items, of their days, of the shoppers, of the
        sums over all, and of the events' pieces that were not taken back."""
        found = {of: count_of(connection, wanted.subquery()) for of, wanted in _differing(connection).items()}
        return found | {"events": len(_unsettled(connection))}

    def refuse_real(self, connection: sa.Connection) -> None:
        """Raises SettingError where there are purchases that nobody simulated."""
        table = schema.events.c
        if connection.execute(sa.select(table.event_id).where(sa.not_(table.simulated)).limit(1)).first():
            raise SettingError(f"{self._storage.path.name} has real purchases; simulate in a shop of its own")

    def replace_simulated(self, shoppers: pl.DataFrame, purchases: pl.DataFrame) -> None:
        """Make these simulated shoppers and purchases (shopper_id, item_id, date) the only ones there are.

        Raises SettingError where there are real purchases.
        """
        with self._storage.writing() as writing:
            self.refuse_real(writing.connection)
            for table in (schema.events, schema.shoppers):
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
            insert(writing, [Event(*one) for one in bought], simulated=True)


def _count_nothing(writing: Writing) -> None:
    """Let all counts be what they were before the first purchase."""
    items, settings = schema.items.c, schema.settings
    writing.execute(schema.counts.delete())
    start = sa.select(items.item_id, sa.func.coalesce(items.popularity, 0.0))
    writing.execute(schema.counts.insert().from_select(["item_id", "count"], start))
    writing.execute(schema.sales.update().values(bought=0, revision=writing.revision))
    writing.execute(schema.shoppers.update().values(purchases=0, normpop=0.0))
    writing.execute(settings.update().where(settings.c.name.in_(["purchases", "normpop"])).values(value="0.0"))


def _recount(writing: Writing) -> None:
    table = schema.events
    unsettled = _unsettled(writing.connection).items()
    writing.update(table, "event_id", [{"event_id": event_id, "kept": n} for event_id, n in unsettled])
    _count_nothing(writing)
    last = 0
    wanted = sa.select(table).order_by(table.c.event_id).limit(_BATCH)
    while some := writing.execute(wanted.where(table.c.event_id > last)).all():
        shares = _count(writing, some)
        found = [{"event_id": one.event_id, "normpop": share} for one, share in zip(some, shares, strict=True)]
        writing.update(table, "event_id", found)
        last = some[-1].event_id


def insert(writing: Writing, events: Sequence[Event], *, simulated: bool = False) -> None:
    """Insert events of items that are there, in the order of their times, and count them; makes their shoppers."""
    if not events:
        return
    ordered = sorted(events, key=lambda one: one.at)
    who = dict.fromkeys(one.shopper_id for one in ordered)
    known = present(writing.connection, schema.shoppers.c.shopper_id, list(who))
    if new := [new_shopper(one, simulated) for one in sorted(who.keys() - known)]:
        writing.execute(schema.shoppers.insert(), new)
    shares = _count(writing, ordered)
    rows = [
        {name: getattr(one, name) for name in _GIVEN}
        | {"line": _line(one), "kept": one.quantity, "simulated": simulated, "normpop": share}
        for one, share in zip(ordered, shares, strict=True)
    ]
    writing.execute(schema.events.insert(), rows)
    _settle(writing, _with_backs(writing, [(one.shopper_id, one.item_id) for one in ordered]))


def _count(writing: Writing, events: Sequence[Any]) -> list[float]:
    """Count events in the order given; returns the normalised popularity of each purchase's item before, else 0."""
    weights = {
        kind: setting(writing.connection, f"weight_{kind}") for kind in {one.kind for one in events} & {*WEIGHED}
    }
    counted = [one for one in events if one.kind == "purchase" or weights.get(one.kind)]
    if not counted:
        return [0.0] * len(events)
    tally = _Tally(writing, [one.item_id for one in counted])
    sums: defaultdict[str, list[float]] = defaultdict(list)
    sold: defaultdict[tuple[str, int], float] = defaultdict(float)
    shares = []
    for one in events:
        kept = getattr(one, "kept", one.quantity)
        share, worth = 0.0, kept * weights.get(one.kind, 0.0)
        if one.kind == "purchase" or worth:
            share = tally.add(one.item_id, worth)
            sold[one.item_id, day_of(one.at)] += worth
        if one.kind == "purchase" and kept:
            sums[one.shopper_id].append(share)
        shares.append(share if one.kind == "purchase" else 0.0)
    tally.write()
    _sell(writing, sold)
    add_up(writing, {who: (len(one), sum(one)) for who, one in sums.items()})
    return shares


def _keep(writing: Writing, changes: Sequence[tuple[Any, int]]) -> None:
    """Let rows of events keep so much of their quantity, in all that is counted."""
    sold: defaultdict[tuple[str, int], float] = defaultdict(float)
    counts: defaultdict[str, float] = defaultdict(float)
    sums: defaultdict[str, tuple[int, float]] = defaultdict(lambda: (0, 0.0))
    weights = {kind: setting(writing.connection, f"weight_{kind}") for kind in WEIGHED}
    for one, kept in changes:
        more = weights.get(one.kind, 0.0) * (kept - one.kept)
        counts[one.item_id] += more
        sold[one.item_id, day_of(one.at)] += more
        if one.kind == "purchase" and bool(kept) != bool(one.kept):
            sign, (n, share) = 1 if kept else -1, sums[one.shopper_id]
            sums[one.shopper_id] = n + sign, share + sign * one.normpop
    add_counts(writing, counts)
    _sell(writing, {where: more for where, more in sold.items() if more})
    add_up(writing, sums)


def _sell(writing: Writing, sold: dict[tuple[str, int], float]) -> None:
    """Add to what was sold of an item on a day."""
    if not sold:
        return
    made = upsert(writing.connection, schema.sales)
    writing.execute(
        made.on_conflict_do_update(
            index_elements=["item_id", "day"],
            set_={"bought": schema.sales.c.bought + made.excluded.bought, "revision": made.excluded.revision},
        ),
        [
            {"item_id": item_id, "day": day, "bought": worth, "revision": writing.revision}
            for (item_id, day), worth in sold.items()
        ],
    )


# What is taken back


def _settle(writing: Writing, pairs: Collection[tuple[str, str]]) -> None:
    """Let returns and cancellations of shoppers and items take back what they can, as if all came at once."""
    table = schema.events
    by_pair: defaultdict[tuple[str, str], list[Any]] = defaultdict(list)
    for some in chunks(sorted({who for who, _ in pairs})):
        wanted = sa.select(table).where(table.c.shopper_id.in_(some), table.c.kind.in_(("purchase", *_BACK)))
        for one in writing.execute(wanted.order_by(table.c.at, table.c.event_id)):
            if (one.shopper_id, one.item_id) in pairs:
                by_pair[one.shopper_id, one.item_id].append(one)
    if changed := _otherwise(by_pair.values()):
        _keep(writing, changed)
        writing.update(table, "event_id", [{"event_id": one.event_id, "kept": n} for one, n in changed])


def _with_backs(writing: Writing, pairs: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
    """Those shoppers and items of which something was returned or cancelled."""
    table, backs = schema.events.c, set[tuple[str, str]]()
    for some in chunks(who for who, _ in pairs):
        found = sa.select(table.shopper_id, table.item_id).where(table.shopper_id.in_(some), table.kind.in_(_BACK))
        backs.update((who, item_id) for who, item_id in writing.execute(found.distinct()))
    return backs.intersection(pairs)


def _unsettled(connection: sa.Connection) -> dict[int, int]:
    """What events should keep of their quantity that say otherwise."""
    table, backs = schema.events.c, schema.events.alias()
    same = sa.exists().where(
        backs.c.shopper_id == table.shopper_id, backs.c.item_id == table.item_id, backs.c.kind.in_(_BACK)
    )
    alone = sa.select(table.event_id, table.quantity).where(table.kept != table.quantity, sa.not_(same))
    wrong: dict[int, int] = {one.event_id: one.quantity for one in connection.execute(alone)}
    by_pair: defaultdict[tuple[str, str], list[Any]] = defaultdict(list)
    pairs = sa.select(table.shopper_id, table.item_id).where(table.kind.in_(_BACK)).distinct().subquery().c
    theirs = sa.and_(table.shopper_id == pairs.shopper_id, table.item_id == pairs.item_id)
    wanted = sa.select(schema.events).where(table.kind.in_(("purchase", *_BACK)), theirs)
    for one in connection.execute(wanted.order_by(table.at, table.event_id)):
        by_pair[one.shopper_id, one.item_id].append(one)
    return wrong | {one.event_id: kept for one, kept in _otherwise(by_pair.values())}


def _otherwise(by_pair: Iterable[Sequence[Any]]) -> list[tuple[Any, int]]:
    """The events, by shopper and item, that keep another number than they should, with that."""
    settled = ((rows, _settled(rows)) for rows in by_pair)
    return [(one, n) for rows, kept in settled for one in rows if one.kept != (n := kept[one.event_id])]


_NEAR = 1e-6  # sums that were added in another order differ by less


def _differing(connection: sa.Connection) -> dict[str, sa.Select[Any]]:
    """What is counted otherwise than the events say, by what it is counted of."""
    table, items, shoppers, settings = schema.events.c, schema.items.c, schema.shoppers.c, schema.settings.c
    none, one = sa.literal(0).label("n"), sa.literal(1).label("n")
    weights = {kind: setting(connection, f"weight_{kind}") for kind in WEIGHED}
    worth = table.kept * sa.case(*((table.kind == kind, weight) for kind, weight in weights.items()), else_=0.0)
    weighed = table.kind.in_([kind for kind, weight in weights.items() if weight])
    day: Any = sa.cast(sa.func.julianday(sa.func.date(table.at)) - 1721424.5, sa.Integer)  # 1 is the first of year 1
    if connection.dialect.name == "postgresql":
        day = sa.literal_column("events.at::date - date '0001-01-01' + 1", sa.Integer)
    at_start, number = sa.func.coalesce(items.popularity, 0.0), sa.cast(settings.value, sa.Float)

    def differing(*parts: Any) -> sa.Select[Any]:
        """Where the parts don't add up to nothing: what they are of, then two numbers."""
        both = sa.union_all(*parts).subquery()
        *names, n, x = both.c
        unlike = sa.func.abs(sa.func.sum(x)) > _NEAR + 1e-9 * sa.func.max(sa.func.abs(x))
        return sa.select(*names).group_by(*names).having(sa.or_(sa.func.sum(n) != 0, unlike))

    counts, sales = schema.counts.c, schema.sales.c
    return {
        "items": differing(
            sa.select(items.item_id, one, at_start.label("x")),
            sa.select(table.item_id, none, worth).where(weighed),
            sa.select(counts.item_id, sa.literal(-1), -counts.count),
        ),
        "days": differing(
            sa.select(table.item_id, day.label("day"), none, worth.label("x")).where(weighed),
            sa.select(sales.item_id, sales.day, none, -sales.bought),
        ),
        "shoppers": differing(
            sa.select(table.shopper_id, one, table.normpop.label("x")).where(schema.BOUGHT),
            sa.select(shoppers.shopper_id, -shoppers.purchases, -shoppers.normpop),
        ),
        "sums": differing(
            sa.select(sa.literal("purchases").label("name"), one, sa.literal(0.0).label("x")).where(schema.BOUGHT),
            sa.select(sa.literal("normpop"), none, table.normpop).where(schema.BOUGHT),
            sa.select(settings.name, sa.cast(-number, sa.Integer), sa.literal(0.0)).where(settings.name == "purchases"),
            sa.select(settings.name, none, -number).where(settings.name == "normpop"),
        ),
    }


def _settled(rows: Sequence[Any]) -> dict[int, int]:
    """What is kept of each purchase of one item by one shopper, and what its returns took nothing back for."""
    kept = {one.event_id: one.quantity for one in rows}
    bought = [one for one in rows if one.kind == "purchase"]
    loose = []
    for back in (one for one in rows if one.kind in _BACK):
        same = [one for one in bought if one.order_id == back.order_id is not None]
        if same:
            _take(kept, back, [one for one in same if one.line == back.line] or same)
        elif back.kind == "return" or back.order_id is None:
            loose.append(back)
    for back in loose:
        _take(kept, back, [one for one in bought if one.at <= back.at][::-1])
    return kept


def _take(kept: dict[int, int], back: Any, purchases: Iterable[Any]) -> None:
    for one in purchases:
        taken = min(kept[one.event_id], kept[back.event_id])
        kept[one.event_id] -= taken
        kept[back.event_id] -= taken


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

    def add(self, item_id: str, worth: float) -> float:
        """Count an event; returns the item's normalised popularity just before it."""
        count = self._counts[item_id]
        share = (count - self.low) / (self.high - self.low) if self.high > self.low else 0.0
        self._counts[item_id] = count + worth
        self._left -= 1
        self.high = max(self.high, count + worth)
        if count == self.low and worth:
            self._at_low -= 1
            if not self._at_low:
                self.write()
                self._look()
        return float(share)

    def write(self) -> None:
        """Write the counts that have changed."""
        changed = [(item_id, count) for item_id, count in self._counts.items() if count != self._before[item_id]]
        self._writing.update(schema.counts, "item_id", [{"item_id": one, "count": count} for one, count in changed])
        self._before.update(changed)


def last_purchase(connection: sa.Connection) -> datetime | None:
    """When something was bought last that was not taken back; None: never."""
    table = schema.events.c
    wanted = sa.select(table.at).where(schema.BOUGHT)
    found: datetime | None = connection.execute(wanted.order_by(table.at.desc()).limit(1)).scalar()
    return found


def made_purchases() -> sa.Select[Any]:
    """The purchases, as :meth:`Purchases.frame` has them."""
    table = schema.events.c
    wanted = sa.select(*(table[name] for name in _COLUMNS)).where(schema.BOUGHT)
    return wanted.order_by(table.at, table.event_id)


def _checked(event: Event) -> Event:
    """The event as it is stored. Raises SettingError."""
    if event.kind not in KINDS:
        raise SettingError(f"no kind of event {event.kind!r}; there are: {', '.join(KINDS)}")
    if not 1 <= event.quantity <= MOST_OF_ONE:
        raise SettingError(f"a quantity of {event.quantity} can't be; give one from 1 to {MOST_OF_ONE:,}")
    shopper_id, at = identifier(event.shopper_id, "shopper_id"), moment(event.at)
    line = identifier(event.line, "line") if (event.line or "").strip() else None
    order = identifier(event.order_id, "order_id") if (event.order_id or "").strip() else line
    item_id = composed(event.item_id)
    return replace(event, shopper_id=shopper_id, item_id=item_id, at=at, order_id=order, line=line)


def _line(event: Event) -> str:
    """A key of the event among those of its order, shopper, item and kind."""
    return event.line or (event.at.isoformat() if event.kind in _BACK else "")


def _key(event: Event) -> tuple[str | None, str, str, str, str]:
    return event.order_id, event.shopper_id, event.item_id, _line(event), event.kind


def _lines(connection: sa.Connection, events: Sequence[Event]) -> set[tuple[str | None, str, str, str, str]]:
    """The keys of what is stored of the events' orders and shoppers."""
    table, size = schema.events.c, 200
    found: set[tuple[str | None, str, str, str, str]] = set()
    for start in range(0, len(events), size):
        some = events[start : start + size]
        wanted = sa.select(table.order_id, table.shopper_id, table.item_id, table.line, table.kind).where(
            table.order_id.in_({one.order_id for one in some}), table.shopper_id.in_({one.shopper_id for one in some})
        )
        found.update(tuple(one) for one in connection.execute(wanted))
    return found


def _seen(connection: sa.Connection, events: Sequence[Event]) -> Counter[tuple[str, str, datetime, str]]:
    """How often events without an order are stored: shopper, item, time and kind."""
    table = schema.events.c
    found: Counter[tuple[str, str, datetime, str]] = Counter()
    for some in chunks(one.shopper_id for one in events):
        wanted = sa.select(table.shopper_id, table.item_id, table.at, table.kind)
        found.update(
            tuple(one) for one in connection.execute(wanted.where(table.shopper_id.in_(some), table.order_id.is_(None)))
        )
    return found


def _popularity(
    snapshot: Snapshot, connection: sa.Connection, half_life: float | None, at: datetime | None
) -> pl.DataFrame:
    """As :meth:`Purchases.popularity`, of the connection's moment, which is the snapshot's."""
    rows = np.flatnonzero(snapshot.column("alive"))
    counts = snapshot.popularity(half_life).counts[rows]
    if at is not None:
        sold = _sold(connection, at)
        row = np.array([snapshot.row(item_id) for item_id, _ in sold], np.int64)
        day = np.array([day for _, day in sold], np.int64)
        start, bought = snapshot.column("popularity"), np.array(list(sold.values()))
        counts = decayed_counts(row, day.max(initial=0) - day, half_life, start, bought)[rows]
    ids = [snapshot.item_ids[row] for row in rows.tolist()]
    schema_ = {"item_id": pl.String, "popularity": pl.Float64, "normpop": pl.Float64}
    found = {"item_id": ids, "popularity": counts, "normpop": normalise(counts)}
    return pl.DataFrame(found, schema_).sort("item_id")


def _sold(connection: sa.Connection, at: datetime) -> dict[tuple[str, int], float]:
    """By item and day, what the events up to ``at`` are worth."""
    table = schema.events.c
    sold: defaultdict[tuple[str, int], float] = defaultdict(float)
    for kind in WEIGHED:
        if weight := setting(connection, f"weight_{kind}"):
            wanted = sa.select(table.item_id, table.at, table.kept).where(table.kind == kind, table.at <= at)
            for one in connection.execute(wanted.where(table.kept > 0)):
                sold[one.item_id, day_of(one.at)] += weight * one.kept
    return sold
