"""The form for an event, from its schema: its fields with their values, and the payload that was typed into them. Pure.

What can only be text is typed as it is. Everything else is typed as JSON, so that 1 and "1" can be told apart; what is
no JSON counts as text. An empty field is left out of the payload; "" stands for an empty text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from im_callback.provider_mock.traffic.shape import Shape
from im_callback.schemas import EventType, jsontext
from im_callback.schemas.pointer import join, split

TEXT, JSON = "text", "json"
EMPTY = '""'
"""What is typed for a text without letters."""
LONG = 60
"""Characters from which on a value has several lines."""
MOST_CHOICES = 200
DEEPEST = 2
"""Levels of objects whose members have fields of their own."""


@dataclass(frozen=True, slots=True)
class Field:
    """One value of a payload: where it is, what is known about it, and how it stands in the form.

    `required` holds for payloads like this one. `text`: it can be nothing else. `choices` are all values that it can
    have, as they are typed; none: any.
    """

    pointer: str
    hint: str
    required: bool
    text: bool
    choices: tuple[str, ...]
    value: str

    @property
    def key(self) -> str:
        """What its control is called in the form: how the text is meant, and where it goes."""
        return f"{TEXT if self.text else JSON}:{self.pointer}"

    @property
    def name(self) -> str:
        """What it is called in the payload."""
        return ".".join(split(self.pointer))

    @property
    def long(self) -> bool:
        """Whether it needs several lines."""
        return len(self.value) > LONG or "\n" in self.value


def fields(event_type: EventType, payload: Mapping[str, Any]) -> list[Field]:
    """Return the fields of a payload in its order, then those that it could have besides."""
    return [*_fields(Shape.of_event(event_type).whole(payload), payload, ())]


def payload(typed: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Return the payload that was typed, as pairs of a field's key and a text, in their order; other keys are passed over."""
    made: dict[str, Any] = {}
    for key, text in typed:
        kind, _, pointer = key.partition(":")
        if kind not in (TEXT, JSON) or not text or not pointer.startswith("/"):
            continue
        *parents, last = split(pointer)
        inside = made
        for name in parents:
            if not isinstance(inside.get(name), dict):
                inside[name] = {}
            inside = inside[name]
        inside[last] = _read(text, as_text=kind == TEXT)
    return made


def shown(value: Any) -> str:
    """Return a JSON value as people read it."""
    return json.dumps(value, ensure_ascii=False, indent=2)


def _fields(shape: Shape, payload: Mapping[str, Any], above: tuple[str, ...]) -> Iterator[Field]:
    for name in dict.fromkeys((*payload, *shape.names)):
        child, place = shape.member(name), (*above, name)
        value = payload.get(name)
        flat = child.names and child.type == "object" and len(place) < DEEPEST
        if flat and (name not in payload or (isinstance(value, Mapping) and value)):
            yield from _fields(child, value or {}, place)
            continue
        text = _is_text(child)
        choices = [_written(text, one) for one in child.listed]
        now = _written(text, value) if name in payload else ""
        if now and choices and now not in choices:
            choices.append(now)
        yield Field(
            join(place),
            next((str(one["description"]) for one in reversed(child.schemas) if "description" in one), ""),
            name in shape.required and (not above or bool(payload)),
            text,
            tuple(dict.fromkeys(choices)) if len(choices) <= MOST_CHOICES else (),
            now,
        )


def _is_text(shape: Shape) -> bool:
    types = {
        one
        for schema in shape.schemas
        if "type" in schema
        for one in ([schema["type"]] if isinstance(schema["type"], str) else schema["type"])
    }
    return types == {"string"}


def _written(text: bool, value: Any) -> str:
    if text and isinstance(value, str):
        return value or EMPTY
    return json.dumps(value, ensure_ascii=False)


def _read(text: str, *, as_text: bool) -> Any:
    if as_text:
        return "" if text == EMPTY else text
    try:
        return jsontext.parse(text)
    except ValueError:
        return text
