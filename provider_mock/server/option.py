r"""What a declared option is, and what follows from its declaration.

A model is a dataclass, or a `TypedDict` inside of one, whose fields are `Annotated` with an `Option`. From the field's
type and its option follow the schema of the configuration file, that of the API's requests and answers, the check
of values wherever they come from, and the stored form:

| type | in JSON |
| --- | --- |
| `str`, `bool`, `int`, `float` | text, truth value, whole number, number |
| `tuple[X, ...]` | array |
| `Mapping[str, X]` | object with any names |
| a `TypedDict` | object with these names; in the file its members stand among the other keys |
| `X \| None` | as X; None is what is left out |

X, and the `str` of names, can be `Annotated` in their turn. Two rules: a limit stands in `limits`, or it does not hold
in the file; and what is `secret` is in no message, whatever is wrong with it, in no answer and in no `repr`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields, replace
from functools import cache
from math import isfinite
from pathlib import Path
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    NamedTuple,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from im_callback.provider_mock.server.errors import Objection
from im_callback.schemas.nearest import choice
from im_callback.schemas.pointer import join
from jsonschema_rs import ValidationError, validator_for

Schema = Mapping[str, Any]
"""A JSON Schema 2020-12."""

T = TypeVar("T")
_SCALARS = {str: "string", bool: "boolean", int: "integer", float: "number"}
_NAMES = {
    "string": "text",
    "object": "a table",
    "array": "a list",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
}
LONGEST_SHOWN = 80
_HALF = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True, eq=False)
class Option:
    """What is said of an option besides its name, type and default.

    `fix` says how to mend its value, as it ends an error message; `{maximum}` stands for the limit of this name.
    `meaning` describes it in the API's document. `limits` are the keywords of JSON Schema that hold wherever it is
    given, `api` further ones of what comes through the API (a function, where they take loading packages).
    """

    fix: str
    meaning: str = ""
    limits: Schema = field(default_factory=dict)
    api: Schema | Callable[[], Schema] = field(default_factory=dict)
    only: Literal["file", "api"] | None = None
    """The one place where it can be given."""
    in_file: type | None = None
    """The TypedDict of the keys that stand for it in the file."""
    secret: bool = False
    """Whether a value is never shown; of a mapping the names are."""
    kept: bool = False
    """Whether an app that is replaced keeps it where it is left out."""
    path: bool = False
    """Whether it is a path."""
    stored: bool = True
    """Whether it is on record with an app of the API, as it is."""
    answered: Schema | Literal[False] | None = None
    """What it looks like in answers: None, as its type says, a secret text not at all; False, it is in none."""

    def told(self) -> str:
        """Return the fix with its limits filled in."""
        text = self.fix
        for name, value in self.limits.items():
            text = text.replace(f"{{{name}}}", f"{value:g}" if isinstance(value, float) else str(value))
        return text


class Declared(NamedTuple):
    """A field of a model, its type without None, and whether it can be None.

    `default` is None where it has none or an empty one, and MISSING where it has to be given.
    """

    name: str
    kind: Any
    option: Option
    default: Any
    optional: bool


def unfolded(hint: Any) -> tuple[Any, Option | None, bool]:
    """Return a type without its option and without None, its option, and whether it can be None."""
    option = None
    if get_origin(hint) is Annotated:
        hint, *more = get_args(hint)
        option = next((one for one in more if isinstance(one, Option)), None)
    if get_origin(hint) in (Union, UnionType):
        (kind,) = [one for one in get_args(hint) if one is not NoneType]
        return kind, option, True
    return hint, option, False


def declared(model: Any) -> tuple[Declared, ...]:
    """Return the options of a model, in their order."""
    return _declared(model)


@cache
def _declared(model: type) -> tuple[Declared, ...]:
    defaults = {} if is_typeddict(model) else {one.name: _default(one) for one in fields(model)}
    found = []
    for name, hint in get_type_hints(model, include_extras=True).items():
        kind, option, optional = unfolded(hint)
        if option is not None:
            found.append(Declared(name, kind, option, defaults.get(name), optional))
    return tuple(found)


def _default(one: Field[Any]) -> Any:
    return one.default if one.default_factory is MISSING else None


# Schemas

Say = Callable[[Any, Option], dict[str, Any]]
"""What is said to an option of a type besides the type."""


def of_api(model: type) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what the API takes, by name: what has to be given, and what can be."""
    needed: dict[str, Any] = {}
    others: dict[str, Any] = {}
    for one in declared(model):
        if one.option.only != "file":
            found = _schema(one.kind, one.option, _api)
            if one.default is MISSING:
                needed[one.name] = found
            else:
                others[one.name] = found if one.default is None else {**found, "default": one.default}
    return needed, others


