"""``shop.users``: the people who work with the shop's pages, their passwords and their sessions.

A password is kept as its Argon2id hash, a session as the digest of what the browser's cookie holds; both belong to the
shop's database, so that every worker knows them.
"""

import secrets
import unicodedata
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Literal, get_args

import sqlalchemy as sa

from modiste.catalog.values import identifier, utc_now
from modiste.errors import MissingExtraError, ModisteError, SettingError, StorageError, UnknownIdError
from modiste.shop import schema
from modiste.shop.keys import digest
from modiste.shop.storage import Storage, chunks

if TYPE_CHECKING:
    from argon2 import PasswordHasher

UserRole = Literal["viewer", "merchandiser", "admin"]
"""What a person may do: read; also change what is shown; everything, also keys, accounts and forgetting."""

SHORTEST, LONGEST = 12, 1000
"""Characters of a password."""

SESSION = timedelta(hours=12)
"""How long somebody stays logged in."""

BELIEVED = timedelta(minutes=5)
"""While the database is away, a session is believed for so long after it was last asked about it."""

MOST = 10_000
"""So many sessions a process remembers, and so many log-outs of which the database isn't told yet."""

WINDOW = timedelta(minutes=15)
MOST_TRIES, MOST_FROM_ADDRESS, MOST_OF_NAME = 5, 50, 200
"""How often log-in may fail within WINDOW: of one name from one address, of all names from it, of a name from all."""


class TooManyTriesError(ModisteError):
    """Log-in was tried too often; ``wait`` is in how many seconds to come back."""

    def __init__(self, wait: int) -> None:
        super().__init__(f"that was tried too often; try again in {-(-wait // 60)} minutes")
        self.wait = wait


@dataclass(frozen=True, slots=True)
class User:
    """Somebody with an account; ``made`` in UTC."""

    name: str
    role: UserRole
    made: datetime


