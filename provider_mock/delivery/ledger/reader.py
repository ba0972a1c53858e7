"""Reads a ledger, also while another process delivers from it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar, cast

from im_callback.provider_mock.delivery.ledger import models
from im_callback.provider_mock.delivery.ledger.database import Database
from im_callback.provider_mock.delivery.ledger.migrations.upgrade import check
from im_callback.provider_mock.delivery.ledger.patience import left, within
from im_callback.provider_mock.delivery.ledger.records import (
    PARKED,
    STATES,
    WAITING,
    AttemptRecord,
    Call,
    DeliveryRecord,
    Query,
    StoredApp,
    payloads,
    to_text,
)
from sqlalchemy import ColumnElement, CursorResult, Result, Select, func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnection

if TYPE_CHECKING:
    from typing_extensions import Self

T = TypeVar("T")

READ_SECONDS = 8.0
"""How long a reading may take altogether, from the wait for a connection to the last row."""
LONG_SECONDS = 60.0
"""The same for what walks through the whole ledger."""
ID_DIGITS = 19
"""Digits of a number of 64 bits at most."""
_D, _A, _C, _S = models.delivery.c, models.attempt.c, models.call.c, models.state.c
_RECORD = (
    _D.id,
    _D.app,
    _D.event_type,
    _D.payload,
    _D.state,
    _D.due_at,
    _D.attempts,
    _D.earlier,
    _D.created_at,
    _D.idempotency_key,
    _D.last_outcome,
    _D.plan,
)


class LedgerReader:
    """A ledger opened for reading only, by URL (`sqlite:///PATH`, `postgresql://…`) or by path of a file.

    Every method sees what is on disk when it is called, and raises LedgerUnavailable if the
    database does not answer within `READ_SECONDS`.

    Raises:
        LedgerMissing: there is no such file.
        LedgerOutdated: an earlier release has written it.
        LedgerTooNew: a later release has written it.
        NotALedger: it is something else.
    """

    def __init__(self, url: str) -> None:
        self._database = Database(url, read_only=True)
        try:
            with within(READ_SECONDS), self._database.readers.connect() as connection:
                check(connection, self._database.where)
        except DBAPIError as error:
            self._database.close()
            raise self._database.unavailable(error) from error
        except BaseException:
            self._database.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._database.where}>"

    def close(self) -> None:
        """Close the connections."""
        self._database.close()

    def counts(self, app: str | None = None) -> dict[str, int]:
        """Return how many deliveries there are in each state, of one app or of all."""
        totals = dict.fromkeys(STATES, 0)
        for states in self.counts_by_app(app).values():
            for state, count in states.items():
                totals[state] += count
        return totals

    def counts_by_app(self, app: str | None = None) -> dict[str, dict[str, int]]:
        """Return the counts of `counts` for each app that has deliveries. Takes 0.1 s for a million of them."""
        query = select(_D.app, _D.state, func.count()).group_by(_D.app, _D.state)
        if app is not None:
            query = query.where(_D.app == app)
        counts: dict[str, dict[str, int]] = {}
        for name, state, count in self._rows(query):
            counts.setdefault(name, dict.fromkeys(STATES, 0))[state] = count
        return counts

    def deliveries(
        self, query: Query | None = None, cursor: int | None = None, limit: int = 100
    ) -> list[DeliveryRecord]:
        """Return deliveries, newest first; the id of the last one is the cursor of the next page."""
        matching = select(_D.id).where(*conditions(query or Query()))
        if cursor is not None:
            matching = matching.where(_D.id < cursor)
        # Ids first, from an index if there is one; sorting whole rows would read every payload.
        ids = matching.order_by(_D.id.desc()).limit(limit)
        rows = self._rows(select(*_RECORD).where(_D.id.in_(ids)).order_by(_D.id.desc()))
        return [_record(row) for row in rows]

    def delivery(self, delivery_id: int) -> DeliveryRecord | None:
        """Return a delivery, or None if there is none of this id."""
        rows = self._rows(select(*_RECORD).where(_D.id == delivery_id))
        return _record(rows[0]) if rows else None

    def attempts(self, delivery_id: int, after: int = 0, limit: int = 1000) -> list[AttemptRecord]:
        """Return a delivery's attempts in turn; the number of the last one is `after` for the next page."""
        query = select(*_A).where(_A.delivery_id == delivery_id, _A.number > after).order_by(_A.number).limit(limit)
        return [AttemptRecord(*row) for row in self._rows(query)]

    def last_sent(self, ids: Sequence[int]) -> dict[int, int]:
        """Return when the last attempt of each of some thousand deliveries was sent; without those never attempted."""
        which = self._database.one_of(_A.delivery_id, ids)
        rows = self._rows(select(_A.delivery_id, func.max(_A.sent_at)).where(which).group_by(_A.delivery_id))
        return {row[0]: row[1] for row in rows}

    def last_attempts(self, ids: Sequence[int]) -> dict[int, AttemptRecord]:
        """Return the last attempt of each of these deliveries that has one."""
        last = select(*_A).join(models.delivery, (_A.delivery_id == _D.id) & (_A.number == _D.attempts))
        return {row[0]: AttemptRecord(*row) for row in self._rows(last.where(_D.id.in_(ids)))}

    def first_attempts(self, ids: Sequence[int]) -> dict[int, AttemptRecord]:
        """Return the first attempt of each of these deliveries that has one."""
        return {
            row[0]: AttemptRecord(*row)
            for row in self._rows(select(*_A).where(_A.delivery_id.in_(ids), _A.number == 1))
        }

    def ended(self, app: str, first: int, last: int) -> list[tuple[int, str]]:
        """Return the deliveries of an app with ids from one to another that do not wait, with their states."""
        which = (_D.id.between(first, last), _D.app == app, _D.state != WAITING)
        return [(row_id, state) for row_id, state in self._rows(select(_D.id, _D.state).where(*which))]

    def call(self, app: str, key: str) -> Call | None:
        """Return the call that has this idempotency key, or None."""
        rows = self._rows(select(_C.app, _C.key, _C.first_id, _C.last_id, _C.asked).where(_C.app == app, _C.key == key))
        return Call(*rows[0]) if rows else None

    def on_record(self, ids: range) -> list[int]:
        """Return which of the deliveries with these ids are on record."""
        return self._scalars(select(_D.id).where(_D.id.between(ids.start, ids.stop - 1)).order_by(_D.id))

    def parked(self, app: str, cursor: tuple[int, int] | None = None, limit: int = 100) -> list[DeliveryRecord]:
        """Return parked deliveries, the longest waiting first; due_at and id of the last are the next cursor."""
        return [_record(row) for row in self._page(app, PARKED, cursor, limit, *_RECORD)]

    def apps(self) -> list[StoredApp]:
        """Return the apps on record, by name."""
        rows = self._rows(select(*models.app.c).order_by(models.app.c.name))
        return [StoredApp(*(*row[:-1], json.loads(row[-1]))) for row in rows]

    def app(self, name: str) -> StoredApp | None:
        """Return an app on record, or None."""
        rows = self._rows(select(*models.app.c).where(models.app.c.name == name))
        return StoredApp(*(*rows[0][:-1], json.loads(rows[0][-1]))) if rows else None

    def setting(self, key: str) -> str | None:
        """Return what was stored under a key, or None."""
        rows = self._rows(select(models.setting.c.value).where(models.setting.c.key == key))
        return rows[0][0] if rows else None

    def state(self, app: str, kind: str, one: str) -> dict[str, Any] | None:
        """Return what is known of one thing of an app's, or None."""
        where = (_S.app == app, _S.kind == kind, _S.one == to_text(one))
        rows = self._rows(select(_S.value).where(*where))
        return cast("dict[str, Any]", json.loads(rows[0][0])) if rows else None

    def _page(
        self, app: str, state: str, after: tuple[int, int] | None, limit: int, *columns: Any, until: int | None = None
    ) -> Sequence[Any]:
        """Return an app's deliveries in a state by (due_at, id), those behind a cursor, with due_at <= `until`.

        Those with the cursor's due_at are asked for apart: SQLite seeks by the first column of a
        pair alone, and would walk through all of them each time.
        """
        query = in_turn(app, state, limit, *columns)
        if until is not None:
            query = query.where(_D.due_at <= until)
        if after is None:
            return self._plain(query)
        found = self._plain(query.where(_D.due_at == after[0], _D.id > after[1]))
        if len(found) < limit:
            found += self._plain(query.where(_D.due_at > after[0]).limit(limit - len(found)))
        return found

    def _plain(self, query: Select[Any]) -> list[tuple[Any, ...]]:
        """Return a query's rows as the driver gives them: ten thousands of them are read in a second."""
        return self._read(query, _as_they_come)

    def _rows(self, query: Select[Any]) -> Sequence[Any]:
        return self._read(query, lambda result: result.all())

    def _scalars(self, query: Select[Any]) -> list[Any]:
        """Return the only column of a query that may walk through the whole ledger."""
        return self._read(query, lambda result: list(result.scalars()), LONG_SECONDS)

    def _read(self, query: Select[Any], fetch: Callable[[Result[Any]], T], seconds: float = READ_SECONDS) -> T:
        """Run a query; once more if its connection was broken before, as after a restart of PostgreSQL."""
        self._database.check(writing=False)
        try:
            with within(seconds):
                try:
                    return self._read_once(query, fetch, seconds)
                except DBAPIError as error:
                    if not error.connection_invalidated or not left(seconds):
                        raise
                return self._read_once(query, fetch, seconds)
        except (DBAPIError, NoConnection) as error:
            raise self._database.unavailable(error) from error

    def _read_once(self, query: Select[Any], fetch: Callable[[Result[Any]], T], seconds: float) -> T:
        with self._database.readers.connect() as connection, self._database.taking(connection, seconds):
            return fetch(connection.execute(query))


