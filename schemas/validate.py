"""Validates payloads against schemas of our dialect, including the JSON embedded in their strings."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.resources import files
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from im_callback.schemas import jsontext
from im_callback.schemas.pointer import join
from im_callback.schemas.quick import quick
from im_callback.schemas.values import foreign

if TYPE_CHECKING:
    from jsonschema import ValidationError
    from jsonschema.protocols import Validator

__all__ = ["DIALECT", "Checker", "Problem", "dialect_problems", "problems", "validator"]

#: The `$schema` of every schema of the dialect.
DIALECT: Final = "https://im-callback-conformance.dev/dialect"

_LONGEST_VALUE = 60
MOST_PROBLEMS: Final = 1000
#: An escaped character, a class of characters, the end of the text, or any character.
_TOKENS = re.compile(r"\\.|\[(?:\\.|[^]\\])*\]|(?P<end>\$)|(?P<any>\.)", re.DOTALL)
#: How Python says what ECMA-262 means.
_PYTHON: Final = {"end": r"\Z", "any": r"[^\n\r\u2028\u2029]"}


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a payload."""

    #: Where, as a JSON Pointer; it passes through embedded JSON.
    pointer: str
    #: The value, shortened, and what is due instead.
    message: str

    def __str__(self) -> str:
        return f"{self.pointer or '(the whole payload)'}: {self.message}"


class Checker:
    """
    Tells whether payloads satisfy a schema of the dialect, and what is wrong with those that do not.

    Keep it: what it needs is built at the first payload, at a multiple of the cost of a payload.
    """

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._schema = schema

    def accepts(self, value: Any) -> bool:
        """Return whether *value* satisfies the schema; what JSON cannot hold counts only where the schema looks."""
        verdict = self._quick(value)
        return bool(self._exact.is_valid(value)) if verdict is None else verdict

    def valid(self, payload: Any) -> bool:
        """Return whether `problems` has nothing to say: quickly, where `jsonschema-rs` is installed."""
        verdict = self._quick(payload)
        if verdict is not None:
            return verdict
        try:
            return next(foreign(payload), None) is None and bool(self._exact.is_valid(payload))
        except RecursionError:
            return False

    def problems(self, payload: Any) -> list[Problem]:
        """Return what is wrong with *payload*, as `problems` does."""
        return [] if self._quick(payload) else problems(self._exact, payload)

    @cached_property
    def _quick(self) -> Callable[[Any], bool | None]:
        return quick(self._schema)

    @cached_property
    def _exact(self) -> Validator:
        return validator(self._schema)


def validator(schema: Mapping[str, Any]) -> Validator:
    """
    Return a validator for *schema*: JSON Schema 2020-12, in which `contentSchema` is an assertion.

    Keep it: building one costs more than using it.
    """
    return _validator_class()(schema)


def problems(checker: Validator, payload: Any) -> list[Problem]:
    """
    Return what *checker* finds wrong with *payload*, in order of place; none if it is valid.

    It stops looking at `MOST_PROBLEMS`, so that what is wrong everywhere costs no more than what is right.
    What JSON cannot hold, such as `NaN` or nesting of more than 100 levels, is the only problem of a payload then.
    """
    no_json = next(foreign(payload), None)
    if no_json is not None:
        place, message = no_json
        return [Problem(join(place), message)]
    try:
        errors = islice(checker.iter_errors(payload), MOST_PROBLEMS)
        found = {Problem(join(error.absolute_path), _message(error)) for error in errors}
    except RecursionError:
        return [Problem("", "is nested too deeply")]
    return sorted(found, key=lambda problem: (problem.pointer, problem.message))


def dialect_problems(schema: Any) -> list[Problem]:
    """Return how *schema* breaks the dialect's own rules (`dialect.schema.json`); none if it keeps them."""
    return problems(_dialect_validator(), schema)


