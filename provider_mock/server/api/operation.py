"""What an operation of the API is: the one declaration that its document, its checks and its route come from."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from im_callback.provider_mock.server.service import Service
from im_callback.provider_mock.server.tokens import Scope

Schema = Mapping[str, Any]
"""A JSON Schema 2020-12; `$ref` leads to `#/components/schemas/`."""

JSON = "application/json"


@dataclass(frozen=True)
class Parameter:
    """A parameter of an operation. Its schema is of one type: text, a whole number, a number or a truth value."""

    name: str
    place: Literal["path", "query", "header"]
    schema: Schema
    description: str


@dataclass(frozen=True)
class Answer:
    """An answer that is no error: its body's schema (None: it has no body) and its headers, by name."""

    description: str
    schema: Schema | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = JSON


@dataclass(frozen=True)
class Asked:
    """A request that keeps the rules of the document: parameters by name, absent ones by their default, and the body."""

    parameters: Mapping[str, Any]
    body: Any

    def __getitem__(self, name: str) -> Any:
        """Return the parameter's value; None where it was left out and has no default."""
        return self.parameters.get(name)


@dataclass(frozen=True)
class Reply:
    """What is answered: a JSON value, or nothing."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


Handler = Callable[[Service, Asked], Reply]
Concerned = Mapping[str, Any]
"""What a request is about, as the audit tells it: `app`, `id`."""


@dataclass(frozen=True)
class Operation:
    """One method of one path.

    `scope` is what a token has to allow; None: no token is wanted. What reads changes nothing. `handler` is None for a
    route that is defined elsewhere and only described here. `conflicts` says when the answer is 409; None: never.
    `concerns` returns what a request is about where its path does not say it.
    """

    method: str
    path: str
    scope: Scope | None
    name: str
    summary: str
    description: str
    answers: Mapping[int, Answer]
    handler: Handler | None = None
    parameters: tuple[Parameter, ...] = ()
    body: Schema | None = None
    conflicts: str | None = None
    concerns: Callable[[Asked], Concerned] | None = None

    def at(self, place: str) -> list[Parameter]:
        """Return the parameters in this place."""
        return [one for one in self.parameters if one.place == place]


@dataclass
class Resource:
    """A group of operations with the schemas that they share, by name."""

    name: str
    description: str
    schemas: Mapping[str, Schema] = field(default_factory=dict)
    operations: list[Operation] = field(default_factory=list)

    def operation(
        self,
        method: str,
        path: str,
        scope: Scope,
        answers: Mapping[int, Answer],
        *parameters: Parameter,
        body: Schema | None = None,
        conflicts: str | None = None,
        concerns: Callable[[Asked], Concerned] | None = None,
    ) -> Callable[[Handler], Handler]:
        """Make a function an operation: its name is the operation's, its docstring the summary and description."""

        def add(handler: Handler) -> Handler:
            summary, _, description = inspect.cleandoc(handler.__doc__ or "").partition("\n")
            self.operations.append(
                Operation(
                    method,
                    path,
                    scope,
                    handler.__name__,
                    summary.rstrip("."),
                    description.strip(),
                    answers,
                    handler,
                    parameters,
                    body,
                    conflicts,
                    concerns,
                )
            )
            return handler

        return add


def ref(name: str) -> Schema:
    """Return the schema that refers to the shared one of this name."""
    return {"$ref": f"#/components/schemas/{name}"}


def record(required: Mapping[str, Schema], optional: Mapping[str, Schema] | None = None, **more: Any) -> dict[str, Any]:
    """Return the schema of an object with these properties and no others."""
    return {
        "type": "object",
        "required": list(required),
        "properties": {**required, **(optional or {})},
        "additionalProperties": False,
        **more,
    }


def listed(items: Schema, **more: Any) -> dict[str, Any]:
    """Return the schema of an array."""
    return {"type": "array", "items": items, **more}


def optional(schema: Schema, description: str) -> dict[str, Any]:
    """Return the schema of what may be null in an answer."""
    return {"description": description, **schema, "type": [schema["type"], "null"]}


def page(items: Schema) -> dict[str, Any]:
    """Return the schema of a page of a longer list."""
    return record(
        {
            "items": listed(items),
            "next": {
                "description": "Give this as `cursor` for the next page; null: this is the last one.",
                "type": ["string", "null"],
            },
        }
    )


def paged(found: Sequence[Any], limit: int, cursor: Callable[[Any], str], shown: Callable[[Any], Any]) -> Reply:
    """Return a page out of what was found when one more than `limit` was asked for."""
    items = found[:limit]
    return Reply(
        200,
        {
            "items": [shown(one) for one in items],
            "next": cursor(items[-1]) if len(found) > limit else None,
        },
    )
