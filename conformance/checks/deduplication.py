"""One event, one effect, however often it is delivered (and two events, two effects)."""

from __future__ import annotations

from collections.abc import Sequence

from conformance.check import check
from conformance.judge import duplicated
from conformance.run import Run
from conformance.verdict import Failed, NotApplicable
from provider_mock.contract import Event
from provider_mock.history import Attempt, Shot
from provider_mock.wire import Wire
from schemas import EventType

AT_ONCE = 16
ROUNDS = 3
WHY = "Providers deliver again after a lost acknowledgement; users then see the message twice, or pay twice."
FIX = (
    "Keep the identity of what you recorded (provider-mock events lists the fields) under a unique key, "
    "and acknowledge what is already there."
)


def identified(run: Run) -> list[EventType]:
    """Return the recorded event types whose payload carries an identity."""
    types = [one for one in run.handled if one.identity]
    if not types:
        raise NotApplicable("no recorded event type carries an identity")
    return types


def once(run: Run, events: Sequence[Event], attempts: Sequence[Attempt]) -> None:
    """Fail unless each event has exactly one effect, after everything before was worked off."""
    run.shown(events)
    effects = run.barrier()
    for event in events:
        for one in run.occurrences(event):
            if effects.count(one) != 1:
                shown = [a for a in attempts if event in a.shot.events]
                raise Failed("one effect", f"{effects.count(one)} effects of {one}", shown[:2])


def first_and_again(run: Run, *, afresh: bool = False, wire: Wire | None = None, note: str) -> None:
    """Deliver each recorded type twice; fail unless both are acknowledged and one effect comes of it."""
    first = run.send_each(run.shot(run.event(one), note=one.name) for one in identified(run))
    run.must_ack(first, "the first delivery")
    run.must_show(first, "the first delivery")
    repeats: list[Shot] = []
    for attempt in first:
        if wire is not None:
            repeats.append(run.shot(*attempt.shot.events, wire=wire, note=f"{attempt.shot.note}, {note}"))
        else:
            repeats.append(run.again(attempt, afresh=afresh, note=f"{attempt.shot.note}, {note}"))
    again = run.send_each(repeats)
    run.must_ack(again, "the repeated delivery")
    once(run, [event for a in first for event in a.shot.events], [*first, *again])


@check(
    "The same request again has no second effect",
    topic="duplicates",
    every="should",
    effects=True,
    why=WHY,
    fix=FIX,
)
def check_same_request_again(run: Run) -> None:
    first_and_again(run, note="the same request again")


@check(
    "A retry that is signed afresh has no second effect",
    topic="duplicates",
    every="should",
    effects=True,
    why="Time, nonce and signature differ between attempts: a receiver that tells deliveries apart by them records "
    "every retry.",
    fix=FIX,
)
def check_retry_signed_afresh(run: Run) -> None:
    first_and_again(run, afresh=True, note="again, signed afresh")


@check(
    "A retry in another JSON spelling has no second effect",
    topic="duplicates",
    every="should",
    effects=True,
    why="A receiver that tells deliveries apart by a hash of the body records every retry that is serialised anew.",
    fix=FIX,
)
def check_retry_reformatted(run: Run) -> None:
    wire = Wire(spaces=True, key_order="alphabetical")
    first_and_again(run, wire=wire, note="again, with white space and other key order")


@check(
    f"{AT_ONCE} identical requests at once have one effect",
    topic="duplicates",
    every="should",
    effects=True,
    why="Looking first and inserting afterwards lets two requests through at the same moment.",
    fix="Let the database decide: insert under a unique key, and treat the conflict as already done.",
)
def check_concurrent(run: Run) -> None:
    event_type = next((one for one in identified(run) if one.items is None), identified(run)[0])
    shot = run.shot(run.event(event_type), note=f"one of {AT_ONCE} at once")
    attempts = run.send(*([shot] * AT_ONCE))
    open_ = [a for a in attempts if not a.acked]
    for _ in range(ROUNDS):
        if not open_:
            break
        open_ = [
            a for a in run.send_each(run.again(a, note="retried until acknowledged") for a in open_) if not a.acked
        ]
    run.must_ack(open_, "each of the requests, or a retry of it,")
    once(run, shot.events, attempts)


