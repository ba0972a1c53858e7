"""Where the answer decides what becomes of an event: in the documented form, in time, and to nobody but the provider."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from im_callback.conformance import needs
from im_callback.conformance.answers import (
    DECIDE_IN_TIME,
    decision,
    lets_through,
    such_as,
    without_answer,
    wrong_decision,
)
from im_callback.conformance.around.recovery import (
    NOTHING_WENT_THROUGH,
    comes_back,
    nothing_went_through,
    store_of,
    went_through,
    without_store,
)
from im_callback.conformance.bursts import burst
from im_callback.conformance.check import check
from im_callback.conformance.run import Run
from im_callback.conformance.samples import documented_events
from im_callback.conformance.twins import foreign, signed_only
from im_callback.conformance.verdict import CouldNotRun, Failed, NotApplicable
from im_callback.conformance.words import counted, notes_of, refusal, said_of
from im_callback.provider_mock.contract import Outcome
from im_callback.provider_mock.history import Attempt

BURST = 50
ASKED = 6
"""Questions that are asked while the store is away."""
ANSWERS = "decision.answer-decides"


def ask(run: Run) -> list[Attempt]:
    """Ask about every documented sample; could-not-run where no answer comes in time."""
    attempts = run.send_each(run.shot(event, note=note) for event, note in documented_events(run))
    if all(attempt.outcome is Outcome.TIMED_OUT for attempt in attempts):
        raise CouldNotRun("no question was answered in time", "See decision.decides-in-time", attempts)
    return attempts


@check(
    "The answer to a question decides, in the documented form",
    topic="decision",
    level="must",
    last=True,
    why="An answer that is not as documented decides nothing: what was to be stopped goes through, or the reverse.",
    fix="Answer as the documented sample of this event type does, with the values that its page lists.",
    needs=needs.decides,
    remedies=("decide",),
)
def check_answer_decides(run: Run) -> None:
    """Every answer to a question has the documented form and values, and says what is to become of the message.

    A, one for each documented sample -> 200, and a decision
    any other question of the run -> 200, and a decision

    - An empty 200, or 204: the provider then decides by itself.
    - A code that is not on the page, or a number given as a text.
    - What is put in the place of a message could be none: plain words for a picture.
    """
    own = ask(run)
    asked = [attempt for attempt in run.sent.valid(run.binding, blamed=True) if attempt.shot.events]
    answered = [attempt for attempt in asked if attempt.acked]
    wrong: list[tuple[Attempt, str]] = []
    through: dict[str, str] = {}
    for attempt in answered:
        if not (problem := wrong_decision(run, attempt)):
            continue
        if lets_through(run, attempt):
            through[attempt.shot.events[0].type] = problem
        else:
            wrong.append((attempt, problem))
    if through:
        listed = ", ".join(f"{name} ({problem})" for name, problem in through.items())
        run.notes.append(f"not decided, only let through, and so not judged: {listed}")
    if wrong:
        shown = [attempt for attempt, _ in wrong]
        raise Failed(
            f"an answer that decides{such_as(run, shown[0])}",
            f"{wrong[0][1]} ({len(wrong)} of {counted(len(answered), 'answer', 'answers')}: {notes_of(shown)})",
            shown,
            cause=refusal(shown[0]),
        )
    silent = [attempt for attempt in own if not attempt.acked and attempt.outcome is not Outcome.TIMED_OUT]
    if silent:
        raise Failed(
            "every documented sample answered with a decision",
            f"{said_of(silent[0])} (in all: {notes_of(silent)})",
            silent,
            cause=refusal(silent[0]),
        )


@check(
    "Every decision comes in time, in a burst too",
    topic="deadline",
    level="must",
    last=True,
    why="What comes late is let through, or stopped, without the receiver.",
    fix=DECIDE_IN_TIME,
    needs=needs.decides,
    remedies=("decide", "answer-first", "several-at-once"),
)
def check_decides_in_time(run: Run) -> None:
    """No question of the run was answered too late, nor is one in a burst.

    any question of the run -> a decision, in time
    A, B, C and others, one by one -> a decision, in time
    D, E, F and 47 more at once -> a decision, in time

    - The decision asks another service, without a limit of time.
    - One worker for all, so that the last ones wait too long.
    """
    asked = run.own_attempts()
    late = [attempt for attempt in asked if attempt.outcome is Outcome.TIMED_OUT]
    if late:
        raise Failed(
            f"every decision within {run.feed.deadline:g} s",
            f"{len(late)} of {counted(len(asked), 'question', 'questions')} not answered in time ({notes_of(late)}); "
            f"{without_answer(run.feed)}",
            late,
            cause="late",
        )
    # At a given rate there are no bursts; what was asked has been answered in time.
    if run.settings.rate is None:
        burst(run, BURST)


@check(
    "The same question has the same answer",
    topic="decision",
    level="should",
    why="A decision that another try turns is none: whoever tries often enough gets through.",
    fix="Decide by what the question says, not by chance or by the moment. Where you limit how often somebody may do "
    "something, count a question that comes again, with the same identity, once.",
    needs=needs.decides,
    remedies=("decide",),
)
def check_same_question_same_answer(run: Run) -> None:
    """The same question again gets the same decision.

    A, one for each documented sample -> a decision
    A again, the same bytes -> the same decision
    A again, signed afresh, if that was refused -> the same decision

    - A decision by chance, or by how often somebody has asked.
    """
    first = [attempt for attempt in ask(run) if decision(attempt) is not None]
    if not first:
        raise CouldNotRun("no answer decides anything", f"See {ANSWERS}")
    for attempt in first:
        again = asked_again(run, attempt)
        one, other = decision(attempt), decision(again)
        assert one is not None
        if other is None:
            raise Failed("an answer to the same question again", said_of(again), [attempt, again])
        if (one.word, one.said) != (other.word, other.said):
            raise Failed(
                "the same decision for the same question",
                f"{attempt.shot.note}: first {one.word} ({one.said}), then {other.word} ({other.said})",
                [attempt, again],
            )


def asked_again(run: Run, attempt: Attempt) -> Attempt:
    """Ask the same again: byte for byte, or, where that is refused as a replay, signed afresh."""
    (again,) = run.send(run.again(attempt, note=f"{attempt.shot.note}, the same question again"))
    if decision(again) is None and again.outcome is not Outcome.TIMED_OUT:
        (again,) = run.send(run.again(attempt, afresh=True, note=f"{attempt.shot.note}, again, signed afresh"))
    if again.outcome is Outcome.TIMED_OUT:
        raise CouldNotRun("the same question again was not answered in time", "See decision.decides-in-time", [again])
    return again


@check(
    "Without its store the receiver answers as its team wants, or not at all",
    topic="decision",
    level="should",
    alone=True,
    option="downstream",
    why="An error page that is answered as if it were a decision is none: the provider then decides by its own rule.",
    fix="Give the store a time limit well under the deadline. When it fails, answer what you want then in the documented "
    "form, or answer 503.",
    needs=needs.decides,
    remedies=("decide", "store-limit"),
)
def check_fails_as_told(run: Run) -> None:
    """While the store is away, a 200 carries a decision; any other status, or no answer, leaves it to the provider.

    A, one of several kinds -> a decision
    * its store hangs; the same where it refuses connections
    B -> a decision, or no 200
    * its store is back
    C -> acknowledged

    - An error page with status 200.
    - An error is caught and answered in a form that decides nothing.
    """
    store = store_of(run)
    events = {event.type: event for event, _ in documented_events(run)}
    asked = list(events.values())[:ASKED]
    if not went_through(run, asked, "a question"):
        if store.connections:
            raise NotApplicable("the receiver answers without its store")
        raise CouldNotRun(nothing_went_through(run), NOTHING_WENT_THROUGH)
    undecided = undecided_types(run)
    for how, disturb in (("hangs", store.hang), ("refuses connections", store.refuse)):
        again = [run.event(run.provider.catalogue[event.type], event.payload) for event in asked]
        attempts = without_store(run, disturb, again, how)
        comes_back(run, f"its store {how} no more", attempts)
        answered = [attempt for attempt in attempts if attempt.status == 200]
        wrong = [
            (attempt, problem)
            for attempt in answered
            if attempt.shot.events[0].type not in undecided and (problem := wrong_decision(run, attempt))
        ]
        if wrong:
            raise Failed(
                f"while its store {how}, an answer that decides{such_as(run, wrong[0][0])}, or no 200",
                f"{wrong[0][1]} ({len(wrong)} of {counted(len(attempts), 'question', 'questions')})",
                [attempt for attempt, _ in wrong],
            )
        run.notes.append(f"while its store {how}: {told(run, attempts)}")


def undecided_types(run: Run) -> set[str]:
    """Return the event types about which an answer decides nothing with the store there either: that is not its doing."""
    asked = [attempt for attempt in run.sent.valid(run.binding, blamed=True) if attempt.shot.events]
    return {attempt.shot.events[0].type for attempt in asked if attempt.acked and wrong_decision(run, attempt)}


def told(run: Run, attempts: Sequence[Attempt]) -> str:
    """Return how questions were answered, and what the provider makes of it."""
    words = Counter(found.word if (found := decision(attempt)) else "no decision" for attempt in attempts)
    said = ", ".join(
        f"{word} ({count} of {counted(len(attempts), 'answer', 'answers')})" for word, count in words.items()
    )
    return f"{said}; {without_answer(run.feed)}" if "no decision" in words else said


@check(
    "A refusal of the request is no decision about the message",
    topic="decision",
    level="should",
    last=True,
    why="A 200 decides. After a change of the secret, or behind a proxy that alters the request, every message would be "
    "stopped, or let through, and nobody would see that the receiver believes none of them.",
    fix="Refuse with 401 or 403 what is not signed by the provider, before you think about what it says.",
    needs=needs.decides_and_signs,
    remedies=("refuse-by-status", "constant-time"),
)
def check_refusal_is_no_decision(run: Run) -> None:
    """A question with a bad signature is refused by its status, and gets no decision.

    A, signed with another secret -> refused

    - What is not signed is refused as messages are: 200, and the decision to stop it.
    - Whoever asks gets a decision; only the recording looks at the signature.
    """
    signed_only(run)
    attempts = run.send(foreign(run))
    effects = run.barrier()
    (attempt,) = attempts
    if any(effects.counts.get(one) for one in run.occurrences(*attempt.shot.events)):
        run.sent.recorded(attempts)
        raise NotApplicable("a bad signature is not refused at all: see signature.rejects-wrong-secret")
    found = decision(attempt)
    if found is not None:
        raise Failed(
            "a bad signature refused by status",
            f"status {attempt.status}, and the answer decides: {found.word} ({found.said})",
            attempts,
            cause="forged and acknowledged",
        )
