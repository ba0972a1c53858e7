"""The results of a run as JSON; `result.schema.json` beside this file is its schema."""

from __future__ import annotations

import platform
from bisect import bisect_right
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from im_callback.conformance.preflight import handles
from im_callback.conformance.report import log_lines
from im_callback.conformance.report.causes import causes, fails
from im_callback.conformance.report.curl import sequence
from im_callback.conformance.report.exchange import as_json
from im_callback.conformance.report.masking import Masking
from im_callback.conformance.report.record import short
from im_callback.conformance.report.steps import steps
from im_callback.conformance.report.visible import shown
from im_callback.conformance.run import Run
from im_callback.conformance.runner import Conclusion
from im_callback.conformance.verdict import Level, Result, Verdict

BOUNDS_MS = tuple(digit * 10**power for power in range(6) for digit in (1, 2, 5))
"""Bounds between which acknowledgement times are counted; no provider waits as long as the last."""
SHOWN = 50
"""Exchanges that are kept for one check."""
RECORDS = 8
"""Records that are kept for one check."""


def document(
    run: Run, results: Sequence[Result], conclusion: Conclusion, mask: Masking | None = None
) -> dict[str, Any]:
    """Return the whole result as data; secrets are masked, and control characters are escapes."""
    mask = mask or Masking.of(run.settings)
    result: dict[str, Any] = shown(_document(run, results, conclusion, mask), mask)
    return result


def _document(run: Run, results: Sequence[Result], conclusion: Conclusion, mask: Masking) -> dict[str, Any]:
    return {
        "provider": run.provider.name,
        "app_key": run.settings.credentials.app_key,
        "feeds": [feed.name for feed in run.feeds],
        "receiver": run.settings.url,
        "seed": run.settings.seed,
        "run": run.settings.tag,
        "level": run.settings.level.value,
        "settle": run.settings.settle,
        "verdict": conclusion.verdict,
        "exit_status": int(conclusion.status),
        "gate": gate(results, run.settings.level),
        "versions": {
            "im-callback-conformance": version("im-callback-conformance"),
            "python": platform.python_version(),
        },
        "began": min((attempt.sent_at for attempt in run.history), default=None),
        "acks": acks(run),
        "handles": handles(run),
        "pinned": run.settings.handles is not None,
        "notes": list(run.notes),
        "baseline": list(conclusion.problems),
        "causes": causes(results, run.settings.level),
        "checks": [_check(one, run, mask) for one in results],
    }


def gate(results: Sequence[Result], lowest: Level) -> dict[str, int]:
    """Return how many checks failed the run and how many did not, by why they did not, and how many are missing."""
    failed = [one for one in results if one.verdict is Verdict.FAIL]
    gated = [one for one in failed if one.level.gates(lowest)]
    return {
        "failed": sum(fails(one, lowest) for one in failed),
        "known": sum(bool(one.known) for one in failed),
        "newer": sum(one.newer and not one.known for one in gated),
        "below": sum(not (one.known or one.level.gates(lowest)) for one in failed),
        "incomplete": sum(
            one.verdict is Verdict.COULD_NOT_RUN and one.level.gates(lowest) and not one.newer for one in results
        ),
    }


def acks(run: Run) -> dict[str, Any]:
    """Return how many valid deliveries were acknowledged, and how fast, in milliseconds; buckets end at a bound each."""
    times = sorted(a.reply.seconds * 1000 for a in run.history if a.acked and a.shot.valid and run.sent.counts(a))
    return {
        "count": len(times),
        "p50_ms": _percentile(times, 50),
        "p95_ms": _percentile(times, 95),
        "max_ms": _percentile(times, 100),
        "deadline_ms": round(min(feed.deadline for feed in run.feeds) * 1000),
        "buckets": _buckets(times),
    }


def _buckets(times: Sequence[float]) -> list[dict[str, float]]:
    """Return how many of the sorted times lie up to each bound, and above the one before."""
    if not times:
        return []
    last = next((at for at, bound in enumerate(BOUNDS_MS) if times[-1] <= bound), len(BOUNDS_MS))
    ends = [bisect_right(times, bound) for bound in BOUNDS_MS[: last + 1]]
    return [
        {"up_to_ms": bound, "count": end - start}
        for bound, start, end in zip(BOUNDS_MS, (0, *ends), ends, strict=False)
    ]


def _percentile(times: Sequence[float], percent: int) -> float:
    return round(times[-(-len(times) * percent // 100) - 1], 3) if times else 0.0


def _check(result: Result, run: Run, mask: Masking) -> dict[str, Any]:
    attempts = result.attempts
    failed = result.verdict is Verdict.FAIL
    optional: dict[str, Any] = {
        "folded_into": result.folded_into,
        "known": bool(result.known),
        "timeline": list(result.details) or (steps(attempts, result.moments) if result.moments else []),
        "newer": result.newer,
        "records": [{"what": what, "record": short(record, mask)} for what, record in result.records[:RECORDS]],
        "exchanges_left_out": max(0, len(attempts) - SHOWN),
        "log": log_lines.shown(result.log, mask, log_lines.KEPT) if failed else [],
        "send_again": "\n".join(sequence(attempts, run.settings, SHOWN)) if failed and attempts else "",
    }
    return {
        "id": result.id,
        "title": result.title,
        "level": result.level.value,
        "gated": result.level.gates(run.settings.level) and not result.newer,
        "verdict": result.verdict.value,
        "source": result.source,
        "expected": result.expected,
        "actual": result.actual,
        "reason": result.known or result.reason,
        "why": result.why,
        "fix": result.fix if result.verdict is Verdict.COULD_NOT_RUN else result.usual_fix,
        "seconds": round(result.seconds, 3),
        "exchanges": [as_json(attempt, mask, run) for attempt in attempts[:SHOWN]],
        **{name: value for name, value in optional.items() if value},
    }
