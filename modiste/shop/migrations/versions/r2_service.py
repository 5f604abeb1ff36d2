"""What a service needs: orders of several items, purchases of the last days, the vectors of an item that goes."""

import sqlalchemy as sa
from alembic import op

revision = "2"
down_revision = "1"


def upgrade() -> None:
    """Let an order have several lines, and add the indexes."""
    if op.get_bind().dialect.name == "sqlite":
        _rebuild_purchases()
    else:
        op.drop_constraint("purchases_order_id_key", "purchases", type_="unique")
        op.alter_column(
            "purchases", "order_id", comment="the shop's own key: a line of an order sent twice is kept once"
        )
    op.create_index("purchases_by_order", "purchases", ["order_id", "item_id"], unique=True)
    op.create_index("purchases_by_time", "purchases", ["at"])
    op.create_index("vectors_by_item", "vectors", ["item_id"])
    op.execute("UPDATE settings SET value = '2' WHERE name = 'schema'")


def _rebuild_purchases() -> None:
    """The table without its unique ``order_id``, which SQLite can't drop; no other table refers to it."""
    op.create_table(
        "purchases_new",
        sa.Column("purchase_id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("order_id", sa.String),
        sa.Column("shopper_id", sa.String, sa.ForeignKey("shoppers.shopper_id", ondelete="CASCADE"), nullable=False),
        sa.Column("item_id", sa.String, sa.ForeignKey("items.item_id", ondelete="CASCADE"), nullable=False),
        sa.Column("at", sa.DateTime, nullable=False),
        sa.Column("simulated", sa.Boolean, nullable=False),
    )
    columns = "purchase_id, order_id, shopper_id, item_id, at, simulated"
    op.execute(f"INSERT INTO purchases_new ({columns}) SELECT {columns} FROM purchases")  # noqa: S608
    op.drop_table("purchases")
    op.rename_table("purchases_new", "purchases")
    op.create_index("purchases_by_shopper", "purchases", ["shopper_id", "at"])
    op.create_index("purchases_by_item", "purchases", ["item_id", "at"])
