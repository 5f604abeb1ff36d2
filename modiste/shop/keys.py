"""``shop.keys``: what programs show to be let in. A key is told once, when it is made; the shop keeps its digest."""

import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Literal, get_args

import sqlalchemy as sa

from modiste.catalog.values import identifier, utc_now
from modiste.errors import SettingError, UnknownIdError
from modiste.shop import schema
from modiste.shop.storage import Storage

KeyRole = Literal["publishable", "viewer", "server", "admin"]
"""What a key may do: show lists on web pages; read; all that a shop's back end needs; everything."""

PER_MINUTE = {"publishable": 300, "viewer": 6000, "server": 6000, "admin": 6000}
"""How many requests a key may make in a minute, unless it says otherwise; a publishable one for each address."""

_ORIGIN = re.compile(r"https?://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[1-9][0-9]{0,4})?")


@dataclass(frozen=True, slots=True)
class Key:
    """A key, but for its secret; ``made`` in UTC."""

    name: str
    role: KeyRole
    origins: tuple[str, ...]
    per_minute: int
    made: datetime


class Keys:
    """A shop's keys."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def add(self, name: str, role: str, *, origins: Sequence[str] = (), per_minute: int | None = None) -> str:
        """Make a key and return it: nobody can tell it later.

        ``origins`` such as ``https://shop.example`` are the pages that may use a publishable one. Raises SettingError
        for a role or an origin that is none, a publishable key without origins, another with, and a name that is taken.
        """
        if role not in get_args(KeyRole):
            raise SettingError(f"a key is one of {', '.join(get_args(KeyRole))}, not {role!r}")
        name, places = identifier(name), tuple(one.rstrip("/").lower() for one in origins)
        for one in places:
            if not _ORIGIN.fullmatch(one):
                raise SettingError(f"{one!r} is no web origin; write it as https://shop.example")
        if bool(places) != (role == "publishable"):
            raise SettingError(
                "a publishable key needs the origins of the pages that show its lists, such as https://shop.example; "
                "others have none"
            )
        most = PER_MINUTE[role] if per_minute is None else per_minute
        if not 1 <= most <= 1_000_000:
            raise SettingError(f"a key makes from 1 to 1,000,000 requests a minute, not {most}")
        key = f"modiste_{role}_{secrets.token_urlsafe(32)}"
        row = {
            "name": name, "digest": digest(key), "role": role, "origins": json.dumps(places), "per_minute": most,
            "made": utc_now(),
        }  # fmt: skip
        table = schema.keys
        with self._storage.writing() as writing:
            if writing.execute(sa.select(table.c.name).where(table.c.name == name)).first():
                raise SettingError(f"there is a key {name!r} already; withdraw it, or choose another name")
            writing.execute(table.insert(), [row])
        return key

    def remove(self, name: str) -> None:
        """Withdraw a key: whoever has it is refused, by a running service within two seconds. Raises UnknownIdError."""
        table = schema.keys
        with self._storage.writing() as writing:
            if not writing.execute(table.delete().where(table.c.name == name)).rowcount:
                raise UnknownIdError(f"no key {name!r} in {self._storage.path.name}")

    def by_digest(self) -> dict[str, Key]:
        """Every key by its digest, in the order of names."""
        return {
            row["digest"]: Key(
                row["name"], row["role"], tuple(json.loads(row["origins"])), row["per_minute"], row["made"]
            )
            for row in self._storage.rows(sa.select(schema.keys).order_by(schema.keys.c.name))
        }


def digest(secret: str) -> str:
    """What is kept of a random secret of 256 bits: from it nobody finds the secret, and no slow hash is needed."""
    return sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
