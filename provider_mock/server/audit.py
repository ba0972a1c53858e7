"""One log line for each request that changes something, or that was not let in to do so; also into a file of their own.

Who asked (the token's name), what for, with what success, from where. Never a token, a secret or a payload.
"""

from __future__ import annotations

import errno
import logging
import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import g
from im_callback.provider_mock.server.logs import JsonLines

if TYPE_CHECKING:
    from io import TextIOWrapper

log = logging.getLogger("im_callback.provider_mock.audit")
NOBODY = "-"
"""Stands for who or what is not known."""
_KEY = "audit"


@dataclass
class Entry:
    """What is known of a request while it is answered. `changes`: whether it is told at all."""

    changes: bool
    token: str = NOBODY
    operation: str = NOBODY
    concerned: dict[str, Any] = field(default_factory=dict)


def begin(entry: Entry) -> None:
    """Keep what is known of the request that is being answered."""
    setattr(g, _KEY, entry)


def current() -> Entry:
    """Return what is known of the request that is being answered; what is set in it is told."""
    found: Entry | None = g.get(_KEY)
    if found is None:
        begin(found := Entry(changes=False))
    return found


def concerned(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a path is about, by the names of its parameters."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        found["app" if name in ("app", "name") else "id"] = value
    return found


def tell(entry: Entry, method: str, status: int, remote: str, made: str = NOBODY) -> None:
    """Write the line of a request; `made` is where that is which it made."""
    fields = {
        "token": entry.token,
        "method": method,
        "operation": entry.operation,
        "app": entry.concerned.get("app", NOBODY),
        "id": entry.concerned.get("id", NOBODY),
        "made": made,
        "status": status,
        "remote": remote or NOBODY,
    }
    log.info("a change was asked for", extra={"event": _KEY, "fields": fields})


class AuditFile(WatchedFileHandler):
    """Appends the lines to a file, each at once; it is made anew when it was moved away. OSError if it cannot be from the start.

    A new file is for its owner alone. One that was there keeps its mode: it may be read by who collects it.
    """

    def __init__(self, path: Path) -> None:
        self._failing = False
        super().__init__(path, encoding="utf-8")
        self.setFormatter(JsonLines())

    def _open(self) -> TextIOWrapper:
        # A pipe that nobody reads is not waited for.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NONBLOCK", 0)
        descriptor = os.open(self.baseFilename, flags, 0o600)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(errno.EINVAL, "it is no regular file")
        return os.fdopen(descriptor, "a", encoding=self.encoding)

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line; where that fails the log says so, and the next one is tried again."""
        try:
            self.reopenIfNeeded()
            if self.stream is None:
                self.stream = self._open()
            self.stream.write(self.format(record) + self.terminator)
            self.stream.flush()
        except (OSError, ValueError) as error:
            with suppress(OSError):
                if self.stream is not None:
                    self.stream.close()
            self.stream = None
            if not self._failing:
                why = getattr(error, "strerror", None) or error
                server = logging.getLogger("im_callback.provider_mock.server")
                server.warning(
                    "the audit file %s cannot be written (%s); its lines are in the log", self.baseFilename, why
                )
            self._failing = True
        else:
            self._failing = False


def keep(path: Path) -> AuditFile:
    """Append the lines to a file from now on; OSError says why that is not possible."""
    handler = AuditFile(path)
    log.addHandler(handler)
    return handler
