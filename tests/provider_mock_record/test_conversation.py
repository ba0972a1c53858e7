"""Requests and replies are read off whatever bytes pass, in whatever pieces."""

from __future__ import annotations

import pytest
from im_callback.provider_mock.recording.conversation import Conversation
from im_callback.provider_mock.recording.exchange import Exchange

FIRST = b"POST /cb?a=1 HTTP/1.1\r\nhOST: there:80\r\nX-Two:  b \r\nContent-Length: 3\r\n\r\nabc"
SECOND = b"POST /cb HTTP/1.1\r\nHost: there\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n1\r\nf\r\n0\r\n\r\n"
GET = b"GET /healthz HTTP/1.1\r\nHost: there\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 500 Oops\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhey\r\n0\r\n\r\n"
UNTIL_CLOSED = b"HTTP/1.0 200 OK\r\n\r\nto the end"


def talk(*parts: tuple[str, bytes], piece: int = 9999, end: bool = False) -> list[Exchange]:
    """Return the exchanges of a conversation, in pieces of so many bytes: `>` is what the provider sends, `<` the answers."""
    here, found, now = Conversation("127.0.0.1:80"), [], 0
    for way, data in parts:
        for at in range(0, len(data), piece):
            now += 1
            if way == ">":
                here.asked(data[at : at + piece], now)
            else:
                found += here.answered(data[at : at + piece], now)
    if end:
        found += here.receiver_closed(now + 1, "the receiver closed")
    return found


@pytest.mark.parametrize("piece", [1, 2, 7, 9999])
class TestPieces:
    """However the bytes are cut."""

    def test_two_in_turn(self, piece: int) -> None:
        """Headers keep their case and order; chunks are taken apart."""
        one, other = talk((">", FIRST), ("<", OK), (">", SECOND), ("<", CHUNKED), piece=piece)
        assert (("hOST", "there:80"), ("X-Two", "b"), ("Content-Length", "3")) == one.request.headers
        assert ("POST", "http://there:80/cb?a=1", b"abc", False) == (
            one.request.method, one.request.url, one.request.body, one.request.chunked,
        )  # fmt: skip
        assert one.reply is not None
        assert (200, b"ok") == (one.reply.status, one.reply.body)
        assert (b"def", True) == (other.request.body, other.request.chunked)
        assert other.reply is not None
        assert (500, b"hey") == (other.reply.status, other.reply.body)
        assert ("", "", "", "") == (one.lost, one.broken, other.lost, other.broken)

    def test_pipelined(self, piece: int) -> None:
        """Requests that did not wait get their answers in order."""
        found = talk((">", FIRST + SECOND + GET), ("<", OK + CHUNKED + OK), piece=piece)
        assert [(b"abc", 200), (b"def", 500), (b"", 200)] == [
            (one.request.body, one.reply and one.reply.status) for one in found
        ]

    def test_until_closed(self, piece: int) -> None:
        """An answer may end with the connection."""
        (one,) = talk((">", FIRST), ("<", UNTIL_CLOSED), piece=piece, end=True)
        assert one.reply is not None
        assert (b"to the end", "") == (one.reply.body, one.lost)

    def test_lost(self, piece: int) -> None:
        """One without a whole answer is lost."""
        (one,) = talk((">", FIRST), ("<", OK[:-1]), piece=piece, end=True)
        assert (None, "the receiver closed") == (one.reply, one.lost)

    def test_answered_early(self, piece: int) -> None:
        """A request that is answered before its end is broken; the next one is read."""
        head, tail = SECOND[:-9], SECOND[-9:]
        found = talk((">", head), ("<", OK), (">", tail + FIRST), ("<", OK), piece=piece)
        assert [True, False] == [bool(one.broken) for one in found]
        assert [200, 200] == [one.reply and one.reply.status for one in found]
        assert b"abc" == found[1].request.body

    @pytest.mark.parametrize(
        "data", [b"\x16\x03\x01\x02\x00 hello \r\n\r\n more", b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\nabc"]
    )
    def test_no_http(self, data: bytes, piece: int) -> None:
        """What is no HTTP is kept as it came."""
        (one,) = talk((">", data), piece=piece, end=True)
        assert "it is no HTTP that can be read" == one.broken
        assert data == one.request.body

    def test_no_http_answer(self, piece: int) -> None:
        """Nor need the answer be any."""
        (one,) = talk((">", FIRST), ("<", b"220 mail.example.com ESMTP\r\n"), piece=piece)
        assert "the receiver's answer is no HTTP that can be read" == one.lost

    def test_cut(self, piece: int) -> None:
        """A request that ends before its end is broken, with as much of it as there is."""
        (one,) = talk((">", FIRST[:-1]), piece=piece, end=True)
        assert (b"ab", "it ended before its end") == (one.request.body, one.broken)


def test_times() -> None:
    """The time counts from the first byte of the request to the last one of the answer."""
    (one,) = talk((">", FIRST), ("<", OK), piece=10)
    assert 1 == one.sent_at
    assert -(-len(FIRST) // 10) + -(-len(OK) // 10) == one.replied_at


def test_unasked() -> None:
    """What nobody asked for is passed over."""
    assert [] == talk(("<", OK))
