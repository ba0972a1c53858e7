"""Delivers what a store holds, by each provider's own rules, until it is told to stop.

One thread drives all connections, and waits for nothing else: the store is read in a thread of its
own and takes attempts without making anybody wait. Only a window of each application's waiting
deliveries is in memory; the rest stays in the store. What is in flight is remembered here and
nowhere else: after a crash everything unfinished is due again, so every accepted delivery reaches
the receiver at least once. Two rules a change must keep: a delivery is in flight at most once at a
time, and it stays in flight until the store has taken its outcome. So while a store takes nothing,
no more is sent than there is room for in flight, and nothing is sent twice.

Deliveries that are to be disturbed are executed by their plan (`plans_under_way.py`). When the plan is
through, or was cut short by a crash, the provider's policy goes on from what came of it.

What a provider's code raises ends the delivery that it was called for, and no other.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from math import inf
from random import Random

from im_callback.provider_mock.contract import (
    Judgement,
    NoReply,
    Outcome,
    Reply,
    RetryPolicy,
    Tried,
    Written,
)
from im_callback.provider_mock.delivery.app import App
from im_callback.provider_mock.delivery.clock import Clock, RealClock, steady, utc_millis
from im_callback.provider_mock.delivery.lane import Ended, Flight, Lane, LaneView, Read, tried
from im_callback.provider_mock.delivery.ledger.records import (
    ACKED,
    DECLINED,
    DROPPED,
    FINE,
    WAITING,
    Done,
    Failing,
    Waiting,
)
from im_callback.provider_mock.delivery.plans_under_way import PlansUnderWay, Played, span
from im_callback.provider_mock.delivery.reader import Reader
from im_callback.provider_mock.delivery.shown import shown_shot
from im_callback.provider_mock.delivery.sockets.client import Client
from im_callback.provider_mock.delivery.sockets.connections import Connections
from im_callback.provider_mock.delivery.store import Store

log = logging.getLogger("im_callback.provider_mock.engine")

WINDOW = 1000
"""Waiting deliveries of an application that are in memory at most, and those whose plans are under way."""
PAUSE = 0.05
"""Seconds that new work can wait while connections are quiet."""
STORE_PAUSE = 1.0
"""Seconds after which a store that did not answer is asked again."""
LAST_SECONDS = 10.0
"""How long a store that takes nothing is waited for at the end."""
NOT_SENT = "not sent"
"""The outcome of an attempt that we could not make: our own error."""
NOT_JUDGED = "not judged"
"""The outcome of an attempt whose answer made the provider's code fail: our own error."""

FAILURES = (Exception, SystemExit)
"""What code that is not ours may raise without ending more than the delivery it was called for."""


class _Wake(threading.Event):
    """Wakes the engine, wherever it waits."""

    def __init__(self, poke: Callable[[], None]) -> None:
        super().__init__()
        self._poke = poke

    def set(self) -> None:
        super().set()
        self._poke()


