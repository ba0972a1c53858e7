"""Keeps a file to one process: a lock that the system takes back when the process ends, however it ends."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

from im_callback.provider_mock.delivery.ledger.errors import LedgerInUse, LedgerUnavailable


class FileLock:
    """The lock of one ledger file, held from construction to `close`.

    It lives in a file of its own beside the ledger, `<name>.lock`, which is not deleted: another
    process may be about to lock it.

    Raises:
        LedgerInUse: someone else holds it.
        LedgerUnavailable: there can be no such file.
    """

    def __init__(self, ledger: Path) -> None:
        self._ledger = str(ledger)
        self.path = ledger.with_name(ledger.name + ".lock")
        self._file = self._taken()

    def keep(self) -> None:
        """Take the lock again if its file was deleted or replaced, so that no other process can have it; as above."""
        with suppress(FileNotFoundError):
            if os.path.samestat(self.path.stat(), os.fstat(self._file)):
                return
        file = self._taken()
        self.close()
        self._file = file

    def close(self) -> None:
        """Give the lock back."""
        with suppress(OSError):
            os.close(self._file)

    def _taken(self) -> int:
        """Return the open file once it is locked."""
        try:
            # Not truncated on opening: it names the process that holds the lock.
            file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise LedgerUnavailable(
                self._ledger,
                f"cannot be locked: {self.path}: {error.strerror}",
                "let this user write such a file there, or name another ledger",
            ) from None
        try:
            _lock(file)
        except OSError:
            holder = os.pread(file, 20, 0).decode("ascii", "replace").strip() if hasattr(os, "pread") else ""
            os.close(file)
            raise LedgerInUse(
                self._ledger,
                f"is in use: {f'process {holder}' if holder else 'another process'} holds {self.path}",
                "stop that process, give this one another ledger, or open it for reading only",
            ) from None
        if hasattr(os, "fchmod"):
            with suppress(OSError):
                os.fchmod(file, 0o600)
        os.ftruncate(file, 0)
        os.write(file, f"{os.getpid()}\n".encode())
        return file


if sys.platform == "win32":
    import msvcrt

    def _lock(file: int) -> None:
        os.lseek(file, 1 << 20, os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        os.lseek(file, 0, os.SEEK_SET)
else:
    import fcntl

    def _lock(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
