"""What follows an attempt, policy by policy, as timelines."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from im_callback.provider_mock import providers
from im_callback.provider_mock.contract import NextAttempt, Outcome, Tried

A, D, R = Outcome.ACKED, Outcome.DECLINED, Outcome.REFUSED
T, U = Outcome.TIMED_OUT, Outcome.UNREACHABLE
DONE, DROPPED, PARKED = NextAttempt("done"), NextAttempt("dropped"), NextAttempt("parked")
NOW, IN_5_S, IN_60_S, IN_300_S = (NextAttempt("retry", seconds) for seconds in (0.0, 5.0, 60.0, 300.0))


def timeline(provider: str, policy: str, outcomes: Sequence[Outcome]) -> list[NextAttempt]:
    """Return what follows each attempt in turn."""
    one = providers.load(provider).feeds[0]
    tried = list(map(Tried, outcomes))
    return [one.next_attempt(tried[:count], one.policies[policy]) for count in range(1, len(outcomes) + 1)]


class TestNextAttempt:
    """Tests for `Feed.next_attempt`."""

    @pytest.mark.parametrize(
        ("provider", "policy", "outcomes", "expected"),
        [
            ("commsease", "normal", [A], [DONE]),
            ("commsease", "normal", [R], [DROPPED]),
            ("commsease", "normal", [T], [DROPPED]),
            ("commsease", "normal", [U], [DROPPED]),
            ("commsease", "reliable", [R, T, U, A], [IN_60_S, IN_60_S, IN_60_S, DONE]),
            ("commsease", "reliable", [D], [DONE]),
            ("commsease", "reliable", [R, T, D], [IN_60_S, IN_60_S, DONE]),
            ("rongcloud", "documented", [T, D], [NOW, DONE]),
            ("tencent", "on-timeout", [T, D], [IN_5_S, DONE]),
            ("rongcloud", "documented", [A], [DONE]),
            ("rongcloud", "documented", [T, T, T], [NOW, NOW, DROPPED]),
            ("rongcloud", "documented", [T, A], [NOW, DONE]),
            ("rongcloud", "documented", [R], [DROPPED]),
            ("rongcloud", "documented", [T, R], [NOW, DROPPED]),
            ("rongcloud", "documented", [U, U, U], [IN_300_S, IN_300_S, DROPPED]),
            ("rongcloud", "documented", [U, T, T], [IN_300_S, NOW, DROPPED]),
            ("tencent", "none", [A], [DONE]),
            ("tencent", "none", [T], [DROPPED]),
            ("tencent", "none", [R], [DROPPED]),
            ("tencent", "on-timeout", [T, T, T], [IN_5_S, IN_5_S, DROPPED]),
            ("tencent", "on-timeout", [T, A], [IN_5_S, DONE]),
            ("tencent", "on-timeout", [R], [DROPPED]),
            ("tencent", "on-timeout", [U], [DROPPED]),
            ("tencent", "on-timeout", [T, U], [IN_5_S, DROPPED]),
        ],
    )
    def test_timelines(self, provider: str, policy: str, outcomes: list[Outcome], expected: list[NextAttempt]) -> None:
        """What follows depends on the last outcome and on how many there were."""
        assert expected == timeline(provider, policy, outcomes)

    @pytest.mark.parametrize("outcome", [R, T, U])
    def test_reliable_to_the_end(self, outcome: Outcome) -> None:
        """Reliable Data Sync resends 1,000 times, that is 1,001 attempts, and then parks the delivery."""
        one = providers.load("commsease").feeds[0]
        attempts = [outcome]
        while (following := one.next_attempt(list(map(Tried, attempts)), one.policies["reliable"])).action == "retry":
            assert IN_60_S == following
            attempts.append(outcome)
        assert PARKED == following
        assert 1001 == len(attempts)

    def test_reliable_until_taken(self) -> None:
        """An acknowledgement of the last resend still counts."""
        one = providers.load("commsease").feeds[0]
        assert DONE == one.next_attempt([Tried(R)] * 1000 + [Tried(A)], one.policies["reliable"])


class TestPolicies:
    """Tests for `Provider.policies`."""

    def test_names(self) -> None:
        """The first is the default: what happens when nothing was arranged with the provider."""
        assert {
            "commsease": ["normal", "reliable"],
            "rongcloud": ["documented"],
            "tencent": ["none", "on-timeout"],
        } == {name: list(providers.load(name).feeds[0].policies) for name in ("commsease", "rongcloud", "tencent")}

    def test_backlog(self) -> None:
        """Only Reliable Data Sync keeps what could not be delivered: 500,000 at most."""
        kept = {
            (name, label): policy.backlog
            for name in ("commsease", "rongcloud", "tencent")
            for label, policy in providers.load(name).feeds[0].policies.items()
            if policy.exhausted == "parked"
        }
        assert {("commsease", "reliable"): 500_000} == kept

    def test_pauses(self) -> None:
        """Only RongCloud pauses, for a documented minute, after time-outs in a row whose number is our choice."""
        pauses = {
            name: [
                (policy.pause_after, policy.pause_seconds) for policy in providers.load(name).feeds[0].policies.values()
            ]
            for name in ("commsease", "rongcloud", "tencent")
        }
        assert {"commsease": [(0, 0), (0, 0)], "rongcloud": [(20, 60.0)], "tencent": [(0, 0), (0, 0)]} == pauses

    def test_signing(self) -> None:
        """Unless an application is told otherwise, retries are signed afresh."""
        for name in ("commsease", "rongcloud", "tencent"):
            assert all(policy.signed_afresh for policy in providers.load(name).feeds[0].policies.values())

    @pytest.mark.parametrize("provider", ["commsease", "rongcloud", "tencent"])
    def test_spacing_belongs_to_retries(self, provider: str) -> None:
        """A policy gives no spacing for what it does not retry, and a summary for everything."""
        for policy in providers.load(provider).feeds[0].policies.values():
            assert set(policy.spacing) <= set(policy.retries)
            assert policy.summary
