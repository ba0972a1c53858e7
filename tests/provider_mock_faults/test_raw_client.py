"""The client of disturbed requests: byte for byte like the ordinary one where nothing is disturbed, and as careful."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from im_callback.provider_mock.contract import NoReply, Reply, Request
from im_callback.provider_mock.delivery.plan import Transport
from im_callback.provider_mock.delivery.sockets.answer_reader import HEAD_LIMIT, KEPT_BODY
from im_callback.provider_mock.delivery.sockets.client import Client
from im_callback.provider_mock.delivery.sockets.message import HeaderInjection
from im_callback.provider_mock.delivery.sockets.raw_client import RawClient
from im_callback.provider_mock.delivery.sockets.system import unsent

from tests.provider_mock.peers import answers, peer, silent, unused_port
from tests.provider_mock_faults.recorder import OK, Recorder, always, recorder
from tests.provider_mock_server.waiting import until

PATIENT, HASTY = Client(5.0), Client(1.0)
BODY = b'{"a":"' + b"x" * 100 + b'"}'


def post(
    url: str, *headers: tuple[str, str], body: bytes = BODY, chunked: bool = False, method: str = "POST"
) -> Request:
    """Return a request."""
    return Request(url, headers, body, chunked=chunked, method=method)


def sent(request: Request, client: Client = PATIENT, transport: Transport = Transport()) -> Reply | NoReply:  # noqa: B008
    """Return the reply to one request."""
    with RawClient(client) as raw:
        return raw.send(request, transport)


class TestLikeTheClient:
    """Undisturbed, the two clients cannot be told apart."""

    @pytest.mark.parametrize(
        "tail",
        ["/cb", "", "/", "?a=1", "/cb?b=2&a=%2F&c=a+b", "/cb#part", "/a%20b/%E4%B8%AD"],
    )
    def test_addresses(self, tail: str) -> None:
        """Path and query go out as they are."""
        self.same(lambda there: post(f"http://127.0.0.1:{there.port}{tail}"))

    @pytest.mark.parametrize(
        "headers",
        [
            [("Content-Type", "application/json"), ("aPPkEY", "x: y"), ("MD5", "a"), ("MD5", "b")],
            [("MD5", ""), ("X", "中文"), ("Y", "\udcff")],
            [("User-Agent", "another")],
            [],
        ],
    )
    def test_headers(self, headers: list[tuple[str, str]]) -> None:
        """Headers keep order, case and bytes; nothing is added but Host, User-Agent and Content-Length."""
        self.same(lambda there: post(there.url, *headers), Client(5.0, extra_headers=(("X-Gateway", "1"),)))

    @pytest.mark.parametrize("size", [0, 1, 1000, 200_000])
    def test_bodies(self, size: int) -> None:
        """Bodies of any size arrive whole."""
        self.same(lambda there: post(there.url, body=b"\x00\xff"[:size] + b"x" * max(0, size - 2)))

    @pytest.mark.parametrize("body", [b"", BODY])
    def test_chunked(self, body: bytes) -> None:
        """In one chunk."""
        self.same(lambda there: post(there.url, body=body, chunked=True))

    def test_method(self) -> None:
        """Another method."""
        self.same(lambda there: post(there.url, method="PUT"))

    def test_user(self) -> None:
        """A user in the address becomes an Authorization header."""
        self.same(lambda there: post(f"http://us%20er:pa%3Ass@127.0.0.1:{there.port}/"))

    def same(self, request: object, client: Client = PATIENT) -> None:
        """Send by both clients to one server; fail unless the same arrives."""
        with recorder() as there:
            made = request(there)  # type: ignore[operator]
            (first,) = client.send([made])
            second = sent(made, client)
        assert (200, 200) == (first.status, second.status)
        assert there.received[0] == there.received[1]

    @pytest.mark.parametrize(
        "answer",
        [
            OK,
            b"HTTP/1.1 200 OK\r\n\r\nuntil the end",
            b"HTTP/1.0 500 No\r\nContent-Length: 2\r\nX: 1\r\nx:  2 \r\n\r\nok",
            b"HTTP/1.1 204 No Content\r\n\r\n",
            b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
            b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nA: b\r\n\r\n" + OK,
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n3;x=y\r\nabc\r\n0\r\nTrailer: 1\r\n\r\n",
            b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"y" * 100_000,
            b"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}",
            b"",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            b"this is no HTTP at all\r\n\r\n",
            b"\x00\x01\x02\x03",
            b"HTTP/1.1 abc OK\r\n\r\n",
        ],
    )
    def test_answers(self, answer: bytes) -> None:
        """Every answer is understood in the same way, or not at all."""
        with peer(answers(answer)) as server:
            (first,) = PATIENT.send([post(server.url)])
            second = sent(post(server.url))
        assert type(first) is type(second)
        if isinstance(first, Reply) and isinstance(second, Reply):
            assert (first.status, first.headers, first.body) == (second.status, second.headers, second.body)
        elif isinstance(first, NoReply) and isinstance(second, NoReply):
            assert "unreachable" == first.kind == second.kind
            assert second.detail.startswith("connection lost: ")


class TestCutHeaders:
    """Headers that are cut off are no complete answer, though some clients take them for one."""

    @pytest.mark.parametrize("answer", [b"HTTP/1.1 200 OK\r\nContent-Len", b"HTTP/1.1 200 OK\r\n"])
    def test_lost(self, answer: bytes) -> None:
        """An answer without the end of its headers is none."""
        with peer(answers(answer)) as server:
            assert "connection lost: closed in the middle of the answer's headers" == sent(post(server.url)).detail


class TestLimits:
    """A receiver can do what it likes: it costs neither memory nor more time than the deadline."""

    def test_deadline(self) -> None:
        """No answer is a time-out."""
        with peer(silent) as server:
            reply = sent(post(server.url), HASTY)
        assert ("timed-out", "no complete answer within 1 s") == (reply.kind, reply.detail)
        assert 1 <= reply.seconds

    @pytest.mark.parametrize("start", [b"HTTP/1.1 200 OK\r\n", OK[:-1], b"HTTP/1.1 100 Continue\r\n\r\n"])
    def test_stops_in_the_middle(self, start: bytes) -> None:
        """Nor is one that begins and does not end."""

        def script(connection: socket.socket, data: bytes) -> None:
            connection.sendall(start)
            silent(connection, data)

        with peer(script) as server:
            assert "timed-out" == sent(post(server.url), HASTY).kind

    def test_shorter_deadline(self) -> None:
        """An attempt can be given up earlier, not later."""
        with peer(silent) as server:
            assert "no complete answer within 0.9 s" == sent(post(server.url), PATIENT, Transport(deadline=0.9)).detail
            assert "no complete answer within 1 s" == sent(post(server.url), HASTY, Transport(deadline=60)).detail

    def test_endless_headers(self) -> None:
        """Headers without end are cut off at a limit."""

        def script(connection: socket.socket, _: bytes) -> None:
            connection.sendall(b"HTTP/1.1 200 OK\r\n")
            while True:
                connection.sendall(b"X: " + b"y" * 1000 + b"\r\n")

        with peer(script) as server:
            reply = sent(post(server.url))
        assert f"connection lost: the answer's headers are longer than {HEAD_LIMIT} bytes" == reply.detail

    def test_endless_line(self) -> None:
        """Nor need they end in lines."""

        def script(connection: socket.socket, _: bytes) -> None:
            while True:
                connection.sendall(b"y" * 65536)

        with peer(script) as server:
            assert "unreachable" == sent(post(server.url)).kind

    def test_endless_body(self) -> None:
        """Of a body only the beginning is kept; it still has to end in time."""

        def script(connection: socket.socket, _: bytes) -> None:
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            while True:
                connection.sendall(b"y" * 65536)

        with peer(script) as server:
            assert "timed-out" == sent(post(server.url), HASTY).kind

    def test_large_body(self) -> None:
        """The rest is read and dropped."""
        with peer(answers(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"y" * 1_000_000)) as server:
            assert KEPT_BODY == len(sent(post(server.url)).body)

    @pytest.mark.parametrize("transport", [Transport(), Transport(body_limit=1), Transport(slow_start=0.001)])
    def test_nobody_listens(self, transport: Transport) -> None:
        """Where there is no connection, nothing can be disturbed."""
        reply = sent(post(f"http://127.0.0.1:{unused_port()}/"), PATIENT, transport)
        assert "unreachable" == reply.kind
        assert reply.detail.startswith("no connection: ")

    def test_no_such_host(self) -> None:
        """The name does not resolve (RFC 6761 keeps `.invalid` for this)."""
        reply = sent(post("http://receiver.invalid/"))
        assert ("unreachable", True) == (reply.kind, reply.detail.startswith("no connection: receiver.invalid: "))

    def test_header_injection(self) -> None:
        """A line break in a header is refused before anything is sent."""
        with RawClient(PATIENT) as raw, pytest.raises(HeaderInjection):
            raw.submit(post("http://127.0.0.1:1/", ("A", "b\nc")))

    def test_slow_start_counts(self) -> None:
        """Waiting is part of the provider's time."""
        with recorder() as there:
            reply = sent(post(there.url), HASTY, Transport(slow_start=60))
        assert ("timed-out", [b""]) == (reply.kind, there.received)


