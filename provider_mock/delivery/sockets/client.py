"""Sends requests and returns their replies, each over a connection of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from im_callback.provider_mock.contract import NoReply, Reply, Request
from im_callback.provider_mock.delivery.sockets.connections import Connections
from im_callback.provider_mock.delivery.sockets.flights import Way, anywhere

PAUSE = 0.2
"""Seconds after which they are looked at again although no connection has moved."""


@dataclass(frozen=True, slots=True)
class Client:
    """How requests leave: the deadline in seconds, at most how many at once, extra headers, a private CA, a proxy."""

    deadline: float
    concurrency: int = 64
    extra_headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    ca_file: Path | None = None
    proxy: str | None = field(default=None, repr=False)
    refuses: Callable[[str], str | None] = anywhere

    def send(self, requests: Sequence[Request]) -> list[Reply | NoReply]:
        """Send the requests, all at once as far as `concurrency` allows; return their replies in the same order."""
        replies: list[Reply | NoReply | None] = [None] * len(requests)
        for index, reply in self.stream(enumerate(requests)):
            replies[index] = reply
        return [reply for reply in replies if reply is not None]

    def stream(
        self, requests: Iterable[tuple[int, Request]], deadlines: Sequence[float] = ()
    ) -> Iterator[tuple[int, Reply | NoReply]]:
        """Send the numbered requests; yield each number with its reply as soon as that is known.

        `deadlines` has an earlier deadline for each number, if there are any.
        """
        waiting = iter(requests)
        way = Way(self.deadline, self.extra_headers, self.ca_file, proxy=self.proxy, refuses=self.refuses)
        ways = [way if one >= self.deadline else replace(way, deadline=one) for one in deadlines]
        connections: Connections[int] = Connections()
        try:
            while True:
                while len(connections) < self.concurrency and (item := next(waiting, None)) is not None:
                    connections.launch(*item, ways[item[0]] if ways else way)
                if not len(connections):
                    return
                yield from connections.landed(PAUSE)
        finally:
            connections.close()
