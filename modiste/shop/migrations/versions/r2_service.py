"""Indexes for a service: purchases of the last days, and the vectors of an item that changes or goes."""

from alembic import op

revision = "2"
down_revision = "1"


def upgrade() -> None:
    """Add the indexes."""
    op.create_index("purchases_by_time", "purchases", ["at"])
    op.create_index("vectors_by_item", "vectors", ["item_id"])
    op.execute("UPDATE settings SET value = '2' WHERE name = 'schema'")
