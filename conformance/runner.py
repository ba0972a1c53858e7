"""Runs checks and turns what happens into results; knows nothing of pytest."""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import partial

from im_callback.conformance import releases
from im_callback.conformance.around.command import Receiver
from im_callback.conformance.around.moments import Moment
from im_callback.conformance.around.surroundings import MISSING
from im_callback.conformance.check import Check
from im_callback.conformance.judge import AmbiguousRecord
from im_callback.conformance.overlap import Task
from im_callback.conformance.preflight import Preflight
from im_callback.conformance.run import Run
from im_callback.conformance.verdict import CouldNotRun, Failed, Gone, Level, NotApplicable, Result, Verdict
from im_callback.provider_mock.contract import Feed


class ExitStatus(IntEnum):
    """What a run exits with."""

    PASSED = 0
    FAILED = 1
    OUR_ERROR = 3
    BAD_OPTIONS = 4
    INCOMPLETE = 8


def blank(check: Check, run: Run, feed: Feed | None = None) -> Result:
    """Return the result of a check before it has run; it passes until something is found."""
    feeds = (feed,) if feed is not None else run.feeds
    level = check.level_among(feeds)
    assert level is not None
    pinned = run.settings.pinned
    return Result(
        id=check.id(run.provider),
        title=check.title,
        level=level,
        source=check.source(check.among(feeds)[0]),
        verdict=Verdict.PASS,
        why=check.why,
        usual_fix=check.fix,
        newer=pinned is not None and releases.ours(check) and releases.name(check) not in pinned,
    )


def run_check(check: Check, run: Run) -> Result:
    """Return what a check comes to, at each feed where it holds. Only keyboard interrupts and the like get out of it."""
    results = [(feed, _at_feed(check, run, feed)) for feed in check.among(run.feeds)]
    assert results, f"{check.slug} holds at none of {run.feeds}"
    if len(results) == 1 and not run.several:
        return results[0][1]
    feed, worst = min(
        results, key=lambda one: _WORST.index(one[1].verdict) * len(Level) + list(Level).index(one[1].level)
    )
    for name in ("actual", "reason"):
        if (said := getattr(worst, name)) and worst.verdict is not Verdict.HARNESS_ERROR:
            setattr(worst, name, f"{feed.name}: {said}")
    others = [other.name for other, one in results if one.verdict is worst.verdict and other is not feed]
    if worst.verdict is Verdict.FAIL and others:
        worst.actual += f" (it fails for {' and '.join(others)} too)"
    worst.seconds = sum(one.seconds for _, one in results)
    return worst


_WORST = (Verdict.HARNESS_ERROR, Verdict.FAIL, Verdict.COULD_NOT_RUN, Verdict.PASS, Verdict.NOT_APPLICABLE)


def _at_feed(check: Check, run: Run, feed: Feed) -> Result:
    result = blank(check, run, feed)
    # What only a newer check sends cannot fail one that the run is pinned to.
    run = run.at(feed, result.id, Level.MAY if result.newer else result.level)
    started = time.monotonic()
    try:
        if not run.given(check.option):
            raise NotApplicable(MISSING[check.option])
        if not check.preflight:
            Preflight(run).require(effects=check.effects)
        result.reason = check.function(run) or ""
    except Failed as failed:
        result.verdict = Verdict.FAIL
        # No failure without an exchange, where anything was sent.
        result.attempts = failed.attempts or tuple(run.sent.last) or tuple(run.found.attempts[-1:])
        result.expected, result.actual = failed.expected, failed.actual
        result.usual_fix = failed.fix or result.usual_fix
        result.cause, result.details, result.records = failed.cause, failed.details, failed.records
        if check.alone:
            result.moments = _moments(run, failed)
        if run.receiver is not None:
            result.log = _log(check, run.receiver, failed, started)
        run.sent.blame()
        if isinstance(failed, Gone):
            run.shared.gone = result.id
    except CouldNotRun as stopped:
        result.verdict, result.attempts = Verdict.COULD_NOT_RUN, stopped.attempts
        result.reason, result.fix = stopped.reason, stopped.fix
    except AmbiguousRecord as unclear:
        result.verdict, result.reason, result.fix = Verdict.COULD_NOT_RUN, str(unclear), unclear.fix
    except NotApplicable as passed_over:
        result.verdict, result.reason = Verdict.NOT_APPLICABLE, passed_over.reason
    except Exception:  # noqa: BLE001  whatever else goes wrong in a check is our own fault, never the receiver's
        result.verdict, result.reason = Verdict.HARNESS_ERROR, traceback.format_exc()
        result.attempts = tuple(run.sent.last)
    result.seconds = time.monotonic() - started
    return result


