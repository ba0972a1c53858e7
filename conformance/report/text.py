"""The block that tells all of a check that did not pass."""

from __future__ import annotations

from im_callback.conformance.report.curl import sequence
from im_callback.conformance.report.exchange import reply_lines, request_lines
from im_callback.conformance.report.lines import WIDTH, indented, labelled
from im_callback.conformance.report.log_lines import PRINTED, shown
from im_callback.conformance.report.masking import Masking
from im_callback.conformance.report.record import short
from im_callback.conformance.report.side_by_side import side_by_side
from im_callback.conformance.report.steps import steps, what
from im_callback.conformance.settings import Settings
from im_callback.conformance.verdict import Result, Verdict
from im_callback.conformance.words import counted
from im_callback.provider_mock.visible import visible

SHOWN = 4
"""Exchanges that are printed whole for one failure."""
SENT_AGAIN = 8
"""Different requests that are printed as shell lines."""


def block(result: Result, settings: Settings, mask: Masking | None = None) -> str:
    """Return what is printed for a check that did not pass."""
    mask = mask or Masking.of(settings)
    lines = [f"{result.id}: {result.title}"]
    lines += labelled("requirement", f"{result.title} ({result.level.value})")
    lines += labelled("source", result.source)
    if result.verdict is Verdict.FAIL:
        lines += labelled("expected", mask(result.expected))
        lines += labelled("actual", mask(result.actual))
        lines += indented(map(mask, result.details))
    elif result.verdict is Verdict.HARNESS_ERROR:
        lines += ["our own error, not the receiver's; please report it:", mask(result.reason.rstrip())]
    else:
        lines += labelled(
            "could not run" if result.verdict is Verdict.COULD_NOT_RUN else "not applicable", mask(result.reason)
        )
        lines += labelled("do this", mask(result.fix)) if result.fix else []
    if result.records:
        beside = [{"what": label, "record": short(record, mask)} for label, record in result.records]
        lines += ["", "records side by side (what differs has a star):", *indented(side_by_side(beside, WIDTH - 4))]
    if (len(result.attempts) > 1 or result.moments) and not result.details:
        lines += ["", "how it was delivered:", *map(mask, steps(result.attempts, result.moments))]
    for attempt in result.attempts[:SHOWN]:
        lines += ["", f"request ({what(attempt)}):"]
        lines += indented(request_lines(attempt.shot.request, mask))
        lines += ["reply:", *indented(reply_lines(attempt, mask))]
    if len(result.attempts) > SHOWN:
        lines += ["", f"… {counted(len(result.attempts) - SHOWN, 'exchange', 'exchanges')} more"]
    if result.log:
        lines += ["", "the receiver printed meanwhile:", *indented(shown(result.log, mask, PRINTED))]
    if result.verdict is Verdict.FAIL:
        lines += ["", *labelled("why it matters", result.why), *labelled("usual fix", mask(result.usual_fix))]
        if result.attempts:
            shell = sequence(result.attempts, settings, SENT_AGAIN)
            lines += ["", "send it again:", *indented(map(mask, shell))]
        if result.known:
            lines += labelled("known failure", mask(result.known))
    return "\n".join(map(visible, lines))
