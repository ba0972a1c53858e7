"""Serves a WSGI application with waitress until it is told to stop; then what is under way gets its answer."""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from im_callback.provider_mock.server.front import PROBES, STOPPING, Refusals, server
from werkzeug.wsgi import ClosingIterator

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

log = logging.getLogger("im_callback.provider_mock.http")


class CannotListen(OSError):
    """The address cannot be listened on."""

    def __init__(self, host: str, port: int, reason: str) -> None:
        super().__init__(f"cannot listen on {host} port {port} ({reason}); choose another with --port, or 0 for any")


class Front:
    """Stands before the application: logs each request, counts those under way, and turns away the late ones."""

    def __init__(self, app: WSGIApplication, shown: Callable[[str], str]) -> None:
        self._app, self._shown = app, shown
        self._under_way = 0
        self._changed = threading.Condition()
        self._stopping = threading.Event()

    def stop(self, seconds: float) -> bool:
        """Answer 503 to whatever comes from now on; return whether what was under way is answered within the seconds."""
        with self._changed:
            self._stopping.set()
            return self._changed.wait_for(lambda: not self._under_way, seconds)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        with self._changed:
            if self._stopping.is_set():
                return _late(start_response)
            self._under_way += 1
        # What would go on for long looks at it.
        environ[STOPPING] = self._stopping
        started, status = time.perf_counter(), ["500"]

        def begin(line: str, headers: list[tuple[str, str]], *more: Any) -> Callable[[bytes], object]:
            status[0] = line.partition(" ")[0]
            return start_response(line, headers, *more)

        def end() -> None:
            with self._changed:
                self._under_way -= 1
                self._changed.notify_all()
            self._log(environ, status[0], time.perf_counter() - started)

        try:
            return ClosingIterator(self._app(environ, begin), end)
        except BaseException:
            end()
            raise

    def _log(self, environ: WSGIEnvironment, status: str, seconds: float) -> None:
        path = str(environ.get("PATH_INFO", ""))
        if path in PROBES and status == "200":
            return
        method = self._shown(str(environ.get("REQUEST_METHOD", "")))[:20]
        fields = {"method": method, "path": self._shown(path), "status": int(status), "ms": round(seconds * 1000, 1)}
        log.info("a request was answered", extra={"event": "request", "fields": fields})


class Serving:
    """A server that listens and answers in threads of its own from the start on. Raises CannotListen."""

    def __init__(self, app: WSGIApplication, host: str, port: int, refusals: Refusals) -> None:
        self._front = Front(app, refusals.shown)
        listening = _listen(host, port)
        self.host, self.port = host, int(listening.getsockname()[1])
        self._server = server(self._front, listening, refusals)
        self.thread = threading.Thread(target=self._server.run, name="http", daemon=True)
        """What answers; without it nothing is answered any more."""
        self.thread.start()

    @property
    def url(self) -> str:
        """Where it listens; a wide address is given by this machine's own."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    def drain(self, seconds: float) -> bool:
        """Turn away what comes from now on, and return whether what is under way is answered within the seconds."""
        return self._front.stop(seconds)

    def close(self) -> None:
        """Close all connections and stop listening."""
        from waitress import wasyncore

        # In the loop's own thread, where nothing else is at work on them; it may be through before it is told so.
        with suppress(OSError):
            self._server.trigger.pull_trigger(lambda: wasyncore.close_all(self._server._map))  # noqa: SLF001
        self.thread.join()
        self._server.stop()


def _listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on the first address of a host."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(address[:2], family=family)
    except OSError as error:
        raise CannotListen(host, port, error.strerror or str(error)) from None


def _late(start_response: StartResponse) -> Iterable[bytes]:
    body = {"type": "about:blank", "title": "Service Unavailable", "status": 503, "errors": []}
    text = json.dumps(body | {"detail": "the server is stopping; try again when it is back"}).encode()
    headers = [
        ("Content-Type", "application/problem+json"),
        ("Content-Length", str(len(text))),
        ("Retry-After", "2"),
    ]
    start_response("503 Service Unavailable", headers)
    return [text]
