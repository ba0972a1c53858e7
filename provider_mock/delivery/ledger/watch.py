"""Looks every second whether the database is still there, so that this is known before anybody asks it for something."""

from __future__ import annotations

import threading
import time

from im_callback.provider_mock.delivery.ledger.database import LOOK_SECONDS, Database, told

EVERY_SECONDS = 1.0
OVERDUE_SECONDS = LOOK_SECONDS + 1.0
"""After which a look that has not ended tells enough."""


class Watch:
    """Watches an open database from a thread of its own."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._closing = threading.Event()
        self._looking: float | None = None
        self._thread = threading.Thread(target=self._run, name="ledger-watch", daemon=True)
        self._thread.start()

    def fault(self) -> tuple[float, str] | None:
        """Return since when of the monotonic clock something is wrong, and what; None: nothing. Never waits."""
        looking = self._looking
        if looking is not None and time.monotonic() - looking > OVERDUE_SECONDS:
            return self._database.away or (looking, "it does not answer")
        return self._database.away

    @property
    def alive(self) -> bool:
        """Whether it still looks, or was told to stop."""
        return self._thread.is_alive() or self._closing.is_set()

    def close(self) -> None:
        """Stop looking."""
        self._closing.set()
        self._thread.join(OVERDUE_SECONDS)

    def _run(self) -> None:
        while not self._closing.wait(EVERY_SECONDS):
            self._looking = began = time.monotonic()
            try:
                self._database.look()
            except Exception as error:  # noqa: BLE001 - whatever it is, it is what is wrong
                since = self._database.away[0] if self._database.away else began
                self._database.away = since, told(error)
            else:
                self._database.away = None
            self._looking = None
