"""The leases of a PostgreSQL ledger: which of its processes delivers for an app, and until when.

Who has an app's lease, and has renewed it in time, is the only one that sends for the app; so what it keeps in memory of
the app's order, its limits and what is in flight holds as in a single process. A process that is killed renews nothing,
and the others take its leases when they have ended. All times are of the database's clock, in milliseconds, but for
the one by which a holder stops: that is counted by its own steady clock, from before it asked.
"""

from __future__ import annotations

import json
import os
import selectors
import socket
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from im_callback.provider_mock.delivery.clock import steady
from im_callback.provider_mock.delivery.ledger.database import Database, transaction
from im_callback.provider_mock.delivery.ledger.records import Failing
from im_callback.provider_mock.delivery.ledger.told import LEASE, listen, tell, told
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

LEASE_SECONDS = 5.0
"""How long a lease holds after it was renewed."""
MARGIN_SECONDS = 0.5
"""So much earlier its holder sends nothing more."""
BEAT_SECONDS = 1.0
"""Between two renewals."""
WANTED_SECONDS = 20.0
"""How long a lease is kept for the one that is to have it next: longer than any request is under way."""
FORGOTTEN_SECONDS = 3600.0
"""After which a process that was not seen is not listed any more."""
CLOCK_KEY = "server.clock"
"""The setting that says how the clock of all processes goes."""

_SAMPLES = 4
"""Times that the clock is asked for in a beat; the quickest answer counts."""
_NOW = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"


@dataclass(frozen=True, slots=True)
class Process:
    """A process that shares the ledger: `apps` are those that it can deliver for. `alive`: it was seen just now."""

    id: str
    name: str
    started_at: int
    seen_at: int
    apps: frozenset[str]
    alive: bool


@dataclass(frozen=True, slots=True)
class Beat:
    """What a process knows after it has renewed its leases.

    `now` is the database's time at the moment `moment` of the steady clock, give or take `unsure` seconds. `until` is the moment of the steady clock up to
    which it may send. `held` are its leases, `taken` those of them that are new, `wanted` those that it is to give to
    another. `holders` are those of all leases that hold.
    """

    now: float
    moment: float
    unsure: float
    until: float
    held: Mapping[str, Failing]
    taken: frozenset[str]
    wanted: frozenset[str]
    holders: Mapping[str, str]
    off: Mapping[str, int]
    """Apps that are switched off, and since when."""
    processes: Sequence[Process]
    clock: str | None


