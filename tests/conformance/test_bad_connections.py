"""What is sent when connections break, or carry too much, and when a receiver is blamed for what it makes of it."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

import pytest
from im_callback.conformance.check import all_checks
from im_callback.conformance.checks import robustness
from im_callback.conformance.disturbed import SHORT, patience
from im_callback.conformance.run import Run
from im_callback.conformance.runner import run_check
from im_callback.conformance.verdict import Result, Verdict
from im_callback.provider_mock.contract import Request

from tests.conformance.little_server import Answer
from tests.conformance.running import Keeper, running
from tests.feeds import changed

PROVIDER = "rongcloud"


def judged(keeper: Keeper, slug: str, **settings: Any) -> tuple[Result, Run]:
    """Return what a check says about a receiver, and the run."""
    with running(keeper, **settings) as run:
        checks = [one for one in all_checks() if one.preflight or one.slug == slug]
        return [run_check(one, run) for one in checks if one.among(run.feeds)][-1], run


def kept_again(keeper: Keeper) -> None:
    """Let a receiver keep what comes a second time."""
    seen: Counter[bytes] = Counter()

    def again(request: Request, payload: Any) -> Answer | None:
        seen[request.body] += 1
        if seen[request.body] > 1:
            keeper.records.extend(keeper.provider.feeds[0].payloads(payload))
        return None

    keeper.refuses = again


class TestTrickle:
    """A body that trickles in."""

    def test_no_answer_time(self) -> None:
        """How long it takes is ours: it counts neither as an acknowledgement time nor against the deadline."""
        result, run = judged(Keeper(PROVIDER), "trickled-body")
        assert result.verdict is Verdict.PASS, result.actual
        (slow,) = [one for one in run.history if one.shot.note.startswith("a body that takes")]
        assert slow.acked
        assert not run.sent.counts(slow)


class TestNoAnswer:
    """Nobody reads the answer, and the delivery is made again."""

    @pytest.mark.parametrize("slug", ["retry-after-lost-ack", "retry-after-timeout"])
    def test_once(self, slug: str) -> None:
        """The receiver gets the same bytes twice, and keeps them once."""
        keeper, bodies = Keeper(PROVIDER), Counter[bytes]()
        keeper.refuses = lambda request, payload: bodies.update([request.body])
        result, run = judged(keeper, slug)
        assert result.verdict is Verdict.PASS, result.actual
        assert 2 in bodies.values()
        assert not [one for one in run.own_attempts() if one.outcome.value != "acked"]

    @pytest.mark.parametrize("slug", ["retry-after-lost-ack", "retry-after-timeout"])
    def test_twice(self, slug: str) -> None:
        """Who keeps them twice is named."""
        keeper = Keeper(PROVIDER)
        kept_again(keeper)
        result, _ = judged(keeper, slug)
        assert result.verdict is Verdict.FAIL
        assert "2 effects of rongcloud.chatroom-kv" in result.actual

    def test_patience(self) -> None:
        """A time-out waits for a receiver that is slow, though never longer than the provider."""
        keeper = Keeper(PROVIDER)
        with running(keeper) as run:
            assert patience(run) == SHORT
            keeper.refuses = lambda request, payload: threading.Event().wait(0.3) and None
            run.deliver(run.event())
            assert 0.6 <= patience(run) <= run.feed.deadline


class TestFarApart:
    """A repeat after very many others."""

    def test_filled_up(self) -> None:
        """Only what is missing of the distance is sent for it."""
        keeper = Keeper(PROVIDER)
        result, run = judged(keeper, "far-apart", dedupe_distance=40)
        assert result.verdict is Verdict.PASS, result.actual
        assert 40 <= len(keeper.records) <= 60
        assert len(run.history) < 70

    def test_doubled(self) -> None:
        """Who keeps the repeat is named, though it is long ago."""
        keeper, seen = Keeper(PROVIDER), Counter[str]()

        def forgets(request: Request, payload: Any) -> None:
            for one in payload:
                room = str(one["chatroomId"])
                seen[room] += 1
                if seen[room] > 1 and len(seen) > 30:
                    keeper.records.append(one)

        keeper.refuses = forgets
        result, _ = judged(keeper, "far-apart", dedupe_distance=40)
        assert result.verdict is Verdict.FAIL
        assert "after 40 others" in result.actual

    @pytest.mark.parametrize(
        ("settings", "said"),
        [
            ({"dedupe_distance": 0}, "--receiver-dedupe-distance=0"),
            ({"dedupe_distance": 60_001, "rate": 1000.0}, "give --receiver-dedupe-distance=60000"),
        ],
    )
    def test_left_out(self, settings: dict[str, Any], said: str) -> None:
        """It is left out where it was said to, or takes too long at the rate."""
        result, _ = judged(Keeper(PROVIDER), "far-apart", **settings)
        assert result.verdict is Verdict.NOT_APPLICABLE
        assert said in result.reason


class TestOversized:
    """A very large body."""

    @pytest.mark.parametrize("answer", [(413, "text/plain", b"too large"), None])
    def test_taken_or_refused(self, answer: Answer | None) -> None:
        """Both are well; kept, it is nobody's event."""
        keeper = Keeper(PROVIDER)
        keeper.refuses = lambda request, payload: answer if len(request.body) > 2**20 else None
        result, run = judged(keeper, "oversized")
        assert result.verdict is Verdict.PASS, result.actual
        assert any(len(one.shot.request.body) == robustness.LARGE for one in run.history)
        assert not run.sent.forbidden(run.binding)

    def test_slow_way(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where no answer comes in time, but the next one does, nothing is said."""
        monkeypatch.setattr(robustness, "LARGE", 2**20)
        keeper, over = Keeper(PROVIDER), threading.Event()
        keeper.provider = changed(keeper.provider, deadline=1.0)
        keeper.refuses = lambda request, payload: over.wait(1.2) and None if len(request.body) >= 2**20 else None
        result, _ = judged(keeper, "oversized")
        assert result.verdict is Verdict.NOT_APPLICABLE, result.actual
        assert not result.attempts


class TestRates:
    """What a rate leaves no room for."""

    @pytest.mark.parametrize("slug", ["trickled-body", "versions-at-once"])
    def test_left_out(self, slug: str) -> None:
        """It does not apply, and says which option is the reason."""
        result, _ = judged(Keeper(PROVIDER), slug, rate=1.9)
        assert result.verdict is Verdict.NOT_APPLICABLE
        assert "--receiver-rate" in result.reason

    def test_fewer(self) -> None:
        """Over one connection go as many as take a few seconds."""
        result, run = judged(Keeper(PROVIDER), "connection-reuse", rate=200.0)
        assert result.verdict is Verdict.PASS, result.actual
        assert sum("over one connection" in one.shot.note for one in run.history) == 100
