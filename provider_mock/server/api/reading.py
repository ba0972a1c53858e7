"""Reads requests by exactly the rules that the document states, and refuses all others.

Bodies are I-JSON (RFC 7493): UTF-8, no name twice in an object, no half of a surrogate pair.
"""

from __future__ import annotations

import json
import math
import re
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

import jsonschema_rs
from flask import Request
from im_callback.provider_mock.server.api.messages import MOST_PROBLEMS, pointer, problems
from im_callback.provider_mock.server.api.operation import JSON, Asked, Operation, Parameter, Schema
from im_callback.provider_mock.server.api.problems import Refused
from im_callback.provider_mock.server.errors import Objection
from im_callback.schemas.nearest import question

DEEPEST = 64
"""Arrays and objects that can lie in one another in a body."""
LONGEST_NAME = 100
LARGE_BYTES = 1024 * 1024
LARGE_SECONDS = 10.0
"""How long a large body waits for another one."""
MOST_DIGITS = 4000
MOST_VALUES = 200_000
"""Values in a body: their size says little of what they cost."""
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)', re.DOTALL)
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_NUMBERS = {
    "integer": re.compile(r"-?(0|[1-9][0-9]{0,18})", re.ASCII),
    "number": re.compile(r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?", re.ASCII),
}
_large = threading.Lock()
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
            # The validator finds all errors before it tells the first, so sizes come before contents.
            self._sizes: Schema = sizes(self._body)
            self._check_sizes = jsonschema_rs.validator_for(self._sizes)

    def read(self, request: Request, path: Mapping[str, str]) -> Asked:
        """Return what is asked; raises `Refused`."""
        parameters = self._read_parameters(request, path)
        body = self._read_body(request) if self._body is not None else None
        return Asked(parameters, body)

    def _read_parameters(self, request: Request, path: Mapping[str, str]) -> dict[str, Any]:
        texts: dict[str, str] = {}
        wrong: list[Objection] = []
        known = {one.name: one for one in self._operation.at("query")}
        for name, values in request.args.lists():
            if len(wrong) == MOST_PROBLEMS:
                break
            if name not in known:
                fix = question(name, known) or "leave it out"
                wrong.append(Objection(name[:LONGEST_NAME], "there is no such parameter", fix))
            elif len(values) > 1:
                wrong.append(Objection(name, f"it is given {len(values)} times", "give it once"))
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
        with _one_large_at_a_time(request.content_length or 0):
            return self._checked(parsed(request.get_data(cache=False)))

    def _checked(self, body: Any) -> Any:
        """Return a body that keeps all rules."""
        assert self._body is not None
        for check, schema in ((self._check_sizes, self._sizes), (self._check_body, self._body)):
            if not check.is_valid(body):
                raise _invalid(problems(list(islice(check.iter_errors(body), MOST_PROBLEMS)), schema, pointer))
        return body


@contextmanager
def _one_large_at_a_time(length: int) -> Iterator[None]:
    """Let large bodies be read one after the other: each takes some times its size of memory."""
    if length <= LARGE_BYTES:
        yield
    elif _large.acquire(timeout=LARGE_SECONDS):
        try:
            yield
        finally:
            _large.release()
    else:
        raise Refused(503, "too many large bodies at once; try again", headers={"Retry-After": "2"})


def sizes(schema: Any) -> Any:
    """Return what of a schema limits how many members, entries and characters there are, and nothing else."""
    if isinstance(schema, list):
        return [sizes(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found: dict[str, Any] = {}
    if schema.get("additionalProperties") is False:
        # Some too many are told by name.
        found["maxProperties"] = len(schema.get("properties", ())) + MOST_PROBLEMS
    for key, value in schema.items():
        if key in ("maxItems", "maxLength", "maxProperties", "$ref"):
            found[key] = value
        elif key in ("items", "additionalProperties", "allOf"):
            found[key] = sizes(value) if isinstance(value, dict | list) else True
        elif key in ("properties", "patternProperties", "schemas"):
            found[key] = {name: sizes(one) for name, one in value.items()}
        elif key == "components":
            found[key] = sizes(value)
    return found


def parsed(data: bytes) -> Any:
    """Return the value that a body stands for; raises `Refused` if it is no I-JSON."""
    if data.count(b",") > MOST_VALUES and _STRING.sub(b"", data).count(b",") > MOST_VALUES:
        raise Refused.of(413, "", f"the body holds more than {MOST_VALUES} values", "send fewer events at a time")
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


def _invalid(wrong: Sequence[Objection]) -> Refused:
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
        twice = next(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
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
