"""Lets checks try less often, and for less time, where that is not what is proven."""

from __future__ import annotations

import pytest
from im_callback.conformance.checks import deduplication, ordering, robustness

TRICKLE = 0.5
"""Seconds for which a body trickles in."""
ROOMS = 8
"""In how many scopes of each type versions arrive at once, where one of them is to go wrong."""
FAR = 100
"""After how many others an event is repeated."""


def quick(monkeypatch: pytest.MonkeyPatch, *, races: int = 1, rooms: int = ROOMS) -> None:
    """Race less often, in fewer scopes, and let a body trickle in for a moment only."""
    monkeypatch.setattr(deduplication, "RACES", races)
    monkeypatch.setattr(ordering, "ROOMS", rooms)
    monkeypatch.setattr(ordering, "ROOMS_EACH", rooms)
    monkeypatch.setattr(robustness, "TRICKLE", TRICKLE)
