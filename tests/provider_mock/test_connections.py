"""Many requests over kept connections, through a proxy, and against receivers that mean harm."""

from __future__ import annotations

import gc
import socket
import ssl
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import trustme
from im_callback.provider_mock.contract import NoReply, Reply, Request
from im_callback.provider_mock.delivery.sockets.answer_reader import HEAD_LIMIT, KEPT_BODY
from im_callback.provider_mock.delivery.sockets.connections import Connections
from im_callback.provider_mock.delivery.sockets.flights import Way

from tests.provider_mock.landing import all_of
from tests.provider_mock.peers import OK, Peer, answers, peer, read_request, silent, unused_port

WAY = Way(10.0, keep_alive=True)
OK_KEPT = b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok"


def one(connections: Connections[str], request: Request, way: Way = WAY) -> Reply | NoReply:
    """Return the reply to one request."""
    connections.launch("", request, way)
    return all_of(connections)[""]


@contextmanager
def keeping(*given: bytes) -> Iterator[tuple[Peer, list[int]]]:
    """Run a server that keeps its connections; yield it, and the client's port of every request."""
    ports: list[int] = []
    replies = iter(given)

    def script(connection: socket.socket, data: bytes) -> None:
        while True:
            ports.append(connection.getpeername()[1])
            connection.sendall(next(replies, OK_KEPT))
            data = read_request(connection)
            server.requests.append(data)

    with peer(script) as server:
        yield server, ports


