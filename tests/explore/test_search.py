"""Searches against receivers: what takes several steps is found and made short, and good receivers are left alone.

The tests count batches, not seconds.
"""

from __future__ import annotations

from typing import Any

import pytest
from im_callback.conformance.explore import search
from im_callback.conformance.explore.search import Explored, explore
from im_callback.provider_mock.contract import Outcome

from tests.explore import faulty
from tests.explore.exploring import exploring
from tests.explore.faulty import Faulty, MarksFirst, Restarting, Survives
from tests.receivers.good import Behind, Good, StateOnly
from tests.receivers.honest import KeepsRemovals, NoOrder, PerDevice, Present

pytestmark = pytest.mark.long

C, R, T = "commsease", "rongcloud", "tencent"
TOGETHER = 12
FAULTS = [
    (faulty.RemembersFewOfEach, C),
    (faulty.RemembersForSeconds, T),
    (faulty.ForgetsAfterTwoRemovals, R),
    (faulty.CachesTheNewest, R),
    (faulty.MergesArrays, R),
    (faulty.MarksFirst, R),
    (faulty.LoadsLate, T),
]
BATCHES = 24
"""More than any of them takes."""
GOOD = [
    (Good, C),
    (Behind, R),
    (StateOnly, C),
    (Present, C),
    (KeepsRemovals, R),
    (NoOrder, T),
    (PerDevice, C),
    (Survives, R),
]


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing depend on how fast this machine is."""
    monkeypatch.setattr(search, "SHRINK_SECONDS", 1e6)
    monkeypatch.setattr(search, "BELIEVE_SECONDS", 1e6)


def searched(receiver: Good, batches: int, **limits: Any) -> Explored:
    """Return what a search of so many batches finds."""
    with exploring(receiver) as run:
        if isinstance(receiver, MarksFirst):
            # Whatever the moment, it is the one that counts.
            limits["sleep"] = receiver.sleep
        elif isinstance(receiver, Faulty) and not isinstance(receiver, Survives):
            # Nothing in them takes time, and so nobody has to wait.
            limits |= {"now": receiver.clock.now, "sleep": receiver.clock.sleep}
        return explore(run, 1e6, batches=batches, together=TOGETHER, **limits)


@pytest.mark.parametrize(("kind", "provider"), FAULTS)
def test_found(kind: type[Faulty], provider: str) -> None:
    """The fault is found, by its invariant, and shown in five deliveries at most."""
    found = searched(kind(provider), BATCHES, enough={kind.invariant})
    failing = found.findings[kind.invariant]  # type: ignore[index]
    assert failing.script.deliveries <= kind.most, failing.timeline
    assert 1 <= failing.failed <= failing.of
    assert failing.timeline[0] == "what happens:"


@pytest.mark.parametrize(("kind", "provider"), GOOD)
def test_good(kind: type[Good], provider: str) -> None:
    """Nothing is found of a receiver without fault."""
    found = searched(kind(provider), 8 if issubclass(kind, Restarting) else 4)
    assert {} == found.findings
    assert 0 == found.doubts == found.unclear
    assert found.tried > 3 * TOGETHER


def test_gone() -> None:
    """Where nothing is answered any more, and nobody can start it again, the search ends and says so."""
    receiver = faulty.StopsForGood(R)
    with exploring(receiver) as run:
        found = explore(run, 1e6, batches=20, together=TOGETHER)
        assert ["crash"] == list(found.findings)
        assert (1, 1) == (found.findings["crash"].failed, found.findings["crash"].of)
        assert Outcome.REFUSED is run.history.since(len(run.history) - 1)[0].outcome
