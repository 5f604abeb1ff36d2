"""The shop's tables: everything here is its truth.

What can be derived from them (arrays in memory, the files in ``cache``, pages, lists) is never part of them, but for
the counts that are kept in the transaction that records an event: ``counts``, ``sales`` and each shopper's sums.

Every row that a :class:`~modiste.shop.snapshot.Snapshot` holds carries the revision of its last change; ``removed``
remembers what is gone.
"""

from sqlalchemy import (
    Boolean,
    Column,
    DateTime,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    false,
    func,
    not_,
    select,
    true,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeEngine

from modiste.catalog.values import composed
from modiste.vision.masks import FORM

VERSION = 1
"""The latest of ``migrations/versions``; older shops are brought up to it, newer ones are refused."""


class Id(TypeDecorator[str]):
    """Ids are kept, and looked for, composed, and sorted by code point in both databases."""

    impl, cache_ok = String, True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[str]:
        """As SQLAlchemy's."""
        return dialect.type_descriptor(String(collation="C") if dialect.name == "postgresql" else String())

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """As SQLAlchemy's."""
        return value if value is None else composed(value)


ID = Id()

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
    Column("title", String),
    Column("url", String, comment="the product's page"),
    Column("brand", String),
    Column("colour", String),
    Column("size", String),
    Column("age_group", String),
    Column("currency", String, comment="of both prices, ISO 4217"),
    Column("sale_price", Float),
    Column("available", Boolean, comment="null: not said"),
    Column("stock", Integer),
    Column("hidden", Boolean, comment="true: somebody here took it out of every list, whatever its source says"),
    Column("photos", Text, comment="a JSON list of further photos, as image; null: none"),
    Column("attributes", Text, nullable=False, comment="a JSON object of strings"),
    Column("stamp", String, nullable=False, comment="of the photo, + the mask, - the further photos; empty: no photo"),
    Column("shown", String, comment="of the further photos, the one to show instead of image; null: image"),
    Column("proposed", String, comment="the category that the photos propose where the shop says none"),
    Column("proposed_share", Float, comment="of the neighbours who have it, 0 to 1"),
    Column("proposed_gender", String, comment="the gender that name or photos propose where the shop says none"),
    Column("proposed_gender_share", Float, comment="of the neighbours who have it, 0 to 1; null: its name says it"),
    Column(
        "came",
        Integer,
        comment="the day it came, as of sales: as its source says, else that it was added; null: of any age",
    ),
    _revision(),
)

ON_OFFER = (
    func.coalesce(items.c.available, true()) & (func.coalesce(items.c.stock, 1) > 0)
    & not_(func.coalesce(items.c.hidden, false()))
)  # fmt: skip
"""Whether an item may be recommended."""
PROPOSED = {"category": ("proposed", "proposed_share"), "gender": ("proposed_gender", "proposed_gender_share")}
"""Where names and photos propose what the shop doesn't say, and the share of the neighbours who have it."""
DERIVED = ("shown", *(name for pair in PROPOSED.values() for name in pair))
"""What the items' names and photos say, not the shop: found when they are embedded."""

counts = Table(
    "counts",
    metadata,
    Column("item_id", ForeignKey("items.item_id", ondelete="CASCADE"), primary_key=True),
    Column("count", Float, nullable=False, index=True, comment="the item's popularity and its events here, by weight"),
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
    Column("purchases", Integer, nullable=False, comment="how many, without those wholly taken back"),
    Column("normpop", Float, nullable=False, comment="the sum of that of her purchases"),
)

events = Table(
    "events",
    metadata,
    Column("event_id", Integer, primary_key=True, autoincrement=True),
    Column("kind", String, nullable=False, comment="view, cart, purchase, return or cancel"),
    Column("quantity", Integer, nullable=False, comment="as given, 1 or more"),
    Column("kept", Integer, nullable=False, comment="of the quantity: not taken back; of a return: took nothing back"),
    Column("order_id", ID, comment="null: none; a line of an order sent twice is kept once"),
    Column("line", ID, nullable=False, comment="the shop's own key of it, or empty; without one, a return's time"),
    Column("shopper_id", ForeignKey("shoppers.shopper_id", ondelete="CASCADE"), nullable=False),
    Column("item_id", ForeignKey("items.item_id", ondelete="CASCADE"), nullable=False),
    Column("at", DateTime, nullable=False),
    Column("simulated", Boolean, nullable=False),
    Column("normpop", Float, nullable=False, comment="a purchase's item's popularity just before, 0 to 1"),
    Index("events_by_shopper", "shopper_id", "kind", "at"),
    Index("events_by_item", "item_id", "kind", "at"),
    Index("events_by_time", "kind", "at"),
    Index("events_by_order", "order_id", "shopper_id", "item_id", "line", "kind", unique=True),
    sqlite_autoincrement=True,  # an id that was taken back is nobody else's later
)