class TestEarlyAnswers:
    """A receiver may answer before the body is there."""

    def test_refused_by_the_headers(self) -> None:
        """The answer is taken, and the rest of the body is not sent."""
        refusal = b"HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n"
        with recorder(early=refusal) as there:
            reply = sent(post(there.url, body=b"x" * 1000), PATIENT, Transport(trickle_bytes=1, trickle_seconds=0.05))
        assert 413 == reply.status
        assert len(there.received[0]) < 1000


class TestManyAtOnce:
    """One thread carries many."""

    def test_together(self) -> None:
        """None is answered before all are there."""
        with recorder(together=64) as there, RawClient(PATIENT) as raw:
            futures = [raw.submit(post(there.url), Transport(trickle_bytes=50)) for _ in range(64)]
            assert [200] * 64 == [future.result().status for future in futures]
            assert 1 == len([thread for thread in threading.enumerate() if thread.name == "disturbed requests"])

    def test_close_breaks_off(self) -> None:
        """What is under way is cancelled, and its connection closed."""
        with recorder(always(None)) as there:
            raw = RawClient(PATIENT)
            future = raw.submit(post(there.url))
            there.wait_for(len(BODY))
            raw.close()
            raw.close()
        assert future.cancelled()
        assert ["closed"] == there.ends


