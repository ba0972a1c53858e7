"""How many deliveries there are by app and state: counted beside those who ask, who never wait long for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from im_callback.provider_mock.delivery.ledger import LedgerError
from im_callback.provider_mock.server.errors import Unavailable

FRESH_SECONDS = 5.0
"""How long counts are good for: counting takes a tenth of a second with a million deliveries."""
STALE_SECONDS = 60.0
"""How long they are better than none, while others are being counted."""
PATIENCE = 1.0
"""Seconds that a counting is waited for."""

CountsByApp = dict[str, dict[str, int]]


class Counted:
    """The last counts that `count` gave. It may take long, and raise LedgerError."""

    def __init__(self, count: Callable[[], CountsByApp]) -> None:
        self._count = count
        self._changed = threading.Condition()
        self._counts: tuple[float, CountsByApp] | None = None
        self._counting: float | None = None
        self._failed: LedgerError | None = None

    def get(self, patience: float = PATIENCE) -> CountsByApp:
        """Return counts that are fresh, or as old as they may be while others are being counted.

        Waits for `patience` seconds at most, from when the counting began. Raises what the last counting raised,
        or Unavailable if there are no counts yet.
        """
        with self._changed:
            if (counts := self._newer_than(FRESH_SECONDS)) is not None:
                return counts
            if self._counting is None:
                self._counting = time.monotonic()
                threading.Thread(target=self._run, name="counting", daemon=True).start()
            end = self._counting + patience
            self._changed.wait_for(lambda: self._counting is None, max(0.0, end - time.monotonic()))
            if self._failed is not None:
                raise self._failed
            if (counts := self._newer_than(STALE_SECONDS)) is None:
                raise Unavailable.of("", "the deliveries are still being counted", "ask again in a moment")
            return counts

    def _newer_than(self, seconds: float) -> CountsByApp | None:
        if self._counts is None or time.monotonic() - self._counts[0] > seconds:
            return None
        return self._counts[1]

    def _run(self) -> None:
        began = time.monotonic()
        counts, failed = None, None
        try:
            counts = self._count()
        except LedgerError as error:
            failed = error
        finally:
            with self._changed:
                self._failed = failed
                if counts is not None:
                    self._counts = (began, counts)
                self._counting = None
                self._changed.notify_all()
