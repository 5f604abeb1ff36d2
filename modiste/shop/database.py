"""Where a shop's tables lie and how they are reached: SQLite in the shop's folder, or PostgreSQL by URL.

A folder whose shop lies in PostgreSQL holds ``shop.toml`` with the URL instead of ``shop.db``. The URL is libpq's:
``postgresql://user@host:5432/db``, with the password in it, in ``~/.pgpass``, in ``PGPASSWORD``, or nowhere. Where the
environment has ``MODISTE_DATABASE``, that URL is used in place of the file's, so that no password need lie on disk.
Several shops share one database when each has a PostgreSQL schema of its own, named in the URL: ``…/db?schema=street``.
"""

import os
import re
import sqlite3
import sys
import time
from pathlib import Path
from secrets import token_hex
from typing import Any
from weakref import WeakSet

from sqlalchemy import URL, Connection, Engine, create_engine, event, exc, make_url

from modiste.catalog.files import as_toml, read_toml, write
from modiste.errors import MissingExtraError, SettingError, SourceError, StorageError

BUSY_TIMEOUT_S = 30.0
"""How long a writer waits for another one before it gives up."""

AS_IT_LIES_S = 1.0
"""A database that could only be read as it lies is opened anew after so many seconds: it may be written again."""

_FULL = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE)

SYNCHRONOUS = "FULL"
"""SQLite's pragma: a commit is on the disk before it is told."""

ENVIRONMENT = "MODISTE_DATABASE"
"""The environment variable whose URL is used in place of that in ``shop.toml``."""

IDENTITY = "identity.unfinished"
"""The file that holds the identity of a shop's tables in PostgreSQL while they are being made."""

# Where a shop's tables lie


def is_shop(folder: Path) -> bool:
    """Whether a shop lives in ``folder``, whatever its database."""
    return (folder / "shop.db").is_file() or (folder / "shop.toml").is_file()


def connect(folder: Path) -> Engine:
    """An engine for the shop in ``folder``. Connects to nothing yet.

    Raises:
        SourceError: there is no shop, or its ``shop.toml`` can't be read.
        SettingError: the URL is not PostgreSQL's.
        MissingExtraError: the shop lies in PostgreSQL and the extra ``postgres`` is not installed.
    """
    settings = folder / "shop.toml"
    if not settings.is_file():
        return sqlite(folder / "shop.db")
    if url := os.environ.get(ENVIRONMENT):
        return postgres(url)
    try:
        url = read_toml(settings)["database"]
    except (OSError, ValueError, KeyError):
        url = None
    if not isinstance(url, str):  # the parser's message would show the line, and with it the password
        raise SourceError(f'{settings} should hold one line: database = "postgresql://user@host/db"')
    return postgres(url)


def remember(folder: Path, url: str) -> None:
    """Write ``url`` to the folder's ``shop.toml``, for its owner's eyes only.

    It may be there already: making the shop was interrupted, or its tables say that it is one. Raises SourceError if
    that is another's.
    """
    line, file = as_toml({"database": url}), folder / "shop.toml"
    if file.exists():
        if file.read_text("utf-8").endswith(line):
            return
        raise SourceError(f"{folder} is a shop already; open it, or choose another folder")
    said = f"# Where this shop's tables lie; {ENVIRONMENT} in the environment overrides it.\n{line}"
    write(file, said.encode(), 0o600)


def identity(folder: Path) -> str:
    """Of the tables that are about to be made: the same one until making them is known to have succeeded.

    So tables that nobody was told of are known as those of ``folder``. Raises OSError.
    """
    if not (folder / "shop.toml").exists():
        return token_hex(16)  # SQLite's lie in the folder
    if not (folder / IDENTITY).exists():
        write(folder / IDENTITY, token_hex(16).encode(), 0o600)
    return (folder / IDENTITY).read_text("utf-8")


def place(engine: Engine) -> str:
    """Where the tables of ``engine`` lie, in words, without a password."""
    url = engine.url
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    host = url.host or url.query.get("host") or "this machine"
    return f"the PostgreSQL database {url.database or url.username or ''!r} on {host}"


# Engines


