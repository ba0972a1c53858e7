"""What is acknowledged, how fast, and that nothing acknowledged is lost."""

from __future__ import annotations

import json
from collections.abc import Sequence

from conformance.check import check
from conformance.judge import lost, superseded
from conformance.run import Run
from conformance.samples import documented_events
from conformance.verdict import Failed, NotApplicable
from provider_mock.contract import NoReply, Outcome, Reply
from provider_mock.history import Attempt
from provider_mock.wire import Wire, encode

BURST = 200
WHY_LOST = "The provider does not send it again: the message is gone."


def valid(run: Run) -> list[Attempt]:
    """Return every attempt so far that the provider itself could have made; sends one if there is none."""
    if not any(attempt.shot.valid for attempt in run.history):
        run.deliver(run.event())
    return [attempt for attempt in run.history if attempt.shot.valid]


@check(
    "Every documented event type is acknowledged",
    topic="ack",
    every="must",
    why="A type that you do not use is still sent; unacknowledged, it is repeated, or alarms someone.",
    fix="Acknowledge what you do not handle, after verifying it.",
)
def check_acks_every_type(run: Run) -> None:
    attempts = run.send_each(run.shot(event, note=note) for event, note in documented_events(run))
    run.must_ack(attempts, "every documented event type")


@check(
    "The console's address probe is answered with 200",
    topic="probe",
    commsease="must",
    why="The console saves an address only if it answers a signed {} with 200.",
    fix="Do not require eventType: answer a verified {} with 200.",
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
    every="should",
    why="Providers add event types; a receiver that crashes on them fails on the day they do.",
    fix="Acknowledge unknown types, after verifying them, and log them.",
)
def check_acks_unknown_type(run: Run) -> None:
    unknown = run.provider.unknown_type
    payload = {**run.event().payload, **unknown}
    body = encode([payload] if run.provider.batches else payload, Wire())
    command = str(unknown.get("CallbackCommand", ""))
    attempt = run.send(run.raw(body, command=command, note="an event type that does not exist"))[0]
    run.must_ack([attempt], "an unknown event type")


@check(
    "Every delivery is answered in time",
    topic="deadline",
    every="must",
    last=True,
    why="What is answered late counts as failed: it is sent again, or lost.",
    fix="Store the raw delivery, acknowledge, and do the work afterwards.",
)
def check_within_deadline(run: Run) -> None:
    late = [attempt for attempt in valid(run) if attempt.outcome is Outcome.TIMED_OUT]
    if late:
        times = sorted(a.reply.seconds for a in valid(run))
        raise Failed(
            f"every answer within {run.provider.deadline:g} s",
            f"{len(late)} of {len(times)} valid deliveries were not answered in time, the first "
            f"{late[0].shot.note or 'a valid delivery'}; half took up to {times[len(times) // 2] * 1000:.0f} ms",
            late[:2],
        )


@check(
    "A burst is answered in time, and whole",
    topic="deadline",
    every="must",
    why="Rooms fill within seconds, and the provider does not wait.",
    fix="Keep the path to the acknowledgement short; allow as many connections as the provider opens.",
)
def check_within_deadline_under_burst(run: Run) -> None:
    attempts = run.send(*(run.shot(run.event(), note=f"{n} of {BURST}") for n in range(1, BURST + 1)))
    late = [a for a in attempts if isinstance(a.reply, NoReply)]
    if late:
        raise Failed(
            f"{BURST} deliveries answered within {run.provider.deadline:g} s each",
            f"{len(late)} were not: {late[0].judgement.rule}",
            late[:2],
        )
    run.must_ack(attempts, f"each of {BURST} deliveries at once")
    effects = run.must_show(attempts, f"each of {BURST} deliveries at once")
    doubled = [one for a in attempts for one in run.occurrences(*a.shot.events) if effects.count(one) > 1]
    if doubled:
        raise Failed("one effect each", f"{len(doubled)} have more, among them {doubled[0]}")


