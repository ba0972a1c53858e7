"""What is printed of an attempt, for people and for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from im_callback.provider_mock.contract import NoReply, Outcome

if TYPE_CHECKING:
    from im_callback.provider_mock.delivery.perform import PlannedAttempt

DUE = {
    "acknowledgement": "an acknowledgement",
    "refusal": "a refusal, for the signature does not fit",
    "answer": "some answer in time",
    "nothing": "nothing",
}


def told(attempt: PlannedAttempt, *, with_place: bool) -> str:
    """Return what came of an attempt, in one line; `with_place`: which one of the plan it is, and what was due."""
    rule, words = _rule(attempt), _masked(attempt, attempt.words)
    if attempt.outcome is Outcome.REFUSED and " " in words:
        rule = f"{rule}; it says: {words}"
    line = f"{attempt.outcome.value} in {attempt.reply.seconds * 1000:.0f} ms: {rule}"
    if not with_place:
        return line
    due = "" if attempt.as_expected else f"; due was {DUE[attempt.expected]}"
    return f"{attempt.shot.note}: {line}{due}"


def _rule(attempt: PlannedAttempt) -> str:
    """Return why: what happened on the socket, where the fault left nothing to judge."""
    if attempt.expected == "nothing" and isinstance(attempt.reply, NoReply):
        return attempt.reply.detail
    return _masked(attempt, attempt.judgement.rule)


def _masked(attempt: PlannedAttempt, text: str) -> str:
    """Return what the receiver said without the secret, should it tell that."""
    return attempt.shot.credentials.masked(text) if attempt.shot.credentials else text


def shown(attempt: PlannedAttempt) -> dict[str, Any]:
    """Return an attempt as it is printed for programs."""
    step, event = attempt.step, attempt.shot.events[0]
    return {
        "event_type": event.type,
        "payload": event.payload,
        "outcome": attempt.outcome.value,
        "rule": _rule(attempt),
        "words": _masked(attempt, attempt.words),
        "status": attempt.status,
        "seconds": round(attempt.reply.seconds, 6),
        "delivery": step.index + 1,
        "copy": step.copy + 1,
        "attempt": step.attempt + 1,
        "expected": attempt.expected,
        "as_expected": attempt.as_expected,
    }
