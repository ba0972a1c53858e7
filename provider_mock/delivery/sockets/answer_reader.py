"""Reads the HTTP/1.1 answers of receivers, as their bytes come. What an answer can cost is bounded. No I/O."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

HEAD_LIMIT = 300 * 1024
"""Bytes of an answer's headers, those of interim answers and trailers included, after which it is given up."""
KEPT_BODY = 64 * 1024
"""Bytes of an answer's body that are kept; the rest is read and dropped."""
REMEMBERED = 2048
"""Bytes of headers that are worth remembering: a receiver's answers differ little."""
Headers = tuple[tuple[str, str], ...]

_WITHOUT_BODY = frozenset({204, 304})
_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: .*)?", re.DOTALL)
_END = re.compile(rb"\n\r?\n")


class Lost(Exception):
    """The connection ended too early, or what came over it is no HTTP."""


@dataclass(frozen=True, slots=True)
class Head:
    """The head of an answer: `length` is None where its body ends otherwise.

    `lasting` says if the connection may stay, `promised` if the answer says in words that it does.
    """

    status: int
    headers: Headers
    length: int | None
    chunked: bool
    lasting: bool
    promised: bool = False


def read_head(data: bytes) -> Head:
    """Return what a head says, its empty line included; raises `Lost`."""
    return _remembered(data) if len(data) <= REMEMBERED else _read_head(data)


def _read_head(data: bytes) -> Head:
    first, *lines = [line.removesuffix(b"\r") for line in data.split(b"\n")]
    matched = _STATUS.fullmatch(first)
    if matched is None:
        raise Lost(f"the answer is no HTTP: {first[:40]!r}")
    headers: list[tuple[str, str]] = []
    for line in lines:
        name, colon, value = line.decode("latin-1").partition(":")
        if line[:1] in (b" ", b"\t") and headers:
            # A value that goes on in the next line, as HTTP once allowed.
            headers[-1] = (headers[-1][0], f"{headers[-1][1]} {line.decode('latin-1').strip()}".strip())
        elif colon:
            headers.append((name, value.strip()))
    status = int(matched[2])
    fields: dict[str, str] = {}
    for name, value in headers:
        key = name.strip().lower()
        if key == "content-length" and fields.get(key, value) != value:
            raise Lost(f"the answer has two lengths: {fields[key][:20]!r} and {value[:20]!r}")
        fields[key] = f"{fields[key]}, {value}" if key in fields and key != "content-length" else value
    chunked = "chunked" in fields.get("transfer-encoding", "").lower()
    length = None
    if not chunked and "content-length" in fields:
        length = _number(fields["content-length"].encode("latin-1"), 10)
    connection = fields.get("connection", "").lower()
    lasting = status != 101 and ("close" not in connection if matched[1] == b"1" else "keep-alive" in connection)
    return Head(status, tuple(headers), length, chunked, lasting, lasting and "keep-alive" in connection)


_remembered = lru_cache(maxsize=128)(_read_head)


