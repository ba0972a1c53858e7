"""Reads the requests and replies off a connection as its bytes pass. No I/O: whoever forwards them tells what came when.

Nothing here can disturb what is forwarded. What is no HTTP is kept as it came, as a request that is broken.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

import h11
from im_callback.provider_mock.contract import Reply, Request
from im_callback.provider_mock.delivery.sockets.answer_reader import Answer, Lost
from im_callback.provider_mock.recording.exchange import PROVIDER_LEFT, Exchange

LONGEST_HEAD = 300 * 1024
"""Bytes of a request's headers after which it counts as no HTTP."""


@dataclass
class _Pending:
    """A request on its way: what has come of it, when its first byte came, and its reply as far as it has."""

    began: int
    method: str = ""
    target: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    head: bytearray = field(default_factory=bytearray)
    body: bytearray = field(default_factory=bytearray)
    whole: bool = False
    broken: str = ""
    answer: Answer | None = None

    def exchange(self, place: str, ended: int, *, lost: str = "") -> Exchange:
        """Return what it came to."""
        named = next((value for name, value in self.headers if name.lower() == "host"), place)
        target = self.target if self.target.startswith("/") else f"/{self.target}"
        url = self.target if self.target.startswith("http") else f"http://{named}{target}"
        chunked = any(name.lower() == "transfer-encoding" for name, _ in self.headers)
        broken = self.broken or ("" if self.whole else "it ended before its end")
        request = Request(url, self.headers, bytes(self.body), self.method or "POST", chunked)
        answer, reply = self.answer, None
        if answer is not None and answer.complete:
            seconds = (ended - self.began) / 1000
            reply = Reply(answer.head.status, answer.head.headers, bytes(answer.body), seconds)
        return Exchange(request, self.began, reply, ended, lost=lost, broken=broken)


class Conversation:
    """What passes over one connection. `place` is where the provider has connected to, as `host:port`.

    Every method takes the time in UTC milliseconds and yields the exchanges that are complete with it.
    """

    def __init__(self, place: str) -> None:
        self._place = place
        self._reader = _reader()
        self._pending: deque[_Pending] = deque()
        self._asking: _Pending | None = None
        self._opaque = False
        self._provider_left = False

    @property
    def waiting(self) -> bool:
        """Whether a request is under way."""
        return bool(self._pending)

    @property
    def asked_whole(self) -> bool:
        """Whether a request is there, and all of it."""
        return bool(self._pending) and self._asking is None

    def asked(self, data: bytes, now: int) -> None:
        """Take what the provider has sent."""
        while data:
            if self._asking is None:
                self._asking = _Pending(now)
                self._pending.append(self._asking)
            if self._opaque:
                self._asking.body += data
                return
            if not self._asking.method:
                self._asking.head += data
            try:
                data = self._read(data)
            except h11.RemoteProtocolError:
                self._opaque = True
                self._asking.broken = "it is no HTTP that can be read"
                if not self._asking.method:
                    self._asking.body = self._asking.head
                return

    def answered(self, data: bytes, now: int) -> Iterator[Exchange]:
        """Take what the receiver has sent."""
        while data and self._pending:
            first = self._pending[0]
            if first.answer is None:
                first.answer = Answer(first.method or "POST")
            try:
                if not first.answer.feed(data):
                    return
            except Lost:
                first.answer = None
                yield self._ended(now, "the receiver's answer is no HTTP that can be read")
                return
            data = first.answer.rest
            yield self._ended(now, f"{PROVIDER_LEFT} before the answer came" if self._provider_left else "")

    def provider_closed(self) -> None:
        """Take that the provider sends nothing more."""
        self._provider_left = True

    def receiver_closed(self, now: int, how: str) -> Iterator[Exchange]:
        """Take that the receiver sends nothing more; `how` says it in words."""
        if self._pending and (answer := self._pending[0].answer) is not None:
            try:
                answer.end()
            except Lost:
                pass
            else:
                yield self._ended(now, "")
        yield from self.over(now, PROVIDER_LEFT if self._provider_left else how)

    def over(self, now: int, how: str) -> Iterator[Exchange]:
        """Take that the connection is over; `how` says it in words."""
        while self._pending:
            yield self._ended(now, how)

    def _ended(self, now: int, lost: str) -> Exchange:
        first = self._pending.popleft()
        # Of a request that is answered before its end, the rest is read, and belongs to none that is under way.
        return first.exchange(self._place, now, lost=lost)

    def _read(self, data: bytes) -> bytes:
        """Read on in a request; return what follows it."""
        asking = self._asking
        assert asking is not None
        self._reader.receive_data(data)
        while True:
            event = self._reader.next_event()
            if isinstance(event, h11.Request):
                asking.method = event.method.decode("latin-1")
                asking.target = event.target.decode("latin-1")
                raw = event.headers.raw_items()
                asking.headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in raw)
            elif isinstance(event, h11.Data):
                asking.body += event.data
            elif isinstance(event, h11.EndOfMessage):
                rest = bytes(self._reader.trailing_data[0])
                asking.whole = True
                self._asking, self._reader = None, _reader()
                return rest
            else:
                return b""


def _reader() -> h11.Connection:
    return h11.Connection(h11.SERVER, max_incomplete_event_size=LONGEST_HEAD)
