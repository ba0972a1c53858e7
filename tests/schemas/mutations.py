"""Breaks a valid payload in one place at a time, in every place about which its schema says something."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from im_callback.schemas import jsontext, replace, resolve
from im_callback.schemas.pointer import join, split
from im_callback.schemas.validate import validator

_OF_TYPE: dict[str, Any] = {
    "string": "text",
    "integer": 17,
    "number": 7.5,
    "boolean": True,
    "object": {"is": "an object"},
    "array": [],
    "null": None,
}
_RULES = ("required", "type", "enum", "const", "pattern", "minLength", "maxLength", "minItems", "minimum", "maximum")
_WRONG_FIRST = ("integer", "boolean", "object", "string")


@dataclass(frozen=True)
class Mutant:
    """A payload with one fault."""

    #: What was broken: `required`, `type`, `enum`, `const`, `pattern`, `minLength`, `maxLength`,
    #: `minItems`, `minimum`, `maximum`, `embedded`.
    rule: str
    #: Where, as a JSON Pointer.
    pointer: str
    payload: Any
    #: The subschema that forbids it, by identity.
    schema: int


def mutants(root: Mapping[str, Any], payload: Any) -> Iterator[Mutant]:
    """Yield every mutant of *payload* that *root* forbids."""
    yield from _at(root, root, payload, "", in_choice=False)


def assertions(root: Mapping[str, Any]) -> dict[tuple[str, int], str]:
    """Return every assertion that *root* makes, as (rule, identity of the subschema), with a path for people."""
    found: dict[tuple[str, int], str] = {}
    for path, schema, in_choice in _declared(root, root, "#", in_choice=False, seen=set()):
        for rule in _RULES:
            if rule in schema and not (in_choice and rule in {"required", "const"}):
                found[rule, id(schema)] = f"{path} {rule}"
        if "contentSchema" in schema:
            found["embedded", id(schema)] = f"{path} contentSchema"
    return found


def remove(payload: Any, pointer: str) -> Any:
    """Return a copy of *payload* without the member at *pointer*."""
    *parents, last = split(pointer)
    place = join(parents)
    parent = resolve(payload, place)
    opened = jsontext.parse(parent) if isinstance(parent, str) else parent
    rest = {name: value for name, value in opened.items() if name != last}
    return replace(payload, place, jsontext.dump(rest) if isinstance(parent, str) else rest)


def _at(root: Mapping[str, Any], schema: Any, payload: Any, place: str, *, in_choice: bool) -> Iterator[Mutant]:
    if not isinstance(schema, Mapping):
        return
    if "$ref" in schema:
        yield from _at(root, resolve(root, schema["$ref"][1:]), payload, place, in_choice=in_choice)
        return
    value = resolve(payload, place)
    for rule, wrong in _wrong_values(schema, value, in_choice=in_choice):
        yield Mutant(rule, place, replace(payload, place, wrong), id(schema))
    if isinstance(value, str) and "contentSchema" in schema:
        yield Mutant("embedded", place, replace(payload, place, value[:-1]), id(schema))
        yield Mutant("embedded", place, replace(payload, place, "NaN"), id(schema))
        content, inner = schema["contentSchema"], jsontext.parse(value)
        for rule, wrong in _wrong_values(content, inner, in_choice=in_choice):
            yield Mutant(rule, place, replace(payload, place, jsontext.dump(wrong)), id(content))
        yield from _inside(root, content, payload, place, inner, in_choice=in_choice)
        return
    yield from _inside(root, schema, payload, place, value, in_choice=in_choice)


def _inside(
    root: Mapping[str, Any], schema: Mapping[str, Any], payload: Any, place: str, value: Any, *, in_choice: bool
) -> Iterator[Mutant]:
    if isinstance(value, dict):
        for name in schema.get("required", ()):
            # Without its discriminator, a choice turns into another that may be valid.
            if not in_choice or "const" not in schema.get("properties", {}).get(name, {}):
                yield Mutant(
                    "required", f"{place}{join([name])}", remove(payload, f"{place}{join([name])}"), id(schema)
                )
        for name, inner in schema.get("properties", {}).items():
            if name in value:
                yield from _at(root, inner, payload, f"{place}{join([name])}", in_choice=in_choice)
        extra = schema.get("additionalProperties")
        for name in [name for name in value if extra and name not in schema.get("properties", {})]:
            yield from _at(root, extra, payload, f"{place}{join([name])}", in_choice=in_choice)
    if isinstance(value, list) and "items" in schema:
        for number in range(len(value)):
            yield from _at(root, schema["items"], payload, f"{place}/{number}", in_choice=in_choice)
    for branch in schema.get("allOf", ()):
        yield from _inside(root, branch, payload, place, value, in_choice=in_choice)
    if "if" in schema:
        branch = schema.get("then" if validator(schema["if"]).is_valid(value) else "else", {})
        yield from _inside(root, branch, payload, place, value, in_choice=in_choice)
    for branch in schema.get("anyOf", ()):
        if validator(branch).is_valid(value):
            for rule, wrong in _wrong_values(branch, value, in_choice=True):
                yield Mutant(rule, place, replace(payload, place, wrong), id(branch))
            yield from _inside(root, branch, payload, place, value, in_choice=True)


def _wrong_values(schema: Mapping[str, Any], value: Any, *, in_choice: bool) -> Iterator[tuple[str, Any]]:
    if "type" in schema:
        types = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
        if "number" in types:
            types = [*types, "integer"]
        yield "type", _OF_TYPE[next(name for name in _WRONG_FIRST if name not in types)]
        if "integer" in types and "number" not in types:
            yield "type", 7.5
    if "enum" in schema:
        yield "enum", 987654 if isinstance(value, int) else "no-such-value"
    if "const" in schema and not in_choice:
        yield "const", value + "x" if isinstance(value, str) else 987654
    if isinstance(value, str):
        if "pattern" in schema:
            yield "pattern", "!"
        if "minLength" in schema:
            yield "minLength", ""
        if "maxLength" in schema:
            yield "maxLength", "1" * (schema["maxLength"] + 1)
    if "minItems" in schema:
        yield "minItems", []
    if "minimum" in schema:
        yield "minimum", schema["minimum"] - 1
    if "maximum" in schema:
        yield "maximum", schema["maximum"] + 1


def _declared(
    root: Mapping[str, Any], schema: Any, path: str, *, in_choice: bool, seen: set[int]
) -> Iterator[tuple[str, Mapping[str, Any], bool]]:
    if not isinstance(schema, Mapping) or id(schema) in seen:
        return
    seen.add(id(schema))
    if "$ref" in schema:
        reference = schema["$ref"]
        yield from _declared(root, resolve(root, reference[1:]), reference, in_choice=in_choice, seen=seen)
        return
    yield path, schema, in_choice
    content = schema.get("contentSchema")
    if isinstance(content, Mapping):
        yield from _declared(root, content, f"{path}/contentSchema", in_choice=in_choice, seen=seen)
    for name, inner in schema.get("properties", {}).items():
        yield from _declared(root, inner, f"{path}/{name}", in_choice=in_choice, seen=seen)
    for keyword in ("items", "additionalProperties", "then", "else"):
        yield from _declared(root, schema.get(keyword), f"{path}/{keyword}", in_choice=in_choice, seen=seen)
    for number, branch in enumerate(schema.get("allOf", ())):
        yield from _declared(root, branch, f"{path}/allOf/{number}", in_choice=in_choice, seen=seen)
    for number, branch in enumerate(schema.get("anyOf", ())):
        yield from _declared(root, branch, f"{path}/anyOf/{number}", in_choice=True, seen=seen)
