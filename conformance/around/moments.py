"""What happened around the receiver, and when: it was ended or started, its store hung."""

from __future__ import annotations

import time
from typing import NamedTuple


class Moment(NamedTuple):
    """When something happened, in UTC milliseconds, and what, in words."""

    millis: int
    what: str


def now(what: str) -> Moment:
    """Return this moment."""
    return Moment(time.time_ns() // 1_000_000, what)
