"""Bodies that no provider sends: not JSON, not the right JSON, or not like any JSON before."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

DEPTH = 10_000


def _mangled(body: bytes) -> bytes:
    """Return the body with bytes that no UTF-8 text holds, inside its first text."""
    at = body.find(b'"') + 1
    return body[:at] + b"\xff\xfe" + body[at:]


def _twice(body: bytes) -> bytes:
    """Return the body with the first member of its first object twice."""
    document = json.loads(body)
    item = document[0] if isinstance(document, list) and document else document
    if not isinstance(item, dict) or not item:
        return b'{"a":1,"a":2}'
    name, value = next(iter(item.items()))
    at = body.index(b"{") + 1
    return body[:at] + json.dumps({name: value})[1:-1].encode() + b"," + body[at:]


def _other(body: bytes) -> bytes:
    return b'{"unexpected":{}}' if body.lstrip()[:1] == b"[" else b"[]"


BROKEN: Mapping[str, Callable[[bytes], bytes]] = {
    "cut": lambda body: body[:-2],
    "empty": lambda _: b"",
    "null": lambda _: b"null",
    "number": lambda _: b"7",
    "string": lambda _: b'"text"',
    "container": _other,
    "nan": lambda _: b'{"a":NaN}',
    "deep": lambda _: b"[" * DEPTH + b"]" * DEPTH,
    "duplicate-keys": _twice,
    "invalid-utf8": _mangled,
}
"""By name: what becomes of a good body. `container` is an object for an array, or the reverse."""
