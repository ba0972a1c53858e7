"""How long the thread that is running may wait for the database, whatever it asks for."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class _Local(threading.local):
    until: float | None = None


_here = _Local()


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Let all that is asked inside take no longer than this altogether; inside another one, the earlier end counts."""
    before, until = _here.until, time.monotonic() + seconds
    _here.until = until if before is None else min(before, until)
    try:
        yield
    finally:
        _here.until = before


def left(otherwise: float) -> float:
    """Return how many seconds may be waited, 0 when time is up; `otherwise` where nothing was said."""
    return otherwise if _here.until is None else max(0.0, _here.until - time.monotonic())
