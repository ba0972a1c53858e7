"""What a store keeps of what was said: pure functions from what was sent, and the records of it, to what is missing.

A store need not hold content, nor all of it, nor under the payload's names: what it shows of an event is enough if
that tells it from others. So a field counts only where the records show that it is kept, with what was sent: for one
kind of message. Then it is due for the others that fill it, too. What is kept in another form is another matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from im_callback.conformance.judge import in_record, text
from im_callback.provider_mock.traffic.shape import leaves, schemas_at
from im_callback.schemas import MISSING, EventType, jsontext, resolve
from im_callback.schemas.pointer import join

SAYS = frozenset({"text", "url", "address", "file-name", "nickname", "tag", "undescribed"})
"""Kinds of values that are content; others say who, where, when or of what kind."""


class Kept(NamedTuple):
    """One event of a kind (variant, or another name for it), and the record of it."""

    kind: str
    payload: Mapping[str, Any]
    record: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Lost:
    """A field that is kept for one kind and not for another."""

    pointer: str
    kind: str
    kept_for: str
    said: str

    def __str__(self) -> str:
        return f"{self.pointer} of {self.kind} is {self.said}, though it is kept for {self.kept_for}"


def lost_content(event_type: EventType, events: Sequence[Kept]) -> list[Lost]:
    """Return the fields whose content is kept for some kind and not for another, the outermost of each kind only."""
    looked = [(one, list(_looked_at(event_type, one))) for one in events]
    kept_for: dict[str, str] = {}
    whole: dict[str, str] = {}
    for one, fields in looked:
        for field in fields:
            if field.kept:
                kept_for.setdefault(field.pointer, one.kind)
                if isinstance(field.sent, list) and _length(field.found) == len(field.sent):
                    whole.setdefault(field.pointer, one.kind)
    return [lost for one, fields in looked for lost in _outermost(_lost(one.kind, fields, kept_for, whole))]


class _Field(NamedTuple):
    """Something in a payload in which something is said; what the record has there, and whether it holds any of it."""

    pointer: str
    sent: Any
    found: Any
    kept: bool


def _lost(kind: str, fields: Sequence[_Field], kept_for: Mapping[str, str], whole: Mapping[str, str]) -> Iterator[Lost]:
    for pointer, sent, found, kept in fields:
        if pointer in kept_for and not kept:
            empty = found is MISSING or not text(found)
            # What is kept in another form, such as a preview, is another matter.
            if empty or isinstance(_opened(found), (dict, list)):
                yield Lost(
                    pointer, kind, kept_for[pointer], "empty" if empty else "there without anything that was sent in it"
                )
        elif isinstance(sent, list) and pointer in whole and 0 < _length(found) < len(sent):
            yield Lost(pointer, kind, whole[pointer], f"there with {_length(found)} of {len(sent)} elements")


def _outermost(found: Iterable[Lost]) -> Iterator[Lost]:
    outer: list[str] = []
    for one in found:
        if not any(one.pointer.startswith(f"{pointer}/") for pointer in outer):
            outer.append(one.pointer)
            yield one


def _looked_at(event_type: EventType, one: Kept) -> Iterator[_Field]:
    """Yield everything in a payload in which something is said, objects and lists too, outermost first.

    What makes identity and order is no content: whether that is kept is seen by whether the record is found.
    """
    order = event_type.order
    fixed = {*(event_type.identity or ()), *((*order.scope, *order.by) if order else ())}
    saying = {at: said for at, said in _saying(event_type, one.payload) if at not in fixed}
    for pointer, sent in _within(one.payload, ""):
        within = {
            at[len(pointer) :]: said for at, said in saying.items() if at == pointer or at.startswith(f"{pointer}/")
        }
        if pointer and within:
            found = in_record(one.record, pointer)
            yield _Field(pointer, sent, found, _keeps(found, within))


def _saying(event_type: EventType, payload: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for pointer, value in leaves(payload):
        if isinstance(value, str) and value:
            parts = schemas_at(event_type.schema, pointer)
            listed = any("const" in one or "enum" in one for one in parts)
            if not listed and any(one.get("x-kind") in SAYS for one in parts):
                yield pointer, value


def _within(value: Any, pointer: str) -> Iterator[tuple[str, Any]]:
    opened = _opened(value)
    yield pointer, opened
    if isinstance(opened, dict):
        for name, inner in opened.items():
            yield from _within(inner, pointer + join([name]))
    elif isinstance(opened, list):
        for number, inner in enumerate(opened):
            yield from _within(inner, f"{pointer}/{number}")


def _keeps(found: Any, within: Mapping[str, str]) -> bool:
    """Return whether a record's field holds anything that was said; `within` is that, by pointer inside of it."""
    if found is MISSING:
        return False
    inner = _opened(found)
    for at, said in within.items():
        kept = resolve(inner, at) if isinstance(inner, (dict, list)) else inner
        if kept is not MISSING and text(kept) == said:
            return True
    return False


def _opened(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return jsontext.parse(value)
        except ValueError:
            return value
    return value


def _length(value: Any) -> int:
    inner = _opened(value)
    return len(inner) if isinstance(inner, list) else 0
