"""Writes the OpenAPI 3.1 document of the operations: what `Reader` checks, and every answer that can come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from im_callback.provider_mock.server.api.operation import (
    JSON,
    Answer,
    Operation,
    Resource,
    Schema,
    listed,
    record,
    ref,
)
from im_callback.provider_mock.server.api.problems import PROBLEM_JSON

PACKAGE = "im-callback-conformance"
PROBLEM: Schema = record(
    {
        "type": {"type": "string", "const": "about:blank"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What is wrong and how to mend it, in one line."},
        "errors": listed(
            record(
                {
                    "field": {
                        "type": "string",
                        "description": "A JSON Pointer into the body, the name of a parameter, or empty: the whole.",
                    },
                    "problem": {"type": "string"},
                    "fix": {"type": "string"},
                }
            )
        ),
    },
    description="An error (RFC 9457).",
)
_INTRODUCTION = """\
The standalone mock of an IM service: apps, their events, deliveries and attempts.

* Times are UTC milliseconds of the server's clock (`/api/v1/clock`); those of traffic runs are the time of day.
* What was answered with 202 is on disk and will be delivered, also after a crash.
* A request that breaks a rule of this document is answered with 422 (400 if its body is no JSON). One that keeps
  them all and cannot be done as things stand is answered with 409: the app's provider has no such event type, the
  payload breaks the event type's contract, a fault has no such attribute.
* Bodies are JSON in UTF-8 with no name twice in an object (RFC 7493).
"""
_REASONS = {
    400: "The body is no JSON.",
    401: "The token is missing, wrong, or has expired.",
    403: "The request comes from another site, or names this server by another host than it listens on.",
    404: "There is none of this name or id.",
    413: "The body is too long.",
    415: "The body's media type is not application/json.",
    422: "The request breaks a rule of this document.",
    503: "The server cannot do it now: its database does not answer, or it is stopping.",
}
_LACKING = "The token has not the scope that is needed."
_HEADERS = {401: {"WWW-Authenticate": "How to say who you are."}, 503: {"Retry-After": "Seconds to wait."}}


def document(resources: Sequence[Resource], *, token_needed: bool) -> dict[str, Any]:
    """Return the document; with `token_needed`, it says that and where a token must be sent."""
    paths: dict[str, dict[str, Any]] = {}
    for resource in resources:
        for one in resource.operations:
            paths.setdefault(one.path, {})[one.method.lower()] = _operation(resource, one, token_needed=token_needed)
    found: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "provider-mock",
            "version": version(PACKAGE),
            "summary": "The standalone mock of an IM service.",
            "description": _INTRODUCTION,
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": one.name, "description": one.description} for one in resources],
        "paths": paths,
        "components": {"schemas": shared(resources)},
    }
    if token_needed:
        found["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        found["security"] = [{"token": []}]
    return found


def shared(resources: Sequence[Resource]) -> dict[str, Schema]:
    """Return the schemas that operations refer to, by name."""
    return {"Problem": PROBLEM} | {name: schema for one in resources for name, schema in one.schemas.items()}


def _operation(resource: Resource, one: Operation, *, token_needed: bool) -> dict[str, Any]:
    found: dict[str, Any] = {
        "operationId": one.name,
        "tags": [resource.name],
        "summary": one.summary,
        "responses": {str(status): _answer(answer) for status, answer in one.answers.items()}
        | {str(status): _error(status, reason) for status, reason in _errors(one, token_needed=token_needed).items()},
    }
    needs = "" if one.scope is None else f"A token needs the scope `{one.scope}`."
    if described := "\n\n".join(filter(None, (one.description, needs))):
        found["description"] = described
    if one.parameters:
        found["parameters"] = [
            {
                "name": each.name,
                "in": each.place,
                "description": each.description,
                "required": each.place == "path",
                "schema": each.schema,
            }
            for each in one.parameters
        ]
    if one.body is not None:
        found["requestBody"] = {"required": True, "content": {JSON: {"schema": one.body}}}
    if one.scope is None or token_needed:
        found["security"] = [] if one.scope is None else [{"token": [one.scope]}]
    return found


def _errors(one: Operation, *, token_needed: bool) -> dict[int, str]:
    """Return the statuses of errors that the operation can be answered with, and why."""
    if one.handler is None:
        statuses = []
    else:
        statuses = [422, 503]
        if one.at("path"):
            statuses.append(404)
        if one.body is not None:
            statuses += [400, 413, 415]
    if one.scope is not None:
        statuses += [401, 403] if token_needed else [403]
    reasons = {status: _REASONS[status] for status in sorted(statuses)}
    if token_needed and 403 in reasons:
        reasons[403] = _LACKING
    return reasons | ({409: one.conflicts} if one.conflicts else {})


def _error(status: int, reason: str) -> dict[str, Any]:
    headers = _described(_HEADERS.get(status, {}))
    return {"description": reason, "content": {PROBLEM_JSON: {"schema": ref("Problem")}}} | headers


def _answer(answer: Answer) -> dict[str, Any]:
    found: dict[str, Any] = {"description": answer.description} | _described(answer.headers)
    if answer.schema is not None:
        found["content"] = {answer.content_type: {"schema": answer.schema}}
    return found


def _described(headers: Mapping[str, str]) -> dict[str, Any]:
    if not headers:
        return {}
    return {
        "headers": {
            name: {"description": text, "required": True, "schema": {"type": "string"}}
            for name, text in headers.items()
        }
    }
