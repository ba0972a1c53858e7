"""The one thread that writes: it gathers what many threads hand in and commits it in groups.

Theory of operation. Everything that changes the ledger goes through one queue, in order: new
deliveries, attempts, and other changes ("jobs"). A group is what lies at the head of the queue. It
closes when it has `group_rows` rows, when its first row has waited `group_seconds`, or at once
when somebody waits for it: who waits meanwhile for the next group shares that one's commit, so
waiting any longer would only cost time. A job makes a group of its own.

When the database fails, the group is kept and tried again, with growing pauses, for as long as it
takes; the queue behind it is bounded, and takes no more attempts than it has room for. Two rules keep that safe:

* A group can be written twice without harm. Whether a commit was carried out is not known when the
  connection breaks just then; ids are given before, and rows that exist stay as they are.
* Who gives up waiting takes the rows along (`_Call.withdrawn`), and is told if they may be stored.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, TypeVar, cast

from im_callback.provider_mock.delivery.ledger import models, rows
from im_callback.provider_mock.delivery.ledger.database import (
    Database,
    is_databases,
    reason,
    rows_at_fault,
    surely_undone,
    told,
    transaction,
)
from im_callback.provider_mock.delivery.ledger.errors import LedgerClosed, LedgerError, LedgerInUse, LedgerUnavailable
from im_callback.provider_mock.delivery.ledger.records import WAITING, DoneRow, Health, NewCall, NewRow, without_words
from im_callback.provider_mock.delivery.ledger.told import ACCEPTED, tell
from sqlalchemy import Connection, func, select, text

log = logging.getLogger("im_callback.provider_mock.ledger")

T = TypeVar("T")
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 2.0
"""Seconds between tries while the database fails; the pause doubles."""
STUCK_SECONDS = 3.0
"""After which a group that is being written tells that the database does not answer."""
LAST_ID = "ledger.last_delivery_id"
"""The setting that keeps ids from being given again after their deliveries were pruned."""
_TRY = text(
    "INSERT INTO setting (key, value) VALUES (:key, :value) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
)


class _Call:
    """Rows, with what is to be written along with them, or a job that a thread waits for."""

    __slots__ = ("along", "call", "done", "error", "ids", "job", "result", "rows", "uncertain", "withdrawn")

    def __init__(
        self,
        new: Sequence[NewRow] = (),
        call: NewCall | None = None,
        job: Callable[[Connection], Any] | None = None,
        along: Callable[[Connection], None] | None = None,
    ) -> None:
        self.rows = new
        self.along = along
        self.call = call
        self.job = job
        self.ids = [0] * len(new)
        self.done = threading.Event()
        self.result: Any = None
        self.error: Exception | None = None
        self.withdrawn = False
        self.uncertain = False


_Item = _Call | DoneRow


class Writer:
    """Writes to a database from its own thread. `clock` gives UTC milliseconds.

    `patience` (seconds) bounds every wait of a caller, `queued_rows` the attempts in the queue.
    """

    def __init__(
        self,
        database: Database,
        connection: Connection,
        clock: Callable[[], int],
        *,
        group_rows: int,
        group_seconds: float,
        patience: float,
        queued_rows: int,
    ) -> None:
        self._database = database
        self._connection: Connection | None = connection
        self._clock = clock
        self._group_rows, self._group_seconds = group_rows, group_seconds
        self._patience, self._queued_rows = patience, queued_rows
        self._next_id = highest_id(connection) + 1

        self.holder: str | None = None
        """The process as which it writes: what follows from an attempt is written while that holds the app's lease."""
        self.elsewhere: Callable[[str], bool] | None = None
        """Whether another process delivers for an app, and is to be told what is accepted for it."""
        self._work = threading.Condition(threading.Lock())
        self._queue: deque[_Item] = deque()
        self._group: list[_Item] = []
        self._attempts_queued = self._calls_queued = 0
        self._committing = self._closing = self._giving_up = False
        self._broken: LedgerError | None = None
        self._groups = self._rows = self._refused = 0
        self._failing: tuple[float, str] | None = None
        self._writing: float | None = None
        self._thread = threading.Thread(target=self._run, name="ledger-writer", daemon=True)
        self._thread.start()

    @property
    def last_id(self) -> int:
        """The highest id that was given; to be read in a job."""
        return self._next_id - 1

    def accept(
        self,
        new: Sequence[NewRow],
        call: NewCall | None = None,
        along: Callable[[Connection], None] | None = None,
    ) -> list[int]:
        """Return the ids of new deliveries once they, their call and what is written along are on disk: all, or nothing."""
        return cast("list[int]", self._wait_for(_Call(new, call, along=along)))

    def run(self, job: Callable[[Connection], T]) -> T:
        """Return what a job returns, once everything before it and what it wrote are on disk."""
        return cast("T", self._wait_for(_Call(job=job)))

    def room(self) -> int:
        """Return how many attempts can be queued now."""
        return 0 if self._broken is not None or self._closing else max(0, self._queued_rows - self._attempts_queued)

    def record(self, done: Sequence[DoneRow]) -> int:
        """Queue attempts as far as there is room; return how many, from the first on. Never waits."""
        with self._work:
            if self._broken is not None or self._closing:
                return 0
            taken = done[: max(0, self._queued_rows - self._attempts_queued)]
            before = len(self._queue)
            self._queue.extend(taken)
            self._attempts_queued += len(taken)
            if taken and (not before or before < self._group_rows <= len(self._queue)):
                self._work.notify()
            return len(taken)

    @property
    def alive(self) -> bool:
        """Whether the thread that writes is there, or has said why it is not."""
        return self._thread.is_alive() or self._broken is not None

    def unwritten(self) -> dict[int, DoneRow]:
        """Return the last attempts that are not on disk yet, by delivery."""
        with self._work:
            items = [*self._group, *self._queue]
        return {item[0]: item for item in items if isinstance(item, tuple)}

    def health(self) -> Health:
        """Return how the writing goes."""
        with self._work:
            since, error = self._trouble() or (None, None)
            return Health(
                queued=sum(_size(item) for items in (self._group, self._queue) for item in items),
                groups=self._groups,
                rows=self._rows,
                refused=self._refused,
                failing_seconds=None if since is None else time.monotonic() - since,
                error=error or (str(self._broken) if self._broken else None),
            )

    def check(self) -> None:
        """Raise LedgerUnavailable if what is handed in now could not be written soon. Never waits."""
        self._database.check(writing=True)
        if (trouble := self._trouble()) is not None:
            raise LedgerUnavailable(self._database.where, f"takes nothing: {trouble[1]}", "it is tried again by itself")

    def close(self) -> None:
        """Write what is queued and stop; LedgerUnavailable, with their number, if attempts remain unwritten."""
        with self._work:
            if self._closing:
                return
            self._closing = True
            self._work.notify_all()
        self._thread.join(self._patience)
        with self._work:
            self._giving_up = True
            self._work.notify_all()
        self._thread.join(self._patience)
        left = len(self.unwritten())
        if left:
            raise LedgerUnavailable(
                self._database.where,
                f"did not take the last attempts of {left} deliveries within {self._patience:g} s: {self._last_error()}",
                "those that were due are sent again after the next start",
            )

    def _wait_for(self, call: _Call) -> Any:
        self._check_open()
        self._database.check(writing=True)  # waiting would not bring a file back
        patience = self._patience
        if (trouble := self._trouble()) is not None:
            # Others have waited for it already: not everybody has to find out anew.
            patience = trouble[0] + patience - time.monotonic()
            if patience <= 0:
                fact = f"takes nothing: {trouble[1]}; the change is not stored"
                raise LedgerUnavailable(self._database.where, fact, "try again when it is back")
        with self._work:
            self._check_open()
            self._queue.append(call)
            self._calls_queued += 1
            self._work.notify()
        if not call.done.wait(patience):
            with self._work:
                if not call.done.is_set():
                    call.withdrawn = True
                    maybe = call.uncertain or (self._committing and call in self._group)
                    raise self._too_late("a change", stored=None if maybe else False, ids=call.ids)
        if call.error is not None:
            raise call.error
        return call.result

    def _check_open(self) -> None:
        if self._broken is not None:
            raise self._broken
        if self._closing:
            raise LedgerClosed(self._database.where, "is closed", "open it again")

    def _too_late(self, what: str, *, stored: bool | None, ids: Sequence[int] = ()) -> LedgerUnavailable:
        known = "it is not stored" if stored is False else "it may be stored (repeat it with its idempotency key)"
        error = LedgerUnavailable(
            self._database.where,
            f"did not take {what} within {self._patience:g} s: {self._last_error()}; {known}",
            "see to the database and try again",
            stored=stored,
        )
        error.ids = tuple(ids) if stored is None else ()
        return error

    def _last_error(self) -> str:
        trouble = self._trouble()
        return trouble[1] if trouble else "it is slow"

    def _trouble(self) -> tuple[float, str] | None:
        """Return since when of the monotonic clock nothing is written, and why; None if all is well."""
        if self._failing is None and (began := self._writing) is not None and time.monotonic() - began > STUCK_SECONDS:
            return began, "it does not answer"
        return self._failing

    # What follows runs in the writer's thread.

    def _run(self) -> None:
        while (group := self._next_group()) and self._write(group):
            pass
        with self._work:
            for item in (*self._group, *self._queue):
                if isinstance(item, _Call):
                    stored = None if item.uncertain else False
                    item.error = self._broken or self._too_late("a change", stored=stored, ids=item.ids)
                    item.done.set()
        self._drop_connection()

    def _next_group(self) -> list[_Item]:
        """Move the next group off the queue; an empty one when the ledger is closed and all is written."""
        with self._work:
            self._work.wait_for(lambda: self._queue or self._closing)
            self._work.wait_for(
                lambda: self._calls_queued or self._closing or len(self._queue) >= self._group_rows,
                self._group_seconds,
            )
            if not self._calls_queued:
                count = min(len(self._queue), self._group_rows)
                self._group = [self._queue.popleft() for _ in range(count)]
                self._attempts_queued -= count
                return self._group
            size = 0
            while self._queue and size < self._group_rows:
                item = self._queue[0]
                if _is_job(item) and self._group:
                    break
                self._group.append(self._queue.popleft())
                if isinstance(item, _Call):
                    self._calls_queued -= 1
                else:
                    self._attempts_queued -= 1
                size += _size(item)
                if _is_job(item):
                    break
            return self._group

    def _write(self, group: list[_Item], *, again: bool = False) -> bool:
        """Write a group, however often it takes; return False when that is given up."""
        pause = FIRST_PAUSE
        while True:
            with self._work:
                group = [item for item in group if isinstance(item, tuple) or not item.withdrawn]
                self._group = [item for item in self._group if isinstance(item, tuple) or not item.withdrawn]
                # While it fails, a try without anybody's rows tells when it works again.
                if not group and self._failing is None:
                    return True
            self._writing = time.monotonic()
            try:
                self._execute(group, again=again)
            except Exception as error:  # noqa: BLE001 - whatever it is, what was handed in is not lost
                with self._work:
                    for item in group:
                        if isinstance(item, _Call):
                            item.uncertain |= self._committing and not surely_undone(error)
                    self._committing = False
                if isinstance(error, _Withdrawn):
                    continue
                if isinstance(error, _TakenOver):
                    self._broken = error
                    return False
                if group and _is_job(group[0]) and not is_databases(error):
                    self._finished(group, error)
                    return True
                if not rows_at_fault(error):
                    if isinstance(error, LedgerUnavailable):
                        self._turn_away(group, error)
                    self._drop_connection()
                    if not self._pause(error, pause):
                        return False
                    pause = min(2 * pause, LONGEST_PAUSE)
                elif again:
                    return self._one_by_one(group, error)
                again = True
            else:
                self._finished(group)
                return True
            finally:
                self._writing = None

    def _turn_away(self, group: list[_Item], error: LedgerError) -> None:
        """Tell those who wait that waiting is of no use; whether they are stored is known."""
        with self._work:
            for item in group:
                if isinstance(item, _Call) and not item.uncertain:
                    item.error, item.withdrawn = error, True
                    item.done.set()

    def _pause(self, error: Exception, seconds: float) -> bool:
        """Wait before the next try; return False if there is to be none."""
        with self._work:
            if self._failing is None:
                log.warning("the ledger %s fails, and is tried again: %s", self._database.where, reason(error))
            since = self._failing[0] if self._failing else self._writing or time.monotonic()
            self._failing = (since, told(error))
            self._writing = None
            return not self._work.wait_for(lambda: self._giving_up, seconds)

    def _one_by_one(self, group: list[_Item], error: Exception) -> bool:
        """Write the items of a group apart, so that the one that the database refuses harms no other."""
        if len(group) > 1:
            return all(self._write([item], again=True) for item in group)
        if isinstance(group[0], tuple):
            row, bare = group[0], without_words(group[0])
            if row != bare:
                return self._write([self._replaced(row, bare)], again=True)
            log.error(
                "the ledger %s refuses an attempt of delivery %d, which is not on record: %s",
                self._database.where,
                row[0],
                reason(error),
            )
            self._refused += 1
        self._finished(group, error)
        return True

    def _replaced(self, row: DoneRow, other: DoneRow) -> DoneRow:
        """Put a row into the place of another."""
        with self._work:
            self._group = [other if item is row else item for item in self._group]
        return other

    def _execute(self, group: list[_Item], *, again: bool) -> None:
        connection = self._connected()
        calls = [item for item in group if isinstance(item, _Call) and item.job is None]
        ids = self._draw(connection, sum(call.ids.count(0) for call in calls))
        with transaction(connection):
            if not group:
                connection.execute(_TRY, {"key": LAST_ID, "value": str(self.last_id)})
            elif isinstance(group[0], _Call) and group[0].job is not None:
                group[0].result = group[0].job(connection)
            else:
                new = self._new_rows(connection, calls, ids) if calls else []
                done = [item for item in group if isinstance(item, tuple)]
                rows.write(connection, new, done, again=again, holder=self.holder)
                if self.elsewhere is not None and self.holder is not None and new:
                    tell(connection, self.holder, ACCEPTED, sorted(filter(self.elsewhere, {row[1] for row in new})))
                if keyed := [(*each.call, each.result[0], each.result[-1]) for each in calls if each.call]:
                    rows.write_calls(connection, keyed)
                for each in calls:
                    if each.along is not None:
                        each.along(connection)
            self._database.check(writing=True)
            with self._work:
                if any(isinstance(item, _Call) and item.withdrawn for item in group):
                    raise _Withdrawn
                self._committing = True

    def _draw(self, connection: Connection, count: int) -> Iterator[int]:
        """Return ids for so many deliveries at most. Of a file those that are not used are given later."""
        if self._database.sqlite:
            return self._own_ids()
        first = self._database.draw_ids(connection, count) if count else 0
        self._next_id = max(self._next_id, first + count)
        return iter(range(first, first + count))

    def _own_ids(self) -> Iterator[int]:
        while True:
            self._next_id += 1
            yield self._next_id - 1

    def _new_rows(self, connection: Connection, calls: Sequence[_Call], ids: Iterator[int]) -> list[rows.DeliveryRow]:
        """Give ids to new deliveries, and put them in the calls' results; return the rows to write."""
        keys: dict[str, list[str]] = {}
        for call in calls:
            for row in call.rows:
                if row[4] is not None:
                    keys.setdefault(row[0], []).append(row[4])
        known = rows.known_keys(connection, keys) if keys else {}
        now, new = self._clock(), list[rows.DeliveryRow]()
        for call in calls:
            call.result = []
            for index, (app, event_type, payload, due_at, key, plan) in enumerate(call.rows):
                if key is not None and (first := known.get((app, key))) is not None:
                    call.result.append(first)
                    continue
                if not (row_id := call.ids[index]):
                    row_id = call.ids[index] = next(ids)
                if key is not None:
                    known[app, key] = row_id
                call.result.append(row_id)
                new.append((row_id, app, event_type, payload, WAITING, due_at, now, key, plan))
        return new

    def _finished(self, group: list[_Item], error: Exception | None = None) -> None:
        with self._work:
            self._committing = False
            if len(group) == len(self._group):
                self._group = []
            else:
                written = {id(item) for item in group}
                self._group = [item for item in self._group if id(item) not in written]
            if error is None and (size := sum(map(_size, group))):
                self._groups += 1
                self._rows += size
            if self._failing is not None:
                log.warning("the ledger %s works again", self._database.where)
                self._failing = None
        for item in group:
            if isinstance(item, _Call):
                item.error = error
                item.done.set()

    def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = self._database.writer()
            # A PostgreSQL database is shared.
            if self._database.sqlite and (highest := highest_id(self._connection)) >= self._next_id:
                raise _TakenOver(
                    self._database.where,
                    f"was written to by another process while it was out of reach (delivery {highest})",
                    "stop one of the two processes and start this one again",
                )
        return self._connection

    def _drop_connection(self) -> None:
        if self._connection is not None:
            with suppress(Exception):
                self._connection.invalidate()
            with suppress(Exception):
                self._connection.close()
            self._connection = None


class _Withdrawn(Exception):
    """A caller gave up while its rows were on their way; the group is written without them."""


class _TakenOver(LedgerInUse):
    """Nothing can be written any more."""


def _is_job(item: _Item) -> bool:
    return isinstance(item, _Call) and item.job is not None


def _size(item: _Item) -> int:
    """Return how many rows an item counts for."""
    return len(item.rows) if isinstance(item, _Call) else 1


def settle_ids(connection: Connection) -> None:
    """Let the ids that several processes draw go on behind the highest that is or was in a PostgreSQL ledger."""
    if connection.dialect.name == "postgresql":
        highest = highest_id(connection)
        settle = "SELECT setval('delivery_ids', %s) WHERE %s >= (SELECT last_value FROM delivery_ids)"
        connection.exec_driver_sql(settle, (highest, highest))


def highest_id(connection: Connection) -> int:
    """Return the highest delivery id that is or was in the ledger."""
    highest = connection.execute(select(func.max(models.delivery.c.id))).scalar() or 0
    kept = connection.execute(select(models.setting.c.value).where(models.setting.c.key == LAST_ID)).scalar()
    return max(highest, int(kept or 0))
