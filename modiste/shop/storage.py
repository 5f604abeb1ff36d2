"""Where a shop is kept: its folder, its database, transactions and revisions."""

import logging
import shutil
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from shlex import quote
from threading import Lock
from typing import Any, Self, TypeVar

import polars as pl
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from modiste.catalog.files import as_toml, resolved
from modiste.errors import SettingError, SourceError, StorageError
from modiste.shop import database, migrations, schema

UPLOADS = "uploads"
"""The folder, inside the shop's, of photos that came without a catalogue; named by their content."""

SETTINGS = ("schema", "revision", "forgotten", "purchases", "normpop", "weight_purchase", "weight_cart", "weight_view",
            "secret", "began")  # fmt: skip
"""What the table of settings holds: the tables' version, the revision of the last change, the revision up to which
removed items are not remembered, how many purchases there are, the sum of their normalised popularity, what an
event of each kind is worth in popularity, the secret that lists are signed with, in hexadecimal digits, and the day of
the first items, 0 before them. While what was deleted still lies in the database's files, it holds "deleted" too."""

ASK_AGAIN_S = 1.0
"""A database that is away is asked again after so many seconds."""

LOCKED_S = 10.0
"""So long PostgreSQL's tables are waited for before they are written anew."""

MOST_REMOVED = 100_000
"""So many removed items are remembered; a snapshot that is older than the oldest of them is made anew."""

MOST_REVISIONS = 100_000
"""So many revisions are remembered by their marks; a snapshot that is older is made anew."""

T = TypeVar("T")

_TAXONOMY = "categories.toml.unfinished"
_MADE = ("shop.db", "shop.db-wal", "shop.db-shm", "shop.db-journal", "shop.toml", _TAXONOMY, database.IDENTITY)
_UNFINISHED = "shop.db.unfinished"  # the tables of a copy that is being made
_LEFT = schema.settings.delete().where(schema.settings.c.name == "deleted")
_LOG = logging.getLogger(__name__)

_POLARS: dict[type[Any], Any] = {
    sa.String: pl.String,
    schema.Id: pl.String,
    sa.Text: pl.String,
    sa.Float: pl.Float64,
    sa.Integer: pl.Int64,
    sa.Boolean: pl.Boolean,
    sa.DateTime: pl.Datetime,
}


@dataclass(frozen=True)
class Writing:
    """A write transaction: every row that it changes gets its ``revision``."""

    connection: sa.Connection
    revision: int

    def execute(self, statement: sa.Executable, rows: Any = None) -> Any:
        """The statement's result, for each of ``rows`` if they are given."""
        return self.connection.execute(statement, rows)

    def update(self, table: sa.Table, key: str, rows: Sequence[Mapping[str, Any]], **values: Any) -> None:
        """Set what each of ``rows``, all of the same columns, says of the row with its ``key``; and ``values``."""
        if rows:
            new: dict[str, Any] = {name: sa.bindparam(f"new_{name}") for name in rows[0]}
            changed = table.update().where(table.c[key] == new.pop(key)).values({**new, **values})
            self.execute(changed, [{f"new_{name}": value for name, value in row.items()} for row in rows])