BOUGHT = (events.c.kind == "purchase") & (events.c.kept > 0)
"""Whether an event is a purchase, and not wholly taken back."""

sales = Table(
    "sales",
    metadata,
    Column("item_id", ForeignKey("items.item_id", ondelete="CASCADE"), primary_key=True),
    Column("day", Integer, primary_key=True, comment="the first of the year 1 is 1"),
    Column("bought", Float, nullable=False, comment="events, each worth its kind's weight, 1 for a purchase"),
    _revision(),
)

spaces = Table(
    "spaces",
    metadata,
    Column("key", ID, primary_key=True),
    Column("settings", Text, nullable=False, comment="the vector space as JSON"),
    Column("form", String, nullable=False, comment="of its vectors; see vision.masks"),
    Column("reduction", LargeBinary, comment="mean and components, .npy without pickle"),
    Column("calibration", Text, comment="JSON: look and colour, each [mean of strangers, of photos of one product]"),
    Column("used", DateTime, nullable=False, comment="when it was last embedded into; the latest is the default"),
)
COMPARABLE = spaces.c.form == FORM
"""Whether a vector space's vectors have the form of those that are made now; nothing reads others."""
LATEST_SPACE = select(spaces.c.key).where(COMPARABLE).order_by(spaces.c.used.desc()).limit(1).scalar_subquery()
"""The key of the default vector space; null where there is none."""

vectors = Table(
    "vectors",
    metadata,
    Column("space", ForeignKey("spaces.key", ondelete="CASCADE"), primary_key=True),
    Column("item_id", ForeignKey("items.item_id", ondelete="CASCADE"), primary_key=True),
    Column("vector", LargeBinary, nullable=False, comment="float16, little endian, of unit length"),
    Column("colour", LargeBinary, comment="float16, little endian, unit length, nothing negative; see vision.colour"),
    Column("made_of", String, comment="the item's stamp, a space, and its category; null: not known"),
    _revision(index=False),
    Index("vectors_by_item", "item_id"),
    Index("vectors_by_revision", "space", "revision"),
)

worn = Table(
    "worn",
    metadata,
    Column("space", ID, primary_key=True),
    Column("item_id", ID, primary_key=True),
    Column("label", String, primary_key=True, comment="of the palette; empty: no photo shows two garments on somebody"),
    Column("vector", LargeBinary, comment="as in vectors, but for the garment alone; null: no garment"),
    Column("colour", LargeBinary, comment="as in vectors; null: no garment"),
    _revision(index=False),
    ForeignKeyConstraint(["space", "item_id"], ["vectors.space", "vectors.item_id"], ondelete="CASCADE"),
    Index("worn_by_revision", "space", "revision"),
)

failures = Table(
    "failures",
    metadata,
    Column("space", ForeignKey("spaces.key", ondelete="CASCADE"), primary_key=True),
    Column("item_id", ForeignKey("items.item_id", ondelete="CASCADE"), primary_key=True),
    Column("reason", String, nullable=False),
)

revisions = Table(
    "revisions",
    metadata,
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("mark", String, nullable=False, comment="drawn by the change: tables put back to an older state differ"),
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
    Column("value", String, nullable=False, comment="a number, or the secret"),
)

synced = Table(
    "synced",
    metadata,
    Column("item_id", ForeignKey("items.item_id", ondelete="CASCADE"), primary_key=True),
    Column("retired", DateTime, comment="when its source had it no more; null: it is there"),
)

syncs = Table(
    "syncs",
    metadata,
    Column("sync_id", Integer, primary_key=True, autoincrement=True),
    Column("at", DateTime, nullable=False, comment="when it began (UTC)"),
    Column("report", Text, nullable=False, comment="a JSON object: what came of it, counted"),
)

