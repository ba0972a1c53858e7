"""Values that repeat others of the same message, or are put together from them, and must fit them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from typing import Any

from im_callback.provider_mock.traffic.shape import Shape
from im_callback.schemas import MISSING, EventType, replace, resolve
from im_callback.schemas.pointer import join

RANDOMS = ("MsgRandom", "Random")
"""What the random number is called: of a one-to-one message, of a group message."""
DEEPEST = 4
_KEY = re.compile(r"[0-9]+_[0-9]+_[0-9]+")


def message_key(message: Mapping[str, Any]) -> str:
    """Return MsgSeq, MsgRandom and MsgTime of a message, joined as in Tencent's MsgKey."""
    return "_".join(str(message.get(name, "")) for name in ("MsgSeq", "MsgRandom", "MsgTime"))


def message_id(message: Mapping[str, Any], sender: object, old: str = "") -> str:
    """Return the sender's number, MsgTime and random number of a message, joined as in Tencent's MsgId.

    What the message does not have is taken from its MsgKey, or else from the old id.
    """
    _, key_random, key_time = _parts(message.get("MsgKey"), "_")
    _, old_time, old_random = _parts(old, "-")
    random = next((message[name] for name in RANDOMS if name in message), key_random or old_random)
    return f"{sender}-{message.get('MsgTime', key_time or old_time)}-{random}"


COMPOSED = frozenset({"message-key", "message-id", "key-version"})
"""The kinds of such values."""


def recomposed(
    event_type: EventType, payload: dict[str, Any], fixed: Collection[str], sender: int | None = None
) -> dict[str, Any]:
    """Return a payload whose composed and repeated values fit the others; those at and below `fixed` stay as they are.

    The parts of a fixed MsgKey follow it. `sender` is the number of the message's sender; None: the one that is there.
    """
    changed: Any = payload
    for around, name, kind in _standing(event_type, payload):
        message = resolve(changed, around)
        pointer = around + join([name])
        if pointer in fixed:
            found = _apart(kind, message, around, fixed)
        elif _stands_alone(kind, message):
            continue
        else:
            found = {pointer: _put_together(kind, message, message[name], payload, sender)}
        for place, value in found.items():
            changed = replace(changed, place, value) if resolve(changed, place) != value else changed
    return _repeating(event_type, changed, fixed)


def _repeating(event_type: EventType, payload: dict[str, Any], fixed: Collection[str]) -> dict[str, Any]:
    for pointer, source in _repeats(event_type):
        old, new = resolve(payload, pointer), resolve(payload, source)
        kept = any(pointer == one or pointer.startswith(f"{one}/") for one in fixed)
        if not kept and old is not MISSING and new is not MISSING and old != new:
            payload = replace(payload, pointer, str(new) if isinstance(old, str) else new)
    return payload


def _put_together(
    kind: str, message: Mapping[str, Any], old: Any, payload: Mapping[str, Any], sender: int | None
) -> Any:
    if kind == "message-key":
        return message_key(message)
    if kind == "message-id":
        return message_id(message, str(old).partition("-")[0] if sender is None else sender, str(old))
    return payload.get("Seq", old)


def alone(event_type: EventType, payload: Mapping[str, Any]) -> frozenset[str]:
    """Return the pointers of composed values that stand without what they are made of, as MsgKey in a recall."""
    found = ((resolve(payload, around), around, name, kind) for around, name, kind in _standing(event_type, payload))
    return frozenset(around + join([name]) for message, around, name, kind in found if _stands_alone(kind, message))


def _stands_alone(kind: str, message: Mapping[str, Any]) -> bool:
    if kind == "message-key":
        return not {"MsgSeq", "MsgRandom", "MsgTime"} <= set(message)
    return kind == "message-id" and not {*RANDOMS, "MsgTime", "MsgKey"} & set(message)


def _apart(kind: str, message: Mapping[str, Any], around: str, fixed: Collection[str]) -> dict[str, Any]:
    """Return the parts of a MsgKey that do not fit it and may change, by pointer."""
    key = message.get("MsgKey")
    if kind != "message-key" or not isinstance(key, str) or not _KEY.fullmatch(key) or _stands_alone(kind, message):
        return {}
    names = (f"{around}/{name}" for name in ("MsgSeq", "MsgRandom", "MsgTime"))
    return {pointer: int(part) for pointer, part in zip(names, key.split("_"), strict=True) if pointer not in fixed}


def _parts(text: object, separator: str) -> tuple[str, str, str]:
    parts = str(text).split(separator) if text else []
    return (parts[0], parts[1], parts[2]) if len(parts) == 3 else ("", "", "")


def _standing(event_type: EventType, payload: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield every composed value of a payload: the pointer of the object that it stands in, its name and its kind."""
    for path, name, kind in _composed(event_type):
        for around, message in _objects(payload, path, ""):
            if message.get(name):
                yield around, name, kind


def _objects(value: Any, path: tuple[str, ...], pointer: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if not path:
        if isinstance(value, Mapping):
            yield pointer, value
    elif path[0] == "*":
        for number, inner in enumerate(value if isinstance(value, list) else ()):
            yield from _objects(inner, path[1:], f"{pointer}/{number}")
    elif isinstance(value, Mapping) and path[0] in value:
        yield from _objects(value[path[0]], path[1:], pointer + join(path[:1]))


@lru_cache(maxsize=1024)
def _composed(event_type: EventType) -> tuple[tuple[tuple[str, ...], str, str], ...]:
    """Return where composed values can stand: the way to the object, starred, their names and kinds."""
    return tuple(_found(Shape.of_event(event_type), ()))


def _found(shape: Shape, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str, str]]:
    widest = shape.widest
    for name in widest.names:
        child = widest.member(name)
        if child.kind in COMPOSED:
            yield path, name, str(child.kind)
        elif len(path) < DEEPEST and child.names:
            yield from _found(child, (*path, name))
        elif len(path) < DEEPEST and child.element is not None and child.element.names:
            yield from _found(child.element, (*path, name, "*"))


@lru_cache(maxsize=1024)
def _repeats(event_type: EventType) -> tuple[tuple[str, str], ...]:
    """Return the pointers of the values that repeat others (`x-same-as`), each with that of the other."""
    return tuple(dict.fromkeys(_repeats_in(event_type.schema, "")))


def _repeats_in(schema: Any, pointer: str) -> Iterator[tuple[str, str]]:
    if not isinstance(schema, Mapping):
        return
    if "x-same-as" in schema:
        yield pointer, schema["x-same-as"]
    for name, inner in schema.get("properties", {}).items():
        yield from _repeats_in(inner, pointer + join([name]))
    for part in (*schema.get("allOf", ()), *(schema.get(keyword) for keyword in ("then", "else", "contentSchema"))):
        yield from _repeats_in(part, pointer)
