"""Delivers what a store holds, by each provider's own rules, until it is told to stop.

One thread drives all connections. Only a window of each application's waiting deliveries is in
memory; the rest stays in the store. What is in flight is remembered here and nowhere else: after
a crash everything unfinished is due again, so every accepted delivery reaches the receiver at
least once. Two rules a change must keep: a delivery is in flight at most once at a time, and it is
forgotten here only after its outcome was handed to the store.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Protocol

from provider_mock.contract import Credentials, Event, NoReply, Outcome, Provider, Reply, RetryPolicy, Stamp
from provider_mock.delivery.clock import Clock, RealClock
from provider_mock.delivery.connections import Connections, Way
from provider_mock.delivery.ledger.records import ACKED, DROPPED, PARKED, WAITING, Done, Waiting

WINDOW = 1000
"""Waiting deliveries of an application that are in memory at most."""
PAUSE = 0.05
"""Seconds that new work can wait while connections are quiet."""
STATES = {"done": ACKED, "dropped": DROPPED, "parked": PARKED, "retry": WAITING}


class Store(Protocol):
    """Where deliveries wait and outcomes go: the ledger, or memory."""

    def due(self, app: str, now: int, limit: int, after: tuple[int, int] | None = None) -> Sequence[Waiting]:
        """Return waiting deliveries whose time has come, by (due_at, id), behind `after`."""
        ...

    def next_due(self, app: str, after: int | None = None) -> int | None:
        """Return when the next waiting delivery is due, later than `after`; None if none is waiting."""
        ...

    def record(self, done: Done) -> None:
        """Take an attempt and what follows from it."""
        ...

    def counts(self, app: str | None = None) -> dict[str, int]:
        """Return how many deliveries there are in each state."""
        ...


@dataclass(frozen=True)
class App:
    """An application at a provider: where its deliveries go, and how."""

    name: str
    provider: Provider
    endpoint: str
    credentials: Credentials
    policy: RetryPolicy
    concurrency: int = 64
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    ca_file: Path | None = None


@dataclass(slots=True)
class _Lane:
    app: App
    way: Way
    parked: int
    waiting: deque[Waiting] = field(default_factory=deque)
    flying: set[int] = field(default_factory=set)
    cursor: tuple[int, int] | None = None
    look_at: int | None = 0
    """When the store is to be asked again; None: not before something is accepted."""
    timeouts: int = 0
    paused_until: int = 0


class Engine:
    """Sends what is due. `on_attempt` is called, in the engine's thread, with every attempt that was made."""

    def __init__(
        self,
        apps: Sequence[App],
        store: Store,
        clock: Clock | None = None,
        *,
        seed: int = 0,
        on_attempt: Callable[[App, Waiting, Done], None] | None = None,
    ) -> None:
        self._store = store
        self._lanes = [
            _Lane(
                app,
                Way(app.provider.deadline, app.headers, app.ca_file, keep_alive=True),
                store.counts(app.name).get(PARKED, 0),
            )
            for app in apps
        ]
        self._clock = clock or RealClock()
        self._random = Random(seed)
        self._on_attempt = on_attempt
        self._connections: Connections[tuple[_Lane, Waiting, Stamp, int]] = Connections()
        self._wake = threading.Event()
        self._stopping = False

    def wake(self) -> None:
        """Look at the store again: something was accepted. Can be called from any thread."""
        self._wake.set()

    def stop(self) -> None:
        """Let `run` return once what is in flight has landed. Can be called from any thread."""
        self._stopping = True
        self._wake.set()

    def run(self, *, until_idle: bool = False) -> None:
        """Deliver until stopped; with `until_idle`, until nothing is waiting any more, now or later."""
        try:
            while not self._stopping or len(self._connections):
                if self._wake.is_set():
                    self._wake.clear()
                    for lane in self._lanes:
                        lane.look_at = 0
                if not self._stopping:
                    for lane in self._lanes:
                        self._launch(lane)
                if len(self._connections):
                    for token, reply in self._connections.landed(PAUSE):
                        self._land(*token, reply)
                elif not self._stopping and not self._rest(until_idle=until_idle):
                    return
        finally:
            self._connections.close()

    def _launch(self, lane: _Lane) -> None:
        now = self._clock.now()
        if now < lane.paused_until:
            return
        app = lane.app
        while len(lane.flying) < app.concurrency:
            if not lane.waiting and not self._refill(lane, now):
                return
            waiting = lane.waiting.popleft()
            if waiting.id in lane.flying:
                continue
            events = [Event(waiting.event_type, payload) for payload in waiting.payloads]
            stamp = waiting.signed
            if stamp is None or app.policy.signed_afresh:
                stamp = Stamp(now, str(self._random.getrandbits(48)))
            request = app.provider.request(events, app.endpoint, app.credentials, stamp)
            lane.flying.add(waiting.id)
            self._connections.launch((lane, waiting, stamp, now), request, lane.way)

    def _refill(self, lane: _Lane, now: int) -> bool:
        """Read the next window from the store; return whether there is anything to send."""
        if lane.look_at is None or now < lane.look_at:
            return False
        found = self._store.due(lane.app.name, now, WINDOW, lane.cursor)
        lane.waiting.extend(one for one in found if one.id not in lane.flying)
        if len(found) == WINDOW:
            lane.cursor = (found[-1].due_at, found[-1].id)
        else:
            # The end is reached: the next look begins at the front.
            lane.cursor = None
            lane.look_at = self._store.next_due(lane.app.name, now)
        return bool(lane.waiting)

    def _land(self, lane: _Lane, waiting: Waiting, stamp: Stamp, sent_at: int, reply: Reply | NoReply) -> None:
        app = lane.app
        judgement = app.provider.judge(reply)
        outcomes = [Outcome(outcome) for outcome in waiting.outcomes] + [judgement.outcome]
        following = app.provider.next_attempt(outcomes, app.policy)
        state, rule = STATES[following.action], judgement.rule
        if state == PARKED:
            if lane.parked >= app.policy.backlog:
                state, rule = DROPPED, f"{rule}; the backlog of {app.policy.backlog} is full"
            else:
                lane.parked += 1
        now = self._clock.now()
        due_at = now + round(following.after * 1000) if state == WAITING else sent_at
        done = Done(
            waiting.id,
            waiting.attempts + 1,
            sent_at,
            reply.seconds,
            judgement.outcome.value,
            reply.status if isinstance(reply, Reply) else None,
            rule,
            state,
            due_at,
            reply.detail if isinstance(reply, NoReply) else "",
            None if app.policy.signed_afresh or waiting.signed else stamp,
        )
        self._store.record(done)
        lane.flying.discard(waiting.id)
        if state == WAITING:
            lane.look_at = due_at if lane.look_at is None else min(lane.look_at, due_at)
        self._count_timeouts(lane, judgement.outcome, now)
        if self._on_attempt:
            self._on_attempt(app, waiting, done)

    def _count_timeouts(self, lane: _Lane, outcome: Outcome, now: int) -> None:
        """Pause an application whose receiver lets many deliveries in a row time out, if its provider does that."""
        policy = lane.app.policy
        lane.timeouts = lane.timeouts + 1 if outcome is Outcome.TIMED_OUT else 0
        if policy.pause_after and lane.timeouts >= policy.pause_after:
            lane.timeouts = 0
            lane.paused_until = now + round(policy.pause_seconds * 1000)

    def _rest(self, *, until_idle: bool) -> bool:
        """Wait for the next delivery that is due; return False if there is none and none is waited for."""
        moments = [
            max(lane.paused_until, 0 if lane.waiting else lane.look_at or 0)
            for lane in self._lanes
            if lane.waiting or lane.look_at is not None
        ]
        if not moments and until_idle:
            return False
        if not self._wake.is_set():
            self._clock.wait(min(moments, default=None), self._wake)
        return True
