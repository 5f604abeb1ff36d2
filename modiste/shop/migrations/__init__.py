"""Making a shop's tables, and bringing those of an older Modiste forward; Alembic, driven from here.

Each change is one file in ``versions``, named in the table ``alembic_version`` and in the setting ``schema``, which the
first release already kept and looks at.
"""

from threading import Lock
from typing import Any

import sqlalchemy as sa

from modiste.errors import SourceError
from modiste.shop import database as db

_SCHEMA = sa.select(db.settings.c.value).where(db.settings.c.name == "schema")

_alembic = Lock()  # alembic.context is one for the whole process


def create(engine: sa.Engine) -> None:
    """Make the tables of an empty shop, all or none, and on PostgreSQL their schema and pgvector if need be.

    Raises:
        SourceError: there is a shop already, the server can't be reached, or it lacks pgvector.
    """
    try:
        with engine.connect().execution_options(writes=True) as connection, connection.begin():
            if connection.dialect.name == "postgresql":
                _prepare_postgres(connection)
            if sa.inspect(connection).has_table("settings"):
                raise SourceError(f"there is a shop already in {db.place(engine)}; {_elsewhere(engine)}")
            _migrate(connection)
    except sa.exc.OperationalError as error:
        raise _unreachable(engine, error) from error
    except sa.exc.ProgrammingError as error:
        raise SourceError(f"can't make a shop in {db.place(engine)}: {_first_line(error)}") from error


def upgrade(engine: sa.Engine) -> None:
    """Bring the tables up to this program's, in one transaction; of several processes that try at once, one does it.

    Raises:
        SourceError: what is there is no shop, a newer program made it, or the server can't be reached.
    """
    version = _schema(engine)
    if version < db.SCHEMA_VERSION:
        try:
            with engine.connect().execution_options(writes=True) as connection, connection.begin():
                version = int(connection.execute(_SCHEMA).scalar_one())  # another process may have been quicker
                if version < db.SCHEMA_VERSION:
                    _migrate(connection, version)
                    version = db.SCHEMA_VERSION
        except sa.exc.DBAPIError as error:
            raise SourceError(
                f"{db.place(engine)} has schema {version} and could not be brought up to {db.SCHEMA_VERSION} "
                f"({_first_line(error)}); nothing was changed"
            ) from error
    if version > db.SCHEMA_VERSION:
        raise SourceError(
            f"{db.place(engine)} was made by a newer Modiste (schema {version}, this one knows "
            f"{db.SCHEMA_VERSION}); upgrade with: pip install -U modiste"
        )


def _schema(engine: sa.Engine) -> int:
    try:
        with engine.connect() as connection:
            return int(connection.execute(_SCHEMA).scalar_one())
    except (sa.exc.DatabaseError, sa.exc.NoResultFound, ValueError) as error:
        if isinstance(error, sa.exc.OperationalError) and engine.dialect.name == "postgresql":
            raise _unreachable(engine, error) from error
        raise SourceError(f"{db.place(engine)} is not a Modiste database") from error


def _migrate(connection: sa.Connection, version: int = 0) -> None:
    """Run what is missing since ``version``, in the connection's transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "modiste.shop:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    with _alembic:
        if version and not sa.inspect(connection).has_table("alembic_version"):  # the first release's
            command.stamp(config, str(version))
        command.upgrade(config, "head")


def _prepare_postgres(connection: sa.Connection) -> None:
    schema = connection.get_execution_options().get("shop_schema")
    if schema:
        connection.execute(sa.schema.CreateSchema(schema, if_not_exists=True))
    version = sa.text("SELECT extversion FROM pg_extension WHERE extname = 'vector'")
    found = connection.execute(version).scalar()
    place = db.place(connection.engine)
    if found is None:
        try:
            with connection.begin_nested():
                connection.execute(sa.text("CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA public"))
        except sa.exc.DBAPIError as error:
            raise SourceError(
                f"{place} lacks pgvector ({_first_line(error)}); install it on the server, "
                "then let its administrator run in that database: CREATE EXTENSION vector"
            ) from error
        found = connection.execute(version).scalar()
    if tuple(int(part) for part in str(found).split(".")[:2]) < db.MIN_PGVECTOR:
        raise SourceError(
            f"{place} has pgvector {found}; Modiste needs {'.'.join(map(str, db.MIN_PGVECTOR))} or later: "
            "upgrade it on the server, then run: ALTER EXTENSION vector UPDATE"
        )


def _elsewhere(engine: sa.Engine) -> str:
    if engine.dialect.name == "postgresql":
        return "name a schema of its own in the URL, as in …/db?schema=street"
    return "open it, or choose another folder"


def _unreachable(engine: sa.Engine, error: Any) -> SourceError:
    return SourceError(
        f"can't use {db.place(engine)}: {_first_line(error)}; is the server running, and are host, user, "
        "password and database right?"
    )


def _first_line(error: sa.exc.DBAPIError) -> str:
    return str(error.orig).strip().splitlines()[0]
