"""Sends a plan with faults to a recorder, at a time that stands still and with nonces that are known."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import count as counter
from random import Random
from typing import Any

from im_callback.provider_mock import providers
from im_callback.provider_mock.contract import Credentials, Event
from im_callback.provider_mock.delivery import faults
from im_callback.provider_mock.delivery.clock import ManualClock
from im_callback.provider_mock.delivery.courier import Courier
from im_callback.provider_mock.delivery.make import Maker
from im_callback.provider_mock.delivery.perform import PlannedAttempt, perform
from im_callback.provider_mock.delivery.plan import Plan, Step, plan
from im_callback.provider_mock.delivery.sockets.client import Client
from im_callback.provider_mock.history import Shot

NOW = 1_700_000_000_000
PAYLOADS = {
    "commsease": ("commsease.login", lambda n: {"eventType": "2", "accid": f"zhang{n}", "timestamp": str(NOW + n)}),
    "rongcloud": (
        "rongcloud.chatroom-kv",
        lambda n: {"chatroomId": f"room{n}", "key": "k", "version": n, "optType": 1, "value": "v"},
    ),
    "tencent": (
        "tencent.c2c-after-send",
        lambda n: {"CallbackCommand": "C2C.CallbackAfterSendMsg", "From_Account": f"zhang{n}", "To_Account": "li"},
    ),
}


class StillClock(ManualClock):
    """A time that passes only where nothing is under way: requests take none."""

    def __init__(self, idle: Callable[[], bool]) -> None:
        super().__init__(NOW)
        self.idle = idle

    def wait(self, until: int | None, wake: threading.Event) -> None:
        """Jump to that time, but not past a reply that is still to come."""
        super().wait(until if self.idle() else None, wake)


class Planned:
    """A plan with faults, and what makes its shots."""

    def __init__(
        self,
        url: str,
        *described: str,
        count: int = 1,
        rate: float | None = None,
        provider: str = "commsease",
        seed: int = 1,
        credentials: Credentials | None = None,
    ) -> None:
        self.provider = providers.load(provider)
        name, payload = PAYLOADS[provider]
        events = [[Event(name, payload(n))] for n in range(count)]
        nonces = counter(1)
        self.maker = Maker(
            self.provider, credentials or self.provider.defaults, url, events, lambda: f"n{next(nonces)}"
        )
        self.plan: Plan = faults.apply(map(faults.parse, described), plan(count, rate), Random(seed))


class Sent(Planned):
    """What was sent: the plan, its attempts, and the clock with its waits."""

    def __init__(self, url: str, *described: str, client: Client | None = None, **options: Any) -> None:
        super().__init__(url, *described, **options)
        self.courier = Courier(client or Client(self.provider.feeds[0].deadline))
        self.made = 0
        self.peak = 0
        self.clock = StillClock(lambda: self.made == len(self.courier.history))
        self.attempts: list[PlannedAttempt] = list(perform(self.plan, self.make, self.courier, self.clock))

    def make(self, step: Step, millis: int) -> Shot:
        """Make a shot; count it, and how many are under way."""
        self.made += 1
        self.peak = max(self.peak, self.made - len(self.courier.history))
        return self.maker(step, millis)

    @property
    def outcomes(self) -> list[str]:
        """The outcomes, in the order in which they became known."""
        return [one.outcome.value for one in self.attempts]

    @property
    def expected(self) -> list[str]:
        """What the receiver owed for each."""
        return [one.expected for one in self.attempts]