def _as_they_come(result: Result[Any]) -> list[tuple[Any, ...]]:
    cursor = cast("CursorResult[Any]", result).cursor
    return [] if cursor is None else list(cursor.fetchall())


def conditions(query: Query) -> list[ColumnElement[bool]]:
    """Return what a query asks for."""
    wanted: list[ColumnElement[bool]] = []
    for column, value in (
        (_D.app, query.app),
        (_D.event_type, query.event_type),
        (_D.last_outcome, query.last_outcome),
        (_D.idempotency_key, query.idempotency_key),
    ):
        if value is not None:
            wanted.append(column == value)
    if query.states:
        wanted.append(_D.state.in_(query.states))
    if query.call is not None:
        which = (_C.app == query.app, _C.key == query.call)
        wanted.append(_D.id >= select(_C.first_id).where(*which).scalar_subquery())
        wanted.append(_D.id <= select(_C.last_id).where(*which).scalar_subquery())
    if query.text is not None:
        found = _D.payload.icontains(query.text, autoescape=True)
        # What is longer is no id that a database could compare.
        is_id = query.text.isdecimal() and len(query.text) < ID_DIGITS
        wanted.append(found | (_D.id == int(query.text)) if is_id else found)
    if query.since is not None:
        wanted.append(_D.created_at >= query.since)
    if query.until is not None:
        wanted.append(_D.created_at < query.until)
    return wanted


def in_turn(app: str, state: str, limit: int, *columns: Any) -> Select[Any]:
    """Return the query for an app's deliveries in a state by (due_at, id): a walk along an index."""
    return select(*columns).where(_D.app == app, _D.state == state).order_by(_D.due_at, _D.id).limit(limit)


def _record(row: Any) -> DeliveryRecord:
    row_id, app, event_type, payload, *rest = row
    return DeliveryRecord(row_id, app, event_type, payloads(payload), *rest)
