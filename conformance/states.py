"""Events of one scope: what makes them so, and where in its order each stands."""

from __future__ import annotations

from typing import Any

from im_callback.conformance.judge import text
from im_callback.provider_mock.contract import Event
from im_callback.provider_mock.traffic.shape import kind_at
from im_callback.schemas import MISSING, EventType, Order, occurrences, resolve

STEP = 1000
"""By how much events of one scope differ where they are ordered by a time in milliseconds; by 1 where not."""


def order_of(event_type: EventType) -> Order:
    """Return how events of a type that is ordered follow each other."""
    assert event_type.order is not None
    return event_type.order


def first_of(event_type: EventType, event: Event) -> Any:
    """Return the first thing that an event says happened: pointers of identity and order begin there."""
    return occurrences(event_type, event.payload)[0]


def kind_of(event_type: EventType, pointer: str) -> str | None:
    """Return the kind of what stands at a pointer in a thing that happened."""
    return kind_at(event_type.schema, pointer if event_type.items is None else f"{event_type.items}/0{pointer}")


def in_scope(event_type: EventType, event: Event) -> dict[str, object]:
    """Return the values that put another event into the scope of this one."""
    found = {pointer: resolve(first_of(event_type, event), pointer) for pointer in order_of(event_type).scope}
    return {pointer: value for pointer, value in found.items() if value is not MISSING}


def alongside(event_type: EventType, event: Event) -> dict[str, object]:
    """Return the values of another state of the same thing: in the scope, and of the same device, session or the like.

    Where the numbers by which states are ordered also tell them apart, nothing else needs to differ.
    """
    order, identity = order_of(event_type), event_type.identity or ()
    rest = identity if set(order.by) <= set(identity) else ()
    found = {pointer: resolve(first_of(event_type, event), pointer) for pointer in rest if pointer not in order.by}
    return {**in_scope(event_type, event), **{p: value for p, value in found.items() if value is not MISSING}}


def moved(event_type: EventType, event: Event, steps: int) -> dict[str, object]:
    """Return values that put an event so many steps before or after another one."""
    values: dict[str, object] = {}
    for pointer in order_of(event_type).by[:1]:
        old = resolve(first_of(event_type, event), pointer)
        step = STEP if kind_of(event_type, pointer) == "millis" else 1
        values[pointer] = like(old, int(text(old)) + steps * step)
    return values


def like(old: object, number: int) -> object:
    """Return a number as the payload writes it: as text or not."""
    return str(number) if isinstance(old, str) else number
