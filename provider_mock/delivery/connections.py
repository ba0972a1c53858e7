"""HTTP/1.1 over libcurl's multi interface: exactly the bytes that are given, many requests at once.

libcurl keeps the case, the order and the doubling of headers, which the checks need, and its
multi interface is the fastest client within reach of Python. Nothing is followed, resumed,
unpacked or sent through a proxy.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Generic, TypeVar

import certifi
import pycurl

from provider_mock.contract import NoReply, Reply, Request, octets

KEPT_BODY = 64 * 1024
"""Bytes of an answer that are kept; the rest is read and dropped."""
USER_AGENT = "provider-mock"

CONNECTING = frozenset(
    {
        pycurl.E_COULDNT_RESOLVE_HOST,
        pycurl.E_COULDNT_CONNECT,
        pycurl.E_SSL_CONNECT_ERROR,
        pycurl.E_PEER_FAILED_VERIFICATION,
    }
)
# libcurl adds these on its own; a name without a value takes them out.
UNASKED = ("Expect", "Content-Type", "Accept")

Token = TypeVar("Token")


class HeaderInjection(ValueError):
    """A header's name or value would break out of its line."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the header {name!r} holds a line break or a NUL; leave these out")
        self.name = name


@dataclass(frozen=True, slots=True)
class Way:
    """How requests leave: the deadline in seconds, extra headers, a private CA, and whether connections are kept."""

    deadline: float
    extra_headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    ca_file: Path | None = None
    keep_alive: bool = False


class Connections(Generic[Token]):
    """Requests under way. Each is launched with a token, which comes back with its reply."""

    def __init__(self) -> None:
        self._multi = pycurl.CurlMulti()
        self._flying: dict[pycurl.Curl, _Flight[Token]] = {}
        self._idle: dict[Way, list[pycurl.Curl]] = {}

    def __len__(self) -> int:
        return len(self._flying)

    def launch(self, token: Token, request: Request, way: Way) -> None:
        """Send a request; it moves on whenever `landed` is called. Raises `HeaderInjection`."""
        lines = header_lines(request, way.extra_headers)
        idle = self._idle.setdefault(way, [])
        # A handle that has sent a body once would send it again in the place of chunks.
        handle = idle.pop() if idle and not request.chunked else _handle(way)
        flight = _Flight(token, request, way)
        handle.setopt(pycurl.URL, request.url.encode())
        handle.setopt(pycurl.HTTPHEADER, lines)
        if request.chunked:
            handle.setopt(pycurl.READFUNCTION, BytesIO(request.body).read)
        else:
            handle.setopt(pycurl.POSTFIELDSIZE, len(request.body))
            # COPYPOSTFIELDS takes no NUL bytes.
            handle.setopt(pycurl.POSTFIELDS, request.body)
        handle.setopt(pycurl.CUSTOMREQUEST, request.method)
        handle.setopt(pycurl.HEADERFUNCTION, flight.header)
        handle.setopt(pycurl.WRITEFUNCTION, flight.write)
        self._flying[handle] = flight
        self._multi.add_handle(handle)

    def landed(self, wait: float) -> Iterator[tuple[Token, Reply | NoReply]]:
        """Yield what has ended, after waiting for traffic so many seconds at most if nothing has."""
        self._multi.perform()
        ended = self._ended()
        if not ended and self._flying:
            self._multi.select(wait)
            self._multi.perform()
            ended = self._ended()
        for handle, code, message in ended:
            flight = self._flying.pop(handle)
            reply = flight.reply(handle, code, message)
            self._multi.remove_handle(handle)
            # A handle that failed may hold half a connection.
            if flight.way.keep_alive and code == 0 and not flight.request.chunked:
                self._idle[flight.way].append(handle)
            else:
                handle.close()
            yield flight.token, reply

    def _ended(self) -> list[tuple[pycurl.Curl, int, str]]:
        ended: list[tuple[pycurl.Curl, int, str]] = []
        queued = 1
        while queued:
            queued, succeeded, failed = self._multi.info_read()
            ended += [(handle, 0, "") for handle in succeeded]
            ended += failed
        return ended

    def close(self) -> None:
        """Give up what is under way and close all connections."""
        for handle in list(self._flying):
            self._multi.remove_handle(handle)
            handle.close()
        for idle in self._idle.values():
            for handle in idle:
                handle.close()
        self._flying.clear()
        self._idle.clear()
        self._multi.close()


def header_lines(request: Request, extra: tuple[tuple[str, str], ...]) -> list[bytes]:
    """Return the header lines as libcurl takes them; raises `HeaderInjection`."""
    given = (*request.headers, *extra)
    lines = [_line(name, value) for name, value in given]
    names = {name.lower() for name, _ in given}
    lines += [f"{name}:".encode() for name in UNASKED if name.lower() not in names]
    if request.chunked:
        lines.append(b"Transfer-Encoding: chunked")
    return lines


def _line(name: str, value: str) -> bytes:
    if any(c in name + value for c in "\r\n\0"):
        raise HeaderInjection(name)
    # "Name;" is libcurl's way to send a header with an empty value.
    return octets(f"{name}: {value}" if value.strip() else f"{name};")


def _handle(way: Way) -> pycurl.Curl:
    curl = pycurl.Curl()
    curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
    curl.setopt(pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
    curl.setopt(pycurl.NOSIGNAL, 1)
    curl.setopt(pycurl.PROXY, "")
    curl.setopt(pycurl.USERAGENT, USER_AGENT)
    curl.setopt(pycurl.TIMEOUT_MS, max(1, round(way.deadline * 1000)))
    curl.setopt(pycurl.CAINFO, str(way.ca_file or certifi.where()))
    curl.setopt(pycurl.POST, 1)
    if not way.keep_alive:
        curl.setopt(pycurl.FRESH_CONNECT, 1)
        curl.setopt(pycurl.FORBID_REUSE, 1)
    return curl


@dataclass(slots=True)
class _Flight(Generic[Token]):
    token: Token
    request: Request
    way: Way
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytearray = field(default_factory=bytearray)
    whole: bool = False
    """Whether the headers ended as they must; libcurl takes a connection that closes inside them for an end."""

    def header(self, line: bytes) -> None:
        text = line.decode("latin-1").strip()
        if not text:
            self.whole = True
        elif text.startswith("HTTP/"):
            self.whole = False
            self.headers.clear()
        elif ":" in text:
            name, _, value = text.partition(":")
            self.headers.append((name, value.strip()))

    def write(self, data: bytes) -> None:
        self.body += data[: KEPT_BODY - len(self.body)]

    def reply(self, handle: pycurl.Curl, code: int, message: str) -> Reply | NoReply:
        seconds = handle.getinfo(pycurl.TOTAL_TIME)
        deadline = self.way.deadline
        if code == 0 and not self.whole:
            return NoReply("unreachable", "connection lost: the answer ends inside its headers", seconds)
        if code == 0:
            return Reply(handle.getinfo(pycurl.RESPONSE_CODE), tuple(self.headers), bytes(self.body), seconds)
        if code == pycurl.E_OPERATION_TIMEDOUT:
            if handle.getinfo(pycurl.CONNECT_TIME) > 0:
                return NoReply("timed-out", f"no complete answer within {deadline:g} s", seconds)
            return NoReply("unreachable", f"no connection within {deadline:g} s", seconds)
        if code in CONNECTING:
            return NoReply("unreachable", f"no connection: {message}", seconds)
        return NoReply("unreachable", f"connection lost: {message}", seconds)
