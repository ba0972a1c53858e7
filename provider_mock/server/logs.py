"""One line for each record on standard error: JSON for programs, plain text on a terminal. Never a payload or a secret.

What a record is about stands in `extra`: `event`, a short name, and `fields`, a dict.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import sys
import threading
import traceback
from contextlib import suppress
from datetime import datetime, timezone
from typing import Any, TextIO

ROOT = "im_callback"
QUEUED = 10_000
"""Records that wait to be written at most."""
LONGEST_MESSAGE = 4000
END_SECONDS = 2.0
"""How long the end of the process waits for somebody who reads the log."""


class JsonLines(logging.Formatter):
    """Records as JSON lines: time (UTC), level, event, message, then the record's own fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a record as one line."""
        line = {
            "time": datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": getattr(record, "event", "log"),
            "message": " ".join(record.getMessage().split()),
            **_fields(record),
        }
        return json.dumps(line, ensure_ascii=True, default=str)


class PlainText(logging.Formatter):
    """Records for people."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a record as one line."""
        time = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S")
        fields = "".join(f" {name}={_printable(value)}" for name, value in _fields(record).items())
        return f"{time} {record.levelname.lower():<7} {_printable(' '.join(record.getMessage().split()))}{fields}"


class Behind(logging.Handler):
    """Writes records to a stream in a thread of its own, so that nobody waits for who reads them.

    Where nobody does, the latest are dropped and counted. At the end of the process the rest is written, if it is read.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._queue: queue.Queue[logging.LogRecord | None] = queue.Queue(QUEUED)
        self._dropped = 0
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue a record."""
        # What it is about can change before it is written.
        record.msg, record.args = record.getMessage()[:LONGEST_MESSAGE], None
        try:
            self._queue.put_nowait(record)
        except queue.Full:
            self._dropped += 1

    def close(self) -> None:
        """Write what is queued, as far as that is read in time."""
        if self._thread.is_alive():
            with suppress(queue.Full):
                self._queue.put(None, timeout=END_SECONDS)
            self._thread.join(END_SECONDS)
        super().close()

    def _run(self) -> None:
        while (record := self._queue.get()) is not None:
            if self._dropped:
                dropped, self._dropped = self._dropped, 0
                text = f"{dropped} records were dropped: nobody read the log in time"
                self._write(logging.LogRecord(ROOT, logging.WARNING, __file__, 0, text, None, None))
            self._write(record)

    def _write(self, record: logging.LogRecord) -> None:
        # Whatever goes wrong with one record, the next ones are written.
        with suppress(Exception):
            data = f"{self.format(record)}\n".encode()
            try:
                number = self._stream.fileno()
            except OSError:
                self._stream.write(data.decode())
                self._stream.flush()
                return
            # Past the stream: its lock, held where nobody reads, would hold up the end of the process.
            while data:
                data = data[os.write(number, data) :]


def configure(stream: TextIO | None = None) -> None:
    """Write the log of the server and its libraries to a stream: standard error unless another is given."""
    out = sys.stderr if stream is None else stream
    handler = Behind(out)
    handler.setFormatter(PlainText() if out.isatty() else JsonLines())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger(ROOT).setLevel(logging.INFO)
    # It warns of each request that waits for a thread.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    fields: dict[str, Any] = dict(getattr(record, "fields", {}))
    if record.exc_info and record.exc_info[1] is not None:
        error = record.exc_info[1]
        # An error's own words can hold a payload, or a statement's values.
        fields["error"] = type(error).__name__
        fields["at"] = [f"{one.filename}:{one.lineno} {one.name}" for one in traceback.extract_tb(error.__traceback__)]
    return fields


def _printable(value: Any) -> str:
    text = str(value)
    return text if text.isprintable() else repr(text)
