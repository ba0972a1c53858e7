"""What waitress is taught: it polls, refuses before it reads a body, and waits for nobody for long.

Who may ask is decided when a request's headers are there. Probes have threads of their own, so
that they are answered while all others work. A connection that keeps us waiting is closed, and so
is the oldest idle one where there are too many.
"""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    # Its published types are of another release.
    HTTPChannel: Any
    HTTPRequestParser: Any
    TcpWSGIServer: Any
    ThreadedTaskDispatcher: Any
    Adjustments: Any
else:
    from waitress.adjustments import Adjustments
    from waitress.channel import HTTPChannel
    from waitress.parser import HTTPRequestParser
    from waitress.server import TcpWSGIServer
    from waitress.task import ThreadedTaskDispatcher

log = logging.getLogger("im_callback.provider_mock.http")

THREADS = 8
"""Requests at once: those that accept wait for the disk together, and share a commit."""
PROBE_THREADS = 2
CALL_THREADS = 64
"""For calls of the providers' server APIs, which may wait seconds for a receiver; those that it makes meanwhile go on."""
PROBES = frozenset({"/healthz", "/readyz", "/metrics"})
"""Paths that are asked for all the time, and must be answered at all times."""
WATCHED = "/console/changes"
"""A path whose answers go on for minutes; they have threads of their own."""
WATCHERS = 16
"""How many of those there can be at once."""
STOPPING = "provider_mock.stopping"
"""Where a request's environment has the event that is set when the server stops."""
CONNECTIONS = 512
"""Open at once; where more come, the one that has been idle longest is closed."""
HEAD_BYTES = 64 * 1024
MOST_BYTES = 32 * 1024 * 1024
"""Of a request's body."""
LONGEST_PATH = 200
"""Characters of a path that are logged."""
KEPT_BYTES = 64 * 1024
"""Of a body that lie in memory while it comes; the rest lies in a file."""
LOOK_BYTES = 1024 * 1024
"""After which it is looked again whether too much comes, where a body does not say how long it is."""
COMING_BYTES = 256 * 1024 * 1024
"""Of all bodies that come at once: they lie in files meanwhile."""
HEAD_SECONDS = 10.0
"""From the first byte of a request to the end of its headers, and from a connection to its first byte."""
STALLED_SECONDS = 15.0
"""In which a body does not go on, or an answer is not taken."""
BODY_SECONDS = 120.0
"""For a whole body to come, or a whole answer to be taken."""
IDLE_SECONDS = 60.0
"""Between two requests of a connection."""
FULL_SECONDS = 0.05
"""For which no connection is taken when all are at work."""
LINGER_SECONDS = 2.0
DROPPED_BYTES = 4 * 1024 * 1024
"""How long, and how much of, a refused body is dropped before the connection is cut."""


class Refuse(Protocol):
    """Decides who may ask."""

    def __call__(
        self, method: str, path: str, headers: Mapping[str, str], *, body: bool, remote: str
    ) -> Refusal | None:
        """Return why a request is not to be answered, or None; header names are in upper case with underscores.

        `body` says whether one follows, `remote` is the address that it comes from.
        """
        ...


class Refusal:
    """An answer that is given before a body is read; the connection is closed behind it. Made as waitress wants it."""

    def __init__(self, status: str, headers: list[tuple[str, str]], body: bytes) -> None:
        self._status, self._headers, self._body = status, headers, body

    def to_response(self, ident: str | None = None) -> tuple[str, list[tuple[str, str]], bytes]:
        """Return status line, headers and body."""
        del ident
        return self._status, list(self._headers), self._body


class Refusals(NamedTuple):
    """What is asked before a body is read, and what is said where one is too long, or there are too many."""

    refuse: Refuse
    too_large: Refusal
    full: Refusal
    asks: Callable[[str], bool] = lambda _: False
    """Whether an answer to this path may wait for what a receiver says, who may call in its turn."""
    shown: Callable[[str], str] = lambda text: text[:LONGEST_PATH]
    """What a client has sent, as it stands in the log."""


