"""The quick verdict is the exact one, or there is none: for samples, for all that breaks them, and for odd values."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from im_callback.schemas import EventType, PointerError, catalogue, replace
from im_callback.schemas.quick import quick
from im_callback.schemas.validate import Checker, problems, validator
from im_callback.schemas.values import DEEPEST

from tests.cases import in_each
from tests.schemas import strategies
from tests.schemas.mutations import mutants
from tests.schemas.payloads import EVENT_TYPES, PROVIDERS, valid_payloads

by_name = in_each("event_type", EVENT_TYPES, ids=lambda one: one.name)

NAN, INFINITY = float("nan"), float("inf")
SURROGATE = "\ud800"
TEXT = {"type": "string", "contentMediaType": "application/json"}
#: Lists in lists, and texts with such lists in them.
NESTED = {"items": {"$ref": "#/$defs/nested"}, "contentMediaType": "application/json"}
RECURSIVE = {
    "$defs": {"nested": {**NESTED, "contentSchema": {"$ref": "#/$defs/nested"}, "type": ["array", "string"]}},
    "$ref": "#/$defs/nested",
}


def nested(levels: int, inner: Any = None) -> Any:
    """Return lists within each other."""
    value = [] if inner is None else [inner]
    for _ in range(levels - 1):
        value = [value]
    return value


def endless() -> Any:
    """Return an object that holds itself."""
    value: dict[str, Any] = {}
    value["a"] = value
    return value


def exactly(schema: Mapping[str, Any], payload: Any) -> bool:
    """Return the exact verdict."""
    return not problems(validator(schema), payload)


def conditions(schema: Any) -> Iterator[Mapping[str, Any]]:
    """Yield every `if` in a schema."""
    if isinstance(schema, dict):
        if "if" in schema:
            yield schema["if"]
        for inner in schema.values():
            yield from conditions(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from conditions(inner)


SCHEMAS: list[dict[str, Any]] = [
    {"type": "integer"},
    {"type": "number"},
    {"type": "string"},
    {"type": "boolean"},
    {"type": "null"},
    {"type": ["array", "object"]},
    {"minimum": 0, "maximum": 2**32 - 1},
    {"maximum": 2**53},
    {"minimum": -0.5, "maximum": 1.5},
    {"const": 1},
    {"const": 1.0},
    {"const": 0},
    {"const": True},
    {"const": [1, {"a": True}]},
    {"const": 2**53},
    {"enum": [0, "1", None]},
    {"enum": [False, 1]},
    {"not": {"const": 1}},
    {"pattern": "^-?[0-9]+$"},
    {"pattern": "^[0-9]{1,3}$"},
    {"pattern": r"^\[.*\]$"},
    {"pattern": "a|^$"},
    {"not": {"pattern": "^1$"}},
    {"minLength": 1, "maxLength": 2},
    {"minItems": 1, "maxItems": 2},
    {"items": {"type": "integer"}},
    {"contains": {"const": 1}, "minContains": 0, "maxContains": 1},
    {"required": ["a"], "properties": {"a": {"type": "number"}}},
    {"additionalProperties": {"type": "string"}},
    {"properties": {"a": False}},
    {"if": {"type": "integer"}, "then": {"minimum": 1}, "else": {"type": "string"}},
    {"oneOf": [{"type": "integer"}, {"minimum": 1}]},
    {**TEXT, "contentSchema": {"type": "integer"}},
    {**TEXT, "contentSchema": True},
    {"not": {**TEXT, "contentSchema": {"type": "integer"}}},
    {"anyOf": [{**TEXT, "contentSchema": {"type": "array"}}, {"type": "string", "maxLength": 3}]},
    {"contentMediaType": "text/plain", "contentSchema": False},
    {"contentSchema": False},
    RECURSIVE,
]
VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 1.0, 0.0, -0.0, 1.5, 2**32 - 1, 2**32, float(2**32 - 1), 2**32 - 0.5, 2**53, 2**53 + 1,
    float(2**53), 2**63, 2**64, -(2**63) - 1, 10**30, 1e30, 10**30 + 1, 10**400, -(10**400), 10**4299, 1e308, -1e308,
    5e-324, NAN, INFINITY, -INFINITY,
    "", "1", "1\n", "\n", "１２", "a", "a\n", "[]", "[\n]", "[\u2028]", "[a]\n", "-1", "1 ", "👍", "👍👍", "e\u0301", "a\u0000",
    SURROGATE, SURROGATE * 2, SURROGATE * 3, "NaN", "1e400", "1" * 5000, "1.0", "true", "[1", '"\\ud800"', '["\\ud800"]',
    "[" * 2000 + "]" * 2000, json.dumps(nested(DEEPEST)), json.dumps(nested(DEEPEST + 1)),
    [], [1], [1, 1], [1, 1.0], [True, 1], [1, 2, 3], [1, {"a": True}], [1, {"a": 1}], [NAN], [[SURROGATE]],
    nested(DEEPEST), nested(DEEPEST + 1), nested(DEEPEST, NAN),
    {}, {"a": 1}, {"a": None}, {"a": NAN}, {"b": NAN}, {"b": "x"}, {SURROGATE: "x"}, {"a": 10**400}, {"a": [10**2000]},
    (), (1,), {"b": (1,)}, {1: "x"}, {"b": {1: 2}}, {"b": b"x"}, {"b": {1}}, {"b": object()}, endless(),
]  # fmt: skip


class TestQuick:
    """Tests for `quick`."""

    @by_name
    def test_samples_and_mutants(self, event_type: EventType) -> None:
        """It has a verdict of every sample and of all that breaks one, and the exact one."""
        verdict, checker = quick(event_type.schema), validator(event_type.schema)
        for payload in valid_payloads(event_type):
            assert True is verdict(payload)
            for mutant in mutants(event_type.schema, payload):
                assert (not problems(checker, mutant.payload)) is verdict(mutant.payload), mutant

    @by_name
    def test_detection_and_conditions(self, event_type: EventType) -> None:
        """It has a verdict by each of the schemas within a schema that something depends on."""
        removals = event_type.order.removals if event_type.order else ()
        parts = [event_type.schema["x-detect"], *(one.when for one in removals), *conditions(event_type.schema)]
        others = [payload for one in EVENT_TYPES for payload in valid_payloads(one)[:1]]
        for part in parts:
            verdict, checker = quick(part), validator(part)
            for payload in [*valid_payloads(event_type), *others]:
                assert checker.is_valid(payload) is verdict(payload)

    @pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: json.dumps(schema)[:60])
    def test_odd_values(self, schema: dict[str, Any]) -> None:
        """The numbers, texts and nestings about which libraries differ."""
        verdict = quick(schema)
        assert None is not verdict(1)
        for place, value in enumerate(VALUES):
            # A value may be too deep to be shown, so that the place stands for it.
            assert verdict(value) in (None, exactly(schema, value)), place

    @given(st.data())
    @settings(max_examples=300, deadline=None)
    def test_broken_anywhere(self, data: st.DataObject) -> None:
        """A valid payload with anything at any place, embedded JSON included."""
        event_type = data.draw(st.sampled_from(EVENT_TYPES))
        payload = data.draw(st.sampled_from(valid_payloads(event_type)))
        place = data.draw(st.sampled_from(strategies.places(payload)))
        value = data.draw(strategies.documents | st.text(st.characters(), max_size=3) | st.floats())
        try:
            broken = replace(payload, place, value)
        except (PointerError, ValueError):
            return
        assert quick(event_type.schema)(broken) in (None, exactly(event_type.schema, broken))

    @given(st.sampled_from(SCHEMAS), strategies.documents)
    @settings(deadline=None)
    def test_documents(self, schema: dict[str, Any], document: Any) -> None:
        """Any document; all but a lone surrogate has a verdict."""
        assert quick(schema)(document) in (None, exactly(schema, document))

    @pytest.mark.parametrize(
        ("expected", "pattern", "text"),
        [
            (True, "^1$", "1"),
            (False, "^1$", "1\n"),
            (False, "^[0-9]{13}$", "1234567890123\n"),
            (True, r"^\$$", "$"),
            (False, r"^\$$", "$\n"),
            (True, "^[$]$", "$"),
            (False, "^[$]$", "$\n"),
            (True, r"[\]$]", "$\n"),
            (True, "1$|2", "2\n"),
        ],
    )
    def test_end_of_text(self, expected: bool, pattern: str, text: str) -> None:
        """`$` is the end of the text, as in ECMA-262, and not the line break before it, as in Python."""
        assert expected is exactly({"pattern": pattern}, text)
        assert quick({"pattern": pattern})(text) in (None, expected)

    @pytest.mark.parametrize(
        "schema",
        [
            {"multipleOf": 0.1},
            {"uniqueItems": True},
            {"patternProperties": {"^a": True}},
            {"unevaluatedProperties": False},
            {"dependentRequired": {"a": ["b"]}},
            {"format": "ipv4"},
            {"contentEncoding": "base64"},
            {"$ref": "#"},
            {"$ref": "#/properties/a", "properties": {"a": True}},
            {"$ref": "https://example.com/"},
            {"$ref": "#/$defs/missing"},
            {"$dynamicRef": "#meta"},
            {"properties": {"a": {"$id": "https://example.com/"}}},
            {"properties": {"a": {"contentSchema": {"multipleOf": 2}}}},
            {"$defs": {"a": {"pattern": r"\d"}}},
            {"minLength": -1},
            {"const": 2**53 + 1},
            {"enum": [{"a": [1e30]}]},
            {"maximum": 10**30},
            *({"pattern": one} for one in [r"\d", r"\w", r"\bx", "(?=x)", "(?i)x", "(?P<n>x)", "(?<n>x)", "x*+", "x{,3}"]),
            *({"pattern": one} for one in ["[[:alpha:]]", "[a&&b]", "[a--b]", "[]a]", r"\p{L}", r"\<x", r"(x)\1", "[\\d]"]),
        ],
        ids=json.dumps,
    )  # fmt: skip
    def test_no_verdict(self, schema: dict[str, Any]) -> None:
        """It keeps out of what libraries could read in different ways, and of what is no schema."""
        for value in ("x", 1, {"a": 1}, []):
            assert None is quick(schema)(value)

    @pytest.mark.parametrize(
        "make",
        [lambda: nested(DEEPEST + 1), lambda: nested(100_000), endless, lambda: {"b": (1,)}, lambda: NAN],
        ids=["101 levels", "100000 levels", "endless", "tuple", "NaN"],
    )
    def test_no_verdict_of(self, make: Callable[[], Any]) -> None:
        """It keeps out of what is not JSON, and of nesting that a library could fail at."""
        assert None is quick(RECURSIVE)(make())

    def test_embedded_doubt(self) -> None:
        """Where an embedded text leaves a doubt, there is no verdict; that it could be a yes or a no plays no part."""
        for schema in (RECURSIVE, {"not": RECURSIVE, "$defs": RECURSIVE["$defs"]}):
            assert None is quick(schema)(json.dumps(nested(DEEPEST + 1)))
            assert None is quick(schema)([json.dumps(["[", nested(DEEPEST + 1)]), "["])
            assert None is not quick(schema)(json.dumps(["["]))

    def test_without_the_library(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is an extra: without it there is no verdict here, and the exact one in `EventType`."""
        monkeypatch.setitem(sys.modules, "jsonschema_rs", None)
        login = EventType.from_schema(catalogue("commsease")["commsease.login"].schema)
        assert None is quick(login.schema)(login.examples[0])
        assert login.valid(login.examples[0])
        assert not login.valid({"eventType": "2"})

    def test_threads(self) -> None:
        """Threads that share a schema do not take each other's doubts."""
        verdict = quick(RECURSIVE)
        doubtful, sound, broken = json.dumps(nested(DEEPEST + 1)), json.dumps(["[]"]), json.dumps(["["])
        start, found = threading.Barrier(4), []

        def work() -> None:
            start.wait()
            found.extend([verdict(doubtful), verdict(sound), verdict(broken)] for _ in range(200))

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [[None, True, False]] * 800 == found


