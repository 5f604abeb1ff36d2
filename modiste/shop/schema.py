"""The shop's tables: everything here is its truth.

What can be derived from them (arrays in memory, the files in ``cache``, pages, lists) is never part of them, but for
the counts that are kept in the transaction that records a purchase: ``counts``, ``sales`` and each shopper's sums.

Every row that a :class:`~modiste.shop.snapshot.Snapshot` holds carries the revision of its last change; ``removed``
remembers what is gone.
"""

from sqlalchemy import (
    Boolean,
    Column,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

VERSION = 1
"""The latest of ``migrations/versions``; older shops are brought up to it, newer ones are refused."""

ID = String().with_variant(String(collation="C"), "postgresql")
"""Ids are sorted by code point in both databases."""

metadata = MetaData()


def _revision(*, index: bool = True) -> Column[int]:
    return Column("revision", Integer, nullable=False, index=index, comment="of the row's last change")


items = Table(
    "items",
    metadata,
    Column("item_id", ID, primary_key=True),
    Column("category", String),
    Column("gender", String),
    Column("image", String, comment="absolute, or relative to the shop's folder when it lies inside"),
    Column("mask", String),
    Column("product", String, nullable=False, index=True),
    Column("view", String),
    Column("price", Float),
    Column("store_id", ID),
    Column("popularity", Float, comment="the count before any purchase here; null: not known"),
    Column("attributes", Text, nullable=False, comment="a JSON object of strings"),
    Column("stamp", String, nullable=False, comment="BLAKE2b of the photo's and the mask's bytes; empty: no photo"),
    _revision(),
)

counts = Table(
    "counts",
    metadata,
    Column("item_id", ForeignKey("items.item_id", ondelete="CASCADE"), primary_key=True),
    Column("count", Float, nullable=False, index=True, comment="the item's popularity and its purchases here"),
)

stores = Table(
    "stores",
    metadata,
    Column("store_id", ID, primary_key=True),
    Column("name", String, nullable=False),
    Column("latitude", Float, nullable=False),
    Column("longitude", Float, nullable=False),
)

shoppers = Table(
    "shoppers",
    metadata,
    Column("shopper_id", ID, primary_key=True),
    Column("trendiness", Float, comment="null: to be estimated from her purchases"),
    Column("latitude", Float),
    Column("longitude", Float),
    Column("simulated", Boolean, nullable=False),
    Column("purchases", Integer, nullable=False, comment="how many"),
    Column("normpop", Float, nullable=False, comment="the sum of that of her purchases"),
)

purchases = Table(
    "purchases",
    metadata,
    Column("purchase_id", Integer, primary_key=True, autoincrement=True),
    Column("order_id", ID, comment="the shop's own key: a line of an order sent twice is kept once"),
    Column("shopper_id", ForeignKey("shoppers.shopper_id", ondelete="CASCADE"), nullable=False),
    Column("item_id", ForeignKey("items.item_id", ondelete="CASCADE"), nullable=False),
    Column("at", DateTime, nullable=False),
    Column("simulated", Boolean, nullable=False),
    Column("normpop", Float, nullable=False, comment="the item's normalised popularity just before, 0 to 1"),
    Index("purchases_by_shopper", "shopper_id", "at"),
    Index("purchases_by_item", "item_id", "at"),
    Index("purchases_by_time", "at"),
    Index("purchases_by_order", "order_id", "item_id", unique=True),
)

sales = Table(
    "sales",
    metadata,
    Column("item_id", ForeignKey("items.item_id", ondelete="CASCADE"), primary_key=True),
    Column("day", Integer, primary_key=True, comment="the first of the year 1 is 1"),
    Column("bought", Integer, nullable=False),
    _revision(),
)

spaces = Table(
    "spaces",
    metadata,
    Column("key", ID, primary_key=True),
    Column("settings", Text, nullable=False, comment="the vector space as JSON"),
    Column("reduction", LargeBinary, comment="mean and components, .npy without pickle"),
    Column("calibration", Text, comment="JSON: look and colour, each [mean of strangers, of photos of one product]"),
    Column("used", DateTime, nullable=False, comment="when it was last embedded into; the latest is the default"),
)

vectors = Table(
    "vectors",
    metadata,
    Column("space", ForeignKey("spaces.key", ondelete="CASCADE"), primary_key=True),
    Column("item_id", ForeignKey("items.item_id", ondelete="CASCADE"), primary_key=True),
    Column("vector", LargeBinary, nullable=False, comment="float16, little endian, of unit length"),
    Column("colour", LargeBinary, comment="float16, little endian, unit length, nothing negative; see vision.colour"),
    _revision(index=False),
    Index("vectors_by_item", "item_id"),
    Index("vectors_by_revision", "space", "revision"),
)

failures = Table(
    "failures",
    metadata,
    Column("space", ForeignKey("spaces.key", ondelete="CASCADE"), primary_key=True),
    Column("item_id", ForeignKey("items.item_id", ondelete="CASCADE"), primary_key=True),
    Column("reason", String, nullable=False),
)

removed = Table(
    "removed",
    metadata,
    Column("item_id", ID, primary_key=True),
    _revision(),
)

settings = Table(
    "settings",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", String, nullable=False, comment="a number"),
)
