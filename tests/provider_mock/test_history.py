"""What an attempt says of itself, and the history that keeps it."""

from __future__ import annotations

import gzip

import pytest
from im_callback.provider_mock import providers
from im_callback.provider_mock.contract import TAKEN, Judgement, NoReply, Outcome, Reply, Request
from im_callback.provider_mock.history import Attempt, History, Shot

FEED = providers.load("commsease").feeds[0]

REQUEST = Request("http://127.0.0.1/", (), b"")


def attempt(reply: Reply | NoReply, outcome: Outcome = Outcome.ACKED) -> Attempt:
    """Return an attempt that never was."""
    return Attempt(Shot(FEED, REQUEST, REQUEST), reply, Judgement(outcome, "rule"), 0)


def replied(status: int, body: bytes = b"", *headers: tuple[str, str]) -> Attempt:
    """Return an attempt with this answer."""
    return attempt(Reply(status, headers, body, 0.1))


class TestAttempt:
    """Tests for `Attempt`."""

    @pytest.mark.parametrize(
        ("outcome", "acked", "taken"),
        [
            (Outcome.ACKED, True, True),
            (Outcome.DECLINED, False, True),
            (Outcome.REFUSED, False, False),
            (Outcome.TIMED_OUT, False, False),
            (Outcome.UNREACHABLE, False, False),
        ],
    )
    def test_outcomes(self, outcome: Outcome, acked: bool, taken: bool) -> None:
        """What is declined is taken by the provider, and acknowledged by nobody."""
        made = attempt(Reply(200, (), b"", 0.1), outcome)
        assert (outcome, acked, taken) == (made.outcome, made.acked, made.taken)
        assert taken is (outcome in TAKEN)

    @pytest.mark.parametrize(
        ("expected", "made"),
        [
            ("200", replied(200)),
            ("204", replied(204, b" \n")),
            ("200 ok", replied(200, b"ok")),
            ('401 { "code": 401, "msg": "签名错误" }', replied(401, '{\n"code": 401,\n"msg": "签名错误"\n}'.encode())),
            (r"500 \x1b[31m", replied(500, b"\x1b[31m")),
            ("403 invalid sign", replied(403, gzip.compress(b"invalid sign"), ("Content-Encoding", "gzip"))),
            ("200 " + "a" * 155 + "…", replied(200, b"a" * 1000)),
            ("", attempt(NoReply("timed-out", "no complete answer", 5.0))),
            ("", attempt(NoReply("unreachable", "no connection", 0.0))),
        ],
    )
    def test_words(self, expected: str, made: Attempt) -> None:
        """The receiver's own text: the status and the beginning of the body, in one line; nothing without an answer."""
        assert expected == made.words
        assert len(made.words) <= 160

    def test_status(self) -> None:
        """The status of an answer."""
        assert 404 == replied(404).status
        assert None is attempt(NoReply("timed-out", "", 5.0)).status


class TestShot:
    """Tests for `Shot`."""

    @pytest.mark.parametrize(
        ("expected", "forged", "broken"), [(True, False, False), (False, True, False), (False, False, True)]
    )
    def test_valid(self, expected: bool, forged: bool, broken: bool) -> None:
        """What is forged or broken the provider would not have sent."""
        assert expected is Shot(FEED, REQUEST, REQUEST, forged=forged, broken=broken).valid

    def test_plain(self) -> None:
        """Unless it is said otherwise, it is a valid one."""
        assert Shot(FEED, REQUEST, REQUEST).valid


class TestHistory:
    """Tests for `History`."""

    def test_grows(self) -> None:
        """It keeps the order, and tells what came after a mark."""
        history, made = History(), [replied(200), replied(404), replied(500)]
        assert 0 == len(history)
        for one in made:
            history.append(one)
        assert made == list(history)
        assert 3 == len(history)
        assert not hasattr(history, "__dict__")
        assert [made[1:], made, []] == [history.since(mark) for mark in (1, 0, 3)]
