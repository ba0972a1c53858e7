"""What the benchmarks have at both ends: a receiver that answers as it is told, and clients that go on meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@contextmanager
def answering(answer: Callable[[str, bytes], int], *, host: str = "127.0.0.1", content: bytes = b"") -> Iterator[str]:
    """Yield the address of a receiver, on any port that is free.

    `answer` is given the path and the body of each request, as far as it came, and returns the status to answer with this
    content; 0: nothing is answered until the sender has had enough. What did not come whole is not answered.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            wanted = int(self.headers["Content-Length"])
            body = self.rfile.read(wanted)
            status = answer(self.path, body)
            if len(body) < wanted:
                self.close_connection = True
                return
            if not status:
                self.rfile.read(1)
                self.close_connection = True
                return
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    class Server(ThreadingHTTPServer):
        request_queue_size = 1024
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """A sender that breaks off, or is killed, is the point."""

    with Server((host, 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://{host}:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def meanwhile(*clients: Callable[[threading.Event], None]) -> Iterator[None]:
    """Run each of these in a thread of its own; in the end the event that they are given is set, and they are waited for."""
    stop = threading.Event()
    threads = [threading.Thread(target=client, args=(stop,)) for client in clients]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()
