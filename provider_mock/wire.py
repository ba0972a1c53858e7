"""How a payload becomes bytes: what real senders vary and receivers trip over.

The default is what the documents and the samples in them show: compact JSON, raw UTF-8,
keys in the order of the samples, header names as documented, a Content-Length.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Any, Literal

from im_callback.schemas.nearest import choice

AS_DOCUMENTED = "as documented"


@dataclass(frozen=True, slots=True)
class Wire:
    """One way to write a request. Every attribute can be combined with every other.

    With `lone_object` a batch of one event is that event alone, without the array around it. With `plain_names`
    headers are called what the parameters are called in a query.
    """

    key_order: Literal["documented", "alphabetical", "java-hashmap"] = "documented"
    escapes: Literal["raw", "slashes", "unicode"] = "raw"
    spaces: bool = False
    tail: str = ""
    integers_as_floats: bool = False
    header_case: Literal["documented", "lower", "upper"] = "documented"
    content_type: str | None = AS_DOCUMENTED
    chunked: bool = False
    legacy_names: bool = False
    lone_object: bool = False
    plain_names: bool = False

    def header(self, name: str) -> str:
        """Return a header's name in this wire's case."""
        if self.header_case == "documented":
            return name
        return name.lower() if self.header_case == "lower" else name.upper()


@dataclass(frozen=True, slots=True)
class NamedWire:
    """A way to write requests that users can ask for by name, and what it is like in one line."""

    wire: Wire
    description: str


class UnknownWire(LookupError):
    """No wire has this name, or two that were named exclude each other."""


COMMON: Mapping[str, NamedWire] = {
    "alphabetical": NamedWire(Wire(key_order="alphabetical"), "the keys of every object in alphabetical order"),
    "java-hashmap": NamedWire(Wire(key_order="java-hashmap"), "the keys in the order of a java.util.HashMap"),
    "escaped-slashes": NamedWire(Wire(escapes="slashes"), r"every / in a text written as \/"),
    "ascii": NamedWire(Wire(escapes="unicode"), r"characters beyond ASCII written as \uXXXX"),
    "spaces": NamedWire(Wire(spaces=True), "white space between the tokens of the JSON text"),
    "newline": NamedWire(Wire(tail="\n"), "a line break after the JSON text"),
    "floats": NamedWire(Wire(integers_as_floats=True), "integers written as 1.0"),
    "charset": NamedWire(
        Wire(content_type="application/json;charset=utf-8"), "Content-Type: application/json;charset=utf-8"
    ),
    "no-content-type": NamedWire(Wire(content_type=None), "no Content-Type"),
    "chunked": NamedWire(Wire(chunked=True), "the body in chunks, without a Content-Length"),
    "lower-case-headers": NamedWire(Wire(header_case="lower"), "the names of headers in lower case"),
    "upper-case-headers": NamedWire(Wire(header_case="upper"), "the names of headers in upper case"),
}
"""What any provider's requests may be like."""
FORMS = (
    "alphabetical",
    "java-hashmap",
    "charset",
    "no-content-type",
    "chunked",
    "lower-case-headers",
    "upper-case-headers",
)
"""Those of them that mean something for a form."""
LONE_OBJECT = NamedWire(Wire(lone_object=True), "a batch of one event as that event alone, without the array around it")
PLAIN_NAMES = NamedWire(Wire(plain_names=True), "headers under the names that parameters have in a query")
LEGACY_NAMES = NamedWire(Wire(legacy_names=True), "parameters under the names of earlier years")


def combined(names: Sequence[str], known: Mapping[str, NamedWire]) -> Wire:
    """Return the wire that is all that the names say; `UnknownWire` where one is not known, or two exclude each other."""
    wire, set_by = Wire(), dict[str, str]()
    for name in names:
        if name not in known:
            raise UnknownWire(
                f"no wire is called {name!r}; {choice(name, known, 'provider-mock events --wires lists them')}"
            )
        for one in fields(Wire):
            value = getattr(known[name].wire, one.name)
            if value == one.default:
                continue
            if value != getattr(wire, one.name) and one.name in set_by:
                raise UnknownWire(f"{name} and {set_by[one.name]} exclude each other; give one of them")
            wire = replace(wire, **{one.name: value})
            set_by[one.name] = name
    return wire


def encode(value: Any, wire: Wire) -> bytes:
    """Return the JSON text of a value, written as the wire says, in UTF-8."""
    reorder = _ORDERS[wire.key_order]
    if reorder is not None or wire.integers_as_floats:
        value = _rewrite(value, reorder, wire.integers_as_floats)
    text = _encoder(wire.escapes == "unicode", wire.spaces)(value)
    if wire.spaces:
        text = f" {text} "
    if wire.escapes == "slashes":
        # In JSON text a solidus can only stand inside a string, where both forms mean the same.
        text = text.replace("/", r"\/")
    return (text + wire.tail).encode()


def ordered(fields: Mapping[str, Any], wire: Wire) -> dict[str, Any]:
    """Return fields in this wire's order."""
    reorder = _ORDERS[wire.key_order]
    return dict(fields) if reorder is None else {key: fields[key] for key in reorder(list(fields))}


@cache
def _encoder(ascii_only: bool, spaces: bool) -> Callable[[Any], str]:
    """Return what writes JSON this way; `json.dumps` would make one anew for every payload."""
    separators = (" , ", " : ") if spaces else (",", ":")
    return json.JSONEncoder(ensure_ascii=ascii_only, separators=separators, allow_nan=False).encode


def java_hashmap_order(keys: list[str]) -> list[str]:
    """Return the keys in the iteration order of a `java.util.HashMap` they were put into in turn.

    The documented samples of several CommsEase event types show exactly this order. A table of
    16 buckets doubles when more than three quarters as many keys are in it; a bucket keeps the
    order of insertion, also when it is split.
    """
    capacity = 16
    while len(keys) > capacity * 3 // 4:
        capacity *= 2
    buckets: dict[int, list[str]] = {}
    for key in keys:
        buckets.setdefault(_java_spread(key) & (capacity - 1), []).append(key)
    return [key for bucket in sorted(buckets) for key in buckets[bucket]]


def _java_spread(key: str) -> int:
    code = 0
    units = key.encode("utf-16-be")
    for high, low in zip(units[::2], units[1::2], strict=True):
        code = (31 * code + (high << 8 | low)) & 0xFFFFFFFF
    return code ^ (code >> 16)


_ORDERS: dict[str, Callable[[list[str]], list[str]] | None] = {
    "documented": None,
    "alphabetical": sorted,
    "java-hashmap": java_hashmap_order,
}


def _rewrite(value: Any, reorder: Callable[[list[str]], list[str]] | None, as_floats: bool) -> Any:
    if isinstance(value, dict):
        keys = reorder(list(value)) if reorder else list(value)
        return {key: _rewrite(value[key], reorder, as_floats) for key in keys}
    if isinstance(value, list):
        return [_rewrite(item, reorder, as_floats) for item in value]
    if as_floats and type(value) is int and abs(value) < 2**53:
        return float(value)
    return value
