"""How far a run is, while it runs: a bar, or a line for each family of checks once all of it has ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from im_callback.conformance.check import Check
from im_callback.conformance.verdict import Result, Verdict

TOLD = {
    Verdict.PASS: "passed",
    Verdict.FAIL: "failed",
    Verdict.COULD_NOT_RUN: "could not run",
    Verdict.NOT_APPLICABLE: "not applicable",
    Verdict.HARNESS_ERROR: "our own error",
}
BAR = 20
"""Columns of the bar itself."""


class Progress:
    """Counts the results of these checks as they come in."""

    def __init__(self, checks: Sequence[Check]) -> None:
        self._left = Counter(check.family for check in checks)
        self._indent = max(map(len, self._left), default=0) + 2
        self._all = len(checks)
        self._ended: dict[str, Verdict] = {}

    def ended(self, result: Result) -> Iterable[str]:
        """Note a result; return the line of its family if that was the last of it, and nothing if not."""
        family = result.id.split(".")[1]
        if result.id in self._ended or family not in self._left:
            return ()
        self._ended[result.id] = result.verdict
        self._left[family] -= 1
        if self._left[family]:
            return ()
        counts = Counter(verdict for name, verdict in self._ended.items() if name.split(".")[1] == family)
        told = ", ".join(f"{counts[verdict]} {words}" for verdict, words in TOLD.items() if counts[verdict])
        return (f"{family:<{self._indent}}{told}",)

    def bar(self, under_way: str, width: int) -> str:
        """Return a bar of what has ended, with the id of the check that is under way, in so many columns."""
        done = len(self._ended)
        filled = BAR * done // (self._all or 1)
        failed = sum(verdict is Verdict.FAIL for verdict in self._ended.values())
        told = f", {failed} failed" if failed else ""
        return f"[{'#' * filled:<{BAR}}] {done} of {self._all}{told}  {under_way.partition('.')[2]}"[:width]
