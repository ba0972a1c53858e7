"""Finds what a schema says about the value at a pointer: through references, branches and embedded JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from schemas.pointer import join, split
from schemas.validate import Checker

Schema = Mapping[str, Any]
BRANCHES = ("allOf", "anyOf", "oneOf")
CONDITIONS = ("then", "else")
TYPING = ("type", "const", "enum", "$ref")


class Field(NamedTuple):
    """A member that a schema has something to say about."""

    name: str
    schema: Schema
    required: bool
    described: bool
    """Whether the documents say more of it than its name."""
    typed: bool
    """Whether the schema tells what to make up for it."""


# The schemas of a catalogue live as long as the process, so their identity is a good key. Each entry holds on to its
# schemas, so that no id is given to another one.
_FOUND: dict[tuple[int, str], tuple[Schema, list[Schema]]] = {}
_PARTS: dict[tuple[int, int], tuple[Schema, Schema, tuple[Schema, ...]]] = {}
_FIELDS: dict[tuple[int, int], tuple[Schema, Schema, tuple[Field, ...]]] = {}
_CONDITIONS: dict[int, tuple[Schema, Checker]] = {}


def follow(root: Schema, schema: Schema) -> Schema:
    """Return the schema that a local `$ref` leads to, or the schema itself."""
    while isinstance(reference := schema.get("$ref"), str) and reference.startswith("#/"):
        target: Any = root
        for token in split(reference[1:]):
            target = target[token]
        schema = target
    return schema


def parts(root: Schema, schema: Schema) -> tuple[Schema, ...]:
    """Return a schema and every branch of it that may apply to the same value."""
    key = (id(root), id(schema))
    if key not in _PARTS:
        _PARTS[key] = (root, schema, tuple(_parts(root, schema)))
    return _PARTS[key][2]


def _parts(root: Schema, schema: Schema) -> Iterator[Schema]:
    schema = follow(root, schema)
    yield schema
    for keyword in BRANCHES:
        for branch in schema.get(keyword, ()):
            yield from _parts(root, branch)
    for keyword in CONDITIONS:
        if keyword in schema:
            yield from _parts(root, schema[keyword])


def fields(root: Schema, schema: Schema) -> tuple[Field, ...]:
    """Return the properties of a schema, in order."""
    key = (id(root), id(schema))
    if key not in _FIELDS:
        required = frozenset(schema.get("required", ()))
        _FIELDS[key] = (
            root,
            schema,
            tuple(
                _field(root, name, child, name in required)
                for name, child in schema.get("properties", {}).items()
                if isinstance(child, Mapping)
            ),
        )
    return _FIELDS[key][2]


def _field(root: Schema, name: str, schema: Schema, required: bool) -> Field:
    all_parts = parts(root, schema)
    described = all(part.get("x-kind") != "undescribed" for part in all_parts)
    typed = "contentSchema" in schema or any(word in part for part in all_parts for word in TYPING)
    return Field(name, schema, required, described, typed)


def holds(condition: Schema, value: Any) -> bool:
    """Return whether a value satisfies an `if`."""
    if id(condition) not in _CONDITIONS:
        _CONDITIONS[id(condition)] = (condition, Checker(condition))
    return _CONDITIONS[id(condition)][1].accepts(value)


def schemas_at(root: Schema, pointer: str) -> list[Schema]:
    """Return every schema that may apply to the value at the pointer."""
    key = (id(root), pointer)
    if key not in _FOUND:
        _FOUND[key] = (root, _schemas_at(root, pointer))
    return _FOUND[key][1]


def _schemas_at(root: Schema, pointer: str) -> list[Schema]:
    found = list(parts(root, root))
    for token in split(pointer):
        found = [
            part
            for schema in found
            for opened in parts(root, schema.get("contentSchema", schema))
            for child in _children(opened, token)
            for part in parts(root, child)
        ]
    return found


def kind_at(root: Schema, pointer: str) -> str | None:
    """Return the `x-kind` of the value at the pointer, or None."""
    return next((schema["x-kind"] for schema in schemas_at(root, pointer) if "x-kind" in schema), None)


def _children(schema: Schema, token: str) -> Iterator[Schema]:
    if isinstance(properties := schema.get("properties"), Mapping) and token in properties:
        yield properties[token]
    if token.isdecimal() and isinstance(items := schema.get("items"), Mapping):
        yield items


def leaves(value: Any, pointer: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every value that is neither an object nor an array, with its pointer; embedded JSON is entered."""
    opened = _opened(value)
    if isinstance(opened, Mapping):
        for name, child in opened.items():
            yield from leaves(child, pointer + join([name]))
    elif isinstance(opened, list):
        for index, child in enumerate(opened):
            yield from leaves(child, f"{pointer}/{index}")
    else:
        yield pointer, value


def _opened(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value