class TestChecker:
    """Tests for `Checker`."""

    @pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: json.dumps(schema)[:60])
    def test_one_verdict(self, schema: dict[str, Any]) -> None:
        """Valid is what has no problems."""
        checker = Checker(schema)
        for place, value in enumerate(VALUES):
            assert exactly(schema, value) is checker.valid(value) is (not checker.problems(value)), place

    @pytest.mark.parametrize(
        ("pointer", "message", "payload"),
        [
            ("", "is nan, which is no number in JSON", NAN),
            ("/a/1", "is nan, which is no number in JSON", {"a": [1, NAN]}),
            ("/a", "is -inf, which is no number in JSON", {"a": -INFINITY}),
            ("", "has a key of the type int; due is text", {1: 2}),
            ("/a", "is a value of the type tuple, which JSON does not have", {"a": (1,)}),
            ("/a", "is an integer of 16610 bits; it is too long to be written", {"a": 10**5000}),
            ("/0" * DEEPEST, "is nested more than 100 levels deep", nested(DEEPEST + 1)),
            ("/a" * DEEPEST, "is nested more than 100 levels deep", endless()),
        ],
    )
    def test_no_json(self, pointer: str, message: str, payload: Any) -> None:
        """What JSON cannot hold is refused by any schema, with its place."""
        checker = Checker({})
        (problem,) = checker.problems(payload)
        assert (pointer, message) == (problem.pointer, problem.message)
        assert not checker.valid(payload)

    def test_nested_text(self) -> None:
        """The limit counts in each embedded text anew, and is a problem of its own place."""
        checker = Checker({"properties": {"a": {**TEXT, "contentSchema": True}}})
        assert checker.valid({"a": json.dumps(nested(DEEPEST))})
        (problem,) = checker.problems({"a": json.dumps(nested(DEEPEST + 1))})
        assert ("/a" + "/0" * DEEPEST, "is nested more than 100 levels deep") == (problem.pointer, problem.message)

    def test_recursion(self) -> None:
        """What is too deep for the exact check is a problem, not an error: texts in texts, each with many levels."""
        payload: Any = 1
        for _ in range(12):
            payload = json.dumps(nested(DEEPEST - 1, payload))
        checker = Checker(RECURSIVE)
        assert ["(the whole payload): is nested too deeply"] == [str(problem) for problem in checker.problems(payload)]
        assert not checker.valid(payload)

    def test_nothing_allowed(self) -> None:
        """The schema `false`, alone or among others, has a message too."""
        (problem,) = Checker({"properties": {"a": False}}).problems({"a": 1})
        assert "is 1; nothing may stand here" == problem.message
        (problem,) = Checker({"anyOf": [False, {"type": "string", "minLength": 1, "pattern": "a"}]}).problems(1)
        assert problem.message.startswith("is 1; it fits none of the documented shapes (closest: is 1; ")

    def test_accepts(self) -> None:
        """Of what is no JSON, only what the schema looks at counts: a broken payload is still recognised."""
        checker = Checker({"required": ["a"], "properties": {"a": {"const": 1}}})
        assert checker.accepts({"a": 1, "b": NAN})
        assert not checker.accepts({"a": NAN})


class TestIdentify:
    """Tests for `Catalogue.identify`, which asks only the event types that a payload could be."""

    @pytest.mark.parametrize("provider", PROVIDERS)
    def test_first_that_detects(self, provider: str) -> None:
        """It finds the first that detects a payload, whichever it asks."""
        types = catalogue(provider)
        marks = [{}, {"eventType": "2", "type": "CALL"}, {"type": "CALL"}, {"eventType": ["2"]}, {"eventType": 2.0}]
        samples = [payload for one in EVENT_TYPES for payload in valid_payloads(one)]
        for payload in [*samples, *marks, *VALUES]:
            assert next((one for one in types if one.detects(payload)), None) is types.identify(payload)
