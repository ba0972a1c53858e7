"""Traffic runs: coherent stories, accepted through the ledger at a steady rate, with their progress.

A run is remembered for as long as the server runs. What it has accepted is on disk like everything
else, and is delivered however the run ends. While the ledger takes nothing, a run waits, and says why.
"""

from __future__ import annotations

import logging
import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import count, islice
from math import isfinite
from random import Random, SystemRandom
from typing import Any

from im_callback.provider_mock.contract import Feed, UnknownFeed
from im_callback.provider_mock.delivery.app import App
from im_callback.provider_mock.delivery.clock import RealClock, utc_millis
from im_callback.provider_mock.delivery.ledger import STATES, Done, LedgerError, LedgerUnavailable, Waiting
from im_callback.provider_mock.server import settings as checked
from im_callback.provider_mock.server.errors import Conflict, Invalid, NotFound, Objection, ServiceError, Unavailable
from im_callback.provider_mock.server.intake import Batch, Intake
from im_callback.provider_mock.server.models import RunStatus, RunView
from im_callback.provider_mock.server.options import FASTEST
from im_callback.provider_mock.server.registry import Entry, Registry

log = logging.getLogger("im_callback.provider_mock.server")

CHUNK_SECONDS = 0.1
"""Deliveries of so long are accepted together, and are due one after the other."""
DISTURBED_SECONDS = 1.0
"""The same with faults, which can move deliveries only among those that are accepted together."""
MOST_TOGETHER = 1000
AT_ONCE = 10
AGAIN_SECONDS = 1.0
"""After which a ledger that did not take deliveries is asked again."""
LOOK_SECONDS = 1.0
"""Between two looks at what other processes have delivered of a run."""
Ended = Callable[[str, int, int], Sequence[tuple[int, str]]]
REMEMBERED = 100
LONGEST = 30 * 86400.0
_WAITING = STATES[0]


@dataclass
class _Run:
    view: RunView
    counts: RunCounts
    lock: threading.Lock = field(default_factory=threading.Lock)
    """To be held while the view is changed."""
    known: threading.Event = field(default_factory=threading.Event)
    """Set while it is known of all that was handed in whether it was accepted."""
    stop: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None
    looked_at: float = 0.0

    def change(self, **values: Any) -> None:
        """Change what is shown."""
        with self.lock:
            self.view = replace(self.view, **values)

    def accepted(self, ids: Sequence[int]) -> None:
        """Take note of deliveries that are on disk; none: they are not."""
        self.counts.add(ids)
        with self.lock:
            self.view = replace(self.view, accepted=self.view.accepted + len(ids))
        self.known.set()


class RunCounts:
    """Counts what became of a run's deliveries the first time around, in memory that only those under way take.

    An outcome can come before the ids are known: from `expect` to `add` everything of the app is
    kept aside.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._states = dict.fromkeys(STATES, 0)
        self._firsts: list[int] = []
        self._through: dict[int, bytearray] = {}
        """Of the deliveries accepted together, by the first one's id: which are through."""
        self._expecting = False
        self._early: list[tuple[int, str]] = []

    def expect(self) -> None:
        """Deliveries are about to be accepted."""
        with self._lock:
            self._expecting = True

    def add(self, ids: Sequence[int]) -> None:
        """Deliveries were accepted; their ids follow one another. None: they were not."""
        with self._lock:
            self._expecting = False
            if ids:
                self._firsts.append(ids[0])
                self._through[ids[0]] = bytearray(len(ids))
                self._states[_WAITING] += len(ids)
            early, self._early = self._early, []
            for delivery_id, state in early:
                self._count(delivery_id, state)

    def landed(self, delivery_id: int, state: str) -> None:
        """An attempt has ended a delivery."""
        with self._lock:
            if not self._count(delivery_id, state) and self._expecting:
                self._early.append((delivery_id, state))

    def states(self) -> dict[str, int]:
        """Return how many there are in each state."""
        with self._lock:
            return dict(self._states)

    def span(self) -> tuple[int, int] | None:
        """Return the first and the last id of those that are not through; None: all are."""
        with self._lock:
            if not self._firsts:
                return None
            return self._firsts[0], self._firsts[-1] + len(self._through[self._firsts[-1]]) - 1

    @property
    def busy(self) -> bool:
        """Whether anything is not through, or about to come."""
        return self._expecting or bool(self._firsts)

    def _count(self, delivery_id: int, state: str) -> bool:
        place = bisect_right(self._firsts, delivery_id) - 1
        if place < 0:
            return False
        through = self._through[self._firsts[place]]
        index = delivery_id - self._firsts[place]
        if index >= len(through):
            return False
        # What is disturbed can end more than once: each copy of it is acknowledged.
        if not through[index]:
            through[index] = 1
            self._states[_WAITING] -= 1
            self._states[state] += 1
            if all(through):
                del self._through[self._firsts.pop(place)]
        return True


