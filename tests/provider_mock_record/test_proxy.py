"""The proxy changes nothing: neither the bytes, nor when they come, nor how a connection ends."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import trustme
from im_callback.provider_mock.contract import Request
from im_callback.provider_mock.delivery.sockets.client import Client

from tests.provider_mock.peers import unused_port
from tests.provider_mock_faults.recorder import OK, Recorder, always, recorder
from tests.provider_mock_faults.sending import Sent
from tests.provider_mock_record.between import SECONDS, Between, between

#: On the socket, all kinds of disturbance; what waits for a deadline waits less.
FAULTS = (
    "",
    "lose-ack",
    "reset",
    "half-close",
    "half-open:after=0.3",
    "truncate",
    "trickle:bytes=9,pause=0.001",
    "chunked",
    "header-case:case=upper",
    "slow-start:seconds=0.05",
    "wrong-content-length:after=0.3",
    "reuse-connection",
    "two-connections",
    "duplicate-concurrently:copies=4",
    "oversize:bytes=300000",
    "wrong-method",
)
HEAD = b"POST /cb HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n"


def received(there: Recorder, port: int) -> list[tuple[bytes, str]]:
    """Return what came over each connection and how it ended, with the port that was posted to taken out."""
    own = f":{port}\r\n".encode()
    return sorted((one.received.replace(own, b":port\r\n"), one.end) for one in there.connections)


@contextmanager
def listening() -> Iterator[tuple[socket.socket, Between]]:
    """Listen without answering anything, behind a proxy."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        with between(f"http://127.0.0.1:{server.getsockname()[1]}/cb") as proxy:
            yield server, proxy


class TestTransparent:
    """What arrives behind the proxy is what would have arrived without it."""

    @pytest.mark.parametrize("fault", FAULTS)
    def test_faults(self, fault: str) -> None:
        """Under every disturbance on the socket: the bytes, the connections and their ends; and what the provider makes of it."""
        described = [fault] if fault else []
        with recorder() as plain:
            direct = Sent(plain.url, *described, count=3)
        with recorder() as behind, between(behind.url) as proxy:
            through = Sent(proxy.url, *described, count=3)
        assert received(plain, plain.port) == received(behind, proxy.port)
        assert [one.outcome for one in direct.attempts] == [one.outcome for one in through.attempts]

    def test_answer(self) -> None:
        """The answer comes back byte for byte, with the chunks and headers that it has."""
        answer = b"HTTP/1.1 299 Fine\r\nx-Odd:  1\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nhi\r\n0\r\nTrailer: t\r\n\r\n"
        with recorder(always(answer)) as there, between(there.url) as proxy:
            with socket.create_connection(("127.0.0.1", proxy.port), SECONDS) as one:
                one.sendall(HEAD + b"abc")
                got = b""
                while len(got) < len(answer):
                    got += one.recv(9999)
            assert answer == got
            (exchange,) = proxy.wait_for(1)
        assert exchange.reply is not None
        assert (299, b"hi", ("x-Odd", "1")) == (exchange.reply.status, exchange.reply.body, exchange.reply.headers[0])

    def test_as_it_comes(self) -> None:
        """Nothing waits for the rest: a byte is there before the next one is sent."""
        with recorder() as there, between(there.url) as proxy:
            with socket.create_connection(("127.0.0.1", proxy.port), SECONDS) as one:
                for number, byte in enumerate(HEAD + b"abc", 1):
                    one.sendall(bytes([byte]))
                    there.wait_for(number)
                assert one.recv(9999)
            assert [HEAD + b"abc"] == there.received

    def test_slow_receiver(self) -> None:
        """A receiver that does not read slows the provider down, as it would without us: nothing piles up here."""
        pieces, piece = 512, bytes(65536)
        head = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % (pieces * len(piece))
        sent = [0]

        def send(one: socket.socket) -> None:
            one.sendall(head)
            for _ in range(pieces):
                one.sendall(piece)
                sent[0] += 1

        with listening() as (server, proxy), socket.create_connection(("127.0.0.1", proxy.port), SECONDS) as one:
            sender = threading.Thread(target=send, args=(one,))
            sender.start()
            connection, _ = server.accept()
            with connection:
                total = len(connection.recv(1))
                # What four sockets hold is less than all of it.
                assert sent[0] < pieces
                while total < len(head) + pieces * len(piece):
                    total += len(connection.recv(1 << 20))
                sender.join()


