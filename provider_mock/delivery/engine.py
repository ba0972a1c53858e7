"""Delivers what a store holds, by each provider's own rules, until it is told to stop.

One thread drives all connections. Only a window of each application's waiting deliveries is in
memory; the rest stays in the store. What is in flight is remembered here and nowhere else: after
a crash everything unfinished is due again, so every accepted delivery reaches the receiver at
least once. Two rules a change must keep: a delivery is in flight at most once at a time, and it is
forgotten here only after its outcome was handed to the store.

Deliveries that are to be disturbed are executed by their plan (`acting.py`). When the plan is
through, or was cut short by a crash, the provider's policy goes on from what came of it.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Protocol

from provider_mock.contract import Credentials, NoReply, Outcome, Provider, Reply, RetryPolicy, Stamp
from provider_mock.delivery.acting import Acting, Played
from provider_mock.delivery.client import Client
from provider_mock.delivery.clock import Clock, RealClock, utc_millis
from provider_mock.delivery.connections import Connections, Way
from provider_mock.delivery.ledger.records import ACKED, DROPPED, PARKED, WAITING, Done, Waiting

log = logging.getLogger("provider_mock.engine")

WINDOW = 1000
"""Waiting deliveries of an application that are in memory at most."""
PAUSE = 0.05
"""Seconds that new work can wait while connections are quiet."""
STORE_PAUSE = 1.0
"""Seconds after which a store that did not answer is asked again."""
STATES = {"done": ACKED, "dropped": DROPPED, "parked": PARKED, "retry": WAITING}
NOT_SENT = "not sent"
"""The outcome of an attempt that we could not make: our own error."""


class Store(Protocol):
    """Where deliveries wait and outcomes go: the ledger, or memory.

    A ConnectionError means that it does not answer now; it is asked again.
    """

    def due(self, app: str, now: int, limit: int, after: tuple[int, int] | None = None) -> Sequence[Waiting]:
        """Return waiting deliveries whose time has come, by (due_at, id), behind `after`."""
        ...

    def next_due(self, app: str, after: int | None = None) -> int | None:
        """Return when the next waiting delivery is due, later than `after`; None if none is waiting."""
        ...

    def together(self, app: str, first: int, size: int) -> Sequence[Waiting]:
        """Return those of the `size` deliveries from this id on that have never been attempted."""
        ...

    def record(self, done: Done) -> None:
        """Take an attempt and what follows from it."""
        ...

    def counts(self, app: str | None = None) -> dict[str, int]:
        """Return how many deliveries there are in each state."""
        ...


@dataclass(frozen=True)
class App:
    """An application at a provider: where its deliveries go, and how.

    `concurrency` is how many of its deliveries are in flight at once, `proxy` the URL of the HTTP
    proxy they go through; without one they go straight to the endpoint.
    """

    name: str
    provider: Provider
    endpoint: str
    credentials: Credentials
    policy: RetryPolicy
    concurrency: int = 64
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    ca_file: Path | None = None
    proxy: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Lane:
    """How an application is doing: its deliveries in flight, and until when it pauses (UTC milliseconds)."""

    in_flight: int
    paused_until: int | None


@dataclass(slots=True)
class _Lane:
    app: App
    way: Way
    open: bool = True
    parked: int | None = None
    """How many of its deliveries are parked; None: to be counted."""
    waiting: deque[Waiting] = field(default_factory=deque)
    flying: set[int] = field(default_factory=set)
    acting: Acting | None = None
    cursor: tuple[int, int] | None = None
    look_at: int | None = 0
    """When the store is to be asked again; None: not before something is accepted."""
    timeouts: int = 0
    paused_until: int = 0

    def change(self, app: App) -> None:
        """Deliver for this application from now on."""
        self.app, self.open = app, True
        self.way = _way(app)
        self.forget()

    def forget(self) -> None:
        """Read the store again."""
        self.waiting.clear()
        self.cursor, self.look_at, self.parked = None, 0, None


class Engine:
    """Sends what is due. `on_attempt` is called, in the engine's thread, with every attempt that was made.

    `clock` decides when something is due; requests are signed with the time of day, `wall`.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock | None = None,
        *,
        apps: Iterable[App] = (),
        seed: int = 0,
        on_attempt: Callable[[App, Waiting, Done], None] | None = None,
        wall: Callable[[], int] = utc_millis,
    ) -> None:
        self._store = store
        self._lanes = {app.name: _Lane(app, _way(app)) for app in apps}
        self._clock = clock or RealClock()
        self._wall = wall
        self._random = Random(seed)
        self._on_attempt = on_attempt
        self._connections: Connections[tuple[_Lane, App, Waiting, Stamp, int]] = Connections()
        self._orders: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._wake = threading.Event()
        self._look = False
        self._stopping = False

    # What can be called from any thread.

    def put(self, app: App) -> None:
        """Deliver for an application, or go on with this in the place of the one of its name."""

        def order() -> None:
            if app.name in self._lanes:
                self._lanes[app.name].change(app)
            else:
                self._lanes[app.name] = _Lane(app, _way(app))

        self._order(order)

    def remove(self, name: str) -> None:
        """Deliver no more for an application: what is in flight lands, the rest stays in the store."""

        def order() -> None:
            if name in self._lanes:
                self._lanes[name].open = False
                self._lanes[name].waiting.clear()

        self._order(order)

    def recount(self, name: str) -> None:
        """Count again what is parked: something else than the engine has changed it."""

        def order() -> None:
            if name in self._lanes:
                self._lanes[name].parked = None

        self._order(order)

    def wake(self) -> None:
        """Look at the store again: something was accepted, or made due."""
        self._look = True
        self._wake.set()

    def stop(self) -> None:
        """Let `run` return once the requests under way have landed."""
        self._stopping = True
        self._wake.set()

    def lanes(self) -> dict[str, Lane]:
        """Return how each application is doing."""
        now = self._clock.now()
        return {
            name: Lane(
                len(lane.flying) + (len(lane.acting) if lane.acting else 0),
                lane.paused_until if lane.paused_until > now else None,
            )
            for name, lane in self._lanes.copy().items()
            if lane.open
        }

    def _order(self, order: Callable[[], None]) -> None:
        self._orders.put(order)
        self._wake.set()

    # What follows runs in the engine's thread.

    def run(self, *, until_idle: bool = False) -> None:
        """Deliver until stopped; with `until_idle`, until nothing is waiting any more, now or later."""
        try:
            while not self._stopping or self._under_way():
                if self._wake.is_set():
                    self._wake.clear()
                    self._take_orders()
                if not self._stopping:
                    for lane in self._lanes.values():
                        if lane.open:
                            self._launch(lane)
                for lane in self._lanes.values():
                    if lane.acting is not None:
                        self._act(lane, lane.acting)
                if len(self._connections):
                    for token, reply in self._connections.landed(PAUSE):
                        self._land(*token, reply)
                elif not self._rest(until_idle=until_idle):
                    return
        finally:
            self._connections.close()
            for lane in self._lanes.values():
                if lane.acting is not None:
                    lane.acting.close()

    def _take_orders(self) -> None:
        while not self._orders.empty():
            self._orders.get()()
        if self._look:
            self._look = False
            for lane in self._lanes.values():
                lane.look_at = 0

    def _under_way(self) -> bool:
        return bool(len(self._connections)) or any(lane.acting and lane.acting.flying for lane in self._lanes.values())

    def _launch(self, lane: _Lane) -> None:
        now = self._clock.now()
        if now < lane.paused_until:
            return
        app = lane.app
        while len(lane.flying) < app.concurrency:
            if not lane.waiting and not self._refill(lane, now):
                return
            waiting = lane.waiting[0]
            if waiting.id in lane.flying or (lane.acting is not None and waiting.id in lane.acting):
                lane.waiting.popleft()
                continue
            if waiting.plan is not None and not waiting.attempts:
                if not self._begin(lane, waiting):
                    return
                continue
            lane.waiting.popleft()
            stamp = waiting.signed
            if stamp is None or app.policy.signed_afresh:
                stamp = Stamp(self._wall(), str(self._random.getrandbits(48)))
            try:
                request = app.provider.request_written(
                    waiting.event_type, waiting.text, app.endpoint, app.credentials, stamp
                )
                self._connections.launch((lane, app, waiting, stamp, now), request, lane.way)
            except Exception as error:  # noqa: BLE001 - One delivery that cannot be made stops no other.
                self._give_up(lane, app, waiting, waiting.attempts + 1, error)
            else:
                lane.flying.add(waiting.id)

    def _refill(self, lane: _Lane, now: int) -> bool:
        """Read the next window from the store; return whether there is anything to send."""
        if lane.look_at is None or now < lane.look_at:
            return False
        try:
            found = self._store.due(lane.app.name, now, WINDOW, lane.cursor)
            if len(found) == WINDOW:
                lane.cursor = (found[-1].due_at, found[-1].id)
            else:
                # The end is reached: the next look begins at the front.
                lane.cursor = None
                lane.look_at = self._store.next_due(lane.app.name, now)
        except ConnectionError as error:
            self._store_failed(lane, error)
            return False
        lane.waiting.extend(one for one in found if one.id not in lane.flying)
        return bool(lane.waiting)

    def _store_failed(self, lane: _Lane, error: Exception) -> None:
        log.warning("the deliveries of %s wait: %s", lane.app.name, error)
        lane.forget()
        lane.look_at = self._clock.now() + round(STORE_PAUSE * 1000)

    def _begin(self, lane: _Lane, waiting: Waiting) -> bool:
        """Begin the plan that a delivery belongs to; return whether the next one can be looked at."""
        app = lane.app
        if lane.acting is None:
            client = Client(app.provider.deadline, app.concurrency, app.headers, app.ca_file, app.proxy)
            lane.acting = Acting(app, client, self._clock, self._wake, self._wall, self._random)
        if len(lane.acting) >= app.concurrency or lane.acting.app is not app:
            return False
        try:
            lane.acting.begin(waiting, self._store)
        except ConnectionError as error:
            self._store_failed(lane, error)
            return False
        except Exception as error:  # noqa: BLE001 - One delivery that cannot be made stops no other.
            self._give_up(lane, app, waiting, 1, error)
        if waiting.id not in lane.acting:
            lane.waiting.popleft()
        return True

    def _act(self, lane: _Lane, acting: Acting) -> None:
        """Take in what came of the steps of plans, and move these on."""
        for played in acting.landed():
            self._played(lane, acting.app, played)
            if played.last:
                acting.forget(played.waiting.id)
        if not self._stopping:
            # Behind that, because what has landed can be what the next step waits for.
            acting.launch()
        if not len(acting) and not acting.flying:
            acting.close()
            lane.acting = None

    def _played(self, lane: _Lane, app: App, played: Played) -> None:
        """Record an attempt of a plan, and what follows from it."""
        number = played.waiting.attempts + len(played.outcomes)
        attempt, now = played.attempt, self._clock.now()
        if isinstance(attempt, Exception):
            self._give_up(lane, app, played.waiting, number, attempt, on=not played.last)
            return
        judgement = attempt.judgement
        state, rule, due_at = WAITING, judgement.rule, now
        if Outcome.ACKED in played.outcomes:
            state = ACKED
        elif played.last:
            state, rule, due_at = self._follow(lane, app, played.outcomes, rule, now)
        done = Done(
            played.waiting.id,
            number,
            attempt.sent_at,
            attempt.reply.seconds,
            judgement.outcome.value,
            attempt.status,
            rule,
            state,
            due_at,
            "; ".join(filter(None, (attempt.shot.note, getattr(attempt.reply, "detail", "")))),
        )
        self._record(lane, app, played.waiting, done)

    def _land(
        self, lane: _Lane, app: App, waiting: Waiting, stamp: Stamp, sent_at: int, reply: Reply | NoReply
    ) -> None:
        judgement = app.provider.judge(reply)
        outcome = judgement.outcome
        outcomes = [*map(Outcome, waiting.outcomes), outcome] if waiting.attempts else [outcome]
        now = self._clock.now()
        state, rule, due_at = self._follow(lane, app, outcomes, judgement.rule, now)
        done = Done(
            waiting.id,
            waiting.attempts + 1,
            sent_at,
            reply.seconds,
            outcome.value,
            reply.status if isinstance(reply, Reply) else None,
            rule,
            state,
            due_at if state == WAITING else sent_at,
            reply.detail if isinstance(reply, NoReply) else "",
            None if app.policy.signed_afresh or waiting.signed else stamp,
        )
        self._record(lane, app, waiting, done)
        lane.flying.discard(waiting.id)

    def _follow(self, lane: _Lane, app: App, outcomes: Sequence[Outcome], rule: str, now: int) -> tuple[str, str, int]:
        """Return the state that follows the attempts made so far, the rule that decided, and when it is due again."""
        following = app.provider.next_attempt(outcomes, app.policy)
        state = STATES[following.action]
        if state == PARKED:
            if lane.parked is None:
                lane.parked = self._parked(app)
            if lane.parked >= app.policy.backlog:
                return DROPPED, f"{rule}; the backlog of {app.policy.backlog} is full", now
            lane.parked += 1
        return state, rule, now + round(following.after * 1000)

    def _parked(self, app: App) -> int:
        try:
            return self._store.counts(app.name)[PARKED]
        except ConnectionError:
            # Rather too many in the backlog than one lost.
            return 0

    def _record(self, lane: _Lane, app: App, waiting: Waiting, done: Done) -> None:
        look_at = done.due_at if done.state == WAITING else None
        try:
            self._store.record(done)
        except ConnectionError as error:
            # Not on record, so it is still due: at least once.
            log.warning("an attempt of delivery %d of %s is not on record: %s", done.delivery_id, app.name, error)
            look_at = self._clock.now() + round(STORE_PAUSE * 1000)
        if look_at is not None:
            lane.look_at = look_at if lane.look_at is None else min(lane.look_at, look_at)
        self._count_timeouts(lane, done.outcome)
        if self._on_attempt:
            self._on_attempt(app, waiting, done)

    def _give_up(
        self, lane: _Lane, app: App, waiting: Waiting, number: int, error: Exception, *, on: bool = False
    ) -> None:
        """Put on record that an attempt cannot be made, which is our fault; `on`: others are still to come."""
        log.error("delivery %d of %s cannot be made: %s: %s", waiting.id, app.name, type(error).__name__, error)
        now, rule = self._clock.now(), f"our own error, nothing was sent: {error}"
        done = Done(waiting.id, number, now, 0.0, NOT_SENT, None, rule, WAITING if on else DROPPED, now)
        self._record(lane, app, waiting, done)

    def _count_timeouts(self, lane: _Lane, outcome: str) -> None:
        """Pause an application whose receiver lets many deliveries in a row time out, if its provider does that."""
        policy = lane.app.policy
        if not policy.pause_after:
            return
        lane.timeouts = lane.timeouts + 1 if outcome == Outcome.TIMED_OUT.value else 0
        if lane.timeouts >= policy.pause_after:
            lane.timeouts = 0
            lane.paused_until = self._clock.now() + round(policy.pause_seconds * 1000)

    def _rest(self, *, until_idle: bool) -> bool:
        """Wait for the next delivery that is due; return False if there is none and none is waited for."""
        if self._stopping and not self._under_way():
            # Steps of plans that are still to come are not waited for.
            return False
        moments: list[int] = []
        now, acting = self._clock.now(), False
        for lane in self._lanes.values():
            if lane.acting is not None:
                acting = True
                if (at := lane.acting.next_due()) is not None and not self._stopping:
                    moments.append(at)
            if not lane.open or self._stopping:
                continue
            if lane.waiting:
                # Unless it pauses, the first one waits for a plan to end.
                if lane.paused_until > now or lane.acting is None:
                    moments.append(lane.paused_until)
            elif lane.look_at is not None:
                moments.append(max(lane.paused_until, lane.look_at))
        if not moments and not acting and (until_idle or self._stopping):
            return False
        if not self._wake.is_set():
            self._clock.wait(min(moments, default=None), self._wake)
        return True


def _way(app: App) -> Way:
    return Way(app.provider.deadline, app.headers, app.ca_file, keep_alive=True, proxy=app.proxy)