class TestKeptConnections:
    """Named connections are kept alive."""

    @pytest.mark.parametrize(
        ("connections", "answer"),
        [
            (1, OK),
            (1, b"HTTP/1.1 401 No\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            (3, b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}"),
            (3, b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}"),
            (3, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}and more"),
        ],
    )
    def test_reused(self, connections: int, answer: bytes) -> None:
        """As long as the receiver keeps it open and says clearly where its answers end."""
        with recorder(always(answer)) as there, RawClient(PATIENT) as raw:
            for _ in range(3):
                assert isinstance(raw.send(post(there.url), connection="one"), Reply)
        assert connections == len(there.connections)

    def test_closed_in_between(self) -> None:
        """One that the receiver has closed, or closes on the next request, is opened anew."""
        with peer(answers(OK)) as server, RawClient(PATIENT) as raw:
            for count in (1, 2):
                assert isinstance(raw.send(post(server.url), connection="one"), Reply)
                assert count == until(lambda: server.closed, count)
        assert 2 == len(server.requests)

    def test_closed_on_the_next_request(self) -> None:
        """Who has read a request has it: it does not go out once more, on a kept connection or a new one."""

        def script(connection: socket.socket, data: bytes) -> None:
            connection.sendall(OK)
            # The second request comes, and the connection ends without a word.
            server.requests.append(connection.recv(65536))

        with peer(script) as server, RawClient(PATIENT) as raw:
            first, second = (raw.send(post(server.url), connection="one") for _ in range(2))
        assert 200 == first.status  # type: ignore[union-attr]
        assert isinstance(second, NoReply)
        assert "unreachable" == second.kind
        assert 2 == len(server.requests)
        with peer(answers(b"")) as server, RawClient(PATIENT) as raw:
            assert "unreachable" == raw.send(post(server.url), connection="one").kind
        assert 1 == len(server.requests)

    def test_disturbed_in_between(self) -> None:
        """What cannot go on is closed; what only takes its time is kept."""
        with recorder() as there, RawClient(PATIENT) as raw:
            for transport in (Transport(trickle_bytes=40), Transport(read_reply=False), Transport(), Transport()):
                raw.send(post(there.url), transport, "one")
        assert [2, 2] == [len(one.requests) for one in there.connections]

    def test_names(self) -> None:
        """Other names are other connections."""
        with recorder(together=2) as there, RawClient(PATIENT) as raw:
            futures = [raw.submit(post(there.url), connection=name) for name in ("one", "two")]
            assert [200, 200] == [future.result().status for future in futures]
        assert 2 == len(there.connections)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Return a private certificate authority."""
    return trustme.CA()


@pytest.fixture
def secure(authority: trustme.CA, tmp_path: Path) -> Iterator[tuple[Recorder, Client]]:
    """Run a server with a certificate of the authority; give it and a client that knows the authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with recorder(tls=context) as there:
        yield there, Client(5.0, ca_file=tmp_path / "ca.pem")


