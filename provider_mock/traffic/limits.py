"""Takes a payload to the documented maxima, one at a time.

Lengths are counted in characters, as the documents have them. They do not say which characters; what is added here is
ASCII, so that a text is at its maximum whether one counts characters, UTF-16 units or bytes of UTF-8.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from im_callback.provider_mock.traffic.composed import COMPOSED, recomposed
from im_callback.provider_mock.traffic.shape import Shape
from im_callback.schemas import EventType, jsontext, replace
from im_callback.schemas.pointer import join

LONG = 2**63 - 1
"""What a Long holds: the documents say of ids made of digits that they can be read as one."""
OFTEN = 10**15
"""How many ids there are below it that `limits` uses."""
DIGITS = frozenset({"digits-id", "long-id", "room", "team"})
FILLER = "long text "
PLAIN = "x"


def limits(event_type: EventType, payload: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return, for each documented maximum that applies to a payload, its pointer and the payload at it, valid.

    These are: the longest text (`maxLength`), the largest integer (`maximum`), the largest list or object as JSON
    (`x-max-bytes`), and of ids made of digits one just below 2**63. What makes one event unlike another is still in a
    value that has been lengthened, and an id beyond 2**53 follows from the one that was there: give the payload an
    identity of its own first, and another for each one that is returned with `fresh(…, keep=[pointer])`.
    What is put together from other fields follows them, and has no maximum of its own.
    """
    found: list[tuple[str, dict[str, Any]]] = []
    swollen: list[str] = []
    for pointer, shape, old in _values(Shape.of_event(event_type), payload, ""):
        size = shape.least("x-max-bytes")
        # What stands in something of a limited size cannot grow to that size itself.
        if size is not None and any(pointer.startswith(f"{outer}/") for outer in swollen):
            continue
        swollen += [pointer] if size is not None else []
        for new in _largest(shape, old):
            changed = recomposed(event_type, replace(dict(payload), pointer, new), (pointer,))
            if new != old and event_type.valid(changed):
                found.append((pointer, changed))
                break
    return found


def _values(shape: Shape, value: Any, pointer: str) -> Iterator[tuple[str, Shape, Any]]:
    """Yield everything in a payload about which its schema says something, embedded JSON entered."""
    yield pointer, shape, value
    if isinstance(value, str) and shape.content is not None:
        try:
            value = jsontext.parse(value)
        except ValueError:
            return
        shape = shape.content
    if isinstance(value, Mapping):
        whole = shape.whole(value)
        for name, inner in value.items():
            yield from _values(whole.member(name), inner, pointer + join([name]))
    elif isinstance(value, list) and shape.element is not None:
        for number, inner in enumerate(value):
            yield from _values(shape.element, inner, f"{pointer}/{number}")


def _largest(shape: Shape, old: Any) -> Iterator[Any]:
    """Yield what could stand for the largest value of a shape in place of an old one; the first that is valid will."""
    if shape.listed or shape.kind in COMPOSED or isinstance(old, bool):
        return
    most, longest, bytes_most = shape.least("maximum"), shape.least("maxLength"), shape.least("x-max-bytes")
    if isinstance(old, int) and isinstance(most, int):
        yield most
    if isinstance(old, str) and longest is not None and len(old) < longest:
        yield from _lengthened(shape, old, longest - len(old))
    elif isinstance(old, str) and shape.kind in DIGITS and old.isdecimal() and shape.least("pattern") is not None:
        yield str(LONG - int(old) % OFTEN)
    if bytes_most is not None and isinstance(old, (dict, list)):
        yield from _swollen(shape, old, bytes_most)


def _lengthened(shape: Shape, old: str, missing: int) -> Iterator[str]:
    if shape.content is None:
        yield old + (_filling(missing) if shape.kind == "text" else PLAIN * missing)
        return
    try:
        inner = jsontext.parse(old)
    except ValueError:
        return
    missing += len(old) - len(jsontext.dump(inner))
    yield from (jsontext.dump(one) for one in _with_longer_text(shape.content, inner, missing))


def _swollen(shape: Shape, old: Any, most: int) -> Iterator[Any]:
    yield from _with_longer_text(shape, old, most - len(jsontext.dump(old).encode()))


def _with_longer_text(shape: Shape, value: Any, missing: int) -> Iterator[Any]:
    """Yield a value with so many characters more in one of its free texts."""
    for pointer, part, text in _values(shape, value, ""):
        if missing > 0 and isinstance(text, str) and part.kind == "text" and part.content is None and pointer:
            yield replace(value, pointer, text + _filling(missing))
    for pointer, part, text in _values(shape, value, ""):
        if missing > 0 and isinstance(text, str) and part.kind in ("file-name", "address", "url") and pointer:
            yield replace(value, pointer, text + PLAIN * missing)


def _filling(length: int) -> str:
    # No white space at the end, which a store may strip.
    return (FILLER * (length // len(FILLER) + 1))[: max(length - 1, 0)] + PLAIN if length else ""
