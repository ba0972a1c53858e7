"""What is said of an attempt is what happened: one request, judged by when its answer arrived."""

from __future__ import annotations

import os
import resource
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import trustme
from im_callback.provider_mock.contract import NoReply, Reply, Request
from im_callback.provider_mock.delivery.sockets.connections import Connections
from im_callback.provider_mock.delivery.sockets.flights import PROBATION, Way

from tests.provider_mock.landing import all_of
from tests.provider_mock.peers import OK, Peer, answers, peer, read_request, silent

OK_KEPT = b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok"
OK_SILENT = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
WAY = Way(10.0, keep_alive=True)
Step = Callable[[socket.socket], None]


def one(connections: Connections[str], url: str, way: Way = WAY) -> Reply | NoReply:
    """Return the reply to one request."""
    connections.launch("", Request(url, (), b"{}"), way)
    return all_of(connections)[""]


def until(moment: float) -> None:
    """Be elsewhere until that moment of the monotonic clock."""
    while (left := moment - time.monotonic()) > 0:
        time.sleep(left)


def closes(connection: socket.socket) -> None:
    """Close without a word."""


def resets(connection: socket.socket) -> None:
    """Close with a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def hangs(connection: socket.socket) -> None:
    """Never answer."""
    with suppress(OSError):
        connection.recv(1)


@contextmanager
def kept_then(end: Step, good: int = 1, first: bytes = OK_KEPT) -> Iterator[Peer]:
    """Answer so many requests of each connection, read one more, and end like this."""

    def script(connection: socket.socket, data: bytes) -> None:
        for _ in range(good):
            connection.sendall(first)
            data = read_request(connection)
            served.requests.append(data)
        end(connection)

    with peer(script) as served:
        yield served


class TestKept:
    """Connections that are used again."""

    @pytest.mark.parametrize(("end", "kind"), [(closes, "unreachable"), (resets, "unreachable"), (hangs, "timed-out")])
    def test_second_request(self, connections: Connections[str], end: Step, kind: str) -> None:
        """A receiver that has read a request has it: what then goes wrong is on record, and nothing is sent again."""
        way = Way(0.6, keep_alive=True)
        with kept_then(end) as server:
            assert 200 == one(connections, server.url, way).status  # type: ignore[union-attr]
            reply = one(connections, server.url, way)
            assert 2 == len(server.requests)
            connections.close()
        assert isinstance(reply, NoReply)
        assert kind == reply.kind
        assert ("no complete answer within 0.6 s" == reply.detail) is (kind == "timed-out")

    @pytest.mark.parametrize("answer", [OK_SILENT, OK_KEPT], ids=["says nothing", "promises"])
    def test_closes_behind_its_answers(self, connections: Connections[str], answer: bytes) -> None:
        """A receiver that closes without a word loses nothing, gets each request once, and is not used again."""

        def script(connection: socket.socket, _: bytes) -> None:
            # The answer leaves with the end of the connection: a request that came between would be lost by the receiver.
            if hasattr(socket, "TCP_CORK"):
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
            connection.sendall(answer)

        with peer(script) as server:
            for start in range(0, 120, 8):
                for number in range(start, start + 8):
                    connections.launch(str(number), Request(server.url, (), b"%d" % number), WAY)
                replies = all_of(connections)
                assert [200] * 8 == [getattr(reply, "status", reply) for reply in replies.values()]
            bodies = sorted(int(request.rpartition(b"\r\n\r\n")[2]) for request in server.requests)
        assert list(range(120)) == bodies

    def test_closed_while_idle(self, connections: Connections[str]) -> None:
        """A connection that the receiver has closed meanwhile is not used."""
        told, closed = threading.Event(), threading.Event()

        def script(connection: socket.socket, _: bytes) -> None:
            connection.sendall(OK_KEPT)
            told.wait(30)
            connection.close()
            closed.set()

        with peer(script) as server:
            assert 200 == one(connections, server.url).status  # type: ignore[union-attr]
            told.set()
            assert closed.wait(30)
            assert 200 == one(connections, server.url).status  # type: ignore[union-attr]
            assert 2 == len(server.requests)

    def test_probation(self, connections: Connections[str]) -> None:
        """A receiver that promises nothing has its connections used again once they have stayed open."""
        ports: list[int] = []

        def script(connection: socket.socket, _: bytes) -> None:
            while True:
                ports.append(connection.getpeername()[1])
                connection.sendall(OK_SILENT)
                read_request(connection)

        with peer(script) as server:
            one(connections, server.url)
            one(connections, server.url)
            assert ports[0] != ports[1]
            until(time.monotonic() + PROBATION)
            for _ in range(3):
                one(connections, server.url)
            connections.close()
        assert 1 == len(set(ports[2:]))

    def test_ways_share_nothing(self, connections: Connections[str]) -> None:
        """Two ways that are equal in everything have connections of their own."""
        ports: list[int] = []

        def script(connection: socket.socket, _: bytes) -> None:
            while True:
                ports.append(connection.getpeername()[1])
                connection.sendall(OK_KEPT)
                read_request(connection)

        with peer(script) as server:
            for way in (WAY, Way(10.0, keep_alive=True), WAY):
                one(connections, server.url, way)
            connections.close()
        assert ports[0] == ports[2] != ports[1]


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, Path]:
    """A server's context, and the file of the authority that it is trusted by."""
    authority = trustme.CA()
    file = tmp_path_factory.mktemp("tls") / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context, file


