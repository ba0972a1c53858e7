"""Runs tasks one at a time, and goes on with others while one waits: no two ever do something at the same moment.

A task is a function that calls `pause` instead of sleeping. Tasks begin in their order, a further one only
while all that have begun wait; so where nobody has to wait, they run one after the other. One that is alone
begins when all before it have ended, and ends before the next begins; those that are last begin when all
others have ended.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Generic, TypeVar

from greenlet import GreenletExit, getcurrent, greenlet

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")

WIDTH = 64
"""How many may have begun and not ended."""


@dataclass(frozen=True, slots=True)
class Task(Generic[K, T]):
    """What is to be done, under a key; `alone` if nothing else may be under way meanwhile, `last` if nothing but others."""

    key: K
    function: Callable[[], T]
    alone: bool = False
    last: bool = False


@dataclass(slots=True)
class Overlap(Generic[K, T]):
    """Tasks under way. `now` gives seconds, `sleep` passes them."""

    tasks: Iterable[Task[K, T]]
    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _pending: deque[Task[K, T]] = field(init=False)
    _waiting: dict[greenlet, float] = field(init=False, default_factory=dict)
    """Tasks that have begun, in their order, and when each goes on."""
    _alone: bool = field(init=False, default=False)
    _last: bool = field(init=False, default=False)
    """Whether those that are last have begun."""
    _results: dict[K, T] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._pending = deque(self.tasks)

    def result(self, key: K) -> T:
        """Return what the task with the key returned, as soon as it has ended; KeyError where there is none.

        What a task raises comes out here.
        """
        while key not in self._results:
            if not (self._waiting or self._pending):
                raise KeyError(key)
            self._go_on()
        return self._results[key]

    def pause(self, seconds: float) -> None:
        """Let others go on for so many seconds; outside of a task, sleep."""
        current = getcurrent()
        if current not in self._waiting:
            self.sleep(seconds)
            return
        self._waiting[current] = self.now() + seconds
        assert current.parent is not None
        current.parent.switch()

    def gather(self, functions: Sequence[Callable[[], None]]) -> None:
        """Run functions as parts of the task that is under way, each going on while others wait; return when all ended.

        They must not raise.
        """
        current = getcurrent()
        if current not in self._waiting or len(functions) < 2:
            for one in functions:
                one()
            return
        left = len(functions)

        def part(function: Callable[[], None]) -> None:
            nonlocal left
            function()
            left -= 1
            if not left:
                self._waiting[current] = self.now()

        self._waiting[current] = float("inf")
        for one in functions:
            self._waiting[greenlet(partial(part, one))] = self.now()
        assert current.parent is not None
        current.parent.switch()

    def close(self) -> None:
        """End the tasks that are under way, and begin no other."""
        self._pending.clear()
        for one in list(self._waiting):
            one.throw(GreenletExit)
        self._waiting.clear()

    def _go_on(self) -> None:
        """Let one task run until it waits or ends."""
        first = min(self._waiting, key=self._waiting.__getitem__, default=None)
        left = 0.0 if first is None else self._waiting[first] - self.now()
        if (first is None or left > 0) and self._may_begin():
            self._begin(self._pending.popleft())
            return
        assert first is not None
        if left > 0:
            self.sleep(left)
        self._switch(first)

    def _may_begin(self) -> bool:
        if not self._pending or (self._alone and self._waiting):
            return False
        following = self._pending[0]
        apart = following.alone or following.last != self._last or len(self._waiting) >= WIDTH
        return not (self._waiting and apart)

    def _begin(self, task: Task[K, T]) -> None:
        def perform() -> None:
            self._results[task.key] = task.function()

        self._alone, self._last = task.alone, task.last
        begun = greenlet(perform)
        self._waiting[begun] = self.now()
        self._switch(begun)

    def _switch(self, one: greenlet) -> None:
        # Whoever asks for a result is who a task comes back to.
        one.parent = getcurrent()
        try:
            one.switch()
        finally:
            if one.dead:
                self._waiting.pop(one, None)
