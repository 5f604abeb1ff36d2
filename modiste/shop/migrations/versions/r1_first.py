"""The first release: its tables are those of ``schema.py``, which a new shop is made with."""

revision = "1"
down_revision = None


def upgrade() -> None:
    """There is nothing before it."""