class TestElsewhere:
    """Time that is spent elsewhere is charged to nobody."""

    DEADLINE = 0.8

    def answered(self, connections: Connections[str], server: Peer, way: Way, done: threading.Event) -> Reply | NoReply:
        """Send, let the answer arrive, and look only when the deadline has passed long ago."""
        started = time.monotonic()
        connections.launch("", Request(server.url, (), b"{}"), way)
        while not server.requests:
            connections.landed(0.01)
        done.wait(30)
        until(started + 2 * self.DEADLINE)
        return all_of(connections)[""]

    @pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
    def test_in_time(self, connections: Connections[str], tls: tuple[ssl.SSLContext, Path], secure: bool) -> None:
        """An answer that arrived in time is one, however late it is read; its seconds are those it took."""
        done, look = threading.Event(), threading.Event()

        def script(connection: socket.socket, _: bytes) -> None:
            look.wait(30)
            connection.sendall(OK_SILENT)
            done.set()

        way = Way(self.DEADLINE, ca_file=tls[1], keep_alive=True)
        with peer(script, tls[0] if secure else None) as server:
            server_url = server.url.replace("http:", "https:") if secure else server.url
            started = time.monotonic()
            connections.launch("", Request(server_url, (), b"{}"), way)
            while not server.requests:
                connections.landed(0.01)
            look.set()
            assert done.wait(30)
            if time.monotonic() > started + self.DEADLINE:
                pytest.fail("the machine is too slow for this")
            until(started + 2 * self.DEADLINE)
            reply = all_of(connections)[""]
        assert isinstance(reply, Reply), reply
        assert (200, b"ok") == (reply.status, reply.body)
        assert reply.seconds < self.DEADLINE

    @pytest.mark.skipif(sys.platform != "linux", reason="only Linux says when something arrived")
    def test_too_late(self, connections: Connections[str]) -> None:
        """An answer that arrived too late is a time-out, also if it is read together with the deadline."""
        deadline = 0.3
        late = threading.Event()

        def script(connection: socket.socket, _: bytes) -> None:
            late.wait(30)
            connection.sendall(OK_SILENT)
            late.clear()

        with peer(script) as server:
            started = time.monotonic()
            connections.launch("", Request(server.url, (), b"{}"), Way(deadline, keep_alive=True))
            while not server.requests:
                connections.landed(0.01)
            until(started + deadline + 0.1)
            late.set()
            while late.is_set():
                time.sleep(0.001)
            reply = all_of(connections)[""]
        assert isinstance(reply, NoReply), reply
        assert ("timed-out", "no complete answer within 0.3 s") == (reply.kind, reply.detail)

    @pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
    def test_not_sent_yet(self, connections: Connections[str], tls: tuple[ssl.SSLContext, Path], secure: bool) -> None:
        """A receiver that waits for our request is not charged with the time in which we do not send it."""
        with peer(OK, tls[0] if secure else None) as server:
            url = server.url.replace("http:", "https:") if secure else server.url
            way = Way(0.3, ca_file=tls[1])
            connections.launch("", Request(url, (), b"{}"), way)
            until(time.monotonic() + 0.8)
            reply = all_of(connections)[""]
        assert isinstance(reply, Reply), reply
        assert reply.seconds < 0.3

    @pytest.mark.parametrize("keeps", [True, False], ids=["kept", "closed"])
    def test_stopped_before_it_left(
        self, connections: Connections[str], monkeypatch: pytest.MonkeyPatch, keeps: bool
    ) -> None:
        """Nor is one charged with a stop between a look at the clock and the sending."""
        send = Connections._send

        def stopped(self: Connections[str], *args: Any) -> None:
            until(time.monotonic() + 0.5)
            send(self, *args)

        way = Way(0.3, keep_alive=keeps)
        with peer(answers(OK_KEPT) if keeps else OK) as server:
            connections.launch("first", Request(server.url, (), b"{}"), way)
            assert 200 == all_of(connections)["first"].status  # type: ignore[union-attr]
            monkeypatch.setattr(Connections, "_send", stopped)
            for number in range(3):
                connections.launch(str(number), Request(server.url, (), b"{}"), way)
            replies = all_of(connections)
            assert 4 == len(server.requests)
        assert [200] * 3 == [getattr(reply, "status", reply) for reply in replies.values()]
        assert all(reply.seconds < 0.3 for reply in replies.values())

    def test_closed_meanwhile(self, connections: Connections[str]) -> None:
        """A kept connection that was closed before the request came is replaced, however late that is found."""
        with peer(answers(OK_KEPT)) as server:
            assert 200 == one(connections, server.url).status  # type: ignore[union-attr]
            for number in range(20):
                connections.launch(str(number), Request(server.url, (), b"{}"), Way(0.2, keep_alive=True))
            until(time.monotonic() + 0.5)
            replies = all_of(connections)
            assert 21 == len(server.requests)
        assert [200] * 20 == [getattr(reply, "status", reply) for reply in replies.values()]


