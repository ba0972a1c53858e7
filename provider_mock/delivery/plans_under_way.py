"""Executes the plans of disturbed deliveries for the engine: begins them, moves them on, says what came of each."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random

from im_callback.provider_mock.contract import Event, Outcome, Stamp, Written
from im_callback.provider_mock.delivery.app import App
from im_callback.provider_mock.delivery.clock import Clock
from im_callback.provider_mock.delivery.disturbance import Disturbance, check_proxied
from im_callback.provider_mock.delivery.ledger.records import Waiting
from im_callback.provider_mock.delivery.make import Maker
from im_callback.provider_mock.delivery.perform import Performer, PlannedAttempt
from im_callback.provider_mock.delivery.plan import Step
from im_callback.provider_mock.delivery.sockets.client import Client
from im_callback.provider_mock.history import Shot


@dataclass(slots=True)
class _Part:
    """A delivery's part in a plan: the steps that are left, and the outcomes so far."""

    waiting: Waiting
    left: int
    outcomes: list[Outcome] = field(default_factory=list)
    usual_body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Played:
    """One step that has ended: the delivery, what came of it, all outcomes so far, and whether it was the last step."""

    waiting: Waiting
    attempt: PlannedAttempt | Exception
    outcomes: Sequence[Outcome]
    last: bool
    usual_body: bytes | None
    """What its body would be undisturbed; None where that cannot be made."""


def span(waiting: Waiting) -> tuple[int, int]:
    """Return the first id of the deliveries that were accepted with one that has a plan, and how many these are."""
    disturbance = Disturbance.load(waiting.plan or "")
    return waiting.id - disturbance.index, disturbance.size


class PlansUnderWay:
    """The plans under way of one application. All methods belong to the engine's thread.

    Its length is how many deliveries take part, and a delivery's id is in it as long as it does.
    """

    def __init__(
        self,
        app: App,
        client: Client,
        clock: Clock,
        wake: threading.Event,
        wall: Callable[[], int],
        random: Random,
    ) -> None:
        self.app = app
        self._wall = wall
        self._nonces = lambda: str(random.getrandbits(48))
        self._performer: Performer[dict[int, _Part]] = Performer(client, clock, wake)
        self._taking_part: set[int] = set()

    def __len__(self) -> int:
        return len(self._taking_part)

    def __contains__(self, delivery_id: object) -> bool:
        return delivery_id in self._taking_part

    @property
    def flying(self) -> int:
        """How many requests are under way."""
        return len(self._performer)

    def begin(self, waiting: Waiting, found: Sequence[Waiting]) -> list[int]:
        """Begin the plan of a delivery and of those of `found` that were accepted with it; return who takes part.

        Raises what making the plan raises.
        """
        disturbance = Disturbance.load(waiting.plan or "")
        first = waiting.id - disturbance.index
        members = {one.id - first: one for one in found if one.plan is not None and one.id not in self._taking_part}
        planned = tuple(step for step in disturbance.plan() if step.index in members)
        if self.app.proxy is not None:
            check_proxied(planned)
        batches: list[list[Event]] = [[] for _ in range(disturbance.size)]
        for index, one in members.items():
            batches[index] = [Event(one.event_type, payload) for payload in one.payloads]
        app = self.app
        ids = [app.delivery_id(first + index) for index in range(disturbance.size)]
        maker = Maker(app.provider, app.credentials, app.endpoint, batches, self._nonces, app.endpoints, ids)

        def make_shot(step: Step, millis: int) -> Shot:
            # A fault that chooses the secret chooses by what is present and previous now.
            chosen = any(change.kind == "secret" for change in step.changes)
            maker.credentials = app.credentials if chosen else app.credentials_of(first + step.index, millis)
            # Signed with the time of day, however fast the clock goes.
            return maker(step, self._wall())

        steps = Counter(step.index for step in planned)
        parts = {index: _Part(one, steps[index]) for index, one in members.items()}
        self._performer.add(planned, make_shot, parts)
        taking_part = [one.id for one in members.values()]
        self._taking_part.update(taking_part)
        return taking_part

    def launch(self, most: int) -> int:
        """Send steps that are due, so many at most; return how many."""
        before = len(self._performer)
        self._performer.launch(most)
        return len(self._performer) - before

    def next_due(self) -> int | None:
        """Return when the next step is due; None if the end of a request has to come first."""
        return self._performer.next_due()

    def landed(self) -> Iterator[Played]:
        """Yield what has ended since the last call."""
        for parts, step, attempt in self._performer.landed():
            if isinstance(attempt, BaseException) and not isinstance(attempt, Exception):
                raise attempt
            part = parts[step.index]
            part.left -= 1
            part.outcomes.append(Outcome.UNREACHABLE if isinstance(attempt, Exception) else attempt.outcome)
            yield Played(part.waiting, attempt, tuple(part.outcomes), part.left == 0, self._usual_body(part))

    def _usual_body(self, part: _Part) -> bytes | None:
        """Return the body that the delivery has undisturbed, made once."""
        if part.usual_body is None:
            app, waiting = self.app, part.waiting
            stamp = Stamp(self._wall(), "0")
            with suppress(Exception):
                feed = app.provider.feed_of(waiting.event_type)
                written = Written(waiting.event_type, waiting.text)
                part.usual_body = feed.request(written, app.endpoint_of(feed), app.credentials, stamp).body
        return part.usual_body

    def forget(self, delivery_id: int) -> None:
        """Let a delivery go whose part is over and on record."""
        self._taking_part.discard(delivery_id)

    def close(self) -> None:
        """Break off what is under way."""
        self._performer.close()
