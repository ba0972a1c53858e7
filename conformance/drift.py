"""The same value as another JSON type: where the documents contradict themselves, a provider may send either."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from im_callback.provider_mock.traffic.shape import leaves, schemas_at
from im_callback.schemas import EventType, replace
from im_callback.schemas.applicable import anywhere

DIGITS = 15
"""Digits of a text at most that a number in JSON holds everywhere."""
NUMBERS = frozenset({"integer", "number"})


@lru_cache(maxsize=1024)
def drifts(event_type: EventType) -> bool:
    """Return whether the schema of an event type admits a number and a text in the same place."""
    return anywhere(event_type.schema, _either)


def is_either(event_type: EventType, pointer: str) -> bool:
    """Return whether the value at a pointer may be a number or a text."""
    return any(map(_either, schemas_at(event_type.schema, pointer)))


def drifted(event_type: EventType, payload: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the pointer of each value that may be of the other type, and the payload with it so, valid."""
    for pointer, value in leaves(payload):
        other = _other(value)
        if other is None or not is_either(event_type, pointer):
            continue
        changed = replace(dict(payload), pointer, other)
        if event_type.valid(changed):
            yield pointer, changed


def _other(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= DIGITS:
        number = int(value)
        # With zeros in front it would be another text.
        return number if str(number) == value else None
    return None


def _either(schema: Mapping[str, Any]) -> bool:
    kinds = schema.get("type")
    return isinstance(kinds, list) and "string" in kinds and not NUMBERS.isdisjoint(kinds)