class TestNoConnection:
    """Deadlines that pass before there is a connection, and shortages of this machine."""

    def test_full_queue(self, connections: Connections[str]) -> None:
        """A machine that takes no connection is unreachable."""
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            listening.listen(0)
            place = listening.getsockname()
            crowd = [socket.socket() for _ in range(8)]
            for each in crowd:
                each.setblocking(False)
                each.connect_ex(place)
            reply = one(connections, f"http://127.0.0.1:{place[1]}/", Way(0.5))
            for each in crowd:
                each.close()
        assert isinstance(reply, NoReply)
        assert ("unreachable", "no connection within 0.5 s") == (reply.kind, reply.detail)

    def test_refused_address(self, connections: Connections[str]) -> None:
        """An address that must not be connected to is not connected to."""
        with peer(OK) as server:
            way = Way(5.0, refuses=lambda ip: f"{ip} is not allowed" if ip == "127.0.0.1" else None)
            reply = one(connections, server.url, way)
            assert [] == server.requests
        assert isinstance(reply, NoReply)
        assert "no connection: 127.0.0.1 is not allowed" == reply.detail

    def test_beyond_1024(self, connections: Connections[str]) -> None:
        """Descriptors above 1,024, at which select() ends, are descriptors like others."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft < 1400:
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
        held = []
        try:
            with open(os.devnull) as nothing:
                while not held or held[-1] < 1100:
                    held.append(os.dup(nothing.fileno()))
            with peer(OK) as server:
                assert 200 == one(connections, server.url).status  # type: ignore[union-attr]
        finally:
            for each in held:
                os.close(each)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    def test_no_descriptors(self) -> None:
        """When this machine has none left, requests wait for one, and no receiver is blamed."""
        with peer(OK) as server:
            command = [sys.executable, "-c", SHORT, server.url]
            ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert ("", "200 200 200 200 200 200\n") == (ran.stderr, ran.stdout)
        assert 6 == len(server.requests)

    def test_hanging_receivers(self, connections: Connections[str]) -> None:
        """Those that never answer do not keep anybody waiting."""
        with peer(silent) as mute, peer(OK) as server:
            for number in range(200):
                connections.launch(f"mute {number}", Request(mute.url, (), b"{}"), Way(60.0))
            assert 200 == {**dict(_until_first(connections, server.url))}["quick"].status  # type: ignore[union-attr]
            connections.close()


def _until_first(connections: Connections[str], url: str) -> list[tuple[str, Reply | NoReply]]:
    connections.launch("quick", Request(url, (), b"{}"), WAY)
    while not (landed := connections.landed(1.0)):
        pass
    return landed


SHORT = """
import os, resource, sys
from im_callback.provider_mock.contract import Request
from im_callback.provider_mock.delivery.sockets.connections import Connections
from im_callback.provider_mock.delivery.sockets.flights import Way

connections = Connections()
highest = os.dup(0)
os.close(highest)
# Room for two connections at a time.
resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 2, highest + 2))
for number in range(6):
    connections.launch(number, Request(sys.argv[1], (), b"{}"), Way(5.0))
found = []
while len(connections):
    found += [getattr(reply, "status", reply) for _, reply in connections.landed(1.0)]
print(*found)
"""
