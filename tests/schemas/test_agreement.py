"""The quick and the exact validator agree in the release that is installed, and a release that differs is noticed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from im_callback.schemas import agreement
from im_callback.schemas import quick as quick_module
from im_callback.schemas.agreement import PROBES, Probe
from im_callback.schemas.quick import quick
from im_callback.schemas.validate import Checker, problems, validator

from tests.cases import in_each
from tests.schemas import strategies
from tests.schemas.payloads import EVENT_TYPES

FEATURES = frozenset().union(*(probe.features for probe in PROBES))
by_probe = in_each("probe", PROBES, ids=lambda probe: ascii(probe.schema)[:70])


def exactly(schema: Any, value: Any) -> bool:
    """Return the exact verdict."""
    return not problems(validator(schema), value)


class TestProbes:
    """Tests for `PROBES`, the table."""

    @by_probe
    def test_exact(self, probe: Probe) -> None:
        """Its verdicts are those of jsonschema."""
        for value in probe.valid:
            assert exactly(probe.schema, value), ascii(value)
        for value in probe.invalid:
            assert not exactly(probe.schema, value), ascii(value)

    @by_probe
    def test_installed(self, probe: Probe) -> None:
        """They are those of the installed jsonschema-rs; one that differs is slow with us, not wrong, and we should know."""
        assert probe.passes(quick_module._Reader(probe.schema).verdict)

    @by_probe
    def test_features(self, probe: Probe) -> None:
        """It says what its schema uses."""
        assert probe.features | probe.others == set(quick_module._features(probe.schema))
        assert not probe.features & probe.others
        assert probe.others <= FEATURES

    def test_both(self) -> None:
        """Every feature but an annotation is tried with what is valid and with what is not."""
        silent = {"$defs", "contentMediaType", "then", "else", "minContains", "maxContains"}
        for feature in FEATURES - silent:
            probes = [probe for probe in PROBES if feature in probe.features]
            assert any(probe.valid for probe in probes), feature
            assert any(probe.invalid for probe in probes), feature

    def test_shipped(self) -> None:
        """All that our own schemas use is tried."""
        for event_type in EVENT_TYPES:
            root = {
                name: value for name, value in event_type.schema.items() if not name.startswith("$") or name == "$defs"
            }
            assert set(quick_module._features(root)) <= FEATURES, event_type.name


class Misread:
    """A release of jsonschema-rs that reads something in another way."""

    def __init__(self, schema: Any, wrong: Callable[[Any, Any, bool], bool], **options: Any) -> None:
        self._schema, self._wrong = schema, wrong
        self._right = RIGHT(schema, **options)

    def is_valid(self, value: Any) -> bool:
        """Return the verdict."""
        return self._wrong(self._schema, value, self._right.is_valid(value))


RIGHT = jsonschema_rs.Draft202012Validator


def by_utf16(schema: Any, value: Any, right: bool) -> bool:
    """Count the units of UTF-16."""
    if isinstance(schema, dict) and isinstance(value, str) and {"minLength", "maxLength"} & set(schema):
        return schema.get("minLength", 0) <= len(value.encode("utf-16-le")) // 2 <= schema.get("maxLength", 10**9)
    return right


def dot_as_in_python(schema: Any, value: Any, right: bool) -> bool:
    """Let a dot stand for a carriage return."""
    if isinstance(schema, dict) and "." in schema.get("pattern", "") and isinstance(value, str):
        return right or RIGHT(schema).is_valid(value.replace("\r", "x").replace("\u2028", "x"))
    return right


def end_before_line_break(schema: Any, value: Any, right: bool) -> bool:
    """Let `$` be before a line break, too."""
    if isinstance(schema, dict) and "$" in schema.get("pattern", "") and isinstance(value, str):
        return right or RIGHT(schema).is_valid(value.removesuffix("\n"))
    return right


def true_is_one(schema: Any, value: Any, right: bool) -> bool:
    """Take true for 1, as Python does."""
    if isinstance(schema, dict) and "const" in schema:
        return right or bool(schema["const"] == value)
    return right


def no_float_is_an_integer(schema: Any, value: Any, right: bool) -> bool:
    """Refuse 1.0 where an integer is due."""
    return right and not (isinstance(schema, dict) and schema.get("type") == "integer" and isinstance(value, float))


def all_but_contents(schema: Any, value: Any, right: bool) -> bool:
    """Ignore keywords that others define."""
    return right or (isinstance(schema, dict) and "contentSchema" in schema)


def breaks_off(schema: Any, value: Any, right: bool) -> bool:
    """Raise what nobody expects."""
    if isinstance(value, int) and value > 2**63:
        raise OverflowError("too large")
    return right


RELEASES: list[tuple[Callable[[Any, Any, bool], bool], set[str], dict[str, Any], Any]] = [
    (by_utf16, {"minLength", "maxLength"}, {"maxLength": 3}, "👍👍"),
    (dot_as_in_python, {"."}, {"pattern": r"^\[.*\]$"}, "[\u2028]"),
    (end_before_line_break, {"pattern"}, {"pattern": "^[0-9]+$"}, "1\n"),
    (true_is_one, {"const"}, {"const": 1}, True),
    (no_float_is_an_integer, {"type"}, {"type": "integer"}, 1.0),
    (all_but_contents, {"contentSchema"}, {"contentSchema": False, "contentMediaType": "application/json"}, "x"),
    (breaks_off, {"type"}, {"type": "integer"}, 2**64),
]


@pytest.fixture(params=RELEASES, ids=lambda case: case[0].__name__)
def release(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[set[str], dict[str, Any], Any]]:
    """Install a release that differs; give the features, and a schema and a value that it is wrong about."""
    wrong, features, schema, value = request.param
    monkeypatch.setattr(
        jsonschema_rs, "Draft202012Validator", lambda schema, **options: Misread(schema, wrong, **options)
    )
    quick_module._reliable.cache_clear()
    yield features, schema, value
    monkeypatch.undo()
    quick_module._reliable.cache_clear()


class TestOtherReleases:
    """A release that reads something in another way is kept away from it, and from nothing that it reads well."""

    def test_noticed(self, release: tuple[set[str], dict[str, Any], Any]) -> None:
        """What it reads otherwise is not counted on."""
        features, _, _ = release
        assert not features & quick_module._reliable()
        assert {"required", "items", "anyOf", *({"pattern"} - features)} <= quick_module._reliable()

    def test_exact_verdict(self, release: tuple[set[str], dict[str, Any], Any]) -> None:
        """Such a schema goes to the exact validator."""
        _, schema, value = release
        checker = Checker(schema)
        assert None is quick(schema)(value)
        assert exactly(schema, value) is checker.valid(value) is checker.accepts(value) is (not checker.problems(value))

    def test_no_such_option(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A release that cannot even be called is not used at all."""

        def called(schema: Any) -> None:
            return None

        monkeypatch.setattr(jsonschema_rs, "Draft202012Validator", called)
        quick_module._reliable.cache_clear()
        try:
            assert frozenset() == quick_module._reliable()
            assert None is quick({"type": "integer"})(1)
            assert Checker({"type": "integer"}).valid(1)
        finally:
            monkeypatch.undo()
            quick_module._reliable.cache_clear()

    def test_unprobed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What no probe tries is not counted on either."""
        monkeypatch.setattr(agreement, "PROBES", [one for one in PROBES if "minItems" not in one.features])
        quick_module._reliable.cache_clear()
        try:
            assert None is quick({"minItems": 1})([])
            assert None is not quick({"type": "array"})([])
        finally:
            quick_module._reliable.cache_clear()


LITERALS = [*"aA0k s-#<&~é👍\u2028\n\0", "\u212a", "."]
ESCAPED = [rf"\{one}" for one in "[].$^|?*+(){}\\/-"]
CLASSES = ["[a-z]", "[^a-z]", "[0-9A-F]", "[^0-9]", "[$.]", "[^.]", "[,-]", "[^ -]", "[+=/:,;.@%$ ]", "[A-Za-z0-9+=_-]"]
QUANTIFIERS = ["", "", "*", "+", "?", "{0}", "{2}", "{1,}", "{0,2}", "*?", "+?", "??", "{1,2}?"]
ATOMS = st.tuples(st.sampled_from(LITERALS + ESCAPED + CLASSES), st.sampled_from(QUANTIFIERS)).map("".join)


def sequences(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Return expressions of several parts."""
    parts = st.lists(inner | st.sampled_from(["^", "$"]), max_size=3).map("".join)
    choices = st.lists(parts, min_size=1, max_size=2).map("|".join)
    return st.tuples(st.sampled_from(["(", "(?:"]), choices, st.just(")"), st.sampled_from(QUANTIFIERS)).map("".join)


