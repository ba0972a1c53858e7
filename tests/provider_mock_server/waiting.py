"""Waits for what comes about in other threads and processes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

PATIENCE = 120.0
"""Seconds: the machine may be busy."""


def until(found: Callable[[], T], wanted: Any = None, patience: float = PATIENCE) -> T:
    """Return what a function comes to return: something true, or what is wanted; the last one when patience ends."""
    pause, deadline = threading.Event(), time.monotonic() + patience
    while True:
        value = found()
        if (value == wanted if wanted is not None else value) or time.monotonic() > deadline:
            return value
        pause.wait(0.02)
