"""What calls of the providers' server APIs have left behind: accounts, rooms, groups, messages."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "state",
        sa.Column("app", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("one", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("changed_at", _NUMBER, nullable=False),
        sa.Column("passing", sa.Integer, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("state_passing", "state", ["passing", "changed_at"])
