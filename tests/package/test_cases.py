"""A test that goes through many cases tells which of them are wrong, and goes through all."""

from __future__ import annotations

import inspect

import pytest

from tests.cases import NAMED, in_each


def test_wrong_ones_are_named() -> None:
    """All cases are tried, and those that fail are told by name with what was wrong."""
    tried = []

    @in_each(("number", "name"), [(1, "one"), pytest.param(2, "two", id="pair"), (3, "three")])
    def odd(number: int, name: str) -> None:
        tried.append(name)
        assert number % 2, f"{number} is even"

    with pytest.raises(AssertionError, match=r"^1 of 3 cases:\n\[pair\] AssertionError: 2 is even"):
        odd()  # type: ignore[call-arg]
    assert ["one", "two", "three"] == tried


def test_fixtures_stay() -> None:
    """What is no case is still asked of pytest; errors of other kinds are told, too, and not all at length."""

    @in_each("value", range(NAMED + 5), ids=hex)
    def divided(value: int, by: int) -> None:
        assert value // by >= 0

    assert ["by"] == list(inspect.signature(divided).parameters)
    with pytest.raises(AssertionError, match=r"(?s)\[0x0\] ZeroDivisionError.*and 5 more$"):
        divided(by=0)  # type: ignore[call-arg]
    divided(by=1)  # type: ignore[call-arg]


def test_no_cases() -> None:
    """A list that has become empty is noticed."""
    with pytest.raises(AssertionError, match="there are no cases"):
        in_each("value", [])