class Runs:
    """The traffic runs of a service."""

    def __init__(self, registry: Registry, intake: Intake, clock: RealClock, ended: Ended) -> None:
        """`ended` returns what other processes have delivered of an app, by first and last id."""
        self._ended = ended
        self._registry, self._intake, self._clock = registry, intake, clock
        self._lock = threading.Lock()
        self._runs: dict[int, _Run] = {}
        self._numbers = count(1)
        self._watched: dict[str, tuple[RunCounts, ...]] = {}
        self._closing = False

    def start(
        self,
        app: str,
        *,
        rate: float,
        duration: float,
        seed: int | None = None,
        faults: Sequence[str] = (),
        feed: str | None = None,
    ) -> RunView:
        """Accept `rate` deliveries per second of true time for `duration` seconds; return the run as it starts.

        The events are those of `im_callback.provider_mock.traffic.world`, from the seed, of one feed; without it, of those
        that arrive at one address if nobody says which, and those that have one of their own. Raises NotFound, Invalid, Conflict if the app is not ready or too many runs are under way, or
        Unavailable while the server stops.
        """
        from im_callback.provider_mock.traffic.world import NothingToTell, tell

        entry = self._registry.entry(app)
        if found := _problems(rate, duration, tuple(faults)):
            raise Invalid(found)
        if entry.app is None:
            raise Conflict.of("app", f"the app {app} is not ready ({entry.not_ready})", "make it ready first")
        number = SystemRandom().randrange(2**32) if seed is None else seed
        try:
            told = tell(entry.app.provider, Random(number), utc_millis(), 1000 / rate, _feeds(entry.app, feed))
            next(told)
        except UnknownFeed as error:
            fact, _, fix = str(error).partition("; ")
            raise Invalid.of("/feed", fact, fix) from None
        except NothingToTell as error:
            fact, _, fix = str(error).partition("; ")
            raise Invalid.of("app", fact, fix) from None
        with self._lock:
            if self._closing:
                raise Unavailable.of("", "the server is stopping", "try again when it is back")
            if sum(one.view.status == "running" for one in self._runs.values()) >= AT_ONCE:
                raise Conflict.of("app", f"{AT_ONCE} runs are under way", "stop one of them, or wait for its end")
            now = utc_millis()
            view = RunView(
                id=next(self._numbers),
                app=app,
                rate=rate,
                duration=duration,
                seed=number,
                feed=feed,
                faults=tuple(faults),
                status="running",
                started_at=now,
                ends_at=now + round(duration * 1000),
                ended_at=None,
                total=max(1, round(rate * duration)),
                accepted=0,
            )
            run = _Run(view, RunCounts())
            self._runs[view.id] = run
            self._forget()
            run.thread = threading.Thread(target=self._go, args=(run, entry), name=f"traffic-{view.id}", daemon=True)
            run.thread.start()
        return self._shown(run)

    def list(self) -> list[RunView]:
        """Return the runs, newest first; of those that ended only the last ones."""
        with self._lock:
            runs = list(self._runs.values())
        return [self._shown(run) for run in reversed(runs)]

    def get(self, run_id: int) -> RunView:
        """Return one run; NotFound."""
        return self._shown(self._find(run_id))

    def running(self, app: str | None = None) -> bool:
        """Return whether a run of an app (None: of any) is under way."""
        with self._lock:
            views = [run.view for run in self._runs.values()]
        return any(one.status == "running" and app in (None, one.app) for one in views)

    def stop(self, run_id: int) -> RunView:
        """Accept nothing more of a run, and return it as it ended; NotFound."""
        run = self._find(run_id)
        run.stop.set()
        if run.thread is not None:
            run.thread.join()
        return self._shown(run)

    def stop_of(self, app: str) -> None:
        """Stop all runs of an app."""
        for view in self.list():
            if view.app == app and view.status == "running":
                self.stop(view.id)

    def landed(self, waiting: Waiting, done: Done) -> None:
        """Take note of an attempt, in the engine's thread."""
        if (watching := self._watched.get(waiting.app)) and done.state != _WAITING and not waiting.earlier:
            for counts in watching:
                if counts.busy:
                    counts.landed(waiting.id, done.state)

    def close(self) -> None:
        """Stop all runs."""
        with self._lock:
            self._closing = True
            runs = list(self._runs.values())
        for run in runs:
            run.stop.set()
        for run in runs:
            if run.thread is not None:
                run.thread.join()

    def _find(self, run_id: int) -> _Run:
        with self._lock:
            try:
                return self._runs[run_id]
            except KeyError:
                raise NotFound.of("run", f"there is no traffic run {run_id}", "see the list of runs") from None

    def _shown(self, run: _Run) -> RunView:
        if (span := run.counts.span()) is not None and time.monotonic() - run.looked_at > LOOK_SECONDS:
            run.looked_at = time.monotonic()
            for delivery_id, state in self._ended(run.view.app, *span):
                run.counts.landed(delivery_id, state)
        return replace(run.view, states=run.counts.states())

    def _forget(self) -> None:
        """Forget the oldest runs that ended, beyond the number that is remembered, and watch those that go on."""
        ended = [one for one in self._runs.values() if one.view.status != "running"]
        for run in ended[: max(0, len(self._runs) - REMEMBERED)]:
            del self._runs[run.view.id]
        watched: dict[str, tuple[RunCounts, ...]] = {}
        for run in self._runs.values():
            if run.view.status == "running" or run.counts.busy:
                watched[run.view.app] = (*watched.get(run.view.app, ()), run.counts)
        self._watched = watched

    def _go(self, run: _Run, entry: Entry) -> None:
        """Accept what is due, a chunk at a time, until the run ends, is stopped or fails."""
        status: RunStatus = "failed"
        try:
            self._tell(run, entry)
            status = "stopped" if run.view.accepted < run.view.total else "finished"
        except (ServiceError, LedgerError) as error:
            run.change(error=str(error))
        except Exception as error:
            run.change(error=f"our own error, {type(error).__name__}; it is in the log")
            log.exception("a traffic run failed", extra={"event": "traffic-failed", "fields": {"run": run.view.id}})
        run.change(status=status, ended_at=utc_millis())
        fields = {"run": run.view.id, "app": run.view.app, "accepted": run.view.accepted, "status": status}
        log.info("a traffic run has ended", extra={"event": "traffic-ended", "fields": fields})

    def _tell(self, run: _Run, entry: Entry) -> None:
        from im_callback.provider_mock.traffic.world import tell

        assert entry.app is not None
        view = run.view
        feeds = _feeds(entry.app, view.feed)
        told = tell(entry.app.provider, Random(view.seed), view.started_at, 1000 / view.rate, feeds)
        started = time.monotonic()
        while (begin := run.view.accepted) < view.total:
            if run.stop.wait(max(0.0, started + begin / view.rate - time.monotonic())):
                return
            # The app may have been changed, or removed, since.
            entry = self._registry.entry(view.app)
            disturbed = bool(view.faults or entry.faults)
            seconds = DISTURBED_SECONDS if disturbed else CHUNK_SECONDS
            size = min(max(1, round(view.rate * seconds)), view.total - begin, MOST_TOGETHER)
            batches: list[Batch] = [(events[0].type, events) for events in islice(told, size)]
            waited = self._take(run, entry, batches, begin)
            if waited is None:
                return
            # What could not be accepted in time comes later, not faster.
            started += waited

    def _take(self, run: _Run, entry: Entry, batches: Sequence[Batch], begin: int) -> float | None:
        """Accept deliveries of a run; wait for a ledger that does not take them, for as long as that takes.

        Returns for how many seconds that was; None if the run was stopped meanwhile.
        """
        view, since, taken = run.view, time.monotonic(), False
        while not taken:
            now, pace = self._clock.now(), 1000 / view.rate * self._clock.scale
            due = [now + round(place * pace) for place in range(len(batches))]
            run.counts.expect()
            run.known.clear()
            try:
                self._intake.take(
                    entry, batches, due, faults=view.faults, seed=view.seed + begin, offset=begin, known=run.accepted
                )
            except LedgerUnavailable as error:
                run.change(error=str(error))
                while not run.known.is_set():
                    with suppress(LedgerUnavailable):
                        self._intake.settle()
                    if not run.known.is_set() and run.stop.wait(AGAIN_SECONDS):
                        return None
                taken = run.view.accepted > begin
                if not taken and run.stop.wait(AGAIN_SECONDS):
                    return None
            else:
                taken = True
        if run.view.error is None:
            return 0.0
        waited = time.monotonic() - since
        run.change(error=None, ends_at=run.view.ends_at + round(waited * 1000))
        return waited


def _feeds(app: App, name: str | None) -> list[Feed]:
    """Return the feeds that a run tells of; raises UnknownFeed."""
    if name is not None:
        return [app.provider.feed(name)]
    return [one for one in app.provider.feeds if one in app.provider.usual_feeds or one.name in app.endpoints]


def _problems(rate: float, duration: float, faults: tuple[str, ...]) -> list[Objection]:
    found = checked.fault_problems(faults)
    if not (isfinite(rate) and 0 < rate <= FASTEST):
        found.append(Objection("/rate", f"{rate} is not possible", f"give deliveries per second, up to {FASTEST:g}"))
    if not (isfinite(duration) and 0 < duration <= LONGEST):
        found.append(Objection("/duration", f"{duration} is not possible", f"give seconds, up to {LONGEST:g}"))
    return found
