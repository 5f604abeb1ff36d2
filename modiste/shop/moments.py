"""How a snapshot is made: from the database, from the files that processes share, or from the one before.

Nothing is ever read again but what changed: rows carry the revision of their last change, and what is gone is
remembered. Only a shop that changed by a quarter is read anew.
"""

import json
import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import replace
from datetime import UTC, date, datetime
from hashlib import blake2b
from threading import Lock, Thread
from typing import Any

import numpy as np
import polars as pl
import sqlalchemy as sa

from modiste.arrays import Array, Singles
from modiste.behaviour.choice import DEFAULT, ChoiceModel
from modiste.catalog.items import GENDERS
from modiste.catalog.taxonomy import Taxonomy
from modiste.errors import StorageError
from modiste.ranking.candidates import WHOSE
from modiste.ranking.relevance import Scale
from modiste.shop import schema
from modiste.shop.arrays import Ids, Writer, mapped, mapped_for_writing, written
from modiste.shop.cache import Files
from modiste.shop.snapshot import DTYPES, FIELDS, Matrix, Sales, Snapshot, record
from modiste.shop.storage import Storage, chunks, count_of, frame, mark_of, revision_of, set_setting, setting
from modiste.vision.colour import COLOUR_DIM
from modiste.vision.embedding import VectorSpace
from modiste.vision.reduction import Reduction

STOOD_IN: ContextVar[list[datetime] | None] = ContextVar("stood in", default=None)
"""Where it is a list, the latest moment may stand in for a database that is away; then its time (UTC) is added."""


def may_stand_in(error: StorageError) -> bool:
    """Whether what was known last may be the answer: the database is away, and whoever asks would know that."""
    return error.kind == "away" and STOOD_IN.get() is not None


FILED_FROM = 20_000
"""Items from which on the snapshot lies in files; a smaller shop is read from its database in no time."""

_COLOURLESS = bytes(2 * COLOUR_DIM)
_CHUNK = 50_000  # rows of the database in memory at once
_ROUNDED = 1e-5  # what a product of matrices may differ by from that of another machine
_ROOM = 8  # a matrix has room for one more row in so many
_LOG = logging.getLogger(__name__)


def day_of(at: date) -> int:
    """What sales are counted by: the first day of the year 1 is 1."""
    return at.toordinal()


