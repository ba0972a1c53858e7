"""The log of attempts: what was not acknowledged, no more often than a log can bear."""

from __future__ import annotations

import logging
import time

from im_callback.provider_mock.contract import Outcome
from im_callback.provider_mock.delivery.ledger import Done, Waiting

log = logging.getLogger("im_callback.provider_mock.delivery")

PER_SECOND = 20
"""Attempts of an app that are logged in a second; the next record says how many were left out."""


class AttemptLog:
    """Logs attempts, from the engine's thread alone."""

    def __init__(self) -> None:
        self._seconds: dict[str, tuple[int, int]] = {}

    def add(self, waiting: Waiting, done: Done) -> None:
        """Log an attempt that was not acknowledged."""
        if done.outcome == Outcome.ACKED.value:
            return
        second = int(time.monotonic())
        since, count = self._seconds.get(waiting.app, (second, 0))
        left_out = max(0, count - PER_SECOND)
        if since != second:
            count = 0
        self._seconds[waiting.app] = (second, count + 1)
        if count >= PER_SECOND:
            return
        # What follows is the receiver's: it can hold a payload.
        rule = done.rule.partition(": ")[0] if done.outcome == Outcome.DECLINED.value else done.rule
        fields = {
            "app": waiting.app,
            "delivery": waiting.id,
            "event_type": waiting.event_type,
            "attempt": done.number,
            "outcome": done.outcome,
            "rule": rule,
            "state": done.state,
        }
        if since != second and left_out:
            fields["left_out"] = left_out
        log.info("an attempt was not acknowledged", extra={"event": "attempt", "fields": fields})
