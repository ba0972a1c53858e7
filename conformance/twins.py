"""Negative checks and their positive twins.

A refusal proves something only if the same event, sent as the provider sends it, is accepted in
the same run: `must_reject` sends the bad requests, waits until what came after them is worked
off, looks for effects, and then sends each event once more, validly.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from conformance.judge import Effects
from conformance.run import Run
from conformance.verdict import CouldNotRun, Failed
from provider_mock.contract import Event, NoReply, Outcome
from provider_mock.history import Attempt, Shot

DUE = "refused: no acknowledgement, no effect, no crash"


def must_reject(run: Run, shots: Iterable[Shot], *, twins: Sequence[Event] | None = None) -> None:
    """Fail if a bad request is taken; could-not-run if its valid twin is not.

    Args:
        shots: the bad requests.
        twins: the events to send validly afterwards; by default those of the shots.
    """
    attempts = run.send_each(shots)
    effects = run.barrier()
    for attempt in attempts:
        _judge(run, attempt, effects)
    valid = [e for a in attempts for e in a.shot.events] if twins is None else twins
    accepted = run.send_each(run.shot(event, note="the same event, sent validly") for event in valid)
    for attempt in accepted:
        if not attempt.acked:
            raise CouldNotRun(
                f"the same event, sent validly, was not acknowledged either ({attempt.judgement.rule}), "
                "so the refusal proves nothing",
                "See acknowledgement.acks-every-type",
                [attempt],
            )
    run.must_show(accepted, "the same event, sent validly,")


def _judge(run: Run, attempt: Attempt, effects: Effects) -> None:
    note = attempt.shot.note
    if isinstance(attempt.reply, NoReply):
        raise Failed(DUE, f"no answer ({note}): {attempt.reply.detail}", [attempt])
    shown = [one for one in run.occurrences(*attempt.shot.events) if effects.count(one)]
    if shown:
        raise Failed(DUE, f"recorded ({note}): the effects show {shown[0]}", [attempt])
    if attempt.reply.status >= 500:
        raise Failed(DUE, f"status {attempt.reply.status} ({note}), as after a crash", [attempt])
    if attempt.outcome is Outcome.ACKED and not can_see(run, attempt.shot.events):
        raise Failed(DUE, f"acknowledged ({note}): {attempt.judgement.rule}", [attempt])


def can_see(run: Run, events: Sequence[Event]) -> bool:
    """Return whether the effects would show it if the receiver took these events.

    Where they would, a wrong status alone is left to `refusal-is-visible`.
    """
    return bool(events) and len(run.recorded(events)) == len(events) and all(run.occurrences(e) for e in events)