class Storage:
    """A shop's folder and database: transactions, revisions and paths; what the shop's nouns are built on."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.engine = database.connect(path)
        self._failed_at: float | None = None
        self._asking = Lock()  # held by who finds out whether a database that was away is back

    @classmethod
    def create(cls, folder: Path, url: str | None, categories: Path | None = None) -> Self:
        """Make the tables of an empty shop in ``folder``, or in PostgreSQL at ``url``, all of it or nothing.

        Where PostgreSQL can't say what became of them, the folder stays, and doing the same again ends it.
        Raises SourceError if there is a shop already or the database can't be used, SettingError for another kind of
        URL, MissingExtraError without the extra ``postgres``.
        """
        if url is not None:
            database.postgres(url).dispose()  # refuse a bad one before anything is written
        before = {one for one in (folder, *folder.parents, *(folder / name for name in _MADE)) if one.exists()}
        made: bool | None = False  # None: nobody knows
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if url is not None:
                database.remember(folder, url)
            elif not (folder / "shop.toml").exists():
                (folder / "shop.db").touch()
            if categories is not None:
                shutil.copyfile(categories, folder / _TAXONOMY)
            storage = cls(folder)
            try:
                made = migrations.create(storage.engine, lambda: database.identity(folder))
                if not made:
                    raise SourceError(_there_already(storage.engine, folder, url, folder / "shop.toml" in before))
            except BaseException as error:
                if (folder / database.IDENTITY).exists():  # the answer may be all that was lost
                    made = migrations.is_made(storage.engine, database.identity(folder))
                if not (made and isinstance(error, Exception)):
                    storage.close()
                    raise
            _finish(folder)
        except BaseException as error:
            for name in _MADE:  # what PostgreSQL has, or may have, is ended by opening or making it again
                if folder / name not in before and (made is False or not (folder / "shop.toml").exists()):
                    with suppress(OSError):
                        (folder / name).unlink(missing_ok=True)
            for one in (folder, *folder.parents):
                if one not in before:
                    with suppress(OSError):
                        one.rmdir()
            refused = StorageError.of(error) if isinstance(error, OSError) else None
            if made is None and isinstance(error, Exception):
                refused = StorageError(f"nobody knows whether {folder} was made ({error}); make it once more", "away")
            if refused is not None:
                raise refused from error
            raise
        return storage

    @classmethod
    def open(cls, folder: Path) -> Self:
        """The shop in ``folder``; tables of an older program are brought forward. Raises SourceError."""
        if not database.is_shop(folder):
            raise SourceError(f"there is no shop in {folder}; make one with: modiste new {folder.name}")
        storage = cls(folder)
        try:
            migrations.upgrade(storage.engine)
            _finish(folder)
        except BaseException as error:
            storage.close()
            if isinstance(error, SourceError) and (folder / database.IDENTITY).exists():
                raise SourceError(
                    f"making {folder} was interrupted; make it again: modiste new {folder.name}"
                ) from error
            raise
        return storage

    @property
    def place(self) -> str:
        """Which database it is, without a password; the same for every process, and after the folder was moved."""
        if self.engine.dialect.name == "sqlite":
            return "sqlite"
        url, schema_ = self.engine.url, self.engine.get_execution_options().get("shop_schema")
        return f"{url.host or url.query.get('host')}:{url.port}/{url.database}?schema={schema_}"

    def close(self) -> None:
        """Let go of the database."""
        self.engine.dispose()

    # Transactions

    def _connected(self, **options: Any) -> sa.Connection:
        """A connection. While the database is known to be away, nobody waits but the one who asks whether it is back.

        Raises StorageError.
        """
        asks = False
        if self._failed_at is not None:
            asks = time.monotonic() >= self._failed_at + ASK_AGAIN_S and self._asking.acquire(blocking=False)
            if not asks:
                raise StorageError("the database is away: nothing was changed; do it again once it is there", "away")
        try:
            connection = self.engine.connect().execution_options(**options)
        except StorageError as error:
            self._failed_at = time.monotonic() if error.kind == "away" else None
            raise
        else:
            self._failed_at = None
            return connection
        finally:
            if asks:
                self._asking.release()

    @contextmanager
    def writing(self) -> Iterator[Writing]:
        """A write transaction, taken at once so that writers queue, with a revision of its own."""
        table = schema.settings
        raised = sa.cast(sa.cast(table.c.value, sa.Integer) + 1, sa.String)
        with self.aside() as connection:
            connection.execute(table.update().where(table.c.name == "revision").values(value=raised))
            revision, marks = revision_of(connection), schema.revisions
            connection.execute(marks.insert().values(revision=revision, mark=token_hex(8)))
            if revision % 1000 == 0:
                connection.execute(marks.delete().where(marks.c.revision <= revision - MOST_REVISIONS))
            yield Writing(connection, revision)

    @contextmanager
    def aside(self) -> Iterator[sa.Connection]:
        """A write transaction for what no snapshot holds, such as who is logged in or saw what: no revision.

        Nobody else writes beside it. While it writes nothing itself, a full disk doesn't hinder it.
        """
        with self._connected(writes=True) as connection, connection.begin():
            yield connection

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A transaction in which everything read is of one moment, whatever others write meanwhile."""
        whole = {"isolation_level": "REPEATABLE READ"} if self.engine.dialect.name == "postgresql" else {}
        with self._connected(**whole) as connection, connection.begin():
            yield connection

    def rows(self, wanted: sa.Select[Any]) -> list[Any]:
        """The rows as mappings, read now."""
        with self._connected() as connection:
            return list(connection.execute(wanted).mappings())

    def row(self, wanted: sa.Select[Any]) -> Any:
        """The first of the rows, or None."""
        return next(iter(self.rows(wanted)), None)

    def count(self, table: sa.Table) -> int:
        """How many rows a table has now."""
        with self._connected() as connection:
            return count_of(connection, table)

    def frame(self, wanted: sa.Select[Any]) -> pl.DataFrame:
        """The rows as a frame, read now."""
        with self._connected() as connection:
            return frame(connection, wanted)

    def deleted(self, connection: sa.Connection, now: bool) -> bool:
        """Whether what was deleted before must still be erased; remembers it of what is deleted ``now``."""
        before = bool(connection.execute(_LEFT).rowcount)
        if before or now:
            connection.execute(schema.settings.insert().values(name="deleted", value="1"))
        return before

    def erase(self) -> None:
        """Let nothing of what was deleted stay in the database's files. Raises SourceError if others hold on to it."""
        self._write_anew()
        with self.aside() as connection:
            connection.execute(_LEFT)

    def _write_anew(self) -> None:
        if self.engine.dialect.name == "postgresql":
            with self._connected(isolation_level="AUTOCOMMIT") as connection:
                connection.exec_driver_sql(f"SET lock_timeout = '{1000 * LOCKED_S:.0f}ms'")
                try:
                    connection.exec_driver_sql("VACUUM (FULL, ANALYZE) shoppers, events, lists, clicks, visitors")
                except (sa.exc.OperationalError, StorageError) as error:
                    raise SourceError("the tables are in use: they were not written anew; do it again") from error
                finally:
                    connection.exec_driver_sql("RESET lock_timeout")
            return
        with closing(database.opened(self.path / "shop.db")) as connection:
            try:
                connection.isolation_level = None
                connection.execute("VACUUM")
                busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            except sqlite3.Error as error:
                if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_FULL:
                    why = f"the disk is full: {self.path / 'shop.db'} still holds what was deleted"
                    raise StorageError(f"{why}; make room, and do it again", "full") from error
                raise SourceError(f"{self.path / 'shop.db'} can't be written anew: {error}; do it again") from error
        if busy:
            raise SourceError(f"another program reads {self.path / 'shop.db'}: it was not written anew; do it again")

    # Paths

    def relative(self, path: str | None) -> str | None:
        """``path`` relative to the shop's folder when inside it, so that the folder can be moved."""
        if path is None:
            return None
        inside = resolved(path)
        return inside.relative_to(self.path).as_posix() if inside.is_relative_to(self.path) else str(inside)

    def absolute(self, path: str | None) -> str | None:
        """Inverse of :meth:`relative`."""
        return None if path is None else str(self.path / path)

    # Copies

    def backup(self, to: Path) -> Path:
        """As :meth:`Shop.backup <modiste.shop.shop.Shop.backup>`."""
        if self.engine.dialect.name != "sqlite":
            raise SettingError(
                f"the tables of {self.path} lie in PostgreSQL; copy them with: pg_dump (see docs/how-to/backup.md)"
            )
        folder = resolved(to)
        if (folder / _UNFINISHED).exists() and not database.is_shop(folder):
            shutil.rmtree(folder)  # a copy that was interrupted
        if folder.exists() and any(folder.iterdir()):
            raise SourceError(f"{folder} exists already; choose a new folder for the copy")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _UNFINISHED).touch()
        try:
            if (self.path / "categories.toml").is_file():
                shutil.copy2(self.path / "categories.toml", folder / "categories.toml")
            gone = self._copy(folder)
            if gone:  # replaced meanwhile, most likely; while nobody can write, what is missing is lost
                with self.aside():
                    gone = self._copy(folder)
            (folder / _UNFINISHED).rename(folder / "shop.db")  # half a copy is no shop
        except BaseException as error:
            shutil.rmtree(folder, ignore_errors=True)
            if isinstance(error, (OSError, sqlite3.Error)):
                raise SourceError(f"can't copy {self.path} to {folder}: {error}; make room or mend it") from error
            raise
        if gone:
            more = f" and {len(gone) - 5} more" if len(gone) > 5 else ""
            _LOG.warning("the copy lacks photos that %s itself has lost: %s%s", self.path, ", ".join(gone[:5]), more)
        return folder

    def _copy(self, folder: Path) -> list[str]:
        """Copy the tables, then the photos and masks they name, into ``folder``; returns those that aren't there.

        What an earlier call copied stays, unless the tables don't name it any more. Raises SourceError for a path that
        leads out of the shop's folder.
        """
        with (
            closing(database.opened(self.path / "shop.db")) as ours,
            closing(sqlite3.connect(folder / _UNFINISHED)) as copy,
        ):
            ours.backup(copy)
            found = copy.execute(
                "SELECT image FROM items UNION SELECT mask FROM items "
                "UNION SELECT one.value FROM items, json_each(items.photos) AS one WHERE items.photos IS NOT NULL"
            ).fetchall()
        names = sorted(name for (name,) in found if name and not Path(name).is_absolute())
        for name in names:
            if ".." in Path(name).parts or not resolved(self.path / name).is_relative_to(resolved(self.path)):
                raise SourceError(f"{name!r} leads out of {self.path}; add its item again from where the photo lies")
        wanted = {folder / name for name in names} | {folder / "categories.toml"}
        for file in folder.rglob("*"):
            if file.is_file() and file not in wanted and not file.name.startswith(_UNFINISHED):
                file.unlink()
        gone = []
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            try:
                if not (folder / name).exists():
                    shutil.copy2(self.path / name, folder / name)
            except FileNotFoundError:
                gone.append(name)
        return gone


