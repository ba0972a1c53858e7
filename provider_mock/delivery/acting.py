"""Executes the plans of disturbed deliveries for the engine: begins them, moves them on, says what came of each."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Protocol

from provider_mock.contract import Event, Outcome
from provider_mock.delivery.client import Client
from provider_mock.delivery.clock import Clock
from provider_mock.delivery.disturbance import Disturbance, check_proxied
from provider_mock.delivery.ledger.records import Waiting
from provider_mock.delivery.make import Maker
from provider_mock.delivery.perform import Performer, PlannedAttempt
from provider_mock.delivery.plan import Step
from provider_mock.history import Shot

if TYPE_CHECKING:
    from provider_mock.delivery.engine import App


class Source(Protocol):
    """Where deliveries that were accepted together are found."""

    def together(self, app: str, first: int, size: int) -> Sequence[Waiting]:
        """Return those of the `size` deliveries from this id on that have never been attempted."""
        ...


@dataclass(slots=True)
class _Part:
    """A delivery's part in a plan: the steps that are left, and the outcomes so far."""

    waiting: Waiting
    left: int
    outcomes: list[Outcome] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Played:
    """One step that has ended: the delivery, what came of it, all outcomes so far, and whether it was the last step."""

    waiting: Waiting
    attempt: PlannedAttempt | Exception
    outcomes: Sequence[Outcome]
    last: bool


class Acting:
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
        self._performer: Performer[dict[int, _Part]] = Performer(app.provider, client, clock, wake)
        self._taking_part: set[int] = set()

    def __len__(self) -> int:
        return len(self._taking_part)

    def __contains__(self, delivery_id: object) -> bool:
        return delivery_id in self._taking_part

    @property
    def flying(self) -> int:
        """How many requests are under way."""
        return len(self._performer)

    def begin(self, waiting: Waiting, source: Source) -> None:
        """Begin the plan of a delivery and of all that were accepted with it, have one too and wait still.

        Raises what reading or making the plan raises.
        """
        disturbance = Disturbance.load(waiting.plan or "")
        first = waiting.id - disturbance.index
        found = source.together(self.app.name, first, disturbance.size)
        members = {one.id - first: one for one in found if one.plan is not None and one.id not in self._taking_part}
        planned = tuple(step for step in disturbance.plan() if step.index in members)
        if self.app.proxy is not None:
            check_proxied(planned)
        batches: list[list[Event]] = [[] for _ in range(disturbance.size)]
        for index, one in members.items():
            batches[index] = [Event(one.event_type, payload) for payload in one.payloads]
        maker = Maker(self.app.provider, self.app.credentials, self.app.endpoint, batches, self._nonces)

        def make_shot(step: Step, _millis: int) -> Shot:
            # Signed with the time of day, however fast the clock goes.
            return maker(step, self._wall())

        steps = Counter(step.index for step in planned)
        parts = {index: _Part(one, steps[index]) for index, one in members.items()}
        self._performer.add(planned, make_shot, parts)
        self._taking_part.update(one.id for one in members.values())

    def launch(self) -> None:
        """Send the steps that are due."""
        self._performer.launch()

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
            yield Played(part.waiting, attempt, tuple(part.outcomes), part.left == 0)

    def forget(self, delivery_id: int) -> None:
        """Let a delivery go whose part is over and on record."""
        self._taking_part.discard(delivery_id)

    def close(self) -> None:
        """Break off what is under way."""
        self._performer.close()
