"""The fast path: one process drives all connections itself, without Locust."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Generator
from random import Random

from provider_mock.contract import Request, Stamp
from provider_mock.delivery.clock import utc_millis
from provider_mock.delivery.connections import Connections, Way
from provider_mock.delivery.tally import Tally
from provider_mock.load import Load
from provider_mock.traffic.world import tell

PAUSE = 0.05
"""Seconds after which the run is looked at again although nothing has happened."""
EVERY = 0.1
"""Seconds between two tallies."""
PACE = 1.0
"""Milliseconds between two deliveries of the story, where no rate is given."""


def deliver(load: Load, stop: threading.Event) -> Generator[Tally]:
    """Yield what was counted since the last time, until the run is over or was stopped.

    What is under way then is waited for.
    """
    connections: Connections[tuple[Request, bool]] = Connections()
    try:
        yield from _Run(load, connections).go(stop)
    finally:
        connections.close()


class _Run:
    def __init__(self, load: Load, connections: Connections[tuple[Request, bool]]) -> None:
        self._load = load
        self._connections = connections
        self._way = Way(load.provider.deadline, keep_alive=True)
        # Each for itself, so that a share of duplicates leaves the story as it is.
        seeds = Random(load.seed)
        self._story_dice, self._nonces, self._dice = (Random(seeds.getrandbits(64)) for _ in range(3))
        self._again: deque[Request] = deque()
        self._launched = 0
        self._tally = Tally()

    def go(self, stop: threading.Event) -> Generator[Tally]:
        load, connections = self._load, self._connections
        pace = PACE if load.rate is None else 1000 / load.rate
        story = tell(load.provider, self._story_dice, utc_millis(), pace)
        began = said = time.monotonic()
        going_on = True
        while going_on or self._again or len(connections):
            now = time.monotonic()
            going_on = going_on and now - began < load.duration and not stop.is_set()
            while self._again and len(connections) < load.users:
                repeat = self._again.popleft()
                connections.launch((repeat, True), repeat, self._way)
            due = self._due(now - began) if going_on else 0
            while due > 0 and len(connections) < load.users:
                due -= 1
                self._launched += 1
                stamp = Stamp(utc_millis(), str(self._nonces.getrandbits(48)))
                request = load.provider.request(next(story), load.url, load.credentials, stamp)
                connections.launch((request, False), request, self._way)
            if len(connections):
                self._land(self._pause(began, now))
            elif going_on:
                # Not `stop.wait`: a signal handler that sets it in the middle of that could wait for itself.
                time.sleep(self._pause(began, now))
            if now - said >= EVERY:
                said = now
                yield self._counted()
        yield self._counted()

    def _due(self, seconds: float) -> float:
        """Return how many deliveries are to leave now, so many seconds after the start."""
        rate = self._load.rate
        if rate is None:
            return math.inf
        return min(math.floor(seconds * rate) + 1, round(rate * self._load.duration)) - self._launched

    def _pause(self, began: float, now: float) -> float:
        """Return how long nothing can become due."""
        rate = self._load.rate
        if rate is None:
            return PAUSE
        return min(PAUSE, max(0.0, began + self._launched / rate - now))

    def _land(self, wait: float) -> None:
        for (request, repeated), reply in self._connections.landed(wait):
            self._tally.add(self._load.provider.judge(reply), reply.seconds, time.time())
            if not repeated and self._dice.random() < self._load.duplicate:
                self._again.append(request)

    def _counted(self) -> Tally:
        counted, self._tally = self._tally, Tally()
        return counted
