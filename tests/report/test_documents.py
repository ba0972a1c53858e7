"""The documents of these tests are what a run writes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.report import test_junit, test_markdown
from tests.report.documents import hostile, valid


@pytest.mark.parametrize("given", [test_junit.MIXED, test_junit.MINIMAL, test_markdown.MIXED, hostile()])
def test_valid(given: dict[str, Any]) -> None:
    """They are as the schema of the result says."""
    valid(given)
