"""Sends requests and returns their replies, each over a connection of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from provider_mock.contract import NoReply, Reply, Request
from provider_mock.delivery.connections import Connections, Way

PAUSE = 0.2
"""Seconds after which libcurl is asked again although no connection has moved."""


@dataclass(frozen=True, slots=True)
class Client:
    """How requests leave: the deadline in seconds, at most how many at once, extra headers, a private CA, a proxy."""

    deadline: float
    concurrency: int = 64
    extra_headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    ca_file: Path | None = None
    proxy: str | None = None

    def send(self, requests: Sequence[Request]) -> list[Reply | NoReply]:
        """Send the requests, all at once as far as `concurrency` allows; return their replies in the same order."""
        replies: list[Reply | NoReply | None] = [None] * len(requests)
        for index, reply in self.stream(enumerate(requests)):
            replies[index] = reply
        return [reply for reply in replies if reply is not None]

    def stream(self, requests: Iterable[tuple[int, Request]]) -> Iterator[tuple[int, Reply | NoReply]]:
        """Send the numbered requests; yield each number with its reply as soon as that is known."""
        waiting = iter(requests)
        way = Way(self.deadline, self.extra_headers, self.ca_file, proxy=self.proxy)
        connections: Connections[int] = Connections()
        try:
            while True:
                while len(connections) < self.concurrency and (item := next(waiting, None)) is not None:
                    connections.launch(*item, way)
                if not len(connections):
                    return
                yield from connections.landed(PAUSE)
        finally:
            connections.close()
