"""Records side by side, steps of a sequence, and how far a run is: lines for people."""

from __future__ import annotations

from typing import Any

import pytest
from im_callback.conformance.check import Check, all_checks
from im_callback.conformance.report.progress import Progress
from im_callback.conformance.report.side_by_side import COLUMNS, MOST, side_by_side
from im_callback.conformance.verdict import Level, Result, Verdict


def records(*those: Any) -> list[dict[str, Any]]:
    """Return records as a result has them."""
    return [{"what": f"effect {number}", "record": one} for number, one in enumerate(those, 1)]


class TestSideBySide:
    """Tests for `side_by_side`."""

    def test_columns(self) -> None:
        """A field is a line, a record a column; what differs comes first and has a star; nested fields have a path."""
        assert [
            "           effect 1           effect 2",
            "* id       7                  8",
            "* only                        x",
            "  said     hello              hello",
            "  in.deep  [1, null]          [1, null]",
        ] == side_by_side(
            records(
                {"said": "hello", "id": 7, "in": {"deep": [1, None]}},
                {"said": "hello", "id": 8, "in": {"deep": [1, None]}, "only": "x"},
            ),
            48,
        )

    def test_narrow(self) -> None:
        """Where columns would be too narrow the records stand one under the other."""
        assert ["effect 1:", "* id: 7", "  said: hello", "effect 2:", "* id: 8", "  said: hello"] == side_by_side(
            records({"said": "hello", "id": 7}, {"said": "hello", "id": 8}), 30
        )

    def test_wide_characters(self) -> None:
        """Characters of two columns are counted as two, and cut as two."""
        lines = side_by_side(records({"said": "你好你好你好你好你好你好", "to": "a"}, {"said": "你好", "to": "b"}), 50)
        assert [
            "        effect 1              effect 2",
            "* said  你好你好你好你好你…   你好",
            "* to    a                     b",
        ] == lines

    def test_many(self) -> None:
        """Of many fields and records some are shown, and the others counted."""
        lines = side_by_side(records(*[{f"f{n}": n for n in range(30)}] * 5), 100)
        assert [f"  … {30 - MOST} fields more", f"  … {5 - COLUMNS} records more"] == lines[-2:]

    @pytest.mark.parametrize("record", [None, "a text\n::error::x", 7, [], {}])
    def test_no_object(self, record: Any) -> None:
        """A record that is no object is shown too, and breaks no line."""
        lines = side_by_side(records(record, {"id": 7}), 80)
        assert len(lines) <= 3
        assert not any("\n" in line for line in lines)

    def test_none(self) -> None:
        """Nothing is shown of nothing."""
        assert [] == side_by_side([], 80)


class TestProgress:
    """Tests for `Progress`."""

    CHECKS = [one for one in all_checks() if one.family in ("preflight", "robustness")]

    def results(self, checks: list[Check]) -> list[Result]:
        """Return results of checks; the last of them failed."""
        verdicts = [*[Verdict.PASS] * (len(checks) - 2), Verdict.NOT_APPLICABLE, Verdict.FAIL]
        return [
            Result(f"acme.{one.family}.{one.slug}", one.title, Level.MUST, "Book: page", verdict)
            for one, verdict in zip(checks, verdicts, strict=True)
        ]

    def test_lines(self) -> None:
        """A family has its line once all of it has ended, whatever else ends in between."""
        progress = Progress(self.CHECKS)
        early = [one for one in self.CHECKS if one.family == "preflight"]
        lines = [line for one in self.results(early) for line in progress.ended(one)]
        assert ["preflight   3 passed, 1 failed, 1 not applicable"] == lines
        late = [one for one in self.CHECKS if one.family == "robustness"]
        told = [list(progress.ended(one)) for one in self.results(late)]
        assert [[]] * (len(late) - 1) + [[f"robustness  {len(late) - 2} passed, 1 failed, 1 not applicable"]] == told

    def test_twice(self) -> None:
        """A result that comes again counts once."""
        progress = Progress(self.CHECKS)
        (first, *_) = self.results(self.CHECKS)
        assert ((), ()) == (progress.ended(first), progress.ended(first))
        assert progress.bar("acme.family.name", 200) == f"[#{' ' * 19}] 1 of {len(self.CHECKS)}  family.name"

    def test_bar(self) -> None:
        """The bar fills, tells how many failed and what is under way, and is no longer than the terminal."""
        progress = Progress(self.CHECKS)
        for one in self.results(self.CHECKS):
            progress.ended(one)
        whole = f"[{'#' * 20}] {len(self.CHECKS)} of {len(self.CHECKS)}, 1 failed  family.name"
        assert whole == progress.bar("acme.family.name", 200)
        assert whole[:30] == progress.bar("acme.family.name", 30)