PATTERNS = st.lists(st.recursive(ATOMS, sequences, max_leaves=4) | st.sampled_from(["^", "$", "|"]), max_size=5).map(
    "".join
)
TEXTS = st.text(
    st.sampled_from(
        "aAzZ09kKs\u017f\u212a.-_[]{}()$^|\\/,;@%+=*?# <&~é\u0301👍\U0010ffff\n\r\u2028\u2029\x85\x0b\x1c\0\ufeff１"
    ),
    max_size=6,
)
SCALARS: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, False, 0, 1, -0.0, 1.0, 1.5, 2, -1, 2**53, "", "a", "1", "👍", [], [1], {}, {"a": 1}]
)
LEAVES = st.one_of(
    st.booleans(),
    st.builds(lambda value: {"const": value}, SCALARS),
    st.builds(lambda values: {"enum": values}, st.lists(SCALARS, max_size=3)),
    st.builds(
        lambda names: {"type": names},
        st.sampled_from(["integer", "number", "string", "boolean", "null", "array", "object", ["integer", "string"]]),
    ),
    st.builds(lambda low, high: {"minimum": low, "maximum": high}, st.integers(-2, 2), st.floats(-2, 2)),
    st.builds(lambda low, high: {"minLength": low, "maxLength": high}, st.integers(0, 2), st.integers(0, 3)),
    st.builds(lambda low, high: {"minItems": low, "maxItems": high}, st.integers(0, 2), st.integers(0, 3)),
    st.builds(lambda names: {"required": names}, st.lists(st.sampled_from(["a", "b", ""]), unique=True)),
    st.builds(lambda pattern: {"pattern": pattern}, PATTERNS),
)


