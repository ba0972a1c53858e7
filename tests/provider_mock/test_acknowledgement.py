"""What each provider makes of an answer."""

from __future__ import annotations

import pytest
from im_callback.provider_mock import providers
from im_callback.provider_mock.contract import Judgement, NoReply, Outcome, Reply

ACKED, DECLINED, REFUSED, TIMED_OUT = Outcome.ACKED, Outcome.DECLINED, Outcome.REFUSED, Outcome.TIMED_OUT
DECLINES = "status 200, but the receiver's own words decline it: "
STATUSES = [100, 199, 200, 201, 202, 203, 204, 206, 299, 301, 302, 304, 307, 400, 401, 403, 404, 409, 418, 429]
STATUSES += [499, 500, 501, 502, 503, 504, 511, 599]
TAKEN = {"commsease": {200, 500}, "rongcloud": {200}, "tencent": {200}}
EVERY_STATUS = [(name, status) for name in TAKEN for status in STATUSES]


def judged(provider: str, status: int, body: bytes = b"{}", seconds: float = 0.1) -> Judgement:
    """Return what a provider makes of a reply."""
    return providers.load(provider).feeds[0].judge(Reply(status, (), body, seconds))


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
            (DECLINED, DECLINES + '{"code":414}', "commsease", 200, b'{"code":414}', 1.0),
            (ACKED, "status 500; CommsEase takes 200 and 500 as received", "commsease", 500, b'{"code":500}', 1.0),
            (REFUSED, "status 403; CommsEase takes 200 and 500 as received", "commsease", 403, b'{"code":403}', 1.0),
            (TIMED_OUT, "answered after 5.001 s, later than 5 s", "commsease", 200, b'{"code":414}', 5.001),
            (REFUSED, "status 503; CommsEase takes 200 and 500 as received", "commsease", 503, b"", 1.0),
            (TIMED_OUT, "answered after 5.001 s, later than 5 s", "commsease", 200, b"", 5.001),
            (TIMED_OUT, "answered after 9.000 s, later than 5 s", "commsease", 404, b"", 9.0),
            (ACKED, "status 200; RongCloud takes 200 as received", "rongcloud", 200, b"\xff", 5.0),
            (DECLINED, DECLINES + "invalid signature", "rongcloud", 200, b"invalid\nsignature", 1.0),
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
            (DECLINED, b'{"ActionStatus":"FAIL","ErrorInfo":"no","ErrorCode":1}'),
            (DECLINED, b'{"ActionStatus":"FAIL","ErrorInfo":"","ErrorCode":0}'),
            (DECLINED, b'{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":200}'),
            (DECLINED, b'{"ErrorCode":"1"}'),
            (ACKED, b'{"ErrorCode":"0"}'),
            (ACKED, b'{"ErrorCode":null}'),
            (ACKED, b'{"ErrorCode":false}'),
            (DECLINED, b'{"code":500}'),
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
            what = "the body is not JSON" if body else "there is no body"
            rule = f"status 200, but {what}: a JSON answer is due, or Tencent counts it as failed"
            assert rule == judgement.rule

    @pytest.mark.parametrize(("provider", "deadline"), [("commsease", 5), ("rongcloud", 5), ("tencent", 2)])
    def test_no_reply(self, provider: str, deadline: int) -> None:
        """Without an answer it is a time-out, which may have been received, or the receiver is not reachable."""
        judge = providers.load(provider).feeds[0].judge
        assert Judgement(TIMED_OUT, f"no complete answer within {deadline} s") == judge(
            NoReply("timed-out", "detail", float(deadline))
        )
        assert Judgement(Outcome.UNREACHABLE, "no connection: refused") == judge(
            NoReply("unreachable", "no connection: refused", 0.1)
        )

    @pytest.mark.parametrize(("provider", "deadline"), [("commsease", 5.0), ("rongcloud", 5.0), ("tencent", 2.0)])
    def test_deadline(self, provider: str, deadline: float) -> None:
        """Each provider's documented deadline, in seconds."""
        assert deadline == providers.load(provider).feeds[0].deadline


class TestSaysNo:
    """Tests for `Provider.says_no`."""

    @pytest.mark.parametrize(
        ("expected", "status", "body"),
        [
            (True, 200, b'{"ActionStatus":"FAIL","ErrorInfo":"no","ErrorCode":1}'),
            (True, 200, b'{"ActionStatus":"FAIL","ErrorCode":60001}'),
            (True, 200, b'{"ActionStatus":"FAIL","ErrorCode":-1}'),
            (False, 200, b'{"ActionStatus":"FAIL","ErrorInfo":"no","ErrorCode":0}'),
            (False, 200, b'{"ActionStatus":"FAIL","ErrorInfo":"no"}'),
            (False, 200, b'{"ActionStatus":"FAIL","ErrorCode":"1"}'),
            (False, 200, b'{"ActionStatus":"FAIL","ErrorCode":true}'),
            (False, 200, b'{"ActionStatus":"OK","ErrorCode":1}'),
            (False, 200, b'{"ActionStatus":"fail","ErrorCode":1}'),
            (False, 200, b'{"ErrorCode":1}'),
            (False, 200, b'{"code":500}'),
            (False, 201, b'{"ActionStatus":"FAIL","ErrorCode":1}'),
            (False, 401, b'{"ActionStatus":"FAIL","ErrorCode":1}'),
            (False, 200, b'[{"ActionStatus":"FAIL","ErrorCode":1}]'),
            (False, 200, b""),
            (False, 200, b"fail"),
            (False, 200, b"[" * 100_000),
        ],
    )
    def test_tencent(self, expected: bool, status: int, body: bytes) -> None:
        """Tencent documents `FAIL` with an ErrorCode other than 0 in a 200."""
        reply = Reply(status, (), body, 0.1)
        assert expected is providers.load("tencent").feeds[0].says_no(reply)
        if expected:
            assert DECLINED is providers.load("tencent").feeds[0].judge(reply).outcome

    @pytest.mark.parametrize("provider", ["commsease", "rongcloud"])
    def test_others(self, provider: str) -> None:
        """The others document no way to say so."""
        assert (
            not providers.load(provider).feeds[0].says_no(Reply(200, (), b'{"ActionStatus":"FAIL","ErrorCode":1}', 0.1))
        )

    @pytest.mark.parametrize("provider", ["commsease", "rongcloud", "tencent"])
    def test_no_reply(self, provider: str) -> None:
        """Without an answer nothing is said."""
        assert not providers.load(provider).feeds[0].says_no(NoReply("timed-out", "", 5.0))


class TestFailed:
    """Tests for `EventType.failed`."""

    @pytest.mark.parametrize(
        ("expected", "name", "payload"),
        [
            (False, "tencent.c2c-after-send", {"SendMsgResult": 0}),
            (False, "tencent.c2c-after-send", {}),
            (True, "tencent.c2c-after-send", {"SendMsgResult": 80001}),
            (False, "commsease.login", {"SendMsgResult": 1}),
            (False, "rongcloud.chatroom-kv", {}),
        ],
    )
    def test_failed(self, expected: bool, name: str, payload: dict[str, int]) -> None:
        """Only Tencent reports messages that were not sent."""
        assert expected is providers.load(name.partition(".")[0]).catalogue[name].failed(payload)
