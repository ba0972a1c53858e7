"""The attempts of the last half an hour by app and outcome, in columns of half a minute."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

COLUMN_MILLIS = 30_000
COLUMNS = 60


@dataclass(frozen=True, slots=True)
class Column:
    """The attempts that were made from a time (UTC milliseconds) on: how many, by outcome."""

    since: int
    outcomes: Mapping[str, int]


class Recent:
    """Looks at counts that only grow, and keeps by how much they grew when. Any thread may look."""

    def __init__(self, totals: Callable[[], Mapping[tuple[str, str], int]]) -> None:
        self._totals = totals
        self._lock = threading.Lock()
        self._before: Mapping[tuple[str, str], int] = {}
        self._columns: dict[int, Counter[tuple[str, str]]] = {}

    def look(self, now: int) -> None:
        """Count what was added since the last look as of now, true UTC milliseconds."""
        with self._lock:
            totals = self._totals()
            column = now // COLUMN_MILLIS
            added = Counter({key: more for key, total in totals.items() if (more := total - self._before.get(key, 0))})
            self._before = totals
            if added:
                self._columns.setdefault(column, Counter()).update(added)
            for old in [one for one in self._columns if one <= column - COLUMNS]:
                del self._columns[old]

    def columns(self, now: int, app: str | None = None) -> list[Column]:
        """Return the columns up to now, the oldest first, those without attempts included; of one app or of all."""
        with self._lock:
            kept = {index: dict(column) for index, column in self._columns.items()}
        last = now // COLUMN_MILLIS
        found = []
        for index in range(last - COLUMNS + 1, last + 1):
            outcomes: Counter[str] = Counter()
            for (name, outcome), number in kept.get(index, {}).items():
                if app in (None, name):
                    outcomes[outcome] += number
            found.append(Column(index * COLUMN_MILLIS, outcomes))
        return found
