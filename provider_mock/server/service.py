"""The service behind the HTTP API: it accepts deliveries, has them delivered and knows what became of them.

No web framework here. Four parts have a place of their own, and are reached through the service:
`apps` (registry.py), `intake` (accepts events, intake.py), `runs` (traffic runs, runs.py) and
`metrics` (metrics.py). All methods can be called from any thread.

Errors are those of `provider_mock.server.errors`. Whatever touches the database may also raise
`provider_mock.delivery.ledger.LedgerError`: LedgerUnavailable (its `stored` says whether the change
may have been made all the same), and LedgerClosed while the server stops.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import isfinite
from pathlib import Path
from random import SystemRandom
from typing import TYPE_CHECKING, cast

from provider_mock.delivery import faults as catalogue
from provider_mock.delivery.clock import RealClock, utc_millis
from provider_mock.delivery.engine import App, Engine, Lane
from provider_mock.delivery.fault import attributes
from provider_mock.delivery.ledger import (
    AttemptRecord,
    DeliveryRecord,
    Done,
    Ledger,
    LedgerError,
    Query,
    Waiting,
)
from provider_mock.server import calls
from provider_mock.server.errors import Invalid, NotFound
from provider_mock.server.intake import Intake
from provider_mock.server.metrics import Metrics, Sources, Tally
from provider_mock.server.models import (
    MOST_EVENTS,
    AppSettings,
    ClockView,
    FaultAttribute,
    FaultKind,
    Readiness,
)
from provider_mock.server.registry import Registry
from provider_mock.server.reported import Reported
from provider_mock.server.runs import Runs
from provider_mock.server.secrets import SecretStore

if TYPE_CHECKING:
    from typing_extensions import Self

log = logging.getLogger("provider_mock.server")

FASTEST_CLOCK = 1_000_000.0
FURTHEST = 10 * 365 * 86400.0
"""Seconds that the clock can be moved at once."""
COUNTED_SECONDS = 5.0
"""How long counts are good for: counting takes a tenth of a second with a million deliveries."""
UPKEEP_SECONDS = 5.0
PRUNE_SECONDS = 3600.0
AGAIN_SECONDS = 1.0
"""Until the engine is started again after an error that ended it."""
_AHEAD = "server.clock_ahead_millis"
"""The setting that keeps how far the clock is ahead of the time of day."""
_CLOCK_LOST = "the clock's time was not kept"
_DAY = 86_400_000


class Service:
    """Owns the ledger, the engine in its thread, the apps, the traffic runs and the upkeep.

    `database` is the ledger's URL or a path. `configured` are the apps of a configuration file, by
    name and without problems. `secrets` is the folder where secrets that are given literally are
    kept, readable for this user alone; None: such secrets are refused. `keep_days`: acked and
    dropped deliveries are deleted when they are older; None: never. Raises LedgerError as `Ledger` does.
    """

    def __init__(
        self,
        database: str,
        *,
        configured: Mapping[str, AppSettings] | None = None,
        secrets: Path | None = None,
        scale: float = 1.0,
        keep_days: float | None = None,
        seed: int | None = None,
    ) -> None:
        self._clock = RealClock(scale)
        self._keep_days = keep_days
        self._closing = threading.Event()
        self._counted: tuple[float, dict[str, dict[str, int]]] = (0.0, {})
        self._counting = threading.Lock()
        self._tally = Tally()
        self._reported = Reported()
        self._ledger = Ledger(database, clock=self._clock.now)
        try:
            self._catch_up()
            self._seed = SystemRandom().randrange(2**32) if seed is None else seed
            self._ready_apps: dict[str, App] = {}
            self._engine_lock = threading.Lock()
            self._engine = self._new_engine()
            self._engine_failed: str | None = None
            self.apps = Registry(
                self._ledger,
                SecretStore(secrets),
                configured or {},
                changed=self._put,
                gone=self._remove,
                lanes=self._lanes,
            )
            self.intake = Intake(self._ledger, self._clock, self.apps, self._wake)
            self.runs = Runs(self.apps, self.intake, self._clock)
            sources = Sources(
                self.apps.names,
                self.intake.totals,
                self.counts,
                self._lanes,
                self._ledger.health,
                lambda: self.readiness().ready,
            )
            self.metrics = Metrics(self._tally, sources)
            self._warn_of_strangers()
        except BaseException:
            self._ledger.close()
            raise
        self._threads = [
            threading.Thread(target=target, name=name, daemon=True)
            for target, name in ((self._deliver, "engine"), (self._keep_house, "upkeep"))
        ]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop runs and upkeep, let what is in flight land and be recorded, close the ledger; a second call does nothing.

        Raises LedgerUnavailable if the last attempts could not be recorded.
        """
        self.runs.close()
        if self._closing.is_set():
            return
        self._closing.set()
        with self._engine_lock:
            self._engine.stop()
        for thread in self._threads:
            thread.join()
        self._housework(_CLOCK_LOST, self._save_clock)
        self._ledger.close()

    # Deliveries

    def deliveries(
        self, query: Query | None = None, *, cursor: int | None = None, limit: int = 100
    ) -> list[DeliveryRecord]:
        """Return deliveries, newest first; the id of the last one is the cursor of the next page.

        An `idempotency_key` needs an `app` beside it, and finds all deliveries of the call; Invalid without.
        """
        if query is None or query.idempotency_key is None:
            return _as_given(self._ledger.deliveries(query, cursor, limit))
        if query.app is None:
            raise Invalid.of("idempotency_key", "is given without an app", "give app too: keys belong to apps")
        matching = [
            one
            for one in reversed(calls.find(self._ledger, query.app, query.idempotency_key, MOST_EVENTS))
            if _matches(one, query) and (cursor is None or one.id < cursor)
        ]
        return _as_given(matching[:limit])

    def delivery(self, delivery_id: int) -> DeliveryRecord:
        """Return a delivery; NotFound."""
        record = self._ledger.delivery(delivery_id)
        if record is None:
            raise NotFound.of("delivery", f"there is no delivery {delivery_id}", "see the list of deliveries")
        return _as_given([record])[0]

    def attempts(self, delivery_id: int, *, after: int = 0, limit: int = 100) -> list[AttemptRecord]:
        """Return a delivery's attempts in turn, those with a higher number than `after`; NotFound."""
        self.delivery(delivery_id)
        return self._ledger.attempts(delivery_id, after, limit)

    def redeliver(self, which: Sequence[int] | Query) -> int:
        """Make deliveries due now, whatever their state; return how many there were of these ids or this query."""
        if isinstance(which, Query) and which.idempotency_key is not None:
            which = [one.id for one in self.deliveries(which, limit=MOST_EVENTS)]
        count = self._ledger.redeliver(which)
        self._sent_again(self.apps.names())
        return count

    def backlog(self, app: str, *, cursor: tuple[int, int] | None = None, limit: int = 100) -> list[DeliveryRecord]:
        """Return an app's parked deliveries, the longest waiting first; due_at and id of the last are the cursor.

        NotFound if there is no such app.
        """
        self.apps.entry(app)
        return _as_given(self._ledger.parked(app, cursor, limit))

    def release(self, app: str, limit: int | None = None) -> int:
        """Make parked deliveries due now, the longest waiting first; return how many. NotFound.

        This is the provider's manual synchronisation.
        """
        self.apps.entry(app)
        count = self._ledger.release(app, limit)
        self._sent_again([app])
        return count

    def counts(self) -> dict[str, dict[str, int]]:
        """Return how many deliveries there are by app and state, as of some seconds ago at most."""
        with self._counting:
            until, counts = self._counted
            if time.monotonic() >= until:
                counts = self._ledger.counts_by_app()
                self._counted = (time.monotonic() + COUNTED_SECONDS, counts)
            return counts

    def faults(self) -> list[FaultKind]:
        """Return the catalogue of faults, by name."""
        return [
            FaultKind(
                name,
                catalogue.sentence(kind),
                tuple(
                    FaultAttribute(
                        catalogue.typed(one),
                        cast("bool | int | float | str", one.default),
                        one.metadata.get("meaning", ""),
                        tuple(one.metadata.get("choices") or ()),
                    )
                    for one in attributes(kind)
                ),
            )
            for name, kind in catalogue.load().items()
        ]

    # The clock

    def clock(self) -> ClockView:
        """Return the clock that decides what is due."""
        return ClockView(self._clock.now(), utc_millis(), self._clock.scale)

    def set_scale(self, scale: float) -> ClockView:
        """Let the clock run `scale` times as fast as the time of day; Invalid unless 0 < scale <= 1,000,000."""
        if not (isfinite(scale) and 0 < scale <= FASTEST_CLOCK):
            raise Invalid.of("/scale", f"{scale} is not possible", f"give more than 0, up to {FASTEST_CLOCK:.0f}")
        self._clock.set_scale(scale)
        self._moved()
        return self.clock()

    def advance(self, seconds: float) -> ClockView:
        """Move the clock forward, and deliver what becomes due by that; Invalid unless 0 < seconds <= ten years."""
        if not (isfinite(seconds) and 0 < seconds <= FURTHEST):
            raise Invalid.of("/seconds", f"{seconds} is not possible", f"give more than 0, up to {FURTHEST:.0f}")
        self._clock.advance(seconds)
        self._moved()
        return self.clock()

    # How it goes

    def readiness(self) -> Readiness:
        """Return whether the ledger takes writes and the engine runs. Does not touch the database."""
        reasons = []
        health = self._ledger.health()
        if health.failing_seconds is not None:
            reasons.append(f"the ledger has failed for {health.failing_seconds:.0f} s: {health.error}")
        elif health.error is not None:
            reasons.append(health.error)
        if self._closing.is_set():
            reasons.append("the server is stopping")
        elif self._engine_failed is not None:
            reasons.append(f"nothing is delivered: {self._engine_failed}")
        elif not self._threads[0].is_alive():
            reasons.append("nothing is delivered: the engine has ended")
        return Readiness(not reasons, tuple(reasons))

    # The engine

    def _new_engine(self) -> Engine:
        return Engine(
            self._ledger,
            self._clock,
            apps=tuple(self._ready_apps.values()),
            seed=self._seed,
            on_attempt=self._attempted,
        )

    def _attempted(self, app: App, waiting: Waiting, done: Done) -> None:
        self._tally.count(app, waiting, done)
        self.runs.landed(waiting, done)
        self._reported.attempt(waiting, done)

    def _put(self, app: App) -> None:
        with self._engine_lock:
            self._ready_apps[app.name] = app
            self._engine.put(app)
            self._engine.wake()

    def _remove(self, name: str) -> None:
        with self._engine_lock:
            if self._ready_apps.pop(name, None) is not None:
                self._engine.remove(name)

    def _lanes(self) -> dict[str, Lane]:
        with self._engine_lock:
            return dict(self._engine.lanes())

    def _wake(self) -> None:
        with self._engine_lock:
            self._engine.wake()

    def _sent_again(self, names: Sequence[str]) -> None:
        with self._engine_lock:
            for name in names:
                if name in self._ready_apps:
                    self._engine.recount(name)
            self._engine.wake()

    def _deliver(self) -> None:
        """Run the engine; after an error that ends it, such as a database that does not answer, start a new one."""
        while not self._closing.is_set():
            try:
                self._engine.run()
            except Exception as error:  # whatever it is, what was accepted is still to be delivered
                self._engine_failed = str(error) if isinstance(error, LedgerError) else type(error).__name__
                log.exception("the engine has ended, and is started again", extra={"event": "engine-failed"})
                self._closing.wait(AGAIN_SECONDS)
            with self._engine_lock:
                if self._closing.is_set():
                    return
            self._restart()

    def _restart(self) -> None:
        try:
            with self._engine_lock:
                self._engine = self._new_engine()
                if self._closing.is_set():
                    self._engine.stop()
        except LedgerError as error:
            log.warning("the engine cannot start: %s", error, extra={"event": "engine-failed"})
            self._closing.wait(AGAIN_SECONDS)
        else:
            self._engine_failed = None

    # Upkeep

    def _keep_house(self) -> None:
        """Delete what is old, and keep the clock's time, now and then."""
        prune_at = 0.0
        while True:
            if self._keep_days is not None and time.monotonic() >= prune_at:
                prune_at = time.monotonic() + PRUNE_SECONDS
                self._housework("old deliveries were not deleted", self._prune)
            if self._clock.scale != 1.0:
                self._housework(_CLOCK_LOST, self._save_clock)
            if self._closing.wait(UPKEEP_SECONDS):
                return

    def _housework(self, failed: str, work: Callable[[], None]) -> None:
        try:
            work()
        except LedgerError as error:
            log.warning("%s: %s", failed, error, extra={"event": "upkeep-failed"})

    def _prune(self) -> None:
        assert self._keep_days is not None
        count = self._ledger.prune(self._clock.now() - round(self._keep_days * _DAY))
        if count:
            log.info("old deliveries were deleted", extra={"event": "pruned", "fields": {"deliveries": count}})

    def _catch_up(self) -> None:
        """Move the clock to where it was ahead of the time of day when the server stopped: what waits is due by it."""
        ahead = int(json.loads(self._ledger.setting(_AHEAD) or "0"))
        if ahead > 0:
            self._clock.advance(ahead / 1000)

    def _save_clock(self) -> None:
        ahead = max(0, self._clock.now() - utc_millis())
        if str(ahead) != self._ledger.setting(_AHEAD):
            self._ledger.put_setting(_AHEAD, str(ahead))

    def _moved(self) -> None:
        self._housework(_CLOCK_LOST, self._save_clock)
        self._wake()

    def _warn_of_strangers(self) -> None:
        for name, states in self._ledger.counts_by_app().items():
            if name not in self.apps and states["waiting"]:
                fields = {"app": name, "deliveries": states["waiting"]}
                log.warning(
                    "deliveries wait for an app that is not there; add it again, or let them be",
                    extra={"event": "app-missing", "fields": fields},
                )


def _as_given(records: Sequence[DeliveryRecord]) -> list[DeliveryRecord]:
    """Return deliveries with the key of the call in the place of their own."""
    return [replace(one, idempotency_key=calls.given(one.idempotency_key)) for one in records]


def _matches(record: DeliveryRecord, query: Query) -> bool:
    return (
        (not query.states or record.state in query.states)
        and query.event_type in (None, record.event_type)
        and query.last_outcome in (None, record.last_outcome)
        and (query.since is None or record.created_at >= query.since)
        and (query.until is None or record.created_at < query.until)
    )