def _finish(folder: Path) -> None:
    """Put a new shop's taxonomy where it belongs, now that there are tables; also if making it was interrupted."""
    if (folder / _TAXONOMY).exists():  # asked first: a read-only folder refuses to rename what isn't there, too
        with suppress(FileNotFoundError):
            (folder / _TAXONOMY).replace(folder / "categories.toml")
    if (folder / database.IDENTITY).exists():
        (folder / database.IDENTITY).unlink(missing_ok=True)


def _there_already(engine: sa.Engine, folder: Path, url: str | None, was: bool) -> str:
    """What to say, and to do, where there are tables; ``was``: the folder named them before."""
    if url is None or was:
        return f"there is a shop already in {database.place(engine)}; open it, or choose another folder"
    shown = sa.make_url(url).difference_update_query(["password"]).render_as_string()  # its password is ***
    line = as_toml({"database": shown}).strip()
    command = f"mkdir -p {quote(str(folder))} && echo {quote(line)} > {quote(str(folder / 'shop.toml'))}"
    its_own = "name a schema of its own in the URL, as in …/db?schema=street"
    return f"there is a shop already in {database.place(engine)}; {its_own}; or have this folder be its: {command}"


def setting(connection: sa.Connection, name: str) -> float:
    """The number that the setting ``name`` holds, one of SETTINGS."""
    table = schema.settings.c
    return float(connection.execute(sa.select(table.value).where(table.name == name)).scalar_one())


