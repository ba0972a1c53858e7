"""A server in a thread for tests: it keeps what it got, and answers as it is told."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from im_callback.provider_mock.contract import Request

Answer = tuple[int, str, bytes]
"""Status, content type and body."""


@dataclass
class LittleServer:
    """Where it listens, and the requests it got, in order."""

    url: str
    got: list[Request] = field(default_factory=list)


@contextmanager
def serving(answer: Callable[[Request], Answer], *, certificate: Path | None = None) -> Iterator[LittleServer]:
    """Listen on a free port of this machine until the block ends; with a certificate (and key), over TLS."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            # http.server reads headers as latin-1, whatever they are.
            headers = tuple(
                (name, value.encode("latin-1").decode("utf-8", "surrogateescape"))
                for name, value in self.headers.items()
            )
            chunked = self.headers.get("Transfer-Encoding", "").lower() == "chunked"
            body = self.chunks() if chunked else self.rfile.read(int(self.headers.get("Content-Length", "0")))
            request = Request(little.url + self.path, headers, body, self.command, chunked=chunked)
            little.got.append(request)
            status, content_type, content = answer(request)
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(content)
            self.close_connection = True

        do_GET = do_POST = do_PUT = handle_any  # noqa: N815

        def chunks(self) -> bytes:
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body

        def log_message(self, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *args: object) -> None:
            """Say nothing of clients that hang up."""

    server = Server(("127.0.0.1", 0), Handler)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    scheme = "https" if certificate else "http"
    little = LittleServer(f"{scheme}://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield little
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def unused_url() -> str:
    """Return an address of this machine at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"