class Engine:
    """Sends what is due. `on_attempt` is called, in the engine's thread, with every attempt that the store has taken.

    It is given the whole answer too, or None where nothing was sent. `on_failing` is called, in that thread too, when it
    is another than before how an application that can be given up fails. `clock` decides when something is due; requests
    are signed with the time of day, `wall`. Without a `seed` no two engines give the same nonces.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock | None = None,
        *,
        apps: Iterable[App] = (),
        seed: int | None = None,
        on_attempt: Callable[[App, Waiting, Done, Reply | NoReply | None], None] | None = None,
        on_failing: Callable[[App, Failing], None] | None = None,
        wall: Callable[[], int] = utc_millis,
    ) -> None:
        self._store = store
        self._lanes = {app.name: Lane(app) for app in apps}
        self._clock = clock or RealClock()
        self._wall = wall
        self._random = Random(seed)
        self._nonce = lambda: str(self._random.getrandbits(48))
        self._on_attempt, self._on_failing = on_attempt, on_failing
        self._connections: Connections[Flight] = Connections()
        self._wake = _Wake(self._connections.poke)
        self._reader: Reader[tuple[Lane, int], Read] = Reader(self._wake.set)
        self._orders: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._ended: deque[Ended] = deque()
        """Attempts that the store has not taken yet."""
        self._refused = False
        """Whether the store had no room for the last ones."""
        self._look = False
        self._stopping = False
        self._until = inf

    # What can be called from any thread.

    def put(self, app: App, failing: Failing = FINE) -> None:
        """Deliver for an application, or go on with this in the place of the one of its name; and how it fails."""

        def order() -> None:
            if app.name in self._lanes:
                self._lanes[app.name].change(app)
            else:
                self._lanes[app.name] = Lane(app)
            self._set_failing(self._lanes[app.name], failing)

        self._order(order)

    def resume(self, name: str) -> None:
        """Send for an application again that was switched off, or pauses."""

        def order(lane: Lane) -> None:
            lane.paused_until = lane.timeouts = 0
            self._set_failing(lane, FINE)

        self._order_for(name, order)

    def send_until(self, moment: float) -> None:
        """Send nothing after this moment of the steady clock; what is under way then lands."""
        self._until = moment
        self._wake.set()

    def remove(self, name: str) -> None:
        """Deliver no more for an application: what is in flight lands, the rest stays in the store."""

        def order(lane: Lane) -> None:
            lane.open = False
            lane.forget()

        self._order_for(name, order)

    def delivers(self, name: str) -> bool:
        """Return whether an application is there, or was removed and something of it is still in flight."""
        return name in self._lanes

    def recount(self, name: str) -> None:
        """Count again what is parked: something else than the engine has changed it."""

        def order(lane: Lane) -> None:
            lane.parked = None

        self._order_for(name, order)

    def reread(self, name: str) -> None:
        """Read an application's waiting deliveries again: something else than the engine has changed them."""
        self._order_for(name, Lane.forget)

    def wake(self) -> None:
        """Look at the store again: something was accepted, or made due."""
        self._look = True
        self._wake.set()

    def stop(self) -> None:
        """Let `run` return once the requests under way have landed."""
        self._stopping = True
        self._wake.set()

    def lanes(self) -> dict[str, LaneView]:
        """Return how each application is doing."""
        now = self._clock.now()
        return {name: lane.view(now) for name, lane in self._lanes.copy().items() if lane.open}

    def _order(self, order: Callable[[], None]) -> None:
        self._orders.put(order)
        self._wake.set()

    def _order_for(self, name: str, order: Callable[[Lane], None]) -> None:
        self._order(lambda: order(self._lanes[name]) if name in self._lanes else None)

    # What follows runs in the engine's thread.

    def run(self, *, until_idle: bool = False) -> None:
        """Deliver until stopped; with `until_idle`, until nothing is waiting any more, now or later."""
        try:
            while True:
                if self._wake.is_set():
                    self._wake.clear()
                    self._take_orders()
                for lane in list(self._lanes.values()):
                    if lane.plans is not None:
                        self._take_steps(lane, lane.plans)
                self._hand_over()
                self._end_plans()
                if not self._stopping and not self._refused and steady() < self._until:
                    for lane in self._lanes.values():
                        if lane.open and lane.failing.switched_off_at is None:
                            self._move(lane)
                if len(self._connections):
                    for flight, reply in self._connections.landed(self._pause()):
                        self._land(flight, reply)
                elif not self._rest(until_idle=until_idle):
                    break
            self._hand_over_last()
        finally:
            self._connections.close()
            self._reader.close()
            for lane in self._lanes.values():
                if lane.plans is not None:
                    lane.plans.close()

    def _take_orders(self) -> None:
        while not self._orders.empty():
            self._orders.get()()
        if self._look:
            self._look = False
            for lane in self._lanes.values():
                lane.look_at = 0
        for (lane, edition), found in self._reader.found():
            if edition == lane.edition and lane.open:
                self._take_read(lane, found)
        for name, lane in list(self._lanes.items()):
            if not lane.open and lane.idle:
                del self._lanes[name]

    def _under_way(self) -> bool:
        return bool(len(self._connections)) or any(lane.plans_flying for lane in self._lanes.values())

    # Reading

    def _move(self, lane: Lane) -> None:
        """Read what is needed, and send what may be sent."""
        now = self._clock.now()
        if not lane.reading and len(lane.waiting) < WINDOW // 2 and len(lane.planned) < WINDOW:
            if lane.undecided and lane.parked is None:
                self._read(lane, now, count=True)
            elif lane.look_at is not None and now >= lane.look_at:
                self._read(lane, now)
        if now < lane.paused_until:
            return
        if lane.planned and not lane.planning:
            self._read_plan(lane)
        if lane.plans is not None:
            moment = time.monotonic()
            if (room := lane.room(moment)) > 0:
                # Behind what has landed, because that can be what the next step waits for.
                lane.started(lane.plans.launch(room), moment)
        if lane.waiting:
            self._launch(lane, now)

    def _read(self, lane: Lane, now: int, *, count: bool = False) -> None:
        """Have the next window read."""
        lane.reading, lane.look_at = True, None
        lane.meanwhile.clear()
        store, name, cursor = self._store, lane.app.name, lane.cursor

        def read() -> Read:
            parked = store.backlog(name) if count else None
            window = store.due(name, now, WINDOW, cursor)
            next_due = store.next_due(name, now) if len(window) < WINDOW else None
            return Read(window, next_due, parked)

        self._reader.ask((lane, lane.edition), read)

    def _read_plan(self, lane: Lane) -> None:
        """Have it read who belongs to the plan of the next delivery that has one."""
        while lane.planned and lane.plans is not None and lane.planned[0].id in lane.plans:
            lane.planned.popleft()
        if not lane.planned:
            return
        if lane.plans is not None and (len(lane.plans) >= WINDOW or lane.plans.app is not lane.app):
            return
        store, planned = self._store, lane.planned[0]
        try:
            first, size = span(planned)
        except FAILURES as error:  # One delivery that cannot be made stops no other.
            lane.planned.popleft()
            self._give_up(lane, lane.app, planned, planned.attempts + 1, error, planned=True)
            return
        lane.planning = True

        def read() -> Read:
            return Read(planned=planned, together=store.together(planned.app, first, size))

        self._reader.ask((lane, lane.edition), read)

    def _take_read(self, lane: Lane, found: Read | Exception) -> None:
        if isinstance(found, Exception):
            log.warning("the deliveries of %s wait: %s", lane.app.name, found)
            lane.forget()
            lane.look_at = self._clock.now() + round(STORE_PAUSE * 1000)
            return
        if found.planned is not None:
            self._begin(lane, found.planned, found.together)
            return
        lane.reading = False
        if found.parked is not None:
            lane.parked = found.parked
        lane.take(found.window)
        if len(found.window) == WINDOW:
            lane.cursor = (found.window[-1].due_at, found.window[-1].id)
            lane.look_at = 0
        else:
            # The end is reached: the next look begins at the front.
            lane.cursor = None
            if found.next_due is not None:
                lane.look_again(found.next_due)
        undecided, lane.undecided = lane.undecided, []
        for decide in undecided:
            decide()

    def _begin(self, lane: Lane, planned: Waiting, together: Sequence[Waiting]) -> None:
        """Begin a plan."""
        lane.planning = False
        lane.planned.popleft()
        app = lane.app
        if lane.plans is None:
            client = Client(app.deadline, app.concurrency, app.headers, app.ca_file, app.proxy, app.refuses)
            lane.plans = PlansUnderWay(app, client, self._clock, self._wake, self._wall, self._random)
        # Those in the window of which the store does not know yet that they were attempted are left out.
        mine = [one for one in together if one.id not in lane.meanwhile]
        try:
            lane.held.update(lane.plans.begin(planned, mine))
        except FAILURES as error:  # One delivery that cannot be made stops no other.
            self._give_up(lane, app, planned, planned.attempts + 1, error, planned=True)
        else:
            if planned.id not in lane.plans:
                lane.let_go(planned.id)

    # Sending

    def _launch(self, lane: Lane, now: int) -> None:
        """Send what is in the window, as far as there is room."""
        app, waiting = lane.app, lane.waiting
        route_of, credentials, overlap = lane.route, app.credentials, app.overlap
        moment = time.monotonic()
        room, started = lane.room(moment), 0
        while waiting and started < room:
            one = waiting.popleft()
            started += 1
            lane.in_flight += 1
            try:
                route = route_of(one.event_type)
                feed, endpoint, policy, way = route
                stamp = lane.stamp(one, policy, self._wall, self._nonce)
                if overlap is not None:
                    credentials = app.credentials_of(one.id, now)
                request = feed.request(Written(one.event_type, one.text), endpoint, credentials, stamp)
                flight = Flight(lane, app, one, route, stamp, now, [])
                flight.head.append(self._connections.launch(flight, request, way))
            except FAILURES as error:  # One delivery that cannot be made stops no other.
                self._give_up(lane, app, one, one.attempts + 1, error)
        lane.started(started, moment)

    def _take_steps(self, lane: Lane, plans: PlansUnderWay) -> None:
        """Take in what came of the steps of plans."""
        for played in plans.landed():
            self._played(lane, plans.app, played)

    def _end_plans(self) -> None:
        """Let go of plans that are through and on record."""
        for lane in self._lanes.values():
            if lane.plans is not None and not len(lane.plans) and not lane.plans.flying:
                # Its threads end on their own: one may be looking up a name.
                threading.Thread(target=lane.plans.close, name="plans end", daemon=True).start()
                lane.plans = None

    def _played(self, lane: Lane, app: App, played: Played) -> None:
        """Put an attempt of a plan on record, and what follows from it."""
        number = played.waiting.attempts + len(played.outcomes)
        attempt, now = played.attempt, self._clock.now()
        if isinstance(attempt, Exception):
            self._give_up(lane, app, played.waiting, number, attempt, planned=True, last=played.last)
            return
        judgement, feed = attempt.judgement, app.provider.feed_of(played.waiting.event_type)
        state, rule, due_at = WAITING, _rule(lane, judgement), now
        if Outcome.ACKED in played.outcomes:
            state = ACKED
        elif Outcome.DECLINED in played.outcomes:
            state = DECLINED
        elif played.last:
            try:
                tries = [*map(Tried, played.outcomes[:-1]), Tried(judgement.outcome, attempt.reply)]
                followed = lane.follow(feed, app.policy_of(feed), tries, rule, now)
            except FAILURES as error:  # The provider's code is to blame, and stops no other delivery.
                followed = DROPPED, lane.mask(f"our own error: {type(error).__name__}: {error}"), now
            if followed is None:
                lane.undecided.append(partial(self._played, lane, app, played))
                return
            state, rule, due_at = followed
        request, body = shown_shot(attempt.shot, attempt.step.transport, app.headers, played.usual_body)
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
            None,
            request,
            body,
            lane.mask.answer(attempt.reply, feed),
        )
        self._heard(lane, judgement.outcome, now, app.policy_of(feed))
        self._ended.append(Ended(lane, app, played.waiting, done, planned=True, last=played.last, reply=attempt.reply))

    def _land(self, flight: Flight, reply: Reply | NoReply) -> None:
        """Judge an answer, and put the attempt on record with what follows from it."""
        lane, app, waiting, (feed, _, policy, _), stamp, sent_at, head = flight
        number, now = waiting.attempts + 1, self._clock.now()
        try:
            judgement = feed.judge(reply)
            outcome = judgement.outcome
            last = Tried(outcome, reply)
            attempts = [*tried(waiting), last] if waiting.attempts else [last]
            followed = lane.follow(feed, policy, attempts, _rule(lane, judgement), now)
        except FAILURES as error:  # The provider's code is to blame, and stops no other delivery.
            rule = lane.mask(f"our own error, the answer was not judged: {type(error).__name__}: {error}")
            log.error("delivery %d of %s: %s", waiting.id, app.name, rule)  # noqa: TRY400 - Its text is masked, the traceback is not.
            outcome_text, followed = NOT_JUDGED, (DROPPED, rule, now)
        else:
            if followed is None:
                lane.undecided.append(partial(self._land, flight, reply))
                return
            outcome_text = outcome.value
            self._heard(lane, outcome, now, policy)
        state, rule, due_at = followed
        done = Done(
            waiting.id,
            number,
            sent_at,
            reply.seconds,
            outcome_text,
            reply.status if isinstance(reply, Reply) else None,
            rule,
            state,
            due_at if state == WAITING else sent_at,
            reply.detail if isinstance(reply, NoReply) else "",
            None if policy.signed_afresh else stamp,
            head[0],
            None,
            lane.mask.answer(reply, feed),
        )
        self._ended.append(Ended(lane, app, waiting, done, planned=False, reply=reply))

    def _heard(self, lane: Lane, outcome: Outcome, now: int, policy: RetryPolicy) -> None:
        before = lane.failing
        gives_up = lane.heard(outcome, now, policy)
        self._tell_failing(lane, before)
        if gives_up:
            log.warning(
                "the receiver of %s has failed for %g hours, and gets nothing more until the app is resumed",
                lane.app.name,
                lane.app.give_up_hours,
                extra={"event": "app-switched-off", "fields": {"app": lane.app.name}},
            )

    def _set_failing(self, lane: Lane, failing: Failing) -> None:
        before, lane.failing = lane.failing, failing
        self._tell_failing(lane, before)

    def _tell_failing(self, lane: Lane, before: Failing) -> None:
        if self._on_failing and lane.failing != before and (lane.app.give_up_hours is not None or lane.failing == FINE):
            self._on_failing(lane.app, lane.failing)

    def _give_up(
        self,
        lane: Lane,
        app: App,
        waiting: Waiting,
        number: int,
        error: BaseException,
        *,
        planned: bool = False,
        last: bool = True,
    ) -> None:
        """Put on record that an attempt cannot be made, which is our fault."""
        rule = lane.mask(f"our own error, nothing was sent: {error}")
        log.error("delivery %d of %s cannot be made: %s: %s", waiting.id, app.name, type(error).__name__, rule)
        now = self._clock.now()
        done = Done(waiting.id, number, now, 0.0, NOT_SENT, None, rule, DROPPED if last else WAITING, now)
        self._ended.append(Ended(lane, app, waiting, done, planned, last))

    # Recording

    def _hand_over(self) -> None:
        """Give the store what has ended. What it does not take stays in flight."""
        if not self._ended:
            return
        try:
            taken = self._store.record([one.done for one in self._ended])
        except ConnectionError:
            taken = 0
        for _ in range(taken):
            lane, app, waiting, done, planned, last, reply = self._ended.popleft()
            if not planned:
                lane.in_flight -= 1
            elif last and lane.plans is not None:
                lane.plans.forget(waiting.id)
            if last:
                lane.let_go(waiting.id)
                if done.state == WAITING:
                    lane.look_again(done.due_at)
            if self._on_attempt:
                self._on_attempt(app, waiting, done, reply)
        refused = bool(self._ended)
        if refused and not self._refused:
            log.warning(
                "the store takes no attempts now: nothing more is sent until it does",
                extra={"event": "attempts-held-back", "fields": {"attempts": len(self._ended)}},
            )
        self._refused = refused

    def _hand_over_last(self) -> None:
        """Wait a while, at the end, for a store that takes nothing."""
        until = time.monotonic() + LAST_SECONDS
        while self._ended and time.monotonic() < until:
            self._hand_over()
            if self._ended:
                self._wake.wait(PAUSE)
                self._wake.clear()
        if self._ended:
            log.error(
                "%d attempts are not on record; their deliveries will be sent again",
                len(self._ended),
                extra={"event": "attempts-lost", "fields": {"attempts": len(self._ended)}},
            )

    # Waiting

    def _pause(self) -> float:
        """Return for how many seconds answers are waited for before something else is looked at."""
        paced = [lane.starts_at for lane in self._lanes.values() if lane.app.rate is not None and lane.waiting]
        return min(PAUSE, max(0.0, min(paced) - time.monotonic())) if paced else PAUSE

    def _rest(self, *, until_idle: bool) -> bool:
        """Wait for the next delivery that is due; return False if there is none and none is waited for."""
        if self._stopping and not self._under_way():
            # Steps of plans that are still to come are not waited for.
            return False
        if self._ended or (steady() >= self._until and not self._stopping):
            self._wake.wait(PAUSE)
            return True
        moments: list[int] = []
        now, moment = self._clock.now(), time.monotonic()
        waiting = reading = False
        paced: float | None = None
        for lane in self._lanes.values():
            if lane.plans_flying:
                waiting = True
            if self._stopping or not lane.open or lane.failing.switched_off_at is not None:
                continue
            reading = reading or lane.reading or lane.planning
            if lane.app.rate is not None and moment < lane.starts_at and (lane.waiting or lane.plans):
                paced = lane.starts_at if paced is None else min(paced, lane.starts_at)
                continue
            if lane.plans is not None:
                waiting = True
                if (at := lane.plans.next_due()) is not None and lane.room(moment) > 0:
                    moments.append(max(at, lane.paused_until))
            if lane.waiting or lane.planned:
                # Unless it pauses, they wait for a plan.
                if lane.paused_until > now or lane.plans is None:
                    moments.append(lane.paused_until)
            elif lane.look_at is not None:
                moments.append(max(lane.paused_until, lane.look_at))
        if paced is not None:
            self._wake.wait(max(0.0, min(PAUSE, paced - moment)))
        elif reading:
            # The clock is not to run ahead of what is being read.
            if not self._wake.wait(PAUSE) and moments:
                self._clock.wait(min(moments), self._wake)
        elif not moments and not waiting and (until_idle or self._stopping):
            return False
        elif not self._wake.is_set():
            self._clock.wait(min(moments, default=None), self._wake)
        return True


def _rule(lane: Lane, judgement: Judgement) -> str:
    """Return the rule that decided; the receiver's own words in it can hold anything."""
    return lane.app.credentials.masked(judgement.rule) if judgement.outcome is Outcome.DECLINED else judgement.rule
