"""The service behind the HTTP API: it accepts deliveries, has them delivered and knows what became of them.

No web framework here. Seven parts have a place of their own, and are reached through the service:
`apps` (registry.py), `intake` (accepts events, intake.py), `runs` (traffic runs, runs.py), `scenarios` (scenarios.py),
`verifier` (whether deliveries came about, verifying.py), `metrics` (metrics.py) and `server_apis` (the providers' own,
server_apis.py). All methods can be called from any thread.

Errors are those of `im_callback.provider_mock.server.errors`. Whatever touches the database may also raise
`im_callback.provider_mock.delivery.ledger.LedgerError`: LedgerUnavailable (its `stored` says whether the change
may have been made all the same), and LedgerClosed while the server stops.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from math import isfinite
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, cast

from im_callback.provider_mock import providers
from im_callback.provider_mock.contract import NoReply, Reply, Request
from im_callback.provider_mock.delivery import faults as catalogue
from im_callback.provider_mock.delivery.app import App
from im_callback.provider_mock.delivery.clock import RealClock, utc_millis
from im_callback.provider_mock.delivery.fault import attributes
from im_callback.provider_mock.delivery.ledger import (
    AttemptRecord,
    DeliveryRecord,
    Done,
    Ledger,
    LedgerError,
    Query,
    Waiting,
)
from im_callback.provider_mock.delivery.ledger.leases import Process
from im_callback.provider_mock.recording.exchange import Exchange, to_line
from im_callback.provider_mock.server import exchange, idempotency
from im_callback.provider_mock.server.afterwards import switch
from im_callback.provider_mock.server.attempt_log import AttemptLog
from im_callback.provider_mock.server.counting import PATIENCE, Counted
from im_callback.provider_mock.server.delivering import Delivering
from im_callback.provider_mock.server.errors import Conflict, Invalid, NotFound
from im_callback.provider_mock.server.intake import Intake
from im_callback.provider_mock.server.metrics import AttemptCounts, Metrics, Sources
from im_callback.provider_mock.server.models import (
    AppView,
    AttemptView,
    ClockView,
    FaultAttribute,
    FaultKind,
    Readiness,
    Rules,
)
from im_callback.provider_mock.server.options import AppSettings
from im_callback.provider_mock.server.questions import Questions
from im_callback.provider_mock.server.recent import Recent
from im_callback.provider_mock.server.registry import Registry
from im_callback.provider_mock.server.runs import Runs
from im_callback.provider_mock.server.scenarios import Phase, Scenarios
from im_callback.provider_mock.server.secrets import SecretStore
from im_callback.provider_mock.server.server_apis import ServerApis
from im_callback.provider_mock.server.settings import unusable
from im_callback.provider_mock.server.verifying import Verifier

if TYPE_CHECKING:
    from typing_extensions import Self

log = logging.getLogger("im_callback.provider_mock.server")

FASTEST_CLOCK = 1_000_000.0
FURTHEST = 10 * 365 * 86400.0
"""Seconds that the clock can be moved at once."""
UPKEEP_SECONDS = 5.0
PRUNE_SECONDS = 3600.0
CLOCK_STEP = 1000
"""Milliseconds by which the time of day differs before that is kept: clocks are corrected all the time."""
TOLD_AHEAD = 60_000
"""Milliseconds by which the clock is ahead at the start before that is told."""
_AHEAD = "server.clock_ahead_millis"
"""The setting that keeps how far the clock is ahead of the time of day."""
_CLOCK_LOST = "the clock's time was not kept"
_FAILING_LOST = "it was not kept how receivers fail"
_DAY = 86_400_000


class Service:
    """Owns the ledger, the engine in its thread, the apps, the traffic runs and the upkeep.

    `database` is the ledger's URL or a path. `configured` are the apps of a configuration file, by
    name and without problems, `rules` what that allows, `scenarios` are those that it names. `secrets` is the folder where secrets that are given literally are
    kept, readable for this user alone; None: such secrets are refused. `keep_days`: acked, declined
    and dropped deliveries are deleted when they are older; None: never. Raises LedgerError as `Ledger` does.
    """

    def __init__(
        self,
        database: str,
        *,
        configured: Mapping[str, AppSettings] | None = None,
        rules: Rules | None = None,
        secrets: Path | None = None,
        scale: float = 1.0,
        keep_days: float | None = None,
        scenarios: Mapping[str, Sequence[Phase]] | None = None,
    ) -> None:
        self._clock = RealClock(scale)
        self._news: SimpleQueue[tuple[str, str] | None] = SimpleQueue()
        self._due = threading.Event()
        self._keep_days = keep_days
        self._closing = threading.Event()
        self._counts = AttemptCounts()
        self._attempt_log = AttemptLog()
        self._questions = Questions()
        self._recent = Recent(self._counts.attempts)
        self._ledger = Ledger(database, clock=self._clock.now)
        self._counted = Counted(self._ledger.counts_by_app)
        try:
            self._catch_up()
            self._delivering = Delivering(
                self._ledger, self._clock, self._attempted, lambda *news: self._news.put(news), self._due.set
            )
            self.apps = Registry(
                self._ledger,
                SecretStore(secrets, rules),
                configured or {},
                rules,
                changed=self._delivering.put,
                gone=self._delivering.remove,
                lanes=self._delivering.lanes,
                now=self._clock.now,
            )
            self.intake = Intake(self._ledger, self._clock, self.apps, self._delivering.wake)
            self.server_apis = ServerApis(
                self._ledger, self._clock, self.apps, self.intake, self._questions, self._delivering.shared
            )
            self.runs = Runs(self.apps, self.intake, self._clock, self._ended_elsewhere)
            self.scenarios = Scenarios(self.apps, self.runs, self._clock, scenarios)
            self.verifier = Verifier(self._ledger, self._busy, self._closing)
            sources = Sources(
                self.apps.names,
                self.apps.ready,
                self.intake.totals,
                self.counts,
                self._delivering.lanes,
                self._ledger.health,
                lambda: self.readiness().ready,
            )
            self.metrics = Metrics(self._counts, sources)
            self._housework("it is not known whether deliveries wait for apps that are gone", self._warn_of_strangers)
            self._delivering.start()
            if self._delivering.shared():
                self._news.put(("", ""))
            else:
                self.apps.begin()
        except BaseException:
            self._ledger.close()
            raise
        self._threads = [
            threading.Thread(target=target, name=name, daemon=True)
            for target, name in ((self._keep_house, "upkeep"), (self._hear, "news"))
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
        self.scenarios.close()
        self.runs.close()
        if self._closing.is_set():
            return
        self._closing.set()
        self._due.set()
        self._news.put(None)
        self._delivering.stop()
        # What they have begun may take long; it ends with the ledger.
        for thread in self._threads:
            thread.join(UPKEEP_SECONDS)
        self._housework(_CLOCK_LOST, partial(self._save_clock, exactly=True))
        self._housework(_FAILING_LOST, self._delivering.save)
        self._delivering.close()
        self._ledger.close()

    # Deliveries

    def deliveries(
        self, query: Query | None = None, *, cursor: int | None = None, limit: int = 100
    ) -> list[DeliveryRecord]:
        """Return deliveries, newest first; the id of the last one is the cursor of the next page."""
        return _as_given(self._ledger.deliveries(query, cursor, limit))

    def delivery(self, delivery_id: int) -> DeliveryRecord:
        """Return a delivery; NotFound."""
        record = self._ledger.delivery(delivery_id)
        if record is None:
            raise NotFound.of("delivery", f"there is no delivery {delivery_id}", "see the list of deliveries")
        return _as_given([record])[0]

    def last_attempts(self, ids: Sequence[int]) -> dict[int, AttemptRecord]:
        """Return the last attempt of each of these deliveries that has one."""
        return self._ledger.last_attempts(ids)

    def attempts(self, delivery_id: int, *, after: int = 0, limit: int = 100) -> list[AttemptRecord]:
        """Return a delivery's attempts in turn, those with a higher number than `after`; NotFound."""
        self.delivery(delivery_id)
        return self._ledger.attempts(delivery_id, after, limit)

    def exchanges(self, delivery_id: int, *, after: int = 0, limit: int = 100) -> list[AttemptView]:
        """Return the attempts of `attempts` with what they have sent and were answered; NotFound."""
        usual = self._usual(self.delivery(delivery_id))
        return [
            AttemptView(one, exchange.sent(one, lambda: usual().body), exchange.answered(one))
            for one in self._ledger.attempts(delivery_id, after, limit)
        ]

    def recorded(self, delivery_id: int) -> str:
        """Return a delivery, as it is sent when nothing disturbs it, as a line of a recording; NotFound, Conflict."""
        record = self.delivery(delivery_id)
        try:
            request = self._usual(record)()
            provider = providers.load(record.event_type.partition(".")[0])
            feed = provider.feed_of(record.event_type).name
        except Exception as error:  # noqa: BLE001 - The provider's code may be another one by now.
            raise Conflict.of("", f"it cannot be made again: {type(error).__name__}", "see its attempts") from None
        types = (record.event_type,) * len(record.payloads)
        return to_line(Exchange(request, record.created_at, provider=provider.name, feed=feed, event_types=types))

    def _usual(self, delivery: DeliveryRecord) -> Callable[[], Request]:
        """Return what makes a delivery's request, at most once."""

        @cache
        def made() -> Request:
            provider = providers.load(delivery.event_type.partition(".")[0])
            app = self.apps.entry(delivery.app).app if delivery.app in self.apps else None
            if app is None or app.provider.name != provider.name:
                return exchange.usual(delivery, provider, provider.defaults, "http://127.0.0.1/")
            return exchange.usual(
                delivery, provider, app.credentials, app.endpoint_of(provider.feed_of(delivery.event_type))
            )

        return made

    def redeliver(self, which: Sequence[int] | Query) -> int:
        """Make deliveries due now, whatever their state; return how many there were of these ids or this query."""
        count = self._ledger.redeliver(which)
        self._delivering.sent_again(self.apps.names())
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
        self._delivering.sent_again([app])
        return count

    def reset(self, name: str) -> int:
        """Delete an app's deliveries with their attempts and plans, and return how many; its settings stay.

        What calls of the provider's server API have left behind is forgotten, its scenario and its traffic runs are
        stopped, a pause is over, and standing faults count from the beginning. Raises NotFound, and Unavailable, with
        nothing deleted, while something of it stays under way.
        """
        entry = self.apps.entry(name)
        self.scenarios.stop_of(name)
        self.runs.stop_of(name)
        with self._delivering.pausing(name):
            count = self._ledger.empty(name)
        with entry.standing.lock:
            entry.standing.count = 0
        return count

    def counts(self) -> dict[str, dict[str, int]]:
        """Return how many deliveries there are by app and state, as of some seconds ago; waits for a second at most.

        Unavailable if they are still being counted.
        """
        return self._counted.get(PATIENCE if self._ledger.health().error is None else 0.0)

    def parked(self, app: str) -> int:
        """Return how many of an app's deliveries are parked now; NotFound if there is no such app."""
        self.apps.entry(app)
        return self._ledger.backlog(app)

    def set_faults(self, name: str, faults: Sequence[str], *, waiting: bool = False) -> tuple[AppView, int]:
        """Disturb everything that is accepted for an app from now on; none: nothing any more.

        With `waiting` also what waits and was never attempted: by these faults, and by none that it was accepted
        with. Returns the app, and how many deliveries were changed by that. Raises NotFound, Invalid, and
        Conflict if that cannot be done because the app is not ready.
        """
        entry = self.apps.entry(name)
        if waiting and faults and entry.app is None:
            raise Conflict.of("app", f"the app {name} is not ready ({entry.not_ready})", "make it ready first")
        view = self.apps.set_faults(name, faults)
        if not waiting:
            return view, 0
        try:
            changed = switch(self._ledger, name, entry.app, view.faults, self._clock.now())
        except (ValueError, LookupError) as error:
            raise Invalid(unusable(error)) from None
        finally:
            self._delivering.reread(name)
        return view, changed

    def resume(self, name: str) -> AppView:
        """Send for an app again that was switched off, or pauses; return it. NotFound."""
        self.apps.entry(name)
        self._delivering.resume(name)
        return self.apps.get(name)

    def processes(self) -> list[tuple[Process, list[str]]]:
        """Return the processes that deliver from the ledger, each with the apps that it delivers for now."""
        return self._delivering.processes()

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

    # What changes

    def pulse(self) -> Hashable:
        """Return a value that is another one as soon as anything here can be seen to have changed; it costs nothing."""
        return (
            # What was written is on disk by then.
            self._ledger.health().groups,
            tuple(self._delivering.lanes().items()),
            # What other processes write is not noticed here.
            int(time.monotonic()) if self._delivering.shared() else 0,
            tuple((one.id, one.status, one.accepted) for one in self.runs.list()),
            tuple((one.id, one.status, one.phases) for one in self.scenarios.list()),
            tuple((name, self.apps.entry(name).faults) for name in self.apps.names()),
        )

    def recent(self) -> Recent:
        """Return the attempts of the last half an hour, up to now."""
        self._recent.look(utc_millis())
        return self._recent

    def ack_times(self, app: str) -> list[tuple[float, int]]:
        """Return how many of an app's acknowledgements since the start took up to so many seconds; NotFound."""
        self.apps.entry(app)
        return self._counts.ack_times(app)

    # The clock

    def clock(self) -> ClockView:
        """Return the clock that decides what is due."""
        return ClockView(self._clock.now(), utc_millis(), self._clock.scale)

    def set_scale(self, scale: float) -> ClockView:
        """Let the clock run `scale` times as fast as the time of day; Invalid unless 0 < scale <= 1,000,000."""
        if not (isfinite(scale) and 0 < scale <= FASTEST_CLOCK):
            raise Invalid.of("/scale", f"{scale} is not possible", f"give more than 0, up to {FASTEST_CLOCK:.0f}")
        self._delivering.move_clock(lambda: self._clock.set_scale(scale))
        self._moved()
        return self.clock()

    def advance(self, seconds: float) -> ClockView:
        """Move the clock forward, and deliver what becomes due by that; Invalid unless 0 < seconds <= ten years."""
        if not (isfinite(seconds) and 0 < seconds <= FURTHEST):
            raise Invalid.of("/seconds", f"{seconds} is not possible", f"give more than 0, up to {FURTHEST:.0f}")
        self._delivering.move_clock(lambda: self._clock.advance(seconds))
        self._moved()
        return self.clock()

    # How it goes

    def ended(self) -> str:
        """Return what has ended that must not end while the service is open; empty where all is there."""
        if self._closing.is_set():
            return ""
        gone = [thread.name for thread in self._threads if not thread.is_alive()]
        gone += filter(None, [self._delivering.ended()])
        if not self._ledger.alive:
            gone.append("ledger-writer")
        return f"the thread {gone[0]} has ended" if gone else ""

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
        elif (trouble := self._delivering.trouble()) is not None:
            reasons.append(f"nothing is delivered: {trouble}")
        return Readiness(not reasons, tuple(reasons))

    # What is heard

    def _attempted(self, app: App, waiting: Waiting, done: Done, reply: Reply | NoReply | None) -> None:
        self._questions.landed(waiting.id, reply)
        self._counts.count(app, waiting, done)
        self.runs.landed(waiting, done)
        self._attempt_log.add(waiting, done)

    def _ended_elsewhere(self, app: str, first: int, last: int) -> Sequence[tuple[int, str]]:
        """Return the deliveries of an app, with ids from one to another, that have ended, where others may have sent them."""
        if not self._ledger.shared:
            return ()
        try:
            return self._ledger.ended(app, first, last)
        except LedgerError:  # it is asked again
            return ()

    def _busy(self, app: str | None) -> bool:
        return self.scenarios.running(app) or self.runs.running(app)

    def _hear(self) -> None:
        """Take in what other processes change of apps."""
        while (news := self._news.get()) is not None:
            self._housework("what another process has changed is not known here", partial(self.apps.hear, *news))

    # Upkeep

    def _keep_house(self) -> None:
        """Delete what is old, and keep the clock's time, now and then."""
        prune_at = 0.0
        while True:
            if self._keep_days is not None and time.monotonic() >= prune_at:
                prune_at = time.monotonic() + PRUNE_SECONDS
                self._housework("old deliveries were not deleted", self._prune)
            self._recent.look(utc_millis())
            self._housework(_CLOCK_LOST, self._save_clock)
            self._housework("it is not known yet what was accepted", self.intake.settle)
            self._housework(_FAILING_LOST, self._delivering.save)
            self._due.wait(UPKEEP_SECONDS)
            self._due.clear()
            if self._closing.is_set():
                return

    def _housework(self, failed: str, work: Callable[[], None]) -> None:
        try:
            work()
        except LedgerError as error:
            log.warning("%s: %s", failed, error, extra={"event": "upkeep-failed"})

    def _prune(self) -> None:
        assert self._keep_days is not None
        before = self._clock.now() - round(self._keep_days * _DAY)
        self._ledger.prune_state(before)
        count = self._ledger.prune(before)
        if count:
            log.info("old deliveries were deleted", extra={"event": "pruned", "fields": {"deliveries": count}})

    def _catch_up(self) -> None:
        """Move the clock to where it was ahead of the time of day when the server stopped: what waits is due by it.

        It never goes back behind what was accepted last: the time of day may have been set back meanwhile.
        """
        self._ahead = int(json.loads(self._ledger.setting(_AHEAD) or "0"))
        self._clock.advance(max(0, self._ahead) / 1000)
        for newest in self._ledger.deliveries(limit=1):
            self._clock.advance(max(0, newest.created_at - self._clock.now()) / 1000)
        if (ahead := self._clock.now() - utc_millis()) > TOLD_AHEAD:
            log.warning(
                "the clock is %d s ahead of the time of day, as it was before: what waits is due by it",
                ahead // 1000,
                extra={"event": "clock-ahead", "fields": {"seconds": ahead // 1000}},
            )

    def _save_clock(self, *, exactly: bool = False) -> None:
        """Keep how far the clock is ahead of the time of day, which somebody may have set back."""
        ahead = max(0, self._clock.now() - utc_millis())
        if abs(ahead - self._ahead) > (1 if exactly else CLOCK_STEP):
            self._ledger.put_setting(_AHEAD, str(ahead))
            self._ahead = ahead

    def _moved(self) -> None:
        self._housework(_CLOCK_LOST, partial(self._save_clock, exactly=True))
        self._delivering.wake()

    def _warn_of_strangers(self) -> None:
        """Say which deliveries nobody will deliver."""
        for name, states in self._ledger.counts_by_app().items():
            if name not in self.apps and states["waiting"]:
                fields = {"app": name, "deliveries": states["waiting"]}
                log.warning(
                    "deliveries wait for an app that is not there; add it again, or let them be",
                    extra={"event": "app-missing", "fields": fields},
                )


def _as_given(records: Sequence[DeliveryRecord]) -> list[DeliveryRecord]:
    """Return deliveries with the key of the call in the place of their own."""
    return [replace(one, idempotency_key=idempotency.given(one.idempotency_key)) for one in records]