tunings = Table(
    "tunings",
    metadata,
    Column("name", String, primary_key=True),
    Column("made", DateTime, nullable=False),
    Column("used", Boolean, nullable=False, comment="at most one is"),
    Column("content", Text, nullable=False, comment="weights, half-life, prior and their evidence, JSON"),
)

lists = Table(
    "lists",
    metadata,
    Column("list_key", ID, primary_key=True, comment="what its id was signed with, and who saw it, hashed"),
    Column("seen", DateTime, nullable=False, index=True, comment="when it came into view (UTC)"),
    Column("placement", ID, nullable=False),
    Column("scenario", ID, comment="null: none"),
    Column("experiment", ID, index=True, comment="null: none"),
    Column("variant", String, comment="a or b; ab: interleaved"),
    Column("teams", String, comment="of an interleaved list: whose pick each place is"),
    Column("propensity", Float, nullable=False, comment="with which this list was chosen, above 0"),
    Column("who", ID, index=True, comment="a shopper, or an anonymous visitor; null: not told"),
    Column("shown", Text, nullable=False, comment="a JSON list of item ids, in order"),
)

clicks = Table(
    "clicks",
    metadata,
    Column("list_key", ForeignKey("lists.list_key", ondelete="CASCADE"), primary_key=True),
    Column("item_id", ID, primary_key=True),
    Column("at", DateTime, nullable=False),
)

visitors = Table(
    "visitors",
    metadata,
    Column("session", ID, primary_key=True, comment="as the storefront calls somebody it doesn't know"),
    Column("shopper_id", ID, nullable=False, index=True, comment="who she turned out to be"),
)

experiments = Table(
    "experiments",
    metadata,
    Column("name", ID, primary_key=True),
    Column("placement", ID, nullable=False, comment="one runs at a time on each"),
    Column("content", Text, nullable=False, comment="what was planned, JSON"),
    Column("started", DateTime, nullable=False),
    Column("stopped", DateTime, comment="null: it runs"),
)

scenarios = Table(
    "scenarios",
    metadata,
    Column("name", ID, primary_key=True),
    Column("version", Integer, primary_key=True, comment="from 1; the latest counts, and none is ever changed"),
    Column("at", DateTime, nullable=False, comment="UTC"),
    Column("author", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("content", Text, comment="the scenario as JSON; null: from this version on there is none"),
)

keys = Table(
    "keys",
    metadata,
    Column("name", ID, primary_key=True),
    Column("digest", String, nullable=False, unique=True, comment="SHA-256 of the key, in hexadecimal"),
    Column("role", String, nullable=False, comment="publishable, viewer, server or admin"),
    Column("origins", Text, nullable=False, comment="a JSON list: the web origins whose pages may use it"),
    Column("per_minute", Integer, nullable=False, comment="how many requests; of a publishable one, of each address"),
    Column("made", DateTime, nullable=False),
)

users = Table(
    "users",
    metadata,
    Column("name", ID, primary_key=True),
    Column("password", String, nullable=False, comment="Argon2id, with its salt and settings"),
    Column("role", String, nullable=False, comment="viewer, merchandiser or admin"),
    Column("made", DateTime, nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    Column("digest", String, primary_key=True, comment="SHA-256 of what the browser's cookie holds, in hexadecimal"),
    Column("name", ForeignKey("users.name", ondelete="CASCADE"), nullable=False, index=True),
    Column("ends", DateTime, nullable=False, index=True),
)

attempts = Table(
    "attempts",
    metadata,
    Column("attempt_id", Integer, primary_key=True, autoincrement=True),
    Column("name", ID, nullable=False, comment="as it was typed, of a user or not"),
    Column("address", String, nullable=False),
    Column("at", DateTime, nullable=False, index=True, comment="kept for a quarter of an hour"),
)

audit = Table(
    "audit",
    metadata,
    Column("audit_id", Integer, primary_key=True, autoincrement=True),
    Column("at", DateTime, nullable=False, index=True),
    Column("who", String, nullable=False, comment="a user, a key, or whoever typed a command"),
    Column("what", String, nullable=False, comment="what was done, in words"),
    Column("about", String, nullable=False, comment="to which item, key or user; never a shopper"),
)
