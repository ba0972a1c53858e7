"""Traffic runs: coherent stories, accepted through the ledger at a steady rate, with their progress.

A run is remembered for as long as the server runs. What it has accepted is on disk like everything
else, and is delivered however the run ends.
"""

from __future__ import annotations

import logging
import threading
import time
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import count, islice
from math import isfinite
from random import Random, SystemRandom

from provider_mock.delivery.clock import RealClock, utc_millis
from provider_mock.delivery.ledger import STATES, Done, LedgerError, Waiting
from provider_mock.server import settings as checked
from provider_mock.server.errors import Conflict, Invalid, NotFound, Problem, ServiceError, Unavailable
from provider_mock.server.intake import Batch, Intake
from provider_mock.server.models import FASTEST, RunStatus, RunView
from provider_mock.server.registry import Entry, Registry

log = logging.getLogger("provider_mock.server")

CHUNK_SECONDS = 0.1
"""Deliveries of so long are accepted together, and are due one after the other."""
DISTURBED_SECONDS = 1.0
"""The same with faults, which can move deliveries only among those that are accepted together."""
MOST_TOGETHER = 1000
AT_ONCE = 10
REMEMBERED = 100
LONGEST = 30 * 86400.0
_WAITING = STATES[0]


@dataclass
class _Run:
    view: RunView
    tally: Tally
    stop: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None


class Tally:
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

    def __init__(self, registry: Registry, intake: Intake, clock: RealClock) -> None:
        self._registry, self._intake, self._clock = registry, intake, clock
        self._lock = threading.Lock()
        self._runs: dict[int, _Run] = {}
        self._numbers = count(1)
        self._watched: dict[str, tuple[Tally, ...]] = {}
        self._closing = False

    def start(
        self, app: str, *, rate: float, duration: float, seed: int | None = None, faults: Sequence[str] = ()
    ) -> RunView:
        """Accept `rate` deliveries per second of true time for `duration` seconds; return the run as it starts.

        The events are those of `provider_mock.traffic.world`, from the seed. Raises NotFound, Invalid,
        Conflict if the app is not ready or too many runs are under way, or
        Unavailable while the server stops.
        """
        from provider_mock.traffic.world import NothingToTell, tell

        entry = self._registry.entry(app)
        if found := _problems(rate, duration, tuple(faults)):
            raise Invalid(found)
        if entry.app is None:
            raise Conflict.of("app", f"the app {app} is not ready ({entry.not_ready})", "make it ready first")
        number = SystemRandom().randrange(2**32) if seed is None else seed
        try:
            next(tell(entry.app.provider, Random(number), utc_millis(), 1000 / rate))
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
                faults=tuple(faults),
                status="running",
                started_at=now,
                ends_at=now + round(duration * 1000),
                ended_at=None,
                total=max(1, round(rate * duration)),
                accepted=0,
            )
            run = _Run(view, Tally())
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

    def stop(self, run_id: int) -> RunView:
        """Accept nothing more of a run, and return it as it ended; NotFound."""
        run = self._find(run_id)
        run.stop.set()
        if run.thread is not None:
            run.thread.join()
        return self._shown(run)

    def landed(self, waiting: Waiting, done: Done) -> None:
        """Take note of an attempt, in the engine's thread."""
        if (watching := self._watched.get(waiting.app)) and done.state != _WAITING and not waiting.earlier:
            for tally in watching:
                if tally.busy:
                    tally.landed(waiting.id, done.state)

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
        return replace(run.view, states=run.tally.states())

    def _forget(self) -> None:
        """Forget the oldest runs that ended, beyond the number that is remembered, and watch those that go on."""
        ended = [one for one in self._runs.values() if one.view.status != "running"]
        for run in ended[: max(0, len(self._runs) - REMEMBERED)]:
            del self._runs[run.view.id]
        watched: dict[str, tuple[Tally, ...]] = {}
        for run in self._runs.values():
            if run.view.status == "running" or run.tally.busy:
                watched[run.view.app] = (*watched.get(run.view.app, ()), run.tally)
        self._watched = watched

    def _go(self, run: _Run, entry: Entry) -> None:
        """Accept what is due, a chunk at a time, until the run ends, is stopped or fails."""
        status: RunStatus = "failed"
        try:
            self._tell(run, entry)
            status = "stopped" if run.view.accepted < run.view.total else "finished"
        except (ServiceError, LedgerError) as error:
            run.view = replace(run.view, error=str(error))
        except Exception as error:
            run.view = replace(run.view, error=f"our own error, {type(error).__name__}; it is in the log")
            log.exception("a traffic run failed", extra={"event": "traffic-failed", "fields": {"run": run.view.id}})
        run.view = replace(run.view, status=status, ended_at=utc_millis())
        fields = {"run": run.view.id, "app": run.view.app, "accepted": run.view.accepted, "status": status}
        log.info("a traffic run has ended", extra={"event": "traffic-ended", "fields": fields})

    def _tell(self, run: _Run, entry: Entry) -> None:
        from provider_mock.traffic.world import tell

        assert entry.app is not None
        view = run.view
        told = tell(entry.app.provider, Random(view.seed), view.started_at, 1000 / view.rate)
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
            now, pace = self._clock.now(), 1000 / view.rate * self._clock.scale
            due = [now + round(place * pace) for place in range(size)]
            run.tally.expect()
            ids: list[int] = []
            try:
                ids = self._intake.take(entry, batches, due, faults=view.faults, seed=view.seed + begin, offset=begin)
            finally:
                run.tally.add(ids)
            run.view = replace(run.view, accepted=begin + size)


def _problems(rate: float, duration: float, faults: tuple[str, ...]) -> list[Problem]:
    found = checked.fault_problems(faults)
    if not (isfinite(rate) and 0 < rate <= FASTEST):
        found.append(Problem("/rate", f"{rate} is not possible", f"give deliveries per second, up to {FASTEST:g}"))
    if not (isfinite(duration) and 0 < duration <= LONGEST):
        found.append(Problem("/duration", f"{duration} is not possible", f"give seconds, up to {LONGEST:g}"))
    return found
