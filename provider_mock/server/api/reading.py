"""Reads requests by exactly the rules that the document states, and refuses all others.

Bodies are I-JSON (RFC 7493): UTF-8, no name twice in an object, no half of a surrogate pair.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import jsonschema_rs
from flask import Request

from provider_mock.server.api.operation import JSON, Asked, Operation, Parameter, Schema
from provider_mock.server.api.problems import Refused
from provider_mock.server.api.sentences import pointer, problems
from provider_mock.server.errors import Problem

DEEPEST = 64
"""Arrays and objects that can lie in one another in a body."""
MOST_PROBLEMS = 20
LONGEST_NAME = 100
MOST_DIGITS = 4000
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_NUMBERS = {
    "integer": re.compile(r"-?(0|[1-9][0-9]{0,18})", re.ASCII),
    "number": re.compile(r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?", re.ASCII),
}
_FALSE_TRUE = {"false": False, "true": True}


class Reader:
    """Checks the requests of one operation. `shared` are the schemas that its own refer to, by name."""

    def __init__(self, operation: Operation, shared: Mapping[str, Schema]) -> None:
        self._operation = operation
        self._defaults = {one.name: one.schema["default"] for one in operation.parameters if "default" in one.schema}
        self._parameters: Schema = {
            "type": "object",
            "properties": {one.name: one.schema for one in operation.parameters},
        }
        self._body: Schema | None = None
        self._check_parameters = jsonschema_rs.validator_for(dict(self._parameters))
        if operation.body is not None:
            self._body = {"allOf": [operation.body], "components": {"schemas": shared}}
            self._check_body = jsonschema_rs.validator_for(self._body)

    def read(self, request: Request, path: Mapping[str, str]) -> Asked:
        """Return what is asked; raises `Refused`."""
        parameters = self._read_parameters(request, path)
        body = self._read_body(request) if self._body is not None else None
        return Asked(parameters, body)

    def _read_parameters(self, request: Request, path: Mapping[str, str]) -> dict[str, Any]:
        texts: dict[str, str] = {}
        wrong: list[Problem] = []
        known = {one.name: one for one in self._operation.at("query")}
        for name, values in request.args.lists():
            if name not in known:
                close = get_close_matches(name, known, n=1)
                fix = f"did you mean {close[0]}?" if close else "leave it out"
                wrong.append(Problem(name[:LONGEST_NAME], "there is no such parameter", fix))
            elif len(values) > 1:
                wrong.append(Problem(name, f"it is given {len(values)} times", "give it once"))
            else:
                texts[name] = values[0]
        for one in self._operation.at("header"):
            if (value := request.headers.get(one.name)) is not None:
                texts[one.name] = value
        texts.update(path)
        given = {one.name: _value(one, texts[one.name]) for one in self._operation.parameters if one.name in texts}
        errors = list(self._check_parameters.iter_errors(given))
        wrong += problems(errors, self._parameters, lambda place: str(place[0]))
        if wrong:
            raise _invalid(wrong)
        return {**self._defaults, **given}

    def _read_body(self, request: Request) -> Any:
        assert self._body is not None
        if request.mimetype != JSON or request.mimetype_params.get("charset", "utf-8").lower() not in ("utf-8", "utf8"):
            given = request.content_type or "missing"
            raise Refused.of(415, "Content-Type", f"it is {given[:100]}", f"send JSON, with {JSON}")
        body = parsed(request.get_data(cache=False))
        if not self._check_body.is_valid(body):
            errors = []
            for error in self._check_body.iter_errors(body):
                errors.append(error)
                if len(errors) == MOST_PROBLEMS:
                    break
            raise _invalid(problems(errors, self._body, pointer))
        return body


def parsed(data: bytes) -> Any:
    """Return the value that a body stands for; raises `Refused` if it is no I-JSON."""
    try:
        text = data.decode()
        value = json.loads(
            text, parse_constant=_no_constant, parse_int=_whole, parse_float=_finite, object_pairs_hook=_without_repeats
        )
        if _SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise _malformed("it holds half of a surrogate pair", "write the whole character") from None
    except UnicodeDecodeError as error:
        raise _malformed(f"it is not UTF-8 at byte {error.start}", "send JSON in UTF-8") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise _malformed(f"it is no JSON: {error.msg} at {where}", "send a JSON value") from None
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:
        raise _malformed(str(error), "send JSON as RFC 8259 has it") from None
    level = [value]
    for _ in range(DEEPEST + 1):
        if not level:
            return value
        inside = (one.values() if isinstance(one, dict) else one for one in level if isinstance(one, dict | list))
        level = [one for values in inside for one in values if isinstance(one, dict | list)]
    raise _too_deep()


def _invalid(wrong: Sequence[Problem]) -> Refused:
    return Refused(422, "; ".join(map(str, wrong)), wrong)


def _malformed(problem: str, fix: str) -> Refused:
    return Refused.of(400, "", f"the body cannot be read: {problem}", fix)


def _too_deep() -> Refused:
    return _malformed("it is nested too deeply", f"nest arrays and objects {DEEPEST} deep at most")


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _whole(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise ValueError(f"a number in it has more than {MOST_DIGITS} digits")
    return int(digits)


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError("a number in it is too large")
    return number


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"an object in it has {json.dumps(twice[:40])} twice")
    return found


def _value(parameter: Parameter, text: str) -> Any:
    """Return what a parameter's text stands for; the text itself, which its schema refuses, if that is nothing."""
    kind = parameter.schema["type"]
    if kind == "boolean":
        return _FALSE_TRUE.get(text, text)
    if kind in _NUMBERS and _NUMBERS[kind].fullmatch(text):
        return int(text) if kind == "integer" else float(text)
    return text
