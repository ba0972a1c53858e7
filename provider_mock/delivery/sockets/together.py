"""Sends requests so that they are complete at the same moment: all but the last bytes first, then those at once.

What races in a receiver begins when a request is complete. An ordinary client completes them one
after the other, as each connection opens; here all are open, written and read by the receiver but
for the last bytes, and these leave at one moment.

A receiver that takes a few connections at a time, and leaves the others waiting, is not waited for:
what cannot be connected or written in a moment is completed as soon as it can be, like any request.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import lru_cache, partial
from typing import Any, Literal

from im_callback.provider_mock.contract import NoReply, Reply, Request
from im_callback.provider_mock.delivery.plan import NO_TRANSPORT
from im_callback.provider_mock.delivery.sockets.answer_reader import Lost
from im_callback.provider_mock.delivery.sockets.client import Client
from im_callback.provider_mock.delivery.sockets.raw import (
    HELD,
    Line,
    Message,
    RawReply,
    Unconnected,
    connect,
    read_reply,
)
from im_callback.provider_mock.delivery.sockets.system import trusting

MOMENT = 0.5
"""Seconds at most that requests wait for each other."""
HELD_SECONDS = 0.19
"""Seconds for which Linux surely holds the end of a message back; a little later it sends it."""
POLL = 0.0005
SETTLE = 0.03
"""Seconds in which the receiver reads what was written, so that all its workers wait for the end."""


def send_together(
    requests: Sequence[Request], client: Client, *, moment: float = MOMENT, settle: float = SETTLE
) -> list[Reply | NoReply]:
    """Send the requests together, each over a connection of its own; return their replies in the same order.

    All connections are open at once, whatever `client.concurrency` says. The deadline and the seconds of the
    replies count from the moment at which the requests were completed. Through a proxy, which would take them
    apart again, they go in the ordinary way. Raises `HeaderInjection`, as the client does.
    """
    if client.proxy is not None:
        return client.send(requests)
    messages = [Message(request, NO_TRANSPORT, client.extra_headers) for request in requests]
    if not messages:
        return []
    # In a thread of its own: the caller's may be inside an event loop.
    with ThreadPoolExecutor(1, "requests together") as thread:
        return thread.submit(asyncio.run, _together(messages, client, min(moment, client.deadline), settle)).result()


async def _together(messages: Sequence[Message], client: Client, moment: float, settle: float) -> list[Reply | NoReply]:
    context = lru_cache(maxsize=1)(lambda: trusting(client.ca_file))
    held = [_Held(message, partial(connect, message, context, client.refuses)) for message in messages]
    try:
        await asyncio.wait([one.writing for one in held], timeout=moment)
        await asyncio.sleep(settle)
        released = await _release([one for one in held if one.last])
        for one in held:
            one.released = True
        return list(await asyncio.gather(*(one.reply(released, client.deadline) for one in held)))
    finally:
        for one in held:
            await one.close()


async def _release(ready: Sequence[_Held]) -> float:
    """Let the last bytes out, all at one moment; return when that was, in seconds of the monotonic clock.

    Whoever sends them one after the other is stopped in the middle by the receiver, which wakes up at the first.
    So Linux is asked to hold them: it sends all of them in one go when it finds that nothing more comes.
    """
    now = time.monotonic()
    for one in ready:
        one.let_go()
    if HELD and ready:
        await asyncio.sleep(HELD_SECONDS)
        until = now + 2 * HELD_SECONDS
        while all(one.holds() for one in ready) and time.monotonic() < until:  # noqa: ASYNC110 - There is no event for it.
            await asyncio.sleep(POLL)
        now = time.monotonic()
        # Far away, where each connection is a little slower or faster, they would leave a little apart.
        for one in ready:
            one.let_out()
    return now


class _Held:
    """A request whose last bytes are held back until it is released."""

    def __init__(self, message: Message, connected: Callable[[], Coroutine[Any, Any, Line]]) -> None:
        whole = message.head + message.body
        self._message = message
        self._early, self._late = whole[: -message.end], whole[-message.end :]
        self._line: Line | None = None
        self._connecting = asyncio.ensure_future(self._connect(connected))
        self.writing = asyncio.ensure_future(self._write())
        """Ends when everything but the last bytes is written, or cannot be."""
        self.last = b""
        """What is left to be sent once everything else is written, as it goes over the wire."""
        self.released = False

    async def _connect(self, connected: Callable[[], Coroutine[Any, Any, Line]]) -> Line:
        self._line = await connected()
        return self._line

    async def _write(self) -> None:
        # Who does not connect or stops reading has gone, or has answered: the reply tells.
        with suppress(Unconnected, OSError):
            line = await asyncio.shield(self._connecting)
            await line.write(self._early)
            # A machine whose queue is full may not know of the connection yet. It would reset one that begins with the end.
            await line.drained()
            if self.released:
                await line.write(self._late)
            else:
                self.last = line.packed(self._late)

    def let_go(self) -> None:
        """Send the last bytes; what the connection does not take at once stays in `last`."""
        if self._line is not None:
            self.last = self.last[self._line.throw(self.last, held=True) :]

    def holds(self) -> bool:
        """Return whether the system holds the last bytes still."""
        return self._line is not None and self._line.holds()

    def let_out(self) -> None:
        """Have the last bytes leave, if the system holds them still."""
        if self._line is not None:
            self._line.let_out()

    async def reply(self, released: float, deadline: float) -> Reply | NoReply:
        """Return what has come so many seconds after the release."""
        left = released + deadline - time.monotonic()
        try:
            status, headers, body = await asyncio.wait_for(self._answer(), left)
        except asyncio.TimeoutError:
            kind: Literal["timed-out", "unreachable"] = "unreachable" if self._line is None else "timed-out"
            what = "connection" if self._line is None else "complete answer"
            return NoReply(kind, f"no {what} within {deadline:g} s", time.monotonic() - released)
        except Unconnected as error:
            return NoReply("unreachable", f"no connection: {error}", time.monotonic() - released)
        except (Lost, OSError) as error:
            return NoReply("unreachable", f"connection lost: {error}", time.monotonic() - released)
        return Reply(status, headers, body, time.monotonic() - released)

    async def _answer(self) -> RawReply:
        line = await asyncio.shield(self._connecting)
        completing = asyncio.ensure_future(self._complete(line))
        try:
            # An answer may come before the request is complete.
            reply, _ = await read_reply(line, self._message.method)
            return reply
        finally:
            completing.cancel()
            await asyncio.gather(completing, return_exceptions=True)

    async def _complete(self, line: Line) -> None:
        with suppress(OSError):
            await asyncio.shield(self.writing)
            if self.last:
                await line.push(self.last)

    async def close(self) -> None:
        """Break off what is under way and close the connection."""
        self._connecting.cancel()
        self.writing.cancel()
        await asyncio.gather(self._connecting, self.writing, return_exceptions=True)
        if self._line is not None:
            self._line.close()