class TestTls:
    """The same over https."""

    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
    def test_verified(self, secure: tuple[Recorder, Client], host: str) -> None:
        """The private authority is known, so it is acknowledged."""
        there, client = secure
        assert 200 == sent(post(f"https://{host}:{there.port}/cb"), client).status

    def test_unknown_authority(self, secure: tuple[Recorder, Client]) -> None:
        """An authority that nobody named is not trusted, and nothing is sent."""
        there, _ = secure
        reply = sent(post(f"https://127.0.0.1:{there.port}/cb"))
        assert ("unreachable", []) == (reply.kind, [one for one in there.received if one])
        assert "certificate verify failed" in reply.detail

    def test_no_tls(self, secure: tuple[Recorder, Client]) -> None:
        """A server that speaks no TLS is no connection."""
        _, client = secure
        with recorder(early=OK) as plain:
            reply = sent(post(f"https://127.0.0.1:{plain.port}/"), Client(1.0, ca_file=client.ca_file))
        assert "unreachable" == reply.kind
        assert reply.detail.startswith("no connection")

    @pytest.mark.parametrize(
        ("outcome", "missing", "transport"),
        [
            (200, 0, Transport(trickle_bytes=10)),
            (200, 0, Transport(trickle_bytes=50, trickle_headers=True)),
            (200, 0, Transport(half_close=True)),
            (200, 0, Transport(slow_start=0.001)),
            ("closed on purpose before the reply was read", 0, Transport(read_reply=False)),
            ("closed on purpose in the middle of the body", 7, Transport(body_limit=-7)),
            ("reset on purpose", 0, Transport(reset=True)),
        ],
    )
    def test_disturbed(
        self, secure: tuple[Recorder, Client], outcome: int | str, missing: int, transport: Transport
    ) -> None:
        """What arrives is as without TLS."""
        there, client = secure
        request = post(f"https://127.0.0.1:{there.port}/cb")
        assert 200 == sent(request, client).status
        reply = sent(request, client, transport)
        assert outcome == (reply.status if isinstance(reply, Reply) else reply.detail.partition(": ")[2])
        whole = there.received[0]
        there.wait_for(2 * len(whole) - missing)
        assert whole[: len(whole) - missing] == there.received[1]

    def test_large(self, secure: tuple[Recorder, Client]) -> None:
        """More than one record."""
        there, client = secure
        assert 200 == sent(post(f"https://127.0.0.1:{there.port}/cb", body=b"z" * 300_000), client).status
        assert there.received[0].endswith(b"z" * 300_000)

    def test_kept(self, secure: tuple[Recorder, Client]) -> None:
        """Connections are kept, session tickets or not."""
        there, client = secure
        with RawClient(client) as raw:
            for _ in range(3):
                assert 200 == raw.send(post(f"https://127.0.0.1:{there.port}/"), connection="one").status
        assert [3] == [len(one.requests) for one in there.connections]


class TestUnsent:
    """Tests for `unsent`."""

    def test_counts(self) -> None:
        """What the other side has not taken is counted, and a closed socket has nothing."""
        one, other = socket.socketpair()
        with one, other:
            assert 0 == unsent(one)
            one.send(b"abc")
            assert unsent(one) > 0
        assert 0 == unsent(one)
