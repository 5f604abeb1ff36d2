"""Making a shop's tables, and bringing those of an older Modiste forward; Alembic, driven from here.

A new shop has the tables of ``schema.py``. Each later change of them is one file in ``versions`` as well, for the shops
there are, named in the table ``alembic_version`` and in the setting ``schema``, which a program reads first.
"""

from collections.abc import Callable
from secrets import token_hex
from threading import Lock

import sqlalchemy as sa

from modiste.errors import SourceError, StorageError
from modiste.shop import database as db
from modiste.shop import schema

LOCATION = "modiste.shop:migrations"
"""Where Alembic finds ``env.py`` and ``versions``."""

_SCHEMA = sa.select(schema.settings.c.value).where(schema.settings.c.name == "schema")

_alembic = Lock()  # alembic.context is one for the whole process


def create(engine: sa.Engine, identity: Callable[[], str]) -> bool:
    """Make the tables of an empty shop, all or none, and on PostgreSQL their schema if need be.

    ``identity``, asked for once the server has answered, names them for :func:`is_made`; where its tables are there
    already, nothing is left to do. Returns False where there are others. Raises SourceError if they can't be made.
    """
    try:
        with engine.connect().execution_options(writes=True) as connection, connection.begin():
            if name := connection.get_execution_options().get("shop_schema"):
                connection.execute(sa.schema.CreateSchema(name, if_not_exists=True))
            name = identity()
            if (found := _identity(connection)) is not None:
                return found == name
            schema.metadata.create_all(connection)
            start = {
                "schema": schema.VERSION,
                "revision": 0,
                "forgotten": 0,
                "purchases": 0,
                "normpop": 0.0,
                "began": 0,
            }
            start |= {"weight_purchase": 1.0, "weight_cart": 0.0, "weight_view": 0.0}
            rows = [{"name": name, "value": str(value)} for name, value in start.items()]
            rows.append({"name": "secret", "value": token_hex(32)})
            connection.execute(schema.settings.insert(), rows)
            connection.execute(schema.revisions.insert().values(revision=0, mark=name))
            _migrate(connection, "stamp")
    except StorageError as error:
        raise _unusable(engine, error) from error
    except sa.exc.DBAPIError as error:
        raise SourceError(f"can't make a shop in {db.place(engine)}: {db.first_line(error.orig)}") from error
    return True


def is_made(engine: sa.Engine, identity: str) -> bool | None:
    """Whether the tables of that identity are there, whatever was said when they were made; None: nobody can tell."""
    try:  # writers queue: who may still be making them is waited for
        with engine.connect().execution_options(writes=True) as connection, connection.begin():
            return _identity(connection) == identity
    except (StorageError, sa.exc.DBAPIError) as error:
        closed = isinstance(error, StorageError) and error.kind == "closed"
        return False if closed else None  # what is closed to this user, she has not made


def _identity(connection: sa.Connection) -> str | None:
    """Of the tables that are there; empty where they were made by another program; None: there are none."""
    if not sa.inspect(connection).has_table("settings"):
        return None
    table = schema.revisions
    if not sa.inspect(connection).has_table(table.name):
        return ""
    return connection.execute(sa.select(table.c.mark).where(table.c.revision == 0)).scalar() or ""


def upgrade(engine: sa.Engine) -> None:
    """Bring the tables up to this program's, in one transaction; of several processes that try at once, one does it.

    Raises:
        SourceError: what is there is no shop, a newer program made it, or the server can't be reached.
    """
    version = _schema(engine)
    if version < schema.VERSION:
        try:
            with engine.connect().execution_options(writes=True) as connection, connection.begin():
                version = int(connection.execute(_SCHEMA).scalar_one())  # another process may have been quicker
                if version < schema.VERSION:
                    _migrate(connection)
                    version = schema.VERSION
        except StorageError as error:
            raise _unusable(engine, error) from error
        except sa.exc.DBAPIError as error:
            raise SourceError(
                f"{db.place(engine)} has schema {version} and could not be brought up to {schema.VERSION} "
                f"({db.first_line(error.orig)}); nothing was changed"
            ) from error
    if version > schema.VERSION:
        raise SourceError(
            f"{db.place(engine)} was made by a newer Modiste (schema {version}, this one knows "
            f"{schema.VERSION}); install the newer one"
        )


def _schema(engine: sa.Engine) -> int:
    try:
        with engine.connect() as connection:
            return int(connection.execute(_SCHEMA).scalar_one())
    except StorageError as error:
        raise _unusable(engine, error) from error
    except (sa.exc.DatabaseError, sa.exc.NoResultFound, ValueError) as error:
        raise SourceError(f"{db.place(engine)} is not a Modiste database") from error


def _migrate(connection: sa.Connection, how: str = "upgrade") -> None:
    """Run what is missing, in the connection's transaction; or "stamp" the tables as being up to date."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", LOCATION)
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    with _alembic:
        getattr(command, how)(config, "head")


def _unusable(engine: sa.Engine, error: StorageError) -> StorageError:
    asked = "; is the server running, and are host, user, password and database right?"
    hint = asked if engine.dialect.name == "postgresql" and error.kind == "away" else ""
    return StorageError(f"can't use {db.place(engine)}: {error}{hint}", error.kind)
