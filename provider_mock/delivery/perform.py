"""Executes plans: sends their steps when they are due and judges the replies.

The clock is injected; it decides when a step is due. Deadlines, trickling and everything else on
the socket pass in real time.
"""

from __future__ import annotations

import heapq
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import count, groupby
from types import TracebackType
from typing import Generic, TypeVar

from im_callback.provider_mock.contract import NoReply, Reply
from im_callback.provider_mock.delivery.clock import Clock, RealClock
from im_callback.provider_mock.delivery.courier import Courier
from im_callback.provider_mock.delivery.plan import Chain, Plan, Step, chains
from im_callback.provider_mock.delivery.sockets.client import Client
from im_callback.provider_mock.delivery.sockets.raw_client import RawClient
from im_callback.provider_mock.history import Attempt, Expected, Shot

MakeShot = Callable[[Step, int], Shot]
"""Makes the shot of a step that leaves at a time in UTC milliseconds."""
Token = TypeVar("Token")


@dataclass(frozen=True, slots=True)
class PlannedAttempt(Attempt):
    """An attempt, and the step of the plan that it was."""

    step: Step

    @property
    def expected(self) -> Expected:
        """What the receiver owes for it.

        An acknowledgement, where the provider itself could have sent it and could read the reply.
        A refusal, by status or in words, where the signature does not fit. Some answer, where it does, but the request
        is none that the provider sends, or its time is another one and the documents set no
        limit: it may be taken or refused. Nothing, where the fault keeps the reply from coming back.
        """
        if not self.step.transport.ackable:
            return "nothing"
        if self.shot.forged:
            return "refusal"
        return "answer" if self.shot.broken or self.step.stamp_shift else "acknowledgement"


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
    """Send the plan's steps when they are due; yield each attempt as soon as its outcome is known, and write history.

    At most `courier.client.concurrency` requests are under way at once; what is due beyond that
    waits. The caller's thread keeps the time while it waits for the next attempt.
    """
    wake, clock = threading.Event(), clock or RealClock()
    with Performer[None](courier.client, clock, wake) as performer:
        performer.add(plan, make_shot, None)
        while performer.launch():
            clock.wait(performer.next_due(), wake)
            wake.clear()
            for _, _, attempt in performer.landed():
                if isinstance(attempt, BaseException):
                    raise attempt
                courier.history.append(attempt)
                yield attempt


@dataclass(slots=True)
class _Act(Generic[Token]):
    """A plan that is executed: what is left of its turns, and how many copies this turn still waits for."""

    number: int
    token: Token
    make_shot: MakeShot
    turns: Iterator[list[Chain]]
    awaited: int = 0


@dataclass(frozen=True, slots=True)
class _Flight(Generic[Token]):
    """A step that is under way: its chain, its place in it, and what was sent when."""

    act: _Act[Token]
    chain: Chain
    place: int
    shot: Shot | None
    """None where none could be made."""
    sent_at: int

    @property
    def step(self) -> Step:
        return self.chain[self.place]