def sqlite(file: Path) -> Engine:
    """An engine on the SQLite database at ``file``: write-ahead log, foreign keys on, writers queue instead of failing.

    A connection with the execution option ``writes`` begins ``IMMEDIATE``, so that two writers
    never read the same state and then overwrite one another.
    """
    url = URL.create("sqlite", database=str(file))
    engine = create_engine(url, creator=lambda: opened(file), hide_parameters=True)

    @event.listens_for(engine, "connect")
    def _prepare(connection: Database, record: Any) -> None:
        connection.isolation_level = None  # SQLAlchemy's begin event below decides, not the driver
        record.info.update(file=_identity(file), opened=time.monotonic(), lies=connection.lies)
        for pragma in ("foreign_keys = ON", f"synchronous = {SYNCHRONOUS}"):
            connection.execute(f"PRAGMA {pragma}")
        connection.create_function(
            "lower", 1, lambda text: text and text.lower(), deterministic=True
        )  # not ASCII alone

    @event.listens_for(engine, "checkout")
    def _is_there(_connection: Any, record: Any, _proxy: Any) -> None:
        if record.info["file"] != _identity(file):  # deleted or replaced: what is written to it would be lost
            raise exc.DisconnectionError
        if record.info["lies"] and time.monotonic() > record.info["opened"] + AS_IT_LIES_S:
            raise exc.DisconnectionError

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes", False)
        if writes and connection.info["lies"] == "full":  # SQLite would call it read-only
            raise _full()
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return _ready(engine)


def _identity(file: Path) -> tuple[int, int] | None:
    try:
        known = file.stat()
    except OSError:
        return None
    return known.st_dev, known.st_ino


class Database(sqlite3.Connection):
    """A connection, and why it reads the database as it lies: "closed" to this user, or on a "full" disk; or ""."""

    lies = ""


def opened(file: Path) -> Database:
    """The database that there is; where it may not be written, or its disk has no room at all, as a reader.

    A write-ahead log needs files beside it. Where they are neither there nor can be made, nobody is writing, and the
    database is read as it lies.
    """
    connection, log = _connected(file, "mode=rw"), file.with_name(f"{file.name}-wal")
    try:
        connection.execute("PRAGMA journal_mode = WAL")
    except sqlite3.OperationalError as error:
        connection.close()
        if error.sqlite_errorcode in _FULL and not (log.exists() and log.stat().st_size):
            connection = _connected(file, "mode=ro&immutable=1")
            connection.lies = "full"
        elif error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN) and file.exists():
            connection = _connected(file, "mode=ro" if log.exists() else "mode=ro&immutable=1")
            connection.lies = "closed"
        else:
            raise
    return connection


def _connected(file: Path, how: str) -> Database:
    return sqlite3.connect(
        f"{file.resolve().as_uri()}?{how}", timeout=BUSY_TIMEOUT_S, uri=True, check_same_thread=False, factory=Database
    )


def postgres(url: str) -> Engine:
    """An engine on the PostgreSQL database at ``url``, whose tables lie in the schema that its query names.

    A connection with the execution option ``writes`` first takes the shop's advisory lock, which its transaction holds
    to the end: writers queue for up to ``BUSY_TIMEOUT_S`` as they do on SQLite, so none reads what another is about to
    overwrite, and none waits for one that waits for it. Connections speak UTC, are tested before each use, and belong
    to one process.

    Raises:
        SettingError: the URL is not PostgreSQL's, or the schema's name is not a plain one.
        MissingExtraError: the extra ``postgres`` is not installed.
    """
    parsed, schema = _parsed(url)
    try:
        import psycopg  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("postgres", "A shop in PostgreSQL") from error
    given = parsed.query.get("options", "")
    options = [given if isinstance(given, str) else " ".join(given)]
    options += ["-cTimeZone=UTC", f"-clock_timeout={BUSY_TIMEOUT_S:.0f}s"]
    options += [f"-csearch_path={schema},public"] if schema else []
    engine = create_engine(
        parsed.difference_update_query(["options"]),
        connect_args={
            "options": " ".join(options),
            "connect_timeout": 10,
            "application_name": "modiste",
            "tcp_user_timeout": 10_000,
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 2,
        },
        isolation_level="READ COMMITTED",  # each statement sees what was committed before it, the lock taken
        pool_pre_ping=True,
        pool_recycle=1800,
        execution_options={"shop_schema": schema},
        hide_parameters=True,  # an error in the log names no shopper
    )

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        if connection.get_execution_options().get("writes", False):
            connection.exec_driver_sql(
                "SELECT pg_advisory_xact_lock(hashtextextended('modiste ' || coalesce(current_schema(), ''), 0))"
            )

    return _ready(engine)


