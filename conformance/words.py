"""How attempts are spoken of in what a check says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from im_callback.conformance.judge import text
from im_callback.provider_mock.history import Attempt

NAMED = 20
"""How many exchanges a failure names."""


def refusal(attempt: Attempt) -> str:
    """Return the cause of a failure whose first refused delivery this is: the event type and what was said to it."""
    events = attempt.shot.events
    return f"not acknowledged: {events[0].type if events else ''} {attempt.words or attempt.outcome.value}"


def counted(number: int, one: str, more: str) -> str:
    """Return a number with what is counted, in the singular or the plural: 1 check is, 2 checks are."""
    return f"{number} {one if number == 1 else more}"


def said_of(attempt: Attempt, *, note: bool = True) -> str:
    """Return what became of an attempt: its outcome, unless without `note` what was sent, the rule, and its own words."""
    _, _, body = attempt.words.partition(" ")
    words = f"; it said: {body}" if body and body not in attempt.judgement.rule else ""
    said = f"{attempt.judgement.rule}{words}"
    # Words that are cut off may end inside a secret, where reports would not know it any more.
    used = attempt.shot.credentials
    return f"{attempt.outcome.value}{note_of(attempt) if note else ''}: {used.masked(said) if used else said}"


def shorten(value: Any, limit: int = 160) -> str:
    """Return a value as text that fits on a line."""
    shown = text(value) if not isinstance(value, Mapping) else text(dict(value))
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def note_of(attempt: Attempt) -> str:
    """Return what was sent, in brackets behind something else; empty for what the provider itself sends."""
    return f" ({attempt.shot.note})" if attempt.shot.note else ""


def notes_of(attempts: Iterable[Attempt]) -> str:
    """Return what was sent, each once; of very many as many as fit on a few lines, and how many others there are."""
    notes = list(dict.fromkeys(a.shot.note or "a valid delivery" for a in attempts))
    left = len(notes) - NAMED
    return ", ".join(notes[:NAMED]) + (f", and {left} more" if left > 0 else "")


def more_of(attempts: Sequence[Attempt]) -> str:
    """Return how many attempts there are behind the first, and what they were, in brackets; empty if there are none."""
    return f" (and {len(attempts) - 1} more: {notes_of(attempts[1:])})" if len(attempts) > 1 else ""
