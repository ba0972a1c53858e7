"""Finds which parts of a schema speak about a value of a payload: through references, branches and embedded JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from im_callback.schemas import jsontext
from im_callback.schemas.pointer import MISSING, resolve, split
from im_callback.schemas.validate import Checker

__all__ = [
    "BRANCHES",
    "Schema",
    "accepts",
    "anywhere",
    "applying",
    "children",
    "embeds",
    "follow",
    "opened",
    "possible",
    "speaking",
]

Schema = Mapping[str, Any]
BRANCHES: Final = ("anyOf", "oneOf")
_JSON: Final = "application/json"

# The schemas of a catalogue live as long as the process, so their identity is a good key; each entry holds on to its
# schemas, so that no id is given to another one.
_CHECKERS: dict[tuple[int, int], tuple[Schema, Schema, Checker]] = {}


def follow(root: Schema, schema: Schema) -> Schema:
    """Return the schema that a local `$ref` leads to, or the schema itself."""
    while isinstance(reference := schema.get("$ref"), str) and reference.startswith("#"):
        schema = resolve(root, reference[1:])
    return schema


def anywhere(schema: Any, fits: Callable[[Schema], bool]) -> bool:
    """Return whether any part of a schema fits."""
    if isinstance(schema, Mapping):
        return fits(schema) or any(anywhere(part, fits) for part in schema.values())
    return isinstance(schema, list) and any(anywhere(part, fits) for part in schema)


def accepts(root: Schema, schema: Schema, value: Any) -> bool:
    """Return whether a value satisfies a part of a schema, such as an `if`."""
    key = (id(root), id(schema))
    if key not in _CHECKERS:
        # A reference in it means the root's definitions.
        whole = {"$defs": root["$defs"], "allOf": [schema]} if "$defs" in root else schema
        _CHECKERS[key] = (root, schema, Checker(whole))
    return _CHECKERS[key][2].accepts(value)


def applying(root: Schema, schema: Any, value: Any) -> Iterator[Schema]:
    """
    Yield a schema and every branch of it that applies to *value*, the general ones first.

    Of an absent value (`MISSING`) nothing is known, so neither conditions nor choices are entered.
    """
    if not isinstance(schema, Mapping):
        return
    target = follow(root, schema)
    if target is not schema:
        yield from applying(root, target, value)
    yield schema
    for branch in schema.get("allOf", ()):
        yield from applying(root, branch, value)
    if value is MISSING:
        return
    if "if" in schema:
        taken = "then" if accepts(root, schema["if"], value) else "else"
        yield from applying(root, schema.get(taken), value)
    for keyword in BRANCHES:
        for branch in schema.get(keyword, ()):
            if accepts(root, branch, value):
                yield from applying(root, branch, value)


def embeds(schema: Schema) -> bool:
    """Return whether a text is JSON by this schema, and described."""
    return schema.get("contentMediaType") == _JSON and isinstance(schema.get("contentSchema"), Mapping)


def opened(root: Schema, schemas: list[Schema], value: Any) -> tuple[list[Schema], Any]:
    """
    Return what speaks about the members of a value, and the value: of embedded JSON, those that it holds.

    Text that the schemas do not call JSON has no members, whatever it looks like. An absent value could be any.
    """
    if value is MISSING:
        return [schema["contentSchema"] if embeds(schema) else schema for schema in schemas], MISSING
    if not isinstance(value, str):
        return schemas, value
    contents = [schema["contentSchema"] for schema in schemas if embeds(schema)]
    if not contents:
        return [], MISSING
    try:
        inner = jsontext.parse(value)
    except ValueError:
        return [], MISSING
    return [part for content in contents for part in applying(root, content, inner)], inner


def children(root: Schema, schemas: list[Schema], token: str, value: Any) -> list[Schema]:
    """Return what speaks about one member or element of what `schemas` speak about; `value` is its value."""
    found: list[Schema] = []
    for schema in schemas:
        properties = schema.get("properties", {})
        if token in properties:
            child = properties[token]
        else:
            child = schema.get("items") if token.isdecimal() else None
            child = child if isinstance(child, Mapping) else schema.get("additionalProperties")
        found.extend(applying(root, child, value))
    return found


def speaking(root: Schema, payload: Any, pointer: str) -> list[Schema]:
    """
    Return every part of a schema that speaks about the value at *pointer* of this payload, the general ones first.

    Of several branches it is those that apply to the payload as it is. The value itself may be absent.
    """
    schemas, value = list(applying(root, root, payload)), payload
    for token in split(pointer):
        schemas, value = opened(root, schemas, value)
        value = resolve(value, f"/{token.replace('~', '~0').replace('/', '~1')}") if value is not MISSING else MISSING
        schemas = children(root, schemas, token, value)
    return schemas


def possible(root: Schema, pointer: str) -> list[Schema]:
    """Return every part of a schema that may speak about the value at *pointer* in some payload."""
    found = list(_parts(root, root))
    for token in split(pointer):
        inside = [part for schema in found for part in _parts(root, schema.get("contentSchema", schema))]
        found = [part for child in children(root, inside, token, MISSING) for part in _parts(root, child)]
    return found


def _parts(root: Schema, schema: Any) -> Iterator[Schema]:
    if not isinstance(schema, Mapping):
        return
    target = follow(root, schema)
    if target is not schema:
        yield from _parts(root, target)
    yield schema
    branches = [branch for keyword in ("allOf", *BRANCHES) for branch in schema.get(keyword, ())]
    for branch in (*branches, schema.get("then"), schema.get("else")):
        yield from _parts(root, branch)