class Users:
    """A shop's users."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._left: set[str] = set()  # sessions that have ended, by their digests, while the database holds them yet
        self._known: dict[str, tuple[datetime, User]] = {}  # whose the others are, and when the database said so

    def __len__(self) -> int:
        return self._storage.count(schema.users)

    def all(self) -> list[User]:
        """Everybody, in the order of names."""
        table = schema.users.c
        rows = self._storage.rows(sa.select(table.name, table.role, table.made).order_by(table.name))
        return [User(**row) for row in rows]

    def add(self, name: str, password: str, role: str) -> None:
        """Make an account. Raises SettingError for a role that is none, a short password, and a name that is taken."""
        row = {"name": identifier(name), "role": _role(role), "password": self._hashed(password), "made": utc_now()}
        table = schema.users
        with self._storage.aside() as connection:
            if connection.execute(sa.select(table.c.name).where(table.c.name == row["name"])).first():
                raise SettingError(f"there is a user {row['name']!r} already; change her, or choose another name")
            connection.execute(table.insert(), [row])

    def change(self, name: str, *, password: str | None = None, role: str | None = None) -> None:
        """Give another password or role; whoever is logged in under the name must do so again.

        Raises SettingError as :meth:`add` does, and UnknownIdError.
        """
        values = {} if role is None else {"role": str(_role(role))}
        values |= {} if password is None else {"password": self._hashed(password)}
        table, sessions = schema.users, schema.sessions
        with self._storage.aside() as connection:
            if not connection.execute(table.update().where(table.c.name == name).values(name=name, **values)).rowcount:
                raise UnknownIdError(f"no user {name!r} in {self._storage.path.name}")
            connection.execute(sessions.delete().where(sessions.c.name == name))

    def remove(self, name: str) -> None:
        """Take an account away, and log it out everywhere. Raises UnknownIdError."""
        with self._storage.aside() as connection:
            if not connection.execute(schema.users.delete().where(schema.users.c.name == name)).rowcount:
                raise UnknownIdError(f"no user {name!r} in {self._storage.path.name}")

    # Logging in and out

    def log_in(self, name: str, password: str, address: str) -> str | None:
        """A new session's secret, for the cookie; None if name and password don't belong together.

        It takes as long for a name that nobody has. Raises TooManyTriesError after too many failures from ``address``.
        """
        never = self._never  # made before it matters how long that takes
        self._count(name, address)
        table = schema.users
        row = self._storage.row(sa.select(table).where(table.c.name == name))
        kept = never if row is None else row["password"]
        if not self._matches(kept, password) or row is None:
            return None
        secret, sessions, attempts = secrets.token_urlsafe(32), schema.sessions, schema.attempts
        with self._storage.aside() as connection:
            connection.execute(attempts.delete().where(attempts.c.name == name, attempts.c.address == address))
            connection.execute(sessions.delete().where(sessions.c.ends <= utc_now()))
            if self._hasher.check_needs_rehash(kept):
                connection.execute(table.update().where(table.c.name == name).values(password=self._hashed(password)))
            session = {"digest": digest(secret), "name": name, "ends": utc_now() + SESSION}
            connection.execute(sessions.insert(), [session])
        return secret

    def whose(self, session: str) -> User | None:
        """Who is logged in with the cookie that holds ``session``; None: nobody, or no longer."""
        key, now, known = digest(session), utc_now(), self._known
        if self._left:
            ended = key in self._left
            with suppress(StorageError):
                self._end()
            if ended:
                return None
        users, sessions = schema.users.c, schema.sessions.c
        wanted = (
            sa.select(users.name, users.role, users.made)
            .join(schema.sessions)
            .where(sessions.digest == key, sessions.ends > now)
        )
        row = self._storage.row(wanted)
        known.pop(key, None)
        if row is None or key in self._left:
            return None
        if len(known) >= MOST:
            known.clear()
        known[key] = now, User(**row)
        return known[key][1]

    def known(self, session: str) -> User | None:
        """Who was logged in when the database was last asked, if that is no longer ago than BELIEVED."""
        said, user = self._known.get(digest(session), (datetime.min, None))
        return user if utc_now() - said <= BELIEVED else None

    def log_out(self, session: str) -> None:
        """End a session: for this process at once, for others as soon as the database answers.

        Raises StorageError while it is away and MOST wait for it already.
        """
        self._left.add(key := digest(session))
        self._known.pop(key, None)
        try:
            self._end()
        except StorageError:
            if len(self._left) > MOST:
                self._left.discard(key)
                raise

    def _end(self) -> None:
        """Have the database forget the sessions that have ended. Raises StorageError."""
        left, table = self._left.copy(), schema.sessions
        with self._storage.aside() as connection:
            for some in chunks(left):
                connection.execute(table.delete().where(table.c.digest.in_(some)))
        self._left -= left

    def _count(self, name: str, address: str) -> None:
        """Count a try before it is made, so that many at once are counted too. Raises TooManyTriesError."""
        table, now = schema.attempts, utc_now()
        same_name, same_address = table.c.name == name, table.c.address == address
        with self._storage.aside() as connection:
            connection.execute(table.delete().where(table.c.at <= now - WINDOW))
            for condition, most in (
                (same_name & same_address, MOST_TRIES), (same_address, MOST_FROM_ADDRESS), (same_name, MOST_OF_NAME),
            ):  # fmt: skip
                tried = sa.select(sa.func.count(), sa.func.min(table.c.at)).where(condition)
                count, first = connection.execute(tried).one()
                if count >= most:
                    raise TooManyTriesError(max(1, round((first + WINDOW - now).total_seconds())))
            connection.execute(table.insert().values(name=name, address=address, at=now))

    # Passwords

    @cached_property
    def _hasher(self) -> "PasswordHasher":
        try:
            from argon2 import PasswordHasher
        except ModuleNotFoundError as error:
            raise MissingExtraError("server", "an account") from error
        return PasswordHasher()

    @cached_property
    def _never(self) -> str:
        """The hash of a password that nobody knows."""
        return self._hasher.hash(secrets.token_urlsafe(32))

    def _hashed(self, password: str) -> str:
        if not SHORTEST <= len(password) <= LONGEST:
            raise SettingError(
                f"a password has from {SHORTEST} to {LONGEST} characters; take a few words that you don't say"
            )
        return self._hasher.hash(_normal(password))

    def _matches(self, kept: str, password: str) -> bool:
        from argon2.exceptions import VerificationError

        try:
            return self._hasher.verify(kept, _normal(password[:LONGEST]))
        except VerificationError:
            return False


def _role(role: str) -> str:
    if role not in get_args(UserRole):
        raise SettingError(f"a user is one of {', '.join(get_args(UserRole))}, not {role!r}")
    return role


def _normal(password: str) -> bytes:
    """The same bytes however a keyboard composes its letters."""
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")
