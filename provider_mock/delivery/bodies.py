"""Bodies that no provider sends: not JSON, not the right JSON, not like any JSON before; and forms that are none."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from urllib.parse import quote_plus

DEPTH = 10_000

Broken = tuple[Callable[[bytes, str], bytes | None], str]
"""What becomes of a good body, and that in words; None where it has nothing that could be broken so.

The text beside the body is one in it that is to be hit, if there is a choice.
"""


def _hit(body: bytes, word: bytes, before: bytes, strange: bytes, *, last: bool = False) -> bytes | None:
    """Return the body with strange bytes inside a word, or in its first or last value where the word does not stand."""
    value = body.rfind(before) if last else body.find(before)
    at = body.find(word) + 3 if word in body and word else value + len(before)
    return body[:at] + strange + body[at:] if before in body else None


def _twice(body: bytes, _: str) -> bytes | None:
    """Return the body with the first member of its first object twice."""
    document = json.loads(body)
    item = document[0] if isinstance(document, list) and document else document
    if not isinstance(item, dict) or not item:
        return None
    name, value = next(iter(item.items()))
    at = body.index(b"{") + 1
    return body[:at] + json.dumps({name: value})[1:-1].encode() + b"," + body[at:]


_EMPTY: Broken = (lambda *_: b"", "an empty body")
_JSON: Mapping[str, Broken] = {
    "cut": (lambda body, _: body[:-2], "truncated JSON"),
    "empty": _EMPTY,
    "null": (lambda *_: b"null", "null"),
    "number": (lambda *_: b"7", "a number"),
    "string": (lambda *_: b'"text"', "a string"),
    "container": (lambda *_: b"[]", "an array for an object"),
    "others": (lambda *_: b'[[1],null,"x"]', "an array of other things"),
    "nan": (lambda *_: b'{"a":NaN}', "NaN"),
    "deep": (lambda *_: b"[" * DEPTH + b"]" * DEPTH, f"arrays {DEPTH} deep"),
    "doubled": (lambda *_: b'{"a":1,"a":2}', "duplicate keys"),
    "duplicate-keys": (_twice, "its first key twice"),
    "invalid-utf8": (lambda body, word: _hit(body, word.encode(), b'"', b"\xff\xfe"), "invalid UTF-8"),
}
_FORM: Mapping[str, Broken] = {
    "cut": (lambda body, _: body + b"%E", "a form cut off inside an escape"),
    "empty": _EMPTY,
    "container": (lambda *_: b'{"unexpected":{}}', "JSON for a form"),
    "others": (lambda *_: b"&=&&text&=", "a form of other things"),
    "deep": (lambda *_: b"a=&" * DEPTH, f"a form of {DEPTH} fields"),
    "duplicate-keys": (
        lambda body, _: body.partition(b"&")[0] + b"&" + body if body else None,
        "its first field twice",
    ),
    # What a feed says beside the event, such as the application's key, stands first.
    "invalid-utf8": (
        lambda body, word: _hit(body, quote_plus(word).encode(), b"=", b"%FF%FE", last=True),
        "invalid UTF-8",
    ),
}
BODIES: Mapping[str, Mapping[str, Broken]] = {
    "object": _JSON,
    "array": {**_JSON, "container": (lambda *_: b'{"unexpected":{}}', "an object for an array")},
    "form": _FORM,
}
"""By encoding and name. `container` is an object for an array, or the reverse; `doubled` is no event, `duplicate-keys` is one."""
BROKEN = tuple(_JSON)
"""Every name."""