class Performer(Generic[Token]):
    """Plans under way, side by side, to one receiver. A context manager; `close` breaks off what is under way.

    At most `client.concurrency` requests are under way at once. `wake` is set whenever a request
    has ended. All methods belong to one thread, which calls `launch` and `landed` in turn.
    """

    def __init__(self, client: Client, clock: Clock, wake: threading.Event) -> None:
        self._client, self._clock, self._wake = client, clock, wake
        self._acts: list[_Act[Token]] = []
        self._numbers = count()
        self._due: list[tuple[int, int, int, Chain, _Act[Token]]] = []
        self._flying = 0
        self._landed: queue.SimpleQueue[tuple[_Flight[Token], Reply | NoReply | BaseException]] = queue.SimpleQueue()
        self._raw: RawClient | None = None
        self._threads = ThreadPoolExecutor(client.concurrency, "deliveries")

    def __enter__(self) -> Performer[Token]:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Break off what is under way."""
        if self._raw is not None:
            self._raw.close()
        self._threads.shutdown(cancel_futures=True)

    def __len__(self) -> int:
        """Return how many requests are under way."""
        return self._flying

    def add(self, plan: Plan, make_shot: MakeShot, token: Token) -> None:
        """Begin to execute a plan; its attempts come with this token."""
        turns = iter([list(group) for _, group in groupby(chains(plan), lambda chain: chain[0].turn)])
        self._acts.append(_Act(next(self._numbers), token, make_shot, turns))

    def launch(self, most: int | None = None) -> bool:
        """Send everything that is due, as far as concurrency and `most` allow; return whether anything is left to do."""
        self._acts = [act for act in self._acts if self._begin_turns(act)]
        now = self._clock.now()
        plain: list[_Flight[Token]] = []
        until = self._client.concurrency if most is None else min(self._client.concurrency, self._flying + most)
        while self._due and self._due[0][0] <= now and self._flying < until:
            _, _, place, chain, act = heapq.heappop(self._due)
            self._flying += 1
            try:
                shot = act.make_shot(chain[place], now)
            except Exception as error:  # noqa: BLE001 - It is given to the caller.
                self._report(_Flight(act, chain, place, None, now), error)
                continue
            flight = _Flight(act, chain, place, shot, now)
            if flight.step.disturbed:
                self._disturb(flight)
            else:
                plain.append(flight)
        if plain:
            # At once, in one thread.
            self._threads.submit(self._send, plain)
        return bool(self._due or self._flying)

    def next_due(self) -> int | None:
        """Return when the next step is due; None if the end of a request has to come first."""
        return self._due[0][0] if self._due and self._flying < self._client.concurrency else None

    def landed(self) -> Iterator[tuple[Token, Step, PlannedAttempt | BaseException]]:
        """Yield what has ended: the plan's token, the step, and the attempt or the error that kept it from being made."""
        while not self._landed.empty():
            flight, reply = self._landed.get()
            self._flying -= 1
            act = flight.act
            if flight.place + 1 < len(flight.chain):
                self._schedule(act, flight.chain, flight.place + 1, self._clock.now())
            elif flight.chain[0].awaited:
                act.awaited -= 1
            if isinstance(reply, BaseException):
                yield act.token, flight.step, reply
            else:
                assert flight.shot is not None
                judgement = flight.shot.feed.judge(reply)
                yield act.token, flight.step, PlannedAttempt(flight.shot, reply, judgement, flight.sent_at, flight.step)

    def _begin_turns(self, act: _Act[Token]) -> bool:
        """Begin the turns that nothing is left to wait for; return whether there are more."""
        while not act.awaited:
            turn = next(act.turns, None)
            if turn is None:
                return False
            now = self._clock.now()
            for chain in turn:
                act.awaited += chain[0].awaited
                self._schedule(act, chain, 0, now)
        return True

    def _schedule(self, act: _Act[Token], chain: Chain, place: int, now: int) -> None:
        at = now + round(chain[place].at * 1000)
        heapq.heappush(self._due, (at, next(self._numbers), place, chain, act))

    def _send(self, flights: list[_Flight[Token]]) -> None:
        waiting = dict(enumerate(flights))
        try:
            shots = [flight.shot for flight in flights if flight.shot is not None]
            requests = [(number, shot.request) for number, shot in enumerate(shots)]
            deadlines = [shot.feed.deadline for shot in shots]
            for number, reply in self._client.stream(requests, deadlines):
                self._report(waiting.pop(number), reply)
        except BaseException as error:  # noqa: BLE001 - It is given to the caller.
            for flight in waiting.values():
                self._report(flight, error)

    def _disturb(self, flight: _Flight[Token]) -> None:
        if self._raw is None:
            self._raw = RawClient(self._client)
        step = flight.step

        def done(future: Future[Reply | NoReply]) -> None:
            if not future.cancelled():
                self._report(flight, future.exception() or future.result())

        # Connections of the same name in two plans are two connections.
        connection = step.connection and f"{flight.act.number} {step.connection}"
        assert flight.shot is not None
        transport, deadline = step.transport, flight.shot.feed.deadline
        if deadline < self._client.deadline:
            transport = replace(transport, deadline=min(deadline, transport.deadline or deadline))
        self._raw.submit(flight.shot.request, transport, connection).add_done_callback(done)

    def _report(self, flight: _Flight[Token], reply: Reply | NoReply | BaseException) -> None:
        self._landed.put((flight, reply))
        self._wake.set()