class Parser(HTTPRequestParser):  # type: ignore[misc]
    """Reads a request; one that is refused is complete when its headers are."""

    error: Any = None
    completed: bool = False
    rest = b""
    """What came behind the request."""

    def __init__(self, adj: Any, refusals: Refusals, coming: Callable[[], int], remote: str) -> None:
        super().__init__(adj)
        self._refusals, self._coming, self._remote = refusals, coming, remote
        self._look_at = LOOK_BYTES

    @property
    def promised(self) -> int:
        """How many bytes its body has, or has had so far where it does not say."""
        return int(self.body_bytes_received if self.chunked else self.content_length)

    def received(self, data: bytes) -> int:
        """Take what came; return how much of it belongs to this request."""
        before = self.headers_finished
        consumed = int(super().received(data))
        too_large = getattr(self.error, "code", None) == 413
        if not before and self.headers_finished and not self.empty and (self.error is None or too_large):
            # Who may not ask learns nothing else.
            body = self.chunked or self.promised > 0
            refused = self._refusals.refuse(self.command, self.path, self.headers, body=body, remote=self._remote)
            self.error = refused or self.error
            if self.error is None and self.promised > KEPT_BYTES and self._coming() + self.promised > COMING_BYTES:
                self.error = self._refusals.full
        if self.chunked and self.error is None and self.promised >= self._look_at:
            self._look_at += LOOK_BYTES
            if self._coming() > COMING_BYTES:
                self.error = self._refusals.full
        if getattr(self.error, "code", None) == 413:
            self.error = self._refusals.too_large
        if self.error is not None:
            if not self.completed or not before:
                shown = self._refusals.shown
                method, path = shown(str(getattr(self, "command", "")))[:20], shown(str(getattr(self, "path", "")))
                status = int(str(self.error.to_response()[0]).partition(" ")[0])
                fields = {"method": method, "path": path, "status": status}
                log.info("a request was refused", extra={"event": "request", "fields": fields})
            self.completed = True
            # Nobody is asked to go on, and what follows is no request.
            self.expect_continue = False
            self.connection_close = True
            return len(data)
        if self.completed and not self.empty:
            # One after the other: what follows is read when this one is dealt with.
            self.rest = data[consumed:]
            return len(data)
        return consumed


class Channel(HTTPChannel):  # type: ignore[misc]
    """A connection, with the moments by which it is judged whether it keeps us waiting (monotonic clock)."""

    close_when_flushed: bool = False

    def __init__(self, server: Server, *given: Any, **named: Any) -> None:
        self.moved = time.monotonic()
        """When something last came or left."""
        self.began: float | None = None
        """When the first byte of the request came that is not complete yet."""
        self.leaving: float | None = None
        """Since when an answer waits to be taken."""
        self.lingering: float | None = None
        """Since when what still comes is dropped, so that the other side can read why it was refused."""
        self.dropped = 0
        self.rest = b""
        """What came behind the request that is being answered."""
        self.refused = False
        self.asked = False
        """Whether a whole request came over it."""
        super().__init__(server, *given, **named)

    def parser_class(self, adj: Any) -> Parser:
        """Return what reads the next request."""
        return Parser(adj, self.server.refusals, self.server.coming, str(self.addr[0]))

    @property
    def coming(self) -> int:
        """How many bytes of bodies it brings, or has brought that are not dealt with yet."""
        return sum(one.promised for one in (self.request, *self.requests) if one is not None and one.headers_finished)

    def received(self, data: bytes) -> bool:
        """Take what came."""
        self.moved = time.monotonic()
        found = bool(super().received(data))
        for request in self.requests:
            self.rest, request.rest = self.rest + request.rest, b""
        self.asked = self.asked or bool(self.requests)
        self.refused = self.refused or any(request.error is not None for request in self.requests)
        if self.request is None:
            self.began = None
        elif self.began is None:
            self.began = self.moved
        return found

    def readable(self) -> bool:
        """Return whether anything is to be read."""
        return self.lingering is not None or (not self.rest and bool(super().readable()))

    def service(self) -> None:
        """Answer the next request, in one of the threads; then the loop reads what came behind it."""
        super().service()
        if self.rest:
            self.server.trigger.pull_trigger(self.go_on)

    def go_on(self) -> None:
        """Read what came behind a request, once that is answered and the answer is taken."""
        busy = self.requests or self.total_outbufs_len or self.will_close or self.close_when_flushed
        if self.rest and not busy and self.connected:
            rest, self.rest = self.rest, b""
            self.received(rest)

    def writable(self) -> bool:
        """Return whether anything is to be written, or closed."""
        return self.lingering is None and bool(super().writable())

    def handle_read(self) -> None:
        """Read, or drop, what has come."""
        if self.lingering is None:
            super().handle_read()
            return
        data = self.recv(KEPT_BYTES)
        self.dropped += len(data)
        if not data or self.dropped > DROPPED_BYTES:
            self.handle_close()

    def handle_write(self) -> None:
        """Write what there is; behind a refusal the connection is closed in two steps."""
        if not (self.close_when_flushed and self.refused):
            super().handle_write()
            self.go_on()
            return
        self._flush_exception(self._flush_some)
        if self.total_outbufs_len and not self.will_close:
            return
        self.close_when_flushed = False
        self.lingering = time.monotonic()
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            self.handle_close()

    def _flush_some(self, do_close: bool = True) -> bool:
        sent = bool(super()._flush_some(do_close=do_close))
        if sent:
            self.moved = time.monotonic()
        return sent

    def close(self) -> None:
        """Close the connection, and the files in which what came and what is to leave lie."""
        for buffer in self.outbufs:
            buffer.close()
        # Those that are being answered are their threads'.
        if self.request is not None:
            self.request.close()
        super().close()

    def overdue(self, now: float) -> bool:
        """Return whether it keeps us waiting too long."""
        if self.lingering is not None:
            return now - self.lingering > LINGER_SECONDS
        if self.total_outbufs_len:
            if self.leaving is None:
                self.leaving = now
            return now - self.moved > STALLED_SECONDS or now - self.leaving > BODY_SECONDS
        self.leaving = None
        if self.requests:
            return False
        if self.began is not None and self.request is not None:
            if not self.request.headers_finished:
                return now - self.began > HEAD_SECONDS
            return now - self.moved > STALLED_SECONDS or now - self.began > BODY_SECONDS
        return now - self.moved > IDLE_SECONDS

    @property
    def worth(self) -> int:
        """How much is lost if it is closed: nothing was ever asked; nothing now; something unfinished."""
        if self.total_outbufs_len or (self.request is not None and self.request.headers_finished):
            return 2
        return int(self.asked)


