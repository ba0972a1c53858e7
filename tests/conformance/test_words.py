"""How numbers and attempts are spoken of, wherever a run speaks."""

from __future__ import annotations

import re
from pathlib import Path

import im_callback.conformance
import pytest
from im_callback.conformance.words import counted

PLURALS = "checks|deliveries|records|events|effects|questions|answers|sequences|findings|causes|entries|exchanges|notes"
UNCOUNTED = re.compile(rf"\{{(?:len|sum)\([^{{}}]*\)\}} (?:{PLURALS}|are|were|have)\b|(?<!http)\(s\)")
"""A count before a word that is right for most numbers, and not for one."""


class TestCounted:
    """Tests for `counted`."""

    @pytest.mark.parametrize(("expected", "number"), [("0 checks are", 0), ("1 check is", 1), ("2 checks are", 2)])
    def test_agrees(self, expected: str, number: int) -> None:
        """The word goes with the number."""
        assert expected == counted(number, "check is", "checks are")


def test_every_count() -> None:
    """No text of a check puts a count before a plural by itself: one is counted as well."""
    root = Path(im_callback.conformance.__file__).parent
    found = [
        f"{file.relative_to(root)}:{number}: {line.strip()}"
        for file in sorted(root.rglob("*.py"))
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        if UNCOUNTED.search(line) and not file.is_relative_to(root / "report")
    ]
    assert [] == found
