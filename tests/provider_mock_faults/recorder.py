"""A server on a free port that writes down, connection by connection, exactly what arrives and how it ends."""

from __future__ import annotations

import socket
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@dataclass
class Connection:
    """What came over one connection: every byte, piece by piece, the complete requests, and how it ended."""

    pieces: list[bytes] = field(default_factory=list)
    requests: list[bytes] = field(default_factory=list)
    end: str = "open"
    socket: socket.socket | None = None

    @property
    def received(self) -> bytes:
        """Everything that came."""
        return b"".join(self.pieces)


@dataclass
class Recorder:
    """The record: where it listens, and the connections in the order in which they were opened."""

    port: int
    connections: list[Connection] = field(default_factory=list)
    order: list[bytes] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    @property
    def url(self) -> str:
        """Where to post."""
        return f"http://127.0.0.1:{self.port}/cb"

    @property
    def received(self) -> list[bytes]:
        """What came over each connection."""
        return [one.received for one in self.connections]

    @property
    def ends(self) -> list[str]:
        """How each connection ended: `closed` or `reset`."""
        return [one.end for one in self.connections]

    def wait_for(self, total: int) -> None:
        """Return when so many bytes have come in all."""
        with self.changed:
            assert self.changed.wait_for(lambda: sum(map(len, self.received)) >= total, timeout=10)


Answer = Callable[[int, bytes], "bytes | None"]
"""What to send back for a request, by its number (from 1) and its bytes; None: nothing."""


def always(data: bytes | None) -> Answer:
    """Return the same answer every time."""
    return lambda *_: data


ACCEPTING = always(OK)


@contextmanager
def recorder(
    answer: Answer = ACCEPTING, *, together: int = 1, early: bytes = b"", tls: ssl.SSLContext | None = None
) -> Iterator[Recorder]:
    """Run the server. It answers requests only when `together` of them are there at the same time.

    `early` is sent as soon as the headers are there, however much of the body is missing.
    """
    gate = threading.Barrier(together)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            here = Connection()
            with record.changed:
                record.connections.append(here)
            with suppress(ssl.SSLError):
                connection = tls.wrap_socket(self.request, server_side=True) if tls else self.request
                with connection:
                    here.socket = connection
                    here.end = self.talk(connection, here)

        def talk(self, connection: socket.socket, here: Connection) -> str:
            rest = b""
            try:
                while data := connection.recv(65536):
                    with record.changed:
                        here.pieces.append(data)
                        record.changed.notify_all()
                    rest += data
                    if early and b"\r\n\r\n" in rest:
                        connection.sendall(early)
                        return "answered early"
                    while (size := complete(rest)) is not None:
                        request, rest = rest[:size], rest[size:]
                        with record.changed:
                            here.requests.append(request)
                            record.order.append(request)
                            number = len(record.order)
                        if together > 1:
                            gate.wait(timeout=10)
                        if (reply := answer(number, request)) is not None:
                            connection.sendall(reply)
            except (ConnectionResetError, BrokenPipeError):
                return "reset"
            return "closed"

    class Server(socketserver.ThreadingTCPServer):
        request_queue_size = 256

    with Server(("127.0.0.1", 0), Handler) as server:
        record = Recorder(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.005})
        thread.start()
        try:
            yield record
        finally:
            server.shutdown()
            thread.join()


def complete(data: bytes) -> int | None:
    """Return how many bytes the first request takes, or None while it is not all there."""
    head, blank, body = data.partition(b"\r\n\r\n")
    if not blank:
        return None
    fields = dict(line.lower().partition(b":")[::2] for line in head.split(b"\r\n")[1:])
    if b"transfer-encoding" in fields:
        end = body.find(b"0\r\n\r\n")
        return None if end < 0 else len(head) + 4 + end + 5
    length = int(fields.get(b"content-length", 0))
    return len(head) + 4 + length if len(body) >= length else None


def body_of(request: bytes) -> bytes:
    """Return what follows the headers."""
    return request.partition(b"\r\n\r\n")[2]
