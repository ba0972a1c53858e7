"""Stands in front of a receiver: every byte passes as it comes, every end of a connection too, and what passed is told.

Each connection of the provider has one to the receiver of its own, from its beginning to its end. Nothing is added,
left out or put in another way: neither headers nor chunks, neither pauses nor the way in which a connection breaks off.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from im_callback.provider_mock.recording.conversation import Conversation
from im_callback.provider_mock.recording.exchange import PROVIDER_LEFT, Exchange

PIECE = 64 * 1024
CONNECT_SECONDS = 10.0
"""How long the receiver may take to accept a connection."""
REQUEST_SECONDS = 5.0
"""How long a request is waited for that cannot be forwarded, so that it is on record."""
GRACE_SECONDS = 5.0
"""How long the exchanges under way may take to end when the recording is stopped."""
_PORTS = {"http": 80, "https": 443}
_AT_ONCE = struct.pack("ii", 1, 0)
"""SO_LINGER: the connection ends with a reset."""


class _Broken(Exception):
    """A side has broken its connection off."""

    def __init__(self, side: _Side) -> None:
        super().__init__(side.broke)
        self.side = side


@dataclass(frozen=True, eq=False)
class _Side:
    """One of the two connections; `broke` says in words that it was broken off."""

    broke: str
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def reset(self) -> None:
        """End the connection with a reset."""
        one = self.writer.get_extra_info("socket")
        with suppress(OSError):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        self.writer.transport.abort()


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
        self._server: asyncio.Server | None = None
        self._open: dict[asyncio.Task[None], Conversation] = {}
        self._stopping = False

    async def listen(self, host: str, port: int) -> int:
        """Begin to listen; return the port. OSError says why it cannot."""
        self._server = await asyncio.start_server(self._accepted, host, port, limit=PIECE)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Take no more connections, let the exchanges under way end, and close what is left."""
        assert self._server is not None
        self._server.close()
        self._stopping = True
        self._close_idle()
        if self._open:
            await asyncio.wait(list(self._open), timeout=GRACE_SECONDS)
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    def _close_idle(self) -> None:
        for task, one in self._open.items():
            if not one.waiting:
                task.cancel()

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        place = writer.get_extra_info("sockname")
        conversation = self._open[task] = Conversation(f"{place[0]}:{place[1]}")
        provider = _Side(f"{PROVIDER_LEFT} with a reset", reader, writer)
        # Only we cancel it, and nobody waits for it to say so.
        with suppress(asyncio.CancelledError):
            try:
                await self._connected(conversation, provider)
            finally:
                self._tell(conversation.over(self._clock(), "the recording was stopped"))
                writer.close()
                del self._open[task]

    async def _connected(self, conversation: Conversation, provider: _Side) -> None:
        try:
            opening = asyncio.open_connection(self._host, self._port, ssl=self._context, limit=PIECE)
            back, forth = await asyncio.wait_for(opening, CONNECT_SECONDS)
        except (OSError, asyncio.TimeoutError) as error:
            with suppress(OSError, asyncio.TimeoutError):
                await asyncio.wait_for(self._whole_request(conversation, provider.reader), REQUEST_SECONDS)
            why = str(error) or "it does not answer"
            self._tell(conversation.over(self._clock(), f"the receiver cannot be reached: {why}"))
            provider.reset()
            return
        receiver = _Side("the receiver broke the connection off with a reset", back, forth)
        try:
            await self._forwarded(conversation, provider, receiver)
        finally:
            forth.close()

    async def _whole_request(self, conversation: Conversation, reader: asyncio.StreamReader) -> None:
        while not conversation.asked_whole and (data := await reader.read(PIECE)):
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
            (provider if error.side is receiver else receiver).reset()
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
            data = await source.reader.read(PIECE)
        except OSError:
            raise _Broken(source) from None
        if not data:
            break
        # First it goes on its way.
        sink.writer.write(data)
        seen(data)
        try:
            await sink.writer.drain()
        except OSError:
            raise _Broken(sink) from None
    ended()
    with suppress(OSError):
        if sink.writer.can_write_eof():
            sink.writer.write_eof()
        else:
            # TLS knows no half of an end.
            sink.writer.close()