class Answer:
    """The answer to a request of a method: feed it what comes until it is `complete`.

    Then `head` and `body` hold it, and `rest` what came behind it.
    """

    __slots__ = (
        "_buffer",
        "_left",
        "_more",
        "_seen",
        "_step",
        "_trailers",
        "body",
        "complete",
        "head",
        "heard",
        "method",
    )

    def __init__(self, method: str) -> None:
        self.method = method
        self.head = Head(0, (), None, chunked=False, lasting=False)
        self.body = bytearray()
        self.complete = False
        self.heard = False
        """Whether anything came."""
        self._buffer = bytearray()
        self._seen = 0
        self._left = HEAD_LIMIT
        self._more = 0
        self._trailers: list[tuple[str, str]] = []
        self._step: Callable[[], bool] = self._read_head

    @property
    def rest(self) -> bytes:
        """What came behind the answer."""
        return bytes(self._buffer)

    @property
    def lasting(self) -> bool:
        """Whether the connection can be used again."""
        return self.complete and self.head.lasting and not self._buffer

    def feed(self, data: bytes) -> bool:
        """Take what came, and return whether the answer is complete; raises `Lost`."""
        self.heard = True
        self._buffer += data
        while not self.complete and self._step():
            pass
        return self.complete

    def end(self) -> None:
        """Take the end of the connection; raises `Lost` where the answer does not end with it."""
        if self._step != self._until_closed:
            raise Lost(f"closed in the middle of the answer's {'headers' if self._in_head else 'body'}")
        self.complete = True

    @property
    def _in_head(self) -> bool:
        return self._step == self._read_head

    # Steps: each takes something out of the buffer, and returns False if it needs more.

    def _read_head(self) -> bool:
        found = _END.search(self._buffer, self._seen)
        size = found.end() if found else len(self._buffer)
        if size > self._left:
            raise self._too_long()
        if not self._buffer[:7] == b"HTTP/1."[:size]:
            raise Lost(f"the answer is no HTTP: {bytes(self._buffer[:40])!r}")
        if found is None:
            self._seen = max(0, size - 2)
            return False
        head = read_head(bytes(self._buffer[:size]))
        self._left -= size
        self._seen = 0
        del self._buffer[:size]
        if head.status < 200 and head.status != 101:
            return True
        self.head = head
        if self.method == "HEAD" or head.status in _WITHOUT_BODY or head.status == 101:
            self.complete = True
        elif head.chunked:
            self._step = self._read_size
        elif head.length is not None:
            self._more, self._step = head.length, self._read_body
        else:
            self.head = replace(head, lasting=False)
            self._step = self._until_closed
        return True

    def _read_body(self) -> bool:
        taken = self._keep(self._more)
        self._more -= taken
        self.complete = self._more == 0
        return taken > 0

    def _until_closed(self) -> bool:
        return self._keep(len(self._buffer)) > 0

    def _read_size(self) -> bool:
        line = self._line()
        if line is None:
            return False
        self._more = _number(line.partition(b";")[0], 16)
        self._step = self._read_chunk if self._more else self._read_trailer
        return True

    def _read_chunk(self) -> bool:
        if self._more:
            taken = self._keep(self._more)
            self._more -= taken
            return taken > 0
        line = self._line()
        if line:
            raise Lost("a chunk is longer than it says")
        if line is None:
            return False
        self._step = self._read_size
        return True

    def _read_trailer(self) -> bool:
        line = self._line()
        if line is None:
            return False
        name, colon, value = line.decode("latin-1").partition(":")
        if colon:
            self._trailers.append((name, value.strip()))
        if not line:
            self.head = replace(self.head, headers=(*self.head.headers, *self._trailers))
            self.complete = True
        return True

    def _line(self) -> bytes | None:
        """Return the next line without its end, once it is there; what stands in lines counts as headers."""
        end = self._buffer.find(b"\n", self._seen)
        size = end + 1 if end >= 0 else len(self._buffer)
        if size > self._left:
            raise self._too_long()
        if end < 0:
            self._seen = size
            return None
        line = bytes(self._buffer[:end]).removesuffix(b"\r")
        self._seen = 0
        if self._step == self._read_trailer:
            self._left -= size
        del self._buffer[:size]
        return line

    def _keep(self, most: int) -> int:
        taken = min(most, len(self._buffer))
        self.body += self._buffer[: min(taken, KEPT_BODY - len(self.body))]
        del self._buffer[:taken]
        return taken

    def _too_long(self) -> Lost:
        return Lost(f"the answer's headers are longer than {HEAD_LIMIT} bytes")


def _number(text: bytes, base: int) -> int:
    digits = rb"[0-9]{1,18}" if base == 10 else rb"[0-9a-fA-F]{1,15}"
    if not re.fullmatch(digits, text.strip()):
        raise Lost(f"the answer's length is no number: {text[:40]!r}")
    return int(text, base)
