"""Executes a plan: sends its steps when they are due, judges the replies and writes history.

The clock is injected; it decides when a step is due. Deadlines, trickling and everything else on
the socket pass in real time.
"""

from __future__ import annotations

import heapq
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count, groupby
from types import TracebackType
from typing import Literal

from provider_mock.contract import NoReply, Outcome, Reply
from provider_mock.delivery.clock import Clock, RealClock
from provider_mock.delivery.courier import Courier
from provider_mock.delivery.disturbed import Disturber
from provider_mock.delivery.plan import Chain, Plan, Step, chains
from provider_mock.history import Attempt, Shot

MakeShot = Callable[[Step, int], Shot]
"""Makes the shot of a step that leaves at a time in UTC milliseconds."""
Expected = Literal["acknowledgement", "refusal", "answer", "nothing"]


@dataclass(frozen=True, slots=True)
class PlannedAttempt(Attempt):
    """An attempt, and the step of the plan that it was."""

    step: Step

    @property
    def expected(self) -> Expected:
        """What the receiver owes for it.

        An acknowledgement, where the provider itself could have sent it and could read the reply.
        A refusal, where the signature does not fit. Some answer, where it does, but the request
        is none that the provider sends, or its time is another one and the documents set no
        limit: it may be taken or refused. Nothing, where the fault keeps the reply from coming back.
        """
        if not self.step.transport.ackable:
            return "nothing"
        if self.shot.forged:
            return "refusal"
        return "answer" if self.shot.broken or self.step.stamp_shift else "acknowledgement"

    @property
    def as_expected(self) -> bool:
        """Whether the receiver did what it owes."""
        match self.expected:
            case "acknowledgement":
                return self.acked
            case "refusal":
                return self.outcome is Outcome.REFUSED
            case "answer":
                return self.outcome in (Outcome.ACKED, Outcome.REFUSED)
            case _:
                return True


def fulfilled(attempts: Iterable[PlannedAttempt]) -> bool:
    """Return whether the receiver did what it owes, for each delivery at least once.

    Each attempt for which it owes something must have got it. An attempt for which it owes
    nothing, because the fault kept the reply away, is made up for by the one that follows it; a
    delivery with no other attempts is not fulfilled.
    """
    by_delivery: dict[int, list[PlannedAttempt]] = {}
    for attempt in attempts:
        by_delivery.setdefault(attempt.step.index, []).append(attempt)
    return all(
        all(one.as_expected for one in made) and any(one.expected != "nothing" for one in made)
        for made in by_delivery.values()
    )


def perform(plan: Plan, make_shot: MakeShot, courier: Courier, clock: Clock | None = None) -> Iterator[PlannedAttempt]:
    """Send the plan's steps when they are due; yield each attempt as soon as its outcome is known.

    At most `courier.client.concurrency` requests are under way at once; what is due beyond that
    waits. The caller's thread keeps the time while it waits for the next attempt.
    """
    with _Performance(plan, make_shot, courier, clock or RealClock()) as performance:
        yield from performance.run()


@dataclass(frozen=True, slots=True)
class _Flight:
    """A step that is under way: its chain, its place in it, and what was sent when."""

    chain: Chain
    place: int
    shot: Shot
    sent_at: int

    @property
    def step(self) -> Step:
        return self.chain[self.place]


class _Performance:
    def __init__(self, plan: Plan, make_shot: MakeShot, courier: Courier, clock: Clock) -> None:
        self._make_shot = make_shot
        self._courier = courier
        self._clock = clock
        self._turns = iter([list(group) for _, group in groupby(chains(plan), lambda chain: chain[0].turn)])
        self._due: list[tuple[int, int, int, Chain]] = []
        self._numbers = count()
        self._flying = 0
        self._awaited = 0
        self._landed: queue.SimpleQueue[tuple[_Flight, Reply | NoReply | BaseException]] = queue.SimpleQueue()
        self._wake = threading.Event()
        self._disturber: Disturber | None = None
        self._threads = ThreadPoolExecutor(courier.client.concurrency, "deliveries")

    def __enter__(self) -> _Performance:  # noqa: PYI034 - typing.Self is of Python 3.11.
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._disturber is not None:
            self._disturber.close()
        self._threads.shutdown(cancel_futures=True)

    def run(self) -> Iterator[PlannedAttempt]:
        """Yield the attempts until the plan is through."""
        while self._begin_turns():
            self._launch()
            if not self._landed.empty() or self._flying >= self._courier.client.concurrency or not self._due:
                self._clock.wait(None, self._wake)
            else:
                self._clock.wait(self._due[0][0], self._wake)
            self._wake.clear()
            while not self._landed.empty():
                yield self._land(*self._landed.get())

    def _begin_turns(self) -> bool:
        """Begin what nothing is left to wait for; return whether anything is left to do."""
        while not self._awaited:
            turn = next(self._turns, None)
            if turn is None:
                break
            now = self._clock.now()
            for chain in turn:
                self._awaited += chain[0].awaited
                self._schedule(chain, 0, now)
        return bool(self._due or self._flying)

    def _schedule(self, chain: Chain, place: int, now: int) -> None:
        heapq.heappush(self._due, (now + round(chain[place].at * 1000), next(self._numbers), place, chain))

    def _launch(self) -> None:
        """Send everything that is due, as far as concurrency allows: plain requests at once, in one thread."""
        now = self._clock.now()
        plain: list[_Flight] = []
        while self._due and self._due[0][0] <= now and self._flying < self._courier.client.concurrency:
            _, _, place, chain = heapq.heappop(self._due)
            shot = self._make_shot(chain[place], now)
            flight = _Flight(chain, place, shot, now)
            self._flying += 1
            # libcurl would wait for the body that a reply to HEAD announces and does not have.
            if flight.step.disturbed or shot.request.method == "HEAD":
                self._disturb(flight)
            else:
                plain.append(flight)
        if plain:
            self._threads.submit(self._send, plain)

    def _send(self, flights: list[_Flight]) -> None:
        waiting = dict(enumerate(flights))
        try:
            requests = [(number, flight.shot.request) for number, flight in waiting.items()]
            for number, reply in self._courier.client.stream(requests):
                self._report(waiting.pop(number), reply)
        except BaseException as error:  # noqa: BLE001 - It is raised again where the caller sees it.
            for flight in waiting.values():
                self._report(flight, error)

    def _disturb(self, flight: _Flight) -> None:
        if self._disturber is None:
            self._disturber = Disturber(self._courier.client)
        step = flight.step

        def done(future: Future[Reply | NoReply]) -> None:
            if not future.cancelled():
                self._report(flight, future.exception() or future.result())

        self._disturber.submit(flight.shot.request, step.transport, step.connection).add_done_callback(done)

    def _report(self, flight: _Flight, reply: Reply | NoReply | BaseException) -> None:
        self._landed.put((flight, reply))
        self._wake.set()

    def _land(self, flight: _Flight, reply: Reply | NoReply | BaseException) -> PlannedAttempt:
        if isinstance(reply, BaseException):
            raise reply
        self._flying -= 1
        judgement = self._courier.provider.judge(reply)
        attempt = PlannedAttempt(flight.shot, reply, judgement, flight.sent_at, flight.step)
        self._courier.history.append(attempt)
        if flight.place + 1 < len(flight.chain):
            self._schedule(flight.chain, flight.place + 1, self._clock.now())
        elif flight.chain[0].awaited:
            self._awaited -= 1
        return attempt
