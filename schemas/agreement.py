"""
What `im_callback.schemas.quick` counts on: that the installed `jsonschema-rs` reads each keyword as `jsonschema` does.

Releases of it differ, so that each keyword is tried on the values about which libraries differ before it is used. One that
is not tried here, or does not pass, makes a schema a case for `jsonschema`. The verdicts are those of the specification;
the tests hold them against `jsonschema`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["PROBES", "Probe", "reliable"]


@dataclass(frozen=True)
class Probe:
    """A schema that needs some features, and what it takes and does not take."""

    #: What is tried: keywords, and what else stands for one; see `im_callback.schemas.quick`.
    features: frozenset[str]
    #: What the schema uses besides, which has probes of its own.
    others: frozenset[str]
    schema: Any
    valid: tuple[Any, ...]
    invalid: tuple[Any, ...]

    def passes(self, verdict: Callable[[Any], bool | None]) -> bool:
        """Return whether a validator for the schema comes to these verdicts; none is none too many."""
        return all(verdict(value) in (None, True) for value in self.valid) and all(
            verdict(value) in (None, False) for value in self.invalid
        )


def _probe(features: str, schema: Any, valid: list[Any], invalid: list[Any]) -> Probe:
    tried, _, others = features.partition("/")
    return Probe(frozenset(tried.split()), frozenset(others.split()), schema, tuple(valid), tuple(invalid))


_LARGE: Final = [2**53, 2**53 + 1, 2**63, 2**64, -(2**63) - 1, 10**30, 10**400, 1e30, 1e308]
_ODD: Final = [1.5, -0.5, 5e-324]
_OTHERS: Final = [None, True, False, "1", "", [], [1], {}, {"a": 1}]
#: Characters about which readers of expressions differ: ends of lines, blanks, digits, cases, planes, combinations.
_STRANGE: Final = [
    *"\0\t\v\f\x1c\x1d\x1e\x1f \x7f\x80\x85\xa0\xad", *"\u0130\u0131\u017f\u212a\u0661\uff11\u0301\u200b\u200d\ufeff",
    "\uffff", "\U00010000", "\U0010ffff", "👍",
]  # fmt: skip
#: What ends a line in ECMA-262, where `.` stands for any other character.
_ENDS: Final = ["\n", "\r", "\u2028", "\u2029"]


def _around(text: str, odd: list[str]) -> list[str]:
    return [one for each in odd for one in (text + each, each + text)]


def _pattern(pattern: str, valid: list[str], invalid: list[str], features: str = "pattern") -> Probe:
    # What is no text satisfies every pattern.
    return _probe(features, {"pattern": pattern}, [*valid, 1, None, ["!"], {"!": "!"}], invalid)


PROBES: Final = (
    _probe("boolean", True, [1, "", None, [], {}], []),
    _probe("boolean", False, [], [1, "", None, [], {}]),
    _probe("type", {"type": "integer"}, [0, 1, -1, 1.0, 0.0, -0.0, *_LARGE], [*_ODD, *_OTHERS]),
    _probe("type", {"type": "number"}, [0, 1.0, -0.0, *_ODD, *_LARGE], _OTHERS),
    _probe("type", {"type": "string"}, ["", "1", *_STRANGE, *_ENDS], [0, 1.0, None, True, [], {}, ["1"]]),
    _probe("type", {"type": "boolean"}, [True, False], [0, 1, 0.0, 1.0, "", "true", None, [], {}]),
    _probe("type", {"type": "null"}, [None], [0, 0.0, "", "null", False, [], {}]),
    _probe("type", {"type": "array"}, [[], [1]], [0, "", "[]", None, False, {}]),
    _probe("type", {"type": "object"}, [{}, {"a": 1}], [0, "", "{}", None, False, []]),
    _probe("type", {"type": ["array", "null"]}, [[], None], [0, "", False, {}]),
    _probe("type", {"type": ["integer", "string"]}, [1, 1.0, "1", 10**30], [1.5, True, None, []]),
    _probe("const", {"const": 1}, [1, 1.0], [True, "1", 0, 2, 1.5, [1], 10**30]),
    _probe("const", {"const": 1.0}, [1, 1.0], [True, "1", 0]),
    _probe("const", {"const": 0}, [0, 0.0, -0.0], [False, None, "", "0", [], {}, 5e-324]),
    _probe("const", {"const": -0.0}, [0, 0.0, -0.0], [False, None]),
    _probe("const", {"const": True}, [True], [1, 1.0, "true", False, [True]]),
    _probe("const", {"const": False}, [False], [0, 0.0, "", None, []]),
    _probe("const", {"const": None}, [None], [0, False, "", [], {}]),
    _probe("const", {"const": 0.1}, [0.1], [0.1 + 2**-56, 1, 0]),
    _probe("const", {"const": 2**53}, [2**53, float(2**53)], [2**53 - 1, 2**53 + 1, 2**53 + 2, 2**54]),
    _probe("const", {"const": "é"}, ["é"], ["e\u0301", "É", "e", "é "]),
    _probe("const", {"const": "a"}, ["a"], ["A", "a\0", "a\n", "ａ", ["a"]]),
    _probe("const", {"const": [1, {"a": True}]}, [[1, {"a": True}], [1.0, {"a": True}]],
           [[1, {"a": 1}], [True, {"a": True}], [{"a": True}, 1], [1, {"a": True, "b": 1}], [1]]),
    _probe("const", {"const": {"a": 0, "b": []}}, [{"b": [], "a": -0.0}], [{"a": False, "b": []}, {"a": 0}, {}]),
    _probe("enum", {"enum": [0, "1", None]}, [0, -0.0, "1", None], [False, 1, "", "0", [], [0], 10**30]),
    _probe("enum", {"enum": [False, 1]}, [False, 1, 1.0], [0, True, 0.0, "1", "false"]),
    _probe("enum", {"enum": ["a", [1], {"a": 1}]}, ["a", [1.0], {"a": 1.0}], ["A", [True], {"a": True}, 1]),
    _probe("enum", {"enum": []}, [], [0, None, "", []]),
    _probe("minimum maximum", {"minimum": 0, "maximum": 2**32 - 1}, [0, -0.0, 2**32 - 1, float(2**32 - 1), *_OTHERS],
           [-1, -5e-324, 2**32, 2**32 - 0.5, 10**400, -(10**400), 1e308, -1e308]),
    _probe("minimum maximum", {"minimum": -0.5, "maximum": 1.5}, [-0.5, 0, 1, 1.5, *_OTHERS], [-1, 2, 1.5 + 2**-52, 10**30]),
    _probe("maximum", {"maximum": 2**53}, [2**53, float(2**53), -(10**400)], [2**53 + 1, 2**53 + 2.0, 2**63, 10**30]),
    _probe("minimum", {"minimum": -(2**53)}, [-(2**53), 10**400], [-(2**53) - 1, -(2**63) - 1, -(10**30)]),
    # A character is a code point, in whatever plane, and as it stands.
    _probe("minLength maxLength", {"minLength": 1, "maxLength": 2}, ["a", "👍👍", "e\u0301", "\0\0", 1, None, [], {}],
           ["", "aaa", "👍👍👍", "e\u0301a", "\0\0\0", "\r\n\n"]),
    _probe("minLength maxLength", {"minLength": 2, "maxLength": 3}, ["👍👍", "éé", "\u200d\u200d"], ["👍", "é", "👍" * 4]),
    _probe("minLength maxLength", {"minLength": 0, "maxLength": 0}, ["", 1], ["a", "\0"]),
    _probe("minItems maxItems", {"minItems": 1, "maxItems": 2}, [[1], [1, 1], [None], "", "aaa", {}, 1],
           [[], [1, 2, 3], [None] * 3]),
    _probe("required", {"required": ["a", ""]}, [{"a": None, "": 1}, [], "a", 1], [{}, {"a": 1}, {"": 1}, {"A": 1, "": 1}]),
    _probe("properties / type", {"properties": {"a": {"type": "number"}, "é": {"type": "null"}}},
           [{}, {"a": 1}, {"A": "x"}, {"e\u0301": 1}, [], "a"], [{"a": "1"}, {"a": None}, {"é": 1}]),
    _probe("properties / boolean", {"properties": {"a": False}}, [{}, {"b": 1}, []], [{"a": None}, {"a": 1}]),
    _probe("additionalProperties / properties type", {"properties": {"a": {}}, "additionalProperties": {"type": "string"}},
           [{}, {"a": 1}, {"a": 1, "b": "x"}, [1]], [{"b": 1}, {"A": 1}, {"a ": 1}]),
    _probe("additionalProperties / boolean", {"additionalProperties": False}, [{}, [], 1], [{"a": 1}, {"": 1}]),
    _probe("items / type", {"items": {"type": "integer"}}, [[], [1, 2.0], "x", {"0": "x"}], [["x"], [1, "x"], [True]]),
    _probe("items / boolean", {"items": False}, [[], 1], [[1], [None]]),
    _probe("contains / const", {"contains": {"const": 1}}, [[1], [0, 1.0], 1, {}], [[], [True], [[1]]]),
    _probe("minContains maxContains / contains const", {"contains": {"const": 1}, "minContains": 0, "maxContains": 1},
           [[], [1], [2, 1], [True, 1]], [[1, 1], [1, 1.0]]),
    _probe("minContains / contains boolean", {"contains": True, "minContains": 2}, [[1, 1], "x"], [[], [1]]),
    _probe("minContains maxContains", {"minContains": 2, "maxContains": 0}, [[], [1], [1, 1, 1]], []),
    _probe("allOf / type minimum", {"allOf": [{"type": "integer"}, {"minimum": 1}]}, [1, 2.0], [0, "x", 1.5]),
    _probe("anyOf / type minimum", {"anyOf": [{"type": "integer"}, {"minimum": 1}]}, [0, 1.5, "x"], [0.5]),
    _probe("oneOf / type minimum", {"oneOf": [{"type": "integer"}, {"minimum": 1}]}, [0, 1.5, "x"], [1, 1.0, 0.5]),
    _probe("not / const", {"not": {"const": 1}}, [0, True, "1", None], [1, 1.0]),
    _probe("if then else / type minimum", {"if": {"type": "integer"}, "then": {"minimum": 1}, "else": {"type": "string"}},
           [1, 1.0, "x"], [0, 0.0, 1.5, True, None]),
    _probe("if then / type boolean", {"if": {"type": "integer"}, "then": False}, ["x", True], [1, 1.0]),
    _probe("if else / type boolean", {"if": {"type": "integer"}, "else": False}, [1], ["x", True]),
    _probe("then else / boolean", {"then": False, "else": False}, [1, "x"], []),
    _probe("$ref $defs / items type", {"$defs": {"a": {"type": ["array", "null"], "items": {"$ref": "#/$defs/a"}}},
           "$ref": "#/$defs/a"}, [None, [], [None, [[]]]], [1, [1], [[[False]]]]),
    _probe("$ref $defs / type minimum", {"$defs": {"a": {"type": "integer"}}, "$ref": "#/$defs/a", "minimum": 1}, [1], [0, "x"]),
    _probe("contentSchema contentMediaType / type", {"contentMediaType": "application/json", "contentSchema": {"type": "integer"}},
           ["1", " 1.0\n", "-0", 1, None, [], {}], ["", "x", "1.5", "01", "1 1", '"1"', "true", "NaN", "null", "１", "\ufeff1"]),
    _probe("contentSchema contentMediaType / boolean", {"contentMediaType": "application/json", "contentSchema": True},
           ["1", "[]", '{"a":1,"a":2}', 1], ["", "x", "NaN", "[1,]", "{'a':1}", "1e999"]),
    _probe("contentMediaType", {"contentMediaType": "application/json"}, ["x", "", "1", 1], []),
    _probe("contentSchema contentMediaType / boolean", {"contentMediaType": "text/plain", "contentSchema": False}, ["x", "1"], []),
    _probe("contentSchema / boolean", {"contentSchema": False}, ["x", "1", 1], []),
    # The end of the text is the end, not the line break before it.
    _pattern("^a$", ["a"], ["", "A", "aa", "ａ", *_around("a", _ENDS), *_around("a", _STRANGE)]),
    _pattern("^$", [""], [*_ENDS, *_STRANGE]),
    _pattern("a|^$", ["a", "xax", "\na\n", ""], ["\n", "b", "\r\n", "A"]),
    _pattern("^(a|b)$|c", ["a", "b", "xc", "ac\n"], ["ab", "a\n", "\na", "x\na\nx"]),
    _pattern("^(?:a|b)+$", ["a", "abab"], ["", "abc", "ab\n", "a\nb"]),
    _pattern("(^a|b$)", ["ax", "xb"], ["xa", "bx", "x\na", "b\nx", "b\n"]),
    _pattern("", ["", "x", *_ENDS], []),
    _pattern("()", ["", "x"], []),
    _pattern("^(|a)$", ["", "a"], ["aa", "\n", "a\n"]),
    _pattern("a$b", [], ["ab", "a\nb", "a$b"]),
    _pattern("a^b", [], ["ab", "a\nb", "a^b"]),
    _pattern("^a*$", ["", "aaa"], ["b", "ab", "a\n"]),
    _pattern("^a?b+$", ["b", "abb"], ["a", "aab", ""]),
    _pattern("^a{2}$", ["aa"], ["a", "aaa", "a{2}"]),
    _pattern("^a{2,}$", ["aa", "aaaa"], ["a", "aab"]),
    _pattern("^a{1,2}$", ["a", "aa"], ["", "aaa"]),
    _pattern("^a{0}$", [""], ["a", "\n"]),
    _pattern("^a*?b+?$", ["b", "aabb"], ["", "aa", "ba"]),
    _pattern("^c??d{1,2}?$", ["d", "cdd"], ["c", "cc", "ddd"]),
    _pattern("^(a{1,2}){2}$", ["aa", "aaa", "aaaa"], ["a", "aaaaa"]),
    _pattern("^[0-9]+$", ["0", "0123456789"], ["", "0\n", "１", "\u0661", "०", "a", "/", ":"]),
    _pattern("^[A-Za-z0-9]$", ["a", "Z", "5"], ["_", "[", "`", "@", "{", "\u212a", "\u017f", "\u0130", "\u0131", "é", "ａ", *_ENDS]),
    _pattern("^[^A-Za-z0-9]$", [*_ENDS, *_STRANGE, "_", "é"], ["a", "Z", "5", "", "__", "👍👍"]),
    _pattern("^[+=/:,;.@%$ -]$", list("+=/:,;.@%$ -"), ["a", "\t", "\xa0", "\\", "^", "", "|", "*", "–"]),
    _pattern("^[^,-]{2}$", ["ab", "👍👍", "\n\n", ".."], ["a,", "a-", "👍", "a", "abc"]),
    _pattern("^[^.]$", ["a", *_ENDS], [".", ""]),
    _pattern("^[a-c_x-]$", list("abc_x-"), ["d", "w", "y", "A"]),
    _pattern(r"^\^\$\.\|\?\*\+\(\)\[\]\{\}\/\\$", ["^$.|?*+()[]{}/\\"], ["", r"\^$.|?*+()[]{}/", "a"]),
    _pattern(r"^a\-b-c$", ["a-b-c"], [r"a\-b-c", "abc"]),
    _pattern(r"^[a]\[$", ["a["], ["a", "["]),
    _pattern("a b#c", ["a b#c"], ["abc", "a b", "ab#c"]),
    _pattern("^\n\t$", ["\n\t"], ["nt", "\n\t\n"]),
    _pattern("^é+👍+$", ["é👍", "éé👍👍"], ["e\u0301👍", "É👍", "é"]),
    _pattern("^<>&&~~--'\"`!%:;,=@_$", ["<>&&~~--'\"`!%:;,=@_"], ["<>&~-'\"`!%:;,=@_", "<"]),
    _pattern("^.$", ["a", "\0", *_STRANGE], ["", *_ENDS, "aa", "👍👍", "a\n"], ". / pattern"),
    _pattern("^.{2,3}?$", ["ab", "👍👍", "e\u0301a"], ["a", "👍", "a\u2028", "\u2029a", "\r\n", "abcd"], ". / pattern"),
    _pattern("^a.*b$", ["ab", "axb", "a\x85b", "a\x0bb"], ["a\nb", "a\rb", "a\u2028b", "a\u2029b", "ab\n"], ". / pattern"),
)  # fmt: skip


def reliable(verdict_by: Callable[[Mapping[str, Any] | bool], Callable[[Any], bool | None]]) -> frozenset[str]:
    """Return the features of which no probe fails, for what makes a validator of a schema."""
    tried: set[str] = set()
    failed: set[str] = set()
    for probe in PROBES:
        tried |= probe.features
        try:
            passed = probe.passes(verdict_by(probe.schema))
        except Exception:  # noqa: BLE001 - whatever a release does instead, it is not what is counted on
            passed = False
        if not passed:
            failed |= probe.features
    return frozenset(tried - failed)
