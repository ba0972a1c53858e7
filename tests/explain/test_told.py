"""What a docstring tells of a check, and how that is drawn."""

from __future__ import annotations

import pytest
from im_callback.conformance.check import Check, all_checks
from im_callback.conformance.explain.drawing import WIDTH, drawn
from im_callback.conformance.explain.told import Kind, Step, Told, steps_in, told_of
from im_callback.conformance.releases import name

NOTHING_SENT = {"deduplication.no-identity", "ordering.no-order"}
"""Checks that only report which event types they cannot judge."""
CHECKS = [pytest.param(one, id=name(one)) for one in all_checks(explored=True) if one.family != "rotation"]


def whole() -> None:
    """What passes.

    A, changed -> refused
    A -> acknowledged -x
    half of A -x
    * killed

    - One way,
      told at length.
    - Another.

    A note, - and no way -
    over two lines.
    """


def prose() -> None:
    """Only this."""


def bare() -> None:
    pass


class TestTold:
    """Tests for `told_of`."""

    def test_whole(self) -> None:
        """Every part is found, and lines are joined."""
        steps = (
            Step(Kind.REQUEST, "A, changed"),
            Step(Kind.ANSWER, "refused"),
            Step(Kind.REQUEST, "A"),
            Step(Kind.ANSWER, "acknowledged", lost=True),
            Step(Kind.REQUEST, "half of A", lost=True),
            Step(Kind.RECEIVER, "killed"),
        )
        ways = ("One way, told at length.", "Another.")
        assert Told("What passes.", steps, ways, ("A note, - and no way - over two lines.",)) == told_of(whole)

    def test_less(self) -> None:
        """A check of a package need tell nothing."""
        assert Told("Only this.", (), (), ()) == told_of(prose)
        assert Told("", (), (), ()) == told_of(bare)

    @pytest.mark.parametrize(
        ("expected", "line"),
        [
            ([Step(Kind.REQUEST, "A")], "A ->"),
            ([Step(Kind.ANSWER, "late")], "-> late"),
            ([Step(Kind.MEANWHILE, "1000 others")], "... 1000 others"),
            ([Step(Kind.EFFECTS, "A once")], "= A once"),
            ([Step(Kind.ANSWER, "gone", lost=True)], "-> gone -x"),
            ([], "A sentence."),
            ([], "An arrow->within"),
        ],
    )
    def test_line(self, expected: list[Step], line: str) -> None:
        """A line is steps, or none."""
        assert expected == steps_in(line)

    @pytest.mark.parametrize("check", CHECKS)
    def test_ours(self, check: Check) -> None:
        """Each of our checks tells what passes, what is sent and how one fails it; each sentence is one."""
        told = told_of(check.function)
        silent = name(check) in NOTHING_SENT
        assert told.passes
        assert silent != bool(told.steps)
        assert silent != bool(told.ways)
        assert silent or check.family == "preflight" or check.remedies
        for sentence in (told.passes, *told.ways, *told.notes):
            assert sentence.endswith("."), sentence
            assert "->" not in sentence, sentence


class TestDrawn:
    """Tests for `drawn`."""

    def test_steps(self) -> None:
        """Each kind of step has a form of its own."""
        expected = """\
provider                                                  receiver
  |-- A, changed --------------------------------------------->|
  |<------------------------------------------------ refused --|
  |-- A ------------------------------------------------------>|
  |            x------------------------------- acknowledged --|
  |-- half of A -----------------------------------x           |
  |                                                   [killed] |
  |   1000 others ...                                          |
  |                                            effects: A once |"""
        steps = [*told_of(whole).steps, *steps_in("... 1000 others"), *steps_in("= A once")]
        assert expected == drawn(steps)

    def test_long(self) -> None:
        """What is too long for an arrow stands above it."""
        lines = drawn([Step(kind, "word " * 30) for kind in Kind]).splitlines()
        assert {WIDTH + 4} == {len(line) for line in lines[1:]}
        assert 150 == sum(line.count("word") for line in lines)

    @pytest.mark.parametrize("check", CHECKS)
    def test_ours(self, check: Check) -> None:
        """What our checks send can be drawn in ASCII, with one line for a step, or two."""
        steps = told_of(check.function).steps
        text = drawn(steps)
        assert text.isascii()
        assert len(text.splitlines()) <= 1 + 2 * len(steps)
