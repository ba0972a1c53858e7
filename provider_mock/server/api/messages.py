"""Says what a JSON Schema validator found, as problem and fix. What can be a secret is never repeated."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from im_callback.provider_mock.server.api.operation import Schema
from im_callback.provider_mock.server.errors import Objection
from im_callback.schemas.nearest import question
from im_callback.schemas.pointer import join
from jsonschema_rs import ValidationError

MOST_PROBLEMS = 20
LONGEST_VALUE = 60
MOST_CHOICES = 8
_TYPES = {
    bool: "a truth value",
    int: "a whole number",
    float: "a number",
    str: "text",
    list: "an array",
    dict: "an object",
    type(None): "null",
}
_NAMES = {
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "array": "an array",
    "object": "an object",
    "null": "null",
}
_LIMITS = {
    "minimum": "not less than",
    "maximum": "not more than",
    "exclusiveMinimum": "more than",
    "exclusiveMaximum": "less than",
}
_SIZES = {
    "minLength": ("too short", "at least", "character"),
    "maxLength": ("too long", "at most", "character"),
    "minItems": ("too short", "at least", "entry"),
    "maxItems": ("too long", "at most", "entry"),
    "minProperties": ("too small", "at least", "member"),
    "maxProperties": ("too large", "at most", "member"),
}
_PLURALS = {"character": "characters", "entry": "entries", "member": "members"}


def problems(errors: Sequence[ValidationError], root: Schema, field: Callable[[Sequence[Any]], str]) -> list[Objection]:
    """Return what the errors say, once for each place and `MOST_PROBLEMS` at most.

    `field` names the place that a path leads to; `root` is the whole schema.
    """
    found: dict[str, Objection] = {}
    for error in sorted(errors, key=lambda error: error.kind.name != "type"):
        for path, problem, fix in _told(error, root):
            place = field(path)
            found.setdefault(place, Objection(place, problem, fix))
            if len(found) == MOST_PROBLEMS:
                return list(found.values())
    return list(found.values())


def pointer(path: Sequence[Any]) -> str:
    """Return the JSON Pointer of a path."""
    return join(path)


def _told(error: ValidationError, root: Schema) -> Iterator[tuple[list[Any], str, str]]:
    """Yield place, problem and fix."""
    keyword, due = error.kind.name, error.kind.value
    path = list(error.instance_path)
    schema = _schema(error, root)
    if keyword == "required":
        yield [*path, due], "it is missing", "give it"
    elif keyword == "additionalProperties":
        known = list(schema.get("properties", {}))
        for whole in due:
            name = whole if len(whole) <= LONGEST_VALUE else f"{whole[:LONGEST_VALUE]}…"
            fix = question(name, known) or f"leave it out; the members are: {', '.join(known)}"
            yield [*path, name], "there is no such member", fix
    elif keyword == "type":
        wanted = " or ".join(_NAMES[one] for one in ([due] if isinstance(due, str) else due) if one != "null")
        yield path, f"it is {_TYPES[type(error.instance)]}", f"give {wanted}"
    elif keyword == "enum":
        yield path, f"it is {_shown(error.instance, schema)}", f"give {_choice(error.instance, list(due))}"
    elif keyword in _LIMITS:
        yield path, f"it is {_shown(error.instance, schema)}", f"give a number that is {_LIMITS[keyword]} {due}"
    elif keyword in _SIZES:
        is_what, limit, unit = _SIZES[keyword]
        yield path, f"it is {is_what}", f"give {limit} {due} {unit if due == 1 else _PLURALS[unit]}"
    elif keyword == "pattern":
        wanted = schema.get("x-wanted", f"text that fits the pattern {due}")
        yield path, f"it is {_shown(error.instance, schema)}", f"give {wanted}"
    elif keyword == "propertyNames":
        name = due.instance[:LONGEST_VALUE]
        wanted = schema.get("propertyNames", {}).get("x-wanted", "another name")
        yield [*path, name], "it has a name that cannot be used", f"give {wanted}"
    elif keyword == "uniqueItems":
        yield path, "something is in it twice", "give each once"
    else:
        yield path, f"it breaks the rule {keyword}", "see the schema in /openapi.json"


def _schema(error: ValidationError, root: Schema) -> Any:
    """Return the schema that holds the keyword that an error is about."""
    found: Any = root
    steps = error.schema_path
    if error.kind.name == "propertyNames":  # it leads to the keyword inside
        steps = steps[: steps.index("propertyNames") + 1]
    for step in steps[:-1]:
        found = found[step]
    return found


def _shown(value: Any, schema: Schema) -> str:
    if schema.get("writeOnly"):
        return "not as it should be (its value is not shown: it may be a secret)"
    # Not the whole of it, which can be long: some characters of a text, and no array or object but an empty one.
    if isinstance(value, list | dict) and value:
        return _TYPES[type(value)]
    text = json.dumps(value[: LONGEST_VALUE + 1] if isinstance(value, str) else value)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"


def _choice(value: Any, choices: list[Any]) -> str:
    texts = [str(choice) for choice in choices]
    if len(texts) == 1:
        return texts[0]
    asked = question(value, texts) if isinstance(value, str) else ""
    hint = f"; {asked}" if asked else ""
    if len(texts) <= MOST_CHOICES:
        return f"one of {', '.join(texts)}{hint}"
    return f"one of the {len(texts)} that /openapi.json lists, such as {texts[0]}{hint}"
