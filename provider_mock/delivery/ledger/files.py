"""The files of a SQLite ledger: for their owner alone, and watched, because SQLite goes on without them.

Whoever deletes or replaces an open database takes it out of the folder, not from SQLite, which
writes on into a file that no other process will ever find. So the files in the folder are compared
with those that were opened: before each group is written, before anything is read, and every second.
"""

from __future__ import annotations

import logging
import os
import stat
import sys
from contextlib import suppress
from pathlib import Path

from im_callback.provider_mock.delivery.ledger.errors import LedgerMissing, LedgerUnavailable, NotALedger

log = logging.getLogger("im_callback.provider_mock.ledger")

SIDES = ("-wal", "-shm")
"""What SQLite keeps beside a database: what was committed last, and the index of that."""
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_ANYBODY_WRITES = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH

_Identity = tuple[int, int]
"""Device and inode."""


class LedgerGone(LedgerUnavailable):
    """Its files are no longer those that were opened."""


class Files:
    """The files of the ledger at a path.

    Raises NotALedger or LedgerMissing where no file can be. `check` does nothing before `remember`.
    """

    def __init__(self, path: str) -> None:
        try:
            self.path = Path(path).resolve()
            kind = _kind(self.path)
            folder = self.path.parent.is_dir()
        except (OSError, ValueError, RuntimeError) as error:
            raise LedgerMissing(path, f"cannot be reached: {_why(error)}", "check the path") from None
        if stat.S_ISDIR(kind):
            raise NotALedger(path, "is a folder", f"name a file in it, such as {self.path / 'provider-mock.db'}")
        if not stat.S_ISREG(kind):
            raise NotALedger(path, "is no regular file", "name a file, or one that does not exist yet")
        if not folder:
            raise LedgerMissing(path, f"lies in {self.path.parent}, which is no folder", "make the folder first")
        self._where = str(path)
        # As text, because they are asked for before each group, and paths take three times as long.
        self._database = str(self.path)
        self._files = [self._database, *(self._database + side for side in SIDES)]
        self._written = (*self._files[:2], str(self.path.parent))
        self._known: dict[str, _Identity] = {}

    def prepare(self) -> None:
        """Make sure of the files before they are opened: as `check` where they were opened before.

        At the first time the file is made if there is none. Raises LedgerUnavailable.
        """
        if self._known:
            self.check(writing=True)
            return
        try:
            with suppress(FileExistsError):
                os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        except OSError as error:
            fix = "let this user write there, or name another file"
            raise LedgerUnavailable(self._where, f"cannot be made in {self.path.parent}: {_why(error)}", fix) from None
        self._check_writable()

    def remember(self) -> None:
        """Take the files as they are now for those that are open; close them to everybody but their owner."""
        for path in self._files:
            _narrow(Path(path))
        self._known = {path: _identity(Path(path).stat()) for path in self._files}

    def forget(self) -> None:
        """Compare the files with nothing any more: they are not open."""
        self._known = {}

    def check(self, *, writing: bool) -> None:
        """Raise LedgerGone if a file is not the one that was opened, LedgerUnavailable if it must not be written."""
        if not self._known:
            return
        for path, known in self._known.items():
            try:
                found = os.stat(path)  # noqa: PTH116 - before each group
            except FileNotFoundError:
                raise self._gone(path, "was deleted or moved away") from None
            except OSError as error:
                raise self._gone(path, f"cannot be reached ({_why(error)})") from None
            if _identity(found) != known:
                raise self._gone(path, "was replaced by another file")
            if path == self._database and not found.st_size:
                raise self._gone(path, "was emptied")
        if writing:
            self._check_writable()

    def _gone(self, path: str, fact: str) -> LedgerGone:
        if path == self._database:
            fix = "put the file back that was there, or stop the server and start it with the one that is to be used"
            return LedgerGone(self._where, fact, fix)
        fix = "stop the server and start it again: nothing is lost by that"
        return LedgerGone(self._where, f"cannot be used: its {Path(path).name} {fact}", fix)

    def _check_writable(self) -> None:
        for path in self._written:
            # The modes too: they do not bind a superuser, who has set them all the same.
            try:
                mode = os.stat(path).st_mode  # noqa: PTH116 - as above
                writable = mode & _ANYBODY_WRITES and os.access(path, os.W_OK)
            except FileNotFoundError:  # before it is made, or it is told by who compares them
                continue
            if not writable:
                raise LedgerUnavailable(self._where, f"cannot be written: {path} is read-only", "make it writable")


def _kind(path: Path) -> int:
    """What is there; a regular file if nothing is yet. Raises OSError, also for links in a circle."""
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return stat.S_IFREG


def _narrow(path: Path) -> None:
    """Close a file to everybody but its owner."""
    mode = stat.S_IMODE(path.stat().st_mode)
    if not mode & _OTHERS or sys.platform == "win32":
        return
    try:
        # By its name: closing a descriptor of it would take SQLite's locks away.
        path.chmod(mode & ~_OTHERS)
    except OSError as error:
        log.warning("%s can be used by others (mode %o), and that cannot be changed: %s", path, mode, _why(error))
    else:
        log.warning("%s could be used by others (mode %o), and is for its owner alone now", path, mode)


def _identity(found: os.stat_result) -> _Identity:
    return found.st_dev, found.st_ino


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
