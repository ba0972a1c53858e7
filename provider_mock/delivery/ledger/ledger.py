"""The ledger as the engine and the server use it: accepting, delivering, recording, keeping house."""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

from im_callback.provider_mock.delivery.clock import utc_millis
from im_callback.provider_mock.delivery.ledger import models
from im_callback.provider_mock.delivery.ledger.database import Database, transaction
from im_callback.provider_mock.delivery.ledger.leases import Leases, want
from im_callback.provider_mock.delivery.ledger.migrations.upgrade import outdated, upgrade
from im_callback.provider_mock.delivery.ledger.patience import within
from im_callback.provider_mock.delivery.ledger.reader import LedgerReader, conditions, in_turn
from im_callback.provider_mock.delivery.ledger.records import (
    ACKED,
    DECLINED,
    DROPPED,
    PARKED,
    WAITING,
    Done,
    DoneRow,
    Failing,
    Health,
    Kept,
    NewDelivery,
    Query,
    StoredApp,
    Waiting,
    check_states,
    done_row,
    stamp,
    to_row,
    to_text,
)
from im_callback.provider_mock.delivery.ledger.told import tell
from im_callback.provider_mock.delivery.ledger.watch import Watch
from im_callback.provider_mock.delivery.ledger.writer import LAST_ID, Writer, highest_id, settle_ids
from sqlalchemy import ColumnElement, Connection, Table, bindparam, delete, exists, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError

Changes = Mapping[tuple[str, str], "Kept | None"]
"""What is to be known of things of an app's, by kind and id; None: nothing any more."""
CHUNK = 500
"""Deliveries that housekeeping changes in one transaction; what is accepted meanwhile waits for one at most."""
MOST_TOGETHER = 1000
"""Deliveries that a call with an idempotency key makes at most."""
UPGRADE_SECONDS = 3600.0
"""How long it may take to bring a database up to date."""

_D, _C, _S = models.delivery.c, models.call.c, models.state.c
_UNTOUCHED = (_D.state == WAITING, _D.attempts == 0)
_WAITING = (
    _D.id,
    _D.app,
    _D.event_type,
    _D.payload,
    _D.attempts,
    _D.earlier,
    _D.last_outcome,
    _D.due_at,
    _D.signed_stamp,
    _D.plan,
)


