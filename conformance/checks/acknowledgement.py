"""What is acknowledged, how fast, and that nothing acknowledged is lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import cycle

from im_callback.conformance import needs
from im_callback.conformance.answers import DECIDE_IN_TIME, such_as, without_answer, wrong_answer
from im_callback.conformance.around.command import STOP_SECONDS
from im_callback.conformance.around.recovery import (
    APPEARS,
    LOST,
    comes_back,
    ended,
    ended_amid,
    forget_vanished,
    kinds,
    must_go_through,
    must_keep,
    must_start,
    process_of,
    sent_again,
    shown_now,
    store_of,
    well,
    without_store,
)
from im_callback.conformance.bursts import burst
from im_callback.conformance.check import check
from im_callback.conformance.diagnosis import why_refused
from im_callback.conformance.judge import Occurrence, lost, superseded
from im_callback.conformance.preflight import Preflight, handles
from im_callback.conformance.run import Run
from im_callback.conformance.samples import documented_events
from im_callback.conformance.verdict import CouldNotRun, Failed, NotApplicable
from im_callback.conformance.words import counted, notes_of, refusal
from im_callback.provider_mock.contract import Event, Outcome, Reply
from im_callback.provider_mock.history import Attempt

BURST = 200
KILLED = ((24, 12), (24, 1), (1, 1))
"""Deliveries that are under way at once when the receiver is killed, and how many of them are acknowledged by then."""
STOPPED = 24
"""Deliveries that are under way when the receiver is asked to end."""
WHY_LOST = "The provider does not send it again: the message is gone."


@check(
    "Every documented event type is acknowledged",
    topic="ack",
    level="must",
    why="A type that you do not use is still sent; unacknowledged, it is repeated, or alarms someone.",
    fix="Acknowledge what you do not handle, after verifying it.",
    remedies=("skip-unknown", "ack-exactly"),
)
def check_acks_every_type(run: Run) -> None:
    """Every documented sample is acknowledged, also those that the receiver has no use for.

    A, one for each documented sample -> acknowledged

    - 400 for the types that one has no use for.
    - 204 where nothing is left to say.
    - The body is read in the platform's character set.
    """
    attempts = run.send_each(run.shot(event, note=note) for event, note in documented_events(run))
    try:
        run.must_ack(attempts, "every documented event type")
    except Failed as failed:
        refused = [attempt for attempt in failed.attempts if attempt.outcome is not Outcome.TIMED_OUT]
        found = why_refused(run, refused) if refused else None
        if found is not None:
            failed.actual += f". {found.said}" if found.said else ""
            failed.fix = found.fix
        raise


@check(
    "The console's address probe is answered with 200",
    topic="probe",
    level="must",
    why="The console saves an address only if it answers a signed {} with 200.",
    fix="Do not require eventType: answer a verified {} with 200.",
    needs=needs.probes,
    remedies=("skip-unknown",),
)
def check_acks_probe(run: Run) -> None:
    """The signed empty object that the console sends is answered with 200.

    an empty object, signed -> 200

    - 400 for an object that names no type.
    """
    probe = run.probe()
    if probe is None:
        raise NotApplicable("the provider documents no probe")
    (attempt,) = run.send(probe)
    if attempt.status != 200:
        raise Failed("200 for the address probe", _said(attempt), [attempt])


@check(
    "An event type that does not exist yet is acknowledged",
    topic="ack",
    level="should",
    why="Providers add event types; a receiver that crashes on them fails on the day they do.",
    fix="Acknowledge unknown types, after verifying them, and log them.",
    needs=needs.names_unknown,
    remedies=("skip-unknown",),
)
def check_acks_unknown_type(run: Run) -> None:
    """A delivery of a type that nobody has documented yet is acknowledged.

    A, with a type that does not exist -> acknowledged

    - 400, or an exception, for types that are not on the list.
    """
    event = run.event()
    unknown = Event("", {**event.payload, **run.feed.unknown_type})
    code = run.feed.code_of([unknown])
    body = run.feed.body([unknown], run.settings.wire)
    attempt = run.send(run.raw(body, command=code, note="an event type that does not exist"))[0]
    run.must_ack([attempt], "an unknown event type")


@check(
    "Every delivery is answered in time",
    topic="deadline",
    level="must",
    last=True,
    why="What is answered late counts as failed: it is sent again, or lost.",
    fix="Store the raw delivery, acknowledge, and do the work afterwards.",
    remedies=("answer-first",),
)
def check_within_deadline(run: Run) -> None:
    """No valid delivery of the whole run took longer than the provider waits.

    any valid delivery of the run -> acknowledged, in time

    - The work is done before the answer: pictures are fetched, others are told.
    - The first delivery waits until caches are full.
    """
    late = [attempt for attempt in run.own_attempts() if attempt.outcome is Outcome.TIMED_OUT]
    if late:
        times = sorted(a.reply.seconds for a in run.own_attempts())
        meaning = f"; {without_answer(run.feed)}" if run.feed.decides else ""
        raise Failed(
            f"every answer within {run.feed.deadline:g} s",
            f"{len(late)} of {counted(len(times), 'valid delivery', 'valid deliveries')} not answered in time ({notes_of(late)}); "
            f"half took up to {times[len(times) // 2] * 1000:.0f} ms{meaning}",
            late,
            cause="late",
            fix=DECIDE_IN_TIME if run.feed.decides else "",
        )


@check(
    "A burst is answered in time, and whole",
    topic="deadline",
    level="must",
    why="Rooms fill within seconds, and the provider does not wait.",
    fix="Keep the path to the acknowledgement short; allow as many connections as the provider opens.",
    needs=needs.tells,
    remedies=("answer-first", "several-at-once", "unique-key"),
)
def check_within_deadline_under_burst(run: Run) -> None:
    """All deliveries of a burst are answered in time, and each shows once; three bursts are tried.

    A, B, C and others, one by one -> acknowledged
    D, E, F and 197 more at once -> acknowledged, in time
    = each once

    - One worker for all, so that the last ones wait too long.
    - 503 when a queue is full, or, worse, acknowledged and dropped.
    """
    if run.settings.rate is not None:
        raise NotApplicable("--receiver-rate leaves bursts out")
    burst(run, BURST)


@check(
    "An acknowledgement has status 200 exactly",
    topic="ack",
    level="must",
    last=True,
    why="201, 204 and redirections are not acknowledgements: the event counts as failed.",
    fix="Answer 200.",
    needs=needs.acks_only_200,
    remedies=("ack-exactly",),
)
def check_exact_status(run: Run) -> None:
    """No valid delivery of the whole run was answered with another success or a redirection.

    any valid delivery of the run -> 200, not 201, 204 or 302

    - 201, as something was created; 204, as there is nothing to say.
    - A redirection to the address with a slash, or to https.
    """
    others = [a for a in run.own_attempts() if a.status is not None and 200 < a.status < 400]
    if others:
        raise Failed(
            "status 200",
            f"{counted(len(others), 'valid delivery', 'valid deliveries')} got status {others[0].status}",
            others,
            cause=refusal(others[0]),
        )


@check(
    "An acknowledgement has status 200, not 500",
    topic="ack",
    level="should",
    last=True,
    why="500 counts as received, but is nearly always an exception that nobody caught: its event is never sent again.",
    fix="Answer 503 where something went wrong, so that the delivery counts as failed.",
    needs=needs.acks_errors,
    remedies=("commit-then-ack", "ack-exactly"),
)
def check_acks_with_200(run: Run) -> None:
    """No valid delivery of the whole run was answered with 500.

    any valid delivery of the run -> 200, not 500

    - An exception that nobody catches: the framework answers 500, and the provider takes it as received.
    """
    failed = [a for a in run.own_attempts() if a.acked and a.status == 500]
    if failed:
        raise Failed(
            "status 200 for a valid delivery",
            f"500 for {counted(len(failed), 'valid delivery', 'valid deliveries')}: {notes_of(failed)}",
            failed,
        )


@check(
    "An acknowledgement has the documented answer",
    topic="answer",
    level="must",
    last=True,
    why="An answer that is not as documented counts as failed.",
    fix="Answer as the documented sample does.",
    needs=needs.describes_answers,
    remedies=("ack-exactly",),
)
def check_answer_shape(run: Run) -> None:
    """The body of every acknowledgement has the documented fields, of the documented types.

    any valid delivery of the run -> 200, and the documented answer

    - A field of the answer is left out, or a number is given as a text.
    """
    answered = [a for a in run.own_attempts() if a.status == 200 and isinstance(a.reply, Reply)]
    wrong = [(attempt, problem) for attempt in answered if (problem := wrong_answer(run, attempt))]
    if wrong:
        raise Failed(
            f"an answer as documented{such_as(run, wrong[0][0])}",
            f"{wrong[0][1]} ({len(wrong)} of {counted(len(answered), 'answer', 'answers')})",
            [attempt for attempt, _ in wrong],
            cause=refusal(wrong[0][0]),
        )


@check(
    "Nothing acknowledged is lost",
    topic="ack",
    level="must",
    effects=True,
    last=True,
    why=WHY_LOST,
    fix="Acknowledge only once the delivery is stored, and let no exception after that drop it.",
    remedies=("commit-then-ack",),
)
def check_nothing_acked_is_lost(run: Run) -> None:
    """In the end the effects show every acknowledged event of the run that is of a recorded kind.

    ... all others of the run before
    A, one more of each kind -> acknowledged
    = A, and all that was acknowledged before

    - Acknowledged from a queue in memory that drops what does not fit.
    - After an error the connection to the store is not usable, and the next delivery is dropped.
    - Only the latest events are kept.
    - Of several things in one event only the first is looked at.
    """
    own = run.send_each(run.shot(run.event(one), note=f"one more {one.name}") for one in run.handled)
    run.must_show([attempt for attempt in own if attempt.acked], "an acknowledged delivery")
    acked = [attempt for attempt in run.sent.valid(run.binding) if attempt.acked]
    judged = run.sent.to_judge(run.binding)
    due = judged.intersection(run.occurrences(*run.recorded(event for a in acked for event in a.shot.events)))
    # What was not acknowledged may have been applied all the same, and have taken an older state's place.
    sent = [event for attempt in run.history if attempt.shot.valid for event in attempt.shot.events]
    excused = superseded(sent, run.provider.catalogue)
    effects = run.settle(lambda seen: not lost(due, seen, excused))
    missing = lost(due, effects, excused)
    if missing:
        gone = set(missing)
        shown = [a for a in acked if gone & set(run.occurrences(*a.shot.events))]
        raise Failed(
            f"each of {counted(len(due), 'acknowledged event', 'acknowledged events')} of the run in the effects",
            f"{counted(len(gone), 'is missing:', 'are missing, among them')} {missing[0]} ({notes_of(shown)})",
            shown,
            cause=f"lost: {run.kind_of(shown[0].shot.events[0])}" if shown else "",
        )
    if late := Preflight(run).late():
        raise CouldNotRun(
            f"{', '.join(late)} showed later than the others, when what is recorded was taken to be known, and so was "
            "not judged",
            f"Name what is recorded: --receiver-handles={','.join([*handles(run), *late])}"
            if run.settings.handles is None
            else "Raise --receiver-settle",
        )


@check(
    "What is acknowledged survives the sudden end of the receiver",
    topic="ack",
    level="should",
    effects=True,
    alone=True,
    option="command",
    why="Memory runs out, machines fail: what was acknowledged and kept in memory alone is gone, and never sent again.",
    fix="Acknowledge once the delivery is on disk, or in a queue that is: not while it waits in the process's memory.",
    needs=needs.tells,
    remedies=("commit-then-ack",),
)
def check_acked_survives_kill(run: Run) -> None:
    """After SIGKILL and a start, the effects show what was acknowledged before, and all else that they showed.

    A, B, C and others at once ->
    -> acknowledged, some of them
    * SIGKILL, and a start
    D -> acknowledged
    = all that was acknowledged

    - Acknowledged while it waits in a queue in memory.
    - The store writes to disk every second or so.
    """
    process = process_of(run)
    for size, after in KILLED:
        before = shown_now(run)
        events = [run.event(one) for one, _ in zip(cycle(kinds(run)), range(size), strict=False)]
        attempts = ended_amid(run, events, process.strike, after, "a delivery just before the receiver is killed")
        ended(run, process.kill, attempts)
        must_start(run, "SIGKILL", attempts)
        _must_survive(run, attempts, before, "a delivery that was acknowledged just before SIGKILL")


@check(
    "A receiver that is asked to end loses nothing that it has acknowledged",
    topic="ack",
    level="should",
    effects=True,
    alone=True,
    option="command",
    why="Every new version is installed by ending the old one: what it drops then is never sent again.",
    fix="On SIGTERM take no more requests, finish those that are there and empty your queues before you end.",
    needs=needs.tells,
    remedies=("end-gracefully", "commit-then-ack"),
)
def check_acked_survives_stop(run: Run) -> None:
    """After SIGTERM and a start, the effects show what was acknowledged, and all else that they showed.

    A, B, C and others at once ->
    * SIGTERM
    -> acknowledged, some of them
    * a start
    B, if the provider would send it again -> acknowledged
    = all that was acknowledged

    - What waits in memory is dropped on SIGTERM.
    - The process ends in the middle of a request, after the answer and before the work.
    - The next start trips over what the last end has left: a lock file, a socket.
    """
    process = process_of(run)
    before = shown_now(run)
    events = [run.event(one) for one, _ in zip(cycle(kinds(run)), range(STOPPED), strict=False)]
    attempts = ended_amid(run, events, process.terminate, STOPPED // 2, "a delivery while the receiver is asked to end")
    in_time = True

    def stop() -> None:
        nonlocal in_time
        in_time = process.stop()

    ended(run, stop, attempts)
    if not in_time:
        run.notes.append(f"the receiver did not end within {STOP_SECONDS:g} s of SIGTERM, and was killed")
    must_start(run, "SIGTERM", attempts)
    again = sent_again(run, attempts)
    _must_survive(run, [*attempts, *again], before, "a delivery that was acknowledged while the receiver was ending")


def _must_survive(run: Run, attempts: Sequence[Attempt], before: set[Occurrence], what: str) -> None:
    try:
        must_keep(run, attempts, what, cause=LOST)
    except Failed as failed:
        if vanished := forget_vanished(run, before, 0):
            failed.actual += f"; {counted(vanished, 'effect', 'effects')} from before the end gone too"
        raise
    if vanished := forget_vanished(run, before, max(APPEARS, run.settings.settle)):
        raise Failed(
            "whatever the effects showed before the end, after the start too",
            f"{vanished} of {len(before)} gone",
            attempts[-1:],
            cause=LOST,
        )


@check(
    "While its store hangs, a delivery is kept or not acknowledged, and afterwards all goes on",
    topic="deadline",
    level="should",
    effects=True,
    alone=True,
    option="downstream",
    why="Stores stall. What was acknowledged must not be lost over it, and one stall must not stop the receiver for good.",
    fix="Give the store a time limit well under the deadline, and answer 503 when it has passed; or store the raw "
    "delivery elsewhere first. Let connections that have failed be replaced.",
    needs=needs.tells,
    remedies=("store-limit",),
)
def check_within_deadline_while_downstream_hangs(run: Run) -> None:
    """What is acknowledged while the store hangs shows in the end, and afterwards deliveries are accepted as before.

    A -> acknowledged
    * its store hangs
    B -> acknowledged, or an error, or nothing
    * its store is back
    C -> acknowledged
    B, if the provider would send it again -> acknowledged
    = whatever of A, B and C was acknowledged

    - The request waits for the store as long as the store likes, and all workers with it.
    - The connection that has failed is used for ever.
    - What was not stored is remembered as known: its retry is taken for a repeat.
    """
    must_go_through(run)
    _kept_or_not_acked(run, store_of(run).hang, "hangs")


@check(
    "What could not be stored is not acknowledged",
    topic="ack",
    level="must",
    effects=True,
    alone=True,
    option="downstream",
    why="An acknowledgement ends the delivery: what was not stored then is gone.",
    fix="Acknowledge after the store has said that it has it. Let no handler of errors answer as if all were well.",
    needs=needs.tells,
    remedies=("commit-then-ack", "store-limit"),
)
def check_failure_is_not_acked(run: Run) -> None:
    """While the store refuses, cuts or hangs, nothing is acknowledged that does not show in the end.

    A -> acknowledged
    * its store refuses connections; the same where it cuts them, and where it hangs
    B -> an error, such as 503
    * its store is back
    C -> acknowledged
    B, if the provider would send it again -> acknowledged
    = whatever of A, B and C was acknowledged

    - The error of the store is logged, and 200 answered.
    - The framework answers 500 to the exception, which this provider may take as received.
    - What was not stored is remembered as known: its retry is taken for a repeat.
    """
    must_go_through(run)
    store = store_of(run)
    _kept_or_not_acked(run, store.refuse, "refuses connections")
    _kept_or_not_acked(run, store.reset, "has just cut its connections")
    _kept_or_not_acked(run, store.hang, "hangs and then breaks off", store.reset)


def _kept_or_not_acked(
    run: Run, disturb: Callable[[], None], how: str, finish: Callable[[], None] = lambda: None
) -> None:
    """Deliver while the store is disturbed; fail where something is acknowledged and never shows."""
    attempts = without_store(run, disturb, [run.event(one) for one in kinds(run)], how, finish)
    back = comes_back(run, f"its store {how} no more", attempts)
    again = sent_again(run, attempts)
    errors = [attempt for attempt in attempts if attempt.acked and not well(attempt)]
    fix = f"Answer 503 where something went wrong: {run.feed.ack_rule}." if errors else ""
    must_keep(
        run, [*attempts, *back, *again], f"what was acknowledged while its store {how}", cause=f"lost: {how}", fix=fix
    )


def _said(attempt: Attempt) -> str:
    return f"status {attempt.status}" if attempt.status is not None else attempt.judgement.rule
