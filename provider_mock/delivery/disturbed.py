"""Sends requests whose transport is disturbed, on the real socket: cut off, trickled, reset, left unread.

An ordinary HTTP client does not do such things, so this one speaks HTTP/1.1 and TLS itself: on
sockets that it alone reads and writes, many at once, in one thread of its own. Undisturbed
requests look the same byte for byte as those of `Client`, and its deadline and limits hold here too.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
import ssl
import struct
import threading
import time
from base64 import b64encode
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import quote, unquote, urlsplit

import certifi

from provider_mock.contract import NoReply, Reply, Request, octets
from provider_mock.delivery.client import Client
from provider_mock.delivery.connections import KEPT_BODY, USER_AGENT, HeaderInjection
from provider_mock.delivery.plan import NO_TRANSPORT, Transport

HEAD_LIMIT = 300 * 1024
"""Bytes of an answer's headers that are read at most, as in libcurl."""
PIECE = 64 * 1024
PORTS = {"http": 80, "https": 443}
WITHOUT_BODY = frozenset({204, 304})
_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: .*)?", re.DOTALL)

_Result = TypeVar("_Result")
Sleep = Callable[[float], Awaitable[object]]


class _Lost(Exception):
    """The connection ended, or what came over it is no HTTP."""


class _Unconnected(Exception):
    """There was no connection."""


