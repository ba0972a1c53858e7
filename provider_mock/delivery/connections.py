"""HTTP/1.1 over libcurl's multi interface: exactly the bytes that are given, many requests at once.

libcurl keeps the case, the order and the doubling of headers, which the checks need, and its
multi interface is the fastest client within reach of Python. Nothing is followed, resumed or
unpacked, and no proxy is used but the one that is given.

Tens of thousands of requests a second pass here, so libcurl's handles are used again, each with
its buffers and callbacks, and are told only what has changed since their last request. What an
answer can cost is bounded: its headers, what is kept of its body, and its time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Generic, TypeVar

import certifi
import pycurl

from provider_mock.contract import NoReply, Reply, Request, octets

KEPT_BODY = 64 * 1024
"""Bytes of an answer that are kept; the rest is read and dropped."""
HEAD_LIMIT = 300 * 1024
"""Bytes of an answer's headers, those of interim answers included, after which the connection is given up."""
USER_AGENT = "provider-mock"

CONNECTING = frozenset(
    {
        pycurl.E_COULDNT_RESOLVE_HOST,
        pycurl.E_COULDNT_RESOLVE_PROXY,
        pycurl.E_COULDNT_CONNECT,
        pycurl.E_SSL_CONNECT_ERROR,
        pycurl.E_PEER_FAILED_VERIFICATION,
    }
)
# libcurl adds these on its own; a name without a value takes them out.
UNASKED = ("Expect", "Content-Type", "Accept")

Token = TypeVar("Token")
Headers = tuple[tuple[str, str], ...]