@lru_cache(maxsize=1)
def _dialect_validator() -> Validator:
    text = files("im_callback.schemas").joinpath("dialect.schema.json").read_text(encoding="utf-8")
    return _validator_class()(jsontext.parse(text))


@lru_cache(maxsize=1)
def _validator_class() -> Callable[[Any], Validator]:
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend

    keywords = {"contentSchema": _content_schema, "pattern": _pattern, "required": _required}
    extended: Callable[[Any], Validator] = extend(Draft202012Validator, keywords)  # type: ignore[no-untyped-call]
    return extended


def _content_schema(checker: Any, content: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    # 2020-12 leaves contentSchema to the application (Validation, section 8.5); ours asserts it.
    from jsonschema import ValidationError

    if not isinstance(instance, str) or schema.get("contentMediaType") != "application/json":
        return
    try:
        value = jsontext.parse(instance)
    except ValueError as error:
        yield ValidationError(f"is {_shown(instance)}; due is JSON text ({error})")
        return
    no_json = next(foreign(value), None)
    if no_json is not None:
        place, message = no_json
        yield ValidationError(message, path=place)
        return
    yield from checker.descend(value, content, schema_path="contentSchema")


def _pattern(checker: Any, pattern: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    # Patterns are those of ECMA-262 (Core, section 6.4), where $ is the end, not also the line break before it, and where
    # there are four ends of lines, which . does not stand for.
    from jsonschema import ValidationError

    if isinstance(instance, str) and not _expression(pattern).search(instance):
        yield ValidationError(f"does not match {pattern}")


@lru_cache(maxsize=1024)
def _expression(pattern: str) -> re.Pattern[str]:
    return re.compile(_TOKENS.sub(lambda found: _PYTHON.get(found.lastgroup or "", found[0]), pattern))


def _required(checker: Any, names: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    # As in the standard, but each error points at the field that is missing.
    from jsonschema import ValidationError

    if not checker.is_type(instance, "object"):
        return
    for name in names:
        if name not in instance:
            yield ValidationError("is missing; it is required", path=[name])


def _message(error: ValidationError) -> str:
    keyword, value = str(error.validator), error.instance
    due: Any = error.validator_value
    if keyword in {"required", "contentSchema"}:
        return error.message
    if error.validator is None:
        return f"is {_shown(value)}; nothing may stand here"
    if keyword in {"anyOf", "oneOf"} and error.context:
        return f"is {_shown(value)}; it fits none of the documented shapes (closest: {_closest(error)})"
    words: dict[str, Callable[[], str]] = {
        "type": lambda: " or ".join(due) if isinstance(due, list) else str(due),
        "enum": lambda: "one of " + ", ".join(jsontext.dump(item) for item in due),
        "const": lambda: jsontext.dump(due),
        "pattern": lambda: f"text that matches {due}",
        "minimum": lambda: f"at least {due}",
        "maximum": lambda: f"at most {due}",
        "minLength": lambda: f"at least {due} characters",
        "maxLength": lambda: f"at most {due} characters",
        "minItems": lambda: f"at least {due} elements",
        "maxItems": lambda: f"at most {due} elements",
    }
    if keyword in words:
        return f"is {_shown(value)}; due is {words[keyword]()}"
    return f"is {_shown(value)}; it breaks the rule {keyword!r}"


def _closest(error: ValidationError) -> str:
    branches: dict[Any, list[ValidationError]] = {}
    for inner in error.context or ():
        # The schema `false` is a branch without a path of its own.
        branch = inner.relative_schema_path[0] if inner.relative_schema_path else None
        branches.setdefault(branch, []).append(inner)
    nearest = min(branches.values(), key=len)[0]
    place = join(nearest.path)
    return f"{place} {_message(nearest)}" if place else _message(nearest)


def _shown(value: Any) -> str:
    try:
        text = jsontext.dump(value)
    except (TypeError, ValueError):
        text = repr(value)
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"
