"""One line for each record on standard error: JSON for programs, plain text on a terminal. Never a payload or a secret.

What a record is about stands in `extra`: `event`, a short name, and `fields`, a dict.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from datetime import datetime, timezone
from typing import Any, TextIO

ROOT = "provider_mock"


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


def configure(stream: TextIO | None = None) -> None:
    """Write the log of the server and its libraries to a stream: standard error unless another is given."""
    out = sys.stderr if stream is None else stream
    handler = logging.StreamHandler(out)
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