class HeaderInjection(ValueError):
    """A header's name or value would break out of its line."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the header {name!r} holds a line break or a NUL; leave these out")
        self.name = name


@dataclass(frozen=True, slots=True)
class Way:
    """How requests leave: the deadline in seconds, extra headers, a private CA, and whether connections are kept.

    `proxy` is the URL of the proxy to go through; without one requests go straight to the
    receiver, whatever the environment says.
    """

    deadline: float
    extra_headers: Headers = field(default=(), repr=False)
    ca_file: Path | None = None
    keep_alive: bool = False
    proxy: str | None = field(default=None, repr=False)


class Connections(Generic[Token]):
    """Requests under way. Each is launched with a token, which comes back with its reply."""

    def __init__(self) -> None:
        self._multi = pycurl.CurlMulti()
        self._flying: dict[pycurl.Curl, tuple[Token, _Line]] = {}
        self._idle: list[_Line] = []

    def __len__(self) -> int:
        return len(self._flying)

    def launch(self, token: Token, request: Request, way: Way) -> None:
        """Send a request; it moves on whenever `landed` is called. Raises `HeaderInjection`."""
        lines = header_lines(request, way.extra_headers)
        if way.proxy is not None:
            lines.append(b"Proxy-Connection:")
        # A handle that has sent a body once would send it again in the place of chunks.
        line = self._idle.pop() if self._idle and not request.chunked else _Line()
        if way is not line.way:
            line.take(way)
        line.load(request, lines)
        self._flying[line.curl] = (token, line)
        self._multi.add_handle(line.curl)

    def landed(self, wait: float) -> list[tuple[Token, Reply | NoReply]]:
        """Return what has ended, after waiting for traffic so many seconds at most if nothing has."""
        multi = self._multi
        multi.perform()
        ended = self._ended()
        if not ended and self._flying:
            # libcurl notices a deadline that passes only when it is called.
            until = multi.timeout()
            multi.select(wait if until < 0 else min(wait, until / 1000))
            multi.perform()
            ended = self._ended()
        landed: list[tuple[Token, Reply | NoReply]] = []
        for curl, code, message in ended:
            token, line = self._flying.pop(curl)
            landed.append((token, line.reply(code, message)))
            multi.remove_handle(curl)
            # A handle that failed may hold half a connection.
            if code == 0 and not line.chunked:
                self._idle.append(line)
            else:
                curl.close()
        return landed

    def _ended(self) -> list[tuple[pycurl.Curl, int, str]]:
        ended: list[tuple[pycurl.Curl, int, str]] = []
        queued = 1
        while queued:
            queued, succeeded, failed = self._multi.info_read()
            ended += [(curl, 0, "") for curl in succeeded]
            ended += failed
        return ended

    def close(self) -> None:
        """Give up what is under way and close all connections."""
        for curl in list(self._flying):
            self._multi.remove_handle(curl)
            curl.close()
        for line in self._idle:
            line.curl.close()
        self._flying.clear()
        self._idle.clear()
        self._multi.close()


def header_lines(request: Request, extra: Headers) -> list[bytes]:
    """Return the header lines as libcurl takes them; raises `HeaderInjection`."""
    given = request.headers + extra
    # "Name;" is libcurl's way to send a header with an empty value.
    lines = [f"{name}: {value}" if value.strip() else f"{name};" for name, value in given]
    lines += _unasked(tuple([name for name, _ in given]))
    if request.chunked:
        lines.append("Transfer-Encoding: chunked")
    text = "\n".join(lines)
    if text.count("\n") != len(lines) - 1 or "\r" in text or "\0" in text:
        raise HeaderInjection(next(name for name, value in given if any(c in name + value for c in "\r\n\0")))
    return octets(text).split(b"\n")


@lru_cache(maxsize=256)
def _unasked(names: tuple[str, ...]) -> list[str]:
    """Return the lines that take out what libcurl would add to headers of these names."""
    given = {name.lower() for name in names}
    return [f"{name}:" for name in UNASKED if name.lower() not in given]


class _Line:
    """A handle of libcurl with the buffers that it fills, for one request at a time."""

    __slots__ = ("body", "chunked", "curl", "head", "method", "url", "way")

    def __init__(self) -> None:
        self.curl = curl = pycurl.Curl()
        self.head, self.body = bytearray(), bytearray()
        self.url = self.method = ""
        self.chunked = False
        self.way: Way | None = None
        curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
        curl.setopt(pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
        curl.setopt(pycurl.NOSIGNAL, 1)
        curl.setopt(pycurl.NOPROXY, "")
        curl.setopt(pycurl.USERAGENT, USER_AGENT)
        curl.setopt(pycurl.POST, 1)
        curl.setopt(pycurl.HEADERFUNCTION, self._header)
        curl.setopt(pycurl.WRITEFUNCTION, self._write)

    def take(self, way: Way) -> None:
        """Prepare for requests that leave this way."""
        curl = self.curl
        curl.setopt(pycurl.PROXY, way.proxy or "")
        curl.setopt(pycurl.TIMEOUT_MS, max(1, round(way.deadline * 1000)))
        curl.setopt(pycurl.CAINFO, str(way.ca_file or certifi.where()))
        curl.setopt(pycurl.FRESH_CONNECT, not way.keep_alive)
        curl.setopt(pycurl.FORBID_REUSE, not way.keep_alive)
        self.way = way

    def load(self, request: Request, lines: list[bytes]) -> None:
        """Prepare for a request with these header lines."""
        curl = self.curl
        if request.url != self.url:
            self.url = request.url
            curl.setopt(pycurl.URL, request.url.encode())
        if request.method != self.method:
            self.method = request.method
            curl.setopt(pycurl.CUSTOMREQUEST, request.method)
        curl.setopt(pycurl.HTTPHEADER, lines)
        if request.chunked:
            self.chunked = True
            curl.setopt(pycurl.READFUNCTION, BytesIO(request.body).read)
        else:
            # Not COPYPOSTFIELDS, which takes no NUL bytes; pycurl gives the size.
            curl.setopt(pycurl.POSTFIELDS, request.body)

    def _header(self, line: bytes) -> int:
        self.head += line
        return len(line) if len(self.head) <= HEAD_LIMIT else 0

    def _write(self, data: bytes) -> None:
        self.body += data[: KEPT_BODY - len(self.body)]

    def reply(self, code: int, message: str) -> Reply | NoReply:
        """Return what came of the request, and empty the buffers."""
        curl = self.curl
        head, body = bytes(self.head), bytes(self.body)
        self.head.clear()
        self.body.clear()
        seconds = curl.getinfo(pycurl.TOTAL_TIME)
        if code == 0:
            headers = _headers(head) if len(head) <= REMEMBERED else _headers.__wrapped__(head)
            if headers is None:
                return NoReply("unreachable", "connection lost: the answer ends inside its headers", seconds)
            return Reply(curl.getinfo(pycurl.RESPONSE_CODE), headers, body, seconds)
        if code == pycurl.E_OPERATION_TIMEDOUT and self.way:
            deadline = self.way.deadline
            if curl.getinfo(pycurl.CONNECT_TIME) > 0:
                return NoReply("timed-out", f"no complete answer within {deadline:g} s", seconds)
            return NoReply("unreachable", f"no connection within {deadline:g} s", seconds)
        if len(head) > HEAD_LIMIT:
            message = f"the answer's headers have more than {HEAD_LIMIT // 1024} KiB"
        what = "no connection" if code in CONNECTING else "connection lost"
        return NoReply("unreachable", f"{what}: {message}", seconds)


REMEMBERED = 2048
"""Bytes of headers that are worth remembering: a receiver's answers differ little."""


@lru_cache(maxsize=128)
def _headers(head: bytes) -> Headers | None:
    """Return the headers of the last answer in what libcurl passed on, or None if they do not end as they must.

    libcurl takes a connection that closes inside them for an end.
    """
    last = head[head.rfind(b"\nHTTP/") + 1 :].decode("latin-1")
    lines = [line.strip() for line in last.split("\n")]
    if "" not in lines[:-1]:
        return None
    pairs = [line.partition(":") for line in lines[1:] if ":" in line]
    return tuple((name, value.strip()) for name, _, value in pairs)