def of_answers(model: type) -> dict[str, Any]:
    """Return what the API answers, by name."""
    return {one.name: one.option.answered or _answer(one) for one in declared(model) if _is_answered(one)}


def of_file(model: type) -> dict[str, Any]:
    """Return the schema of a table of the configuration file; descriptions are the fixes of what is wrong with a value."""
    return _table(in_file(model), _file)


def in_file(model: type) -> tuple[Declared, ...]:
    """Return the keys of a table of the configuration file, in the order of the model."""
    found: list[Declared] = []
    for one in declared(model):
        keys = one.option.in_file or (one.kind if is_typeddict(one.kind) else None)
        if keys is not None:
            found += declared(keys)
        elif one.option.only != "api":
            found.append(one)
    return tuple(found)


def _api(kind: Any, option: Option) -> dict[str, Any]:
    return {
        **({"writeOnly": True} if option.secret and kind in _SCALARS else {}),
        **option.limits,
        **(option.api() if callable(option.api) else option.api),
        **({"description": option.meaning} if option.meaning else {}),
    }


def _file(kind: Any, option: Option) -> dict[str, Any]:
    return {**option.limits, "description": option.told(), **({"writeOnly": True} if option.secret else {})}


def _schema(kind: Any, option: Option | None, say: Say) -> dict[str, Any]:
    found: dict[str, Any]
    if is_typeddict(kind):
        found = _table(declared(kind), say)
    elif get_origin(kind) is tuple:
        found = {"type": "array", "items": _schema(*_part(kind, 0), say)}
    elif kind in _SCALARS:
        found = {"type": _SCALARS[kind]}
    else:
        _, name = _part(kind, 0)
        found = {"type": "object", "additionalProperties": _schema(*_part(kind, 1), say)}
        if name is not None:
            found["propertyNames"] = say(str, name)
    return found if option is None else found | say(kind, option)


def _table(known: Sequence[Declared], say: Say) -> dict[str, Any]:
    return {
        "type": "object",
        "required": [one.name for one in known if one.default is MISSING],
        "properties": {one.name: _schema(one.kind, one.option, say) for one in known},
        "additionalProperties": False,
    }


def _answer(one: Declared) -> dict[str, Any]:
    if get_origin(one.kind) is tuple:
        return {"type": "array", "items": {"type": _SCALARS[_part(one.kind, 0)[0]]}}
    name = _SCALARS.get(one.kind, "object")
    return {"type": [name, "null"] if one.optional else name}


def _is_answered(one: Declared) -> bool:
    hidden = one.option.secret and one.kind in _SCALARS and one.option.answered is None
    return one.option.answered is not False and not hidden


def _part(kind: Any, index: int) -> tuple[Any, Option | None]:
    """Return a type inside of another, and its option."""
    part, option, _ = unfolded(get_args(kind)[index])
    return part, option


# Values


def given(model: type[T], values: Mapping[str, Any]) -> T:
    """Return a model of values that keep its rules, as JSON has them; others are passed over."""
    known = [one for one in declared(model) if one.name in values]
    return model(**{one.name: _value(one.kind, values[one.name]) for one in known})


