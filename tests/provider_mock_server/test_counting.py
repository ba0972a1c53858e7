"""Counting beside those who ask."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from im_callback.provider_mock.delivery.ledger import LedgerUnavailable
from im_callback.provider_mock.server import counting
from im_callback.provider_mock.server.counting import Counted
from im_callback.provider_mock.server.errors import Unavailable

from tests.provider_mock_server.waiting import until

ONE = {"shop": {"waiting": 1}}


class Counting:
    """Counts when it is let go, and then gives or raises what it was told."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.times = 0
        self.outcome: dict[str, dict[str, int]] | Exception = ONE

    def __call__(self) -> dict[str, dict[str, int]]:
        self.times += 1
        assert self.go_on.wait(60)
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


@pytest.fixture
def count() -> Iterator[Counting]:
    """Let go in the end."""
    made = Counting()
    yield made
    made.go_on.set()


class TestGet:
    """Never waits for long, and never counts twice at once."""

    def test_fresh(self, count: Counting) -> None:
        """Counted once for all who ask meanwhile."""
        count.go_on.set()
        counted = Counted(count)
        assert [ONE] * 3 == [counted.get(60) for _ in range(3)]
        assert 1 == count.times

    def test_at_once(self, count: Counting) -> None:
        """All who ask while it is counted wait for the same."""
        counted = Counted(count)
        with ThreadPoolExecutor(5) as pool:
            asked = [pool.submit(counted.get, 60) for _ in range(5)]
            assert until(lambda: count.times)
            count.go_on.set()
            assert [ONE] * 5 == [one.result() for one in asked]
        assert 1 == count.times

    def test_too_long(self, count: Counting) -> None:
        """There are none yet; they come when they are there."""
        counted = Counted(count)
        for _ in range(3):
            with pytest.raises(Unavailable, match="still being counted"):
                counted.get(0)
        count.go_on.set()
        assert ONE == counted.get(60)
        assert 1 == count.times

    def test_old_ones(self, count: Counting, monkeypatch: pytest.MonkeyPatch) -> None:
        """Are better than none while others are being counted."""
        count.go_on.set()
        counted = Counted(count)
        counted.get(60)
        monkeypatch.setattr(counting, "FRESH_SECONDS", -1.0)
        count.go_on.clear()
        count.outcome = {}
        assert ONE == counted.get(0)
        monkeypatch.setattr(counting, "STALE_SECONDS", -1.0)
        with pytest.raises(Unavailable):
            counted.get(0)

    def test_a_database_that_fails(self, count: Counting) -> None:
        """Its error is told, and it is asked again the next time."""
        count.go_on.set()
        count.outcome = LedgerUnavailable("here", "fails", "see to it")
        counted = Counted(count)
        with pytest.raises(LedgerUnavailable, match="fails"):
            counted.get(60)
        count.outcome = ONE
        assert ONE == counted.get(60)
