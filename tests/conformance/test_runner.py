"""From what happens in a check to its result, and from results to the verdict and the exit status."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from im_callback.conformance.check import Check
from im_callback.conformance.judge import AmbiguousRecord, Occurrence
from im_callback.conformance.run import Run
from im_callback.conformance.runner import ExitStatus, baseline_problems, conclude, fold, run_check
from im_callback.conformance.settings import Settings
from im_callback.conformance.verdict import CouldNotRun, Failed, Level, NotApplicable, Result, Verdict
from im_callback.provider_mock import providers

from tests.conformance.little_server import unused_url

PASS, FAIL, CNR, NA, ERROR = (
    Verdict.PASS,
    Verdict.FAIL,
    Verdict.COULD_NOT_RUN,
    Verdict.NOT_APPLICABLE,
    Verdict.HARNESS_ERROR,
)
MUST, SHOULD, MAY = Level


def results(*those: tuple[Verdict, Level]) -> list[Result]:
    """Return results a, b, c, … with these verdicts and levels."""
    return [Result(name, name, level, "source", verdict) for name, (verdict, level) in zip("abcdef", those)]  # noqa: B905


class TestConclude:
    """Tests for `conclude`."""

    @pytest.mark.parametrize(
        ("expected", "level", "those"),
        [
            (("pass", 0), MAY, [(PASS, MUST)]),
            (("pass", 0), MUST, [(PASS, MUST), (FAIL, SHOULD), (FAIL, MAY)]),
            (("fail", 1), SHOULD, [(PASS, MUST), (FAIL, SHOULD)]),
            (("pass", 0), SHOULD, [(PASS, MUST), (FAIL, MAY)]),
            (("fail", 1), MAY, [(PASS, MUST), (FAIL, MAY)]),
            (("fail", 1), MUST, [(FAIL, MUST), (CNR, MUST)]),
            (("incomplete", 8), MUST, [(PASS, MUST), (CNR, MUST)]),
            (("pass", 0), MUST, [(PASS, MUST), (CNR, SHOULD)]),
            (("incomplete", 8), SHOULD, [(PASS, MUST), (CNR, SHOULD)]),
            (("pass", 0), SHOULD, [(PASS, MUST), (NA, MUST)]),
            (("error", 3), MUST, [(PASS, MUST), (ERROR, MAY)]),
            (("error", 3), MUST, [(FAIL, MUST), (ERROR, MUST)]),
            # Nothing in the gate was found out: never green.
            (("incomplete", 8), SHOULD, []),
            (("incomplete", 8), SHOULD, [(NA, MUST), (NA, SHOULD)]),
            (("incomplete", 8), SHOULD, [(CNR, MUST)]),
            (("incomplete", 8), MUST, [(PASS, SHOULD), (PASS, MAY)]),
            (("incomplete", 8), MUST, [(FAIL, MAY), (NA, MUST)]),
        ],
    )
    def test_table(self, expected: tuple[str, int], level: Level, those: list[tuple[Verdict, Level]]) -> None:
        """The verdict over all results at a level."""
        outcome = conclude(results(*those), level, {}, "abcdef")
        assert expected == (outcome.verdict, outcome.status)

    @pytest.mark.parametrize(
        ("expected", "those"),
        [
            (("incomplete", 0), [(PASS, MUST), (CNR, MUST)]),
            (("fail", 1), [(FAIL, MUST), (CNR, MUST)]),
            (("error", 3), [(ERROR, MUST), (CNR, MUST)]),
            (("pass", 0), [(PASS, MUST)]),
            # There is nothing to accept where nothing at all was found out.
            (("incomplete", 8), [(CNR, MUST), (CNR, MUST)]),
            (("incomplete", 8), [(CNR, MUST), (PASS, MAY)]),
            (("incomplete", 8), [(NA, MUST)]),
            (("incomplete", 8), []),
        ],
    )
    def test_allow_incomplete(self, expected: tuple[str, int], those: list[tuple[Verdict, Level]]) -> None:
        """What could not run is accepted, but only beside something that was found out."""
        outcome = conclude(results(*those), SHOULD, {}, "abcdef", allow_incomplete=True)
        assert expected == (outcome.verdict, outcome.status)

    @pytest.mark.parametrize(
        ("expected", "baseline", "those"),
        [
            (("pass", 0), {"b": "known"}, [(PASS, MUST), (FAIL, MUST)]),
            (("pass", 0), {"a": "known"}, [(FAIL, MUST)]),
            (("fail", 1), {"b": "known"}, [(PASS, MUST), (FAIL, MUST), (FAIL, MUST)]),
            (("fail", 1), {"a": "known"}, [(PASS, MUST)]),
            (("fail", 1), {"a": "known"}, [(PASS, MAY), (PASS, MUST)]),
            (("fail", 1), {"zz": "no such check"}, [(PASS, MUST)]),
            (("error", 3), {"zz": "no such check"}, [(PASS, MUST), (ERROR, MUST)]),
            # Not run in this run: nothing is known of it, and nothing is wrong with it.
            (("pass", 0), {"f": "known"}, [(PASS, MUST)]),
            (("pass", 0), {"b": "known"}, [(PASS, MUST), (NA, MUST)]),
            (("incomplete", 8), {"b": "known"}, [(PASS, MUST), (CNR, MUST)]),
        ],
    )
    def test_baseline(
        self, expected: tuple[str, int], baseline: dict[str, str], those: list[tuple[Verdict, Level]]
    ) -> None:
        """A known failure does not fail the run; an entry that passes again, or names no check, does."""
        outcome = conclude(results(*those), SHOULD, baseline, "abcdef")
        assert expected == (outcome.verdict, outcome.status)

    def test_known(self) -> None:
        """A known failure carries the baseline's reason; nothing else does."""
        those = results((FAIL, MUST), (PASS, MUST), (FAIL, MAY))
        conclude(those, SHOULD, {"a": "ticket 7", "b": "stale"}, "abcdef")
        assert ["ticket 7", "", ""] == [one.known for one in those]

    def test_problems(self) -> None:
        """Each entry that is wrong is named, with what to do."""
        baseline = {"a": "x", "b": "x", "zz": "x"}
        assert ["b: it passes again; take it out", "zz: no check has this id"] == baseline_problems(
            results((FAIL, MUST), (PASS, MUST)), baseline, "ab"
        )

    def test_statuses(self) -> None:
        """The exit statuses are the documented ones."""
        assert [0, 1, 3, 4, 8] == [int(status) for status in ExitStatus]


