"""Negative checks and their positive twins.

A refusal proves something only if the same event, sent as the provider sends it, is accepted in
the same run: `must_reject` sends the bad requests, waits until what came after them is worked
off, looks for effects, and then sends each event once more, validly. Where a variation is to be
accepted, `accepted_like` compares with the same event as documented.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from im_callback.conformance.answers import decision
from im_callback.conformance.judge import Effects
from im_callback.conformance.run import Run
from im_callback.conformance.verdict import CouldNotRun, Failed, NotApplicable
from im_callback.conformance.words import notes_of, said_of
from im_callback.provider_mock.contract import Event, NoReply, Outcome, Parameter
from im_callback.provider_mock.delivery.changes import Change
from im_callback.provider_mock.history import Attempt, Shot

OTHER_SECRET = "not-the-secret"
SIGNED_ROLES = ("time", "nonce", "id", "signature")
"""The digest stands in a header beside the body that it can be computed from: it has a check of its own."""
SENT_VALIDLY = "the same event, sent validly"
ACCEPTS = "preflight.accepts-valid"
DUE = "refused: no acknowledgement, no effect, no crash"


def signed_only(run: Run) -> None:
    """End the check as not applicable where the provider is set to send no signature."""
    if run.settings.credentials.app_secret is None:
        raise NotApplicable("no callback token is set, so nothing is signed")


def must_reject(run: Run, shots: Iterable[Shot]) -> None:
    """Fail if a bad request is taken; could-not-run if its valid twin is not, or where nothing can be seen.

    The last of several is never sent validly: `no-phantoms` looks out for it to the end of the run.
    """
    run.must_not_be_blind()
    attempts = run.send_each(shots)
    effects = run.barrier()
    taken: list[tuple[Attempt, str, str]] = []
    for attempt in attempts:
        kind, said = _judged(run, attempt, effects)
        if said:
            taken.append((attempt, kind, said))
    run.sent.recorded(attempt for attempt, kind, _ in taken if kind == "recorded")
    if taken:
        (_, kind, said), others = taken[0], taken[1:]
        more = f" (and {len(others)} more: {notes_of(a for a, _, _ in others)})" if others else ""
        raise Failed(DUE, said + more, [attempt for attempt, _, _ in taken], cause=_cause(run, attempt, kind))
    twins = attempts[:-1] or attempts
    accepted = run.send_each(run.shot(event, note=SENT_VALIDLY) for attempt in twins for event in attempt.shot.events)
    for attempt in accepted:
        if not attempt.acked:
            raise CouldNotRun(
                f"the same event, sent validly, was not acknowledged either ({said_of(attempt)}), "
                "so the refusal proves nothing",
                "See acknowledgement.acks-every-type",
                [attempt],
            )
    run.must_show(accepted, "the same event, sent validly,")


def foreign(run: Run, signed_with: str = "other", event: Event | None = None) -> Shot:
    """Return a delivery signed with something else than the secret: `other`, `empty` or `app-key`."""
    # Not one made from the real one: reports print it.
    return run.shot(event or run.event(), change=Change("secret", OTHER_SECRET, signed_with))


def _cause(run: Run, attempt: Attempt, kind: str) -> str:
    """Return what the failure comes from: nothing is verified, if any other secret will do, or this one thing is not."""
    if run.settings.credentials.app_secret is None:
        return f"forged and {kind}: {attempt.shot.note}"
    (other,) = run.send(foreign(run))
    also, _ = _judged(run, other, run.barrier())
    run.sent.recorded([other] if also == "recorded" else [])
    return f"forged and {kind}" if also == kind else f"forged and {kind}: {attempt.shot.note}"


def _judged(run: Run, attempt: Attempt, effects: Effects) -> tuple[str, str]:
    """Return how a bad request was taken, in a word and in a sentence; empty where it was refused."""
    note = attempt.shot.note
    if isinstance(attempt.reply, NoReply):
        return "unanswered", f"no answer ({note}): {attempt.reply.detail}"
    shown = [one for one in run.occurrences(*attempt.shot.events) if effects.count(one)]
    if shown:
        return "recorded", f"recorded ({note}): the effects show {shown[0]}"
    if attempt.reply.status >= 500:
        return "crashed", f"status {attempt.reply.status} ({note}), as after a crash"
    if (
        attempt.outcome is Outcome.ACKED
        and not can_see(run, attempt.shot.events)
        and not answered_otherwise(run, attempt)
    ):
        return "acknowledged", f"acknowledged ({note}): {attempt.judgement.rule}"
    return "", ""


def answered_otherwise(run: Run, attempt: Attempt) -> bool:
    """Return whether a bad request got another decision than the same event gets that is sent validly.

    It was told from it then; that it was answered at all is left to `refusal-is-no-decision`.
    """
    if not attempt.shot.feed.decides:
        return False
    (twin,) = run.send(run.shot(*attempt.shot.events, note=SENT_VALIDLY))
    found, due = decision(attempt), decision(twin)
    return due is not None and (found is None or (found.word, found.said) != (due.word, due.said))


def can_see(run: Run, events: Sequence[Event]) -> bool:
    """Return whether the effects would show it if the receiver took these events.

    Where they would, a wrong status alone is left to `refusal-is-visible`.
    """
    return bool(events) and len(run.recorded(events)) == len(events) and all(run.occurrences(e) for e in events)


def accepted(run: Run, shots: Iterable[Shot], what: str) -> None:
    """Fail unless every shot is acknowledged and, where recorded, shows."""
    run.must_not_be_blind()
    attempts = run.send_each(shots)
    run.must_ack(attempts, what)
    run.must_show(attempts, what)


def accepted_like(
    run: Run, shots: Iterable[Shot], what: str, control: Callable[[], Event] | None = None, see: str = ACCEPTS
) -> None:
    """Fail unless every shot is accepted as the same event is that is sent as documented, before and after them."""
    run.must_not_be_blind()
    make = control or run.event
    run.control(make(), "the same event, sent as documented,", see)
    try:
        accepted(run, shots, what)
    except Failed:
        # Is it the variation, or does nothing work any more?
        run.control(make(), "the same event, sent as documented after it,", see)
        raise


def missing(run: Run, parameter: Parameter) -> list[Change]:
    """Return what leaves a parameter out, empties it, or gives it twice, where that can be told and is forbidden."""
    found = [] if parameter.optional else [Change("drop", parameter.name)]
    found.append(Change("empty", parameter.name))
    # Most readers of JSON see one of two members of one name, and none is wrong.
    if not parameter.separator and (parameter.place != "body" or run.feed.encoding == "form"):
        found.append(Change("double", parameter.name, "wrong"))
    return found