def compound(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return schemas that hold others."""
    listed = st.lists(inner, min_size=1, max_size=3)
    named = st.dictionaries(st.sampled_from(["a", "b", ""]), inner, max_size=2)
    return st.one_of(
        st.builds(lambda name, value: {name: value}, st.sampled_from(["allOf", "anyOf", "oneOf"]), listed),
        st.builds(lambda value: {"not": value}, inner),
        st.builds(lambda one, two, three: {"if": one, "then": two, "else": three}, inner, inner, inner),
        st.builds(lambda value, more: {"properties": value, "additionalProperties": more}, named, inner),
        st.builds(lambda value: {"items": value}, inner),
        st.builds(
            lambda value, low, high: {"contains": value, "minContains": low, "maxContains": high},
            inner,
            st.integers(0, 2),
            st.integers(0, 2),
        ),
        st.builds(lambda value: {"contentMediaType": "application/json", "contentSchema": value}, inner),
    )


class TestAnything:
    """Whatever the schema and the payload: the same verdict, or none."""

    @pytest.mark.parametrize("pattern", ["a+a*a+", "^a+a?a+$", "b|a{1,2}a*?a+"])
    def test_repetitions_in_a_row(self, pattern: str) -> None:
        """One release reads them wrong: they are left to the other library."""
        assert quick({"pattern": pattern})("a") is None
        assert quick({"pattern": "^-?[0-9]+$"})("-1") is True

    @given(PATTERNS, st.lists(TEXTS, min_size=1, max_size=8))
    @settings(max_examples=500, deadline=None)
    def test_patterns(self, pattern: str, texts: list[str]) -> None:
        """Expressions made of all parts that are taken."""
        schema = {"pattern": pattern}
        verdict = quick(schema)
        assert quick_module._PATTERN.fullmatch(pattern) or verdict(texts[0]) is None
        for text in texts:
            if (told := verdict(text)) is not None:
                assert told is exactly(schema, text), ascii(text)

    @given(
        st.recursive(LEAVES, compound, max_leaves=6),
        st.lists(strategies.documents | SCALARS | TEXTS, min_size=1, max_size=8),
    )
    @settings(max_examples=300, deadline=None)
    def test_schemas(self, schema: Any, values: list[Any]) -> None:
        """Schemas made of all keywords that are taken."""
        if isinstance(schema, bool):
            schema = {"allOf": [schema]}
        verdict = quick(schema)
        for value in values:
            if (told := verdict(value)) is not None:
                assert told is exactly(schema, value), json.dumps(value)


class TestRound:
    """References that lead back to themselves without going deeper: one library fails, the other takes anything."""

    @pytest.mark.parametrize(
        "definitions",
        [
            {"a": {"$ref": "#/$defs/a"}},
            {"a": {"allOf": [{"$ref": "#/$defs/b"}]}, "b": {"not": {"$ref": "#/$defs/a"}}},
            {"a": {"if": True, "then": {"anyOf": [True, {"$ref": "#/$defs/a"}]}}},
        ],
    )
    def test_no_verdict(self, definitions: dict[str, Any]) -> None:
        """That is for the exact validator, which says that it has no end."""
        schema = {"$defs": definitions, "$ref": "#/$defs/a"}
        assert None is quick(schema)(1)
        checker = Checker(schema)
        assert checker.valid(1) is (not checker.problems(1))

    def test_deeper(self) -> None:
        """What goes deeper each time has an end."""
        schema = {
            "$defs": {"a": {"items": {"$ref": "#/$defs/a"}, "allOf": [{"$ref": "#/$defs/b"}]}, "b": {"type": "array"}}
        }
        assert True is quick({**schema, "$ref": "#/$defs/a"})([[], [[]]])
        assert False is quick({**schema, "$ref": "#/$defs/a"})([[], [1]])
