"""Tells whether a payload is valid many times as fast as `jsonschema`, where `jsonschema-rs` is installed.

Where `jsonschema` could come to another verdict, it gives none:

* The schema must use nothing but keywords and regular expressions that mean the same to both libraries.
* The payload must be made of JSON's own types, and be flat: `jsonschema-rs` 0.60 does not watch its stack.
* JSON inside strings, which `jsonschema-rs` leaves alone, is read by `schemas.jsontext` and validated in the same way.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from schemas import jsontext
from schemas.values import is_plain

if TYPE_CHECKING:
    from jsonschema_rs import Draft202012Validator

__all__ = ["quick"]

_ASSERTIONS: Final = {
    "type", "required", "minLength", "maxLength", "minItems", "maxItems", "minContains", "maxContains",
    "contentMediaType",
}  # fmt: skip
_COMPARISONS: Final = {"const", "enum", "minimum", "maximum"}
_ANNOTATIONS: Final = {"$comment", "title", "description", "examples"}
_OF_ONE: Final = {"items", "additionalProperties", "contains", "not", "if", "then", "else", "contentSchema"}
_OF_LIST: Final = {"allOf", "anyOf", "oneOf"}
_OF_NAMES: Final = {"properties", "$defs"}
#: At the root only: they name the schema and its dialect.
_NAMES: Final = {"$schema", "$id"}
_LOCAL: Final = re.compile(r"#/\$defs/[A-Za-z0-9_-]+")
#: ECMA-262, Python and Rust read no further expressions alike: already `\d` is other characters in each.
_PATTERN: Final = re.compile(
    r"""(?:
        (?: [\^$|] | \( (?:\?:)? ) (?![*+?{])
      | (?: [^][\\^$.|?*+(){}] | [.)] | \\[][\\^$.|?*+(){}/-]
          | \[ \^? (?: [A-Za-z0-9]-[A-Za-z0-9] | [A-Za-z0-9_+=/:,;.@%$\ ] | -(?=\]) )+ \] )
        (?: (?: [*+?] | \{[0-9]+(?:,[0-9]*)?\} ) \?? )?
    )*""",
    re.VERBOSE,
)


def quick(schema: Mapping[str, Any]) -> Callable[[Any], bool | None]:
    """
    Return what says whether a payload satisfies *schema*, embedded JSON included, or `None`: it cannot tell.

    It can never tell without `jsonschema-rs`, nor for a schema that the two libraries could read differently.
    """
    root = {name: value for name, value in schema.items() if name not in _NAMES}
    if not _reads_alike(root):
        return _cannot_tell
    try:
        from jsonschema_rs import ReferencingError
    except ImportError:
        return _cannot_tell
    try:
        return _Reader(root).verdict
    except (ValueError, ReferencingError):
        # The library does not take the schema; it is for jsonschema to say whether that is right.
        return _cannot_tell


def _cannot_tell(payload: Any) -> None:
    return None


class _Doubts(threading.local):
    """How many embedded texts of this thread's payload are without a verdict."""

    open = 0


class _Reader:
    """A schema, and those within it of embedded JSON, compiled when they are first needed."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._definitions = root.get("$defs", {})
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

    def _compiled(self, schema: Mapping[str, Any]) -> Draft202012Validator:
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
            dict(schema), keywords={"contentSchema": Embedded}, validate_formats=False, offline=True
        )


def _reads_alike(schema: Any) -> bool:
    """Return whether both libraries mean the same by *schema*, as far as its keywords tell."""
    if isinstance(schema, bool):
        return True
    return isinstance(schema, dict) and all(_keyword_reads_alike(*one) for one in schema.items())


def _keyword_reads_alike(name: str, value: Any) -> bool:
    if name in _OF_ONE:
        return _reads_alike(value)
    if name in _OF_LIST:
        return all(map(_reads_alike, value))
    if name in _OF_NAMES:
        return all(map(_reads_alike, value.values()))
    if name in _COMPARISONS:
        return _is_exact(value)
    if name == "pattern":
        return _PATTERN.fullmatch(value) is not None
    if name == "$ref":
        return _LOCAL.fullmatch(value) is not None
    return name in _ASSERTIONS or name in _ANNOTATIONS or name.startswith("x-")


def _is_exact(value: Any) -> bool:
    """Return whether no number in a value is so large that one library could round it and the other not."""
    if isinstance(value, (dict, list)):
        return all(map(_is_exact, value.values() if isinstance(value, dict) else value))
    return not isinstance(value, (int, float)) or abs(value) <= 2**53
