"""The block that a failing check prints, and the lines at the end of a run."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

from conformance.report.exchange import Masking, curl, reply_lines, request_lines
from conformance.run import Settings
from conformance.runner import Outcome
from conformance.verdict import Result, Verdict

WIDTH = 100
SHOWN = 2
"""Exchanges that are printed for one failure."""


def block(result: Result, settings: Settings) -> str:
    """Return what is printed for a check that did not pass."""
    mask = Masking.of(settings)
    lines = [f"{result.id}: {result.title}"]
    lines += _labelled("requirement", f"{result.title} ({result.level.value})")
    lines += _labelled("source", result.source)
    if result.verdict is Verdict.FAIL:
        lines += _labelled("expected", mask(result.expected))
        lines += _labelled("actual", mask(result.actual))
    elif result.verdict is Verdict.HARNESS_ERROR:
        lines += ["our own error, not the receiver's; please report it:", result.reason.rstrip()]
    else:
        lines += _labelled(
            "could not run" if result.verdict is Verdict.COULD_NOT_RUN else "not applicable", mask(result.reason)
        )
        lines += _labelled("do this", mask(result.fix)) if result.fix else []
    for attempt in result.attempts[:SHOWN]:
        lines += ["", f"request ({attempt.shot.note or 'as the provider sends it'}):"]
        lines += _indented(request_lines(attempt.shot.request, mask))
        lines += ["reply:", *_indented(reply_lines(attempt, mask))]
    if result.verdict is Verdict.FAIL:
        lines += ["", *_labelled("why it matters", result.why), *_labelled("usual fix", result.usual_fix)]
        if result.attempts:
            lines += ["", "send it again:", *_indented(curl(result.attempts[0], settings))]
        if result.known:
            lines += _labelled("known failure", mask(result.known))
    return mask("\n".join(lines))


def summary(results: Sequence[Result], outcome: Outcome, settings: Settings) -> list[str]:
    """Return the lines at the end of a run: what could not run and why, and the verdict."""
    mask = Masking.of(settings)
    lines: list[str] = []
    undecided = [one for one in results if one.verdict is Verdict.COULD_NOT_RUN]
    for (reason, fix), ids in _grouped(undecided).items():
        lines.append(f"could not run: {_many(ids)}")
        lines += _indented([f"because {reason}", *([fix] if fix else [])])
    lines += [f"baseline: {problem}" for problem in outcome.problems]
    counts = {verdict: sum(one.verdict is verdict for one in results) for verdict in Verdict}
    counted = ", ".join(f"{count} {verdict.value}" for verdict, count in counts.items() if count)
    lines.append(f"receiver verdict: {outcome.verdict.upper()} ({counted or 'no checks'})")
    if outcome.verdict == "incomplete":
        lines.append(
            "Nothing failed, but not everything could be judged: provide what is missing"
            + ("" if outcome.status == 0 else ", or accept it knowingly with --receiver-allow-incomplete")
        )
    return [mask(line) for line in lines]


def acks_line(milliseconds: dict[str, float]) -> str:
    """Return the ack times as one line."""
    return (
        f"acks: {milliseconds['count']:.0f}, p50 {milliseconds['p50_ms']:.1f} ms, "
        f"p95 {milliseconds['p95_ms']:.1f} ms, max {milliseconds['max_ms']:.1f} ms"
    )


def _grouped(results: Iterable[Result]) -> dict[tuple[str, str], list[str]]:
    groups: dict[tuple[str, str], list[str]] = {}
    for one in results:
        groups.setdefault((one.reason, one.fix), []).append(one.id)
    return groups


def _many(ids: list[str]) -> str:
    return ids[0] if len(ids) == 1 else f"{len(ids)} checks ({', '.join(ids[:3])}{', …' if len(ids) > 3 else ''})"


def _labelled(label: str, text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=f"{label}: ", subsequent_indent="  ") or [f"{label}:"]


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"    {part}" if part else "" for line in lines for part in line.splitlines() or [""]]
