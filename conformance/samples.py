"""Events with something particular about them, made from the documented samples."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from conformance.judge import Effects, in_record, text
from conformance.run import Run, shorten
from provider_mock.contract import Event
from provider_mock.traffic.shape import kind_at, leaves
from schemas import MISSING, EventType, replace

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
    events = [_speaking(run.event(event_type, sample), event_type, said) for sample in event_type.examples]
    return max(events, key=lambda event: len(spoken(event.payload, said)))


def _speaking(event: Event, event_type: EventType, said: str) -> Event:
    payload: Any = event.payload
    for pointer in own_fields(event_type, payload):
        if kind_at(event_type.schema, pointer) in SPOKEN:
            changed = replace(payload, pointer, said)
            # What a field may hold can depend on another one: keep only what stays valid.
            payload = payload if event_type.problems(changed) else changed
    return Event(event.type, payload)


def own_fields(event_type: EventType, payload: Any) -> list[str]:
    """Return the pointers of all text in a payload that is not part of its identity or order."""
    order = event_type.order
    fixed = {*(event_type.identity or ()), *((*order.scope, *order.by) if order else ())}
    depth = (event_type.items or "").count("/") + 1 if event_type.items else 0
    return [
        pointer
        for pointer, value in leaves(payload)
        if isinstance(value, str) and "/" + "/".join(pointer.split("/")[depth + 1 :]) not in fixed
    ]


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


def tampered(run: Run, event: Event) -> Event:
    """Return the event with another text in one field; the identity stays."""
    event_type = run.provider.catalogue[event.type]
    for pointer in own_fields(event_type, event.payload):
        if kind_at(event_type.schema, pointer) is None:
            continue
        changed: Any = replace(event.payload, pointer, "1")
        if changed != event.payload and not event_type.problems(changed):
            return Event(event.type, changed)
    return run.checked(Event(event.type, {**event.payload, "extension": "1"}))
