"""The retry rules in real time, on a clock that goes faster."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from im_callback.provider_mock.delivery.clock import RealClock
from im_callback.provider_mock.delivery.engine import Engine
from im_callback.provider_mock.delivery.ledger import Ledger

from tests.provider_mock import peers
from tests.provider_mock_engine.playing import REFUSED, accept, app, attempts, in_turn, resets

SCALE = 1000.0


@pytest.mark.parametrize(
    ("provider", "policy", "script", "outcome", "gaps"),
    [
        ("rongcloud", "documented", peers.silent, "timed out", [0, 0]),
        ("rongcloud", "documented", None, "unreachable", [300, 300]),
        ("rongcloud", "documented", resets, "unreachable", [300, 300]),
        ("rongcloud", "documented", REFUSED, "refused", []),
        ("tencent", "on-timeout", peers.silent, "timed out", [5, 5]),
        ("tencent", "none", peers.silent, "timed out", []),
        ("commsease", "normal", resets, "unreachable", []),
    ],
)
def test_rule(
    provider: str, policy: str, script: peers.Script | None, outcome: str, gaps: list[float], tmp_path: Path
) -> None:
    """Each retry waits for as long as the documents say, by that clock, and is signed with the time of day."""
    clock = RealClock(SCALE)
    with Ledger(str(tmp_path / "ledger.db"), clock=clock.now) as ledger, peers.peer(script or resets) as server:
        url = server.url if script else f"http://127.0.0.1:{peers.unused_port()}/"
        (delivery,) = accept(ledger, provider, due_at=clock.now())
        Engine(ledger, clock, apps=[app(provider, url, policy)]).run(until_idle=True)
        state, made = attempts(ledger, delivery)
    assert "dropped" == state
    assert [outcome] * (len(gaps) + 1) == [one.outcome for one in made]
    waited = [(b.sent_at - a.sent_at) / 1000 for a, b in pairwise(made)]
    assert all(found >= due for found, due in zip(waited, gaps, strict=True)), waited


def test_reliable(tmp_path: Path) -> None:
    """CommsEase's reliable mode goes on for as long as the receiver refuses; it is back, and gets the delivery."""
    clock = RealClock(SCALE)
    with (
        Ledger(str(tmp_path / "ledger.db"), clock=clock.now) as ledger,
        peers.peer(in_turn(*[REFUSED] * 5, peers.OK)) as server,
    ):
        (delivery,) = accept(ledger, "commsease", due_at=clock.now())
        Engine(ledger, clock, apps=[app("commsease", server.url, "reliable", deadline=5.0)]).run(until_idle=True)
        state, made = attempts(ledger, delivery)
    assert ("acked", ["refused"] * 5 + ["acked"]) == (state, [one.outcome for one in made])
    assert all(b.sent_at - a.sent_at >= 60_000 for a, b in pairwise(made))


def test_signed_with_the_time_of_day(tmp_path: Path) -> None:
    """A receiver that takes fresh signatures only accepts what is sent days later by a fast clock."""
    clock = RealClock(1)
    clock.advance(7 * 86400)
    with (
        Ledger(str(tmp_path / "ledger.db"), clock=clock.now) as ledger,
        peers.receiver("tencent", "1400000001", "test-token") as there,
    ):
        (plain,) = accept(ledger, "tencent", due_at=clock.now())
        (planned,) = accept(ledger, "tencent", due_at=clock.now(), faults=["header-case"])
        (stale,) = accept(ledger, "tencent", due_at=clock.now(), faults=["stale"])
        Engine(ledger, clock, apps=[app("tencent", there.url, deadline=10.0)]).run(until_idle=True)
        assert ["acked", "acked", "dropped"] == [attempts(ledger, one)[0] for one in (plain, planned, stale)]
