"""The proxy in front of a store leaves what goes through alone, and disturbs it as it is told."""

from __future__ import annotations

import contextlib
import select
import socket
import socketserver
import threading
from collections.abc import Iterator

import pytest
from im_callback.conformance.around.downstream import Downstream, DownstreamError, Mode

SECONDS = 30
"""Longer than anything takes here on a busy machine."""
SOON = 0.3
"""Seconds after which what has not come is taken to be held."""


class Echo(socketserver.BaseRequestHandler):
    """Says hello, sends back whatever comes, and says goodbye when the other side has ended."""

    def handle(self) -> None:
        self.request.sendall(b"hello")
        while piece := self.request.recv(65536):
            self.request.sendall(piece)
        self.request.sendall(b"bye")


class Deaf(socketserver.BaseRequestHandler):
    """Reads nothing, until it is told to."""

    reads = threading.Event()

    def handle(self) -> None:
        self.reads.wait(SECONDS)


class Server(socketserver.ThreadingTCPServer):
    """A server that says nothing of connections that were cut."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 512

    def handle_error(self, *args: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def served(handler: type[socketserver.BaseRequestHandler]) -> Iterator[int]:
    """Serve on a free port, and yield it."""
    with Server(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def proxied(port: int) -> Iterator[Downstream]:
    """Yield a proxy in front of a port."""
    proxy = Downstream("127.0.0.1", port)
    try:
        yield proxy
    finally:
        proxy.close()


@pytest.fixture
def proxy() -> Iterator[Downstream]:
    """A proxy in front of an echo."""
    with served(Echo) as port, proxied(port) as one:
        yield one


def connected(proxy: Downstream) -> socket.socket:
    """Return a connection through the proxy."""
    return socket.create_connection(("127.0.0.1", proxy.own_port), timeout=SECONDS)


def greeted(proxy: Downstream) -> socket.socket:
    """Return a connection on which the store has spoken first."""
    one = connected(proxy)
    assert b"hello" == exactly(one, 5)
    return one


def exactly(one: socket.socket, size: int) -> bytes:
    """Return so many bytes, or as many as come before the end."""
    found = b""
    while len(found) < size and (piece := one.recv(size - len(found))):
        found += piece
    return found


def silent(one: socket.socket) -> bool:
    """Return whether nothing comes for a while."""
    return not select.select([one], [], [], SOON)[0]


class TestPasses:
    """What is not disturbed goes through as it is."""

    def test_both_directions(self, proxy: Downstream) -> None:
        """Bytes come as they were sent, whoever speaks first, and are counted."""
        sent = bytes(range(256)) * 4096
        with greeted(proxy) as one:
            sender = threading.Thread(target=one.sendall, args=(sent,))
            sender.start()
            assert sent == exactly(one, len(sent))
            sender.join()
        assert 1 == proxy.connections
        assert proxy.chunks > 0
        assert proxy.touches == proxy.connections + proxy.chunks

    def test_half_closed(self, proxy: Downstream) -> None:
        """Where one side has ended its direction, the other may go on."""
        with greeted(proxy) as one:
            one.shutdown(socket.SHUT_WR)
            assert b"bye" == exactly(one, 10)

    def test_waits_for_slow_readers(self) -> None:
        """What the store does not read is not read from the receiver either: it would fill the memory."""
        with served(Deaf) as port, proxied(port) as proxy, connected(proxy) as one:
            one.setblocking(False)
            sent = 0
            while select.select([], [one], [], 2 * SOON)[1]:
                sent += one.send(b"x" * 65536)
            assert sent < 64 * 2**20
            Deaf.reads.set()

    def test_many(self, proxy: Downstream) -> None:
        """Hundreds of connections at once are served by one thread."""
        before = threading.active_count()
        with contextlib.ExitStack() as stack:
            ones = [stack.enter_context(connected(proxy)) for _ in range(200)]
            for number, one in enumerate(ones):
                one.sendall(f"<{number:3d}>".encode())
            for number, one in enumerate(ones):
                assert f"hello<{number:3d}>".encode() == exactly(one, 10)
            assert 200 == proxy.alive
            # The store has a thread for each; the proxy has none.
            assert threading.active_count() <= before + 200
        assert 200 == proxy.connections


class TestDisturbs:
    """What is disturbed is disturbed as it was asked for, and heals."""

    def test_hang(self, proxy: Downstream) -> None:
        """Old and new connections stand still, what is said on them is noticed, and afterwards it goes on."""
        with greeted(proxy) as old:
            proxy.hang()
            with connected(proxy) as new:
                old.sendall(b"old")
                new.sendall(b"new")
                assert silent(old)
                assert silent(new)
                assert (2, 2) == (proxy.connections, proxy.chunks)
                proxy.heal()
                assert b"old" == exactly(old, 3)
                assert b"hellonew" == exactly(new, 8)

    def test_hang_and_go(self, proxy: Downstream) -> None:
        """Who gives up meanwhile is let go."""
        proxy.hang()
        with connected(proxy) as one:
            one.sendall(b"x")
        proxy.heal()
        with greeted(proxy):
            pass

    def test_slow(self, proxy: Downstream) -> None:
        """Each piece waits; a change of mind counts at once."""
        with greeted(proxy) as one:
            proxy.slow(SECONDS)
            one.sendall(b"x")
            assert silent(one)
            proxy.slow(0.01)
            assert b"x" == exactly(one, 1)
            assert Mode.SLOW is proxy.mode

    def test_refuse(self, proxy: Downstream) -> None:
        """Nobody listens, and what was there is cut; the port is the same afterwards."""
        with greeted(proxy) as old:
            proxy.refuse()
            assert b"" == old.recv(10)
            with pytest.raises(ConnectionRefusedError):
                connected(proxy)
            proxy.refuse()
            proxy.heal()
            with greeted(proxy):
                pass

    def test_cut(self, proxy: Downstream) -> None:
        """What is there ends, and what is new is served."""
        with greeted(proxy) as old:
            proxy.cut()
            assert b"" == old.recv(10)
            with greeted(proxy):
                assert 1 == proxy.alive

    def test_reset(self, proxy: Downstream) -> None:
        """The same, by a reset; what hangs is cut too."""
        proxy.hang()
        with connected(proxy) as old:
            old.sendall(b"x")
            assert silent(old)
            proxy.reset()
            with pytest.raises(ConnectionResetError):
                old.recv(10)
        proxy.heal()

    def test_nothing_behind(self) -> None:
        """Where the store is not there, connections end, and the reason is kept."""
        with served(Echo) as port:
            pass
        with proxied(port) as proxy:
            with connected(proxy) as one:
                assert b"" == one.recv(10)
            assert "refused" in proxy.unreachable.lower() or "Connect call failed" in proxy.unreachable


class TestEnds:
    """It listens where it was told, and not after its end."""

    def test_port(self, proxy: Downstream) -> None:
        """A port that is taken is an error that names it."""
        with pytest.raises(DownstreamError, match=f"127.0.0.1:{proxy.own_port} cannot be listened at"):
            Downstream("127.0.0.1", 1, proxy.own_port)

    def test_close(self) -> None:
        """Connections end, nobody listens, and a second end does no harm."""
        with served(Echo) as port:
            proxy = Downstream("127.0.0.1", port)
            with greeted(proxy) as one:
                proxy.close()
                assert b"" == one.recv(10)
            with pytest.raises(ConnectionRefusedError):
                connected(proxy)
            proxy.close()
            with pytest.raises(RuntimeError):
                proxy.heal()
