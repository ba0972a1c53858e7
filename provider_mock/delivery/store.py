"""What the engine asks of a store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from im_callback.provider_mock.delivery.ledger.records import Done, Waiting


class Store(Protocol):
    """Where deliveries wait and outcomes go: the ledger, or memory.

    A ConnectionError means that it does not answer now; it is asked again. All but `record` are
    called in a thread of their own.
    """

    def due(self, app: str, now: int, limit: int, after: tuple[int, int] | None = None) -> Sequence[Waiting]:
        """Return waiting deliveries whose time has come, by (due_at, id), behind `after`."""
        ...

    def next_due(self, app: str, after: int | None = None) -> int | None:
        """Return when the next waiting delivery is due, later than `after`; None if none is waiting."""
        ...

    def together(self, app: str, first: int, size: int) -> Sequence[Waiting]:
        """Return those of the `size` deliveries from this id on that have never been attempted."""
        ...

    def backlog(self, app: str) -> int:
        """Return how many deliveries are parked, by all that was recorded."""
        ...

    def record(self, dones: Sequence[Done]) -> int:
        """Take attempts and what follows from them; return how many of them, from the first on. Never waits."""
        ...
