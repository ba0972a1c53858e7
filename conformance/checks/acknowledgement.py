"""What is acknowledged, how fast, and that nothing acknowledged is lost."""

from __future__ import annotations

from im_callback.conformance import needs
from im_callback.conformance.answers import DECIDE_IN_TIME, such_as, without_answer, wrong_answer
from im_callback.conformance.bursts import burst
from im_callback.conformance.check import check
from im_callback.conformance.diagnosis import why_refused
from im_callback.conformance.judge import lost, superseded
from im_callback.conformance.preflight import Preflight, handles
from im_callback.conformance.run import Run, notes_of, refusal
from im_callback.conformance.samples import documented_events
from im_callback.conformance.verdict import CouldNotRun, Failed, NotApplicable
from im_callback.provider_mock.contract import Event, Outcome, Reply
from im_callback.provider_mock.history import Attempt

BURST = 200
WHY_LOST = "The provider does not send it again: the message is gone."


@check(
    "Every documented event type is acknowledged",
    topic="ack",
    level="must",
    why="A type that you do not use is still sent; unacknowledged, it is repeated, or alarms someone.",
    fix="Acknowledge what you do not handle, after verifying it.",
)
def check_acks_every_type(run: Run) -> None:
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
)
def check_acks_probe(run: Run) -> None:
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
)
def check_acks_unknown_type(run: Run) -> None:
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
)
def check_within_deadline(run: Run) -> None:
    late = [attempt for attempt in run.own_attempts() if attempt.outcome is Outcome.TIMED_OUT]
    if late:
        times = sorted(a.reply.seconds for a in run.own_attempts())
        meaning = f"; {without_answer(run.feed)}" if run.feed.decides else ""
        raise Failed(
            f"every answer within {run.feed.deadline:g} s",
            f"{len(late)} of {len(times)} valid deliveries were not answered in time ({notes_of(late)}); "
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
)
def check_within_deadline_under_burst(run: Run) -> None:
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
)
def check_exact_status(run: Run) -> None:
    others = [a for a in run.own_attempts() if a.status is not None and 200 < a.status < 400]
    if others:
        raise Failed(
            "status 200",
            f"{len(others)} valid deliveries got status {others[0].status}",
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
)
def check_acks_with_200(run: Run) -> None:
    failed = [a for a in run.own_attempts() if a.acked and a.status == 500]
    if failed:
        raise Failed(
            "status 200 for a valid delivery",
            f"{len(failed)} were answered with 500: {notes_of(failed)}",
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
)
def check_answer_shape(run: Run) -> None:
    answered = [a for a in run.own_attempts() if a.status == 200 and isinstance(a.reply, Reply)]
    wrong = [(attempt, problem) for attempt in answered if (problem := wrong_answer(run, attempt))]
    if wrong:
        raise Failed(
            f"an answer as documented{such_as(run, wrong[0][0])}",
            f"{wrong[0][1]} ({len(wrong)} of {len(answered)} answers)",
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
)
def check_nothing_acked_is_lost(run: Run) -> None:
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
            f"all {len(due)} acknowledged events of the run in the effects",
            f"{len(gone)} are missing, among them {missing[0]} ({notes_of(shown)})",
            shown,
            cause=f"lost: {run.kind_of(shown[0].shot.events[0])}" if shown else "",
        )
    if late := Preflight(run).late():
        raise CouldNotRun(
            f"{', '.join(late)} showed later than the others, when what is recorded was taken to be known, and so was "
            "not judged",
            f"Name what is recorded: --receiver-handles={','.join([*handles(run), *late])}",
        )


def _said(attempt: Attempt) -> str:
    return f"status {attempt.status}" if attempt.status is not None else attempt.judgement.rule
