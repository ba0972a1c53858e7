"""What is wrong with a receiver, each thing once and the most important first."""

from __future__ import annotations

from typing import Any

import pytest
from im_callback.conformance.report.causes import causes
from im_callback.conformance.report.result_json import gate
from im_callback.conformance.verdict import Level, Result, Verdict


def failure(name: str, level: str = "should", **more: Any) -> Result:
    """Return a failure of a check that has a repair of its own, unless another is given."""
    given = {"expected": "this", "actual": "that", "usual_fix": f"Mend {name}.", **more}
    return Result(f"acme.family.{name}", f"Title of {name}", Level(level), "Book: page", Verdict.FAIL, **given)


def grouped(*results: Result, lowest: Level = Level.SHOULD) -> list[list[str]]:
    """Return the checks of each cause, without what all ids begin with."""
    return [[one.rpartition(".")[2] for one in cause["checks"]] for cause in causes(results, lowest)]


class TestCauses:
    """Tests for `causes`."""

    @pytest.mark.parametrize(
        ("expected", "first", "second"),
        [
            ([["a", "b"]], {"cause": "doubled"}, {"cause": "doubled"}),
            ([["a", "b"]], {}, {"folded_into": "acme.family.a"}),
            ([["a", "b"]], {"usual_fix": "Hash it."}, {"usual_fix": "Hash it."}),
            ([["a", "b"]], {"usual_fix": "Hash it.", "cause": "doubled"}, {"usual_fix": "Hash it."}),
            ([["a", "b"]], {"cause": "stale"}, {"cause": "removed and back"}),
            (
                [["a"], ["b"]],
                {"usual_fix": "Hash it.", "cause": "doubled"},
                {"usual_fix": "Hash it.", "cause": "lost: x"},
            ),
            ([["a"], ["b"]], {"cause": "lost: x"}, {"cause": "lost: y"}),
            ([["a"], ["b"]], {"cause": "removed and back"}, {"cause": "an older version written last"}),
            ([["a"], ["b"]], {}, {"folded_into": "acme.family.elsewhere"}),
            ([["a"], ["b"]], {}, {}),
        ],
    )
    def test_grouped(self, expected: list[list[str]], first: dict[str, Any], second: dict[str, Any]) -> None:
        """Failures are together that come from the same, or that the same repair mends."""
        assert expected == grouped(failure("a", **first), failure("b", **second))

    def test_chain(self) -> None:
        """A failure that is like two others brings them together."""
        those = [failure("a", cause="stale"), failure("b"), failure("c", cause="stale", folded_into="acme.family.b")]
        assert [["a", "b", "c"]] == grouped(*those)

    def test_each_once(self) -> None:
        """Every failure stands in one cause, and nothing else does."""
        passed = Result("acme.family.fine", "Fine", Level.MUST, "Book: page", Verdict.PASS)
        assert [["a"], ["b"]] == grouped(failure("a"), passed, failure("b"))
        assert [] == causes([passed], Level.MUST)

    def test_order(self) -> None:
        """What fails the run comes first, then what binds more, then what more checks show, then as they ran."""
        those = [
            failure("below", "may"),
            failure("newer", "must", newer=True),
            failure("known", "must", known="ticket 7"),
            failure("one", "should"),
            failure("two", "should", cause="stale"),
            failure("also-two", "should", cause="stale"),
            failure("must", "must"),
        ]
        assert [["must"], ["two", "also-two"], ["one"], ["newer"], ["known"], ["below"]] == grouped(*those)

    def test_preflight_first(self) -> None:
        """Without preflight little else can be judged."""
        early = failure("early", "must")
        early.id = "acme.preflight.early"
        those = [failure("a", "must", cause="x"), failure("b", "must", cause="x"), early]
        assert [["early"], ["a", "b"]] == grouped(*those)

    def test_head(self) -> None:
        """The check that binds most stands for the others, with all that it says; one that is known stands for none."""
        those = [
            failure("weak", "should", cause="x"),
            failure("known", "must", cause="x", known="ticket 7"),
            failure("strong", "must", cause="x", expected="e", actual="a"),
        ]
        assert [
            {
                "id": "acme.family.strong",
                "title": "Title of strong",
                "checks": ["acme.family.strong", "acme.family.weak", "acme.family.known"],
                "level": "must",
                "gated": True,
                "expected": "e",
                "actual": "a",
                "fix": "Mend strong.",
            }
        ] == causes(those, Level.SHOULD)


class TestGate:
    """Tests for `gate`."""

    @pytest.mark.parametrize(
        ("expected", "result"),
        [
            ("failed", failure("a", "should")),
            ("below", failure("a", "may")),
            ("known", failure("a", "must", known="ticket 7")),
            ("known", failure("a", "may", known="ticket 7")),
            ("newer", failure("a", "must", newer=True)),
            ("below", failure("a", "may", newer=True)),
            ("incomplete", Result("a.b.c", "t", Level.MUST, "s", Verdict.COULD_NOT_RUN)),
            ("", Result("a.b.c", "t", Level.MAY, "s", Verdict.COULD_NOT_RUN)),
            ("", Result("a.b.c", "t", Level.MUST, "s", Verdict.COULD_NOT_RUN, newer=True)),
            ("", Result("a.b.c", "t", Level.MUST, "s", Verdict.PASS)),
        ],
    )
    def test_counted(self, expected: str, result: Result) -> None:
        """Each check is counted where it belongs, and nowhere else."""
        found = gate([result], Level.SHOULD)
        assert ["failed", "known", "newer", "below", "incomplete"] == list(found)
        assert {expected: 1} == {name: count for name, count in found.items() if count} or not expected
        assert bool(expected) == any(found.values())
