"""Tells whether a payload is valid many times as fast as `jsonschema`, where `jsonschema-rs` is installed.

Where `jsonschema` could come to another verdict, it gives none:

* The schema must use nothing but keywords and regular expressions that mean the same to both libraries, as far as
  `im_callback.schemas.agreement` can tell of the release that is installed.
* The payload must be made of JSON's own types, and be flat: `jsonschema-rs` does not watch its stack.
* JSON inside strings, which `jsonschema-rs` leaves alone, is read by `im_callback.schemas.jsontext` and validated in the same way.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from im_callback.schemas import agreement, jsontext
from im_callback.schemas.values import is_plain

if TYPE_CHECKING:
    from jsonschema_rs import Draft202012Validator

__all__ = ["quick"]

_COMPARISONS: Final = {"const", "enum", "minimum", "maximum"}
_ANNOTATIONS: Final = {"$comment", "title", "description", "examples", "default", "deprecated"}
_OF_ONE: Final = {"items", "additionalProperties", "contains", "not", "if", "then", "else", "contentSchema"}
_OF_LIST: Final = {"allOf", "anyOf", "oneOf"}
_OF_NAMES: Final = {"properties", "$defs"}
#: At the root only: they name the schema and its dialect.
_NAMES: Final = {"$schema", "$id"}
_LOCAL: Final = re.compile(r"#/\$defs/[A-Za-z0-9_-]+")
#: ECMA-262, Python and Rust read no further expressions alike: already `\d` is other characters in each.
_ATOM: Final = r"""(?: [^][\\^$.|?*+(){}] | [.)] | \\[][\\^$.|?*+(){}/-]
          | \[ \^? (?: [A-Za-z0-9]-[A-Za-z0-9] | [A-Za-z0-9_+=/:,;.@%$\ ] | -(?=\]) )+ \] )"""
_TIMES: Final = r"(?: (?: [*+?] | \{[0-9]+(?:,[0-9]*)?\} ) \?? )"
_PATTERN: Final = re.compile(rf"(?: (?: [\^$|] | \( (?:\?:)? ) (?![*+?{{]) | {_ATOM} {_TIMES}? )*", re.VERBOSE)
#: One release takes `a+a*a+` for `a+`: three repetitions in a row are for the other library.
_ROW: Final = re.compile(rf"(?: {_ATOM} {_TIMES} ){{3}}", re.VERBOSE)
#: What holds a dot that is none of the `.` that stand for any character.
_NO_DOT: Final = re.compile(r"\\.|\[[^]]*\]", re.DOTALL)
#: Applied to the very value of the schema that they stand in.
_IN_PLACE: Final = {"not", "if", "then", "else"}


def quick(schema: Mapping[str, Any]) -> Callable[[Any], bool | None]:
    """
    Return what says whether a payload satisfies *schema*, embedded JSON included, or `None`: it cannot tell.

    It can never tell without `jsonschema-rs`, nor for a schema that the two libraries could read differently.
    """
    root = {name: value for name, value in schema.items() if name not in _NAMES}
    try:
        from jsonschema_rs import ReferencingError
    except ImportError:
        return _cannot_tell
    if not set(_features(root)) <= _reliable() or _goes_round(root):
        return _cannot_tell
    try:
        return _Reader(root).verdict
    except (ValueError, ReferencingError):
        # The library does not take the schema; it is for jsonschema to say whether that is right.
        return _cannot_tell


@lru_cache(maxsize=1)
def _reliable() -> frozenset[str]:
    """Return what the installed release reads as it should."""
    return agreement.reliable(lambda schema: _Reader(schema).verdict)


def _cannot_tell(payload: Any) -> None:
    return None


class _Doubts(threading.local):
    """How many embedded texts of this thread's payload are without a verdict."""

    open = 0


