"""What all checks of a run share, and change while it goes on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from im_callback.conformance.effects import ReadEffects
from im_callback.conformance.judge import Effects
from im_callback.conformance.verdict import Outside
from im_callback.provider_mock.history import Attempt


@dataclass(slots=True)
class Found:
    """What preflight has found out about a feed: what it sent, by stage how that ended, and how many effects were due."""

    attempts: list[Attempt] = field(default_factory=list)
    done: dict[str, Outside | None] = field(default_factory=dict)
    under_way: set[str] = field(default_factory=set)
    due: int = 0
    explored: Any = None
    """What the search for failing sequences came to, or how it ended, once it has been made."""


def one_by_one(functions: Iterable[Callable[[], None]]) -> None:
    """Run functions one after the other."""
    for one in functions:
        one()


@dataclass(slots=True)
class Shared:
    """What changes during a run, for all its checks."""

    read_effects: ReadEffects | None
    pause: Callable[[float], None] = time.sleep
    """Passes seconds; other checks may go on meanwhile."""
    now: Callable[[], float] = time.monotonic
    gather: Callable[[Sequence[Callable[[], None]]], None] = one_by_one
    """Runs parts of a check, each going on while others wait."""
    gone: str = ""
    """Where the receiver went away in the middle of the run: during which check."""
    answered: bool = False
    delay: float | None = None
    """Seconds that the slowest effect took to show in preflight, once one has."""
    look: tuple[float, Effects] | None = None
    """The last look at the effects, and when it began."""
    whole: tuple[float, Effects] | None = None
    """The last look at all of them, those from before the run too, and when it began."""
