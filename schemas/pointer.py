"""JSON Pointers (RFC 6901) that pass through JSON embedded in strings, as in `/callback/session`."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable
from functools import cache
from typing import Any, Final, Literal

from im_callback.schemas import jsontext
from im_callback.schemas.errors import PointerError

__all__ = ["MISSING", "Missing", "join", "replace", "resolve", "split"]


class Missing(enum.Enum):
    """The type of `MISSING`."""

    MISSING = "MISSING"

    def __repr__(self) -> str:
        return "MISSING"

    def __bool__(self) -> Literal[False]:
        return False


#: What `resolve` returns where there is nothing: unlike `None`, it is not a JSON value.
MISSING: Final = Missing.MISSING

_BAD_ESCAPE = re.compile(r"~(?![01])")
_INDEX = re.compile(r"0|[1-9][0-9]*")


def split(pointer: str) -> list[str]:
    """
    Return the reference tokens of *pointer*, unescaped; none for the whole document.

    Raises:
        PointerError: it does not begin with `/`, or a `~` is not `~0` or `~1` (RFC 6901, section 3).
    """
    if pointer == "":
        return []
    if not pointer.startswith("/"):
        raise PointerError(pointer, "it does not begin with '/'", f"write {'/' + pointer!r}")
    if _BAD_ESCAPE.search(pointer):
        raise PointerError(pointer, "a '~' stands alone", "write '~0' for '~' and '~1' for '/'")
    return [token.replace("~1", "/").replace("~0", "~") for token in pointer[1:].split("/")]


@cache
def _tokens(pointer: str) -> tuple[str, ...]:
    return tuple(split(pointer))


def join(tokens: Iterable[str | int]) -> str:
    """Return the pointer made of *tokens*, escaped."""
    return "".join("/" + str(token).replace("~", "~0").replace("/", "~1") for token in tokens)


def resolve(payload: Any, pointer: str, default: Any = MISSING) -> Any:
    """
    Return the value at *pointer*, or *default* where there is none.

    A string on the way is read as JSON text and entered. The value itself is returned as it stands: a string that
    holds JSON stays a string.

    Raises:
        PointerError: *pointer* is malformed. That it leads nowhere is no error.
    """
    value = payload
    for token in _tokens(pointer):
        value = _step(_opened(value), token)
        if value is MISSING:
            return default
    return value


def replace(payload: Any, pointer: str, value: Any) -> Any:
    """
    Return a copy of *payload* with *value* at *pointer*; *payload* itself stays as it is.

    Embedded JSON on the way is decoded, changed and written back: compact, with non-ASCII characters as they are.
    A member that is not there yet is added, provided the object it belongs to is there. An array index must exist.

    Raises:
        PointerError: *pointer* is malformed, or the parent is missing or has no members.
    """
    return _replaced(payload, pointer, split(pointer), 0, value)


def _replaced(node: Any, pointer: str, tokens: list[str], depth: int, value: Any) -> Any:
    if depth == len(tokens):
        return value
    token, last = tokens[depth], depth + 1 == len(tokens)
    inner = _opened(node)
    if not isinstance(inner, (dict, list)):
        raise PointerError(
            pointer,
            f"{join(tokens[:depth]) or 'the payload'} holds neither an object nor an array",
            "set the parent first",
        )
    child = _step(inner, token)
    if child is MISSING and (isinstance(inner, list) or not last):
        raise PointerError(pointer, f"there is no {join(tokens[: depth + 1])}", "set the parent first")
    changed = _replaced(child, pointer, tokens, depth + 1, value)
    copy: dict[str, Any] | list[Any]
    if isinstance(inner, dict):
        copy = {**inner, token: changed}
    else:
        copy = list(inner)
        copy[int(token)] = changed
    return jsontext.dump(copy) if isinstance(node, str) else copy


def _opened(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return jsontext.parse(value)
    except ValueError:
        return value


def _step(value: Any, token: str) -> Any:
    if isinstance(value, dict):
        return value.get(token, MISSING)
    if isinstance(value, list) and _INDEX.fullmatch(token) and int(token) < len(value):
        return value[int(token)]
    return MISSING
