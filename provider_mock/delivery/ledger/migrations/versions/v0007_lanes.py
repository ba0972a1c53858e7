"""Who delivers for an app, since when its receiver fails, and the processes that share a ledger."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the tables, and what ids are drawn from."""
    op.create_table(
        "lane",
        sa.Column("app", sa.Text, primary_key=True),
        sa.Column("holder", sa.Text),
        sa.Column("until", _NUMBER, nullable=False, server_default=sa.text("0")),
        sa.Column("wanted_by", sa.Text),
        sa.Column("wanted_until", _NUMBER, nullable=False, server_default=sa.text("0")),
        sa.Column("failing_since", _NUMBER),
        sa.Column("switched_off_at", _NUMBER),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "process",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("started_at", _NUMBER, nullable=False),
        sa.Column("seen_at", _NUMBER, nullable=False),
        sa.Column("apps", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute(sa.schema.CreateSequence(sa.Sequence("delivery_ids", data_type=sa.BigInteger)))
