"""Looks up names without anybody waiting for it."""

from __future__ import annotations

import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

REMEMBERED_SECONDS = 60.0
"""How long a name's addresses are remembered."""

Asker = TypeVar("Asker")
Place = tuple[str, int]
Addresses = list[tuple[int, Any]]
"""Families of sockets, and what to connect them to."""


class Unresolved(Exception):
    """A name has no address; the text says why."""


class Lookup(Generic[Asker]):
    """Addresses of hosts. A name that nobody has asked for lately is looked up in a thread, and then `wake` is called."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._known: dict[Place, tuple[float, Addresses]] = {}
        self._waiting: dict[Place, list[Asker]] = {}
        self._answers: queue.SimpleQueue[tuple[Place, Addresses | Unresolved]] = queue.SimpleQueue()

    def ask(self, asker: Asker, host: str, port: int) -> Addresses | None:
        """Return the addresses if they are known; else None, and `found` will yield the asker."""
        place = (host, port)
        until, addresses = self._known.get(place, (0.0, []))
        if time.monotonic() < until:
            return addresses
        try:
            return self._remember(place, _addresses(host, port, socket.AI_NUMERICHOST | socket.AI_NUMERICSERV))
        except (OSError, UnicodeError):
            pass
        if place in self._waiting:
            self._waiting[place].append(asker)
        else:
            self._waiting[place] = [asker]
            # A daemon, because a name server can keep it for half a minute.
            threading.Thread(target=self._look_up, args=place, name=f"lookup {host}", daemon=True).start()
        return None

    def found(self) -> Iterator[tuple[Asker, Addresses | Unresolved]]:
        """Yield whose names have been looked up since the last call, and what came of it."""
        while not self._answers.empty():
            place, answer = self._answers.get()
            if not isinstance(answer, Unresolved):
                self._remember(place, answer)
            for asker in self._waiting.pop(place, ()):
                yield asker, answer

    def _remember(self, place: Place, addresses: Addresses) -> Addresses:
        self._known[place] = (time.monotonic() + REMEMBERED_SECONDS, addresses)
        return addresses

    def _look_up(self, host: str, port: int) -> None:
        try:
            answer: Addresses | Unresolved = _addresses(host, port)
        except (OSError, UnicodeError) as error:
            answer = Unresolved(f"{host}: {getattr(error, 'strerror', None) or error}")
        self._answers.put(((host, port), answer))
        self._wake()


def _addresses(host: str, port: int, flags: int = 0) -> Addresses:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    return [(family, address) for family, _, _, _, address in found]
