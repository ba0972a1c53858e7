"""The ledger's tables. What is here and what `migrations/` makes are compared by a test.

There are no foreign keys: they would cost a look-up, and on PostgreSQL a row lock, for every
attempt, and only `prune` deletes deliveries, their attempts with them.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, Index, Integer, LargeBinary, MetaData, Sequence, Table, Text, text

metadata = MetaData()

#: A signed 64-bit number. SQLite wants its row id to be called INTEGER.
Number = BigInteger().with_variant(Integer, "sqlite")

app = Table(
    "app",
    metadata,
    Column("name", Text, primary_key=True),
    Column("provider", Text, nullable=False),
    Column("app_key", Text, nullable=False),
    Column("secret_ref", Text),
    Column("endpoint", Text, nullable=False),
    Column("policy", Text, nullable=False),
    Column("options", Text, nullable=False),
)

# Ids are given by the writer, so that a group of rows that may or may not have been committed before a
# connection broke can be written again without doubling any.
delivery = Table(
    "delivery",
    metadata,
    Column("id", Number, primary_key=True, autoincrement=False),
    Column("app", Text, nullable=False),
    Column("event_type", Text, nullable=False),
    Column("payload", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("due_at", Number, nullable=False),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("created_at", Number, nullable=False),
    Column("idempotency_key", Text),
    Column("last_outcome", Text),
    Column("signed_stamp", Text),
    Column("earlier", Integer, nullable=False, server_default=text("0")),
    Column("plan", Text),
)
Index("delivery_due", delivery.c.app, delivery.c.state, delivery.c.due_at, delivery.c.id)
Index("delivery_created", delivery.c.created_at, delivery.c.id)
Index(
    "delivery_idempotency",
    delivery.c.app,
    delivery.c.idempotency_key,
    unique=True,
    sqlite_where=delivery.c.idempotency_key.is_not(None),
    postgresql_where=delivery.c.idempotency_key.is_not(None),
)

# Of a call with an idempotency key, for as long as any of its deliveries is here.
call = Table(
    "call",
    metadata,
    Column("app", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("first_id", Number, nullable=False),
    Column("last_id", Number, nullable=False),
    Column("asked", Text),
    sqlite_with_rowid=False,
)
Index("call_first", call.c.first_id)

attempt = Table(
    "attempt",
    metadata,
    Column("delivery_id", Number, primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("sent_at", Number, nullable=False),
    Column("seconds", Float(53), nullable=False),
    Column("outcome", Text, nullable=False),
    Column("status", Integer),
    Column("rule", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("request", Text, nullable=False, server_default=text("''")),
    Column("body", LargeBinary),
    Column("answer", Text, nullable=False, server_default=text("''")),
    sqlite_with_rowid=False,
)

setting = Table(
    "setting",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

# What calls of the providers' server APIs have left behind, as JSON.
state = Table(
    "state",
    metadata,
    Column("app", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("one", Text, primary_key=True),
    Column("value", Text, nullable=False),
    Column("changed_at", Number, nullable=False),
    Column("passing", Integer, nullable=False),
    sqlite_with_rowid=False,
)
Index("state_passing", state.c.passing, state.c.changed_at)

# What is to be known of an app's delivery beyond the process that delivers it: who that is and until when, by the
# database's own clock, who is to have it next, and since when its receiver fails.
lane = Table(
    "lane",
    metadata,
    Column("app", Text, primary_key=True),
    Column("holder", Text),
    Column("until", Number, nullable=False, server_default=text("0")),
    Column("wanted_by", Text),
    Column("wanted_until", Number, nullable=False, server_default=text("0")),
    Column("failing_since", Number),
    Column("switched_off_at", Number),
    sqlite_with_rowid=False,
)

# The processes that share a PostgreSQL ledger; times are of the database's own clock.
process = Table(
    "process",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("started_at", Number, nullable=False),
    Column("seen_at", Number, nullable=False),
    Column("apps", Text, nullable=False),
    sqlite_with_rowid=False,
)

# Where several processes accept, they draw the ids of deliveries from here.
delivery_ids = Sequence("delivery_ids", metadata=metadata, data_type=BigInteger)
