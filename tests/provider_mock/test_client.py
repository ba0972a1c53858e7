"""The client over real sockets: exactly the bytes it is given, and every way an answer can fail to come."""

from __future__ import annotations

import http.client
import os
import socket
import ssl
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from im_callback.provider_mock import providers
from im_callback.provider_mock.contract import NoReply, Outcome, Reply, Request
from im_callback.provider_mock.delivery.courier import Courier
from im_callback.provider_mock.delivery.sockets.answer_reader import KEPT_BODY
from im_callback.provider_mock.delivery.sockets.client import Client
from im_callback.provider_mock.delivery.sockets.message import HeaderInjection
from im_callback.provider_mock.history import History, Shot

from tests.provider_mock.peers import OK, Peer, answers, peer, silent, unused_port

FEED = providers.load("rongcloud").feeds[0]

PATIENT, HASTY = Client(deadline=10.0), Client(deadline=1.0)


def post(url: str, *headers: tuple[str, str], body: bytes = b"{}", chunked: bool = False) -> Request:
    """Return a request."""
    return Request(url, headers, body, chunked=chunked)


def sent(client: Client, request: Request) -> Reply | NoReply:
    """Return the reply to one request."""
    (reply,) = client.send([request])
    return reply


@pytest.fixture
def listener() -> Iterator[Peer]:
    """A server that answers 200."""
    with peer(OK) as one:
        yield one


