"""JSON inside strings: the forms that it takes where the schema says so, and what is no JSON where any text may stand."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from im_callback.provider_mock.traffic.shape import schemas_at
from im_callback.schemas import EventType, jsontext, replace
from im_callback.schemas.applicable import anywhere, embeds
from im_callback.schemas.pointer import join

NOT_JSON = ("{not JSON", "plain words")
"""Texts that are none; the first begins as if it were."""


@lru_cache(maxsize=1024)
def holds_json(event_type: EventType) -> bool:
    """Return whether payloads of an event type hold JSON inside strings."""
    return anywhere(event_type.schema, embeds)


def rewritten(event_type: EventType, payload: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield the payload with each embedded text in another form: its pointer, the form in words, the payload, valid."""
    for pointer, old in _texts(event_type, payload, ""):
        for form, new in _forms(old):
            changed = replace(dict(payload), pointer, new)
            if new != old and event_type.valid(changed):
                yield pointer, form, changed


def _forms(old: str) -> Iterator[tuple[str, str]]:
    try:
        inner = jsontext.parse(old)
    except ValueError:
        pass
    else:
        yield "with white space", json.dumps(inner, indent=1)
        yield "compact, in another order", json.dumps(_turned(inner), separators=(",", ":"))
    for one in NOT_JSON:
        yield f"as a text that is no JSON ({one.partition(' ')[0]} …)", one


def _turned(value: Any) -> Any:
    """Return a value with the members of an object in the reverse order."""
    return dict(reversed(value.items())) if isinstance(value, dict) else value


def _texts(event_type: EventType, value: Any, pointer: str) -> Iterator[tuple[str, str]]:
    """Yield the strings of which some part of the schema says that they hold JSON, with their pointers."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _texts(event_type, inner, pointer + join([name]))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _texts(event_type, inner, f"{pointer}/{number}")
    elif isinstance(value, str) and any(map(embeds, schemas_at(event_type.schema, pointer))):
        yield pointer, value
