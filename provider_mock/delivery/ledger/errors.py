"""What can go wrong with a ledger; every message ends with the way out and none shows a password."""

from __future__ import annotations


class LedgerError(Exception):
    """Any error that the ledger raises on purpose. `where` names the ledger."""

    def __init__(self, where: str, fact: str, hint: str) -> None:
        self.where = where
        self.fact = fact
        self.hint = hint
        super().__init__(f"the ledger {where} {fact}; {hint}")


class LedgerUnavailable(LedgerError, ConnectionError):
    """The database did not do its work in time.

    `stored` says what became of the rows that the caller wanted to store: False, they are not
    stored and will not be; None, that cannot be known now. Then `ids` are those that new deliveries
    have if they are stored: when a later change is on disk, they are there or never will be.
    """

    ids: tuple[int, ...] = ()

    def __init__(self, where: str, fact: str, hint: str, *, stored: bool | None = False) -> None:
        super().__init__(where, fact, hint)
        self.stored = stored


class LedgerInUse(LedgerError, BlockingIOError):
    """Another process, or another `Ledger` of this one, delivers from it."""


class LedgerTooNew(LedgerError, ValueError):
    """A later release than this one has written it."""


class LedgerOutdated(LedgerError, ValueError):
    """An earlier release has written it, and it was opened for reading only."""


class LedgerMissing(LedgerError, FileNotFoundError):
    """There is no such file to read, or no such folder to make it in."""


class NotALedger(LedgerError, ValueError):
    """The URL is none that a ledger can have, or leads to something else."""


class LedgerClosed(LedgerError, RuntimeError):
    """It was used after `close`."""
