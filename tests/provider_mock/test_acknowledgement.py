"""What each provider makes of an answer."""

from __future__ import annotations

import pytest

from provider_mock import providers
from provider_mock.contract import Judgement, NoReply, Outcome, Reply

ACKED, REFUSED, TIMED_OUT = Outcome.ACKED, Outcome.REFUSED, Outcome.TIMED_OUT
STATUSES = [100, 199, 200, 201, 202, 203, 204, 206, 299, 301, 302, 304, 307, 400, 401, 403, 404, 409, 418, 429]
STATUSES += [499, 500, 501, 502, 503, 504, 511, 599]
TAKEN = {"commsease": {200, 500}, "rongcloud": {200}, "tencent": {200}}
EVERY_STATUS = [(name, status) for name in TAKEN for status in STATUSES]


def judged(provider: str, status: int, body: bytes = b"{}", seconds: float = 0.1) -> Judgement:
    """Return what a provider makes of a reply."""
    return providers.load(provider).judge(Reply(status, (), body, seconds))


class TestJudge:
    """Tests for `Provider.judge`."""

    @pytest.mark.parametrize(("provider", "status"), EVERY_STATUS)
    def test_status(self, provider: str, status: int) -> None:
        """CommsEase takes 200 and 500, RongCloud and Tencent 200; nobody takes another 2xx."""
        expected = ACKED if status in TAKEN[provider] else REFUSED
        judgement = judged(provider, status)
        assert expected is judgement.outcome
        assert f"status {status}" in judgement.rule

    @pytest.mark.parametrize(
        ("outcome", "rule", "provider", "status", "body", "seconds"),
        [
            (ACKED, "status 200; CommsEase takes 200 and 500 as received", "commsease", 200, b"", 0.0),
            (ACKED, "status 500; CommsEase takes 200 and 500 as received", "commsease", 500, b"<html>", 5.0),
            (ACKED, "status 200; CommsEase takes 200 and 500 as received", "commsease", 200, b'{"code":414}', 1.0),
            (REFUSED, "status 503; CommsEase takes 200 and 500 as received", "commsease", 503, b"", 1.0),
            (TIMED_OUT, "answered after 5.001 s, later than 5 s", "commsease", 200, b"", 5.001),
            (TIMED_OUT, "answered after 9.000 s, later than 5 s", "commsease", 404, b"", 9.0),
            (ACKED, "status 200; RongCloud takes 200 as received", "rongcloud", 200, b"\xff", 5.0),
            (REFUSED, "status 500; RongCloud takes 200 as received", "rongcloud", 500, b"", 0.0),
            (TIMED_OUT, "answered after 5.001 s, later than 5 s", "rongcloud", 200, b"", 5.001),
            (ACKED, "status 200 with a JSON body", "tencent", 200, b"{}", 2.0),
            (TIMED_OUT, "answered after 2.001 s, later than 2 s", "tencent", 200, b"{}", 2.001),
            (REFUSED, "status 500; Tencent takes 200 with a JSON body as received", "tencent", 500, b"{}", 0.0),
            (REFUSED, "status 204; Tencent takes 200 with a JSON body as received", "tencent", 204, b"", 0.0),
        ],
    )
    def test_rules(self, outcome: Outcome, rule: str, provider: str, status: int, body: bytes, seconds: float) -> None:
        """The outcome names the rule that decided, word for word."""
        assert Judgement(outcome, rule) == judged(provider, status, body, seconds)

    @pytest.mark.parametrize(
        ("outcome", "body"),
        [
            (ACKED, b'{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0}'),
            # Return codes of webhooks after an event are ignored.
            (ACKED, b'{"ActionStatus":"FAIL","ErrorInfo":"no","ErrorCode":1}'),
            (ACKED, b" {}\r\n"),
            (ACKED, b"[]"),
            (ACKED, b"null"),
            (REFUSED, b""),
            (REFUSED, b"OK"),
            (REFUSED, b"success"),
            (REFUSED, b"{'ErrorCode':0}"),
            (REFUSED, b'{"ErrorCode":0'),
            (REFUSED, b"{}{}"),
            (REFUSED, b"<html></html>"),
            (REFUSED, b"\xff\xfe\xfd"),
            (REFUSED, b"[" * 100_000),
        ],
    )
    def test_tencent_body(self, outcome: Outcome, body: bytes) -> None:
        """Tencent wants JSON, whatever it says; a body that is none counts as failed, however odd it is."""
        judgement = judged("tencent", 200, body)
        assert outcome is judgement.outcome
        if outcome is REFUSED:
            assert "status 200, but the body is not JSON, which Tencent counts as failed" == judgement.rule

    @pytest.mark.parametrize(("provider", "deadline"), [("commsease", 5), ("rongcloud", 5), ("tencent", 2)])
    def test_no_reply(self, provider: str, deadline: int) -> None:
        """Without an answer it is a time-out, which may have been received, or the receiver is not reachable."""
        judge = providers.load(provider).judge
        assert Judgement(TIMED_OUT, f"no complete answer within {deadline} s") == judge(
            NoReply("timed-out", "detail", float(deadline))
        )
        assert Judgement(Outcome.UNREACHABLE, "no connection: refused") == judge(
            NoReply("unreachable", "no connection: refused", 0.1)
        )

    @pytest.mark.parametrize(("provider", "deadline"), [("commsease", 5.0), ("rongcloud", 5.0), ("tencent", 2.0)])
    def test_deadline(self, provider: str, deadline: float) -> None:
        """Each provider's documented deadline, in seconds."""
        assert deadline == providers.load(provider).deadline


class TestFailed:
    """Tests for `Provider.failed`."""

    @pytest.mark.parametrize(
        ("expected", "provider", "payload"),
        [
            (False, "tencent", {"SendMsgResult": 0}),
            (False, "tencent", {}),
            (True, "tencent", {"SendMsgResult": 80001}),
            (False, "commsease", {"SendMsgResult": 1}),
            (False, "rongcloud", {}),
        ],
    )
    def test_failed(self, expected: bool, provider: str, payload: dict[str, int]) -> None:
        """Only Tencent reports messages that were not sent."""
        assert expected is providers.load(provider).failed(payload)
