"""Maps: functions for what stores keep as text, and a file with one for each event type."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from im_callback.conformance.effects import BadEffects, compiled
from im_callback.conformance.judge import Matcher
from im_callback.conformance.records import ByType
from im_callback.provider_mock import providers
from im_callback.provider_mock.contract import Event

TYPES = ("commsease.login", "commsease.logout", "commsease.sms-receipt")
LINES = """
# What happened stands in a column.
commsease.login: kind == 'in' && {accid: who,
  timestamp: at}
commsease.logout: kind == 'out' && {accid: who, timestamp: at}
*: {accid: name}
"""


class TestFunctions:
    """Tests for `json` and `split`."""

    @pytest.mark.parametrize(
        ("expected", "expression", "record"),
        [
            ({"a": 1}, "json(body)", {"body": '{"a":1}'}),
            ({"a": 1}, "json(body)", {"body": {"a": 1}}),
            ({"a": 2}, "{a: json(body).b[1]}", {"body": '{"b":[1,2]}'}),
            ({"a": 1}, "json(json(@))", '"{\\"a\\":1}"'),
            ({"body": "{"}, "json(body)", {"body": "{"}),
            ({"x": 1}, "json(body)", {"x": 1}),
            ({"a": "x", "b": "z"}, "split(@, ':').{a: [0], b: [2]}", "x:y:z"),
            ({"a": "x", "b": None}, "{a: split(k, '|')[0], b: split(n, '|')}", {"k": "x|y", "n": 3}),
            ({"k": ""}, "split(k, '')", {"k": ""}),
            ({"a": 7}, "", {"body": '{"a":7}'}),
            ({"a": "7"}, "", {"a": "7"}),
            ({"body": '{"a":7}', "n": 1}, "", {"body": '{"a":7}', "n": 1}),
        ],
    )
    def test_made(self, expected: Any, expression: str, record: Any) -> None:
        """JSON in a text, parts of a text; without a map, the object in the only field."""
        made = compiled(expression)(record)
        assert expected == ({"a": made[0], "b": made[2]} if isinstance(made, list) else made)

    @pytest.mark.parametrize("expression", ["jsn(body)", "{a: json(b), c: splitt(d, ':')}", "a[?f(@)]"])
    def test_unknown(self, expression: str) -> None:
        """A function that is not there is a bad option."""
        with pytest.raises(
            BadEffects, match=r"there is no function .*; (did you mean '(json|split)'\?|choose one of: )"
        ):
            compiled(expression)


class TestFile:
    """Tests for a file of maps."""

    @pytest.mark.parametrize("spec", ["@maps", "file:maps"])
    @pytest.mark.parametrize("form", ["lines", "json"])
    def test_by_type(self, spec: str, form: str, tmp_path: Path) -> None:
        """Each map says whether a record is of its type; the last is for those of which none makes anything."""
        maps = {
            "commsease.login": "kind == 'in' && {accid: who, timestamp: at}",
            "commsease.logout": "kind == 'out' && {accid: who, timestamp: at}",
            "*": "{accid: name}",
        }
        (tmp_path / "maps").write_text(LINES if form == "lines" else json.dumps(maps), encoding="utf-8")
        rename = compiled(spec, tmp_path, TYPES)
        made = {"accid": "ann", "timestamp": 1}
        assert ByType((("commsease.login", made),)) == rename({"kind": "in", "who": "ann", "at": 1})
        assert ByType((("commsease.logout", made),)) == rename({"kind": "out", "who": "ann", "at": 1})
        assert {"accid": "bob"} == rename({"name": "bob"})
        assert {"x": 1} == rename({"x": 1})
        assert rename(None) is None

    def test_one_for_all(self, tmp_path: Path) -> None:
        """A file without event types is one expression; @ alone, or at the beginning of one, is the record."""
        (tmp_path / "map").write_text("{\n  accid: who\n}\n", encoding="utf-8")
        assert {"accid": "ann"} == compiled("@map", tmp_path)({"who": "ann"})
        assert {"who": "ann"} == compiled("@", tmp_path)({"who": "ann"})
        assert {"a": 1} == compiled("@.who", tmp_path)({"who": {"a": 1}})

    @pytest.mark.parametrize(
        ("expected", "text"),
        [
            ("there is no event type 'commsease.nosuch'", "commsease.nosuch: a"),
            ("commsease.login is not JMESPath", "commsease.login: {a"),
            ("commsease.login stands there twice", "commsease.login: a\ncommsease.login: b"),
            ("'what' begins with no event type", "commsease.login: a\nwhat"),
            ("it holds no map", "# nothing\n"),
            ("it is not UTF-8", b"\xff\xfe\xff"),
        ],
    )
    def test_bad(self, expected: str, text: str | bytes, tmp_path: Path) -> None:
        """What cannot be used is named, with what to write."""
        (tmp_path / "maps").write_bytes(text if isinstance(text, bytes) else text.encode())
        with pytest.raises(BadEffects, match=expected):
            compiled("@maps", tmp_path, TYPES)
        with pytest.raises(BadEffects, match="cannot be read"):
            compiled("@nowhere", tmp_path, TYPES)


class TestMatched:
    """A record is matched as what its map says that it is."""

    def test_type(self) -> None:
        """The same fields are a login by one map and a logout by another; of both, it is the one that was sent."""
        catalogue = providers.load("commsease").catalogue
        payload = dict(catalogue["commsease.login"].examples[0])
        matcher = Matcher(catalogue)
        matcher.add([Event("commsease.login", payload)])
        matcher.add([Event("commsease.logout", {**catalogue["commsease.logout"].examples[0], "accid": "other"})])
        pointers = catalogue["commsease.login"].identity or ()
        fields = {pointer[1:]: payload[pointer[1:]] for pointer in pointers}
        as_login, as_logout = ("commsease.login", fields), ("commsease.logout", fields)
        assert ["commsease.login"] == [one.type for one in matcher.match([ByType((as_login,))]).order]
        assert [fields] == list(matcher.match([ByType((as_logout,))]).unmatched)
        both = matcher.match([ByType((as_logout, as_login)), ByType((as_login, as_logout))])
        assert ["commsease.login"] * 2 == [one.type for one in both.order]
        assert (fields, fields) == both.records
