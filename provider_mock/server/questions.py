"""Waits for what the team's server answers to deliveries that ask."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence

from im_callback.provider_mock.contract import Decision, Feed, NoReply, Reply

MOST_KEPT = 10_000
"""Answers that are kept while anybody waits for one."""


class Questions:
    """The answers that come in while somebody waits for them. Can be used from any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting = 0
        self._landed: dict[int, Reply | NoReply | None] = {}

    def __enter__(self) -> None:
        """Keep what comes in from now on: to be entered before the questions are accepted."""
        with self._changed:
            self._waiting += 1

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._waiting -= 1
            if not self._waiting:
                self._landed.clear()

    def landed(self, delivery: int, reply: Reply | NoReply | None) -> None:
        """Take what an attempt came to. The first decides: no provider asks again, only a fault does."""
        if not self._waiting:
            return
        with self._changed:
            if len(self._landed) < MOST_KEPT:
                self._landed.setdefault(delivery, reply)
                self._changed.notify_all()

    def answers(self, ids: Sequence[int], feed: Feed, seconds: float) -> Mapping[int, tuple[Decision, Reply]]:
        """Return what was decided about each of these deliveries within so many seconds; others are left out."""
        until = time.monotonic() + seconds
        with self._changed:
            while any(one not in self._landed for one in ids):
                if not self._changed.wait(max(0.0, until - time.monotonic())):
                    break
            replies = {one: self._landed.get(one) for one in ids}
        found: dict[int, tuple[Decision, Reply]] = {}
        for one, reply in replies.items():
            if isinstance(reply, Reply) and reply.seconds <= feed.deadline and (decision := feed.decision(reply)):
                found[one] = (decision, reply)
        return found
