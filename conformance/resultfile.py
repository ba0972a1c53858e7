"""The file that a result is written to: tried before anything is sent, and written whole or not at all.

Where its path leads to a regular file, the result is written beside it and takes its place by one
rename. Where it leads to a stream (a terminal, a pipe, /dev/stdout), the stream is opened at the start
and held, so that whoever reads it is still there at the end.
"""

from __future__ import annotations

import os
import re
import select
import stat
import sys
import time
from contextlib import suppress
from pathlib import Path

PATIENCE = 10.0
"""Seconds for which a reader of a pipe may read nothing."""
_DESCRIPTOR = re.compile(r"/dev/fd/([0-9]+)|/proc/(?:self|[0-9]+)/fd/([0-9]+)")


class Unwritable(Exception):
    """The file cannot be written; the text says why and what to give."""


class ResultFile:
    """A place for a result. Making one opens nothing that has to be closed, unless it is a stream."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stream: int | None = None
        self._target = path
        try:
            kind = self._kind()
            if kind is None or stat.S_ISREG(kind):
                self._target = Path(os.path.realpath(path))
                self._try_regular(exists=kind is not None)
            elif stat.S_ISDIR(kind):
                raise Unwritable("it is a folder; give a file in it")
            else:
                self._open_stream()
        except OSError as error:
            raise Unwritable(f"it cannot be written ({error.strerror}); give a file that can") from None
        except ValueError as error:
            raise Unwritable(f"it is no path ({error}); give a file") from None

    def clear(self) -> None:
        """Take an earlier result away: whatever becomes of this run, it shall not be taken for its own."""
        if self._stream is not None:
            return
        try:
            self._target.unlink(missing_ok=True)
        except OSError:
            # The folder may be closed to us where the file is not, as with a file that is mounted.
            with suppress(OSError):
                os.truncate(self._target, 0)

    def write(self, text: str) -> None:
        """Write the whole result; `Unwritable` if that is not possible, and then no half one is left."""
        data = text.encode()
        try:
            if self._stream is not None:
                _send(self._stream, data)
            else:
                self._replace(data)
        except OSError as error:
            raise Unwritable(f"{self.path} could not be written ({error.strerror or error})") from None
        finally:
            self.close()

    def close(self) -> None:
        """Let go of a stream."""
        if self._stream is not None:
            with suppress(OSError):
                os.close(self._stream)
            self._stream = None

    def _kind(self) -> int | None:
        """Return the mode of what the path leads to, or None where there is nothing yet."""
        if _descriptor(self.path) is not None:
            return stat.S_IFIFO
        try:
            return self.path.stat().st_mode
        except FileNotFoundError:
            parent = Path(os.path.realpath(self.path)).parent
            if not parent.is_dir():
                raise Unwritable(f"there is no folder {parent}; make it first") from None
            return None

    def _try_regular(self, *, exists: bool) -> None:
        if exists and not os.access(self._target, os.W_OK):
            raise Unwritable("it is write-protected; give another file, or let it be written")
        try:
            beside, temporary = self._beside()
        except OSError:
            if not exists:
                raise
            # Only the file itself is open to us.
            os.close(os.open(self._target, os.O_WRONLY))
            return
        try:
            os.write(beside, b"{")
        finally:
            os.close(beside)
            temporary.unlink()

    def _beside(self) -> tuple[int, Path]:
        """Return a new file in the same folder, with the rights that any new file has."""
        temporary = self._target.with_name(f".{self._target.name[:100]}.{os.getpid()}.{time.monotonic_ns()}")
        return os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), temporary

    def _replace(self, data: bytes) -> None:
        try:
            file, temporary = self._beside()
        except OSError:
            self._in_place(data)
            return
        try:
            try:
                _all(file, data)
                os.fsync(file)
            finally:
                os.close(file)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
        try:
            temporary.replace(self._target)
        except OSError:
            temporary.unlink(missing_ok=True)
            self._in_place(data)

    def _in_place(self, data: bytes) -> None:
        file = os.open(self._target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        try:
            _all(file, data)
            os.fsync(file)
        except OSError:
            with suppress(OSError):
                os.ftruncate(file, 0)
            raise
        finally:
            os.close(file)

    def _open_stream(self) -> None:
        number = _descriptor(self.path)
        if number is not None:
            self._stream = os.dup(number)
        else:
            try:
                # Without O_NONBLOCK this would wait for a reader.
                self._stream = os.open(self.path, os.O_WRONLY | os.O_NONBLOCK)
            except OSError as error:
                if self.path.is_fifo():
                    raise Unwritable("nobody reads from this pipe; start its reader first") from None
                raise error from None
        try:
            # Nothing, which a full device refuses all the same.
            os.write(self._stream, b"")
        except OSError:
            self.close()
            raise


def _descriptor(path: Path) -> int | None:
    """Return the open file that a path such as /dev/stdout stands for, or None.

    To open it anew would begin at its start, over what was printed.
    """
    names = {"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}
    text = os.path.normpath(path)
    for _ in range(8):
        if text in names:
            return names[text]
        if found := _DESCRIPTOR.fullmatch(text):
            return int(found[1] or found[2])
        try:
            text = os.path.normpath(Path(text).parent / Path(text).readlink())
        except OSError:
            return None
    return None


def _all(file: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(file, left) :]


def _send(file: int, data: bytes) -> None:
    """Write to a stream, for as long as somebody reads."""
    with suppress(OSError, ValueError):
        sys.stdout.flush()
    left = memoryview(data)
    while left:
        if not select.select([], [file], [], PATIENCE)[1]:
            raise TimeoutError(None, f"nobody has read from it for {PATIENCE:g} s")
        try:
            # Never more than fits: a pipe that is not ours alone may block.
            left = left[os.write(file, left[:512]) :]
        except BlockingIOError:
            continue
