"""Stands in front of a receiver: every byte passes as it comes, every end of a connection too, and what passed is told.

Each connection of the provider has one to the receiver of its own, from its beginning to its end. Nothing is added,
left out or put in another way: neither headers nor chunks, neither pauses nor the way in which a connection breaks off.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from im_callback.provider_mock.delivery.sockets.raw import Line, Unconnected, first_connected
from im_callback.provider_mock.recording.conversation import Conversation
from im_callback.provider_mock.recording.exchange import PROVIDER_LEFT, Exchange

BACKLOG = 1024
ACCEPT_PAUSE = 0.02
CONNECT_SECONDS = 10.0
"""How long the receiver may take to accept a connection."""
REQUEST_SECONDS = 5.0
"""How long a request is waited for that cannot be forwarded, so that it is on record."""
GRACE_SECONDS = 5.0
"""How long the exchanges under way may take to end when the recording is stopped."""
_PORTS = {"http": 80, "https": 443}


class _Broken(Exception):
    """A side has broken its connection off."""

    def __init__(self, side: _Side) -> None:
        super().__init__(side.broke)
        self.side = side


@dataclass(frozen=True, eq=False)
class _Side:
    """One of the two connections; `broke` says in words that it was broken off."""

    broke: str
    line: Line


class Proxy:
    """Forwards to where `target` (an http or https URL) leads. `clock` gives UTC milliseconds; `told` gets each exchange.

    With https the connection to the receiver is TLS by `context`; that of the provider is plain HTTP.
    """

    def __init__(
        self,
        target: str,
        told: Callable[[Exchange], None],
        clock: Callable[[], int],
        context: ssl.SSLContext | None = None,
    ) -> None:
        parts = urlsplit(target)
        self._host, self._port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
        self._context = context
        self._told, self._clock = told, clock
        self._listening: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._open: dict[asyncio.Task[None], Conversation] = {}
        self._stopping = False

    def listen(self, host: str, port: int) -> int:
        """Begin to listen, in the loop that is running; return the port. OSError says why it cannot."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listening = socket.create_server((host, port), family=family, backlog=BACKLOG)
        self._listening.setblocking(False)
        self._accepting = asyncio.ensure_future(self._accept(self._listening))
        return int(self._listening.getsockname()[1])

    async def stop(self) -> None:
        """Take no more connections, let the exchanges under way end, and close what is left."""
        assert self._listening is not None
        assert self._accepting is not None
        self._accepting.cancel()
        await asyncio.gather(self._accepting, return_exceptions=True)
        self._listening.close()
        self._stopping = True
        self._close_idle()
        if self._open:
            await asyncio.wait(list(self._open), timeout=GRACE_SECONDS)
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                one, _ = await loop.sock_accept(listening)
            except OSError:  # It was reset before it was accepted, or there are no descriptors left.
                await asyncio.sleep(ACCEPT_PAUSE)
                continue
            host, port = listening.getsockname()[:2]
            task = asyncio.ensure_future(self._served(one))
            self._open[task] = Conversation(f"{host}:{port}")
            task.add_done_callback(self._open.pop)

    def _close_idle(self) -> None:
        for task, one in self._open.items():
            if not one.waiting:
                task.cancel()

    async def _served(self, one: socket.socket) -> None:
        """Serve one connection of the provider, from its beginning to its end."""
        task = asyncio.current_task()
        assert task is not None
        conversation = self._open[task]
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        provider = _Side(f"{PROVIDER_LEFT} with a reset", Line(one))
        try:
            await self._connected(conversation, provider)
        finally:
            self._tell(conversation.over(self._clock(), "the recording was stopped"))
            provider.line.close()

    async def _connected(self, conversation: Conversation, provider: _Side) -> None:
        try:
            line = await asyncio.wait_for(self._connection(), CONNECT_SECONDS)
        except (OSError, Unconnected, asyncio.TimeoutError) as error:
            with suppress(OSError, asyncio.TimeoutError):
                await asyncio.wait_for(self._whole_request(conversation, provider.line), REQUEST_SECONDS)
            why = str(error) or "it does not answer"
            self._tell(conversation.over(self._clock(), f"the receiver cannot be reached: {why}"))
            provider.line.close(reset=True)
            return
        try:
            receiver = _Side("the receiver broke the connection off with a reset", line)
            await self._forwarded(conversation, provider, receiver)
        finally:
            line.close()

    async def _connection(self) -> Line:
        """Return a connection to the receiver; raises OSError or `Unconnected`."""
        loop, context = asyncio.get_running_loop(), self._context
        found = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        return await first_connected(found, self._host, None if context is None else lambda: context)

    async def _whole_request(self, conversation: Conversation, line: Line) -> None:
        while not conversation.asked_whole and (data := await line.some()):
            conversation.asked(data, self._clock())

    async def _forwarded(self, conversation: Conversation, provider: _Side, receiver: _Side) -> None:
        """Forward both ways until both sides have ended, or one has broken off."""

        def asked(data: bytes) -> None:
            conversation.asked(data, self._clock())

        def answered(data: bytes) -> None:
            self._tell(conversation.answered(data, self._clock()))
            if self._stopping:
                self._close_idle()

        def closed() -> None:
            words = "the receiver closed the connection without an answer"
            self._tell(conversation.receiver_closed(self._clock(), words))

        forth = asyncio.ensure_future(_passed_on(provider, receiver, asked, conversation.provider_closed))
        back = asyncio.ensure_future(_passed_on(receiver, provider, answered, closed))
        try:
            await asyncio.gather(forth, back)
        except _Broken as error:
            self._tell(conversation.over(self._clock(), str(error)))
            (provider if error.side is receiver else receiver).line.close(reset=True)
        else:
            self._tell(conversation.over(self._clock(), PROVIDER_LEFT))
        finally:
            for task in (forth, back):
                task.cancel()
            await asyncio.gather(forth, back, return_exceptions=True)

    def _tell(self, exchanges: Iterable[Exchange]) -> None:
        for one in exchanges:
            self._told(one)


async def _passed_on(source: _Side, sink: _Side, seen: Callable[[bytes], None], ended: Callable[[], None]) -> None:
    """Forward what comes from one side to the other, until the one ends; raises `_Broken`."""
    while True:
        try:
            data = await source.line.some()
        except OSError:
            raise _Broken(source) from None
        if not data:
            break
        seen(data)
        try:
            await sink.line.write(data)
        except OSError:
            raise _Broken(sink) from None
    ended()
    with suppress(OSError):
        sink.line.shut()
