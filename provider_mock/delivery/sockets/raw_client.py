"""Sends requests whose transport is disturbed, on the real socket: cut off, trickled, reset, left unread.

An ordinary HTTP client does not do such things, so this one speaks HTTP/1.1 and TLS itself: on
sockets that it alone reads and writes, many at once, in one thread of its own. Undisturbed
requests look the same byte for byte as those of `Client`, and its deadline and limits hold here too.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, TypeVar

from im_callback.provider_mock.contract import NoReply, Reply, Request
from im_callback.provider_mock.delivery.plan import NO_TRANSPORT, Transport
from im_callback.provider_mock.delivery.sockets.answer_reader import Lost
from im_callback.provider_mock.delivery.sockets.client import Client
from im_callback.provider_mock.delivery.sockets.raw import (
    Line,
    Message,
    RawReply,
    Unconnected,
    connect,
    read_reply,
)
from im_callback.provider_mock.delivery.sockets.system import trusting

Sleep = Callable[[float], Awaitable[object]]
HELD_UP = 0.1
"""Seconds by which a deadline is noticed late only where the loop was held up."""
T = TypeVar("T")


class RawClient:
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

    def __enter__(self) -> RawClient:  # noqa: PYI034 - typing.Self is of Python 3.11.
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
        message = Message(request, transport, self.client.extra_headers)
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

    async def _send(self, message: Message, transport: Transport, connection: str | None) -> Reply | NoReply:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if connection is None:
            return await self._attempt(message, transport, _Kept(alone=True))
        kept = self._kept.setdefault((connection, message.origin), _Kept())
        async with kept.turn:
            return await self._attempt(message, transport, kept)

    async def _attempt(self, message: Message, transport: Transport, kept: _Kept) -> Reply | NoReply:
        started = time.monotonic()
        deadline = min(self.client.deadline, transport.deadline or self.client.deadline)
        keep = False
        try:
            reply, reusable = await _within(self._exchange(message, transport, kept), deadline)
            keep = reusable and not kept.alone
            return Reply(*reply, time.monotonic() - started)
        except asyncio.TimeoutError:
            seconds = time.monotonic() - started
            if kept.line is None:
                return NoReply("unreachable", f"no connection within {deadline:g} s", seconds)
            return NoReply("timed-out", f"no complete answer within {deadline:g} s", seconds)
        except Unconnected as error:
            return NoReply("unreachable", f"no connection: {error}", time.monotonic() - started)
        except (Lost, OSError) as error:
            return NoReply("unreachable", f"connection lost: {error}", time.monotonic() - started)
        finally:
            if not keep:
                kept.drop(reset=transport.reset)

    async def _exchange(self, message: Message, transport: Transport, kept: _Kept) -> tuple[RawReply, bool]:
        line = await self._line(message, transport, kept)
        if transport.slow_start:
            await self._sleep(transport.slow_start)
        cut = transport.body_limit is not None
        if transport.read_reply and not (cut or transport.silent or transport.reset):
            try:
                return await self._ask(message, transport, line)
            except (Lost, OSError) as error:
                # A kept connection may be closed at the very moment it is used again.
                if line.requests == 1 or line.heard or not line.unread(message, ended=isinstance(error, Lost)):
                    raise
                kept.drop()
                return await self._ask(message, transport, await self._line(message, transport, kept))
        await self._write(line, message, transport)
        if transport.silent:
            await asyncio.get_running_loop().create_future()
        if transport.reset:
            await line.drained()
            raise Lost("reset on purpose")
        if cut:
            raise Lost("closed on purpose in the middle of the body")
        await line.begun()
        raise Lost("closed on purpose before the reply was read")

    async def _ask(self, message: Message, transport: Transport, line: Line) -> tuple[RawReply, bool]:
        """Write the request and read the reply, which may come before the request is complete."""
        line.requests += 1
        line.heard = False
        writing = asyncio.ensure_future(self._write(line, message, transport))
        reading = asyncio.ensure_future(read_reply(line, message.method))
        try:
            await asyncio.wait({writing, reading}, return_when=asyncio.FIRST_COMPLETED)
            reply, reusable = await reading
            whole = writing.done() and writing.exception() is None
            return reply, reusable and whole and transport.ackable and not transport.half_close
        finally:
            for task in (writing, reading):
                task.cancel()
            await asyncio.gather(writing, reading, return_exceptions=True)

    async def _write(self, line: Line, message: Message, transport: Transport) -> None:
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

    async def _line(self, message: Message, transport: Transport, kept: _Kept) -> Line:
        if transport.refuse:
            kept.drop()
            await _refused()
        if kept.line is not None and kept.line.ended():
            kept.drop()
        if kept.line is None:
            kept.line = await connect(message, self._context, self.client.refuses)
        return kept.line

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = trusting(self.client.ca_file)
        return self._tls


async def _within(work: Coroutine[Any, Any, T], seconds: float) -> T:
    """Return what comes of the work in time; asyncio.TimeoutError if nothing does.

    Where this loop was held up (a stopped process, a busy machine), what has arrived meanwhile is read first.
    """
    loop = asyncio.get_running_loop()
    task = loop.create_task(work)
    until = loop.time() + seconds
    try:
        while True:
            await asyncio.wait({task}, timeout=max(0.0, until - loop.time()))
            if task.done():
                return task.result()
            late = loop.time() - until
            if late < HELD_UP:
                raise asyncio.TimeoutError
            until = loop.time() + min(late, seconds)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _refused() -> None:
    """Connect to a port of this machine on which nobody listens."""
    with socket.socket() as closed, socket.socket() as one:
        closed.bind(("127.0.0.1", 0))
        one.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(one, closed.getsockname())
        except OSError as error:
            raise Unconnected(f"{os.strerror(error.errno or 0)}, on purpose") from None


@dataclass(eq=False)
class _Kept:
    """A place for a connection: whose turn it is, and the connection itself while it is open."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    line: Line | None = None
    alone: bool = False

    def drop(self, *, reset: bool = False) -> None:
        if self.line is not None:
            self.line.close(reset=reset)
            self.line = None
