"""Reads JSON text so that single values can be replaced in it, and everything else stays as it was written."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from im_callback.schemas import jsontext

_SPACE = re.compile(r"[ \t\n\r]*")
_DECODER = json.JSONDecoder()
Edit = tuple[int, int, str]
"""Where a piece of the text begins and ends, and what takes its place."""


@dataclass(frozen=True, slots=True)
class Token:
    """A value and where it stands in the text.

    Of an object, `members` has each name with its place; of an array, `items`; `raw` is how any other is written.
    """

    begin: int
    end: int
    value: Any
    raw: str = ""
    members: tuple[tuple[str, int, int, Token], ...] | None = None
    items: tuple[Token, ...] | None = None


def read(text: str) -> Token:
    """Return the value that a text holds; ValueError if it is no JSON."""
    # What is JSON and what is none is for one reader alone to say.
    jsontext.parse(text)
    return _value(text, _SPACE.match(text, 0).end())  # type: ignore[union-attr]


def edited(text: str, edits: Iterable[Edit]) -> str:
    """Return the text with its pieces replaced; they do not overlap, and come in their order."""
    parts: list[str] = []
    at = 0
    for begin, end, new in edits:
        parts += (text[at:begin], new)
        at = end
    return "".join((*parts, text[at:]))


def without(text: str, names: Collection[str]) -> str:
    """Return an object without the members of these names, the others as they are written; ValueError for no JSON."""
    token = read(text)
    if token.members is None or not any(name in names for name, *_ in token.members):
        return text
    kept = [text[begin : inner.end] for name, begin, _, inner in token.members if name not in names]
    return f"{text[: token.begin]}{{{','.join(kept)}}}{text[token.end :]}"


def written(value: Any, old: str) -> str:
    """Return a value as JSON text, with the escapes of the text that it replaces."""
    escaped = "\\u" in old and old.isascii()
    text = json.dumps(value, ensure_ascii=escaped or not _encodable(value), allow_nan=False)
    return text.replace("/", "\\/") if "\\/" in old else text


def _value(text: str, at: int) -> Token:
    if text[at] == "{":
        return _object(text, at)
    if text[at] == "[":
        return _array(text, at)
    value, end = _DECODER.raw_decode(text, at)
    return Token(at, end, value, text[at:end])


def _object(text: str, begin: int) -> Token:
    members = []
    at = _after(text, begin + 1)
    while text[at] != "}":
        name, end = _DECODER.raw_decode(text, at)
        inner = _value(text, _after(text, _after(text, end) + 1))
        members.append((name, at, end, inner))
        at = _after(text, inner.end)
        if text[at] == ",":
            at = _after(text, at + 1)
    return Token(begin, at + 1, {name: inner.value for name, _, _, inner in members}, members=tuple(members))


def _array(text: str, begin: int) -> Token:
    items = []
    at = _after(text, begin + 1)
    while text[at] != "]":
        inner = _value(text, at)
        items.append(inner)
        at = _after(text, inner.end)
        if text[at] == ",":
            at = _after(text, at + 1)
    return Token(begin, at + 1, [inner.value for inner in items], items=tuple(items))


def _after(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    assert found is not None
    return found.end()


def _encodable(value: Any) -> bool:
    # A lone surrogate is JSON as an escape, and cannot be written otherwise.
    return not (isinstance(value, str) and any("\ud800" <= one <= "\udfff" for one in value))
