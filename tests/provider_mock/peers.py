"""Servers on free ports of this machine: one that keeps raw bytes and follows a script, one that verifies."""

from __future__ import annotations

import socket
import socketserver
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.provider_mock import oracle

Script = Callable[[socket.socket, bytes], None]


def answers(data: bytes) -> Script:
    """Return the script that sends this and closes."""
    return lambda connection, _: connection.sendall(data)


def silent(connection: socket.socket, _: bytes) -> None:
    """Never answer: wait until the client has had enough."""
    connection.recv(1)


OK = answers(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


@dataclass
class Peer:
    """A raw server: where it listens, every request it received, byte for byte, and how many connections it has closed."""

    port: int
    requests: list[bytes] = field(default_factory=list)
    closed: int = 0

    @property
    def url(self) -> str:
        """Where to post."""
        return f"http://127.0.0.1:{self.port}/cb"


@contextmanager
def peer(script: Script, tls: ssl.SSLContext | None = None) -> Iterator[Peer]:
    """Run a raw server that reads one request a connection and then does as the script says."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            # A client that goes away in the middle is what some tests are about.
            with suppress(OSError):
                self._answer()
            served.closed += 1

        def _answer(self) -> None:
            connection = self.request
            if tls is not None:
                connection = tls.wrap_socket(connection, server_side=True)
            with connection:
                data = read_request(connection)
                served.requests.append(data)
                script(connection, data)

    class Server(socketserver.ThreadingTCPServer):
        request_queue_size = 128

    with Server(("127.0.0.1", 0), Handler) as server:
        served = Peer(server.server_address[1])
        with _running(server):
            yield served


def read_request(connection: socket.socket) -> bytes:
    """Return one request with its body, by Content-Length or in chunks."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536) or _gone()
    head, _, body = data.partition(b"\r\n\r\n")
    fields = dict(line.lower().partition(b":")[::2] for line in head.split(b"\r\n")[1:])
    while not (
        body.endswith(b"0\r\n\r\n")
        if b"transfer-encoding" in fields
        else len(body) >= int(fields.get(b"content-length", 0))
    ):
        body += connection.recv(65536) or _gone()
    return head + b"\r\n\r\n" + body


def _gone() -> bytes:
    raise ConnectionError("the client closed in the middle of its request")


@dataclass
class Receiver:
    """A receiver by the book: its address, the bodies it accepted, and how often it refused."""

    url: str
    accepted: list[bytes] = field(default_factory=list)
    refused: int = 0


@contextmanager
def receiver(provider: str, app_key: str, app_secret: str) -> Iterator[Receiver]:
    """Run a server that answers 200 with JSON to what the oracle accepts, 401 to everything else."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            now = time.time()
            good = oracle.accepts(provider, self.path, self.headers.items(), body, app_key, app_secret, now)
            if good:
                served.accepted.append(body)
            else:
                served.refused += 1
            answer = b'{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0}'
            self.send_response(200 if good else 401)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        served = Receiver(f"http://127.0.0.1:{server.server_address[1]}/callbacks")
        with _running(server):
            yield served


@contextmanager
def _running(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()


def unused_port() -> int:
    """Return a port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
