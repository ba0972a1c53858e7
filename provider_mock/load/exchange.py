"""Sends requests over gevent's sockets, with geventhttpclient's pool and parser: exactly the given bytes, and once.

geventhttpclient's own client writes heads of its own, and some versions send a request again whose connection is
lost; then the receiver sees more than is counted.
"""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Callable
from ssl import SSLContext
from urllib.parse import unquote, urlsplit, urlunsplit

import gevent
from geventhttpclient.connectionpool import ConnectionPool, SSLConnectionPool
from geventhttpclient.response import HTTPParseError, HTTPSocketPoolResponse
from im_callback.provider_mock.addresses import sendable
from im_callback.provider_mock.contract import NoReply, Reply, Request, octets
from im_callback.provider_mock.delivery.sockets.answer_reader import KEPT_BODY
from im_callback.provider_mock.delivery.sockets.message import USER_AGENT


class Sender:
    """Sends to one address over a connection that is kept, and waits for each reply as long as the deadline says.

    A user name and a password in the address become a header; `endpoint` is the address without. `context` makes the
    SSLContext for https; `insecure` leaves out the check of certificates. `BadAddress` if it is none.
    """

    def __init__(
        self,
        url: str,
        deadline: float,
        *,
        insecure: bool = False,
        context: Callable[..., SSLContext] | None = None,
    ) -> None:
        parts = urlsplit(sendable(url, login=True))
        place = parts.netloc.rpartition("@")[2]
        self.endpoint = urlunsplit(parts._replace(netloc=place, fragment=""))
        self._deadline = deadline
        self._head = f"Host: {place}\r\nUser-Agent: {USER_AGENT}\r\n"
        if parts.username is not None:
            known = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self._head += f"Authorization: Basic {b64encode(known.encode()).decode()}\r\n"
        host, secure = str(parts.hostname), parts.scheme == "https"
        port = parts.port or (443 if secure else 80)
        # The deadline is for all of an exchange; the pool's own time-outs are for its parts.
        wait = 2 * deadline
        self._pool: ConnectionPool
        if secure:
            self._pool = SSLConnectionPool(
                *(host, port, host, port),
                insecure=insecure,
                ssl_context_factory=context,
                size=1,
                connection_timeout=wait,
                network_timeout=wait,
            )
        else:
            self._pool = ConnectionPool(host, port, host, port, size=1, connection_timeout=wait, network_timeout=wait)

    def exchange(self, request: Request) -> Reply | NoReply:
        """Send a request; return the reply, or why there is none within the deadline."""
        started = time.perf_counter()
        reached = False
        try:
            with gevent.Timeout(self._deadline):
                connection = self._pool.get_socket()
                reached = True
                try:
                    connection.sendall(self._bytes(request))
                except BaseException:
                    self._pool.release_socket(connection)
                    raise
                # From here on the connection is the answer's, which gives it back.
                answer = HTTPSocketPoolResponse(connection, self._pool, method=request.method)
                body = bytes(answer.read(KEPT_BODY))  # older releases read into a bytearray
                while answer.read(KEPT_BODY):
                    pass
        except gevent.Timeout:
            seconds, limit = time.perf_counter() - started, f"within {self._deadline:g} s"
            if reached:
                return NoReply("timed-out", f"no complete answer {limit}", seconds)
            return NoReply("unreachable", f"no connection {limit}", seconds)
        except HTTPParseError:
            detail = "connection lost: the answer ends early or is no HTTP"
        except OSError as error:
            detail = f"{'connection lost' if reached else 'no connection'}: {error.strerror or error}"
        else:
            return Reply(answer.get_code(), tuple(answer.items()), body, time.perf_counter() - started)
        return NoReply("unreachable", detail, time.perf_counter() - started)

    def _bytes(self, request: Request) -> bytes:
        parts = urlsplit(request.url)
        target = urlunsplit(("", "", parts.path or "/", parts.query, ""))
        lines = "".join(f"{name}: {value}\r\n" for name, value in request.headers)
        first, length = f"{request.method} {target} HTTP/1.1\r\n", f"Content-Length: {len(request.body)}\r\n\r\n"
        return octets(first + self._head + lines + length) + request.body
