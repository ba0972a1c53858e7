"""Adds documented optional fields to a payload, one at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from im_callback.provider_mock.traffic.build import Place
from im_callback.provider_mock.traffic.generate import TRIES, Generator
from im_callback.provider_mock.traffic.identity import places
from im_callback.provider_mock.traffic.shape import Shape
from im_callback.schemas import EventType, jsontext, replace, resolve
from im_callback.schemas.pointer import join, split


def with_optional(
    generator: Generator, event_type: EventType, payload: Mapping[str, Any]
) -> list[tuple[str, dict[str, Any]]]:
    """Return, for each documented field that a payload does not have, its pointer and the payload with it, valid.

    Fields are looked for in the payload, in the first of its elements where the schema has `x-items`, and in the
    objects and embedded JSON objects that stand directly in these; only those that the conditions of the schema allow
    in this payload. A field that the documents only name, or of which they do not tell the type (the schema then lists
    values of several), is left out: an honest receiver may have taken the other one.
    """
    found: list[tuple[str, dict[str, Any]]] = []
    for pointer, child in _missing(event_type, payload):
        if len({type(value) for value in child.listed}) > 1:
            continue
        for _ in range(TRIES):
            changed = replace(dict(payload), pointer, generator.value(child, _everything))
            if event_type.valid(changed):
                found.append((pointer, changed))
                break
    return found


def _everything(place: Place, whole: Shape, child: Shape) -> bool:
    return True


def _missing(event_type: EventType, payload: Mapping[str, Any]) -> Iterator[tuple[str, Shape]]:
    around = ["", *places(event_type, payload)[:1]] if event_type.items else [""]
    for place in around:
        shape, value = _at(event_type, payload, place)
        yield from _absent(shape, value, place)
        for name, inner in value.items():
            pointer = place + join([name])
            # The elements of the list are looked at by themselves.
            if pointer != event_type.items:
                member, opened = _opened(shape.member(name), inner)
                yield from _absent(member, opened, pointer)


def _absent(shape: Shape, value: Any, pointer: str) -> Iterator[tuple[str, Shape]]:
    if isinstance(value, Mapping):
        # What belongs to another shape than the one that the payload has.
        others = {name for choice in shape.choices for branch in choice for name in branch.get("required", ())}
        for name in shape.names:
            child = shape.member(name)
            if name not in value and child.described and name not in others:
                yield pointer + join([name]), child


def _at(event_type: EventType, payload: Any, pointer: str) -> tuple[Shape, Any]:
    """Return the shape and the value at a pointer of a payload, opened where it is embedded JSON."""
    shape, value = _opened(Shape.of_event(event_type), payload)
    for token in split(pointer):
        shape, value = _opened(shape.member(token), resolve(value, join([token])))
    return shape, value


def _opened(shape: Shape, value: Any) -> tuple[Shape, Any]:
    if isinstance(value, str) and shape.content is not None:
        try:
            value = jsontext.parse(value)
        except ValueError:
            return shape, value
        shape = shape.content
    return shape.whole(value), value