class TestGates:
    """Tests for `Level.gates`."""

    def test_table(self) -> None:
        """A level fails a run whose lowest failing level is not above it."""
        table = {(one, lowest): one.gates(lowest) for one in Level for lowest in Level}
        assert {(MUST, MUST), (MUST, SHOULD), (MUST, MAY), (SHOULD, SHOULD), (SHOULD, MAY), (MAY, MAY)} == {
            pair for pair, gates in table.items() if gates
        }


def a_run() -> Run:
    """Return a run against nobody."""
    provider = providers.load("commsease")
    return Run(Settings(unused_url(), provider, provider.defaults, seed=1, settle=0))


def a_check(function: Callable[[Run], None], *, preflight: bool = True, effects: bool = False) -> Check:
    """Return a check with this function."""
    return Check(function, "family", "slug", "Title", MUST, "ack", "why", "fix", effects=effects, preflight=preflight)


def raising(error: BaseException) -> Callable[[Run], None]:
    """Return a check function that ends with this error."""

    def function(run: Run) -> None:
        raise error

    return function


class TestRunCheck:
    """Tests for `run_check`."""

    def test_pass(self) -> None:
        """A check that returns has passed; the result says all that is known of it."""
        result = run_check(a_check(lambda run: None), a_run())
        assert Verdict.PASS is result.verdict
        assert ("commsease.family.slug", "Title", MUST, "why", "fix") == (
            result.id,
            result.title,
            result.level,
            result.why,
            result.usual_fix,
        )
        assert "Asynchronous mechanism" in result.source
        assert 0 <= result.seconds < 5

    @pytest.mark.parametrize(
        ("expected", "error"),
        [
            ((FAIL, "due", "got", "", ""), Failed("due", "got")),
            ((CNR, "", "", "no effects", "give them"), CouldNotRun("no effects", "give them")),
            ((CNR, "", "", "no effects", ""), CouldNotRun("no effects")),
            ((NA, "", "", "not recorded", ""), NotApplicable("not recorded")),
        ],
    )
    def test_ended(self, expected: tuple[Any, ...], error: Exception) -> None:
        """Each way to end a check has its verdict and its words."""
        result = run_check(a_check(raising(error)), a_run())
        assert expected == (result.verdict, result.expected, result.actual, result.reason, result.fix)

    def test_ambiguous(self) -> None:
        """Records that could stand for several events leave the check undecided, and say what they lack."""
        unclear = AmbiguousRecord(Occurrence("commsease.login", ("2", "ann")), {"accid": "ann"})
        result = run_check(a_check(raising(unclear)), a_run())
        assert CNR is result.verdict
        assert "fields accid" in result.reason
        assert "identity fields" in result.fix

    @pytest.mark.parametrize("error", [ValueError("x"), AssertionError("x"), KeyError("x"), RecursionError("x")])
    def test_our_error(self, error: Exception) -> None:
        """Anything else is our own error, with its trace and the last request of the check."""

        def function(run: Run) -> None:
            run.deliver(run.event())
            raise error

        run = a_run()
        result = run_check(a_check(function), run)
        assert ERROR is result.verdict
        assert f"{type(error).__name__}: " in result.reason
        assert "Traceback" in result.reason
        assert tuple(run.history) == result.attempts

    @pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)])
    def test_interrupted(self, error: BaseException) -> None:
        """Whoever wants to stop is not held up."""
        with pytest.raises(type(error)):
            run_check(a_check(raising(error)), a_run())

    def test_attempts(self) -> None:
        """The exchanges that show a failure are kept."""
        run = a_run()
        attempt = run.deliver(run.event())
        assert (attempt,) == run_check(a_check(raising(Failed("due", "got", [attempt]))), run).attempts
        assert (attempt,) == run_check(a_check(raising(CouldNotRun("why", "fix", [attempt]))), run).attempts

    def test_preflight_first(self) -> None:
        """A check of anything else could not run where nobody answers, and does not begin."""
        begun: list[Run] = []
        result = run_check(a_check(begun.append, preflight=False), a_run())
        assert CNR is result.verdict
        assert [] == begun
        assert "preflight.reachable failed: unreachable: " in result.reason

    def test_no_level(self) -> None:
        """A check that does not hold at the feed is never run."""
        check = replace(a_check(lambda run: None), needs=lambda feed: feed.batches)
        with pytest.raises(AssertionError):
            run_check(check, a_run())


