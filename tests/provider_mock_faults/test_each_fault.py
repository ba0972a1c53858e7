"""Every fault of the catalogue, and exactly what arrives at the other end of the socket."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from typing import Any

import pytest
from im_callback.provider_mock.contract import Credentials
from im_callback.provider_mock.delivery import faults
from im_callback.provider_mock.delivery.changes import CannotChange
from im_callback.provider_mock.delivery.perform import fulfilled
from im_callback.provider_mock.delivery.sockets.client import Client
from im_callback.provider_mock.delivery.sockets.raw_client import RawClient

from tests.provider_mock_faults.recorder import OK, Recorder, always, body_of, recorder
from tests.provider_mock_faults.sending import NOW, Planned, Sent

REFUSAL = always(b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n")
SIGN = (
    "SdkAppid=1400000001&CallbackCommand=C2C.CallbackAfterSendMsg&contenttype=json&ClientIP=127.0.0.1&OptPlatform=iOS"
)


def body(number: int = 0) -> bytes:
    """Return the body of a delivery as CommsEase sends it."""
    return b'{"eventType":"2","accid":"zhang%d","timestamp":"%d"}' % (number, NOW + number)


def checksum(md5: str, time: int = NOW, secret: str = "test-secret") -> str:
    """Return CheckSum by the documented formula."""
    return hashlib.sha1(f"{secret}{md5}{time}".encode()).hexdigest()


def whole(there: Recorder, number: int = 0, *, content: bytes | None = None, **changed: str) -> bytes:
    """Return a delivery as it goes out, header by header; `changed` are other values of the signature's headers."""
    content = body(number) if content is None else content
    md5 = hashlib.md5(content).hexdigest()
    time = int(changed.get("CurTime", NOW))
    signed = {"AppKey": "test-key", "CurTime": str(time), "MD5": md5, "CheckSum": checksum(md5, time), **changed}
    lines = [
        "POST /cb HTTP/1.1",
        f"Host: 127.0.0.1:{there.port}",
        "User-Agent: provider-mock",
        "Content-Type: application/json",
        *(f"{name}: {value}" for name, value in signed.items()),
        f"Content-Length: {len(content)}",
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


def lines(request: bytes) -> list[bytes]:
    """Return what a request consists of, in no particular order: a header that was changed stands behind the others."""
    return sorted(request.split(b"\r\n"))


def query(request: bytes) -> str:
    """Return the query of a request."""
    return request.split(b" ")[1].decode().partition("?")[2]


class TestCatalogue:
    """The catalogue and these tests keep step."""

    @pytest.mark.parametrize("name", sorted(faults.load()))
    def test_each_has_its_test(self, name: str) -> None:
        """A fault without a test of what arrives is not finished."""
        tests = {test for kind in vars(sys.modules[__name__]).values() if isinstance(kind, type) for test in vars(kind)}
        assert f"test_{name.replace('-', '_')}" in tests

    def test_undisturbed(self) -> None:
        """What the others are compared with."""
        with recorder() as there:
            sent = Sent(there.url, count=2)
        assert [whole(there, 0), whole(there, 1)] == there.received
        assert ["closed", "closed"] == there.ends
        assert [(0, NOW), (1, NOW)] == [(one.step.index, one.sent_at) for one in sent.attempts]


class TestRepeats:
    """Faults that send again."""

    def test_duplicate(self) -> None:
        """The same bytes, so many times more, each after the one before it and the gap."""
        with recorder() as there:
            sent = Sent(there.url, "duplicate:times=2,gap=2.5")
        assert [whole(there)] * 3 == there.received
        assert [NOW, NOW + 2500, NOW + 5000] == [one.sent_at for one in sent.attempts]
        assert ["acked"] * 3 == sent.outcomes

    def test_duplicate_concurrently(self) -> None:
        """The same bytes over 16 connections; no reply comes before all 16 are there."""
        with recorder(together=16) as there:
            sent = Sent(there.url, "duplicate-concurrently")
        assert [whole(there)] * 16 == there.received
        assert ["acked"] * 16 == sent.outcomes

    @pytest.mark.parametrize(
        ("expected", "distance"), [([0, 1, 2, 0, 3, 1, 2, 3], 2), ([0, 1, 2, 3, 0, 1, 2, 3], 1000)]
    )
    def test_duplicate_later(self, expected: list[int], distance: int) -> None:
        """The same bytes again, with other deliveries in between."""
        with recorder() as there:
            Sent(there.url, f"duplicate-later:distance={distance}", count=4)
        assert [whole(there, n) for n in expected] == there.order

    def test_sign_afresh(self) -> None:
        """The same body with a new time and a fitting signature."""
        with recorder() as there:
            Sent(there.url, "sign-afresh:gap=3")
        assert [whole(there), whole(there, CurTime=str(NOW + 3000))] == there.received

    def test_sign_afresh_signs_retries(self) -> None:
        """Where something is sent again anyway, that is what it signs; the nonce is another one too."""
        with recorder() as there:
            Sent(there.url, "duplicate:gap=1", "sign-afresh", provider="rongcloud")
        assert 2 == len(there.received)
        first, second = (dict(pair.split("=") for pair in query(one).split("&")) for one in there.received)
        assert (str(NOW), "n1") == (first["timestamp"], first["nonce"])
        assert (str(NOW + 1000), "n2") == (second["timestamp"], second["nonce"])
        assert body_of(there.received[0]) == body_of(there.received[1])

    def test_two_connections(self) -> None:
        """Each delivery is there twice at once; the two connections are the same ones for every delivery."""
        with recorder(together=2) as there:
            sent = Sent(there.url, "two-connections", count=3)
        assert [[whole(there, n) for n in range(3)]] * 2 == [one.requests for one in there.connections]
        assert ["acked"] * 6 == sent.outcomes


class TestOrder:
    """Faults that move deliveries."""

    def test_reorder(self) -> None:
        """None keeps its place, and the seed decides which one it gets."""
        arrived = []
        for seed in (1, 1, 2):
            with recorder() as there:
                Sent(there.url, "reorder", count=5, seed=seed)
            arrived.append([int(body_of(one).split(b"zhang")[1][:1]) for one in there.order])
        assert arrived[0] == arrived[1] != arrived[2]
        assert all(sorted(one) == [0, 1, 2, 3, 4] and all(n != at for at, n in enumerate(one)) for one in arrived)

    @pytest.mark.parametrize(("expected", "window"), [([3, 2, 1, 0], 0), ([1, 0, 3, 2], 2), ([2, 1, 0, 3], 3)])
    def test_reverse(self, expected: list[int], window: int) -> None:
        """The last one comes first, among all or within windows."""
        with recorder() as there:
            Sent(there.url, f"reverse:window={window}", count=4)
        assert [whole(there, n) for n in expected] == there.order

    def test_delay(self) -> None:
        """Those behind overtake what is held back."""
        with recorder() as there:
            sent = Sent(there.url, "delay:seconds=60,every=3", count=3)
        assert [1, 2, 0] == [one.step.index for one in sent.attempts]
        assert [NOW, NOW, NOW + 60_000] == [one.sent_at for one in sent.attempts]
        assert [whole(there, 1), whole(there, 2), whole(there, 0, CurTime=str(NOW + 60_000))] == there.order

    def test_delay_of_all(self) -> None:
        """With nothing to overtake they come in order, each so much later."""
        with recorder() as there:
            sent = Sent(there.url, "delay:seconds=1,every=1", count=3)
        assert [(0, NOW + 1000), (1, NOW + 2000), (2, NOW + 3000)] == [
            (one.step.index, one.sent_at) for one in sent.attempts
        ]

    def test_burst(self) -> None:
        """All are there at once, before one of them is answered."""
        with recorder(together=8) as there:
            sent = Sent(there.url, "burst:size=8", count=16)
        assert sorted(whole(there, n) for n in range(8)) == sorted(there.order[:8])
        assert sorted(whole(there, n) for n in range(8, 16)) == sorted(there.order[8:])
        assert ["acked"] * 16 == sent.outcomes

    def test_reuse_connection(self) -> None:
        """One connection carries all, or several take turns."""
        with recorder() as there:
            Sent(there.url, "reuse-connection", count=3)
        assert [[whole(there, n) for n in range(3)]] == [one.requests for one in there.connections]
        with recorder() as there:
            Sent(there.url, "reuse-connection:connections=2", count=4)
        assert [[whole(there, 0), whole(there, 2)], [whole(there, 1), whole(there, 3)]] == [
            one.requests for one in there.connections
        ]


class TestFailures:
    """Faults that make an attempt fail; the retry is the same bytes again."""

    def test_lose_ack(self) -> None:
        """The whole request arrives and is answered; the connection is then closed on the unread answer."""
        with recorder() as there:
            sent = Sent(there.url, "lose-ack:gap=2")
        assert [whole(there)] * 2 == there.received
        # Closing a socket on which something is unread is a reset.
        assert ["reset", "closed"] == there.ends
        assert (["unreachable", "acked"], ["nothing", "acknowledgement"]) == (sent.outcomes, sent.expected)
        assert "connection lost: closed on purpose before the reply was read" == sent.attempts[0].judgement.rule
        assert NOW + 2000 == sent.attempts[1].sent_at

    def test_time_out(self) -> None:
        """The whole request arrives; the answer is let lie, and at the deadline the connection ends."""
        with recorder() as there:
            sent = Sent(there.url, "time-out:after=1")
        assert [whole(there)] * 2 == there.received
        assert ["timed out", "acked"] == sent.outcomes
        assert 1 <= sent.attempts[0].reply.seconds

    def test_time_out_at_the_providers_deadline(self) -> None:
        """By default the deadline is the provider's own."""
        with recorder() as there:
            sent = Sent(there.url, "time-out:retry=false", client=Client(1.0))
        assert (["timed out"], ["reset"]) == (sent.outcomes, there.ends)

    @pytest.mark.parametrize(("kept", "missing"), [(-16, 16), (-1, 1), (0, 100_000)])
    def test_truncate(self, kept: int, missing: int) -> None:
        """The headers promise the whole body; so many bytes of it do not come, and the connection is closed."""
        with recorder() as there:
            sent = Sent(there.url, f"truncate:missing={missing}")
            cut = whole(there)[:kept] if kept else whole(there).partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
        assert [cut, whole(there)] == there.received
        assert ["closed", "closed"] == there.ends
        assert ["unreachable", "acked"] == sent.outcomes

    @pytest.mark.parametrize("missing", [0, 7])
    def test_reset(self, missing: int) -> None:
        """A reset and no end of the stream, after the request or in the middle of its body."""
        with recorder(lambda number, _: OK if number > (missing == 0) else None) as there:
            sent = Sent(there.url, f"reset:missing={missing}")
            full = whole(there)
        assert [full[: len(full) - missing], full] == there.received
        assert ["reset", "closed"] == there.ends
        assert ["unreachable", "acked"] == sent.outcomes

    def test_half_open(self) -> None:
        """The body stops in the middle, the connection stays, and there is never an orderly end."""
        with recorder() as there:
            sent = Sent(there.url, "half-open:missing=5,after=1")
        assert [whole(there)[:-5], whole(there)] == there.received
        assert ["reset", "closed"] == there.ends
        assert ["timed out", "acked"] == sent.outcomes
        assert 1 <= sent.attempts[0].reply.seconds

    def test_refuse(self) -> None:
        """Nothing arrives but the retry."""
        with recorder() as there:
            sent = Sent(there.url, "refuse:times=2,gap=300")
        assert [whole(there, CurTime=str(NOW))] == there.received
        assert ["unreachable", "unreachable", "acked"] == sent.outcomes
        assert "no connection: Connection refused, on purpose" == sent.attempts[0].judgement.rule
        assert NOW + 600_000 == sent.attempts[2].sent_at

    def test_wrong_content_length(self) -> None:
        """One byte too many is promised and never comes."""
        with recorder() as there:
            sent = Sent(there.url, "wrong-content-length:after=1")
            length = len(body())
        wrong = whole(there).replace(b"Length: %d" % length, b"Length: %d" % (length + 1))
        assert [wrong, whole(there)] == there.received
        assert [0, 1] == [len(one.requests) for one in there.connections]
        assert ["timed out", "acked"] == sent.outcomes

    def test_wrong_content_length_too_short(self) -> None:
        """More comes than was promised; what the receiver says to that is read, and nothing is owed."""
        with recorder(lambda number, _: OK if number > 1 else b"HTTP/1.1 400 X\r\nContent-Length: 0\r\n\r\n") as there:
            sent = Sent(there.url, "wrong-content-length:by=-3")
        assert [body()[:-3], body()] == [body_of(one) for one in there.order]
        assert (["refused", "acked"], ["nothing", "acknowledgement"]) == (sent.outcomes, sent.expected)


class Arrived:
    """A sleep that passes no time: it waits until everything that was sent has arrived."""

    def __init__(self, there: Recorder, sizes: list[int]) -> None:
        self.there = there
        self.sizes = sizes
        self.slept: list[float] = []

    async def __call__(self, seconds: float) -> None:
        """Wait for the pieces before this sleep."""
        self.slept.append(seconds)
        self.there.wait_for(sum(self.sizes[: len(self.slept)]))


def slowly(described: str, cut: Callable[[bytes], list[int]]) -> tuple[list[bytes], list[float], bytes]:
    """Send one delivery whose pieces should have the sizes; return what came, what was slept, and the whole."""
    with recorder() as there:
        planned = Planned(there.url, described)
        (step,) = planned.plan
        shot = planned.maker(step, NOW)
        arrived = Arrived(there, cut(whole(there)))
        with RawClient(Client(5.0), sleep=arrived) as raw:
            assert 200 == raw.send(shot.request, step.transport).status
        return there.connections[0].pieces, arrived.slept, whole(there)


class TestSlow:
    """Faults that take their time: what comes in one piece, and how long is slept in between."""

    def test_trickle(self) -> None:
        """The headers come at once, the body in pieces."""
        size = len(body())
        pieces, slept, full = slowly(
            "trickle:bytes=20,pause=0.3", lambda full: [len(full) - size, *[20] * (size // 20), size % 20]
        )
        assert full == b"".join(pieces)
        assert [body()[n : n + 20] for n in range(0, size, 20)] == pieces[1:]
        assert [0.3] * (size // 20 + 1) == slept

    def test_trickle_headers(self) -> None:
        """The headers come in pieces too, byte by byte if need be."""
        pieces, slept, full = slowly("trickle:bytes=1,pause=0.1,headers=true", lambda full: [1] * len(full))
        assert [full[n : n + 1] for n in range(len(full))] == pieces
        assert [0.1] * (len(full) - 1) == slept

    def test_trickle_lets_others_go_on(self) -> None:
        """The others are acknowledged while one body is still on its way."""
        with recorder() as there:
            sent = Sent(there.url, "trickle:bytes=10,pause=0.02,every=3", count=3)
        assert [1, 2, 0] == [one.step.index for one in sent.attempts]
        assert ["acked"] * 3 == sent.outcomes

    def test_slow_start(self) -> None:
        """The connection is there, and at first nothing comes over it."""
        pieces, slept, full = slowly("slow-start:seconds=0.7", lambda _: [0])
        assert (full, [0.7]) == (b"".join(pieces), slept)

    def test_half_close(self) -> None:
        """The stream ends behind the request, and the answer that comes then is read."""
        ends = []

        def answer(_: int, __: bytes) -> bytes:
            ends.append(connection_ended())
            return OK

        with recorder(answer) as there:

            def connection_ended() -> bytes:
                return there.connections[0].socket.recv(1)

            sent = Sent(there.url, "half-close")
        assert ([b""], ["acked"]) == (ends, sent.outcomes)
        assert [whole(there)] == there.received


class TestWriting:
    """Faults that write the same delivery in another way; it stays correctly signed."""

    def test_chunked(self) -> None:
        """In chunks, and without a Content-Length."""
        with recorder() as there:
            sent = Sent(there.url, "chunked")
        head, _, chunks = there.received[0].partition(b"\r\n\r\n")
        assert b"\r\nTransfer-Encoding: chunked" in head
        assert b"content-length" not in head.lower()
        assert b"%x\r\n%s\r\n0\r\n\r\n" % (len(body()), body()) == chunks
        assert ["acked"] == sent.outcomes

    @pytest.mark.parametrize("case", ["lower", "upper"])
    def test_header_case(self, case: str) -> None:
        """The provider's own headers are written in another case; their values are not."""
        with recorder() as there:
            Sent(there.url, f"header-case:case={case}")
        expected = whole(there)
        for name in (b"Content-Type", b"AppKey", b"CurTime", b"MD5", b"CheckSum"):
            expected = expected.replace(name + b":", (name.lower() if case == "lower" else name.upper()) + b":")
        assert [expected] == there.received

    @pytest.mark.parametrize(
        ("line", "described"),
        [
            (b"Content-Type: application/json;charset=utf-8\r\n", "content-type"),
            (b"Content-Type: text/plain\r\n", "content-type:value=text/plain"),
            (b"", "content-type:value=none"),
        ],
    )
    def test_content_type(self, line: bytes, described: str) -> None:
        """Another value, or no such header."""
        with recorder() as there:
            Sent(there.url, described)
        assert [whole(there).replace(b"Content-Type: application/json\r\n", line)] == there.received

    @pytest.mark.parametrize(
        ("expected", "described"),
        [
            (b' {"accid" : "zhang0" , "eventType" : "2" , "timestamp" : "%d"} ' % NOW, "reformat"),
            (b'{"eventType":"2","accid":"zhang0","timestamp":"%d"}\n' % NOW,
             "reformat:key-order=documented,spaces=false,newline=true"),
        ],
    )  # fmt: skip
    def test_reformat(self, expected: bytes, described: str) -> None:
        """Other bytes that mean the same, signed as they stand."""
        with recorder() as there:
            Sent(there.url, described)
        assert [whole(there, content=expected)] == there.received
        assert json.loads(expected) == json.loads(body())

    def test_reformat_numbers(self) -> None:
        """Whole numbers as 1.0."""
        with recorder() as there:
            Sent(there.url, "reformat:floats=true", provider="rongcloud")
        assert b' "optType" : 1.0 ' in body_of(there.received[0])

    def test_reformat_repeats(self) -> None:
        """A retry that is serialised anew has the same time and another body."""
        with recorder() as there:
            Sent(there.url, "duplicate", "reformat:on=repeats")
        assert [whole(there), whole(there, content=body_of(there.received[1]))] == there.received
        assert json.loads(body()) == json.loads(body_of(there.received[1]))

    def test_stale(self) -> None:
        """Correctly signed, at another time than now."""
        with recorder() as there:
            sent = Sent(there.url, "stale:age=3600")
            Sent(there.url, "stale:age=-0.5")
        assert [whole(there, CurTime=str(NOW - 3_600_000)), whole(there, CurTime=str(NOW + 500))] == there.received
        # It may be taken or refused: the documents set no limit.
        assert ["answer"] == sent.expected

    @pytest.mark.parametrize(("expected", "age"), [("answer", 60), ("refusal", 61), ("refusal", -61)])
    def test_stale_by_the_documents(self, expected: str, age: int) -> None:
        """Tencent documents a limit, so it must be refused there."""
        with recorder() as there:
            sent = Sent(there.url, f"stale:age={age}", provider="tencent")
        assert [expected] == sent.expected
        time = str(NOW // 1000 - age)
        assert f"{SIGN}&Sign={token(time)}&RequestTime={time}" == query(there.received[0])


def token(time: str) -> str:
    """Return Sign by the documented formula."""
    return hashlib.sha256(f"test-token{time}".encode()).hexdigest()


class TestForgeries:
    """Faults after which the signature does not fit."""

    def sent(self, described: str, provider: str = "commsease", **options: Any) -> tuple[Recorder, Sent]:
        """Send one delivery to a server that refuses it."""
        with recorder(REFUSAL) as there:
            sent = Sent(there.url, described, provider=provider, **options)
        assert (["refused"], ["refusal"]) == (sent.outcomes, sent.expected)
        assert fulfilled(sent.attempts)
        assert sent.attempts[0].shot.forged
        return there, sent

    @pytest.mark.parametrize(
        ("secret", "described"),
        [
            ("not-test-secret", "wrong-secret"),
            ("", "wrong-secret:secret=empty"),
            ("test-key", "wrong-secret:secret=app-key"),
        ],
    )
    def test_wrong_secret(self, secret: str, described: str) -> None:
        """Everything fits, but for the secret."""
        there, _ = self.sent(described)
        md5 = hashlib.md5(body()).hexdigest()
        assert [whole(there, CheckSum=checksum(md5, secret=secret))] == there.received

    def test_previous_secret(self) -> None:
        """It is signed with the secret of before, and for the app that another fault names."""
        known = Credentials("test-key", "test-secret", previous=Credentials("test-key", "of-before"))
        md5 = hashlib.md5(body()).hexdigest()
        changed = {"CheckSum": checksum(md5, secret="of-before")}
        there, sent = self.sent("previous-secret", credentials=known)
        assert [whole(there, **changed)] == there.received
        used = sent.attempts[0].shot.credentials
        assert used is not None
        assert "*** and ***" == used.masked("of-before and test-secret")
        with recorder(REFUSAL) as there:
            Sent(there.url, "foreign-app", "previous-secret", credentials=known)
        assert [whole(there, AppKey="another-app", **changed)] == there.received

    def test_foreign_app(self) -> None:
        """The signature fits, but it is another app's."""
        there, _ = self.sent("foreign-app")
        assert [whole(there, AppKey="another-app")] == there.received
        there, _ = self.sent("foreign-app:key=1", provider="tencent")
        assert query(there.received[0]).startswith("SdkAppid=1&")

    def test_tamper_body(self) -> None:
        """Another account under the headers of the first; with its digest, if asked for."""
        changed = body().replace(b"zhang0", b"zhang1")
        md5 = hashlib.md5(body()).hexdigest()
        there, sent = self.sent("tamper-body")
        assert whole(there, content=changed, MD5=md5, CheckSum=checksum(md5)) == there.received[0]
        assert ("zhang1", "zhang0") == (
            sent.attempts[0].shot.events[0].payload["accid"],
            json.loads(sent.attempts[0].shot.signed.body)["accid"],
        )
        there, _ = self.sent("tamper-body:recompute=true")
        assert lines(whole(there, content=changed, CheckSum=checksum(md5))) == lines(there.received[0])

    def test_tamper_body_where_it_is_not_signed(self) -> None:
        """RongCloud's signature does not cover the body: what comes is a valid delivery."""
        with recorder() as there:
            sent = Sent(there.url, "tamper-body", provider="rongcloud")
        assert b'"chatroomId":"room1"' in there.received[0]
        assert (["acked"], ["acknowledgement"]) == (sent.outcomes, sent.expected)

    @pytest.mark.parametrize("by", [1, -60_000])
    def test_tamper_time(self, by: int) -> None:
        """The time is another one than was signed."""
        there, _ = self.sent(f"tamper-time:by={by}")
        md5 = hashlib.md5(body()).hexdigest()
        assert lines(whole(there, CurTime=str(NOW + by), CheckSum=checksum(md5))) == lines(there.received[0])

    def test_tamper_nonce(self) -> None:
        """The nonce is another one than was signed."""
        there, _ = self.sent("tamper-nonce", provider="rongcloud")
        signature = hashlib.sha1(f"test-secretn1{NOW}".encode()).hexdigest()
        assert {f"nonce={'n2'}", f"signature={signature}"} <= set(query(there.received[0]).split("&"))

    def test_tamper_digest(self) -> None:
        """MD5 is wrong, and CheckSum is that of the right one."""
        there, _ = self.sent("tamper-digest")
        md5 = hashlib.md5(body()).hexdigest()
        wrong = md5[:-1] + ("b" if md5[-1] == "a" else "a" if md5[-1].isalpha() else str((int(md5[-1]) + 1) % 10))
        assert {f"MD5: {wrong}", f"CheckSum: {checksum(md5)}"} <= set(there.received[0].decode().split("\r\n"))

    @pytest.mark.parametrize("keep", [8, 0])
    def test_tamper_signature(self, keep: int) -> None:
        """Only its first characters."""
        there, _ = self.sent(f"tamper-signature:keep={keep}")
        md5 = hashlib.md5(body()).hexdigest()
        assert f"CheckSum: {checksum(md5)[:keep]}".rstrip().encode() in map(bytes.rstrip, lines(there.received[0]))

    @pytest.mark.parametrize(("gone", "parameter"), [("CheckSum", "signature"), ("AppKey", "key"), ("MD5", "md5")])
    def test_drop_parameter(self, gone: str, parameter: str) -> None:
        """Everything but that one, by its role or by its name."""
        there, _ = self.sent(f"drop-parameter:parameter={parameter}")
        kept = [line for line in whole(there).split(b"\r\n") if not line.startswith(f"{gone}:".encode())]
        assert [b"\r\n".join(kept)] == there.received

    def test_empty_parameter(self) -> None:
        """It is there and holds nothing."""
        there, _ = self.sent("empty-parameter", provider="tencent")
        time = str(NOW // 1000)
        assert {"Sign=", f"RequestTime={time}"} <= set(query(there.received[0]).split("&"))

    def test_double_parameter(self) -> None:
        """It is there twice, with the right value."""
        there, _ = self.sent("double-parameter:parameter=CurTime")
        assert 2 == there.received[0].count(f"CurTime: {NOW}\r\n".encode())

    @pytest.mark.parametrize(
        ("described", "provider", "credentials", "error"),
        [
            (
                "tamper-nonce",
                "commsease",
                None,
                (
                    "commsease.data-sync has no parameter 'nonce' that could be changed; it has "
                    "AppKey (key), CurTime (time), MD5 (digest), CheckSum (signature)"
                ),
            ),
            (
                "drop-parameter:parameter=RequestTime",
                "tencent",
                Credentials("1", None),
                "tencent.after sends no RequestTime while no secret is set; give the app secret",
            ),
            (
                "wrong-secret",
                "tencent",
                Credentials("1", None),
                "tencent.after sends no signature while no secret is set; give the app secret",
            ),
        ],
    )
    def test_not_for_this_provider(
        self, described: str, provider: str, credentials: Credentials | None, error: str
    ) -> None:
        """What a provider's requests do not have cannot be changed; that is known before anything is sent."""
        planned = Planned("http://127.0.0.1/", described, provider=provider, credentials=credentials)
        with pytest.raises(CannotChange) as raised:
            planned.maker.check(planned.plan)
        assert error == str(raised.value)


class TestNoCallback:
    """Faults after which the request is correctly signed, but none that the provider sends."""

    @pytest.mark.parametrize(
        ("expected", "kind"),
        [
            (body()[:-2], "cut"),
            (b"", "empty"),
            (b"null", "null"),
            (b"7", "number"),
            (b'"text"', "string"),
            (b"[]", "container"),
            (b'{"a":NaN}', "nan"),
            (b"[" * 10_000 + b"]" * 10_000, "deep"),
            (b'{"eventType": "2",' + body()[1:], "duplicate-keys"),
            (b'{"\xff\xfe' + body()[2:], "invalid-utf8"),
        ],
    )
    def test_break_body(self, expected: bytes, kind: str) -> None:
        """Other bytes with a signature that fits them; any answer in time will do."""
        with recorder(always(b"HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n")) as there:
            sent = Sent(there.url, f"break-body:kind={kind}")
        assert [whole(there, content=expected)] == there.received
        assert (["refused"], ["answer"], True) == (sent.outcomes, sent.expected, fulfilled(sent.attempts))

    def test_break_body_of_a_batch(self) -> None:
        """Where an array is due, an object is the wrong container."""
        with recorder() as there:
            Sent(there.url, "break-body:kind=container", provider="rongcloud")
        assert b'{"unexpected":{}}' == body_of(there.received[0])

    def test_oversize(self) -> None:
        """The same JSON, with white space up to the size."""
        with recorder() as there:
            sent = Sent(there.url, "oversize:bytes=200000")
        assert [whole(there, content=body().ljust(200_000))] == there.received
        assert ["answer"] == sent.expected

    @pytest.mark.parametrize("method", ["GET", "PUT", "HEAD"])
    def test_wrong_method(self, method: str) -> None:
        """The same request by another method; the answer to HEAD has no body, whatever it promises."""
        reply = b"HTTP/1.1 405 No\r\nContent-Length: 2\r\n\r\n" + (b"" if method == "HEAD" else b"no")
        with recorder(always(reply)) as there:
            sent = Sent(there.url, f"wrong-method:method={method}")
        assert [whole(there).replace(b"POST", method.encode(), 1)] == there.received
        assert (["refused"], ["answer"]) == (sent.outcomes, sent.expected)
