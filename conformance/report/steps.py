"""A sequence of deliveries as lines: numbered steps with times, what was answered, and what happened in between."""

from __future__ import annotations

from collections.abc import Sequence

from im_callback.conformance.around.moments import Moment
from im_callback.provider_mock.contract import Reply
from im_callback.provider_mock.history import Attempt

FIRST, LAST = 16, 7
"""Lines that are shown of a long sequence: so many at its beginning, and at its end."""


def step(number: int | str, seconds: float, what: str, said: str = "") -> str:
    """Return a step as a line: its number, after how many seconds, what it is and what was said to it."""
    return f"  {f'{number}.':<3} {seconds:7.3f} s  {what}{f' -> {said}' if said else ''}"


def steps(attempts: Sequence[Attempt], moments: Sequence[Moment] = ()) -> list[str]:
    """Return what was delivered, in order; neighbours that are alike are one line, of very many the middle is left out."""
    ordered = sorted(attempts, key=lambda one: one.sent_at)
    if not ordered:
        return []
    start = ordered[0].sent_at
    happened: list[tuple[int, str, str]] = [(one.sent_at, what(one), said(one)) for one in ordered]
    happened += [(one.millis, one.what, "") for one in moments]
    happened.sort(key=lambda one: one[0])
    lines: list[str] = []
    number = 0
    while happened:
        at, named, answered = happened[0]
        alike = next((n for n, one in enumerate(happened) if one[1:] != (named, answered)), len(happened))
        del happened[:alike]
        times = f" ({alike} times)" if alike > 1 else ""
        number += 1
        lines.append(step(number, (at - start) / 1000, f"{named}{times}", answered))
    left = len(lines) - FIRST - LAST
    return lines if left <= 1 else [*lines[:FIRST], f"  … {left} steps more", *lines[-LAST:]]


def what(attempt: Attempt) -> str:
    """Return what is particular about an attempt, on one line."""
    return " ".join((attempt.shot.note or "as the provider sends it").split())


def said(attempt: Attempt) -> str:
    """Return what came of an attempt, in a few words."""
    if isinstance(attempt.reply, Reply):
        return f"{attempt.reply.status}, {attempt.outcome.value}"
    return f"no answer: {attempt.outcome.value}"
