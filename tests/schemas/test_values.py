"""What JSON can hold, and what only looks like it."""

from __future__ import annotations

import enum
import json
from typing import Any

import pytest
from hypothesis import given
from im_callback.schemas.values import DEEPEST, foreign, is_plain

from tests.schemas import strategies


class Word(str, enum.Enum):
    """A text that is more than a text."""

    A = "a"


def within(levels: int, inner: Any) -> Any:
    """Return the value within objects within each other."""
    for _ in range(levels):
        inner = {"a": inner}
    return inner


class TestIsPlain:
    """Tests for `is_plain`."""

    @pytest.mark.parametrize(
        ("expected", "value"),
        [
            (True, None),
            (True, True),
            (True, "a"),
            (True, 2**2000 - 1),
            (False, 2**2000),
            (True, 1e308),
            (False, float("nan")),
            (False, float("-inf")),
            (True, {"a": [1, 2.0, None, {}]}),
            (False, {"a": [1, (2,)]}),
            (False, {1: 2}),
            (False, {"a": {None: 1}}),
            (False, Word.A),
            (False, {Word.A: 1}),
            (False, b"a"),
            (True, within(DEEPEST, 1)),
            (False, within(DEEPEST, {})),
            (True, within(DEEPEST - 1, [1])),
            (False, within(DEEPEST, [1])),
        ],
    )
    def test_is_plain(self, expected: bool, value: Any) -> None:
        """Only JSON's own types, and no more than so many levels."""
        assert expected is is_plain(value)

    @given(strategies.documents)
    def test_documents(self, document: Any) -> None:
        """Every document is plain, and nothing in it is foreign."""
        assert is_plain(json.loads(json.dumps(document)))
        assert [] == list(foreign(document))


class TestForeign:
    """Tests for `foreign`."""

    def test_all(self) -> None:
        """Everything that JSON cannot hold, with its place."""
        value = {"a": [1, float("nan")], "b": {2: 3}, "c": {"d": {4}}, "e": Word.A, "f": 2**2000}
        assert [
            (("a", 1), "is nan, which is no number in JSON"),
            (("b",), "has a key of the type int; due is text"),
            (("c", "d"), "is a value of the type set, which JSON does not have"),
        ] == list(foreign(value))

    def test_levels(self) -> None:
        """As many levels as there may be, and one more."""
        assert [] == list(foreign(within(DEEPEST, 1)))
        (found,) = foreign(within(DEEPEST + 1, 1))
        assert (("a",) * DEEPEST, "is nested more than 100 levels deep") == found
