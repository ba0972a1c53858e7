"""Waits for what the team's server answers to deliveries that ask."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence

from im_callback.provider_mock.contract import Decision, Feed, NoReply, Reply

LOOK_SECONDS = 0.05
"""After which it is looked what another process has heard."""
Look = Callable[[Sequence[int]], Mapping[int, "Reply | NoReply | None"]]
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

    def answers(
        self, ids: Sequence[int], feed: Feed, seconds: float, look: Look | None = None
    ) -> Mapping[int, tuple[Decision, Reply]]:
        """Return what was decided about each of these deliveries within so many seconds; others are left out.

        `look` returns what is on record of some of them: it is asked where another process sends them.
        """
        until = time.monotonic() + seconds
        while missing := self._missing(ids, until if look is None else min(until, time.monotonic() + LOOK_SECONDS)):
            for one, reply in look(missing).items() if look is not None else ():
                self.landed(one, reply)
            if time.monotonic() >= until:
                break
        with self._changed:
            replies = {one: self._landed.get(one) for one in ids}
        found: dict[int, tuple[Decision, Reply]] = {}
        for one, reply in replies.items():
            if isinstance(reply, Reply) and reply.seconds <= feed.deadline and (decision := feed.decision(reply)):
                found[one] = (decision, reply)
        return found

    def _missing(self, ids: Sequence[int], until: float) -> list[int]:
        """Return those of which nothing is known, at that time or as soon as there are none."""
        with self._changed:
            while missing := [one for one in ids if one not in self._landed]:
                if not self._changed.wait(max(0.0, until - time.monotonic())):
                    break
            return missing
