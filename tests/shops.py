"""Shops that were made once, copied for each test with the database they lie in."""

import json
import re
import shutil
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest


def execute(server: str, statement: str) -> None:
    """Have the server at a URL do something, outside of a transaction."""
    psycopg = pytest.importorskip("psycopg", reason="needs the extra postgres")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(statement)


def new_database(server: str, like: str = "template1") -> str:
    """The URL of a new database on the server, with all that the database ``like`` holds."""
    name = f"street_{uuid4().hex[:12]}"
    execute(server, f"CREATE DATABASE {name} TEMPLATE {like} STRATEGY FILE_COPY")
    return in_database(server, name)


def in_database(url: str, name: str = "postgres") -> str:
    """The same URL for another database of the server."""
    return re.sub(r"/[a-z0-9_]+\?", f"/{name}?", url)


def name_of(url: str) -> str:
    """The name of the database at a URL."""
    return re.findall(r"/([a-z0-9_]+)\?", url)[0]


def url_of(shop: Path) -> str | None:
    """Where a shop's tables lie; None for SQLite."""
    settings = shop / "shop.toml"
    return str(tomllib.loads(settings.read_text())["database"]) if settings.exists() else None


def copied(shop: Path, to: Path) -> Path:
    """A copy of a closed shop's folder, and of its database, which has no other shop in it."""
    folder = Path(shutil.copytree(shop, to))
    if url := url_of(folder):
        new = new_database(in_database(url), like=name_of(url))
        (folder / "shop.toml").write_text(f"database = {json.dumps(new)}\n")
    return folder


@contextmanager
def borrowed(shop: Path, to: Path) -> Iterator[Path]:
    """Such a copy, whose database goes when it is no longer needed."""
    folder = copied(shop, to)
    url = url_of(folder)
    yield folder
    if url:
        execute(in_database(url), f"DROP DATABASE {name_of(url)} WITH (FORCE)")
