"""Reads the store in a thread of its own, so that the engine never waits for it."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

Asker = TypeVar("Asker")
Found = TypeVar("Found")


class Reader(Generic[Asker, Found]):
    """One thread that reads for many, one after the other; `wake` is called with each answer that is there."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._asked: queue.SimpleQueue[tuple[Asker, Callable[[], Found]] | None] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[tuple[Asker, Found | Exception]] = queue.SimpleQueue()
        # A daemon: a database that hangs must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="reader", daemon=True)
        self._thread.start()

    def ask(self, asker: Asker, read: Callable[[], Found]) -> None:
        """Read; `found` will yield the asker with what was found."""
        self._asked.put((asker, read))

    def found(self) -> Iterator[tuple[Asker, Found | Exception]]:
        """Yield what has been read since the last call, or why it could not be."""
        while not self._answers.empty():
            yield self._answers.get()

    def close(self) -> None:
        """Read no more. What is being read is not waited for."""
        self._asked.put(None)

    def _run(self) -> None:
        while (order := self._asked.get()) is not None:
            asker, read = order
            try:
                answer: Found | Exception = read()
            except Exception as error:  # noqa: BLE001 - It is given to who asked.
                answer = error
            except BaseException as error:  # noqa: BLE001 - Whoever reads next needs this thread.
                answer = RuntimeError(f"the reading was ended: {type(error).__name__}")
            self._answers.put((asker, answer))
            self._wake()
