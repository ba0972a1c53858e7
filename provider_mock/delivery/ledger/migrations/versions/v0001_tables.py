"""Apps, deliveries, attempts and settings."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "app",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("app_key", sa.Text, nullable=False),
        sa.Column("secret_ref", sa.Text),
        sa.Column("endpoint", sa.Text, nullable=False),
        sa.Column("policy", sa.Text, nullable=False),
        sa.Column("options", sa.Text, nullable=False),
    )
    op.create_table(
        "delivery",
        sa.Column("id", NUMBER, primary_key=True, autoincrement=False),
        sa.Column("app", sa.Text, nullable=False),
        sa.Column("event_type", sa.Text, nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("due_at", NUMBER, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("created_at", NUMBER, nullable=False),
        sa.Column("idempotency_key", sa.Text),
        sa.Column("last_outcome", sa.Text),
        sa.Column("signed_stamp", sa.Text),
    )
    op.create_index("delivery_due", "delivery", ["app", "state", "due_at", "id"])
    with_key = sa.text("idempotency_key IS NOT NULL")
    op.create_index(
        "delivery_idempotency",
        "delivery",
        ["app", "idempotency_key"],
        unique=True,
        sqlite_where=with_key,
        postgresql_where=with_key,
    )
    op.create_table(
        "attempt",
        sa.Column("delivery_id", NUMBER, primary_key=True, autoincrement=False),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("sent_at", NUMBER, nullable=False),
        sa.Column("seconds", sa.Float(53), nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("status", sa.Integer),
        sa.Column("rule", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "setting",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
