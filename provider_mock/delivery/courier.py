"""Sends signed requests, judges the replies by their feed's rule and writes history."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from im_callback.provider_mock.contract import NoReply, Reply
from im_callback.provider_mock.delivery.clock import utc_millis
from im_callback.provider_mock.delivery.sockets.client import Client
from im_callback.provider_mock.delivery.sockets.raw_client import RawClient
from im_callback.provider_mock.delivery.sockets.together import send_together
from im_callback.provider_mock.history import Attempt, History, Shot

MARGIN = 1.01
"""By how much the spacing is wider than the rate asks: what the way there takes more or less brings none too many."""


def ignored(attempt: Attempt) -> None:
    """Do nothing with an attempt."""


@dataclass(slots=True)
class Pace:
    """Lets so many deliveries start in a second at most (None: any number), evenly spaced.

    `now` gives seconds, `sleep` passes them.
    """

    rate: float | None
    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _next: float | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        if self.rate is not None and not 0 < self.rate < float("inf"):
            raise ValueError(f"a rate of {self.rate:g} deliveries per second sends nothing; give more than 0")

    def wait(self) -> None:
        """Return when the next delivery may start."""
        if self.rate is None:
            return
        now = self.now()
        if self._next is not None and now < self._next:
            self.sleep(self._next - now)
            # A sleep may end early; what was promised counts.
            now = max(self.now(), self._next)
        self._next = now + MARGIN / self.rate


@dataclass(frozen=True, slots=True)
class Courier:
    """Carries shots to the receiver, no more than `rate` of them in a second. `clock` gives UTC milliseconds.

    `now` and `sleep` are the seconds by which the rate is kept.
    """

    client: Client
    history: History = field(default_factory=History)
    clock: Callable[[], int] = utc_millis
    rate: float | None = None
    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _pace: Pace = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_pace", Pace(self.rate, self.now, self.sleep))

    def wait(self) -> None:
        """Return when the next delivery may start, for one that is sent in another way."""
        self._pace.wait()

    def send(self, shots: Sequence[Shot], noticed: Callable[[Attempt], None] = ignored) -> list[Attempt]:
        """Send the shots at once, or one after the other where there is a rate; return the attempts in their order.

        `noticed` gets each attempt as soon as its outcome is known, while others may be under way.
        """
        if self.rate is None:
            return self._send(shots, noticed)
        attempts: list[Attempt] = []
        for shot in shots:
            self._pace.wait()
            attempts += self._send([shot], noticed)
        return attempts

    def together(self, shots: Sequence[Shot]) -> list[Attempt]:
        """Send the shots so that they are complete at the same moment; return the attempts in the order of the shots.

        ValueError under a rate, which leaves no room for that.
        """
        if self.rate is not None:
            raise ValueError(f"deliveries cannot leave together at a rate of {self.rate:g} per second; send them")
        sent_at = self.clock()
        deadline = min(self.client.deadline, *(shot.feed.deadline for shot in shots))
        replies = send_together([shot.request for shot in shots], replace(self.client, deadline=deadline))
        attempts = [self._attempt(shot, reply, sent_at) for shot, reply in zip(shots, replies, strict=True)]
        for attempt in sorted(attempts, key=lambda attempt: attempt.reply.seconds):
            self.history.append(attempt)
        return attempts

    def disturbing(self) -> RawClient:
        """Return a client, to be closed, for requests whose transport is disturbed; what they come to is not noted."""
        return RawClient(self.client)

    def _send(self, shots: Sequence[Shot], noticed: Callable[[Attempt], None]) -> list[Attempt]:
        sent_at = self.clock()
        attempts: list[Attempt | None] = [None] * len(shots)
        for index, reply in self.client.stream(
            enumerate(shot.request for shot in shots), [shot.feed.deadline for shot in shots]
        ):
            attempt = attempts[index] = self._attempt(shots[index], reply, sent_at)
            self.history.append(attempt)
            noticed(attempt)
        return [attempt for attempt in attempts if attempt is not None]

    def _attempt(self, shot: Shot, reply: Reply | NoReply, sent_at: int) -> Attempt:
        return Attempt(shot, reply, shot.feed.judge(reply), sent_at)