def _moments(run: Run, failed: Failed) -> tuple[Moment, ...]:
    """Return what happened around the receiver since the first of a failure's attempts."""
    first = min((attempt.sent_at for attempt in failed.attempts), default=0)
    found = [*(run.receiver.moments if run.receiver else ()), *(run.downstream.moments if run.downstream else ())]
    return tuple(one for one in sorted(found) if first and one.millis >= first)


def _log(check: Check, receiver: Receiver, failed: Failed, started: float) -> tuple[str, ...]:
    """Return what the receiver printed about a failure: meanwhile, or where other checks are under way, just then."""
    if check.preflight:
        return receiver.log.around((), 0.0)
    return receiver.log.around(() if check.alone else failed.attempts, started)


def task(check: Check, run: Run) -> Task[str, Result]:
    """Return the check as what can wait while others go on, under its id.

    What looks back needs the whole run behind it. Where events share accounts or fields, what one check
    delivers would be news to another.
    """
    alone = check.preflight or check.alone or run.settings.meeting
    return Task(check.id(run.provider), partial(run_check, check, run), alone, check.last)


def fold(result: Result, run: Run) -> None:
    """Note in a failure which other one has shown the cause already; one that binds less cannot stand for it.

    Results are given in the order in which they are reported.
    """
    if not result.cause:
        return
    head, level = run.causes.get(result.cause, ("", result.level))
    if head and level.gates(result.level):
        result.folded_into = head
    elif not result.newer:
        run.causes[result.cause] = (result.id, result.level)


@dataclass(slots=True)
class Conclusion:
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
) -> Conclusion:
    """Return the verdict over all results.

    Failures named in the baseline do not fail the run; an entry whose check passes, or that
    names no check, does. A run in which no gated check passed or failed is never green.
    """
    gated = [one for one in results if one.level.gates(lowest) and not one.newer]
    for result in results:
        if result.verdict is Verdict.FAIL and result.id in baseline:
            result.known = baseline[result.id]
    problems = baseline_problems(results, baseline, known_ids)
    if any(one.verdict is Verdict.HARNESS_ERROR for one in results):
        return Conclusion("error", ExitStatus.OUR_ERROR, problems)
    if problems or any(one.verdict is Verdict.FAIL and not one.known for one in gated):
        return Conclusion("fail", ExitStatus.FAILED, problems)
    decided = any(one.verdict in (Verdict.PASS, Verdict.FAIL) for one in gated)
    if not decided or any(one.verdict is Verdict.COULD_NOT_RUN for one in gated):
        # Where nothing at all was found out there is nothing to accept: nobody may have been listening.
        return Conclusion("incomplete", ExitStatus.PASSED if allow_incomplete and decided else ExitStatus.INCOMPLETE)
    return Conclusion("pass", ExitStatus.PASSED)


def baseline_problems(results: Sequence[Result], baseline: Mapping[str, str], known_ids: Iterable[str]) -> list[str]:
    """Return what is wrong with the baseline's entries: checks that pass again, and names of no check."""
    known = set(known_ids)
    passed = {one.id for one in results if one.verdict is Verdict.PASS}
    return [
        f"{name}: no check has this id" if name not in known else f"{name}: it passes again; take it out"
        for name in baseline
        if name not in known or name in passed
    ]