@check(
    "The same entry twice in one array has one effect",
    topic="duplicates",
    rongcloud="should",
    effects=True,
    why=WHY,
    fix="Deduplicate entries, not requests.",
)
def check_inside_one_batch(run: Run) -> None:
    event = run.event()
    attempt = run.deliver(event, event, note="the same entry twice in one array")
    run.must_ack([attempt], "an array with the same entry twice")
    once(run, [event], [attempt])


@check(
    "An old entry inside a new array has no second effect",
    topic="duplicates",
    rongcloud="should",
    effects=True,
    why=WHY,
    fix="Deduplicate entries, not requests.",
)
def check_across_batches(run: Run) -> None:
    old, new = run.event(), run.event()
    attempts = run.send_each([run.shot(old, note="an entry"), run.shot(old, new, note="the entry and a new one")])
    run.must_ack(attempts, "an array with an old and a new entry")
    once(run, [old, new], attempts)


@check(
    "Two events that differ in nothing but identity are both kept",
    topic="payload",
    every="must",
    effects=True,
    why="Deduplication by content or by time throws away what users really did twice.",
    fix=FIX,
)
def check_twins_are_kept(run: Run) -> None:
    for event_type in identified(run):
        event = run.event(event_type)
        order = event_type.order
        # In a list the twins share even the moment. A state is reached once more, later; only that one must stay.
        state = order is not None and order.rule == "latest"
        keep = (*order.scope, *(() if state else order.by[:1])) if order else ()
        twin = run.event(event_type, event.payload, keep=keep)
        pair = ((event, "one"), (twin, "its twin"))
        attempts = run.send_each(run.shot(one, note=f"{event_type.name}, {which}") for one, which in pair)
        run.must_ack(attempts, "each of two events")
        run.must_show(attempts[1:] if state else attempts, "each of two events that differ in nothing but identity")


@check(
    "The same MsgKey between other people is another message",
    topic="payload",
    tencent="must",
    effects=True,
    why="One MsgKey is given to every recipient of a message to many: by MsgKey alone all but one are lost.",
    fix="Use From_Account, To_Account and MsgKey together.",
)
def check_same_key_other_sender(run: Run) -> None:
    (kind,) = run.handled_type("tencent.c2c-after-send")
    event = run.event(kind)
    same = ("/MsgKey", "/MsgTime", "/MsgSeq")
    others = [
        run.event(kind, event.payload, keep=(*same, "/From_Account")),
        run.event(kind, event.payload, keep=(*same, "/To_Account")),
    ]
    attempts = run.send_each(run.shot(one, note="the same MsgKey, other people") for one in (event, *others))
    run.must_ack(attempts, "each of three messages")
    run.must_show(attempts, "each of three messages with the same MsgKey")


@check(
    "Event types without identity",
    topic="payload",
    commsease="may",
    why="A duplicate of them cannot be told from a repeat.",
    fix="Nothing: do not guess.",
)
def check_no_identity(run: Run) -> None:
    names = [one.name for one in run.documented if one.identity is None]
    raise NotApplicable(f"no payload field tells a duplicate from a repeat: {', '.join(names) or 'none such'}")


@check(
    "Nothing in the whole run has two effects",
    topic="duplicates",
    every="should",
    effects=True,
    last=True,
    why="A second effect that comes late is a second effect all the same.",
    fix=FIX,
)
def check_nothing_doubled(run: Run) -> None:
    effects = run.barrier()
    found = [one for one in duplicated(effects) if one not in run.indistinct]
    if found:
        shots = [a for a in run.history if found[0] in run.occurrences(*a.shot.events)]
        raise Failed("one effect each", f"{len(found)} have more, among them {found[0]}", shots[:2])