class TestFolded:
    """Failures with one cause are one fault."""

    @pytest.mark.parametrize(
        ("expected", "causes"),
        [
            (["", "a"], ["x", "x"]),
            (["", ""], ["x", "y"]),
            # What has no cause of its own is folded into nothing.
            (["", ""], ["", ""]),
            (["", "a", "a"], ["x", "x", "x"]),
            (["", "", "a", "b"], ["x", "y", "x", "y"]),
        ],
    )
    def test_table(self, expected: list[str], causes: list[str]) -> None:
        """A failure is folded into the first that has shown its cause."""
        assert expected == folded([(cause, MUST) for cause in causes])

    def test_levels(self) -> None:
        """One that binds less cannot stand for one that binds more, which stands for what follows."""
        assert ["", "", "b"] == folded([("x", SHOULD), ("x", MUST), ("x", MAY)])
        assert ["", "a"] == folded([("x", MUST), ("x", MAY)])


def folded(failures: list[tuple[str, Level]]) -> list[str]:
    """Return which of the checks a, b, … each failure is folded into."""
    provider = providers.load("tencent")
    run = Run(Settings(unused_url(), provider, provider.defaults, seed=1))
    found = []
    for name, (cause, level) in zip("abcdef", failures):  # noqa: B905

        def fail(run: Run, cause: str = cause) -> None:
            raise Failed("due", "done", cause=cause)

        check = Check(fail, "family", name, name, level, "transport", "why", "fix", preflight=True)
        result = run_check(check, run)
        fold(result, run)
        found.append(result.folded_into.rpartition(".")[2])
    return found
