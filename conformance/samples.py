"""Events with something particular about them, made from the documented samples."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from im_callback.conformance.answers import modifies
from im_callback.conformance.judge import Effects, in_record, text
from im_callback.conformance.run import Run
from im_callback.conformance.verdict import CouldNotRun, Failed
from im_callback.conformance.words import notes_of, said_of, shorten
from im_callback.provider_mock.contract import Event
from im_callback.provider_mock.traffic.shape import kind_at, leaves, own_fields
from im_callback.schemas import MISSING, EventType, replace

SPOKEN = frozenset({"text", "nickname", "address", "tag"})
"""Kinds of values that hold what people wrote."""


def documented_events(run: Run) -> Iterator[tuple[Event, str]]:
    """Yield every documented sample with a fresh identity, and a note saying which it is."""
    for event_type in run.documented:
        for number, sample in enumerate(event_type.examples, 1):
            yield run.event(event_type, sample), f"{event_type.name}, sample {number}"


def speaking_event(run: Run, said: str, event_type: EventType | None = None) -> Event:
    """Return an event of the type that says a text wherever people's words stand, in embedded JSON too.

    Of the type's samples it is the one that says most.
    """
    event_type = event_type or run.subject
    events = [saying(run, run.event(event_type, sample), event_type, said) for sample in event_type.examples]
    kept = [event for event in events if run.keeps(event)] or [saying(run, run.event(event_type), event_type, said)]
    return max(kept if run.handled else events, key=lambda event: len(spoken(event.payload, said)))


def saying(run: Run, event: Event, event_type: EventType, said: str) -> Event:
    """Return the event with a text wherever people's words stand in it, as far as it stays valid."""
    payload: Any = event.payload
    for pointer in own_fields(event_type, payload):
        if kind_at(event_type.schema, pointer) in SPOKEN and not run.is_fixed(event_type, pointer):
            changed = replace(payload, pointer, said)
            # What a field may hold can depend on another one: keep only what stays valid.
            payload = payload if event_type.problems(changed) else changed
    return Event(event.type, payload)


def spoken(payload: Any, said: str) -> list[str]:
    """Return the pointers at which a payload says the text."""
    return [pointer for pointer, value in leaves(payload) if value == said]


def texts_match(run: Run, event: Event, effects: Effects, said: str) -> str:
    """Return what is wrong with the text in the event's effect, or nothing; a record need not hold it."""
    event_type = run.provider.catalogue[event.type]
    if event_type.items is not None:
        return ""
    wanted = set(run.occurrences(event))
    for occurrence, record in zip(effects.order, effects.records, strict=True):
        if occurrence in wanted:
            for pointer in spoken(event.payload, said):
                kept = in_record(record, pointer)
                if kept is not MISSING and text(kept) != said:
                    return f"{pointer} is {shorten(kept)!r} in the effect, {said!r} was sent"
    return ""


def kept_as_sent(run: Run, said: str, what: str, see: str) -> None:
    """Fail unless events that say a text are accepted, and kept with it, where they are with plain letters.

    The samples say words of many kinds themselves: only plain letters show that it is not the event that is refused.
    """
    types = run.handled or run.documented
    run.must_not_be_blind()
    controls = run.send_each(run.shot(speaking_event(run, "abc", one), note=f"{one.name} in ASCII") for one in types)
    taken = [attempt.shot.events[0].type for attempt in controls if attempt.acked]
    if not taken:
        raise CouldNotRun(f"the same events in ASCII are not accepted either ({said_of(controls[0])})", f"See {see}")
    attempts = run.send_each(
        run.shot(speaking_event(run, said, one), note=one.name) for one in types if one.name in taken
    )
    run.must_ack(attempts, what)
    effects = run.must_show(attempts, what)
    kept = [(a, e) for a in attempts if not modifies(a) for e in a.shot.events]
    wrong = [(a, problem) for a, e in kept if (problem := texts_match(run, e, effects, said))]
    if wrong:
        shown = [attempt for attempt, _ in wrong]
        raise Failed("the effect holds the text as it was sent", f"{wrong[0][1]} ({notes_of(shown)})", shown)
