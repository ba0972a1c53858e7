"""What a call with an idempotency key has asked for, and which deliveries it made, outlives the first of them."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the table, and put the calls of earlier releases into it; what they asked for is not known any more."""
    call = op.create_table(
        "call",
        sa.Column("app", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("first_id", _NUMBER, nullable=False),
        sa.Column("last_id", _NUMBER, nullable=False),
        sa.Column("asked", sa.Text),
        sqlite_with_rowid=False,
    )
    op.create_index("call_first", "call", ["first_id"])
    found: dict[tuple[str, str], tuple[int, int]] = {}
    query = "SELECT app, idempotency_key, id FROM delivery WHERE idempotency_key IS NOT NULL ORDER BY id"
    for app, own, row_id in op.get_bind().execute(sa.text(query)):
        # The first delivery has the call's key, the others have their place behind it.
        key, _, place = own.partition("\x1f")
        index, size = (int(part) for part in place.split("/")) if place else (1, 1)
        first = row_id - index + 1
        last = max(first + size - 1, found.get((app, key), (0, 0))[1])
        found[app, key] = (first, last)
    rows = [{"app": app, "key": key, "first_id": a, "last_id": z} for (app, key), (a, z) in found.items()]
    if rows:
        op.bulk_insert(call, rows)
