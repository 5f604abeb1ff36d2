"""The tables of the first release, which had no other database than SQLite; in PostgreSQL, with its own types."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.types import UserDefinedType

revision = "1"
down_revision = None


class _HalfVec(UserDefinedType[bytes]):
    """pgvector's float16 vector of any dimension; here it is only named."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "HALFVEC"


ID = sa.String().with_variant(sa.String(collation="C"), "postgresql")
VECTOR = sa.LargeBinary().with_variant(_HalfVec(), "postgresql")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "items",
        sa.Column("item_id", ID, primary_key=True),
        sa.Column("category", sa.String),
        sa.Column("gender", sa.String),
        sa.Column("image", sa.String, comment="absolute, or relative to the shop's folder when it lies inside"),
        sa.Column("mask", sa.String),
        sa.Column("product", sa.String, nullable=False, index=True),
        sa.Column("view", sa.String),
        sa.Column("price", sa.Float),
        sa.Column("store_id", ID),
        sa.Column("popularity", sa.Float, comment="the count before any purchase here; null: not known"),
        sa.Column("attributes", sa.Text, nullable=False, comment="a JSON object of strings"),
        sa.Column(
            "stamp", sa.String, nullable=False, comment="BLAKE2b of the photo's and the mask's bytes; empty: no photo"
        ),
    )
    op.create_table(
        "stores",
        sa.Column("store_id", ID, primary_key=True),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("latitude", sa.Float, nullable=False),
        sa.Column("longitude", sa.Float, nullable=False),
    )
    op.create_table(
        "shoppers",
        sa.Column("shopper_id", ID, primary_key=True),
        sa.Column("trendiness", sa.Float, comment="null: to be estimated from her purchases"),
        sa.Column("latitude", sa.Float),
        sa.Column("longitude", sa.Float),
        sa.Column("simulated", sa.Boolean, nullable=False),
    )
    op.create_table(
        "purchases",
        sa.Column("purchase_id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("order_id", ID, unique=True, comment="the shop's own key: a purchase sent twice is kept once"),
        sa.Column("shopper_id", ID, sa.ForeignKey("shoppers.shopper_id", ondelete="CASCADE"), nullable=False),
        sa.Column("item_id", ID, sa.ForeignKey("items.item_id", ondelete="CASCADE"), nullable=False),
        sa.Column("at", sa.DateTime, nullable=False),
        sa.Column("simulated", sa.Boolean, nullable=False),
        sa.Index("purchases_by_shopper", "shopper_id", "at"),
        sa.Index("purchases_by_item", "item_id", "at"),
    )
    op.create_table(
        "spaces",
        sa.Column("key", ID, primary_key=True),
        sa.Column("settings", sa.Text, nullable=False, comment="the vector space as JSON"),
        sa.Column("reduction", sa.LargeBinary, comment="mean and components, .npy without pickle"),
        sa.Column(
            "used", sa.DateTime, nullable=False, comment="when it was last embedded into; the latest is the default"
        ),
    )
    op.create_table(
        "vectors",
        sa.Column("space", ID, sa.ForeignKey("spaces.key", ondelete="CASCADE"), primary_key=True),
        sa.Column("item_id", ID, sa.ForeignKey("items.item_id", ondelete="CASCADE"), primary_key=True),
        sa.Column("vector", VECTOR, nullable=False, comment="float16, little endian, of unit length"),
    )
    op.create_table(
        "failures",
        sa.Column("space", ID, sa.ForeignKey("spaces.key", ondelete="CASCADE"), primary_key=True),
        sa.Column("item_id", ID, sa.ForeignKey("items.item_id", ondelete="CASCADE"), primary_key=True),
        sa.Column("reason", sa.String, nullable=False),
    )
    settings = op.create_table(
        "settings",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("value", sa.String, nullable=False),
    )
    versions = ("items_version", "purchases_version", "vectors_version")
    op.bulk_insert(settings, [{"name": "schema", "value": "1"}, *({"name": name, "value": "0"} for name in versions)])
