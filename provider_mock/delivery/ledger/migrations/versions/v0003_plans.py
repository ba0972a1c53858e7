"""A delivery can carry the plan by which it is disturbed."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the plan."""
    op.add_column("delivery", sa.Column("plan", sa.Text))
