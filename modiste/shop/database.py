"""The shop's tables and the settings of its connection: SQLite in the shop's folder.

Everything here is the truth of a shop. What can be derived from it (matrices in memory, pages, lists) is never stored.
"""

import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    DateTime,
    Engine,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    event,
)

SCHEMA_VERSION = 1
"""Raised with every change to a table; a shop of a newer version than the program's is refused."""

BUSY_TIMEOUT_S = 30.0
"""How long a writer waits for another one before it gives up."""

metadata = MetaData()

items = Table(
    "items",
    metadata,
    Column("item_id", String, primary_key=True),
    Column("category", String),
    Column("gender", String),
    Column("image", String, comment="absolute, or relative to the shop's folder when it lies inside"),
    Column("mask", String),
    Column("product", String, nullable=False, index=True),
    Column("view", String),
    Column("price", Float),
    Column("store_id", String),
    Column("popularity", Float, comment="the count before any purchase here; null: not known"),
    Column("attributes", Text, nullable=False, comment="a JSON object of strings"),
    Column("stamp", String, nullable=False, comment="BLAKE2b of the photo's and the mask's bytes; empty: no photo"),
)

stores = Table(
    "stores",
    metadata,
    Column("store_id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("latitude", Float, nullable=False),
    Column("longitude", Float, nullable=False),
)

shoppers = Table(
    "shoppers",
    metadata,
    Column("shopper_id", String, primary_key=True),
    Column("trendiness", Float, comment="null: to be estimated from her purchases"),
    Column("latitude", Float),
    Column("longitude", Float),
    Column("simulated", Boolean, nullable=False, default=False),
)

purchases = Table(
    "purchases",
    metadata,
    Column("purchase_id", Integer, primary_key=True, autoincrement=True),
    Column("order_id", String, unique=True, comment="the shop's own key: a purchase sent twice is kept once"),
    Column("shopper_id", ForeignKey("shoppers.shopper_id", ondelete="CASCADE"), nullable=False),
    Column("item_id", ForeignKey("items.item_id", ondelete="CASCADE"), nullable=False),
    Column("at", DateTime, nullable=False),
    Column("simulated", Boolean, nullable=False, default=False),
    Index("purchases_by_shopper", "shopper_id", "at"),
    Index("purchases_by_item", "item_id", "at"),
)

spaces = Table(
    "spaces",
    metadata,
    Column("key", String, primary_key=True),
    Column("settings", Text, nullable=False, comment="the vector space as JSON"),
    Column("reduction", LargeBinary, comment="mean and components, .npz without pickle"),
    Column("used", DateTime, nullable=False, comment="when it was last embedded into; the latest is the default"),
)

vectors = Table(
    "vectors",
    metadata,
    Column("space", ForeignKey("spaces.key", ondelete="CASCADE"), primary_key=True),
    Column("item_id", ForeignKey("items.item_id", ondelete="CASCADE"), primary_key=True),
    Column("vector", LargeBinary, nullable=False, comment="float16, little endian, of unit length"),
)

failures = Table(
    "failures",
    metadata,
    Column("space", ForeignKey("spaces.key", ondelete="CASCADE"), primary_key=True),
    Column("item_id", ForeignKey("items.item_id", ondelete="CASCADE"), primary_key=True),
    Column("reason", String, nullable=False),
)

settings = Table(
    "settings",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", String, nullable=False),
)


def connect(file: Path) -> Engine:
    """An engine on the SQLite database at ``file``: write-ahead log, foreign keys on, writers queue instead of failing.

    A connection with the execution option ``writes`` begins ``IMMEDIATE``, so that two writers
    never read the same state and then overwrite one another.
    """
    engine = create_engine(f"sqlite:///{file}", connect_args={"timeout": BUSY_TIMEOUT_S})

    @event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None  # SQLAlchemy's begin event below decides, not the driver
        for pragma in ("journal_mode = WAL", "foreign_keys = ON", "synchronous = FULL"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine
