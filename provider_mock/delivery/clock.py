"""Time as the engine sees it: the real one, faster, or moved by hand."""

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


@dataclass(frozen=True)
class RealClock:
    """The time of day; with `scale`, a minute passes in 60 / scale seconds from the start on."""

    scale: float = 1.0
    _started: float = field(default_factory=time.time)

    def now(self) -> int:
        """Return the time in UTC milliseconds."""
        if self.scale == 1.0:
            return utc_millis()
        return round((self._started + (time.time() - self._started) * self.scale) * 1000)

    def wait(self, until: int | None, wake: threading.Event) -> None:
        """Sleep until then, or until woken."""
        wake.wait(None if until is None else max(0.0, (until - self.now()) / 1000 / self.scale))


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
