"""Writes many rows in few statements, by whatever is fastest on each database.

A statement a row would take and release the interpreter's lock for every row, which starves the
writer as soon as another thread is busy. So SQLite gets statements with up to 500 rows of
VALUES (a statement that reads JSON takes it half as long again), and PostgreSQL gets COPY. The SQL
is our own text, and goes to the drivers directly: SQLAlchemy takes more time over such statements
than the databases do; names come from the models.

Every statement can be repeated: rows that are there already stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import cache
from itertools import chain
from typing import Any

from im_callback.provider_mock.delivery.ledger import models
from im_callback.provider_mock.delivery.ledger.records import DoneRow
from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

DeliveryRow = tuple[int, str, str, str, str, int, int, str | None, str | None]
"""Id, app, event type, payload, state, due_at, created_at, idempotency key, plan."""
Change = tuple[int, str, int, int, str, str | None]
"""Delivery id, state, due_at, attempts, last outcome, signed stamp or None."""

_D, _A = models.delivery.c, models.attempt.c
_DELIVERY = tuple(
    column.name
    for column in (
        _D.id,
        _D.app,
        _D.event_type,
        _D.payload,
        _D.state,
        _D.due_at,
        _D.created_at,
        _D.idempotency_key,
        _D.plan,
    )
)
_ATTEMPT = tuple(column.name for column in _A)
_SIZES = (500, 250, 120, 60, 30, 15, 7, 3, 1)
"""Rows a statement of VALUES can have; few sizes, so that SQLite keeps all of them prepared."""


def write(
    connection: Connection,
    deliveries: Sequence[DeliveryRow],
    done: Sequence[DoneRow],
    *,
    again: bool,
    holder: str | None = None,
) -> None:
    """Write new deliveries and attempts; `again` if they may be there already.

    What follows from attempts is written for the apps whose lease the `holder` has; None: for all. Another process knows
    better what becomes of the others.
    """
    attempts = [row[:11] for row in done]
    changes = _changes(done)
    with closing(connection.connection.cursor()) as cursor:
        if connection.dialect.name == "sqlite":
            _values(cursor, _sqlite_insert, "delivery", _DELIVERY, deliveries)
            _values(cursor, _sqlite_insert, "attempt", _ATTEMPT, attempts)
            _values(cursor, _sqlite_change, "delivery", _CHANGE, changes)
            return
        # COPY cannot leave out rows that are there.
        if again:
            _insert_each(cursor, "delivery", _DELIVERY, deliveries)
            if holder is None:
                _insert_each(cursor, "attempt", _ATTEMPT, attempts)
            else:
                _insert_attempts(cursor, attempts)
        else:
            _copy(cursor, "delivery", _DELIVERY, deliveries)
            _copy(cursor, "attempt", _ATTEMPT, attempts)
        if changes:
            values = [list(column) for column in zip(*changes, strict=True)]
            cursor.execute(_POSTGRES_CHANGE + ("" if holder is None else _HELD), [*values, *filter(None, [holder])])
        if again and changes and holder is not None:
            cursor.execute(_POSTGRES_NUMBERS, [[change[0] for change in changes]])


def _changes(done: Iterable[DoneRow]) -> list[Change]:
    """Return one change for each delivery: what its last row says, with the highest number of an attempt."""
    last: dict[int, Change] = {}
    for row in done:
        number, signed = row[1], row[13]
        if (before := last.get(row[0])) is not None:
            number, signed = max(number, before[3]), signed or before[5]
        last[row[0]] = (row[0], row[11], row[12], number, row[4], signed)
    return list(last.values())


_CHANGE = ("id", "state", "due_at", "number", "outcome", "signed")
_SET = """state = v.state, due_at = v.due_at, attempts = {greatest}(delivery.attempts, v.number),
    last_outcome = v.outcome, signed_stamp = coalesce(v.signed, delivery.signed_stamp)
    FROM v WHERE delivery.id = v.id"""
_POSTGRES_CHANGE = f"""WITH v ({", ".join(_CHANGE)}) AS (
    SELECT * FROM unnest(%s::bigint[], %s::text[], %s::bigint[], %s::int[], %s::text[], %s::text[])
) UPDATE delivery SET {_SET.format(greatest="greatest")}"""  # noqa: S608


_HELD = " AND delivery.app = ANY (ARRAY (SELECT app FROM lane WHERE holder = %s))"
_POSTGRES_NUMBERS = """UPDATE delivery SET attempts = greatest(attempts, (SELECT max(number) FROM attempt
    WHERE delivery_id = delivery.id)) WHERE id = ANY (%s::bigint[])"""


@cache
def _sqlite_insert(table: str, columns: tuple[str, ...], size: int) -> str:
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES {_marks(columns, size)} {_if_new(table)}"  # noqa: S608


@cache
def _sqlite_change(table: str, columns: tuple[str, ...], size: int) -> str:
    values = f"WITH v ({', '.join(columns)}) AS (VALUES {_marks(columns, size)})"
    return f"{values} UPDATE {table} SET {_SET.format(greatest='max')}"  # noqa: S608


def _if_new(table: str) -> str:
    key = ", ".join(column.name for column in models.metadata.tables[table].primary_key)
    return f"ON CONFLICT ({key}) DO NOTHING"


def _marks(columns: Sequence[str], size: int) -> str:
    return ", ".join([f"({', '.join('?' * len(columns))})"] * size)


def _values(cursor: Any, statement: Any, table: str, columns: tuple[str, ...], rows: Sequence[tuple[Any, ...]]) -> None:
    for part in _parts(rows):
        cursor.execute(statement(table, columns, len(part)), tuple(chain.from_iterable(part)))


def _parts(rows: Sequence[tuple[Any, ...]]) -> Iterator[Sequence[tuple[Any, ...]]]:
    start = 0
    for size in _SIZES:
        while len(rows) - start >= size:
            yield rows[start : start + size]
            start += size


def _copy(cursor: Any, table: str, columns: tuple[str, ...], rows: Sequence[tuple[Any, ...]]) -> None:
    if rows:
        with cursor.copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)


def _insert_each(cursor: Any, table: str, columns: tuple[str, ...], rows: Sequence[tuple[Any, ...]]) -> None:
    if rows:
        marks = ", ".join(["%s"] * len(columns))
        cursor.executemany(
            f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks}) {_if_new(table)}",  # noqa: S608
            rows,
        )


def _insert_attempts(cursor: Any, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert attempts that are not there yet.

    Where another process has made one of the same number, because it took the lease over meanwhile, it gets the next.
    """
    same = "delivery_id = %s AND number >= %s AND sent_at = %s AND seconds = %s AND outcome = %s"
    other = "delivery_id = %s AND number = %s"
    number = f"""CASE WHEN EXISTS (SELECT FROM attempt WHERE {other})
        THEN (SELECT max(number) + 1 FROM attempt WHERE delivery_id = %s) ELSE %s END"""  # noqa: S608
    insert = f"""INSERT INTO attempt ({", ".join(_ATTEMPT)})
        SELECT %s, {number}, {", ".join(["%s"] * (len(_ATTEMPT) - 2))}
        WHERE NOT EXISTS (SELECT FROM attempt WHERE {same})"""  # noqa: S608
    cursor.executemany(insert, [(row[0], row[0], row[1], row[0], row[1], *row[2:], *row[:5]) for row in rows])


def write_calls(connection: Connection, calls: Sequence[tuple[str, str, str, int, int]]) -> None:
    """Write calls with idempotency keys: app, key, what is asked for, first id, last id. Those that are there stay."""
    names = ("app", "key", "asked", "first_id", "last_id")
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    values = [dict(zip(names, call, strict=True)) for call in calls]
    connection.execute(insert(models.call).on_conflict_do_nothing(), values)


def known_keys(connection: Connection, keys: Mapping[str, Sequence[str]]) -> dict[tuple[str, str], int]:
    """Return the deliveries that have one of the idempotency keys, given by app: id by app and key."""
    found: dict[tuple[str, str], int] = {}
    for app, wanted in keys.items():
        for start in range(0, len(wanted), 500):
            part = wanted[start : start + 500]
            query = select(_D.idempotency_key, _D.id).where(_D.app == app, _D.idempotency_key.in_(part))
            found.update({(app, str(key)): row_id for key, row_id in connection.execute(query)})
    return found
