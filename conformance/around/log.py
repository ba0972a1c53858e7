"""What the receiver has printed, line by line, with the moment at which each line came."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from im_callback.provider_mock.history import Attempt

LINES = 20_000
"""Lines that are kept."""
LONGEST = 2_000
"""Characters of a line that are kept."""
CHUNK = 65_536
AFTERWARDS = 250
"""Milliseconds after an answer in which lines still belong to it."""
QUIET, LONG = 0.03, 0.3
"""Seconds without a line after which no more is waited for, and those after which it is not in any case."""


class Line(NamedTuple):
    """A printed line: when it came, by the monotonic clock in seconds and in UTC milliseconds, and the text."""

    at: float
    millis: int
    text: str


class Log:
    """The last lines of what came out of a process, and of those before it. May be asked from any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, limit: int = LINES) -> None:
        self._clock = clock
        self._lines: deque[Line] = deque(maxlen=limit)
        self._lock = threading.Lock()
        self._more = threading.Condition(self._lock)

    def mark(self) -> float:
        """Return this moment, for `since`."""
        return self._clock()

    def add(self, text: str) -> None:
        """Take note of a line."""
        line = Line(self._clock(), time.time_ns() // 1_000_000, cut(text))
        with self._lock:
            self._lines.append(line)
            self._more.notify_all()

    def follow(self, file: int, tag: str = "") -> threading.Thread:
        """Read an open file to its end in a thread of its own, and close it then; its lines begin with the tag."""

        def read() -> None:
            try:
                self._read(file, tag)
            finally:
                os.close(file)

        thread = threading.Thread(target=read, name="receiver-log", daemon=True)
        thread.start()
        return thread

    def _read(self, file: int, tag: str) -> None:
        rest = b""
        while chunk := os.read(file, CHUNK):
            *whole, rest = (rest + chunk).split(b"\n")
            for line in whole:
                self.add(tag + _text(line))
            # What never ends its lines shall not fill the memory.
            if len(rest) > 4 * LONGEST:
                self.add(tag + _text(rest))
                rest = b""
        if rest:
            self.add(tag + _text(rest))

    def since(self, mark: float) -> list[str]:
        """Return the lines that came after a moment."""
        return [line.text for line in self.lines() if line.at >= mark]

    def last(self, count: int) -> list[str]:
        """Return so many lines at the end."""
        return [line.text for line in self.lines()[-count:]]

    def around(self, attempts: Sequence[Attempt], mark: float) -> tuple[str, ...]:
        """Return the lines of the moments of some attempts; without any, those that came after a moment."""
        self._await_quiet()
        if not attempts:
            return tuple(self.since(mark))
        return tuple(line.text for line in within(self.lines(), map(span_of, attempts)))

    def _await_quiet(self) -> None:
        """Wait until nothing more comes: what was printed before an answer may be read after it."""
        end = self._clock() + LONG
        with self._lock:
            while (left := end - self._clock()) > 0 and self._more.wait(min(left, QUIET)):
                pass

    def lines(self) -> list[Line]:
        """Return all lines that are kept."""
        with self._lock:
            return list(self._lines)


def within(lines: Iterable[Line], spans: Iterable[tuple[int, int]]) -> list[Line]:
    """Return the lines that came in one of the spans, which are in UTC milliseconds, both ends included."""
    wanted = list(spans)
    return [line for line in lines if any(first <= line.millis <= last for first, last in wanted)]


def span_of(attempt: Attempt) -> tuple[int, int]:
    """Return from when to when what a receiver prints about an attempt may come, in UTC milliseconds."""
    return attempt.sent_at, attempt.sent_at + round(attempt.reply.seconds * 1000) + AFTERWARDS


def cut(text: str) -> str:
    """Return a line of a bearable length."""
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text)} characters)"


def _text(line: bytes) -> str:
    return line.removesuffix(b"\r").decode("utf-8", "backslashreplace")
