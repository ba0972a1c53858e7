"""The results of a run as JSON; `result.schema.json` beside this file is its schema."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from conformance.report.exchange import Masking, as_json
from conformance.run import Run
from conformance.runner import Outcome
from conformance.verdict import Result

SHOWN = 5
"""Exchanges that are kept for one check."""


def document(run: Run, results: Sequence[Result], outcome: Outcome) -> dict[str, Any]:
    """Return the whole result as data; secrets are masked."""
    mask = Masking.of(run.settings)
    return {
        "provider": run.provider.name,
        "receiver": mask(run.settings.url),
        "seed": run.settings.seed,
        "verdict": outcome.verdict,
        "exit_status": int(outcome.status),
        "versions": {
            "im-callback-conformance": version("im-callback-conformance"),
            "python": platform.python_version(),
        },
        "acks": acks(run),
        "handles": [one.name for one in run.handled],
        "checks": [_check(one, mask) for one in results],
    }


def acks(run: Run) -> dict[str, float]:
    """Return how many valid deliveries were acknowledged, and how fast, in milliseconds."""
    times = sorted(a.reply.seconds * 1000 for a in run.history if a.acked and a.shot.valid)
    return {
        "count": len(times),
        "p50_ms": _percentile(times, 50),
        "p95_ms": _percentile(times, 95),
        "max_ms": _percentile(times, 100),
    }


def _percentile(times: Sequence[float], percent: int) -> float:
    return round(times[-(-len(times) * percent // 100) - 1], 3) if times else 0.0


def _check(result: Result, mask: Masking) -> dict[str, Any]:
    return {
        "id": result.id,
        "title": result.title,
        "level": result.level.value,
        "verdict": result.verdict.value,
        "source": result.source,
        "expected": mask(result.expected),
        "actual": mask(result.actual),
        "reason": mask(result.known or result.reason),
        "seconds": round(result.seconds, 3),
        "exchanges": [as_json(attempt, mask) for attempt in result.attempts[:SHOWN]],
    }