class _Reader:
    """A schema, and those within it of embedded JSON, compiled when they are first needed."""

    def __init__(self, root: Mapping[str, Any] | bool) -> None:
        self._definitions = {} if isinstance(root, bool) else root.get("$defs", {})
        self._contents: dict[str, Draft202012Validator] = {}
        self._doubts = _Doubts()
        self._root = self._compiled(root)

    def verdict(self, payload: Any) -> bool | None:
        """Return whether the payload satisfies the schema; None if `jsonschema` must be asked."""
        if not is_plain(payload):
            return None
        self._doubts.open = 0
        try:
            valid = self._root.is_valid(payload)
        except ValueError:
            # A lone surrogate in a text, for example, has no UTF-8 form.
            return None
        return None if self._doubts.open else valid

    def embedded(self, text: str, content: Any, key: str) -> bool:
        """Return whether a text is JSON that satisfies the schema `content`, which `key` stands for."""
        # Whatever is raised here counts as a no for the library, so a doubt stays open until there is a verdict.
        self._doubts.open += 1
        try:
            value = jsontext.parse(text)
        except ValueError:
            self._doubts.open -= 1
            return False
        if not is_plain(value):
            return False
        if key not in self._contents:
            # A reference in it means the root's definitions.
            self._contents[key] = self._compiled({"$defs": self._definitions, "allOf": [content]})
        valid = self._contents[key].is_valid(value)
        self._doubts.open -= 1
        return valid

    def _compiled(self, schema: Mapping[str, Any] | bool) -> Draft202012Validator:
        from jsonschema_rs import Draft202012Validator

        reader = self

        class Embedded:
            def __init__(self, parent: dict[str, Any], content: Any, path: list[str | int]) -> None:
                self._asserted = parent.get("contentMediaType") == "application/json"
                self._content, self._key = content, jsontext.dump(content)

            def validate(self, instance: Any) -> None:
                if not (self._asserted and isinstance(instance, str)):
                    return
                if not reader.embedded(instance, self._content, self._key):
                    raise ValueError("not valid")

        return Draft202012Validator(
            schema if isinstance(schema, bool) else dict(schema),
            keywords={"contentSchema": Embedded},
            validate_formats=False,
            offline=True,
        )


def _features(schema: Any) -> Iterator[str]:
    """Yield what both libraries must read alike, by the names that `agreement` has for it."""
    if isinstance(schema, bool):
        yield "boolean"
    elif isinstance(schema, dict):
        for name, value in schema.items():
            yield from _of_keyword(name, value)
    else:
        yield "no schema"


def _of_keyword(name: str, value: Any) -> Iterator[str]:
    if name in _ANNOTATIONS or name.startswith("x-"):
        return
    yield name
    if name in _OF_ONE:
        yield from _features(value)
    elif name in _OF_LIST and isinstance(value, list):
        for inner in value:
            yield from _features(inner)
    elif name in _OF_NAMES and isinstance(value, dict):
        for inner in value.values():
            yield from _features(inner)
    elif name in _OF_LIST or name in _OF_NAMES:
        yield "no schema"
    elif name in _COMPARISONS and not _is_exact(value):
        yield "beyond 2**53"
    elif name == "pattern":
        if not isinstance(value, str) or not _PATTERN.fullmatch(value) or _ROW.search(value):
            yield "other expressions"
        elif "." in _NO_DOT.sub("", value):
            yield "."
    elif name == "$ref" and not (isinstance(value, str) and _LOCAL.fullmatch(value)):
        yield "other references"


def _goes_round(root: Mapping[str, Any]) -> bool:
    """Return whether some definition refers to itself without going deeper into the payload."""
    open_: set[str] = set()
    done: set[str] = set()

    def follow(reference: str) -> bool:
        if reference in open_:
            return True
        if reference in done:
            return False
        open_.add(reference)
        found = any(map(follow, _references(root.get("$defs", {}).get(reference.removeprefix("#/$defs/"), True))))
        open_.discard(reference)
        done.add(reference)
        return found

    return any(follow(f"#/$defs/{name}") for name in root.get("$defs", {}))


def _references(schema: Any) -> Iterator[str]:
    """Yield the references that a schema makes for the very value that it is applied to."""
    if not isinstance(schema, dict):
        return
    if "$ref" in schema:
        yield schema["$ref"]
    for name, value in schema.items():
        for inner in [value] if name in _IN_PLACE else value if name in _OF_LIST else []:
            yield from _references(inner)


def _is_exact(value: Any) -> bool:
    """Return whether no number in a value is so large that one library could round it and the other not."""
    if isinstance(value, (dict, list)):
        return all(map(_is_exact, value.values() if isinstance(value, dict) else value))
    return not isinstance(value, (int, float)) or abs(value) <= 2**53