class Server(TcpWSGIServer):  # type: ignore[misc]
    """Listens, and hands requests to threads."""

    channel_class = Channel

    def __init__(self, *given: Any, refusals: Refusals, **named: Any) -> None:
        self.refusals = refusals
        self._probes = ThreadedTaskDispatcher()
        self._probes.set_thread_count(PROBE_THREADS)
        self._calls = ThreadedTaskDispatcher()
        self._calls.set_thread_count(CALL_THREADS)
        self._watched = ThreadedTaskDispatcher()
        # Two more, to tell those who are too many.
        self._watched.set_thread_count(WATCHERS + 2)
        self._look_at = self._full_until = 0.0
        super().__init__(*given, **named)

    def add_task(self, task: Channel) -> None:
        """Have a channel's next request answered."""
        request = task.requests[0]
        path = request.path if request.error is None else ""
        if path in PROBES:
            dispatcher = self._probes
        elif path == WATCHED:
            dispatcher = self._watched
        else:
            dispatcher = self._calls if self.refusals.asks(path) else self.task_dispatcher
        dispatcher.add_task(task)

    def readable(self) -> bool:
        """Close what keeps us waiting, and return whether new connections are taken."""
        now = time.monotonic()
        if now >= self._look_at:
            self._look_at = now + 1.0
            for channel in list(self.active_channels.values()):
                if channel.overdue(now):
                    channel.handle_close()
        return bool(self.accepting) and now >= self._full_until

    def handle_accept(self) -> None:
        """Take a new connection, in the place of an idle one if there are too many."""
        if len(self.active_channels) >= CONNECTIONS:
            # Those whose requests are being answered are left alone.
            others = [one for one in self.active_channels.values() if not one.requests]
            idle = min(others, key=lambda one: (one.worth, one.moved), default=None)
            if idle is None:
                # All are at work: who comes now waits in the system's queue.
                self._full_until = time.monotonic() + FULL_SECONDS
                return
            idle.handle_close()
        super().handle_accept()

    def coming(self) -> int:
        """Return how many bytes of bodies all connections bring."""
        return sum(one.coming for one in self.active_channels.values())

    def stop(self) -> None:
        """Let the threads end."""
        self.task_dispatcher.shutdown()
        self._calls.shutdown()
        self._probes.shutdown()
        self._watched.shutdown()


def server(app: Any, listening: socket.socket, refusals: Refusals) -> Server:
    """Return a server on a socket that listens; `run` serves until all its sockets are closed."""
    adj = Adjustments(
        sockets=[listening],
        threads=THREADS,
        connection_limit=1_000_000,
        backlog=1024,
        asyncore_use_poll=True,
        asyncore_loop_timeout=1,
        ident="provider-mock",
        clear_untrusted_proxy_headers=True,
        max_request_header_size=HEAD_BYTES,
        max_request_body_size=MOST_BYTES + 1,
        inbuf_overflow=KEPT_BYTES,
        # An answer that is taken slowly waits in a file, and no thread for it.
        outbuf_overflow=KEPT_BYTES,
        outbuf_high_watermark=1 << 40,
    )
    dispatcher = ThreadedTaskDispatcher()
    dispatcher.set_thread_count(THREADS)
    return Server(
        app,
        {},
        True,
        listening,
        dispatcher=dispatcher,
        adj=adj,
        sockinfo=(listening.family, listening.type, listening.proto, listening.getsockname()),
        bind_socket=False,
        refusals=refusals,
    )