class TestKept:
    """Handles and connections that are used again."""

    def test_one_connection(self, connections: Connections[str]) -> None:
        """Requests that follow each other share a connection."""
        with keeping() as (server, ports):
            for _ in range(5):
                assert 200 == one(connections, Request(server.url, (), b"{}")).status
            connections.close()
        assert 5 == len(ports)
        assert 1 == len(set(ports))

    def test_nothing_stays(self, connections: Connections[str]) -> None:
        """What one request had, the next one has not: address, method, headers, body, answer."""
        long = b"HTTP/1.1 418 X\r\nX-Long: 1\r\nContent-Length: 9\r\n\r\nlong body"
        with keeping(long, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") as (server, _):
            first = one(connections, Request(f"{server.url}/one", (("A", "1"),), b"long", method="PUT"))
            second = one(connections, Request(f"{server.url}/two", (("B", "2"),), b"s"))
            connections.close()
        assert isinstance(first, Reply)
        assert isinstance(second, Reply)
        assert (418, (("X-Long", "1"), ("Content-Length", "9")), b"long body") == (
            first.status,
            first.headers,
            first.body,
        )
        assert (200, (("Content-Length", "0"),), b"") == (second.status, second.headers, second.body)
        assert server.requests[0].startswith(b"PUT /cb/one HTTP/1.1\r\n")
        assert (
            b"POST /cb/two HTTP/1.1\r\n"
            + f"Host: 127.0.0.1:{server.port}\r\n".encode()
            + b"User-Agent: provider-mock\r\nB: 2\r\nContent-Length: 1\r\n\r\ns"
        ) == server.requests[1]

    def test_after_chunks(self, connections: Connections[str]) -> None:
        """A chunked body between two others changes neither."""
        with keeping() as (server, _):
            for chunked in (False, True, False):
                assert 200 == one(connections, Request(server.url, (), b"body", chunked=chunked)).status
            connections.close()
        assert [False, True, False] == [b"Transfer-Encoding: chunked" in request for request in server.requests]
        assert server.requests[2].endswith(b"Content-Length: 4\r\n\r\nbody")

    def test_same_headers_again(self, connections: Connections[str]) -> None:
        """An answer that was seen before is read as the first time, also one that is not complete."""
        whole, cut = OK_KEPT, b"HTTP/1.1 200 OK\r\nContent-Len"
        kinds = []
        for data in (whole, cut, whole, cut):
            with peer(answers(data)) as server:
                kinds.append(type(one(connections, Request(server.url, (), b"{}"))))
        assert [Reply, NoReply, Reply, NoReply] == kinds

    def test_after_failure(self, connections: Connections[str]) -> None:
        """A connection that broke is not used again, and the next request gets through."""
        with peer(answers(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel")) as server:
            assert isinstance(one(connections, Request(server.url, (), b"{}")), NoReply)
        with keeping() as (server, _):
            assert 200 == one(connections, Request(server.url, (), b"{}")).status
            connections.close()

    def test_ways_mixed(self, connections: Connections[str]) -> None:
        """Each request has the deadline, the headers and the keeping of its own way, whoever used the handle before."""
        fresh = Way(10.0, (("X-Fresh", "1"),))
        with keeping() as (server, ports), peer(silent) as mute:
            request = Request(server.url, (), b"{}")
            for way in (WAY, fresh, WAY, fresh, WAY):
                assert 200 == one(connections, request, way).status
            reply = one(connections, Request(mute.url, (), b"{}"), Way(1.0, keep_alive=True))
            connections.close()
        assert isinstance(reply, NoReply)
        assert "no complete answer within 1 s" == reply.detail
        assert [False, True, False, True, False] == [b"X-Fresh: 1\r\n" in data for data in server.requests]
        assert ports[0] == ports[2] == ports[4]
        assert 3 == len(set(ports))

    def test_many(self, connections: Connections[str]) -> None:
        """Of many at once each token comes back with its own answer, round after round."""

        def script(connection: socket.socket, data: bytes) -> None:
            while True:
                body = data.partition(b"\r\n\r\n")[2]
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
                data = read_request(connection)

        found: dict[str, Reply | NoReply] = {}
        with peer(script) as server:
            for start in range(0, 300, 50):
                for number in range(start, start + 50):
                    connections.launch(str(number), Request(server.url, (), b"%d" % number), WAY)
                found.update(all_of(connections))
            connections.close()
        assert {str(number): b"%d" % number for number in range(300)} == {
            token: reply.body for token, reply in found.items() if isinstance(reply, Reply)
        }


class TestProxy:
    """Tests for the proxy of a way."""

    @pytest.mark.parametrize("no_proxy", ["", "*", "127.0.0.1"])
    def test_used(self, connections: Connections[str], monkeypatch: pytest.MonkeyPatch, no_proxy: str) -> None:
        """Requests go to the proxy that was given, whatever the environment says, and are otherwise the same."""
        monkeypatch.setenv("no_proxy", no_proxy)
        monkeypatch.setenv("NO_PROXY", no_proxy)
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{unused_port()}")
        with peer(OK) as proxy:
            way = Way(10.0, (("X-Gateway", "1"),), proxy=f"http://127.0.0.1:{proxy.port}")
            assert 200 == one(connections, Request("http://receiver.invalid/cb?a=1", (("A", "1"),), b"{}"), way).status
        assert (
            b"POST http://receiver.invalid/cb?a=1 HTTP/1.1\r\nHost: receiver.invalid\r\nUser-Agent: provider-mock\r\n"
            b"A: 1\r\nX-Gateway: 1\r\nContent-Length: 2\r\n\r\n{}"
        ) == proxy.requests[0]

    def test_secret(self, connections: Connections[str]) -> None:
        """A proxy's password goes to the proxy; it is not in a repr nor in what a failure says."""
        with peer(OK) as proxy:
            way = Way(10.0, proxy=f"http://me:pass-4711@127.0.0.1:{proxy.port}")
            assert 200 == one(connections, Request("http://receiver.invalid/", (), b"{}"), way).status
        assert b"Proxy-Authorization: Basic bWU6cGFzcy00NzEx\r\n" in proxy.requests[0]
        reply = one(connections, Request("http://receiver.invalid/", (), b"{}"), way)
        assert isinstance(reply, NoReply)
        assert "pass-4711" not in repr(way) + repr(reply)

    @pytest.mark.parametrize("proxy", ["http://127.0.0.1:{port}", "http://proxy.invalid:8080"])
    def test_not_there(self, connections: Connections[str], proxy: str) -> None:
        """Without the proxy there is no connection; nobody goes round it."""
        with peer(OK) as server:
            way = Way(10.0, proxy=proxy.format(port=unused_port()))
            reply = one(connections, Request(server.url, (), b"{}"), way)
        assert isinstance(reply, NoReply)
        assert reply.detail.startswith("no connection: ")
        assert [] == server.requests

    def test_not_for_others(self, connections: Connections[str]) -> None:
        """Ways with and without a proxy do not share connections, though they share handles."""
        with peer(OK) as proxy, keeping() as (server, _):
            through = Way(10.0, keep_alive=True, proxy=f"http://127.0.0.1:{proxy.port}")
            for way in (WAY, through, WAY, through):
                assert 200 == one(connections, Request(server.url, (), b"{}"), way).status
            connections.close()
        assert 2 == len(server.requests)
        assert 2 == len(proxy.requests)

    def test_https(self, connections: Connections[str], tmp_path: Path) -> None:
        """HTTPS goes through a tunnel: the proxy sees the host's name and none of our headers."""
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        certificate = authority.issue_cert("receiver.invalid")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        inside: list[bytes] = []

        def tunnel(connection: socket.socket, _: bytes) -> None:
            connection.sendall(b"HTTP/1.1 200 Connection established\r\nX-Proxy: 1\r\n\r\n")
            with context.wrap_socket(connection, server_side=True) as secure:
                inside.append(read_request(secure))
                secure.sendall(b"HTTP/1.1 201 OK\r\nX-Receiver: 1\r\nContent-Length: 0\r\n\r\n")

        with peer(tunnel) as proxy:
            way = Way(10.0, (("X-Gateway", "1"),), tmp_path / "ca.pem", proxy=f"http://127.0.0.1:{proxy.port}")
            reply = one(connections, Request("https://receiver.invalid/cb", (("Sign", "abc"),), b"{}"), way)
        assert isinstance(reply, Reply)
        assert (201, (("X-Receiver", "1"), ("Content-Length", "0"))) == (reply.status, reply.headers)
        assert proxy.requests[0].startswith(b"CONNECT receiver.invalid:443 HTTP/1.1\r\n")
        assert b"abc" not in proxy.requests[0]
        assert b"X-Gateway" not in proxy.requests[0]
        assert b"Sign: abc\r\nX-Gateway: 1\r\n" in inside[0]


def endless(*pieces: bytes, start: bytes = b"") -> Iterator[Peer]:
    """Run a server that answers with this over and over, until the client has gone."""

    def script(connection: socket.socket, _: bytes) -> None:
        connection.sendall(start)
        while True:
            for piece in pieces:
                connection.sendall(piece)

    with peer(script) as server:
        yield server


HEADERS = b"HTTP/1.1 200 OK\r\n"


class TestHarm:
    """Receivers that would cost memory or hold up the others."""

    @pytest.mark.parametrize(
        ("start", "piece"),
        [
            (HEADERS, b"X-Large: " + b"x" * 50_000 + b"\r\n"),
            (HEADERS, b"A: 1\r\n" * 10_000),
            (HEADERS + b"X: ", b"x" * 100_000),
            (b"HTTP/1.1 ", b"x" * 100_000),
            (b"", b"HTTP/1.1 100 Continue\r\nX: " + b"x" * 1000 + b"\r\n\r\n"),
            (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 1000),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"X-After: 1\r\n" * 10_000),
        ],
        ids=["large", "many", "one-line", "status-line", "interim", "empty-interim", "trailers"],
    )
    def test_headers_without_end(self, connections: Connections[str], start: bytes, piece: bytes) -> None:
        """The connection is given up long before the deadline, and little is kept meanwhile."""
        for server in endless(piece, start=start):
            tracemalloc.start()
            try:
                reply = one(connections, Request(server.url, (), b"{}"), Way(60.0, keep_alive=True))
                peak = tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()
            assert isinstance(reply, NoReply)
            assert "unreachable" == reply.kind
            assert reply.detail.startswith("connection lost: ")
            assert peak < 20 * HEAD_LIMIT

    def test_large_headers(self, connections: Connections[str]) -> None:
        """Headers below the limit are kept, all of them."""
        size = HEAD_LIMIT // 2
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"
        lines = b"".join(b"X-%d: %s\r\n" % (number, b"x" * 8000) for number in range(size // 8000))
        with peer(answers(head + lines + b"\r\n")) as server:
            reply = one(connections, Request(server.url, (), b"{}"))
        assert isinstance(reply, Reply)
        assert size // 8000 + 1 == len(reply.headers)

    def test_nothing_is_kept(self, connections: Connections[str]) -> None:
        """After large answers the handles are as light as before."""
        head = b"HTTP/1.1 200 OK\r\nX: " + b"x" * 90_000 + b"\r\nContent-Length: %d\r\n\r\n" % KEPT_BODY
        with keeping(*[head + b"y" * KEPT_BODY] * 40) as (server, _):
            tracemalloc.start()
            try:
                for _ in range(40):
                    connections.launch("", Request(server.url, (), b"{}"), WAY)
                    assert KEPT_BODY == len(all_of(connections)[""].body)  # type: ignore[union-attr]
                gc.collect()
                kept = tracemalloc.get_traced_memory()[0]
            finally:
                tracemalloc.stop()
            connections.close()
        assert kept < 40 * KEPT_BODY // 2

    def test_others_go_on(self, connections: Connections[str]) -> None:
        """Receivers that hang, trickle or never stop do not hold up one that answers."""

        def trickle(connection: socket.socket, _: bytes) -> None:
            with suppress(TimeoutError):
                connection.settimeout(0.01)
                for octet in HEADERS * 10_000:
                    connection.sendall(bytes([octet]))
                    with suppress(TimeoutError):
                        connection.recv(1)

        way = Way(60.0, keep_alive=True)
        for flood in endless(b"x" * 65_536, start=b"HTTP/1.0 200 OK\r\n\r\n"):
            with peer(silent) as mute, peer(trickle) as slow, keeping() as (server, _):
                for bad in (mute, slow, flood):
                    connections.launch(f"bad {bad.port}", Request(bad.url, (), b"{}"), way)
                for number in range(20):
                    connections.launch(str(number), Request(server.url, (), b"{}"), way)
                    landed: list[tuple[str, Reply | NoReply]] = []
                    while not landed:
                        landed = connections.landed(0.2)
                    ((token, reply),) = landed
                    assert (str(number), 200) == (token, reply.status)  # type: ignore[union-attr]
                assert 3 == len(connections)
                connections.close()

    def test_byte_by_byte(self, connections: Connections[str]) -> None:
        """An answer that comes in single bytes is one like any other."""

        def script(connection: socket.socket, _: bytes) -> None:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for octet in b"HTTP/1.1 200 OK\r\nX-A: 1\r\nContent-Length: 4\r\n\r\nabcd":
                connection.sendall(bytes([octet]))

        with peer(script) as server:
            reply = one(connections, Request(server.url, (), b"{}"))
        assert isinstance(reply, Reply)
        assert (200, (("X-A", "1"), ("Content-Length", "4")), b"abcd") == (reply.status, reply.headers, reply.body)


class TestLanded:
    """Tests for `Connections.landed`."""

    def test_nothing(self, connections: Connections[str]) -> None:
        """With nothing under way there is nothing to wait for."""
        assert [] == connections.landed(60.0)

    def test_deadline(self, connections: Connections[str]) -> None:
        """A deadline that passes ends the waiting, however long that may take."""
        with peer(silent) as server:
            connections.launch("late", Request(server.url, (), b"{}"), Way(1.0))
            landed: list[tuple[str, Reply | NoReply]] = []
            waits = 0
            while not landed:
                landed = connections.landed(3600.0)
                waits += 1
        assert "late" == landed[0][0]
        assert waits < 100
