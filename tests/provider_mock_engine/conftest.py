"""What the engine's tests begin with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from im_callback.provider_mock.delivery.clock import ManualClock
from im_callback.provider_mock.delivery.ledger import Ledger

from tests.provider_mock_engine.playing import START


@pytest.fixture
def clock() -> ManualClock:
    """A clock that jumps to whatever is waited for."""
    return ManualClock(START)


@pytest.fixture
def ledger(tmp_path: Path, clock: ManualClock) -> Iterator[Ledger]:
    """An empty ledger on that clock."""
    with Ledger(str(tmp_path / "ledger.db"), clock=clock.now) as opened:
        yield opened
