"""Tests of the clocks."""

from __future__ import annotations

import threading
import time

import pytest
from im_callback.provider_mock.delivery.clock import ManualClock, RealClock, utc_millis

DAY = 86_400_000


class TestRealClock:
    """The time of day, faster or moved on."""

    def test_time_of_day(self) -> None:
        """Without more it is just that."""
        before = utc_millis()
        assert before <= RealClock().now() <= utc_millis()

    def test_scale(self) -> None:
        """It never runs backwards, whatever its pace is changed to."""
        clock = RealClock(1e6)
        first, began = clock.now(), time.monotonic()
        while time.monotonic() - began < 0.002:
            pass
        assert clock.now() - first >= 2_000_000
        ahead = clock.now()
        clock.set_scale(1)
        assert ahead <= clock.now() < ahead + DAY
        assert 1 == clock.scale

    def test_advance(self) -> None:
        """It goes on from the later time."""
        clock = RealClock()
        clock.advance(86_400)
        assert DAY <= clock.now() - utc_millis() + 1
        assert clock.now() - utc_millis() <= DAY + 1

    @pytest.mark.parametrize("hours", [-1, 1])
    def test_nobody_sets_it(self, hours: int, monkeypatch: pytest.MonkeyPatch) -> None:
        """A time of day that is set back or forward changes no distance."""
        clock, before = RealClock(), utc_millis()
        until = clock.now() + 60_000
        true = time.time_ns
        monkeypatch.setattr(time, "time_ns", lambda: true() + hours * 3_600_000_000_000)
        assert abs(utc_millis() - before) > 3_000_000
        assert 0 <= until - clock.now() <= 60_000
        clock.set_scale(1000)
        clock.wait(until, threading.Event())
        assert until <= clock.now() + 1000

    @pytest.mark.parametrize("scale", [0.0, -1.0, float("nan")])
    def test_no_pace(self, scale: float) -> None:
        """Time does not stand still or run backwards."""
        with pytest.raises(ValueError, match="give more than 0"):
            RealClock().set_scale(scale)

    def test_not_back(self) -> None:
        """What was due stays due."""
        with pytest.raises(ValueError, match="give 0 or more"):
            RealClock().advance(-1)

    @pytest.mark.parametrize("change", [lambda clock: clock.advance(3600), lambda clock: clock.set_scale(1e9)])
    def test_wakes_who_waits(self, change: object) -> None:
        """Who waits for a moment of the future looks again when the clock is moved."""
        clock, wake = RealClock(), threading.Event()
        waiting = threading.Thread(target=clock.wait, args=(clock.now() + 3_600_000, wake))
        waiting.start()
        while not clock._waiting:
            pass
        change(clock)  # type: ignore[operator]
        waiting.join(20)
        assert not waiting.is_alive()
        assert wake.is_set()

    def test_until_a_moment(self) -> None:
        """Waiting ends at that moment."""
        clock = RealClock(1000)
        until = clock.now() + 2000
        clock.wait(until, threading.Event())
        assert until <= clock.now() + 1000


class TestManualClock:
    """A time that jumps."""

    def test_jumps(self) -> None:
        """To whatever is waited for, not back."""
        clock = ManualClock(10)
        clock.wait(50, threading.Event())
        clock.wait(20, threading.Event())
        assert (50, [40, -30]) == (clock.now(), clock.waits)
