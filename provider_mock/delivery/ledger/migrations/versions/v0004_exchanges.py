"""An attempt keeps its request and the beginning of its answer."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the request's head, its body where it is not the usual one, and the answer."""
    op.add_column("attempt", sa.Column("request", sa.Text, nullable=False, server_default=sa.text("''")))
    op.add_column("attempt", sa.Column("body", sa.LargeBinary))
    op.add_column("attempt", sa.Column("answer", sa.Text, nullable=False, server_default=sa.text("''")))
