"""Tells what JSON can hold from what only Python can: `NaN`, tuples, keys that are no text, endless nesting."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Final

__all__ = ["DEEPEST", "foreign", "is_plain"]

#: Objects and arrays within each other in a payload; readers commonly stop at 64 or more, and so do our own libraries.
DEEPEST: Final = 100

_SCALARS: Final = {str, bool, type(None)}
#: Any Python writes an integer of so many bits, whatever its limit of digits is set to.
_SMALL: Final = 2000


def is_plain(value: Any, levels: int = DEEPEST) -> bool:
    """Return whether *value* is made of JSON's own types alone; False also of rare values that JSON can hold."""
    kind = type(value)
    if kind is dict:
        if not levels:
            return False
        for name, inner in value.items():
            if type(name) is not str or not (type(inner) in _SCALARS or is_plain(inner, levels - 1)):
                return False
        return True
    if kind is list:
        return levels > 0 and all(type(inner) in _SCALARS or is_plain(inner, levels - 1) for inner in value)
    if kind is int:
        return bool(value.bit_length() <= _SMALL)
    if kind is float:
        return math.isfinite(value)
    return kind in _SCALARS


def foreign(value: Any, place: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield the place of everything within *value* that JSON cannot hold, and what it is."""
    if isinstance(value, (dict, list)) and len(place) >= DEEPEST:
        yield place, f"is nested more than {DEEPEST} levels deep"
    elif isinstance(value, dict):
        for name, inner in value.items():
            if isinstance(name, str):
                yield from foreign(inner, (*place, name))
            else:
                yield place, f"has a key of the type {type(name).__name__}; due is text"
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from foreign(inner, (*place, number))
    elif isinstance(value, float):
        if not math.isfinite(value):
            yield place, f"is {value}, which is no number in JSON"
    elif isinstance(value, int):
        try:
            str(value)
        except ValueError:
            yield place, f"is an integer of {value.bit_length()} bits; it is too long to be written"
    elif value is not None and not isinstance(value, str):
        yield place, f"is a value of the type {type(value).__name__}, which JSON does not have"
