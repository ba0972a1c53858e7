"""Deliveries that are made again, in one way or another, and the one effect that is due to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from im_callback.conformance.beside import each_effect
from im_callback.conformance.disturbed import at_once, performed
from im_callback.conformance.run import Run
from im_callback.conformance.verdict import CouldNotRun, Failed, Level, NotApplicable
from im_callback.conformance.words import counted, refusal, said_of
from im_callback.provider_mock.contract import Event
from im_callback.provider_mock.delivery.plan import Transport
from im_callback.provider_mock.history import Attempt
from im_callback.provider_mock.traffic.shape import kind_at, leaves
from im_callback.provider_mock.wire import Wire
from im_callback.schemas import EventType

AT_A_TIME = 16
"""Deliveries that are under way at once while many are sent that nobody looks at one by one."""

EARLIER = 1000
"""Milliseconds by which a first attempt is older: where a time is written in seconds, a retry's is another one."""

OWNERS = frozenset({"account", "team", "room"})
"""Kinds of values within which an id may be unique."""

SHARED = frozenset({"message-key", "sequence", "grouped-id"})
"""Kinds of ids that are unique within something only, where the identity names it beside them."""

PARTS = frozenset({"sequence", "random", "seconds"})
"""Kinds of the numbers that a message's key is made of."""


def whose(event_type: EventType) -> list[str]:
    """Return the pointers of an identity that say whose its id is: people, a group."""
    return [one for one in event_type.identity or () if kind_at(event_type.schema, one) in OWNERS]


def shared_ids(event_type: EventType) -> bool:
    """Return whether the identity is an id together with those among whom it is unique."""
    kinds = {kind_at(event_type.schema, one) for one in event_type.identity or ()}
    return bool(kinds & OWNERS) and bool(kinds & SHARED)


def parts_of_key(event_type: EventType, payload: Any) -> list[str]:
    """Return the pointers of the numbers that a key is made of: where they change, so does the key."""
    return [one for one, _ in leaves(payload) if kind_at(event_type.schema, one) in PARTS]


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
    wrong = [
        (event, one)
        for event in events
        for one in run.occurrences(event)
        if (shown := effects.count(one)) != 1 and (shown or not run.turned_down(event))
    ]
    if wrong:
        event, first = wrong[0]
        others = list(dict.fromkeys(other.type for other, _ in wrong))
        raise Failed(
            "one effect",
            f"{effects.count(first) or 'no'} effects of {first}"
            + (f"; the same for {', '.join(others[1:])}" if others[1:] else ""),
            # Those of the event that is spoken of first.
            sorted(
                (a for a in attempts if any(one in a.shot.events for one, _ in wrong)),
                key=lambda a: event not in a.shot.events,
            ),
            cause="doubled" if effects.count(first) else f"lost: {event.type}",
            records=each_effect(effects, first),
        )


def first_and_again(run: Run, *, afresh: bool = False, wire: Wire | None = None, note: str) -> None:
    """Deliver each recorded type twice; fail unless both are acknowledged and one effect comes of it."""
    before = EARLIER if afresh or wire is not None else 0
    first = run.send_each(run.shot(run.event(one), stamp=run.stamp(-before), note=one.name) for one in identified(run))
    run.must_ack(first, "the first delivery")
    if wire is not None:
        spelled(run, wire, note)
    run.must_show(first, "the first delivery")
    again = run.send_each(
        run.again(attempt, afresh=afresh, wire=wire, note=f"{attempt.shot.note}, {note}") for attempt in first
    )
    run.must_ack(
        again,
        "the repeated delivery",
        fix="Acknowledge what you have already, as you did the first time; else it is delivered again and again.",
    )
    once(run, [event for a in first for event in a.shot.events], [*first, *again])


def spelled(run: Run, wire: Wire, note: str) -> None:
    """End the check here if even a first delivery in this spelling is not accepted: that says nothing of repeats."""
    (attempt,) = run.send_each([run.shot(run.event(), wire=wire, note=f"a first delivery, {note}")])
    if attempt.acked:
        return
    if run.feed.signs_body:
        raise CouldNotRun(
            f"in this spelling a first delivery is not accepted either: {said_of(attempt, note=False)}",
            "See signature.accepts-raw-bytes",
            [attempt],
        )
    raise Failed(
        "the same event in another JSON spelling acknowledged",
        said_of(attempt),
        [attempt],
        cause=refusal(attempt),
        fix="Parse the body as JSON, in whatever spelling it comes.",
    )


def after_no_answer(run: Run, transport: Transport, how: str) -> None:
    """Deliver each recorded type with nobody reading the answer, then again; fail unless that is acked and shows once."""
    kinds = identified(run)
    shots = [run.shot(run.event(one), stamp=run.stamp(-EARLIER), note=f"{one.name}, {how}") for one in kinds]
    lost = performed(run, at_once(len(shots), transport), shots)
    again = run.send_each(run.again(attempt, note=f"{attempt.shot.note}, sent again") for attempt in lost)
    run.must_ack(again, "the delivery, sent again,")
    once(run, [event for shot in shots for event in shot.events], [*lost, *again])


def lasts(run: Run, attempt: Attempt) -> bool:
    """Return whether what a delivery brought is recorded for good: nothing that removes, or never happened.

    Nor is it what has gone with a process that a check has ended.
    """
    return run.sent.indistinct.isdisjoint(run.occurrences(*attempt.shot.events)) and all(
        run.keeps(event) and not run.failed(event) and not run.provider.catalogue[event.type].removes(event.payload)
        for event in attempt.shot.events
    )


def fill_up(run: Run, distance: int) -> None:
    """Deliver so many events, less those that the run has already brought; could-not-run if none is acknowledged."""
    brought = {
        one
        for attempt in run.sent.valid(Level.MAY, blamed=True)
        if attempt.acked
        for one in run.occurrences(*attempt.shot.events)
    }
    missing = distance - len(brought)
    while missing > 0:
        shots = [run.shot(run.event(), note="one of very many others") for _ in range(min(AT_A_TIME, missing))]
        attempts = run.send(*shots)
        run.sent.excuse(one for one in attempts if not one.acked)
        acked = sum(one.acked for one in attempts)
        if not acked:
            raise CouldNotRun(
                f"none of {counted(len(attempts), 'delivery', 'deliveries')} at once was acknowledged ({said_of(attempts[0])})",
                "Give --receiver-rate where the receiver is behind a limit"
                if run.settings.rate is None
                else "Lower --receiver-rate",
                attempts,
            )
        missing -= acked