class Ledger(LedgerReader):
    """A ledger opened for delivery; its tables are made or brought up to date.

    One process at a time can have a SQLite file. Those that have a PostgreSQL database share it by leases (leases.py):
    for an app that another one delivers for, what is said here of attempts that are not on disk yet does not hold.

    `url` is `sqlite:///PATH`, `postgresql://…` or the path of a file. `clock` gives UTC
    milliseconds for what it stamps itself. What is handed in is committed in groups, which close
    at `group_rows` rows, after `group_seconds`, or as soon as somebody waits for them. While the
    database fails, callers wait up to `patience` seconds and then get LedgerUnavailable; up to
    `queued_attempts` attempts are kept in memory meanwhile. All methods can be called from any
    thread.

    Raises:
        LedgerInUse: another process, or another object, has the file open for delivery; or one of an earlier release
            has the database.
        LedgerTooNew: a later release has written it.
        LedgerMissing: its folder does not exist.
        LedgerUnavailable: the database does not answer.
        NotALedger: the URL leads to something else.
    """

    def __init__(
        self,
        url: str,
        *,
        clock: Callable[[], int] = utc_millis,
        group_rows: int = 2000,
        group_seconds: float = 0.02,
        patience: float = 10.0,
        queued_attempts: int = 20_000,
    ) -> None:
        self._clock = clock
        self._database = Database(url)
        self._database.lock()
        connection: Connection | None = None
        try:
            connection = self._database.writer()
            with within(UPGRADE_SECONDS), self._database.taking(connection, UPGRADE_SECONDS), transaction(connection):
                self._database.begin_opening(connection)
                with self._database.alone(connection) if outdated(connection, self._database.where) else nullcontext():
                    self.upgraded_from = upgrade(connection, self._database.where)
                settle_ids(connection)
            self._database.opened()
            self._writer = Writer(
                self._database,
                connection,
                clock,
                group_rows=group_rows,
                group_seconds=group_seconds,
                patience=patience,
                queued_rows=queued_attempts,
            )
            self._watch = Watch(self._database)
        except BaseException as error:
            if connection is not None:
                connection.close()
            self._database.close()
            if isinstance(error, DBAPIError):
                raise self._database.unavailable(error) from error
            raise

    def close(self) -> None:
        """Write what is queued and give the ledger back; a second call does nothing.

        Raises:
            LedgerUnavailable: the database did not take the last attempts; they are lost, and
                the deliveries that were due will be sent again.
        """
        self._watch.close()
        try:
            self._writer.close()
        finally:
            super().close()

    def accept(
        self, new: Sequence[NewDelivery], *, key: str | None = None, asked: str = "", state: Changes | None = None
    ) -> list[int]:
        """Return the ids of new deliveries, in order, once all of them are on disk.

        One whose idempotency key the app has used before gets the id of that earlier delivery, and
        nothing is added. All are stored together or none, so offer some thousands at most. They are
        remembered as the call of their app that has the idempotency key `key` and `asked` for this. What is known of their
        app is changed with them, by `state`, as by `save_state`.

        Raises:
            ValueError: one cannot be stored; the message names the field.
            LedgerUnavailable: the database did not take them in time; `stored` says what is known of them.
        """
        if not new:
            return []
        call = None if key is None else (new[0].app, key, asked)
        along = self._saving(new[0].app, state) if state else None
        return self._writer.accept([to_row(each) for each in new], call, along)

    def record(self, dones: Sequence[Done]) -> int:
        """Queue attempts of deliveries that were due, and what follows from them; they are on disk with a later group.

        Returns how many were taken, from the first on: fewer where the queue is full, because the
        database does not take them. Never waits and never raises. Of several records of the same
        number the first is kept; the delivery's state is that of the last. What cannot be stored as
        it is, is stored as what comes nearest.
        """
        room = self._writer.room()
        return self._writer.record([done_row(done) for done in dones[:room]]) if room else 0

    def backlog(self, app: str) -> int:
        """Return how many of an app's deliveries are parked; what was recorded counts even before it is on disk."""
        unwritten = self._writer.unwritten()
        coming = [row_id for row_id, row in unwritten.items() if row[11] == PARKED]
        parked = select(func.count()).where(_D.app == app, _D.state == PARKED)
        (counts,) = self._rows(
            # In one look: what is written meanwhile must not count twice, or not at all.
            select(
                parked.scalar_subquery(),
                parked.where(self._database.one_of(_D.id, list(unwritten))).scalar_subquery(),
                select(func.count()).where(_D.app == app, self._database.one_of(_D.id, coming)).scalar_subquery(),
            )
        )
        return int(counts[0] - counts[1] + counts[2])

    def flush(self) -> None:
        """Return when everything that was recorded is on disk; LedgerUnavailable after `patience` seconds."""
        self._writer.accept([])

    @property
    def alive(self) -> bool:
        """Whether the thread that writes and the one that watches are there, or it was said why they are not."""
        return self._writer.alive and self._watch.alive

    def health(self) -> Health:
        """Return how the writing goes, and whether the database is there at all. Does not touch it, and never waits."""
        health, fault = self._writer.health(), self._watch.fault()
        if fault is None:
            return health
        since, error = fault
        seconds = max(time.monotonic() - since, health.failing_seconds or 0.0)
        return replace(health, failing_seconds=seconds, error=error)

    def due(self, app: str, now: int, limit: int, after: tuple[int, int] | None = None) -> list[Waiting]:
        """Return deliveries with due_at <= now by (due_at, id), of those after the cursor `after`.

        `due_at` and `id` of the last one are the next cursor. Fewer than `limit` means that there
        are no more now. Nothing is claimed: the caller remembers what it has in flight, and after
        a crash all of it is due again. What was recorded counts even before it is on disk. The
        time it takes depends on `limit`, not on how many wait.

        Raises LedgerUnavailable also while nothing can be written: what was sent then would be
        sent again after a crash.
        """
        self._writer.check()
        found: list[Waiting] = []
        while True:
            # Read first: what is recorded from here on is not the caller's past.
            unwritten = self._writer.unwritten()
            wanted = limit - len(found)
            page = self._page(app, WAITING, after, wanted, *_WAITING, until=now)
            for row in page:
                waiting = _waiting(row)
                if (done := unwritten.get(waiting.id)) is None:
                    found.append(waiting)
                elif done[11] == WAITING and done[12] <= now:
                    found.append(_ahead(waiting, done))
            if len(page) < wanted or len(found) == limit:
                return found
            after = (waiting.due_at, waiting.id)

    def together(self, app: str, first: int, size: int) -> list[Waiting]:
        """Return those of the `size` deliveries from this id on that are the app's and have never been attempted.

        Deliveries that were accepted in one call have consecutive ids. What was recorded counts even
        before it is on disk. Raises LedgerUnavailable also while nothing can be written, as `due` does.
        """
        self._writer.check()
        unwritten = self._writer.unwritten()
        query = select(*_WAITING).where(
            _D.id.between(first, first + size - 1), _D.app == app, _D.state == WAITING, _D.attempts == 0
        )
        found = map(_waiting, self._rows(query.order_by(_D.id)))
        return [waiting for waiting in found if waiting.id not in unwritten]

    def next_due(self, app: str, after: int | None = None) -> int | None:
        """Return the earliest due_at of an app's waiting deliveries, of those later than `after`; None without one.

        What was recorded counts even before it is on disk. Pass the `now` that `due` was asked with
        to learn how long to sleep: what was due then is in flight.
        """
        unwritten = self._writer.unwritten()
        earliest, cursor = None, None if after is None else (after, 2**63 - 1)
        while page := self._page(app, WAITING, cursor, 100, _D.due_at, _D.id):
            earliest = next((due_at for due_at, row_id in page if row_id not in unwritten), None)
            if earliest is not None or len(page) < 100:
                break
            cursor = tuple(page[-1])
        coming = sorted(
            (row[12], row_id)
            for row_id, row in unwritten.items()
            if row[11] == WAITING and (after is None or row[12] > after) and (earliest is None or row[12] < earliest)
        )
        for start in range(0, len(coming), CHUNK):
            part = {row_id: due_at for due_at, row_id in coming[start : start + CHUNK]}
            if own := self._rows(select(_D.id).where(_D.app == app, _D.id.in_(part))):
                return min(part[row_id] for (row_id,) in own)
        return earliest

    def never_attempted(self, app: str) -> Sequence[int]:
        """Return the ids of an app's deliveries that wait and were never attempted, in order."""
        return array("q", sorted(self._ids([_D.app == app, *_UNTOUCHED])))

    def waiting(self, ids: Sequence[int]) -> list[Waiting]:
        """Return those of some deliveries that wait and were never attempted, in order."""
        return [
            _waiting(row) for row in self._rows(select(*_WAITING).where(_D.id.in_(ids), *_UNTOUCHED).order_by(_D.id))
        ]

    def replan(self, plans: Mapping[int, str | None]) -> int:
        """Give deliveries other plans, as far as they wait and were never attempted; return how many have another one now."""
        count, ids = 0, list(plans)
        for start in range(0, len(ids), CHUNK):
            part = {one: plans[one] for one in ids[start : start + CHUNK]}
            count += self._writer.run(partial(self._replan, part))
        return count

    def release(self, app: str, limit: int | None = None) -> int:
        """Make parked deliveries due now, the longest waiting first; return how many.

        Their retry policy starts afresh. This is the provider's manual synchronisation.
        """
        released = 0
        while limit is None or released < limit:
            size = CHUNK if limit is None else min(CHUNK, limit - released)
            count = self._writer.run(partial(self._release, app, size))
            released += count
            if count < size:
                break
        return released

    def redeliver(self, which: Sequence[int] | Query) -> int:
        """Make deliveries due now, whatever their state; return how many there were of these ids or this query.

        Their retry policy starts afresh; those that are waiting already are due at once.
        """
        if isinstance(which, Query):
            wanted = conditions(which)
            return self._in_chunks(self._ids(wanted), self._redeliver, wanted)
        return self._in_chunks(which, self._redeliver, [])

    def prune(self, before: int, states: Sequence[str] = (ACKED, DECLINED, DROPPED)) -> int:
        """Delete deliveries in these states that were accepted before a time, with their attempts; return how many.

        Their ids are never given again, their idempotency keys can be used again. The file of a
        SQLite ledger does not shrink; its room is used again.
        """
        check_states(states)
        wanted = [_D.created_at < before, _D.state.in_(states)]
        return self._in_chunks(self._ids(wanted), self._prune, wanted)

    def empty(self, app: str) -> int:
        """Delete all deliveries of an app, whatever their state, as `prune` does, and what is known of it; return how many."""
        wanted = [_D.app == app]
        count = self._in_chunks(self._ids(wanted), self._prune, wanted)
        known = delete(models.state).where(_S.app == app)
        self._writer.run(lambda connection: connection.execute(known).rowcount)
        return count

    def save_app(self, app: StoredApp) -> None:
        """Store an app, in the place of an earlier one of its name."""
        values = {c.name: getattr(app, c.name) for c in models.app.c} | {"options": to_text(dict(app.options))}
        self._writer.run(lambda connection: _put(connection, models.app, values))

    def remove_app(self, name: str) -> bool:
        """Remove an app, with what is known of it, and return whether there was one. Its deliveries stay on record."""

        def remove(connection: Connection) -> bool:
            connection.execute(delete(models.state).where(models.state.c.app == name))
            connection.execute(delete(models.lane).where(models.lane.c.app == name))
            return connection.execute(delete(models.app).where(models.app.c.name == name)).rowcount > 0

        return self._writer.run(remove)

    def save_state(self, app: str, changes: Changes) -> None:
        """Store what is known of an app, by kind and id, all of it or nothing; None: it is forgotten."""
        if changes:
            self._writer.run(self._saving(app, changes))

    def _saving(self, app: str, changes: Changes) -> Callable[[Connection], None]:
        """Return what stores changes; it can be repeated."""
        rows = [
            {"app": app, "kind": kind, "one": to_text(one), "value": to_text(kept.value), "passing": int(kept.passing)}
            for (kind, one), kept in changes.items()
            if kept is not None
        ]
        gone = [names for names, kept in changes.items() if kept is None]

        def save(connection: Connection) -> None:
            for row in rows:
                _put(connection, models.state, {**row, "changed_at": self._clock()})
            for kind, one in gone:
                where = (_S.app == app, _S.kind == kind, _S.one == to_text(one))
                connection.execute(delete(models.state).where(*where))

        return save

    def prune_state(self, before: int) -> int:
        """Forget what is passing and was last changed before a time; return how many there were."""
        old = delete(models.state).where(_S.passing == 1, _S.changed_at < before)
        return self._writer.run(lambda connection: connection.execute(old).rowcount)

    def last_id(self) -> int:
        """Return the highest id that a delivery on record was given; LedgerUnavailable as `accept` raises it."""
        return self._writer.run(highest_id)

    def failing(self) -> dict[str, Failing]:
        """Return how the receivers of apps fail, of those that do."""
        lane = models.lane.c
        rows = self._rows(
            select(lane.app, lane.failing_since, lane.switched_off_at).where(lane.failing_since.is_not(None))
        )
        return {app: Failing(since, off) for app, since, off in rows}

    def save_failing(self, app: str, failing: Failing, holder: str | None = None) -> None:
        """Store how an app's receiver fails; with a `holder` only while that has the app's lease."""
        values = {"failing_since": failing.since, "switched_off_at": failing.switched_off_at}
        lane = models.lane
        if holder is None:
            self._writer.run(lambda connection: _put(connection, lane, {"app": app, **values}))
        else:
            change = update(lane).where(lane.c.app == app, lane.c.holder == holder).values(values)
            self._writer.run(lambda connection: connection.execute(change))

    @property
    def shared(self) -> bool:
        """Whether several processes can deliver from it."""
        return not self._database.sqlite

    def leases(self, process: str, name: str) -> Leases | None:
        """Return the leases of this database as a process sees them, as which it writes from now on; None for a file."""
        if self._database.sqlite:
            return None
        self._writer.holder = process
        return Leases(self._database, process, name)

    @contextmanager
    def exclusively(self, name: str) -> Iterator[None]:
        """Keep other processes out that ask for the same name; LedgerUnavailable if one of them takes long."""
        try:
            with self._database.exclusively(name):
                yield
        except DBAPIError as error:
            raise self._database.unavailable(error) from error

    def want_lease(self, app: str, process: str) -> None:
        """Have an app's lease given to a process as soon as what is under way has landed."""
        self._writer.run(lambda connection: want(connection, app, process))

    def tell_accepted(self, elsewhere: Callable[[str], bool]) -> None:
        """Tell other processes from now on what is accepted for apps that one of them delivers for."""
        self._writer.elsewhere = elsewhere

    def tell(self, what: str, *apps: str) -> None:
        """Tell other processes of a change (told.py), behind those that were made before. A file has none."""
        if (process := self._writer.holder) is not None:
            self._writer.run(lambda connection: tell(connection, process, what, apps or ("",)))

    def put_setting(self, key: str, value: str) -> None:
        """Store a text under a key."""
        self._writer.run(lambda connection: _put(connection, models.setting, {"key": key, "value": value}))

    def _ids(self, wanted: Sequence[ColumnElement[bool]]) -> Sequence[int]:
        """Return the ids of deliveries, eight bytes each: there may be millions."""
        self.flush()
        return array("q", self._scalars(select(_D.id).where(*wanted)))

    def _in_chunks(self, ids: Sequence[int], change: _Change, wanted: Sequence[ColumnElement[bool]]) -> int:
        """Carry a change out on deliveries, as far as they still are what was wanted; return how many were."""
        count = 0
        for start in range(0, len(ids), CHUNK):
            part = [*wanted, _D.id.in_(ids[start : start + CHUNK])]
            count += self._writer.run(partial(change, part))
        return count

    def _redeliver(self, which: Sequence[ColumnElement[bool]], connection: Connection) -> int:
        again = {"state": WAITING, "due_at": self._clock(), "earlier": _D.attempts, "signed_stamp": None}
        return connection.execute(update(models.delivery).where(*which).values(again)).rowcount

    def _replan(self, plans: Mapping[int, str | None], connection: Connection) -> int:
        which = (_D.id.in_(list(plans)), *_UNTOUCHED)
        others = [
            {"which": row_id, "other": plans[row_id]}
            for row_id, plan in connection.execute(select(_D.id, _D.plan).where(*which))
            if plan != plans[row_id]
        ]
        if others:
            change = update(models.delivery).where(_D.id == bindparam("which")).values(plan=bindparam("other"))
            connection.execute(change, others)
        return len(others)

    def _release(self, app: str, size: int, connection: Connection) -> int:
        ids = connection.execute(in_turn(app, PARKED, size, _D.id)).scalars().all()
        return self._redeliver([_D.id.in_(ids)], connection) if ids else 0

    def _prune(self, which: Sequence[ColumnElement[bool]], connection: Connection) -> int:
        ids = connection.execute(select(_D.id).where(*which)).scalars().all()
        if ids:
            _put(connection, models.setting, {"key": LAST_ID, "value": str(self._writer.last_id)})
            connection.execute(delete(models.attempt).where(models.attempt.c.delivery_id.in_(ids)))
            connection.execute(delete(models.delivery).where(_D.id.in_(ids)))
            # A call goes with the last of its deliveries.
            gone = ~exists().where(_D.id.between(_C.first_id, _C.last_id))
            near = _C.first_id.between(min(ids) - MOST_TOGETHER, max(ids))
            connection.execute(delete(models.call).where(near, gone))
        return len(ids)


_Change = Callable[[Sequence[ColumnElement[bool]], Connection], int]


def _waiting(row: Any) -> Waiting:
    waiting = Waiting._make(row)
    return waiting if waiting.signed is None else waiting._replace(signed=stamp(str(waiting.signed)))


def _ahead(waiting: Waiting, done: DoneRow) -> Waiting:
    """Return a delivery as an attempt that is not on disk yet leaves it; its place in the order stays."""
    return waiting._replace(
        attempts=max(waiting.attempts, done[1]), last_outcome=done[4], signed=stamp(done[13]) or waiting.signed
    )


def _put(connection: Connection, table: Table, values: dict[str, Any]) -> None:
    """Store a row in the place of the one with its primary key."""
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    key = [column.name for column in table.primary_key]
    rest = {name: value for name, value in values.items() if name not in key}
    connection.execute(insert(table).values(values).on_conflict_do_update(index_elements=key, set_=rest))