class TestBytes:
    """What goes over the wire is what was asked for."""

    def test_exactly(self, listener: Peer) -> None:
        """Headers keep their order and their case; nothing is added but Host, User-Agent and Content-Length."""
        request = post(
            f"{listener.url}?b=2&a=%2F",
            ("Content-Type", "application/json"),
            ("ZZ-b", "1"),
            ("aPPkEY", "x: y"),
            body=b'{"a":"\xff\x00"}',
        )
        assert 200 == sent(PATIENT, request).status
        assert [
            b"POST /cb?b=2&a=%2F HTTP/1.1\r\n"
            + f"Host: 127.0.0.1:{listener.port}\r\n".encode()
            + b"User-Agent: provider-mock\r\n"
            b"Content-Type: application/json\r\n"
            b"ZZ-b: 1\r\n"
            b"aPPkEY: x: y\r\n"
            b"Content-Length: 10\r\n"
            b"\r\n"
            b'{"a":"\xff\x00"}'
        ] == listener.requests

    def test_signed_request(self, listener: Peer) -> None:
        """What a provider signed arrives as it was signed."""
        provider = providers.load("commsease")
        request = provider.feeds[0].sign('{"a":"中文"}'.encode(), "", listener.url, provider.defaults, _stamp())
        assert 200 == sent(PATIENT, request).status
        head, _, body = listener.requests[0].partition(b"\r\n\r\n")
        assert '{"a":"中文"}'.encode() == body
        lines = head.decode().split("\r\n")
        assert [f"{name}: {value}" for name, value in request.headers] == lines[3:-1]

    @pytest.mark.parametrize(
        ("expected", "headers"),
        [
            ([b"MD5: a", b"MD5: b"], [("MD5", "a"), ("MD5", "b")]),
            ([b"MD5: a", b"md5: a"], [("MD5", "a"), ("md5", "a")]),
            ([b"MD5:"], [("MD5", "")]),
            ([b"MD5:"], [("MD5", " ")]),
            ([b"MD5:", b"MD5: a"], [("MD5", ""), ("MD5", "a")]),
            (["MD5: 中文".encode()], [("MD5", "中文")]),
            ([b"MD5: \xff"], [("MD5", "\udcff")]),
            (
                [b"Content-Type: application/json", b"Content-Type: text/plain"],
                [("Content-Type", "application/json"), ("Content-Type", "text/plain")],
            ),
            ([b"Content-Type:"], [("Content-Type", "")]),
            ([b"Accept: */*"], [("Accept", "*/*")]),
            ([], []),
        ],
    )
    def test_headers(self, listener: Peer, expected: list[bytes], headers: list[tuple[str, str]]) -> None:
        """Doubled headers are sent twice, empty ones empty, and none is sent that was not asked for."""
        sent(PATIENT, post(listener.url, *headers))
        lines = listener.requests[0].partition(b"\r\n\r\n")[0].split(b"\r\n")
        assert [b"Content-Length: 2"] == [line for line in lines if line.startswith(b"Content-Length")]
        assert expected == [line.rstrip() for line in lines[3:] if not line.startswith(b"Content-Length")]

    @pytest.mark.parametrize("body", [b"{}", b"x" * 100_000], ids=["small", "large"])
    def test_chunked(self, listener: Peer, body: bytes) -> None:
        """A chunked body has no Content-Length, and arrives whole."""
        sent(PATIENT, post(listener.url, ("A", "1"), body=body, chunked=True))
        head, _, chunks = listener.requests[0].partition(b"\r\n\r\n")
        assert b"Transfer-Encoding: chunked" in head.split(b"\r\n")
        assert b"content-length" not in head.lower()
        assert body == _joined(chunks)

    @pytest.mark.parametrize("size", [0, 1, 1023, 1025, 2_000_000])
    def test_body_sizes(self, listener: Peer, size: int) -> None:
        """Large bodies do not wait for a 100 Continue, and an empty one has its Content-Length too."""
        sent(PATIENT, post(listener.url, body=b"x" * size))
        head, _, body = listener.requests[0].partition(b"\r\n\r\n")
        assert b"expect" not in head.lower()
        assert f"Content-Length: {size}".encode() in head
        assert size == len(body)

    def test_method(self, listener: Peer) -> None:
        """Another method is sent as it is called."""
        sent(PATIENT, Request(listener.url, (), b"{}", method="PUT"))
        assert listener.requests[0].startswith(b"PUT /cb HTTP/1.1\r\n")

    def test_extra_headers(self, listener: Peer) -> None:
        """Headers for a gateway on the way follow those of the provider, and stay out of the repr."""
        client = Client(10.0, extra_headers=(("X-Gateway", "pass-4711"),))
        sent(client, post(listener.url, ("A", "1")))
        assert b"A: 1\r\nX-Gateway: pass-4711\r\n" in listener.requests[0]
        assert "pass-4711" not in repr(client)

    @pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy", "https_proxy"])
    def test_no_proxy(self, listener: Peer, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        """A proxy in the environment is not used: callbacks go to the receiver itself."""
        monkeypatch.setenv(name, f"http://127.0.0.1:{unused_port()}")
        assert 200 == sent(PATIENT, post(listener.url)).status

    def test_connections_are_not_shared(self) -> None:
        """Every attempt has a connection of its own, though the server would keep it open."""
        ports: list[int] = []

        def keep_alive(connection: socket.socket, _: bytes) -> None:
            ports.append(connection.getpeername()[1])
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            connection.recv(1)

        with peer(keep_alive) as server:
            for _ in range(3):
                assert 200 == sent(PATIENT, post(server.url)).status
        assert 3 == len(set(ports))

    @pytest.mark.parametrize(("name", "value"), [("A", "x\r\nB: y"), ("A", "x\ny"), ("A\r\nB", "x"), ("A", "x\0y")])
    def test_header_injection(self, listener: Peer, name: str, value: str) -> None:
        """A header that would break out of its line is our error, and nothing is sent."""
        with pytest.raises(HeaderInjection, match="holds a line break or a NUL; leave these out") as raised:
            PATIENT.send([post(listener.url, (name, value))])
        assert name == raised.value.name
        assert [] == listener.requests


class TestReplies:
    """What comes back."""

    def test_reply(self) -> None:
        """Status, headers and body, as they came."""
        data = b"HTTP/1.1 418 I'm a teapot\r\nX-A: 1\r\nx-a:  2 \r\nX-Empty:\r\nX-Latin: \xe9\r\nContent-Length: 4\r\n\r\n\x00\xffab"
        with peer(answers(data)) as server:
            reply = sent(PATIENT, post(server.url))
        assert isinstance(reply, Reply)
        assert 418 == reply.status
        assert (("X-A", "1"), ("x-a", "2"), ("X-Empty", ""), ("X-Latin", "é"), ("Content-Length", "4")) == reply.headers
        assert b"\x00\xffab" == reply.body
        assert 0 < reply.seconds < 10

    @pytest.mark.parametrize("status", [200, 201, 204, 301, 302, 307, 304, 400, 401, 407, 500, 503, 599])
    def test_status(self, status: int) -> None:
        """No status is acted upon: redirects are not followed, log-ins not tried."""
        data = f"HTTP/1.1 {status} X\r\nLocation: http://127.0.0.1:1/\r\nWWW-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n"
        with peer(answers(data.encode())) as server:
            reply = sent(PATIENT, post(server.url))
            assert 1 == len(server.requests)
        assert status == reply.status

    def test_interim(self) -> None:
        """The answer is the final one; headers of a 100 Continue are not its headers."""
        data = b"HTTP/1.1 100 Continue\r\nX-Old: 1\r\n\r\nHTTP/1.1 200 OK\r\nX-New: 2\r\nContent-Length: 0\r\n\r\n"
        with peer(answers(data)) as server:
            reply = sent(PATIENT, post(server.url))
        assert 200 == reply.status
        assert (("X-New", "2"), ("Content-Length", "0")) == reply.headers

    @pytest.mark.parametrize(
        "data",
        [
            b"HTTP/1.0 200 OK\r\n\r\nhello",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        ],
        ids=["until-closed", "chunked", "length"],
    )
    def test_framing(self, data: bytes) -> None:
        """The body ends where HTTP says it ends."""
        with peer(answers(data)) as server:
            assert b"hello" == sent(PATIENT, post(server.url)).body

    def test_compressed_is_left_packed(self) -> None:
        """Nothing is unpacked, and nobody is asked to pack."""
        data = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc"
        with peer(answers(data)) as server:
            assert b"abc" == sent(PATIENT, post(server.url)).body
            assert b"accept-encoding" not in server.requests[0].lower()

    @pytest.mark.parametrize(
        ("kept", "size"), [(KEPT_BODY - 1, KEPT_BODY - 1), (KEPT_BODY, KEPT_BODY), (KEPT_BODY, KEPT_BODY + 1)]
    )
    def test_body_is_cut(self, kept: int, size: int) -> None:
        """The first 64 KiB of a body are kept."""
        with peer(answers(b"HTTP/1.0 200 OK\r\n\r\n" + b"ab" * (size // 2) + b"c" * (size % 2))) as server:
            reply = sent(PATIENT, post(server.url))
        assert isinstance(reply, Reply)
        assert kept == len(reply.body)
        assert reply.body.startswith(b"abab")

    def test_huge_body(self) -> None:
        """A body of 30 MB is read and dropped; it never lies in memory."""

        def script(connection: socket.socket, _: bytes) -> None:
            connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
            block = b"x" * 1_000_000
            for _ in range(30):
                connection.sendall(block)

        with peer(script) as server:
            tracemalloc.start()
            try:
                reply = sent(PATIENT, post(server.url))
                peak = tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()
        assert isinstance(reply, Reply)
        assert KEPT_BODY == len(reply.body)
        assert peak < 8_000_000

    def test_endless_body(self) -> None:
        """A body without an end is a time-out."""

        def script(connection: socket.socket, _: bytes) -> None:
            connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
            while True:
                connection.sendall(b"x" * 100_000)

        with peer(script) as server:
            assert NoReply("timed-out", "no complete answer within 1 s", Anything()) == sent(HASTY, post(server.url))


class TestNoReply:
    """Answers that do not come."""

    def test_never_answers(self) -> None:
        """The deadline passes: the request may have been received."""
        with peer(silent) as server:
            reply = sent(HASTY, post(server.url))
            assert 1 == len(server.requests)
        assert NoReply("timed-out", "no complete answer within 1 s", Anything()) == reply
        assert 0.9 < reply.seconds

    @pytest.mark.parametrize(
        "start",
        [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", b"HTTP/1.1 100 Continue\r\n\r\n"],
    )
    def test_stops_in_the_middle(self, start: bytes) -> None:
        """An answer that begins in time and does not end in time is a time-out."""

        def script(connection: socket.socket, data: bytes) -> None:
            connection.sendall(start)
            silent(connection, data)

        with peer(script) as server:
            assert NoReply("timed-out", "no complete answer within 1 s", Anything()) == sent(HASTY, post(server.url))

    def test_refused(self) -> None:
        """Nobody listens."""
        reply = sent(PATIENT, post(f"http://127.0.0.1:{unused_port()}/"))
        assert isinstance(reply, NoReply)
        assert "unreachable" == reply.kind
        assert reply.detail.startswith("no connection: ")

    def test_no_such_host(self) -> None:
        """The name does not resolve (RFC 6761 keeps `.invalid` for this)."""
        reply = sent(Client(2.0), post("http://receiver.invalid/"))
        assert isinstance(reply, NoReply)
        assert "unreachable" == reply.kind

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Len",
            b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n",
            b"this is no HTTP at all\r\n\r\n",
            b"\x00\x01\x02\x03",
            b"HTTP/1.1 abc OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        ],
        ids=[
            "nothing",
            "cut-length",
            "cut-chunk",
            "bad-chunk",
            "cut-header",
            "cut-headers",
            "text",
            "binary",
            "bad-status",
            "bad-length",
        ],
    )
    def test_broken_answers(self, data: bytes) -> None:
        """A connection that ends too early, or talks nonsense, is one that was lost."""
        with peer(answers(data)) as server:
            reply = sent(PATIENT, post(server.url))
        assert isinstance(reply, NoReply)
        assert "unreachable" == reply.kind
        assert reply.detail.startswith("connection lost: ")

    @pytest.mark.parametrize(
        "data",
        [
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-After: 1\r\n\r\n",
        ],
        ids=["continue", "trailer"],
    )
    def test_unusual_answers(self, data: bytes) -> None:
        """What HTTP allows around an answer does not hide it."""
        with peer(answers(data)) as server:
            reply = sent(PATIENT, post(server.url))
        assert isinstance(reply, Reply)
        assert (200, b"ok") == (reply.status, reply.body)

    def test_reset(self) -> None:
        """A reset is a connection that was lost."""

        def script(connection: socket.socket, _: bytes) -> None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")

        with peer(script) as server:
            reply = sent(PATIENT, post(server.url))
        assert isinstance(reply, NoReply)
        assert "unreachable" == reply.kind


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A private authority's certificate, with a receiver's for 127.0.0.1 and its key beside it."""
    file = tmp_path_factory.mktemp("tls") / "ca.pem"
    private = trustme.CA()
    private.cert_pem.write_to_path(str(file))
    private.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(file.with_name("server.pem")))
    return file


class TestTls:
    """HTTPS with a private certificate authority."""

    @pytest.fixture
    def server(self, authority: Path) -> Iterator[Peer]:
        """A server with that certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(authority.with_name("server.pem"))
        with peer(OK, tls=context) as one:
            yield one

    def test_accepted(self, server: Peer, authority: Path) -> None:
        """With the authority's file the receiver is trusted."""
        client = Client(10.0, ca_file=authority)
        assert 200 == sent(client, post(f"https://127.0.0.1:{server.port}/")).status
        assert 1 == len(server.requests)

    def test_refused(self, server: Peer) -> None:
        """Without it there is no connection, and nothing is sent."""
        reply = sent(PATIENT, post(f"https://127.0.0.1:{server.port}/"))
        assert isinstance(reply, NoReply)
        assert "unreachable" == reply.kind
        assert "certificate" in reply.detail
        assert [] == server.requests

    def test_other_name(self, server: Peer, authority: Path) -> None:
        """A certificate for another name is refused."""
        reply = sent(Client(10.0, ca_file=authority), post(f"https://localhost:{server.port}/"))
        assert isinstance(reply, NoReply)
        assert [] == server.requests

    def test_no_authority(self, server: Peer, tmp_path: Path) -> None:
        """A file that is a pipe by now is not waited for, and the reply says so."""
        os.mkfifo(tmp_path / "ca.pem")
        reply = sent(Client(10.0, ca_file=tmp_path / "ca.pem"), post(f"https://127.0.0.1:{server.port}/"))
        assert isinstance(reply, NoReply)
        assert "ca.pem cannot be used: it cannot be read (it is no regular file)" in reply.detail
        assert [] == server.requests

    def test_plain_server(self, authority: Path) -> None:
        """A server that does not speak TLS is unreachable over https."""
        with socket.create_server(("127.0.0.1", 0)) as plain:
            # Nobody accepts: the handshake waits in the queue until the deadline.
            reply = sent(Client(1.0, ca_file=authority), post(f"https://127.0.0.1:{plain.getsockname()[1]}/"))
        assert isinstance(reply, NoReply)


class TestMany:
    """Many requests at once."""

    def test_order(self) -> None:
        """Replies come in the order of the requests, whoever answers first."""

        def script(connection: socket.socket, data: bytes) -> None:
            body = data.partition(b"\r\n\r\n")[2]
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

        with peer(script) as server:
            replies = Client(10.0, concurrency=16).send(
                [post(server.url, body=b"%d" % number) for number in range(150)]
            )
        assert [b"%d" % number for number in range(150)] == [reply.body for reply in replies]

    @pytest.mark.parametrize("concurrency", [1, 3])
    def test_concurrency(self, concurrency: int) -> None:
        """Exactly that many are under way at the same time."""
        together = threading.Barrier(concurrency)
        flying: set[int] = set()
        most: list[int] = []

        def script(connection: socket.socket, data: bytes) -> None:
            flying.add(id(connection))
            most.append(len(flying))
            together.wait(5)
            flying.discard(id(connection))
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

        with peer(script) as server:
            replies = Client(10.0, concurrency=concurrency).send([post(server.url)] * 12)
        assert [200] * 12 == [reply.status for reply in replies]
        assert concurrency == max(most)

    def test_stream_is_lazy(self, listener: Peer) -> None:
        """Requests are asked for as places become free, so that a long backlog need not be in memory."""
        asked: list[int] = []

        def requests() -> Iterator[tuple[int, Request]]:
            for number in range(10):
                asked.append(number)
                yield number, post(listener.url)

        stream = Client(10.0, concurrency=2).stream(requests())
        next(stream)
        assert len(asked) <= 3
        assert 9 == len(list(stream))

    def test_given_up(self, listener: Peer) -> None:
        """Who stops listening to the stream leaves no connection behind."""
        stream = Client(10.0, concurrency=4).stream((number, post(listener.url)) for number in range(10))
        next(stream)
        stream.close()

    def test_none(self) -> None:
        """No requests, no replies."""
        assert [] == PATIENT.send([])

    def test_mixed(self, listener: Peer) -> None:
        """One that fails does not take the others with it."""
        dead = post(f"http://127.0.0.1:{unused_port()}/")
        replies = PATIENT.send([post(listener.url), dead, post(listener.url)])
        assert [Reply, NoReply, Reply] == [type(reply) for reply in replies]


class TestCourier:
    """Tests for `Courier.send`."""

    def test_history(self) -> None:
        """Every attempt is judged, dated and written down; the answer is in the order of the shots."""
        courier = Courier(PATIENT, clock=lambda: 1_700_000_000_000)
        with peer(OK) as good, peer(answers(b"HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n")) as bad:
            requests = [post(good.url), post(bad.url), post(f"http://127.0.0.1:{unused_port()}/"), post(good.url)]
            attempts = courier.send([Shot(FEED, request, request) for request in requests])
        assert [Outcome.ACKED, Outcome.REFUSED, Outcome.UNREACHABLE, Outcome.ACKED] == [one.outcome for one in attempts]
        assert requests == [one.shot.request for one in attempts]
        assert {1_700_000_000_000} == {one.sent_at for one in attempts}
        assert len(courier.history) == len(attempts)
        assert set(map(id, courier.history)) == set(map(id, attempts))

    def test_own_history(self) -> None:
        """Two couriers do not share what they remember, unless they are told to."""
        shared = History()
        one, other = Courier(PATIENT), Courier(PATIENT)
        assert one.history is not other.history
        assert shared is Courier(PATIENT, shared).history


def _joined(chunks: bytes) -> bytes:
    """Return the body in chunked coding, as the standard library reads it."""

    class Source:
        def makefile(self, *_: object) -> Any:
            import io

            return io.BytesIO(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks)

    response = http.client.HTTPResponse(Source())  # type: ignore[arg-type]
    response.begin()
    return response.read()


def _stamp() -> Any:
    from im_callback.provider_mock.contract import Stamp

    return Stamp(1_700_000_000_000, "1")


class Anything:
    """Equal to every number."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, (int, float))

    __hash__ = None  # type: ignore[assignment]
