"""Time as the engine sees it: the real one, faster or moved on, or moved by hand."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Protocol


def utc_millis() -> int:
    """Return the time of day in milliseconds since 1970, UTC."""
    return time.time_ns() // 1_000_000


class Clock(Protocol):
    """UTC milliseconds, and waiting for a moment."""

    def now(self) -> int:
        """Return the time in UTC milliseconds."""
        ...

    def wait(self, until: int | None, wake: threading.Event) -> None:
        """Return at that time, or as soon as `wake` is set; None: only then."""
        ...


class RealClock:
    """The time of day; with `scale`, a minute passes in 60 / scale seconds from the start on.

    It can be made faster or moved on while it is waited for: then `wake` is set, and who waits looks again.
    """

    def __init__(self, scale: float = 1.0) -> None:
        self._lock = threading.Lock()
        self._scale = scale
        self._ahead = 0.0
        """Milliseconds by which the clock was before the time of day at `_since`, when its pace last changed."""
        self._since = utc_millis()
        self._waiting: list[threading.Event] = []

    @property
    def scale(self) -> float:
        """How many seconds pass in one second."""
        return self._scale

    def now(self) -> int:
        """Return the time in UTC milliseconds."""
        real = utc_millis()
        return real + round(self._ahead + (real - self._since) * (self._scale - 1))

    def set_scale(self, scale: float) -> None:
        """Let time pass so many times as fast from now on; ValueError unless it is above 0."""
        if not scale > 0:
            raise ValueError(f"a clock with the scale {scale:g} stands still or runs backwards; give more than 0")
        self._change(scale, 0.0)

    def advance(self, seconds: float) -> None:
        """Move on by so many seconds; ValueError if that is backwards."""
        if not seconds >= 0:
            raise ValueError(f"a clock cannot be moved by {seconds:g} seconds; give 0 or more")
        self._change(self._scale, seconds)

    def _change(self, scale: float, seconds: float) -> None:
        with self._lock:
            real = utc_millis()
            self._ahead += (real - self._since) * (self._scale - 1) + seconds * 1000
            self._since, self._scale = real, scale
            for wake in self._waiting:
                wake.set()

    def wait(self, until: int | None, wake: threading.Event) -> None:
        """Sleep until then, or until woken."""
        with self._lock:
            self._waiting.append(wake)
            seconds = None if until is None else max(0.0, (until - self.now()) / 1000 / self._scale)
        try:
            wake.wait(seconds if seconds is None else min(seconds, threading.TIMEOUT_MAX))
        finally:
            with self._lock:
                self._waiting.remove(wake)


@dataclass
class ManualClock:
    """A time that stands still until it is waited for: then it jumps."""

    millis: int = 0
    waits: list[int] = field(default_factory=list)

    def now(self) -> int:
        """Return the time that was set."""
        return self.millis

    def wait(self, until: int | None, wake: threading.Event) -> None:
        """Jump to that time, or wait to be woken where there is none."""
        if until is None:
            wake.wait()
            return
        self.waits.append(until - self.millis)
        self.millis = max(self.millis, until)
