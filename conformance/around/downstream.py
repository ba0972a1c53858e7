"""A proxy in front of the receiver's own store: what goes through is left alone, and can be slowed, held or cut.

It knows nothing of what it carries. Bytes go on as they come, in both directions; where one side ends its
direction, so does the proxy towards the other; who reads slowly is sent to slowly. One thread serves all
connections. The gate itself never reads the store through it.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import socket
import struct
import threading
from collections.abc import Coroutine
from enum import Enum
from typing import Any, TypeVar

from im_callback.conformance.around.moments import Moment, now

T = TypeVar("T")

CHUNK = 65_536
BACKLOG = 1024
CONNECT_SECONDS = 10.0
"""How long the store may take to accept a connection."""
ASKED_SECONDS = 30.0
"""How long the proxy's thread may take to do what it is told, on a busy machine."""
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER that makes the end of a connection a reset."""


class Mode(Enum):
    """What becomes of connections and of what is sent on them."""

    PASS = "pass"
    """Everything goes through."""
    HANG = "hang"
    """Connections are accepted, nothing goes through; after `heal` it goes on."""
    SLOW = "slow"
    """Every piece waits before it goes on."""
    REFUSE = "refuse"
    """As if the store were not running: nobody listens, and the connections there were are cut."""


class DownstreamError(OSError):
    """The proxy cannot listen at the port that it was given."""


class Downstream:
    """The proxy to `host` and `port`, listening on 127.0.0.1 until `close`.

    `own_port` fixes the port at which it listens; 0 takes a free one. Raises `DownstreamError`. All methods may
    be called from any thread, and return when what they say holds.
    """

    def __init__(self, host: str, port: int, own_port: int = 0) -> None:
        self.host, self.port = host, port
        self.mode = Mode.PASS
        self.connections = 0
        """Connections that were accepted so far."""
        self.chunks = 0
        """Pieces that came from the receiver so far, whether they went on or not."""
        self.unreachable = ""
        """Why the store could not be reached the last time that somebody tried; empty where it could."""
        self.moments: list[Moment] = []
        """When it began to disturb, and when it ended."""
        self._delay = 0.0
        self._open: dict[_Link, asyncio.Task[None]] = {}
        self._server: asyncio.Server | None = None
        self._listener = _listener(own_port)
        self.own_port = int(self._listener.getsockname()[1])
        """Where it listens, on 127.0.0.1."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="receiver-downstream", daemon=True)
        self._thread.start()
        try:
            self._do(self._listen())
        except BaseException:
            self.close()
            raise

    @property
    def touches(self) -> int:
        """A number that grows with whatever the receiver does towards its store, whether it goes through or not."""
        return self.connections + self.chunks

    @property
    def alive(self) -> int:
        """How many connections are open."""
        return len(self._open)

    def hang(self) -> None:
        """Accept connections and hold whatever comes, until `heal`."""
        self.moments.append(now("its store hangs"))
        self._do(self._turn(Mode.HANG))

    def slow(self, seconds: float) -> None:
        """Let every piece, in both directions, wait so many seconds before it goes on."""
        self._do(self._turn(Mode.SLOW, seconds))

    def refuse(self) -> None:
        """Be a store that is not running: connections are refused, and those there were are cut."""
        self.moments.append(now("its store refuses connections"))
        self._do(self._turn(Mode.REFUSE))

    def cut(self) -> None:
        """End every connection that there is, in the middle of what it carries; new ones are served as before."""
        self.moments.append(now("the connections to its store are cut"))
        self._do(self._end(reset=False))

    def reset(self) -> None:
        """The same by a reset, as a crash or a firewall does it."""
        self.moments.append(now("the connections to its store are reset"))
        self._do(self._end(reset=True))

    def heal(self) -> None:
        """Let everything through again, what was held included."""
        self.moments.append(now("its store is there again"))
        self._do(self._turn(Mode.PASS))

    def close(self) -> None:
        """End every connection and listen no more."""
        if self._loop.is_closed():
            return
        with contextlib.suppress(TimeoutError, concurrent.futures.TimeoutError, RuntimeError):
            self._do(self._shut())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(ASKED_SECONDS)
        if not self._thread.is_alive():
            self._loop.close()

    # In the proxy's thread.

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def _do(self, what: Coroutine[Any, Any, T]) -> T:
        if not self._thread.is_alive():
            what.close()
            raise RuntimeError("the proxy is closed")
        done = asyncio.run_coroutine_threadsafe(what, self._loop)
        try:
            return done.result(ASKED_SECONDS)
        except BaseException:
            done.cancel()
            raise

    async def _listen(self) -> None:
        self._changed = asyncio.Event()
        self._server = await asyncio.start_server(self._accept, sock=self._listener, backlog=BACKLOG, limit=CHUNK)

    async def _turn(self, mode: Mode, delay: float = 0.0) -> None:
        self.mode, self._delay = mode, delay
        if mode is Mode.REFUSE:
            await self._deafen()
            await self._end(reset=False)
        elif self._server is None:
            self._listener = _listener(self.own_port)
            self._server = await asyncio.start_server(self._accept, sock=self._listener, backlog=BACKLOG, limit=CHUNK)
        # Who waits looks at the mode again.
        self._changed.set()
        self._changed = asyncio.Event()

    async def _deafen(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
            # Those that the system has accepted already are handed over first.
            await asyncio.sleep(0)

    async def _end(self, *, reset: bool) -> None:
        links = dict(self._open)
        for link, task in links.items():
            link.abort(reset=reset)
            task.cancel()
        if links:
            await asyncio.wait(links.values())

    async def _shut(self) -> None:
        await self._deafen()
        await self._end(reset=False)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.mode is Mode.REFUSE:
            writer.transport.abort()
            return
        self.connections += 1
        link = _Link(writer)
        task = asyncio.current_task()
        assert task is not None
        self._open[link] = task
        try:
            await self._carry(link, reader, writer)
        except (asyncio.CancelledError, OSError):
            # Cancelled by us alone, when the connection is to end; or it has ended by itself.
            pass
        finally:
            del self._open[link]
            link.abort()

    async def _carry(self, link: _Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry a connection until both directions have ended, or one is broken."""
        first = await self._held(reader)
        try:
            connecting = asyncio.open_connection(self.host, self.port, limit=CHUNK)
            back, forth = await asyncio.wait_for(connecting, CONNECT_SECONDS)
        except (OSError, TimeoutError, asyncio.TimeoutError) as error:
            self.unreachable = str(error) or f"no answer within {CONNECT_SECONDS:g} s"
            return
        self.unreachable = ""
        link.writers.append(forth)
        both = [
            asyncio.ensure_future(self._pump(reader, forth, first, counted=True)),
            asyncio.ensure_future(self._pump(back, writer)),
        ]
        try:
            await asyncio.gather(*both)
            link.done = True
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            for one in both:
                one.cancel()
            await asyncio.gather(*both, return_exceptions=True)

    async def _held(self, reader: asyncio.StreamReader) -> bytes | None:
        """Wait until connections go on; what comes meanwhile is noticed. None where nothing was read yet."""
        if self.mode is not Mode.HANG:
            return None
        # Many protocols begin with the client's words, some with the server's: neither is waited for alone.
        heard = asyncio.ensure_future(reader.read(CHUNK))
        heard.add_done_callback(self._count)
        await self._until_on()
        if heard.done():
            return heard.result()
        heard.remove_done_callback(self._count)
        heard.cancel()
        await asyncio.gather(heard, return_exceptions=True)
        return None

    def _count(self, heard: asyncio.Future[bytes]) -> None:
        if not heard.cancelled() and not heard.exception() and heard.result():
            self.chunks += 1

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        first: bytes | None = None,
        *,
        counted: bool = False,
    ) -> None:
        """Carry one direction to its end."""
        piece = first
        while True:
            if piece is None:
                piece = await reader.read(CHUNK)
                if counted and piece:
                    self.chunks += 1
            if self.mode is not Mode.PASS:
                await self._may_go()
            if not piece:
                if writer.can_write_eof():
                    writer.write_eof()
                return
            writer.write(piece)
            await writer.drain()
            piece = None

    async def _until_on(self) -> None:
        while self.mode is Mode.HANG:
            await self._changed.wait()

    async def _may_go(self) -> None:
        """Wait as long as the mode says; a change of the mode counts at once."""
        came = self._loop.time()
        while self.mode is Mode.SLOW and (left := came + self._delay - self._loop.time()) > 0:
            with contextlib.suppress(TimeoutError, asyncio.TimeoutError):
                await asyncio.wait_for(self._changed.wait(), left)
        await self._until_on()


class _Link:
    """A connection through the proxy: the receiver's side first, then the store's."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.writers = [writer]
        self.done = False
        """Whether both directions have ended by themselves."""

    def abort(self, *, reset: bool = False) -> None:
        """Let go of both sides."""
        for writer in self.writers:
            if self.done and not reset:
                writer.close()
                continue
            if reset and (own := writer.get_extra_info("socket")) is not None:
                with contextlib.suppress(OSError):
                    own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            writer.transport.abort()


def _listener(port: int) -> socket.socket:
    """Return a socket that is bound to a port of 127.0.0.1; 0 takes a free one."""
    one = socket.socket()
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind(("127.0.0.1", port))
    except OSError as error:
        one.close()
        raise DownstreamError(f"127.0.0.1:{port} cannot be listened at ({error.strerror})") from None
    return one
