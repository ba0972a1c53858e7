"""Keeps a file to one process: a lock that the system takes back when the process ends, however it ends."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

from provider_mock.delivery.ledger.errors import LedgerInUse


class FileLock:
    """The lock of one ledger file, held from construction to `close`.

    It lives in a file of its own beside the ledger, `<name>.lock`, which is not deleted: another
    process may be about to lock it. Raises LedgerInUse if someone else holds it.
    """

    def __init__(self, ledger: Path) -> None:
        self.path = ledger.with_name(ledger.name + ".lock")
        # Not truncated on opening: it names the process that holds the lock.
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            _lock(self._file)
        except OSError:
            holder = os.pread(self._file, 20, 0).decode("ascii", "replace").strip() if hasattr(os, "pread") else ""
            os.close(self._file)
            raise LedgerInUse(
                str(ledger),
                f"is in use: {f'process {holder}' if holder else 'another process'} holds {self.path}",
                "stop that process, give this one another ledger, or open it for reading only",
            ) from None
        os.ftruncate(self._file, 0)
        os.write(self._file, f"{os.getpid()}\n".encode())

    def close(self) -> None:
        """Give the lock back."""
        with suppress(OSError):
            os.close(self._file)


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
