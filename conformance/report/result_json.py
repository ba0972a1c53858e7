"""The results of a run as JSON; `result.schema.json` beside this file is its schema."""

from __future__ import annotations

import platform
from bisect import bisect_right
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from im_callback.conformance.preflight import handles
from im_callback.conformance.report import log_lines
from im_callback.conformance.report.curl import sequence
from im_callback.conformance.report.exchange import as_json
from im_callback.conformance.report.masking import Masking
from im_callback.conformance.report.visible import shown
from im_callback.conformance.run import Run
from im_callback.conformance.runner import Conclusion
from im_callback.conformance.verdict import Result, Verdict

BOUNDS_MS = tuple(digit * 10**power for power in range(5) for digit in (1, 2, 5))
"""Bounds between which acknowledgement times are counted; no provider waits as long as the last."""
SHOWN = 50
"""Exchanges that are kept for one check."""


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
        "feeds": [feed.name for feed in run.feeds],
        "receiver": run.settings.url,
        "seed": run.settings.seed,
        "verdict": conclusion.verdict,
        "exit_status": int(conclusion.status),
        "versions": {
            "im-callback-conformance": version("im-callback-conformance"),
            "python": platform.python_version(),
        },
        "began": min((attempt.sent_at for attempt in run.history), default=None),
        "acks": acks(run),
        "handles": handles(run),
        "notes": list(run.notes),
        "checks": [_check(one, run, mask) for one in results],
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
        "timeline": list(result.details),
        "newer": result.newer,
        "exchanges_left_out": max(0, len(attempts) - SHOWN),
        "log": log_lines.shown(result.log, mask, log_lines.KEPT) if failed else [],
        "send_again": "\n".join(sequence(attempts, run.settings, SHOWN)) if failed and attempts else "",
    }
    return {
        "id": result.id,
        "title": result.title,
        "level": result.level.value,
        "verdict": result.verdict.value,
        "source": result.source,
        "expected": result.expected,
        "actual": result.actual,
        "reason": result.known or result.reason,
        "seconds": round(result.seconds, 3),
        "exchanges": [as_json(attempt, mask, run) for attempt in attempts[:SHOWN]],
        **{name: value for name, value in optional.items() if value},
    }
