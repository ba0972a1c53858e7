"""Values of a JSON text are replaced where they stand."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from im_callback.provider_mock.recording import json_tokens

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10)


def strings(token: json_tokens.Token) -> Any:
    """Yield every text in a value, in its order."""
    for inner in [*(one for *_, one in token.members or ()), *(token.items or ())]:
        yield from strings(inner)
    if isinstance(token.value, str):
        yield token


@settings(derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(VALUES, st.sampled_from([None, 1]), st.booleans())
def test_read(value: Any, indent: int | None, ascii_only: bool) -> None:
    """What is read is what any reader reads; with nothing replaced the text is itself, and each value stands where it says."""
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    token = json_tokens.read(f" {text}\n")
    assert value == token.value
    assert text == f" {text}\n"[token.begin : token.end]
    assert text == json_tokens.edited(text, [])
    edits = [(one.begin, one.end, json_tokens.written(f"<{one.value}>", one.raw)) for one in strings(token)]
    assert f" {json.dumps(_angled(value))}\n" == f" {json.dumps(json.loads(json_tokens.edited(f' {text} ', edits)))}\n"


def _angled(value: Any) -> Any:
    if isinstance(value, str):
        return f"<{value}>"
    if isinstance(value, list):
        return [_angled(one) for one in value]
    if isinstance(value, dict):
        return {name: _angled(one) for name, one in value.items()}
    return value


def test_doubled_name() -> None:
    """A name that stands twice is read as other readers do, and both values can be replaced."""
    token = json_tokens.read('{"a":1,"a":{"b":[2, 3.0]}}')
    assert {"a": {"b": [2, 3.0]}} == token.value
    assert 2 == len(token.members or ())


@pytest.mark.parametrize(
    ("expected", "value", "old"),
    [
        (r'"\u5f20\/x"', "张/x", r'"\u674e\/"'),
        ('"张/x"', "张/x", '"李"'),
        (r'"\ud800"', "\ud800", '"李"'),
        ("12", 12, ""),
    ],
)
def test_written(expected: str, value: Any, old: str) -> None:
    """What takes a text's place is escaped as that was."""
    assert expected == json_tokens.written(value, old)


@pytest.mark.parametrize("text", ["", "{", "[1,]", "NaN", "{'a':1}", "[" * 9999])
def test_no_json(text: str) -> None:
    """What is no JSON is an error."""
    with pytest.raises(ValueError):
        json_tokens.read(text)


def test_without() -> None:
    """Members can be left out; the others stay as they are written."""
    assert ' {"b" :1.0,"d": "\\u0041"}' == json_tokens.without(' {"a":[1], "b" :1.0, "a":2 , "d": "\\u0041"}', {"a"})
    assert '{ "b":1 }' == json_tokens.without('{ "b":1 }', {"a"})
    assert "[1]" == json_tokens.without("[1]", {"a"})
