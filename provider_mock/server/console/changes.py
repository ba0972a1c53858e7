"""Tells the pages that are open that something has changed, as server-sent events; they then ask what."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import suppress

from im_callback.provider_mock.server.front import WATCHERS
from im_callback.provider_mock.server.service import Service

LIFE_SECONDS = 300.0
LOOK_SECONDS = 0.5
TICK_SECONDS = 5.0
"""After which a page is told to look in any case: another process may have changed something in the same ledger."""
AGAIN_MILLIS = 1000
LATER_MILLIS = 5000
CHANGED = "event: changed\ndata: .\n\n"


class Changes:
    """The streams of a service's changes."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._free = threading.BoundedSemaphore(WATCHERS)

    def stream(self, stopping: threading.Event) -> Iterator[str]:
        """Yield events until the client leaves, the server stops, or the stream has lived long enough.

        Where too many are open, it tells once that something may have changed, and ends.
        """
        if not self._free.acquire(blocking=False):
            yield f"retry: {LATER_MILLIS}\n\n{CHANGED}"
            return
        try:
            yield f"retry: {AGAIN_MILLIS}\n\n"
            yield from self._told(stopping)
        finally:
            self._free.release()

    def _told(self, stopping: threading.Event) -> Iterator[str]:
        seen, told = self._service.pulse(), time.monotonic()
        end = told + LIFE_SECONDS
        while time.monotonic() < end and not stopping.wait(LOOK_SECONDS):
            now = seen
            # An app may go while it is looked at.
            with suppress(LookupError):
                now = self._service.pulse()
            if now != seen or time.monotonic() - told >= TICK_SECONDS:
                seen, told = now, time.monotonic()
                yield CHANGED
