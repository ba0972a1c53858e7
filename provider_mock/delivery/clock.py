"""Time as the engine sees it: the real one, faster or moved on, or moved by hand."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Protocol

LOOK_SECONDS = 60.0
"""How long a wait for a moment lasts at most; the system's waits do not count the time that a machine sleeps."""
_BOOT_TIME: int | None = getattr(time, "CLOCK_BOOTTIME", None)


def utc_millis() -> int:
    """Return the time of day in milliseconds since 1970, UTC."""
    return time.time_ns() // 1_000_000


def steady() -> float:
    """Return seconds since some moment of the past: nobody can set them, and a machine's sleep is counted."""
    return time.clock_gettime(_BOOT_TIME) if _BOOT_TIME is not None else time.monotonic()


class Clock(Protocol):
    """UTC milliseconds, and waiting for a moment."""

    def now(self) -> int:
        """Return the time in UTC milliseconds."""
        ...

    def wait(self, until: int | None, wake: threading.Event) -> None:
        """Return at that time or somewhat earlier, or as soon as `wake` is set; None: only then."""
        ...


class RealClock:
    """The time of day at its start, and from then on a steady time that nobody sets.

    So a machine's clock that is set back or forward moves nothing that waits. With `scale`, a minute
    passes in 60 / scale seconds. It can be made faster or moved on while it is waited for: then `wake` is set, and who waits looks again.
    """

    def __init__(self, scale: float = 1.0) -> None:
        self._lock = threading.Lock()
        self._waiting: list[threading.Event] = []
        # At a moment of the steady time, which time it was here, and how fast it has gone on since.
        self._pace = (steady(), float(utc_millis()), scale)

    @property
    def scale(self) -> float:
        """How many seconds pass in one second."""
        return self._pace[2]

    def now(self) -> int:
        """Return the time in UTC milliseconds."""
        since, millis, scale = self._pace
        return int(millis + (steady() - since) * 1000 * scale)

    def set_scale(self, scale: float) -> None:
        """Let time pass so many times as fast from now on; ValueError unless it is above 0."""
        if not scale > 0:
            raise ValueError(f"a clock with the scale {scale:g} stands still or runs backwards; give more than 0")
        self._change(scale, 0.0)

    def advance(self, seconds: float) -> None:
        """Move on by so many seconds; ValueError if that is backwards."""
        if not seconds >= 0:
            raise ValueError(f"a clock cannot be moved by {seconds:g} seconds; give 0 or more")
        self._change(None, seconds)

    def follow(self, millis: float, scale: float) -> None:
        """Go on from this time, earlier or later, so many times as fast: another clock says so."""
        with self._lock:
            self._pace = (steady(), millis, scale)
            for wake in self._waiting:
                wake.set()

    def _change(self, scale: float | None, seconds: float) -> None:
        with self._lock:
            since, millis, before = self._pace
            moment = steady()
            millis += ((moment - since) * before + seconds) * 1000
            self._pace = (moment, millis, before if scale is None else scale)
            for wake in self._waiting:
                wake.set()

    def wait(self, until: int | None, wake: threading.Event) -> None:
        """Sleep until then, or until woken; or for `LOOK_SECONDS`, which is less where the machine slept meanwhile."""
        with self._lock:
            self._waiting.append(wake)
            seconds = None if until is None else max(0.0, (until - self.now()) / 1000 / self.scale)
        try:
            wake.wait(seconds if seconds is None else min(seconds, LOOK_SECONDS))
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