class TestEnds:
    """How connections end."""

    def test_receiver_resets(self) -> None:
        """A reset of the receiver is one at the provider, and on record."""
        with listening() as (server, proxy):
            with socket.create_connection(("127.0.0.1", proxy.port), SECONDS) as one:
                one.sendall(HEAD + b"abc")
                connection, _ = server.accept()
                connection.recv(9999)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.close()
                with pytest.raises(ConnectionResetError):
                    one.recv(1)
            (exchange,) = proxy.wait_for(1)
        assert "the receiver broke the connection off with a reset" == exchange.lost
        assert "unreachable" == exchange.answer.kind  # type: ignore[union-attr]

    def test_receiver_closes(self) -> None:
        """So is an end without an answer."""
        with listening() as (server, proxy):
            with socket.create_connection(("127.0.0.1", proxy.port), SECONDS) as one:
                one.sendall(HEAD + b"abc")
                connection, _ = server.accept()
                connection.recv(9999)
                connection.close()
                assert b"" == one.recv(1)
            (exchange,) = proxy.wait_for(1)
        assert "the receiver closed the connection without an answer" == exchange.lost

    def test_provider_resets(self) -> None:
        """Who breaks off is told apart: a provider that does has not waited any longer."""
        with recorder(always(None)) as there, between(there.url) as proxy:
            one = socket.create_connection(("127.0.0.1", proxy.port), SECONDS)
            one.sendall(HEAD + b"abc")
            there.wait_for(len(HEAD) + 3)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            one.close()
            (exchange,) = proxy.wait_for(1)
            assert "the provider closed the connection with a reset" == exchange.lost
            assert "timed-out" == exchange.answer.kind  # type: ignore[union-attr]
        assert ["reset"] == there.ends

    def test_provider_gives_up(self) -> None:
        """One that closes in order, too."""
        with recorder(always(None)) as there, between(there.url) as proxy:
            with socket.create_connection(("127.0.0.1", proxy.port), SECONDS) as one:
                one.sendall(HEAD + b"abc")
                there.wait_for(len(HEAD) + 3)
            (exchange,) = proxy.wait_for(1)
        assert "the provider closed the connection" == exchange.lost
        assert ["closed"] == there.ends

    def test_nobody_there(self) -> None:
        """Where the receiver cannot be reached, the provider's connection is reset, and its request is on record."""
        with between(f"http://127.0.0.1:{unused_port()}/cb") as proxy:
            (reply,) = Client(5.0).send([Request(proxy.url, (("A", "b"),), b"{}")])
            assert "unreachable" == reply.kind  # type: ignore[union-attr]
            (exchange,) = proxy.wait_for(1)
        assert exchange.lost.startswith("the receiver cannot be reached: ")
        assert b"{}" == exchange.request.body

    def test_stopped(self) -> None:
        """Idle connections end with the proxy; what is under way may end first."""
        answering = threading.Event()

        def answer(number: int, request: bytes) -> bytes:
            del number, request
            answering.set()
            return OK

        with recorder(answer) as there, between(there.url) as proxy:
            with socket.create_connection(("127.0.0.1", proxy.port), SECONDS) as one:
                one.sendall(HEAD + b"abc")
                assert one.recv(9999)
                proxy.wait_for(1)
            idle = socket.create_connection(("127.0.0.1", proxy.port), SECONDS)
            idle.sendall(HEAD + b"abc")
            assert idle.recv(9999)
        with idle:
            assert b"" == idle.recv(1)
        assert 2 == len(proxy.exchanges)


def test_secure_receiver() -> None:
    """A receiver behind TLS gets the same bytes over it."""
    authority = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(client)
    with recorder(tls=server) as there, between(there.url.replace("http:", "https:"), client) as proxy:
        (reply,) = Client(5.0).send([Request(proxy.url, (("X-Case", "b"),), b"{}")])
        assert 200 == reply.status  # type: ignore[union-attr]
        (exchange,) = proxy.wait_for(1)
    assert b"X-Case: b\r\n" in there.received[0]
    assert f"http://127.0.0.1:{proxy.port}/cb" == exchange.request.url


def test_untrusted_receiver() -> None:
    """One whose certificate nobody knows is not sent to."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(server)
    with (
        recorder(tls=server) as there,
        between(there.url.replace("http:", "https:"), ssl.create_default_context()) as proxy,
    ):
        (reply,) = Client(5.0).send([Request(proxy.url, (), b"{}")])
        assert "unreachable" == reply.kind  # type: ignore[union-attr]
        (exchange,) = proxy.wait_for(1)
    assert "certificate" in exchange.lost.lower()
    assert not any(there.received)
