"""Tests of the clocks."""

from __future__ import annotations

import threading

import pytest

from provider_mock.delivery.clock import ManualClock, RealClock, utc_millis

DAY = 86_400_000


class TestRealClock:
    """The time of day, faster or moved on."""

    def test_time_of_day(self) -> None:
        """Without more it is just that."""
        before = utc_millis()
        assert before <= RealClock().now() <= utc_millis()

    def test_scale(self) -> None:
        """It never falls behind the time of day, and never runs backwards, whatever its pace is changed to."""
        clock = RealClock(1e6)
        first = clock.now()
        while utc_millis() - first < 2:
            pass
        assert clock.now() - first >= 1_000_000
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
