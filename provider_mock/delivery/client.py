"""An HTTP/1.1 client that sends exactly the bytes it is given, many requests at once.

libcurl does the work: it keeps the case, the order and the doubling of headers, which the
checks need, and its multi interface is the fastest client within reach of Python. Nothing is
followed, resumed, unpacked or sent through a proxy; every attempt has a connection of its own.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

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


@dataclass(frozen=True, slots=True)
class Client:
    """How requests leave: the deadline in seconds, at most how many at once, extra headers, a private CA."""

    deadline: float
    concurrency: int = 64
    extra_headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    ca_file: Path | None = None

    def send(self, requests: Sequence[Request]) -> list[Reply | NoReply]:
        """Send the requests, all at once as far as `concurrency` allows; return their replies in the same order."""
        replies: list[Reply | NoReply | None] = [None] * len(requests)
        for index, reply in self.stream(enumerate(requests)):
            replies[index] = reply
        return [reply for reply in replies if reply is not None]

    def stream(self, requests: Iterable[tuple[int, Request]]) -> Iterator[tuple[int, Reply | NoReply]]:
        """Send the numbered requests; yield each number with its reply as soon as that is known."""
        waiting = iter(requests)
        multi = pycurl.CurlMulti()
        flying: dict[pycurl.Curl, _Flight] = {}

        def launch() -> None:
            while len(flying) < self.concurrency and (item := next(waiting, None)) is not None:
                flight = _Flight(*item)
                handle = self._handle(flight)
                flying[handle] = flight
                multi.add_handle(handle)

        try:
            launch()
            while flying:
                multi.perform()
                yield from self._landed(multi, flying)
                launch()
                if flying:
                    multi.select(0.2)
        finally:
            for handle in flying:
                multi.remove_handle(handle)
                handle.close()
            multi.close()

    def _landed(
        self, multi: pycurl.CurlMulti, flying: dict[pycurl.Curl, _Flight]
    ) -> Iterator[tuple[int, Reply | NoReply]]:
        while True:
            queued, succeeded, failed = multi.info_read()
            ended = [(handle, 0, "") for handle in succeeded] + list(failed)
            for handle, code, message in ended:
                flight = flying.pop(handle)
                reply = flight.reply(handle, code, message, self.deadline)
                multi.remove_handle(handle)
                handle.close()
                yield flight.index, reply
            if not queued:
                return

    def _handle(self, flight: _Flight) -> pycurl.Curl:
        request = flight.request
        curl = pycurl.Curl()
        curl.setopt(pycurl.URL, request.url.encode())
        curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
        curl.setopt(pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
        curl.setopt(pycurl.FRESH_CONNECT, 1)
        curl.setopt(pycurl.FORBID_REUSE, 1)
        curl.setopt(pycurl.NOSIGNAL, 1)
        curl.setopt(pycurl.PROXY, "")
        curl.setopt(pycurl.USERAGENT, USER_AGENT)
        curl.setopt(pycurl.TIMEOUT_MS, max(1, round(self.deadline * 1000)))
        curl.setopt(pycurl.CAINFO, str(self.ca_file or certifi.where()))
        curl.setopt(pycurl.HTTPHEADER, self._headers(request))
        curl.setopt(pycurl.POST, 1)
        if request.chunked:
            curl.setopt(pycurl.READFUNCTION, BytesIO(request.body).read)
        else:
            curl.setopt(pycurl.POSTFIELDSIZE, len(request.body))
            curl.setopt(pycurl.COPYPOSTFIELDS, request.body)
        curl.setopt(pycurl.CUSTOMREQUEST, request.method)
        curl.setopt(pycurl.HEADERFUNCTION, flight.header)
        curl.setopt(pycurl.WRITEFUNCTION, flight.write)
        return curl

    def _headers(self, request: Request) -> list[bytes]:
        given = (*request.headers, *self.extra_headers)
        lines = [_line(name, value) for name, value in given]
        names = {name.lower() for name, _ in given}
        # libcurl adds these on its own; a name without a value takes them out.
        lines += [f"{name}:".encode() for name in ("Expect", "Content-Type", "Accept") if name.lower() not in names]
        if request.chunked:
            lines.append(b"Transfer-Encoding: chunked")
        return lines


class HeaderInjection(ValueError):
    """A header's name or value would break out of its line."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the header {name!r} holds a line break or a NUL; leave these out")
        self.name = name


def _line(name: str, value: str) -> bytes:
    if any(c in name + value for c in "\r\n\0"):
        raise HeaderInjection(name)
    # "Name;" is libcurl's way to send a header with an empty value.
    return octets(f"{name}: {value}" if value.strip() else f"{name};")


@dataclass(slots=True)
class _Flight:
    index: int
    request: Request
    started: float = field(default_factory=time.monotonic)
    status: int = 0
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytearray = field(default_factory=bytearray)

    def header(self, line: bytes) -> None:
        text = line.decode("latin-1").strip()
        if text.startswith("HTTP/"):
            self.headers.clear()
        elif ":" in text:
            name, _, value = text.partition(":")
            self.headers.append((name, value.strip()))

    def write(self, data: bytes) -> None:
        self.body += data[: KEPT_BODY - len(self.body)]

    def reply(self, handle: pycurl.Curl, code: int, message: str, deadline: float) -> Reply | NoReply:
        seconds = handle.getinfo(pycurl.TOTAL_TIME)
        if code == 0:
            status = handle.getinfo(pycurl.RESPONSE_CODE)
            return Reply(status, tuple(self.headers), bytes(self.body), seconds)
        if code == pycurl.E_OPERATION_TIMEDOUT:
            if handle.getinfo(pycurl.CONNECT_TIME) > 0:
                return NoReply("timed-out", f"no complete answer within {deadline:g} s", seconds)
            return NoReply("unreachable", f"no connection within {deadline:g} s", seconds)
        if code in CONNECTING:
            return NoReply("unreachable", f"no connection: {message}", seconds)
        return NoReply("unreachable", f"connection lost: {message}", seconds)
