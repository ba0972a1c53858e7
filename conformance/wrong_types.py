"""Payloads with one value of a type that it never has: what a receiver reads from them blindly breaks it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from im_callback.schemas import replace
from im_callback.schemas.pointer import join

DEEPEST = 3
"""Names and places at most from the top of a payload to a value that is changed."""


def mistyped(payload: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield, for each value near the top of a payload, what it becomes in words, and the payload with it."""
    for pointer, value in _near(payload, "", DEEPEST):
        for said, other in _others(value):
            yield f"{pointer} {said}", replace(dict(payload), pointer, other)


def _near(value: Any, pointer: str, left: int) -> Iterator[tuple[str, Any]]:
    if pointer:
        yield pointer, value
    if not left:
        return
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _near(inner, pointer + join([name]), left - 1)
    elif isinstance(value, list) and value:
        yield from _near(value[0], f"{pointer}/0", left - 1)


def _others(value: Any) -> Iterator[tuple[str, Any]]:
    yield "null", None
    if isinstance(value, Mapping):
        yield "a text for an object", "text"
    elif isinstance(value, list):
        yield "an object for an array", {}
        yield "an array of a number", [7]
    elif isinstance(value, str):
        yield "an object for a text", {}
    else:
        yield "a text for a number", "many"
        yield "an array for a number", []