def set_setting(connection: sa.Connection, name: str, value: float) -> None:
    """Change one of SETTINGS."""
    table = schema.settings
    connection.execute(table.update().where(table.c.name == name).values(value=f"{value!r}"))


def revision_of(connection: sa.Connection) -> int:
    """The revision of the last change that the connection's transaction sees."""
    return int(setting(connection, "revision"))


def mark_of(connection: sa.Connection, revision: int) -> str:
    """What tells a revision from one of the same number, counted on from tables that were put back to an older state.

    Empty where nothing was ever written, or so much since that it isn't remembered.
    """
    table = schema.revisions.c
    return connection.execute(sa.select(table.mark).where(table.revision == revision)).scalar() or ""


def frame(connection: sa.Connection, wanted: sa.Select[Any]) -> pl.DataFrame:
    """The rows of ``wanted`` as a frame with the columns' types."""
    types = {column.name: _POLARS[type(column.type)] for column in wanted.selected_columns if column.name is not None}
    return pl.DataFrame([tuple(row) for row in connection.execute(wanted)], schema=types, orient="row")


def count_of(connection: sa.Connection, rows: sa.FromClause, *conditions: sa.ColumnElement[bool]) -> int:
    """How many rows of a table or subquery meet all conditions."""
    return int(connection.execute(sa.select(sa.func.count()).select_from(rows).where(*conditions)).scalar_one())


def upsert(connection: sa.Connection, table: sa.Table) -> Any:
    """An INSERT that can say what is to become of rows that are there already."""
    return (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(table)


def chunks(values: Iterable[T]) -> Iterator[list[T]]:
    """The distinct ``values`` in their order, in lists that any database takes as parameters."""
    distinct = list(dict.fromkeys(values))
    for start in range(0, len(distinct), 500):
        yield distinct[start : start + 500]


def present(connection: sa.Connection, column: sa.Column[Any], values: Sequence[str]) -> set[str]:
    """Those of ``values`` that stand in ``column``."""
    found: set[str] = set()
    for some in chunks(values):
        found.update(connection.execute(sa.select(column).where(column.in_(some))).scalars())
    return found