@check(
    "An acknowledgement has status 200 exactly",
    topic="ack",
    rongcloud="must",
    tencent="must",
    last=True,
    why="201, 204 and redirections are not acknowledgements: the event counts as failed.",
    fix="Answer 200.",
)
def check_exact_status(run: Run) -> None:
    others = [a for a in valid(run) if a.status is not None and 200 < a.status < 400]
    if others:
        raise Failed("status 200", f"{len(others)} valid deliveries got status {others[0].status}", others[:1])


@check(
    "An acknowledgement has status 200, not 500",
    topic="ack",
    commsease="should",
    last=True,
    why="500 counts as received, but is nearly always an exception that nobody caught: its event is never sent again.",
    fix="Answer 503 where something went wrong, so that the delivery counts as failed.",
)
def check_acks_with_200(run: Run) -> None:
    failed = [a for a in valid(run) if a.acked and a.status == 500]
    if failed:
        raise Failed(
            "status 200 for a valid delivery",
            f"{len(failed)} were answered with 500, the first: {failed[0].shot.note or 'a valid delivery'}",
            failed[:1],
        )


@check(
    "An acknowledgement has the documented JSON answer",
    topic="answer",
    tencent="must",
    last=True,
    why="All three fields are required; an answer that is not as documented counts as failed.",
    fix='Answer {"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0}.',
)
def check_answer_shape(run: Run) -> None:
    answered = [a for a in valid(run) if a.status == 200 and isinstance(a.reply, Reply)]
    for attempt in answered:
        problem = _wrong_answer(attempt)
        if problem:
            raise Failed("ActionStatus OK or FAIL, ErrorCode 0 or 1, ErrorInfo a text", problem, [attempt])


@check(
    "Nothing acknowledged is lost",
    topic="ack",
    every="must",
    effects=True,
    last=True,
    why=WHY_LOST,
    fix="Acknowledge only once the delivery is stored, and let no exception after that drop it.",
)
def check_nothing_acked_is_lost(run: Run) -> None:
    own = run.send_each(run.shot(run.event(one), note=f"one more {one.name}") for one in run.handled)
    run.must_show([attempt for attempt in own if attempt.acked], "an acknowledged delivery")
    acked = [attempt for attempt in run.history if attempt.acked and attempt.shot.valid]
    due = run.occurrences(*run.recorded(event for attempt in acked for event in attempt.shot.events))
    # What was not acknowledged may have been applied all the same, and have taken an older state's place.
    sent = [event for attempt in run.history if attempt.shot.valid for event in attempt.shot.events]
    excused = superseded(sent, run.provider.catalogue) | run.indistinct
    effects = run.settle(lambda seen: not lost(due, seen, excused))
    missing = lost(due, effects, excused)
    if missing:
        gone = set(missing)
        shown = [a for a in acked if gone & set(run.occurrences(*a.shot.events))]
        raise Failed(
            f"all {len(set(due))} acknowledged events of the run in the effects",
            f"{len(gone)} are missing, among them {missing[0]}",
            shown[:2],
        )


def _said(attempt: Attempt) -> str:
    return f"status {attempt.status}" if attempt.status is not None else attempt.judgement.rule


def _wrong_answer(attempt: Attempt) -> str:
    assert isinstance(attempt.reply, Reply)
    try:
        answer = json.loads(attempt.reply.body)
    except (ValueError, RecursionError):
        return "the body is not JSON"
    if not isinstance(answer, dict):
        return "the body is not a JSON object"
    documented: Sequence[tuple[str, object]] = (
        ("ActionStatus", answer.get("ActionStatus") in ("OK", "FAIL")),
        ("ErrorCode", type(answer.get("ErrorCode")) is int and answer["ErrorCode"] in (0, 1)),
        ("ErrorInfo", isinstance(answer.get("ErrorInfo"), str)),
    )
    wrong = [f"{name} is {answer.get(name, 'missing')!r}" for name, right in documented if not right]
    return "; ".join(wrong)
