"""HTTP/1.1 and TLS on bare sockets, for what an ordinary client does not do: nothing is read or written but what is asked for.

Requests look the same byte for byte as those of `Client`.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, TypeVar

from im_callback.provider_mock.contract import Request, octets
from im_callback.provider_mock.delivery.plan import Transport
from im_callback.provider_mock.delivery.sockets.answer_reader import Answer, Lost
from im_callback.provider_mock.delivery.sockets.message import Headers, head, where
from im_callback.provider_mock.delivery.sockets.system import PIECE, asked, unsent

HELD: int = getattr(socket, "MSG_MORE", 0) if sys.platform == "linux" else 0
"""The flag that has the system wait for more before it sends; 0 where there is none."""
NOT_SENT = 0x894B
"""Linux's SIOCOUTQNSD: how many bytes have not been sent."""

_Result = TypeVar("_Result")
RawReply = tuple[int, Headers, bytes]
AddressInfo = tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]
"""What `getaddrinfo` tells of one address."""


class Unconnected(Exception):
    """There was no connection."""


class Message:
    """A request as bytes: the head, and as much of the body as the transport lets out."""

    def __init__(self, request: Request, transport: Transport, extra: Headers) -> None:
        place = where(request)
        to = place[0]
        self.method = request.method
        self.scheme, self.host, self.port = to.scheme, to.host, to.port
        self.origin = f"{self.scheme}://{self.host}:{self.port}"
        promised = max(0, len(request.body) + transport.length_error)
        body = request.body if transport.body_limit is None else request.body[: _limit(request, transport.body_limit)]
        self.end = 1
        """With how many bytes the message ends that keep the receiver waiting for it."""
        framing = f"Content-Length: {promised}"
        if request.chunked:
            self.end = len(b"}\r\n0\r\n\r\n") if request.body else len(b"0\r\n\r\n")
            framing = "Transfer-Encoding: chunked"
            whole = body == request.body
            body = (b"%x\r\n" % promised + body if request.body else b"") + (
                (b"\r\n" if request.body else b"") + b"0\r\n\r\n" if whole else b""
            )
        sent, self.shown = head(request, place, extra, framing)
        self.head = octets(sent)
        self.body = body


def _limit(request: Request, limit: int) -> int:
    return limit if limit >= 0 else max(0, len(request.body) + limit)


async def read_reply(line: Line, method: str) -> tuple[RawReply, bool]:
    """Return the reply, and whether the connection can be used again."""
    answer = Answer(method)
    while not answer.complete:
        data = await line.some()
        if data:
            answer.feed(data)
        else:
            answer.end()
            return (answer.head.status, answer.head.headers, bytes(answer.body)), False
    line.give_back(answer.rest)
    return (answer.head.status, answer.head.headers, bytes(answer.body)), answer.lasting


async def connect(
    message: Message, context: Callable[[], ssl.SSLContext], refuses: Callable[[str], str | None]
) -> Line:
    """Return a connection to where the message goes, TLS and all; raises `Unconnected`.

    `context` is asked where there is TLS; `refuses` returns why an address must not be connected to, or None.
    """
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(message.host, message.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Unconnected(f"{message.host}: {error}") from None
    return await first_connected(found, message.host, context if message.scheme == "https" else None, refuses)


async def first_connected(
    found: Iterable[AddressInfo],
    host: str,
    context: Callable[[], ssl.SSLContext] | None,
    refuses: Callable[[str], str | None] = lambda _: None,
) -> Line:
    """Return a connection to the first of these addresses that takes one, with TLS if there is a context; `Unconnected`."""
    loop = asyncio.get_running_loop()
    problem: OSError | None = None
    for family, kind, protocol, _, address in found:
        if (reason := refuses(str(address[0]))) is not None:
            problem = OSError(reason)
            continue
        one = socket.socket(family, kind, protocol)
        try:
            one.setblocking(False)
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await loop.sock_connect(one, address)
            line = Line(one)
            if context is not None:
                await line.secure(context(), host)
        except OSError as error:
            one.close()
            problem = error
        except BaseException:
            one.close()
            raise
        else:
            return line
    raise Unconnected(problem or "no address")


class Line:
    """One connection, plain or TLS: nothing is read from its socket but what is asked for."""

    def __init__(self, one: socket.socket) -> None:
        self._socket = one
        self._loop = asyncio.get_running_loop()
        self._buffer = b""
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
            raise Unconnected("closed during the TLS handshake")

    async def write(self, data: bytes) -> None:
        """Send all of the data."""
        if self._tls is None:
            await self._loop.sock_sendall(self._socket, data)
            return
        for start in range(0, len(data), PIECE):
            self._tls.write(data[start : start + PIECE])
            await self._flush()

    def packed(self, data: bytes) -> bytes:
        """Return the data as it goes over the wire, for `throw` and `push`: it has to go before anything else does."""
        if self._tls is None:
            return data
        self._tls.write(data)
        return self._outgoing.read()

    def throw(self, packed: bytes, *, held: bool = False) -> int:
        """Send at once what the system takes of it; return how many bytes that were.

        What is `held` leaves the system on its own after a fifth of a second, or with `let_out`.
        """
        try:
            return self._socket.send(packed, HELD if held else 0)
        except OSError:  # The buffer is full, or the connection gone: `push` tells.
            return 0

    def let_out(self) -> None:
        """Have everything leave that the system holds."""
        with suppress(OSError):
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def holds(self) -> bool:
        """Return whether the system holds something that was thrown, where it can tell."""
        return asked(self._socket, NOT_SENT) > 0

    async def push(self, packed: bytes) -> None:
        """Send what was packed, all of it."""
        async with self._flushing:
            await self._loop.sock_sendall(self._socket, packed)

    async def some(self) -> bytes:
        """Return what comes next; b"" at the end."""
        if self._buffer:
            data, self._buffer = self._buffer, b""
            return data
        if self._tls is None:
            data = await self._loop.sock_recv(self._socket, PIECE)
        else:
            data = await self._pump(lambda: self._tls.read(PIECE) if self._tls else b"")
        self.heard = self.heard or bool(data)
        return data

    def give_back(self, data: bytes) -> None:
        """Put back what was not meant for the reader."""
        self._buffer = data + self._buffer

    async def begun(self) -> None:
        """Return as soon as the other side has sent something; it stays unread. Under TLS its first byte is read."""
        if self._tls is not None:
            if not await self._pump(lambda: self._tls.read(1) if self._tls else b""):
                raise Lost("closed before a reply")
            return
        readable = self._loop.create_future()
        self._loop.add_reader(self._socket, readable.set_result, None)
        try:
            await readable
        finally:
            self._loop.remove_reader(self._socket)
        if not self._socket.recv(1, socket.MSG_PEEK):
            raise Lost("closed before a reply")

    async def drained(self) -> None:
        """Return when the other side's machine has received everything, where this one can tell."""
        while unsent(self._socket):  # noqa: ASYNC110 - The system has no event for it.
            await asyncio.sleep(0.001)

    def unread(self, message: Message, *, ended: bool) -> bool:
        """Return whether nobody can have read a message that was sent on a kept connection, as in `flights.Connection`."""
        return ended and unsent(self._socket) >= len(message.head) + len(message.body)

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
