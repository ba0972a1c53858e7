"""Recordings on disk: written line by line, each on the disk before the next; read again, HAR files too."""

from __future__ import annotations

import base64
import codecs
import os
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlencode

from im_callback.provider_mock.contract import Reply, Request
from im_callback.provider_mock.recording.exchange import Exchange, from_line, to_line
from im_callback.schemas import jsontext

BATCH = 64
"""Lines that share one way to the disk at most."""


class Unreadable(ValueError):
    """A file is no recording; the text says where and why, and what to give."""


class Writer:
    """Appends exchanges to a file in a thread of its own, so that nothing that is forwarded waits for a disk.

    `prepare` makes each one fit to be kept, in that thread; `written` gets it once its line is on the disk. A line
    that an earlier writer could not finish is ended first. OSError says why the file cannot be opened.
    """

    def __init__(
        self, file: Path, prepare: Callable[[Exchange], Exchange], written: Callable[[Exchange], None]
    ) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
        # What people wrote is nobody else's on this machine.
        self._descriptor = os.open(file, flags, 0o600)
        self._prepare, self._written = prepare, written
        self.problem: Exception | None = None
        """Why lines were lost, if any were."""
        self.lost = 0
        """How many."""
        self._waiting: queue.SimpleQueue[Exchange | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write_all, name="recording")
        self._thread.start()

    def write(self, exchange: Exchange) -> None:
        """Have an exchange written; returns at once."""
        self._waiting.put(exchange)

    def close(self) -> None:
        """Return once everything is on the disk."""
        self._waiting.put(None)
        self._thread.join()
        os.close(self._descriptor)

    def _write_all(self) -> None:
        going = True
        while going:
            batch = [self._waiting.get()]
            with suppress(queue.Empty):
                while batch[-1] is not None and len(batch) < BATCH:
                    batch.append(self._waiting.get_nowait())
            going = batch[-1] is not None
            self._write([one for one in batch if one is not None])

    def _write(self, exchanges: list[Exchange]) -> None:
        kept = [one for one in map(self._prepared, exchanges) if one is not None]
        if not kept:
            return
        try:
            self._append("".join(f"{to_line(one)}\n" for one in kept).encode("utf-8", "surrogatepass"))
        except OSError as error:
            self._lose(error, len(kept))
            return
        for one in kept:
            with suppress(OSError, ValueError):  # Whoever was to read of it has gone; the file goes on.
                self._written(one)

    def _prepared(self, exchange: Exchange) -> Exchange | None:
        try:
            return self._prepare(exchange)
        except Exception as error:  # noqa: BLE001 - One exchange that we cannot handle does not end the recording.
            self._lose(error, 1)
            return None

    def _append(self, data: bytes) -> None:
        if os.fstat(self._descriptor).st_size:
            os.lseek(self._descriptor, -1, os.SEEK_END)
            if os.read(self._descriptor, 1) != b"\n":
                data = b"\n" + data
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]
        with suppress(OSError):  # A pipe or /dev/stdout has no disk.
            os.fsync(self._descriptor)

    def _lose(self, error: Exception, count: int) -> None:
        self.problem, self.lost = self.problem or error, self.lost + count


def read(file: IO[bytes], note: Callable[[str], None]) -> Iterator[Exchange]:
    """Yield the exchanges of a recording or of a HAR file, in their order; raises `Unreadable`.

    `note` is told what is passed over: a last line that was not finished, and what a HAR file holds besides.
    """
    lines = iter(enumerate(file, 1))
    first = next(lines, (1, b""))[1].removeprefix(codecs.BOM_UTF8)
    if not first.strip():
        raise Unreadable("it is empty; give a file that provider-mock record has written, or a HAR file")
    if not _is_line(first):
        yield from _har(first + file.read(), note)
        return
    number, line = 1, first
    while True:
        following = next(lines, None)
        if line.strip():
            try:
                yield from_line(line.decode("utf-8", "surrogatepass"))
            except ValueError as error:
                if _is_json(line):
                    raise Unreadable(f"line {number}: {error}") from None
                note(f"note: line {number} was not finished; it is passed over")
        if following is None:
            return
        number, line = following


def _is_line(text: bytes) -> bool:
    return b'"recorded"' in text[:100]


def _is_json(line: bytes) -> bool:
    try:
        jsontext.parse(line.decode())
    except ValueError:
        return False
    return True


def _har(data: bytes, note: Callable[[str], None]) -> Iterator[Exchange]:
    try:
        document = jsontext.parse(data.decode("utf-8-sig"))
        entries = document["log"]["entries"]
        found = [_har_entry(one) for one in entries]
    except (ValueError, LookupError, TypeError, AttributeError):
        raise Unreadable(
            "it is neither a recording nor a HAR file; give a file that provider-mock record has written, or a HAR file"
        ) from None
    with_body = [one for one in found if one is not None]
    if len(with_body) < len(found):
        note(f"note: {len(found) - len(with_body)} of {len(found)} requests have no body; they are passed over")
    yield from sorted(with_body, key=lambda one: one.sent_at)


def _har_entry(entry: Any) -> Exchange | None:
    """Return an entry of a HAR file, version 1.2; None if its request has no body."""
    request, response = entry["request"], entry.get("response") or {}
    posted = request.get("postData")
    if not posted:
        return None
    text = posted.get("text") or urlencode([(one["name"], one.get("value", "")) for one in posted.get("params", ())])
    body = base64.b64decode(text) if posted.get("encoding") == "base64" else text.encode("utf-8", "surrogatepass")
    # Python before 3.11 does not read a Z.
    started = datetime.fromisoformat(_iso(entry["startedDateTime"]))
    sent_at, millis = round(started.timestamp() * 1000), round(float(entry.get("time") or 0))
    reply = None
    if response.get("status"):
        content = response.get("content") or {}
        said = content.get("text") or ""
        answer = (
            base64.b64decode(said) if content.get("encoding") == "base64" else said.encode("utf-8", "surrogatepass")
        )
        reply = Reply(int(response["status"]), _har_headers(response), answer, millis / 1000)
    return Exchange(
        Request(request["url"], _har_headers(request), body, request["method"]),
        sent_at,
        reply,
        sent_at + millis,
        lost="" if reply is not None else "no reply is on record",
    )


def _har_headers(message: Any) -> tuple[tuple[str, str], ...]:
    # Those that begin with a colon are HTTP/2's own.
    named: Iterable[Any] = message.get("headers", ())
    return tuple((one["name"], one["value"]) for one in named if not one["name"].startswith(":"))


def _iso(text: str) -> str:
    whole, dot, rest = text.replace("Z", "+00:00").partition(".")
    if not dot:
        return whole
    digits = "".join(one for one in rest[:9] if one.isdigit())[:9]
    zone = rest.lstrip("0123456789")
    return f"{whole}.{digits[:6].ljust(6, '0')}{zone}"
