"""A request under way, the connection that has it, and the connections that are kept for the next ones."""

from __future__ import annotations

import selectors
import socket
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from im_callback.provider_mock.delivery.sockets.answer_reader import Answer
from im_callback.provider_mock.delivery.sockets.lookup import Addresses
from im_callback.provider_mock.delivery.sockets.message import Headers, Target
from im_callback.provider_mock.delivery.sockets.system import PIECE, Stamped, Tunnel, unsent

PROBATION = 0.25
"""Seconds that the first connections must stay open after their answers, before any is used again."""
TRIALS = 4
"""How many connections are on probation at most."""
READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE

Token = TypeVar("Token")
Step = Callable[["Connection[Any]", "Flight[Any]"], None]


def anywhere(_: str) -> str | None:
    """Refuse no address."""
    return None


@dataclass(frozen=True, slots=True, eq=False)
class Way:
    """How requests leave: the deadline in seconds, extra headers, a private CA, and whether connections are kept.

    `proxy` is the URL of the proxy to go through; without one requests go straight to the
    receiver, whatever the environment says. `refuses` returns why an address must not be
    connected to, or None. Connections are kept for this very object, and for no equal one.
    """

    deadline: float
    extra_headers: Headers = field(default=(), repr=False)
    ca_file: Path | None = None
    keep_alive: bool = False
    proxy: str | None = field(default=None, repr=False)
    refuses: Callable[[str], str | None] = anywhere


class Flight(Generic[Token]):
    """A request under way. Moments are seconds of the monotonic clock."""

    __slots__ = (
        *("addresses", "connection", "data", "deadline", "forgiven", "method", "move_on", "over", "pool", "reached"),
        *("reused", "sent_at", "short_since", "slice", "to", "token", "way"),
    )

    def __init__(self, token: Token, method: str, data: bytes, way: Way, to: Target, pool: Pool[Token]) -> None:
        self.token, self.method, self.data, self.way, self.to, self.pool = token, method, data, way, to, pool
        self.sent_at = self.deadline = 0.0
        self.forgiven = 0.0
        self.slice = -1
        self.connection: Connection[Token] | None = None
        self.addresses: Addresses = []
        self.move_on: float | None = None
        """When the next address is tried."""
        self.reached = False
        """Whether there was a connection to the receiver: it may have the request."""
        self.reused = False
        self.over = False
        self.short_since = 0.0

    def leave(self, now: float) -> None:
        """Take note that it leaves: its deadline counts from here."""
        self.sent_at = now
        self.deadline = now + self.way.deadline

    def lasted(self, until: float) -> float:
        """Return the seconds it took, without those that were spent elsewhere."""
        return max(0.0, until - self.sent_at - self.forgiven)


class Connection(Generic[Token]):
    """A connection, and the flight that has it. `step` is what to do when it is ready; None: read the answer."""

    __slots__ = (
        *("answer", "arrived", "asked", "flight", "pool", "since", "size", "socket", "stamped", "step", "tunnel"),
        *("unsent", "watched"),
    )

    def __init__(self, one: socket.socket, flight: Flight[Token], step: Step) -> None:
        self.socket = one
        self.flight: Flight[Token] | None = flight
        self.pool = flight.pool
        self.stamped = Stamped(one)
        self.tunnel: Tunnel | None = None
        self.answer: Answer | None = None
        self.asked = b""
        self.size = 0
        """How many bytes its request has on the wire."""
        self.unsent: bytes | memoryview = b""
        self.step: Step | None = step
        self.watched = WRITE
        self.since = self.arrived = 0.0

    def alive(self) -> bool:
        """Return whether the other side has neither closed nor said anything."""
        try:
            self.socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            pass
        return False

    def receive(self, flight: Flight[Token], now: float, offset: float) -> tuple[bytes, float]:
        """Return what has come for a flight, and when; where the system does not say, within its deadline."""
        data, arrived = self._stamped(offset)
        if not data:
            # The end has no stamp of its own.
            arrived = self.arrived
        if arrived is None:
            arrived = flight.deadline
        self.arrived = min(max(arrived, flight.sent_at), now)
        return data, self.arrived

    def _stamped(self, offset: float) -> tuple[bytes, float | None]:
        return self.stamped.recv(PIECE, offset) if self.tunnel is None else self.tunnel.recv(self.stamped, offset)

    @property
    def heard(self) -> bool:
        """Whether anything of an answer has come."""
        return self.answer is not None and self.answer.heard

    def unread(self, flight: Flight[Token], *, ended: bool) -> bool:
        """Return whether nobody can have read the request on a kept connection, of which nothing was heard since.

        Nothing of it left this machine, or the other side `ended` the connection in order (which
        confirms what it had received) and has confirmed no byte. A reset confirms nothing, so it proves nothing.
        """
        if not flight.reused or self.heard:
            return False
        left = len(self.unsent)
        return left >= self.size or (ended and left + unsent(self.socket) >= self.size)


class Pool(Generic[Token]):
    """The connections that a way keeps to one place, and whether that place keeps them, too."""

    __slots__ = ("keeps", "kept", "used_at")

    def __init__(self) -> None:
        self.kept: deque[Connection[Token]] = deque()
        self.keeps: bool | None = None
        """None: that is being found out."""
        self.used_at = 0.0

    def take(self, now: float) -> Connection[Token] | None:
        """Return the connection that was used last, if one can be used again."""
        self.used_at = now
        if not self.kept:
            return None
        if self.keeps is None and now - self.kept[0].since >= PROBATION and self.kept[0].alive():
            self.keeps = True
        return self.kept.pop() if self.keeps else None

    def put(self, connection: Connection[Token], *, promised: bool) -> bool:
        """Keep a connection after an answer, if that makes sense; return whether it is kept."""
        if promised and self.keeps is None:
            self.keeps = True
        if self.keeps is False or (self.keeps is None and len(self.kept) >= TRIALS):
            return False
        self.kept.append(connection)
        return True

    def lose(self, connection: Connection[Token], now: float) -> list[Connection[Token]]:
        """Take note that the other side has closed a connection; return those that are not to be used any more."""
        with suppress(ValueError):
            self.kept.remove(connection)
        closed = [connection]
        if now - connection.since < PROBATION:
            # It closes behind its answers.
            self.keeps = False
            closed += self.kept
            self.kept.clear()
        return closed
