"""Attempts before a redelivery no longer count for the retry policy; old deliveries are found by age."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the count of earlier attempts and the index by age."""
    op.add_column("delivery", sa.Column("earlier", sa.Integer, nullable=False, server_default=sa.text("0")))
    op.create_index("delivery_created", "delivery", ["created_at", "id"])