def given_in_file(model: type, table: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return the values of a table of the file by the names of the model; relative paths in it are relative to the folder."""
    found: dict[str, Any] = {}
    for one in declared(model):
        if is_typeddict(one.kind):
            found[one.name] = {key.name: table[key.name] for key in declared(one.kind) if key.name in table}
        elif one.name in table:
            found[one.name] = str(folder / table[one.name]) if one.option.path else table[one.name]
    return found


def kept(settings: T, before: T | None) -> T:
    """Return a model with what it keeps of the one before where that was left out; empty where there is none."""
    changes = {}
    for one in declared(type(settings)):
        if one.option.kept and getattr(settings, one.name) is None:
            had = None if before is None else getattr(before, one.name)
            changes[one.name] = (() if get_origin(one.kind) is tuple else {}) if had is None else had
    return replace(settings, **changes)  # type: ignore[type-var]


def stored(settings: Any) -> dict[str, Any]:
    """Return what is on record of a model, as JSON has it."""
    return {one.name: _json(getattr(settings, one.name)) for one in declared(type(settings)) if one.option.stored}


def restored(model: type[T], record: Mapping[str, Any]) -> T:
    """Return a model of what is on record, which `problems` has to judge; what an earlier or later version has is passed over."""
    return given(
        model, {one.name: record[one.name] for one in declared(model) if one.option.stored and one.name in record}
    )


def answered(settings: Any) -> dict[str, Any]:
    """Return what is answered of a model, as JSON has it."""
    found: dict[str, Any] = {}
    for one in declared(type(settings)):
        if _is_answered(one):
            value = getattr(settings, one.name)
            found[one.name] = list(value) if one.option.secret and isinstance(value, Mapping) else _json(value)
    return found


def masked(settings: T) -> T:
    """Return a model without its secrets; names of secret values are kept."""
    changes = {
        one.name: dict.fromkeys(value, "***") if isinstance(value := getattr(settings, one.name), Mapping) else None
        for one in declared(type(settings))
        if one.option.secret
    }
    return replace(settings, **changes)  # type: ignore[type-var]


def shown(settings: Any) -> str:
    """Return the text that a model is in a `repr`."""
    known = (one.name for one in declared(type(settings)) if not one.option.secret)
    return f"{type(settings).__name__}({', '.join(f'{name}={getattr(settings, name)!r}' for name in known)})"


def problems(settings: Any) -> list[Objection]:
    """Return what is wrong with a model by its declarations; fields are JSON Pointers into it."""
    known = declared(type(settings))
    values = {one.name: getattr(settings, one.name) for one in known}
    there = {one.name: values[one.name] for one in known if not (one.optional and values[one.name] is None)}
    return [Objection(join(path), problem, fix) for path, problem, fix in wrong(there, _table(known, _file))]


def _value(kind: Any, value: Any) -> Any:
    """Return a JSON value as the model has it; what is of another type is left as it is."""
    if get_origin(kind) is tuple and isinstance(value, list):
        return tuple(_value(_part(kind, 0)[0], one) for one in value)
    if isinstance(value, Mapping) and is_typeddict(kind):
        kinds = {one.name: one.kind for one in declared(kind)}
        return {name: _value(kinds.get(name), one) for name, one in value.items()}
    if isinstance(value, Mapping) and get_origin(kind) is Mapping:
        return {name: _value(_part(kind, 1)[0], one) for name, one in value.items()}
    # To JSON 2.0 is a whole number.
    return int(value) if kind is int and isinstance(value, float) and value.is_integer() else value


def _json(value: Any) -> Any:
    """Return a value as JSON has it; None in the place of what JSON does not know, as half of a surrogate pair."""
    if isinstance(value, Mapping):
        names = [_json(name) for name in value]
        return None if None in names else dict(zip(names, map(_json, value.values()), strict=True))
    if isinstance(value, list | tuple):
        return [_json(one) for one in value]
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, str):
        return value if value.isascii() or not _HALF.search(value) else None
    return value if isinstance(value, bool | int) else None


# What is wrong


def wrong(values: Any, schema: Schema) -> Iterator[tuple[list[Any], str, str]]:
    """Yield where values differ from a schema of this module: path, problem and fix; values that may be secrets are not shown."""
    found = validator_for(dict(schema)).iter_errors(_json(values))
    for error in sorted(found, key=lambda error: ([str(step) for step in error.instance_path], error.kind.name)):
        yield from _told(error, values, schema)


def _told(error: ValidationError, values: Any, root: Schema) -> Iterator[tuple[list[Any], str, str]]:
    keyword, due, path = error.kind.name, error.kind.value, list(error.instance_path)
    steps = error.schema_path[:-1]
    if keyword == "propertyNames":  # it leads to the keyword inside
        steps = error.schema_path[: error.schema_path.index("propertyNames") + 1]
    schema: Any = root
    for step in steps:
        schema = schema[step]
    value: Any = values
    for step in path:
        value = value[step]
    fix = schema.get("description", "")
    if keyword == "additionalProperties":
        known = list(schema["properties"])
        for name in due:
            shown = name if name.isprintable() else repr(name)
            yield [*path, shown[:LONGEST_SHOWN]], "is unknown", choice(name, known)
    elif keyword == "required":
        yield [*path, due], "is missing", schema["properties"][due]["description"]
    elif keyword == "propertyNames":
        yield [*path, due.instance[:LONGEST_SHOWN]], "has a name that cannot be used", fix
    elif schema.get("writeOnly"):
        yield path, "cannot be used (its value is not shown: it may be a secret)", fix
    elif keyword == "type" and not (isinstance(value, float) and schema["type"] == "number"):
        yield path, f"is {_shown(value)} and not {_NAMES[schema['type']]}", fix
    else:
        yield path, f"is {_shown(value)}", fix


def _shown(value: Any) -> str:
    text = repr(value) if not isinstance(value, bool) else str(value).lower()
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 1]}…"