class Leases:
    """The leases as one process sees them, through a connection of its own. All but `poke` belong to one thread.

    Raises LedgerUnavailable; then the connection is closed, and the next call opens another.
    """

    def __init__(self, database: Database, process: str, name: str) -> None:
        self._database, self.process, self._name = database, process, name
        self._connection: Connection | None = None
        self._told: deque[str] = deque()
        self._woken, self._wake = socket.socketpair()
        for end in (self._woken, self._wake):
            end.setblocking(False)

    def poke(self) -> None:
        """Let `wait` return."""
        with suppress(BlockingIOError, OSError):
            self._wake.send(b".")

    def wait(self, seconds: float) -> list[tuple[str, str]]:
        """Return what others have told, with the app, as soon as there is any, or after so many seconds nothing."""
        connection = self._connection
        if not self._told:
            with selectors.DefaultSelector() as selector:
                selector.register(self._woken, selectors.EVENT_READ)
                if connection is not None:
                    selector.register(_driver(connection).fileno(), selectors.EVENT_READ)
                ready = [key.fileobj for key, _ in selector.select(seconds)]
            if self._woken in ready:
                with suppress(BlockingIOError):
                    self._woken.recv(4096)
            if connection is not None and ready and ready != [self._woken]:
                # The driver reads what was told while it reads an answer.
                self._do(lambda one: one.exec_driver_sql("SELECT 1"))
        found = [told(payload) for payload in self._told]
        self._told.clear()
        return [(what, app) for process, what, app in found if process != self.process]

    @property
    def connected(self) -> bool:
        """Whether it has been told everything since the last call."""
        return self._connection is not None

    def beat(self, ready: Collection[str], choose: Choose) -> Beat:
        """Renew the leases, and take those of free ones that `choose` names; `ready` are the apps it can deliver for.

        `choose` is called with what is held, what is free and since when it is, and the processes.
        """
        beat: Beat = self._do(lambda connection: self._beat(connection, sorted(ready), choose))
        return beat

    def hand_over(self, apps: Mapping[str, str]) -> None:
        """Keep some of its leases for other processes, by id: they get them as soon as they are released."""

        def hand(connection: Connection) -> None:
            want = f"""UPDATE lane SET wanted_by = %s, wanted_until = {_NOW} + {_millis(WANTED_SECONDS)}
                WHERE app = %s AND holder = %s"""  # noqa: S608
            for app, process in sorted(apps.items()):
                connection.exec_driver_sql(want, (process, app, self.process))
            tell(connection, self.process, LEASE)

        self._do(hand)

    def release(self, apps: Sequence[str]) -> None:
        """Give leases back."""

        def free(connection: Connection) -> None:
            connection.exec_driver_sql(
                "UPDATE lane SET holder = NULL, until = 0 WHERE app = ANY (%s::text[]) AND holder = %s",
                (list(apps), self.process),
            )
            tell(connection, self.process, LEASE)

        self._do(free)

    def leave(self) -> None:
        """Give everything back: the process ends."""

        def leave(connection: Connection) -> None:
            connection.exec_driver_sql("UPDATE lane SET holder = NULL, until = 0 WHERE holder = %s", (self.process,))
            connection.exec_driver_sql("DELETE FROM process WHERE id = %s", (self.process,))
            tell(connection, self.process, LEASE)

        self._do(leave)

    def close(self) -> None:
        """Close the connection; whatever is held ends by itself."""
        self._drop()
        self._woken.close()
        self._wake.close()

    def _beat(self, connection: Connection, ready: list[str], choose: Choose) -> Beat:
        asked = steady()
        me, apps = self.process, json.dumps(ready)
        connection.exec_driver_sql(
            f"""INSERT INTO process (id, name, started_at, seen_at, apps) VALUES (%s, %s, {_NOW}, {_NOW}, %s)
                ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at, apps = excluded.apps""",  # noqa: S608
            (me, self._name, apps),
        )
        # Behind each other's backs two processes add the same apps: in one order nobody waits for the other.
        connection.exec_driver_sql("INSERT INTO lane (app) SELECT unnest(%s::text[]) ON CONFLICT DO NOTHING", (ready,))
        renewed = connection.exec_driver_sql(
            f"""UPDATE lane SET until = {_NOW} + {_millis(LEASE_SECONDS)} WHERE holder = %s
                RETURNING app, failing_since, switched_off_at, wanted_by IS NOT NULL AND wanted_by <> %s
                    AND wanted_until >= {_NOW}""",  # noqa: S608
            (me, me),
        ).all()
        processes = self._processes(connection)
        free = connection.exec_driver_sql(
            f"""SELECT app, until, {_NOW}, coalesce(wanted_by = %s AND wanted_until >= {_NOW}, false) FROM lane
                WHERE app = ANY (%s::text[]) AND (holder IS NULL OR until < {_NOW})
                    AND (wanted_by IS NULL OR wanted_by = %s OR wanted_until < {_NOW})
                ORDER BY app FOR UPDATE SKIP LOCKED""",  # noqa: S608
            (me, ready, me),
        ).all()
        held = {row[0]: Failing(row[1], row[2]) for row in renewed}
        chosen = choose(held, {row[0]: None if row[3] else row[2] - row[1] for row in free}, processes)
        taken = connection.exec_driver_sql(
            f"""UPDATE lane SET holder = %s, until = {_NOW} + {_millis(LEASE_SECONDS)}, wanted_by = NULL
                WHERE app = ANY (%s::text[]) RETURNING app, failing_since, switched_off_at""",  # noqa: S608
            (me, list(chosen)),
        ).all()
        held |= {row[0]: Failing(row[1], row[2]) for row in taken}
        lanes = connection.exec_driver_sql(
            f"SELECT app, CASE WHEN until >= {_NOW} THEN holder END, switched_off_at, {_NOW} FROM lane"  # noqa: S608
        ).all()
        clock = connection.exec_driver_sql("SELECT value FROM setting WHERE key = %s", (CLOCK_KEY,)).scalar()
        unsure, moment, now = min(_asked(connection) for _ in range(_SAMPLES))
        return Beat(
            now=now,
            moment=moment,
            unsure=unsure,
            until=asked + LEASE_SECONDS - MARGIN_SECONDS,
            held=held,
            taken=frozenset(row[0] for row in taken),
            wanted=frozenset(row[0] for row in renewed if row[3]),
            holders={row[0]: row[1] for row in lanes if row[1] is not None},
            off={row[0]: row[2] for row in lanes if row[2] is not None},
            processes=processes,
            clock=clock,
        )

    def _processes(self, connection: Connection) -> list[Process]:
        connection.exec_driver_sql(
            f"DELETE FROM process WHERE seen_at < {_NOW} - {_millis(FORGOTTEN_SECONDS)}"  # noqa: S608
        )
        rows = connection.exec_driver_sql(
            f"""SELECT id, name, started_at, seen_at, apps, seen_at >= {_NOW} - {_millis(LEASE_SECONDS)}
                FROM process ORDER BY started_at, id"""  # noqa: S608
        )
        return [
            Process(one, name, started_at, seen_at, frozenset(json.loads(apps)), alive)
            for one, name, started_at, seen_at, apps, alive in rows
        ]

    def _do(self, work: Callable[[Connection], Any]) -> Any:
        try:
            if self._connection is None:
                self._connection = self._connect()
            with transaction(self._connection):
                return work(self._connection)
        except BaseException as error:
            self._drop()
            if isinstance(error, DBAPIError):
                raise self._database.unavailable(error) from error
            raise

    def _connect(self) -> Connection:
        connection = self._database.session()
        try:
            listen(connection)
            _driver(connection).add_notify_handler(lambda one: self._told.append(one.payload))
        except BaseException:
            connection.invalidate()
            connection.close()
            raise
        return connection

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                connection.invalidate()
            with suppress(Exception):
                connection.close()


def want(connection: Connection, app: str, process: str) -> None:
    """Have an app's lease given to a process as soon as what is under way has landed."""
    connection.exec_driver_sql(
        f"UPDATE lane SET wanted_by = %s, wanted_until = {_NOW} + {_millis(WANTED_SECONDS)} WHERE app = %s",  # noqa: S608
        (process, app),
    )
    tell(connection, process, LEASE)


Choose = Callable[[Mapping[str, Failing], Mapping[str, "int | None"], Sequence[Process]], Collection[str]]


def own_name() -> str:
    """Return what a process is called where its leases are shown: its machine and its number there."""
    return f"{socket.gethostname()}:{os.getpid()}"


def _asked(connection: Connection) -> tuple[float, float, float]:
    """Return how unsure it is at which moment of the steady clock the database's clock showed which time; and both."""
    before = steady()
    now = connection.exec_driver_sql("SELECT extract(epoch FROM clock_timestamp()) * 1000").scalar_one()
    after = steady()
    return (after - before) / 2, (before + after) / 2, float(now)


def _driver(connection: Connection) -> Any:
    return connection.connection.driver_connection


def _millis(seconds: float) -> int:
    return round(seconds * 1000)