class Moments:
    """A shop's latest snapshot, brought up to date when somebody asks. Safe to share between threads."""

    filed_from: int = FILED_FROM

    def __init__(self, storage: Storage, taxonomy: Taxonomy) -> None:
        self._storage, self._taxonomy = storage, taxonomy
        self._cache = storage.path / "cache"
        self.files = Files(self._cache, storage.place)
        self._latest: Snapshot | None = None
        self._lock = Lock()
        self._filing: Thread | None = None
        self._refused = False  # the folder can't be written; asking once is enough
        self._read_at = datetime.now(UTC)

    @contextmanager
    def now(self, *spaces: str | VectorSpace | None) -> Iterator[tuple[Snapshot, sa.Connection]]:
        """The shop now, with the vectors of ``spaces`` too, and a transaction that reads the same moment.

        Raises StorageError where the database is away.
        """
        while True:
            before = self._latest
            with self._storage.reading() as connection:
                snapshot = self._at(connection, spaces, before)
                if snapshot is not None:
                    self._read_at = datetime.now(UTC)
                    yield snapshot, connection
                    return

    @contextmanager
    def last(self, *spaces: str | VectorSpace | None) -> Iterator[tuple[Snapshot, sa.Connection | None]]:
        """As :meth:`now`; where the database is away and STOOD_IN allows it, what was known last and no transaction."""
        with ExitStack() as stack:
            try:
                found: tuple[Snapshot, sa.Connection | None] = stack.enter_context(self.now(*spaces))
            except StorageError as error:
                known, stood_in = self._latest, STOOD_IN.get()
                if stood_in is None or not may_stand_in(error) or known is None or not _holds(known, spaces):
                    raise
                stood_in.append(self._read_at)
                found = known, None
            yield found

    def close(self) -> None:
        """Wait for files that are being written."""
        if self._filing is not None:
            self._filing.join()

    def _at(
        self, connection: sa.Connection, spaces: Sequence[str | VectorSpace | None], before: Snapshot | None
    ) -> Snapshot | None:
        """The moment of ``connection``; None where another thread has gone on from there already.

        ``before`` was the latest when the transaction hadn't begun.
        """
        revision, latest = revision_of(connection), self._latest
        mark = mark_of(connection, revision)
        if latest is None or (latest.revision, latest.mark) != (revision, mark) or not _holds(latest, spaces):
            with self._lock:
                latest = self._latest
                if latest is not None and latest.revision > revision:
                    if before is None or before.revision <= revision:
                        return None
                    latest = None  # the tables were put back to an older state
                if latest is None:
                    latest = self._opened(connection, revision) or self._built(connection, revision)
                if (latest.revision, latest.mark) != (revision, mark):
                    latest = self._refreshed(connection, latest, revision) or self._built(connection, revision)
                for wanted in spaces:
                    with suppress(LookupError):  # who asks for it is told
                        latest = self._with_space(connection, latest, latest.space(wanted))
                self._latest = latest
                self._file_later(latest)
        return latest

    # What is derived, against what it is derived from

    def foreign_files(self) -> bool:
        """Whether there are files that are not of these tables, or not whole."""
        files = Files(self._cache, self._storage.place)
        if not files.there:
            return False
        loaded = files.load(self._storage.path, self._taxonomy)
        with self._storage.reading() as connection:
            return loaded is None or mark_of(connection, loaded.revision) != loaded.mark

    def differing(self, *spaces: VectorSpace) -> int:
        """How many items, vectors and days' sales of the snapshot are not what the tables say."""
        with self.now(*spaces) as (snapshot, connection):
            walk, wrong, seen = _Walk(snapshot), 0, 0
            names, items, vectors = _Names(snapshot.categories, snapshot.store_ids), schema.items.c, schema.vectors.c
            wanted = sa.select(*(items[name] for name in FIELDS)).order_by(items.item_id)
            for some in _streamed(connection, wanted):
                rows = [snapshot.find(one[0]) for one in some]
                here = np.array([row for row in rows if row >= 0], np.int64)
                there = [one for one, row in zip(some, rows, strict=True) if row >= 0]
                seen += len(here)
                known = [
                    list(new.values()) if (new := snapshot.changed.get(row)) else json.loads(snapshot.records[row])
                    for row in here.tolist()
                ]
                alike = np.array([said == list(one) for said, one in zip(known, there, strict=True)], bool)
                for name, values in _columns(there, names).items() if there else ():
                    column = snapshot.column(name)[here]
                    alike &= (column == np.asarray(values, column.dtype)) | (column != column)
                wrong += len(some) - int(np.count_nonzero(alike))
            wrong += snapshot.size - seen
            for key, matrix in snapshot.matrices.items():
                walk, has = _Walk(snapshot), np.zeros(snapshot.rows, bool)
                stored = sa.select(vectors.item_id, vectors.vector, vectors.colour).where(vectors.space == key)
                for some in _streamed(connection, stored.order_by(vectors.item_id)):
                    rows_ = np.array([walk.row(one[0]) for one in some], np.int64)
                    has[rows_] = True
                    expected = decoded([one[1:] for one in some], matrix.reduction)
                    wrong += int(np.count_nonzero(np.abs(matrix.vectors[rows_] - expected).max(1) > _ROUNDED))
                wrong += int(np.count_nonzero((matrix.has[: snapshot.rows] & snapshot.column("alive")) != has))
            ours, theirs = snapshot.sales.all(), _read_sales(connection, snapshot).all()
            sold = dict(zip(ours[0].tolist(), ours[1].tolist(), strict=True))
            for day, count in zip(theirs[0].tolist(), theirs[1].tolist(), strict=True):
                wrong += int(sold.pop(day, 0.0) != count)
            return wrong + sum(int(count != 0) for count in sold.values())

    def read_anew(self) -> None:
        """Let everything that was made of the tables, here and in other processes, be made of them again."""
        with self._storage.writing() as writing:
            set_setting(writing.connection, "forgotten", writing.revision)
        if self.files.there:
            self.files.clear()

    # From the database

    def _built(self, connection: sa.Connection, revision: int) -> Snapshot:
        """Everything read anew, in chunks; from FILED_FROM items on into files, if the folder can be written."""
        size = count_of(connection, schema.items)
        if size >= self.filed_from:
            try:
                self._cache.mkdir(exist_ok=True)
                return self._built_in(connection, revision, size, filed=True)
            except OSError as error:
                _LOG.warning("can't write %s (%s); the shop is kept in memory", self._cache, error.strerror)
        return self._built_in(connection, revision, size, filed=False)

    def _built_in(self, connection: sa.Connection, revision: int, count: int, filed: bool) -> Snapshot:
        folder = self._cache if filed else None
        ids, records = Writer(folder, count), Writer(folder, count)
        columns: dict[str, Array] = {name: np.zeros(count + count // _ROOM, dtype) for name, dtype in DTYPES.items()}
        names, row, items = _Names((), ()), 0, schema.items.c
        wanted = sa.select(*(items[name] for name in FIELDS)).order_by(items.item_id)
        for some in _streamed(connection, wanted):
            for item in some:
                ids.write(item[0])
                records.write(record(item))
            for name, values in _columns(some, names).items():
                columns[name][row : row + len(some)] = values
            row += len(some)
        snapshot = Snapshot(
            revision=revision,
            mark=mark_of(connection, revision),
            name=self._storage.path.name,
            folder=self._storage.path.absolute(),
            taxonomy=self._taxonomy,
            rows=row,
            item_ids=Ids(ids.texts(), [], row),
            records=records.texts(),
            changed={},
            order=np.arange(row, dtype=np.int32),
            moved={},
            columns=columns,
            categories=names.categories,
            similarity=self._taxonomy.matrix(names.categories),
            store_ids=names.store_ids,
            stores=_stores(connection),
            **models_of(connection),
            spaces=_spaces(connection),
            matrices={},
            sales=Sales(np.zeros(0, np.int64), np.zeros(0)),
        )
        snapshot = replace(snapshot, sales=_read_sales(connection, snapshot))
        if snapshot.spaces:
            snapshot = self._with_space(connection, snapshot, snapshot.spaces[0], filed=filed)
        return self.files.save(snapshot) if filed else snapshot

    def _with_space(
        self, connection: sa.Connection, snapshot: Snapshot, space: VectorSpace, *, filed: bool = False
    ) -> Snapshot:
        """With the vectors of another space, all read, in memory or in a file."""
        if space.key in snapshot.matrices:
            return snapshot
        reduction, scales = _fitted(connection, space)
        dim, capacity = space.dim if reduction is None else reduction.dim, snapshot.rows + snapshot.rows // _ROOM + 1
        dim += COLOUR_DIM
        has, file, vectors = np.zeros(capacity, bool), None, np.zeros((capacity, dim), np.float32)
        if filed or snapshot.source:
            with suppress(OSError):  # the folder can't be written, or is gone
                vectors = mapped_for_writing(path := self.files.matrix_file(), capacity, dim)
                file = path
        table, walk = schema.vectors.c, _Walk(snapshot)
        wanted = sa.select(table.item_id, table.vector, table.colour).where(table.space == space.key)
        for some in _streamed(connection, wanted.order_by(table.item_id)):
            rows = np.array([walk.row(one[0]) for one in some], np.int64)
            vectors[rows] = decoded([one[1:] for one in some], reduction)
            has[rows] = True
        if file is not None:
            try:
                vectors = mapped(file, capacity, dim)
            except OSError:  # deleted meanwhile; what was mapped stays
                file = None
        matrix = Matrix(vectors, has, reduction, file, colour_dim=COLOUR_DIM, scales=scales)
        return replace(snapshot, matrices={**snapshot.matrices, space.key: matrix})

    # From the one before

    def _refreshed(self, connection: sa.Connection, old: Snapshot, revision: int) -> Snapshot | None:
        """What changed since ``old``, read and written beside it; None where reading everything is quicker."""
        if setting(connection, "forgotten") > old.revision or mark_of(connection, old.revision) != old.mark:
            return None
        if connection.dialect.name == "postgresql":  # which would read a table whole that it hasn't analysed yet
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")

        def since(table: sa.Table) -> sa.ColumnElement[bool]:
            return table.c.revision > old.revision

        items, sales = schema.items, schema.sales
        if count_of(connection, items, since(items)) > max(1000, old.rows // 4):
            return None
        gone = connection.execute(sa.select(schema.removed.c.item_id).where(since(schema.removed))).scalars().all()
        came = connection.execute(sa.select(*(items.c[name] for name in FIELDS)).where(since(items))).all()
        snapshot = _with_items(old, gone, [tuple(one) for one in came], self._taxonomy) if gone or came else old
        bought = connection.execute(sa.select(sales.c.item_id, sales.c.day, sales.c.bought).where(since(sales))).all()
        changes = list(_none(old.sales.of([row for one in gone if (row := old.find(one)) >= 0]))) if gone else []
        changes += [(snapshot.find(item_id), day, count) for item_id, day, count in bought]
        snapshot = replace(
            snapshot,
            revision=revision,
            mark=mark_of(connection, revision),
            stores=_stores(connection),
            **models_of(connection),
            spaces=_spaces(connection),
            sales=snapshot.sales.changed(changes) if changes else snapshot.sales,
        )
        matrices = {}
        for key, matrix in old.matrices.items():
            space = next((one for one in snapshot.spaces if one.key == key), None)
            if space is None:
                continue
            reduction, scales = _fitted(connection, space)
            if matrix.reduction is None and reduction is not None:
                continue  # read anew, as it is now
            fresh = _changed_vectors(connection, snapshot, key, old.revision, [one[0] for one in came])
            rows = np.array(list(fresh), np.int64)
            vectors = (
                decoded(list(fresh.values()), matrix.reduction) if fresh else np.zeros((0, matrix.vectors.shape[1]))
            )
            lost = np.array([row for one in came if (row := snapshot.find(one[0])) not in fresh], np.int64)
            changed = matrix.changed(old.rows, snapshot.rows, rows, vectors.astype(np.float32, copy=False), lost)
            matrices[key] = replace(changed, scales=scales)
        snapshot = replace(snapshot, matrices=matrices)
        if snapshot.spaces:
            snapshot = self._with_space(connection, snapshot, snapshot.spaces[0])
        return snapshot

    # Files

    def _opened(self, connection: sa.Connection, revision: int) -> Snapshot | None:
        """The snapshot that lies in files; None where there is none that the database has gone on from."""
        loaded = self.files.load(self._storage.path, self._taxonomy)
        if loaded is None or loaded.revision > revision or mark_of(connection, loaded.revision) != loaded.mark:
            return None
        spaces = _spaces(connection)
        keys = {one.key for one in spaces}
        matrices = {}
        for key, matrix in loaded.matrices.items():
            if key in keys:
                reduction, scales = _fitted(connection, next(one for one in spaces if one.key == key))
                if reduction is None or reduction.dim + COLOUR_DIM == matrix.vectors.shape[1]:
                    matrices[key] = replace(matrix, reduction=reduction, scales=scales)
        loaded = replace(loaded, **models_of(connection), stores=_stores(connection), spaces=spaces, matrices=matrices)
        return self._with_space(connection, loaded, spaces[0]) if spaces and loaded.revision == revision else loaded

    def _file_later(self, latest: Snapshot) -> None:
        """Where much has come since the files were written, have a thread write them; nobody waits for it."""
        fresh = sum(len(one.fresh) if one.file in self.files.saved else latest.rows for one in latest.matrices.values())
        unfiled = len(latest.changed) + len(latest.sales.since) + fresh
        if self._refused or latest.rows < self.filed_from or unfiled < max(5000, latest.rows // 50):
            return
        if self._filing is None or not self._filing.is_alive():
            self._filing = Thread(target=self._file, args=(latest,), daemon=True)
            self._filing.start()

    def _file(self, snapshot: Snapshot) -> None:
        try:
            filed = self.files.save(snapshot)
        except OSError as error:
            _LOG.warning("can't write %s: %s; the shop is kept in memory", self._cache, error.strerror)
            self._refused = True
            return
        with suppress(StorageError), self._lock, self._storage.reading() as connection:  # nobody else goes on meanwhile
            revision = revision_of(connection)
            current = self._refreshed(connection, filed, revision)
            if current is not None and (self._latest is None or self._latest.revision <= revision):
                self._latest = current


def _holds(snapshot: Snapshot, spaces: Sequence[str | VectorSpace | None]) -> bool:
    """Whether the snapshot has the vectors of ``spaces``, as far as there are such spaces."""
    for wanted in spaces:
        with suppress(LookupError):
            if snapshot.space(wanted).key not in snapshot.matrices:
                return False
    return True


# What is read


def _streamed(connection: sa.Connection, wanted: sa.Select[Any]) -> Iterator[list[tuple[Any, ...]]]:
    """The rows in lists of at most _CHUNK, not all in memory at once."""
    with connection.execute(wanted, execution_options={"yield_per": _CHUNK}) as found:
        for some in found.partitions():
            yield [tuple(row) for row in some]


def _stores(connection: sa.Connection) -> pl.DataFrame:
    return frame(connection, sa.select(schema.stores).order_by(schema.stores.c.store_id))


def models_of(connection: sa.Connection) -> dict[str, Any]:
    """The choice model in use, a tuning's or the defaults, and those of all tunings, as a snapshot has them."""
    table = schema.tunings.c
    rows = connection.execute(sa.select(table.name, table.used, table.content)).all()
    tunings = {name: ChoiceModel.of(json.loads(content)["model"]) for name, _, content in rows}
    return {"model": next((tunings[name] for name, used, _ in rows if used), DEFAULT), "tunings": tunings}


def _spaces(connection: sa.Connection) -> tuple[VectorSpace, ...]:
    wanted = sa.select(schema.spaces.c.settings).where(schema.COMPARABLE).order_by(schema.spaces.c.used.desc())
    return tuple(VectorSpace.from_json(one) for one in connection.execute(wanted).scalars())


def _fitted(connection: sa.Connection, space: VectorSpace) -> tuple[Reduction | None, tuple[Scale, Scale]]:
    """The space's reduction, which once fitted never changes, and its calibration."""
    table = schema.spaces.c
    wanted = sa.select(table.reduction, table.calibration).where(table.key == space.key)
    reduction, calibration = connection.execute(wanted).one_or_none() or (None, None)
    scales = (Scale(), Scale())
    if calibration is not None:
        about = json.loads(calibration)
        scales = (Scale(*about["look"]), Scale(*about["colour"]))
    return None if reduction is None else Reduction.from_bytes(reduction), scales


def decoded(stored: Sequence[tuple[bytes, bytes | None]], reduction: Reduction | None) -> Singles:
    """Looks, reduced, and colours, float16 bytes each, as float32 (m, d)."""
    look = np.frombuffer(b"".join(look for look, _ in stored), "<f2").reshape(len(stored), -1).astype(np.float32)
    colour = np.frombuffer(b"".join(colour or _COLOURLESS for _, colour in stored), "<f2").reshape(-1, COLOUR_DIM)
    return np.hstack([look if reduction is None else reduction.apply(look), colour.astype(np.float32)])


def _changed_vectors(
    connection: sa.Connection, snapshot: Snapshot, key: str, since: int, changed: Sequence[str]
) -> dict[int, tuple[bytes, bytes | None]]:
    """By row: the looks and colours that came since a revision, and those of changed items."""
    table = schema.vectors.c
    wanted = sa.select(table.item_id, table.vector, table.colour).where(table.space == key)
    found = list(connection.execute(wanted.where(table.revision > since)))
    for some in chunks(changed):
        found += connection.execute(wanted.where(table.item_id.in_(some)))
    return {snapshot.row(one[0]): (one[1], one[2]) for one in found}


def _read_sales(connection: sa.Connection, snapshot: Snapshot) -> Sales:
    table, walk = schema.sales.c, _Walk(snapshot)
    wanted = sa.select(table.item_id, table.day, table.bought).where(table.bought > 0)
    keys, bought = [np.zeros(0, np.int64)], [np.zeros(0)]
    day = -1
    for some in _streamed(connection, wanted.order_by(table.item_id, table.day)):
        keys.append(np.array([Sales.key(walk.row(item_id), when) for item_id, when, _ in some], np.int64))
        bought.append(np.array([count for _, _, count in some], np.float64))
        day = max(day, *(when for _, when, _ in some))
    return Sales(np.concatenate(keys), np.concatenate(bought), day)


class _Walk:
    """Finds the rows of ids that come sorted, without a search for each."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot, self.place, self.current = snapshot, -1, ""

    def row(self, item_id: str) -> int:
        """The row of ``item_id``, which is not below the one before."""
        shop = self.snapshot
        if item_id in shop.moved:
            return shop.moved[item_id]
        while self.place < 0 or self.current < item_id:
            self.place += 1
            self.current = shop.item_ids[int(shop.order[self.place])]
        return int(shop.order[self.place])


# What rows are made of


class _Names:
    """The categories and stores that items name, each with its number; new ones are added as they come."""

    def __init__(self, categories: Iterable[str], store_ids: Iterable[str]) -> None:
        self._categories = {name: number for number, name in enumerate(categories)}
        self._store_ids = {name: number for number, name in enumerate(store_ids)}

    def category(self, name: str | None) -> int:
        return -1 if name is None else self._categories.setdefault(name, len(self._categories))

    def store(self, name: str | None) -> int:
        return -1 if name is None else self._store_ids.setdefault(name, len(self._store_ids))

    @property
    def categories(self) -> tuple[str, ...]:
        return tuple(self._categories)

    @property
    def store_ids(self) -> tuple[str, ...]:
        return tuple(self._store_ids)


def _columns(items: Sequence[tuple[Any, ...]], names: _Names) -> dict[str, Any]:
    """What the snapshot's columns have for ``items``, rows of FIELDS."""
    by_name = dict(zip(FIELDS, zip(*items, strict=True), strict=True))
    category = [names.category(one) for one in by_name["category"]]
    gender = [
        GENDERS.index(said) + 1 if said in GENDERS else GENDERS.index(seen) + 3 if seen in GENDERS else 0
        for said, seen in zip(by_name["gender"], by_name["proposed_gender"], strict=True)
    ]
    children = [one == "children" for one in by_name["age_group"]]
    return {
        "alive": [True] * len(items),
        "category": category,
        "gender": gender,
        "children": children,
        "group": [
            WHOSE * (one + 1) + WHOSE // 2 * young + whose
            for one, young, whose in zip(category, children, gender, strict=True)
        ],
        "product": [_hash(one) for one in by_name["product"]],
        "price": [np.nan if one is None else one for one in by_name["price"]],
        "store": [names.store(one) for one in by_name["store_id"]],
        "popularity": [one or 0.0 for one in by_name["popularity"]],
        "came": [one or 0 for one in by_name["came"]],
        "picture": [
            _hash(shown or re.split("[-+]", stamp)[0]) if stamp else 0  # without the mask and the further photos
            for stamp, shown in zip(by_name["stamp"], by_name["shown"], strict=True)
        ],
        "state": [
            _state(*one)
            for one in zip(*(by_name[name] for name in ("hidden", "available", "stock", "image")), strict=True)
        ],
    }


def _state(hidden: bool | None, available: bool | None, stock: int | None, image: str | None) -> int:
    """Which of STATES an item is in."""
    known = (hidden, available is False, stock is not None and stock <= 0, image is None)
    return next((number for number, one in enumerate(known, 1) if one), 0)


def _hash(name: str) -> int:
    """A product's or a picture's number: 64 bits, so that no two of a shop's share one."""
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "little", signed=True)


def _with_items(old: Snapshot, gone: Sequence[str], came: Sequence[tuple[Any, ...]], taxonomy: Taxonomy) -> Snapshot:
    """Without the items ``gone``, and with ``came``, rows of FIELDS, new or in the place they had."""
    moved, changed, rows = dict(old.moved), dict(old.changed), old.rows
    more = old.item_ids.more
    del more[rows - len(old.item_ids.base) :]  # what a refresh that failed left
    dead = []
    for item_id in gone:
        if (row := old.find(item_id)) >= 0:
            dead.append(row)
            changed.pop(row, None)
        moved[item_id] = -1
    placed = []
    for item in came:
        row = moved[item[0]] if item[0] in moved else old.find(item[0])
        if row < 0:
            row = moved[item[0]] = rows
            more.append(item[0])
            rows += 1
        changed[row] = dict(zip(FIELDS, item, strict=True))
        placed.append(row)
    names, columns = _Names(old.categories, old.store_ids), dict(old.columns)
    if came:
        for name, values in _columns(came, names).items():
            columns[name] = written(columns[name], old.rows, np.array(placed, np.int64), values)
    for name in ("alive", "came"):  # of the latest item's day the ages of the others are told
        columns[name] = written(columns[name], rows, np.array(dead, np.int64), [0] * len(dead))
    return replace(
        old,
        rows=rows,
        item_ids=Ids(old.item_ids.base, more, rows),
        changed=changed,
        moved=moved,
        columns=columns,
        categories=names.categories,
        similarity=old.similarity if names.categories == old.categories else taxonomy.matrix(names.categories),
        store_ids=names.store_ids,
    )


def _none(days: Iterable[tuple[int, int, float]]) -> Iterator[tuple[int, int, float]]:
    """The days of an item that is gone, with nothing bought."""
    return ((row, day, 0.0) for row, day, _ in days)