class Disturber:
    """Sends requests with a disturbed transport, many at once. A context manager; `close` ends what is under way.

    `sleep` passes the seconds of slow starts and trickles.
    """

    def __init__(self, client: Client, sleep: Sleep = asyncio.sleep) -> None:
        self.client = client
        self._sleep = sleep
        self._tls: ssl.SSLContext | None = None
        self._kept: dict[tuple[str, str], _Kept] = {}
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._thread = threading.Thread(target=self._run, name="disturbed requests", daemon=True)
        self._thread.start()

    def __enter__(self) -> Disturber:  # noqa: PYI034 - typing.Self is of Python 3.11.
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def submit(
        self, request: Request, transport: Transport = NO_TRANSPORT, connection: str | None = None
    ) -> Future[Reply | NoReply]:
        """Start to send a request; return what will be its reply.

        Requests with the same `connection` go over the same kept-alive connection, one after the
        other. Raises `HeaderInjection`, as the client does.
        """
        message = _Message(request, transport, self.client.extra_headers)
        return asyncio.run_coroutine_threadsafe(self._send(message, transport, connection), self._loop)

    def send(
        self, request: Request, transport: Transport = NO_TRANSPORT, connection: str | None = None
    ) -> Reply | NoReply:
        """Send a request and wait for its reply."""
        return self.submit(request, transport, connection).result()

    def close(self) -> None:
        """Break off what is under way and close the connections."""
        if self._thread.is_alive():
            asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    async def _end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for kept in self._kept.values():
            kept.drop()
        await self._loop.shutdown_default_executor()

    async def _send(self, message: _Message, transport: Transport, connection: str | None) -> Reply | NoReply:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if connection is None:
            return await self._attempt(message, transport, _Kept(alone=True))
        kept = self._kept.setdefault((connection, message.origin), _Kept())
        async with kept.turn:
            return await self._attempt(message, transport, kept)

    async def _attempt(self, message: _Message, transport: Transport, kept: _Kept) -> Reply | NoReply:
        started = time.monotonic()
        deadline = min(self.client.deadline, transport.deadline or self.client.deadline)
        keep = False
        try:
            reply, reusable = await asyncio.wait_for(self._exchange(message, transport, kept), deadline)
            keep = reusable and not kept.alone
            return Reply(*reply, time.monotonic() - started)
        except asyncio.TimeoutError:
            seconds = time.monotonic() - started
            if kept.line is None:
                return NoReply("unreachable", f"no connection within {deadline:g} s", seconds)
            return NoReply("timed-out", f"no complete answer within {deadline:g} s", seconds)
        except _Unconnected as error:
            return NoReply("unreachable", f"no connection: {error}", time.monotonic() - started)
        except (_Lost, OSError) as error:
            return NoReply("unreachable", f"connection lost: {error}", time.monotonic() - started)
        finally:
            if not keep:
                kept.drop(reset=transport.reset)

    async def _exchange(self, message: _Message, transport: Transport, kept: _Kept) -> tuple[_Reply, bool]:
        line = await self._line(message, transport, kept)
        if transport.slow_start:
            await self._sleep(transport.slow_start)
        cut = transport.body_limit is not None
        if transport.read_reply and not (cut or transport.silent or transport.reset):
            try:
                return await self._ask(message, transport, line)
            except (_Lost, OSError):
                # A kept connection may be closed at the very moment it is used again. libcurl sends again then, too.
                if line.requests == 1 or line.heard:
                    raise
                kept.drop()
                return await self._ask(message, transport, await self._line(message, transport, kept))
        await self._write(line, message, transport)
        if transport.silent:
            await asyncio.get_running_loop().create_future()
        if transport.reset:
            await line.drained()
            raise _Lost("reset on purpose")
        if cut:
            raise _Lost("closed on purpose in the middle of the body")
        await line.begun()
        raise _Lost("closed on purpose before the reply was read")

    async def _ask(self, message: _Message, transport: Transport, line: _Line) -> tuple[_Reply, bool]:
        """Write the request and read the reply, which may come before the request is complete."""
        line.requests += 1
        line.heard = False
        writing = asyncio.ensure_future(self._write(line, message, transport))
        reading = asyncio.ensure_future(_read(line, message.method))
        try:
            await asyncio.wait({writing, reading}, return_when=asyncio.FIRST_COMPLETED)
            reply, reusable = await reading
            whole = writing.done() and writing.exception() is None
            return reply, reusable and whole and transport.ackable and not transport.half_close
        finally:
            for task in (writing, reading):
                task.cancel()
            await asyncio.gather(writing, reading, return_exceptions=True)

    async def _write(self, line: _Line, message: _Message, transport: Transport) -> None:
        """Write the request, all at once or piece by piece."""
        size = transport.trickle_bytes
        whole, slow = message.head, message.body
        if size is None:
            whole, slow = whole + slow, b""
        elif transport.trickle_headers:
            whole, slow = b"", whole + slow
        if whole:
            await line.write(whole)
        for start in range(0, len(slow), size or 1):
            if start or whole:
                await self._sleep(transport.trickle_seconds)
            await line.write(slow[start : start + (size or 1)])
        if transport.half_close:
            line.shut()

    async def _line(self, message: _Message, transport: Transport, kept: _Kept) -> _Line:
        if transport.refuse:
            kept.drop()
            await _refused()
        if kept.line is not None and kept.line.ended():
            kept.drop()
        if kept.line is None:
            kept.line = await self._connect(message)
        return kept.line

    async def _connect(self, message: _Message) -> _Line:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(message.host, message.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise _Unconnected(f"{message.host}: {error}") from None
        problem: OSError | None = None
        for family, kind, protocol, _, address in found:
            one = socket.socket(family, kind, protocol)
            try:
                one.setblocking(False)
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                await loop.sock_connect(one, address)
                line = _Line(one)
                if message.scheme == "https":
                    await line.secure(self._context(), message.host)
            except OSError as error:
                one.close()
                problem = error
            except BaseException:
                one.close()
                raise
            else:
                return line
        raise _Unconnected(problem or "no address")

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context(cafile=str(self.client.ca_file or certifi.where()))
        return self._tls


_Reply = tuple[int, tuple[tuple[str, str], ...], bytes]


async def _refused() -> None:
    """Connect to a port of this machine on which nobody listens."""
    with socket.socket() as closed, socket.socket() as one:
        closed.bind(("127.0.0.1", 0))
        one.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(one, closed.getsockname())
        except OSError as error:
            raise _Unconnected(f"{os.strerror(error.errno or 0)}, on purpose") from None


class _Message:
    """A request as bytes: the head, and as much of the body as the transport lets out."""

    def __init__(self, request: Request, transport: Transport, extra: tuple[tuple[str, str], ...]) -> None:
        parts = urlsplit(request.url)
        self.method = request.method
        self.scheme = parts.scheme
        self.host = parts.hostname or ""
        self.port = parts.port or PORTS[parts.scheme]
        self.origin = f"{self.scheme}://{self.host}:{self.port}"
        host = parts.netloc.rpartition("@")[2]
        if parts.port == PORTS[parts.scheme]:
            host = host.rpartition(":")[0]
        target = quote(parts.path or "/", safe="%/:;=@!$&'()*+,~[]") + (f"?{parts.query}" if parts.query else "")
        lines = [octets(f"{request.method} {target} HTTP/1.1"), octets(f"Host: {host}")]
        if parts.username is not None:
            user = octets(f"{unquote(parts.username)}:{unquote(parts.password or '')}")
            lines.append(b"Authorization: Basic " + b64encode(user))
        given = (*request.headers, *extra)
        if "user-agent" not in {name.lower() for name, _ in given}:
            lines.append(f"User-Agent: {USER_AGENT}".encode())
        lines += [_header(name, value) for name, value in given]
        promised = max(0, len(request.body) + transport.length_error)
        body = request.body if transport.body_limit is None else request.body[: _limit(request, transport.body_limit)]
        if request.chunked:
            lines.append(b"Transfer-Encoding: chunked")
            whole = body == request.body
            body = (b"%x\r\n" % promised + body if request.body else b"") + (
                (b"\r\n" if request.body else b"") + b"0\r\n\r\n" if whole else b""
            )
        else:
            lines.append(b"Content-Length: %d" % promised)
        self.head = b"\r\n".join(lines) + b"\r\n\r\n"
        self.body = body


def _limit(request: Request, limit: int) -> int:
    return limit if limit >= 0 else max(0, len(request.body) + limit)


def _header(name: str, value: str) -> bytes:
    if any(c in name + value for c in "\r\n\0"):
        raise HeaderInjection(name)
    return octets(f"{name}: {value}" if value.strip() else f"{name}:")


async def _read(line: _Line, method: str) -> tuple[_Reply, bool]:
    """Return the reply, and whether the connection can be used again."""
    left = HEAD_LIMIT
    while True:
        first = await line.readline(left)
        matched = _STATUS.fullmatch(first)
        if matched is None:
            raise _Lost(f"the answer is no HTTP: {first[:40]!r}")
        status = int(matched[2])
        headers: list[tuple[str, str]] = []
        left -= len(first)
        left = await _fields(line, headers, left)
        if status >= 200 or status == 101:
            break
    fields = {name.lower(): value for name, value in headers}
    lasting = matched[1] == b"1" and "close" not in fields.get("connection", "").lower()
    if method == "HEAD" or status in WITHOUT_BODY:
        return (status, tuple(headers), b""), lasting
    kept = bytearray()

    def keep(data: bytes) -> None:
        kept.extend(data[: KEPT_BODY - len(kept)])

    if "chunked" in fields.get("transfer-encoding", "").lower():
        while size := _number((await line.readline(HEAD_LIMIT)).partition(b";")[0], 16):
            await line.take(size, keep)
            if await line.readline(HEAD_LIMIT):
                raise _Lost("a chunk is longer than it says")
        await _fields(line, headers, left)
    elif "content-length" in fields:
        await line.take(_number(fields["content-length"].encode("latin-1"), 10), keep)
    else:
        lasting = False
        await line.take(None, keep)
    return (status, tuple(headers), bytes(kept)), lasting


async def _fields(line: _Line, headers: list[tuple[str, str]], left: int) -> int:
    """Add the headers, or trailers, up to the empty line; return how many bytes are left of those allowed."""
    while text := await line.readline(left):
        left -= len(text) + 2
        name, colon, value = text.decode("latin-1").partition(":")
        if colon:
            headers.append((name, value.strip()))
    return left


def _number(text: bytes, base: int) -> int:
    digits = rb"[0-9]{1,18}" if base == 10 else rb"[0-9a-fA-F]{1,15}"
    if not re.fullmatch(digits, text.strip()):
        raise _Lost(f"the answer's length is no number: {text[:40]!r}")
    return int(text, base)


@dataclass(eq=False)
class _Kept:
    """A place for a connection: whose turn it is, and the connection itself while it is open."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    line: _Line | None = None
    alone: bool = False

    def drop(self, *, reset: bool = False) -> None:
        if self.line is not None:
            self.line.close(reset=reset)
            self.line = None


class _Line:
    """One connection, plain or TLS: nothing is read from its socket but what is asked for."""

    def __init__(self, one: socket.socket) -> None:
        self._socket = one
        self._loop = asyncio.get_running_loop()
        self._buffer = bytearray()
        self._tls: ssl.SSLObject | None = None
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._flushing = asyncio.Lock()
        self.requests = 0
        """How many requests were sent over it."""
        self.heard = False
        """Whether anything was received since the last one."""

    async def secure(self, context: ssl.SSLContext, host: str) -> None:
        """Do the TLS handshake and verify the certificate; raises ssl.SSLError."""
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        if await self._pump(self._tls.do_handshake) == b"":
            raise _Unconnected("closed during the TLS handshake")

    async def write(self, data: bytes) -> None:
        """Send all of the data."""
        if self._tls is None:
            await self._loop.sock_sendall(self._socket, data)
            return
        for start in range(0, len(data), PIECE):
            self._tls.write(data[start : start + PIECE])
            await self._flush()

    async def readline(self, limit: int) -> bytes:
        """Return the next line without its end."""
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > limit:
                break
            await self._more("headers")
        if end < 0 or end > limit:
            raise _Lost(f"the answer's headers are longer than {HEAD_LIMIT} bytes")
        text = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return text.removesuffix(b"\r")

    async def take(self, size: int | None, keep: Callable[[bytes], None]) -> None:
        """Hand the next `size` bytes to `keep`, or all until the end."""
        while size is None or size > 0:
            if not self._buffer:
                try:
                    await self._more("body")
                except _Lost:
                    if size is None:
                        return
                    raise
            data = bytes(self._buffer[:size])
            del self._buffer[: len(data)]
            size = None if size is None else size - len(data)
            keep(data)

    async def begun(self) -> None:
        """Return as soon as the other side has sent something; it stays unread. Under TLS its first byte is read."""
        if self._tls is not None:
            if not await self._pump(lambda: self._tls.read(1) if self._tls else b""):
                raise _Lost("closed before a reply")
            return
        readable = self._loop.create_future()
        self._loop.add_reader(self._socket, readable.set_result, None)
        try:
            await readable
        finally:
            self._loop.remove_reader(self._socket)
        if not self._socket.recv(1, socket.MSG_PEEK):
            raise _Lost("closed before a reply")

    async def drained(self) -> None:
        """Return when the other side's machine has received everything, where this one can tell."""
        while unsent(self._socket):  # noqa: ASYNC110 - The system has no event for it.
            await asyncio.sleep(0.001)

    def ended(self) -> bool:
        """Return whether the other side has closed, or has sent what nobody asked for."""
        try:
            return self._socket.recv(1, socket.MSG_PEEK) is not None
        except BlockingIOError:
            return bool(self._buffer)
        except OSError:
            return True

    def shut(self) -> None:
        """Close the sending side."""
        if self._tls is not None:
            # Only the TLS layer of the sending side: OpenSSL reads on after its close_notify.
            with suppress(ssl.SSLError):
                self._tls.unwrap()
            self._push()
        self._socket.shutdown(socket.SHUT_WR)

    def close(self, *, reset: bool = False) -> None:
        """Close the connection, or reset it: no FIN then, and what is unsent is dropped."""
        if reset:
            with suppress(OSError):
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    async def _more(self, what: str) -> None:
        if self._tls is None:
            data = await self._loop.sock_recv(self._socket, PIECE)
        else:
            data = await self._pump(lambda: self._tls.read(PIECE) if self._tls else b"")
        if not data:
            raise _Lost(f"closed in the middle of the answer's {what}")
        self.heard = True
        self._buffer += data

    async def _pump(self, step: Callable[[], _Result]) -> _Result | bytes:
        """Do a step of the TLS layer, with as much reading and writing as it needs; b"" where the other side ended."""
        while True:
            try:
                result = step()
            except ssl.SSLWantReadError:  # noqa: PERF203 - It steers the loop.
                await self._flush()
                data = await self._loop.sock_recv(self._socket, PIECE)
                if data:
                    self._incoming.write(data)
                else:
                    self._incoming.write_eof()
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return b""
            else:
                await self._flush()
                return result

    async def _flush(self) -> None:
        async with self._flushing:
            while data := self._outgoing.read():
                await self._loop.sock_sendall(self._socket, data)

    def _push(self) -> None:
        with suppress(OSError):
            self._socket.send(self._outgoing.read())


def unsent(one: socket.socket) -> int:
    """Return how many bytes the other side's machine has not confirmed; 0 where the system does not say."""
    try:
        import fcntl
        import termios
    except ImportError:
        return 0
    try:
        return int(struct.unpack("i", fcntl.ioctl(one.fileno(), termios.TIOCOUTQ, b"\0\0\0\0"))[0])
    except (OSError, ValueError):
        return 0
