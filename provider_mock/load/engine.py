"""The fast path: one process drives all connections itself, without Locust."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Generator
from random import Random

from im_callback.provider_mock.contract import Feed, Request, Stamp
from im_callback.provider_mock.delivery.clock import steady, utc_millis
from im_callback.provider_mock.delivery.sockets.connections import Connections
from im_callback.provider_mock.delivery.sockets.flights import Way
from im_callback.provider_mock.delivery.tally import Tally
from im_callback.provider_mock.load import Load
from im_callback.provider_mock.traffic.world import tell

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
    connections: Connections[tuple[Request, Feed, bool]] = Connections()
    try:
        yield from _Run(load, connections).go(stop)
    finally:
        connections.close()


class _Run:
    def __init__(self, load: Load, connections: Connections[tuple[Request, Feed, bool]]) -> None:
        self._load = load
        self._connections = connections
        self._ways = {feed.name: Way(feed.deadline, keep_alive=True) for feed in load.provider.feeds}
        # Each for itself, so that a share of duplicates leaves the story as it is.
        seeds = Random(load.seed)
        self._story_dice, self._nonces, self._dice = (Random(seeds.getrandbits(64)) for _ in range(3))
        self._again: deque[tuple[Request, Feed]] = deque()
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
                repeat, feed = self._again.popleft()
                connections.launch((repeat, feed, True), repeat, self._ways[feed.name])
            due = self._due(now - began) if going_on else 0
            while due > 0 and len(connections) < load.users:
                due -= 1
                self._launched += 1
                stamp = self._stamp()
                events = next(story)
                feed = load.provider.feed_of(events[0].type)
                request = feed.request(events, load.url, load.credentials, stamp)
                connections.launch((request, feed, False), request, self._ways[feed.name])
            if len(connections):
                self._land(self._pause(began, now))
            elif going_on:
                # Not `stop.wait`: a signal handler that sets it in the middle of that could wait for itself.
                time.sleep(self._pause(began, now))
            if now - said >= EVERY:
                said = now
                yield self._counted()
        yield self._counted()

    def _stamp(self) -> Stamp:
        nonce = str(self._nonces.getrandbits(48))
        return Stamp(utc_millis(), nonce, nonce)

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
        for (request, feed, repeated), reply in self._connections.landed(wait):
            self._tally.add(feed.judge(reply), reply.seconds, steady())
            if not repeated and self._dice.random() < self._load.duplicate:
                self._again.append((request, feed))

    def _counted(self) -> Tally:
        counted, self._tally = self._tally, Tally()
        return counted
