"""Connections to PostgreSQL that give up a server which does not answer.

A server that is stopped, or whose disk hangs, ends no connection and reports nothing: its own
time-outs do not run, and the kernel goes on acknowledging what is sent to it. So the wait on the
socket has an end. The connection is closed then, because nobody knows what its server will still do.
"""

from __future__ import annotations

import selectors
import time
from collections.abc import Generator
from math import ceil
from typing import Any, TypeVar

import psycopg
from im_callback.provider_mock.delivery.ledger.patience import left

T = TypeVar("T")
ANSWER_SECONDS = 10.0
"""How long an answer is waited for where nothing else is said."""
CONNECT_SECONDS = 5.0
_Selector = getattr(selectors, "PollSelector", selectors.SelectSelector)


class Bounded(psycopg.Connection[Any]):
    """A connection whose every wait ends, after the time that `patience.within` leaves or `ANSWER_SECONDS`.

    Raises psycopg.OperationalError then, and is closed.
    """

    def wait(self, gen: Generator[Any, Any, T], *_: Any, **__: Any) -> T:
        """Return what a generator of psycopg's returns, once the server has answered it."""
        descriptor = self.pgconn.socket
        seconds = left(ANSWER_SECONDS)
        until = time.monotonic() + seconds
        try:
            wanted = next(gen)
            with _Selector() as selector:
                selector.register(descriptor, wanted)
                registered = wanted
                while True:
                    if registered != wanted:
                        selector.modify(descriptor, wanted)
                        registered = wanted
                    if not (ready := selector.select(max(0.0, until - time.monotonic()))):
                        if time.monotonic() < until:
                            continue
                        self.close()
                        raise psycopg.OperationalError(f"the server has not answered for {max(seconds, 0.1):.1f} s")
                    wanted = gen.send(ready[0][1])
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]


def connect(*arguments: Any, **options: Any) -> Bounded:
    """Return a new connection; psycopg.OperationalError if there is none within `connect_timeout`, or the time left."""
    try:
        most = float(options["connect_timeout"])
    except (KeyError, ValueError):  # psycopg says what is wrong with it
        return Bounded.connect(*arguments, **options)
    if most <= 0:  # no limit, for libpq
        most = CONNECT_SECONDS
    return Bounded.connect(*arguments, **{**options, "connect_timeout": max(1, ceil(min(most, left(most))))})
