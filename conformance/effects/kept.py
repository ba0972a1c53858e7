"""Records that are made once: what a store gives again is the same object again.

Renaming and matching know a record by the object, so that looking again costs by what is new.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Kept(Generic[K]):
    """Holds the record that was made of each key, and leaves out what was there before the run."""

    def __init__(self) -> None:
        self._known: dict[K, Any] = {}
        self._old: Counter[K] = Counter()

    def note_old(self, keys: Iterable[K]) -> None:
        """Leave these out from now on, each as often as it is there."""
        self._old = Counter(keys)

    def records(self, keys: Sequence[K], make: Callable[[K], Any], *, whole: bool = False) -> list[Any]:
        """Return the record of each key, in this order, made where it is new; with `whole`, also of those that are old."""
        if self._old and not whole:
            keys = self._new(keys)
        known = self._known
        # What is gone from the store is forgotten, or a long run would fill the memory.
        self._known = {key: known[key] if key in known else make(key) for key in keys}
        return [self._known[key] for key in keys]

    def _new(self, keys: Sequence[K]) -> list[K]:
        old, new = self._old, []
        left: dict[K, int] = {}
        for key in keys:
            if key not in old:
                new.append(key)
                continue
            left[key] = left.get(key, old[key]) - 1
            if left[key] < 0:
                new.append(key)
        return new
