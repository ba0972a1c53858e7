"""How the deliveries of an application are doing. All of it belongs to the engine's thread."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from im_callback.provider_mock.contract import Feed, NoReply, Outcome, Reply, RetryPolicy, Stamp, Tried
from im_callback.provider_mock.delivery.app import App
from im_callback.provider_mock.delivery.ledger.records import (
    ACKED,
    DECLINED,
    DROPPED,
    FINE,
    PARKED,
    WAITING,
    Done,
    Failing,
    Waiting,
)
from im_callback.provider_mock.delivery.plans_under_way import PlansUnderWay
from im_callback.provider_mock.delivery.shown import Mask
from im_callback.provider_mock.delivery.sockets.flights import Way

HOUR = 3_600_000


STATES = {"done": ACKED, "dropped": DROPPED, "parked": PARKED, "retry": WAITING}


@dataclass(frozen=True, slots=True)
class LaneView:
    """How an application is doing: its requests in flight, until when it pauses, since when it is switched off.

    Times are UTC milliseconds of the engine's clock. Of one that is not delivered for `here`, but by
    another process, its `holder`, not all is known.
    """

    in_flight: int
    paused_until: int | None
    switched_off_at: int | None
    holder: str | None = None
    here: bool = True


class Ended(NamedTuple):
    """An attempt whose outcome is known, and that the store has not taken yet."""

    lane: Lane
    app: App
    waiting: Waiting
    done: Done
    planned: bool
    """Whether it was a step of a plan."""
    last: bool = True
    """Whether the delivery is no longer in flight after it."""
    reply: Reply | NoReply | None = None
    """What was answered, where anything was sent."""


class Route(NamedTuple):
    """How the deliveries of an event type leave: their feed, and its address, policy and connections."""

    feed: Feed
    endpoint: str
    policy: RetryPolicy
    way: Way


class Read(NamedTuple):
    """What was read for an application: its window and when to look again, how many are parked, who belongs to a plan."""

    window: Sequence[Waiting] = ()
    next_due: int | None = None
    parked: int | None = None
    planned: Waiting | None = None
    together: Sequence[Waiting] = ()


class Flight(NamedTuple):
    """What comes back with an answer."""

    lane: Lane
    app: App
    waiting: Waiting
    route: Route
    stamp: Stamp
    sent_at: int
    head: list[str]
    """The head of its request, as it is shown, once it is launched."""


@dataclass(slots=True, eq=False)
class Lane:
    """What the engine knows of an application."""

    app: App
    routes: dict[str, Route] = field(init=False)
    """How deliveries leave, by their event types: of those that were looked up."""
    ways: dict[str, Way] = field(init=False)
    """The connections of its feeds, by their names."""
    mask: Mask = field(init=False)
    open: bool = True
    parked: int | None = None
    """How many of its deliveries are parked; None: to be counted."""
    waiting: deque[Waiting] = field(default_factory=deque)
    """The window: what is due and was read."""
    planned: deque[Waiting] = field(default_factory=deque)
    """The same of those that are to be disturbed."""
    held: set[int] = field(default_factory=set)
    """Deliveries in the window or in flight, also those whose outcome the store has not taken yet."""
    in_flight: int = 0
    """How many are in flight, plans aside."""
    undecided: list[Callable[[], None]] = field(default_factory=list)
    """Outcomes that wait for the count of what is parked."""
    plans: PlansUnderWay | None = None
    cursor: tuple[int, int] | None = None
    look_at: int | None = 0
    """When the store is to be asked again; None: not before something is accepted."""
    reading: bool = False
    """Whether its window is being read."""
    planning: bool = False
    """Whether it is being read who belongs to a plan."""
    edition: int = 0
    """Changes when what is being read is not wanted any more."""
    meanwhile: set[int] = field(default_factory=set)
    """What ended while the window was being read: it may be read as it was before."""
    timeouts: int = 0
    paused_until: int = 0
    failing: Failing = FINE
    starts_at: float = 0.0
    """When the next request may start, in seconds of the monotonic clock."""

    def __post_init__(self) -> None:
        self.change(self.app)

    def change(self, app: App) -> None:
        """Deliver for this application from now on."""
        self.app, self.open, self.routes = app, True, {}
        self.ways = {
            feed.name: Way(
                feed.deadline, app.headers, app.ca_file, keep_alive=True, proxy=app.proxy, refuses=app.refuses
            )
            for feed in app.provider.feeds
        }
        self.mask = Mask(app.credentials.secrets, app.headers)
        self.forget()

    def stamp(self, one: Waiting, policy: RetryPolicy, wall: Callable[[], int], nonce: Callable[[], str]) -> Stamp:
        """Return what the next attempt of a delivery is made with."""
        name = self.app.delivery_id(one.id)
        if not one.attempts:
            return Stamp(wall(), nonce(), name)
        kept = None if policy.signed_afresh else one.signed
        made = (kept.millis, kept.nonce) if kept else (wall(), nonce())
        before = tried(one)[-1:]
        return Stamp(*made, name, one.attempts + 1, before[0] if before else None)

    def follow(
        self, feed: Feed, policy: RetryPolicy, attempts: Sequence[Tried], rule: str, now: int
    ) -> tuple[str, str, int] | None:
        """Return the state that follows the attempts made so far, the rule that decided, and when it is due again.

        None: it has to be counted first how many are parked.
        """
        following = feed.next_attempt(attempts, policy)
        state = STATES[following.action]
        if attempts[-1].outcome is Outcome.DECLINED and state == ACKED:
            state = DECLINED
        if state == PARKED:
            if self.parked is None:
                return None
            if self.parked >= policy.backlog:
                return DROPPED, f"{rule}; the backlog of {policy.backlog} is full", now
            self.parked += 1
        return state, rule, now + round(following.after * 1000)

    def route(self, event_type: str) -> Route:
        """Return how a delivery leaves; raises what the provider's code raises."""
        if (found := self.routes.get(event_type)) is None:
            feed = self.app.provider.feed_of(event_type)
            found = Route(feed, self.app.endpoint_of(feed), self.app.policy_of(feed), self.ways[feed.name])
            self.routes[event_type] = found
        return found

    def forget(self) -> None:
        """Read the store again."""
        self.held.difference_update(one.id for one in (*self.waiting, *self.planned))
        self.waiting.clear()
        self.planned.clear()
        self.edition += 1
        self.reading = self.planning = False
        self.cursor, self.look_at, self.parked = None, 0, None

    def take(self, window: Sequence[Waiting]) -> None:
        """Add what was read to the window."""
        held, meanwhile = self.held, self.meanwhile
        for one in window:
            if one.id not in held and one.id not in meanwhile:
                held.add(one.id)
                (self.waiting if one.plan is None or one.attempts else self.planned).append(one)

    def let_go(self, delivery_id: int) -> None:
        """Hold a delivery no more."""
        self.held.discard(delivery_id)
        if self.reading:
            self.meanwhile.add(delivery_id)

    def view(self, now: int) -> LaneView:
        """Return how it is doing."""
        paused_until = self.paused_until if self.paused_until > now else None
        return LaneView(self.in_flight + self.plans_flying, paused_until, self.failing.switched_off_at)

    @property
    def plans_flying(self) -> int:
        """How many requests of plans are in flight."""
        return 0 if self.plans is None else self.plans.flying

    @property
    def idle(self) -> bool:
        """Whether nothing of it is in flight."""
        return not self.in_flight and not self.plans_flying

    def look_again(self, at: int) -> None:
        """Ask the store at this time, if not before."""
        self.look_at = at if self.look_at is None else min(self.look_at, at)

    def room(self, now: float) -> int:
        """Return how many requests may start, at this moment of the monotonic clock."""
        room = self.app.concurrency - self.in_flight - self.plans_flying
        if self.app.rate is None:
            return room
        return min(room, 1) if now >= self.starts_at else 0

    def started(self, count: int, now: float) -> None:
        """Take note that requests have started."""
        if self.app.rate is not None:
            # What was not used up is lost: the next second has no more than its share.
            self.starts_at = max(self.starts_at, now) + count / self.app.rate

    def heard(self, outcome: Outcome, now: int, policy: RetryPolicy) -> bool:
        """Take an outcome, with what follows from many of them; return whether the lane is switched off by it."""
        if policy.pause_after:
            self.timeouts = self.timeouts + 1 if outcome is Outcome.TIMED_OUT else 0
            if self.timeouts >= policy.pause_after:
                self.timeouts = 0
                self.paused_until = now + round(policy.pause_seconds * 1000)
        if outcome is Outcome.ACKED or outcome is Outcome.DECLINED:
            if self.failing.switched_off_at is None:
                self.failing = FINE
            return False
        since = now if self.failing.since is None else self.failing.since
        hours, off = self.app.give_up_hours, self.failing.switched_off_at
        gives_up = hours is not None and off is None and now - since >= hours * HOUR
        self.failing = Failing(since, now if gives_up else off)
        return gives_up


def tried(waiting: Waiting) -> list[Tried]:
    """Return the attempts that count for the retry policy; those that we did not make are left out."""
    return [Tried(_OUTCOMES[one]) for one in waiting.outcomes if one in _OUTCOMES]


_OUTCOMES = {outcome.value: outcome for outcome in Outcome}
