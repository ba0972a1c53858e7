"""Serves a receiver on a free port of 127.0.0.1 while a block runs."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

from waitress import create_server, wasyncore

from tests.receivers.good import Answer, Good, Plain, Request

THREADS = 8


@contextmanager
def serve(receiver: Good) -> Iterator[str]:
    """Yield the URL at which the receiver answers."""
    start = {"waitress": behind_waitress, "plain": behind_plain_server, "none": nobody}[receiver.server]
    try:
        with start(receiver) as port:
            yield f"http://127.0.0.1:{port}/callbacks"
    finally:
        receiver.close()


@contextmanager
def behind_waitress(receiver: Good) -> Iterator[int]:
    """Yield the port of a production server, which gives whole bodies and header names in one case."""
    logging.getLogger("waitress").setLevel(logging.CRITICAL)
    server = create_server(application(receiver), host="127.0.0.1", port=0, threads=THREADS, connection_limit=500)
    over = threading.Event()

    def run() -> None:
        while not over.is_set():
            wasyncore.loop(map=server._map, use_poll=True, count=1)

    loop = threading.Thread(target=run, daemon=True)
    loop.start()
    try:
        yield server.effective_port
    finally:
        receiver.stopped.set()
        over.set()
        server.pull_trigger()
        loop.join()
        # Nobody may pull the trigger any more once its descriptor is free for somebody else.
        server.task_dispatcher.shutdown()
        wasyncore.close_all(server._map)


def application(receiver: Good) -> Callable[[dict[str, Any], Any], Iterable[bytes]]:
    """Return the receiver as a WSGI application."""

    def respond(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] != "POST" and not getattr(receiver, "any_method", False):
            start_response("405 Method Not Allowed", [("Content-Length", "0")])
            return []
        headers = tuple(
            (name.removeprefix("HTTP_").replace("_", "-"), value)
            for name, value in environ.items()
            if name.startswith("HTTP_") or name == "CONTENT_TYPE"
        )
        request = Request(pairs(environ["QUERY_STRING"]), headers, environ["wsgi.input"].read())
        try:
            answer = receiver.receive(request)
        except Exception:  # As web frameworks do.
            answer = Answer(500)
        body = answer.body.encode()
        start_response(
            f"{answer.status} {HTTPStatus(answer.status).phrase}",
            [("Content-Type", "application/json"), ("Content-Length", str(len(body)))],
        )
        return [body]

    return respond


@contextmanager
def behind_plain_server(receiver: Good) -> Iterator[int]:
    """Yield the port of a simple server: what the receiver raises closes the connection without an answer."""
    assert isinstance(receiver, Plain)
    plain = receiver

    class Handler(BaseHTTPRequestHandler):
        protocol_version = plain.protocol

        def do_POST(self) -> None:
            headers = tuple(self.headers.items())
            request = Request(pairs(self.path.partition("?")[2]), headers, b"")
            answer = plain.before_the_body(request)
            if answer is None:
                named = {name.lower(): value for name, value in headers}
                answer = plain.receive(request._replace(body=plain.body(named, self.rfile)))
            body = answer.body.encode()
            self.send_response(answer.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer if plain.threaded else HTTPServer):  # type: ignore[misc]
        request_queue_size = 256

        def handle_error(self, request: Any, client_address: Any) -> None:
            pass

    with Server(("127.0.0.1", 0), Handler) as server:
        loop = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        loop.start()
        try:
            yield server.server_address[1]
        finally:
            receiver.stopped.set()
            server.shutdown()
            loop.join()


@contextmanager
def nobody(receiver: Good) -> Iterator[int]:
    """Yield a port that is taken, and where nobody listens."""
    del receiver
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def pairs(query: str) -> tuple[tuple[str, str], ...]:
    """Return the parameters of a query, in order."""
    return tuple(parse_qsl(query, keep_blank_values=True))
