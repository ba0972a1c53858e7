"""The block that a failing check prints, and the lines at the end of a run."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

from im_callback.conformance.report.curl import sequence
from im_callback.conformance.report.exchange import reply_lines, request_lines
from im_callback.conformance.report.log_lines import PRINTED, shown
from im_callback.conformance.report.masking import Masking
from im_callback.conformance.report.visible import visible
from im_callback.conformance.runner import Conclusion
from im_callback.conformance.settings import Settings
from im_callback.conformance.verdict import Level, Result, Verdict
from im_callback.provider_mock.history import Attempt

WIDTH = 100
SHOWN = 4
"""Exchanges that are printed for one failure; the others are named by their notes."""
SENT_AGAIN = 8
"""Different requests that are printed as shell lines."""
NAMED = 40
"""Exchanges that are named by their notes."""


def block(result: Result, settings: Settings, mask: Masking | None = None) -> str:
    """Return what is printed for a check that did not pass."""
    mask = mask or Masking.of(settings)
    lines = [f"{result.id}: {result.title}"]
    lines += _labelled("requirement", f"{result.title} ({result.level.value})")
    lines += _labelled("source", result.source)
    if result.verdict is Verdict.FAIL:
        lines += _labelled("expected", mask(result.expected))
        lines += _labelled("actual", mask(result.actual))
        lines += _indented(map(mask, result.details))
    elif result.verdict is Verdict.HARNESS_ERROR:
        lines += ["our own error, not the receiver's; please report it:", mask(result.reason.rstrip())]
    else:
        lines += _labelled(
            "could not run" if result.verdict is Verdict.COULD_NOT_RUN else "not applicable", mask(result.reason)
        )
        lines += _labelled("do this", mask(result.fix)) if result.fix else []
    for attempt in result.attempts[:SHOWN]:
        lines += ["", f"request ({_note(attempt)}):"]
        lines += _indented(request_lines(attempt.shot.request, mask))
        lines += ["reply:", *_indented(reply_lines(attempt, mask))]
    if others := _others(result.attempts[SHOWN:]):
        lines += ["", *_labelled("and", mask(others))]
    if result.log:
        lines += ["", "the receiver printed meanwhile:", *_indented(shown(result.log, mask, PRINTED))]
    if result.verdict is Verdict.FAIL:
        lines += ["", *_labelled("why it matters", result.why), *_labelled("usual fix", mask(result.usual_fix))]
        if result.attempts:
            shell = sequence(result.attempts, settings, SENT_AGAIN)
            lines += ["", "send it again:", *_indented(map(mask, shell))]
        if result.known:
            lines += _labelled("known failure", mask(result.known))
    return "\n".join(map(visible, lines))


def folded(result: Result) -> str:
    """Return the two lines for a failure whose cause another one shows first."""
    return visible(f"{result.id}: {result.title}\n    same cause as {result.folded_into}")


def summary(
    results: Sequence[Result], conclusion: Conclusion, settings: Settings, mask: Masking | None = None
) -> list[str]:
    """Return the lines at the end of a run: what failed and could not run, and the verdict."""
    mask = mask or Masking.of(settings)
    lines = failures(results)
    undecided = [one for one in results if one.verdict is Verdict.COULD_NOT_RUN]
    for (reason, fix), ids in _grouped(undecided).items():
        lines.append(f"could not run: {_many(ids)}")
        lines += _indented([f"because {reason}", *([fix] if fix else [])])
    lines += [f"baseline: {problem}" for problem in conclusion.problems]
    counts = {verdict: sum(one.verdict is verdict for one in results) for verdict in Verdict}
    counted = ", ".join(f"{count} {verdict.value}" for verdict, count in counts.items() if count)
    lines.append(f"receiver verdict: {conclusion.verdict.upper()} ({counted or 'no checks'})")
    if conclusion.verdict == "incomplete":
        lines.append(
            "Nothing failed, but not everything could be judged: provide what is missing"
            + ("" if conclusion.status == 0 else ", or accept it knowingly with --receiver-allow-incomplete")
        )
    return [visible(mask(line)) for line in lines]


def failures(results: Sequence[Result]) -> list[str]:
    """Return the failures, the most binding first, each with those that come from the same cause under it."""
    failed = [one for one in results if one.verdict is Verdict.FAIL]
    ids = {one.id for one in failed}
    heads = [one for one in failed if one.folded_into not in ids]
    lines: list[str] = []
    for head in sorted(heads, key=lambda one: list(Level).index(one.level)):
        known = " (known)" if head.known else " (newer than --receiver-checks-as-of)" if head.newer else ""
        lines.append(f"failed: {head.id} ({head.level.value}){known}: {head.title}")
        derived = [one.id for one in failed if one.folded_into == head.id]
        if derived:
            lines += textwrap.wrap(
                f"same cause: {', '.join(derived)}",
                WIDTH,
                initial_indent="    ",
                subsequent_indent="      ",
                break_on_hyphens=False,
                break_long_words=False,
            )
    return lines


def acks_line(milliseconds: dict[str, float]) -> str:
    """Return the ack times as one line."""
    return (
        f"acks: {milliseconds['count']:.0f}, p50 {milliseconds['p50_ms']:.1f} ms, "
        f"p95 {milliseconds['p95_ms']:.1f} ms, max {milliseconds['max_ms']:.1f} ms"
    )


def _note(attempt: Attempt) -> str:
    return attempt.shot.note or "as the provider sends it"


def _others(attempts: Sequence[Attempt]) -> str:
    """Return the notes and outcomes of the exchanges that are not printed; those that are alike are counted."""
    counted: dict[str, int] = {}
    for attempt in attempts:
        named = f"{_note(attempt)}: {attempt.outcome.value}"
        counted[named] = counted.get(named, 0) + 1
    told = [f"{name} ({count} times)" if count > 1 else name for name, count in counted.items()]
    if len(told) > NAMED:
        told = [*told[:NAMED], f"{len(told) - NAMED} others"]
    return f"{len(attempts)} more: {'; '.join(told)}" if attempts else ""


def _grouped(results: Iterable[Result]) -> dict[tuple[str, str], list[str]]:
    groups: dict[tuple[str, str], list[str]] = {}
    for one in results:
        groups.setdefault((one.reason, one.fix), []).append(one.id)
    return groups


def _many(ids: list[str]) -> str:
    return ids[0] if len(ids) == 1 else f"{len(ids)} checks ({', '.join(ids[:3])}{', …' if len(ids) > 3 else ''})"


def _labelled(label: str, text: str) -> list[str]:
    return textwrap.wrap(visible(text), WIDTH, initial_indent=f"{label}: ", subsequent_indent="  ") or [f"{label}:"]


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"    {part}" if part else "" for line in lines for part in line.splitlines() or [""]]