def _parsed(url: str) -> tuple[URL, str | None]:
    """The URL for SQLAlchemy, and the schema it names. Nothing of a bad URL is told, since it may hold a password."""
    hint = "write it as postgresql://user@host/db, with %40 for an @ in a password"
    try:
        parsed = make_url(url)
    except (exc.ArgumentError, ValueError):
        raise SettingError(f"the database is no URL; {hint}") from None
    if parsed.drivername not in ("postgresql", "postgres", "postgresql+psycopg"):
        raise SettingError(f"a shop's database may be PostgreSQL's, not {parsed.drivername}'s; {hint}")
    if "@" in (parsed.host or ""):
        raise SettingError(f"the database's URL has more than one @; {hint}")
    schema = parsed.query.get("schema")
    if schema is not None and not (isinstance(schema, str) and re.fullmatch("[a-z_][a-z0-9_]{0,62}", schema)):
        raise SettingError("schema in the database's URL must be of small letters, digits and _, such as street_2")
    return parsed.set(drivername="postgresql+psycopg").difference_update_query(["schema"]), schema


_engines: WeakSet[Engine] = WeakSet()


def _ready(engine: Engine) -> Engine:
    _engines.add(engine)

    @event.listens_for(engine, "handle_error")
    def _explain(context: Any) -> None:
        error = context.original_exception
        if isinstance(error, UnicodeEncodeError) or "NUL (0x00)" in str(error):
            raise SettingError("a text holds a character that the database can't keep: NUL, or half a surrogate pair")
        if type(error).__module__.partition(".")[0] == "psycopg" and context.sqlalchemy_exception is not None:
            error.args = (first_line(error),)  # those below tell the values that were refused
            context.sqlalchemy_exception.args = (f"{type(error).__name__}: {first_line(error)}",)
        if not context.is_pre_ping and (refused := _refusal(error)) is not None:  # it is made anew
            raise refused from error

    return engine


def first_line(error: BaseException | None) -> str:
    """What an error says first: the lines below it may tell the values that were refused."""
    return next(iter(str(error).strip().splitlines()), "")


def _full() -> StorageError:
    return StorageError("the disk is full: nothing was changed; make room, and do it again", "full")


def _refusal(error: BaseException) -> StorageError | None:
    """What a driver's error says of the disk or the server; None where it says something of the statement."""
    why = first_line(error)
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None:
        if code in _FULL:
            return _full()
        if code & 0xFF in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
            return StorageError(f"{why}: nothing was changed; give this user leave to write there", "closed")
        if code & 0xFF == sqlite3.SQLITE_CANTOPEN:
            return StorageError(f"{why}: it is gone, or this user may not open it", "away")
        if code & 0xFF in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_BUSY):
            return StorageError(f"the database kept us waiting ({why}): nothing was changed; do it again", "busy")
        return None
    state = getattr(error, "sqlstate", None)
    if type(error).__module__.partition(".")[0] != "psycopg":
        return None
    if state in ("53100", "58030"):
        return StorageError("the database's disk is full: nothing was changed; make room, and do it again", "full")
    if state in ("25006", "42501"):
        return StorageError(f"{why}: nothing was changed; give this user leave to write there", "closed")
    gone = state is None and type(error).__name__ in ("OperationalError", "InterfaceError", "ConnectionTimeout")
    if state == "55P03" or str(state)[:2] == "53":
        return StorageError(f"the database kept us waiting ({why}): nothing was changed; do it again", "busy")
    if gone or str(state)[:2] in ("08", "57", "28", "3D"):
        return StorageError(f"the database is away ({why}): nothing was changed; do it again once it is there", "away")
    return None


def _forget_connections() -> None:
    """A child process makes connections of its own; its parent's stay open, for the parent."""
    for engine in _engines:
        engine.dispose(close=False)


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_forget_connections)
