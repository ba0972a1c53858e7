"""Runs checks and turns what happens into results; knows nothing of pytest."""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from conformance.check import Check
from conformance.judge import AmbiguousRecord
from conformance.run import Run
from conformance.verdict import CouldNotRun, Failed, Level, NotApplicable, Result, Verdict


class ExitStatus(IntEnum):
    """What a run exits with."""

    PASSED = 0
    FAILED = 1
    OUR_ERROR = 3
    BAD_OPTIONS = 4
    INCOMPLETE = 8


def blank(check: Check, run: Run) -> Result:
    """Return the result of a check before it has run; it passes until something is found."""
    level = check.level(run.provider)
    assert level is not None
    return Result(
        id=check.id(run.provider),
        title=check.title,
        level=level,
        source=check.source(run.provider),
        verdict=Verdict.PASS,
        why=check.why,
        usual_fix=check.fix,
    )


def run_check(check: Check, run: Run) -> Result:
    """Return what a check comes to. Only keyboard interrupts and the like get out of it."""
    result = blank(check, run)
    started = time.monotonic()
    mark = len(run.history)
    try:
        run.binding = result.level
        if not check.preflight:
            run.preflight.require(effects=check.effects)
        check.function(run)
    except Failed as failed:
        result.verdict, result.attempts = Verdict.FAIL, failed.attempts
        result.expected, result.actual = failed.expected, failed.actual
    except CouldNotRun as stopped:
        result.verdict, result.attempts = Verdict.COULD_NOT_RUN, stopped.attempts
        result.reason, result.fix = stopped.reason, stopped.fix
    except AmbiguousRecord as unclear:
        result.verdict, result.reason, result.fix = Verdict.COULD_NOT_RUN, str(unclear), unclear.fix
    except NotApplicable as passed_over:
        result.verdict, result.reason = Verdict.NOT_APPLICABLE, passed_over.reason
    except Exception:  # noqa: BLE001  whatever else goes wrong in a check is our own fault, never the receiver's
        result.verdict, result.reason = Verdict.HARNESS_ERROR, traceback.format_exc()
        result.attempts = tuple(run.history.since(mark)[-1:])
    result.seconds = time.monotonic() - started
    return result


@dataclass(slots=True)
class Outcome:
    """What a whole run came to, and why it exits as it does."""

    verdict: str
    status: ExitStatus
    problems: list[str] = field(default_factory=list)


def conclude(
    results: Sequence[Result],
    lowest: Level,
    baseline: Mapping[str, str],
    known_ids: Iterable[str],
    *,
    allow_incomplete: bool = False,
) -> Outcome:
    """Return the verdict over all results.

    Failures named in the baseline do not fail the run; an entry whose check passes, or that
    names no check, does. A run in which no gated check passed or failed is never green.
    """
    gated = [one for one in results if one.level.gates(lowest)]
    for result in results:
        if result.verdict is Verdict.FAIL and result.id in baseline:
            result.known = baseline[result.id]
    problems = baseline_problems(results, baseline, known_ids)
    if any(one.verdict is Verdict.HARNESS_ERROR for one in results):
        return Outcome("error", ExitStatus.OUR_ERROR, problems)
    if problems or any(one.verdict is Verdict.FAIL and not one.known for one in gated):
        return Outcome("fail", ExitStatus.FAILED, problems)
    decided = any(one.verdict in (Verdict.PASS, Verdict.FAIL) for one in gated)
    if not decided or any(one.verdict is Verdict.COULD_NOT_RUN for one in gated):
        # Where nothing at all was found out there is nothing to accept: nobody may have been listening.
        return Outcome("incomplete", ExitStatus.PASSED if allow_incomplete and decided else ExitStatus.INCOMPLETE)
    return Outcome("pass", ExitStatus.PASSED)


def baseline_problems(results: Sequence[Result], baseline: Mapping[str, str], known_ids: Iterable[str]) -> list[str]:
    """Return what is wrong with the baseline's entries: checks that pass again, and names of no check."""
    known = set(known_ids)
    passed = {one.id for one in results if one.verdict is Verdict.PASS}
    return [
        f"{name}: no check has this id" if name not in known else f"{name}: it passes again; take it out"
        for name in baseline
        if name not in known or name in passed
    ]
