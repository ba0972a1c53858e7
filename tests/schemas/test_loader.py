"""Loading: our folders, other people's folders, and what is said when one is broken."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from im_callback import schemas
from im_callback.schemas import (
    BadSchema,
    EventType,
    Problem,
    UnknownEventType,
    UnknownProvider,
    catalogue,
    load,
    occurrences,
)

REMOVES = [{"when": {"required": ["gone"]}, "scope": ["/id"]}]
ORDER = {"group": "acme.thing", "scope": ["/id"], "by": ["/n"], "rule": "latest", "removes": REMOVES}
THING: dict[str, Any] = {
    "$schema": schemas.DIALECT,
    "$id": "https://acme.example/thing",
    "title": "Thing",
    "description": "A thing.",
    "x-event-type": "acme.thing",
    "x-code": "7",
    "x-status": "documented",
    "x-source": [{"document": "Acme", "section": "1"}],
    "x-detect": {"required": ["thing"]},
    "x-items": "/list",
    "x-identity": ["/id"],
    "x-order": ORDER,
    "type": "object",
    "properties": {},
}


def write(folder: Path, name: str, **changes: Any) -> Path:
    """Write the schema of a thing, with changes, and return the folder."""
    (folder / f"{name}.schema.json").write_text(json.dumps({**THING, **changes}), encoding="utf-8")
    return folder


class TestCatalogue:
    """Tests for `catalogue` and `Catalogue`."""

    def test_cached(self) -> None:
        """The same catalogue is returned each time."""
        assert catalogue("tencent") is catalogue("tencent")

    def test_code_order(self) -> None:
        """Event types come by feed, in the order of the provider's codes, as numbers."""
        codes = [(str(one.feed), int(one.code)) for one in catalogue("commsease") if one.code.isdecimal()]
        assert sorted(codes) == codes

    def test_by_name(self) -> None:
        """An event type is found by its name."""
        assert "2" == catalogue("commsease")["commsease.login"].code
        assert "commsease.login" in catalogue("commsease")
        assert None is catalogue("commsease").get("commsease.nothing")
        assert "commsease.conversation" == catalogue("commsease").names[0]

    def test_unknown_name(self) -> None:
        """An unknown name is an error that says who lists the known ones."""
        with pytest.raises(UnknownEventType, match="no event type is called 'x'; provider-mock events lists them"):
            catalogue("rongcloud")["x"]

    def test_unknown_provider(self) -> None:
        """An unknown provider is an error that lists the known ones and the way to bring one's own."""
        with pytest.raises(UnknownProvider, match=r"choose one of: commsease, rongcloud, tencent \(load your own"):
            catalogue("acme")

    @pytest.mark.parametrize(
        "payload", [{}, [], None, "2", 2, {"eventType": 84}, {"eventType": True}, {"eventType": []}]
    )
    def test_identify_nothing(self, payload: Any) -> None:
        """What no event type claims is None."""
        assert None is catalogue("commsease").identify(payload)

    def test_identify_broken(self) -> None:
        """A broken payload is still recognised."""
        login = catalogue("commsease").identify({"eventType": "2"})
        assert login is not None
        assert "commsease.login" == login.name
        assert login.problems({"eventType": "2"})

    @pytest.mark.parametrize(
        ("expected", "payload"),
        [
            ("commsease.line-call-ended", {"type": "CALL"}),
            ("commsease.line-call-ended", {"type": "CALL", "eventType": "10"}),
            ("commsease.signal", {"type": "CALL", "eventType": "31"}),
        ],
    )
    def test_identify_call(self, expected: str, payload: Any) -> None:
        """The mark CALL counts unless eventType says otherwise."""
        found = catalogue("commsease").identify(payload)
        assert found is not None
        assert expected == found.name

    @pytest.mark.parametrize(
        ("expected", "payload"),
        [
            (["commsease.conversation"], {"eventType": "1"}),
            ([], {"eventType": True}),
            (["commsease.rtc-room-started"], {"eventType": 1.0, "data": {}}),
            (["commsease.message-update"], {"eventType": 89}),
        ],
    )
    def test_claimants(self, expected: list[str], payload: Any) -> None:
        """What a payload is found as by its marks is what every event type says of it, number or text."""
        types = catalogue("commsease")
        found = types.identify(payload)
        assert expected == [one.name for one in types if one.detects(payload)] == ([found.name] if found else [])


class TestLoad:
    """Tests for `load`."""

    def test_own_folder(self, tmp_path: Path) -> None:
        """Anybody's folder becomes a catalogue; what is not an event type is passed over."""
        write(tmp_path, "thing")
        (tmp_path / "answer.schema.json").write_text("{}")
        (tmp_path / "notes.txt").write_text("no schema")
        (thing,) = load(tmp_path)
        assert ("acme", "acme.thing", "7", "Thing") == (thing.provider, thing.name, thing.code, thing.title)
        assert ("/id",) == thing.identity
        assert "/list" == thing.items
        assert (
            schemas.Order(
                "acme.thing", ("/id",), ("/n",), "latest", (schemas.Removal({"required": ["gone"]}, ("/id",)),)
            )
            == thing.order
        )

    def test_null(self, tmp_path: Path) -> None:
        """A null identity and a null order stay None; nothing is removed."""
        (thing,) = load(write(tmp_path, "thing", **{"x-identity": None, "x-order": None, "$comment": "why"}))
        assert (None, None) == (thing.identity, thing.order)
        assert not thing.removes({})

    def test_codes_as_text(self, tmp_path: Path) -> None:
        """Codes that are not numbers sort as text, after those that are not there."""
        write(tmp_path, "b", **{"x-event-type": "acme.b", "x-code": "B"})
        write(tmp_path, "a", **{"x-event-type": "acme.a", "x-code": "C"})
        assert ["B", "C"] == [one.code for one in load(tmp_path)]

    def test_broken_dialect(self, tmp_path: Path) -> None:
        """A file that breaks the dialect is named, with the place; unchecked, it loads."""
        write(tmp_path, "thing", properties={"a": {"x-kind": "banana"}})
        with pytest.raises(BadSchema, match=r"thing\.schema\.json: it breaks the dialect at /properties/a/x-kind"):
            load(tmp_path)
        assert 1 == len(load(tmp_path, check=False))

    def test_lacks_keyword(self, tmp_path: Path) -> None:
        """Without the check, a missing keyword is still an error of ours."""
        (tmp_path / "thing.schema.json").write_text('{"x-event-type": "acme.thing"}')
        with pytest.raises(BadSchema, match="it lacks 'x-identity'"):
            load(tmp_path, check=False)

    def test_not_json(self, tmp_path: Path) -> None:
        """A file that is not JSON is named."""
        (tmp_path / "thing.schema.json").write_text("{")
        with pytest.raises(BadSchema, match=r"thing\.schema\.json: it is not JSON"):
            load(tmp_path)

    def test_empty(self, tmp_path: Path) -> None:
        """A folder without event types is an error."""
        with pytest.raises(BadSchema, match="holds no"):
            load(tmp_path)

    def test_twice(self, tmp_path: Path) -> None:
        """One name in two files is an error."""
        write(tmp_path, "a")
        with pytest.raises(BadSchema, match=r"acme\.thing is there twice"):
            load(write(tmp_path, "b"))

    def test_two_providers(self, tmp_path: Path) -> None:
        """Two providers in one folder are an error."""
        write(tmp_path, "a")
        with pytest.raises(BadSchema, match="it mixes acme and other"):
            load(write(tmp_path, "b", **{"x-event-type": "other.thing"}))

    def test_import_is_light(self) -> None:
        """Importing the package imports neither jsonschema nor jsonschema-rs."""
        code = "import sys, im_callback.schemas; sys.exit(bool({'jsonschema', 'jsonschema_rs'} & set(sys.modules)))"
        assert 0 == subprocess.run([sys.executable, "-c", code], check=False).returncode


class TestEventType:
    """Tests for `EventType`."""

    def problem(self, payload: dict[str, Any], **schema: Any) -> Problem:
        """Return the only problem of a payload."""
        (found,) = EventType.from_schema({**THING, **schema}).problems(payload)
        return found

    def test_names_the_value(self) -> None:
        """A problem says where, what is there and what is due."""
        assert "/a: is 1; due is string" == str(self.problem({"a": 1}, properties={"a": {"type": "string"}}))

    def test_missing_field(self) -> None:
        """A missing field is reported at its own place."""
        assert Problem("/a~1b", "is missing; it is required") == self.problem({}, required=["a/b"])

    def test_shortens(self) -> None:
        """A long value is cut."""
        message = self.problem({"a": "x" * 500}, properties={"a": {"maxLength": 3}}).message
        assert f'is "{"x" * 58}…; due is at most 3 characters' == message

    def test_inside_embedded(self) -> None:
        """The pointer passes through embedded JSON."""
        inner = {"type": "string", "contentMediaType": "application/json", "contentSchema": {"items": {"type": "null"}}}
        assert Problem("/a/1", "is 2; due is null") == self.problem({"a": "[null,2]"}, properties={"a": inner})

    @pytest.mark.parametrize("text", ["{", "", "NaN", "[Infinity]", "1e999"])
    def test_broken_embedded(self, text: str) -> None:
        """Embedded text that is not JSON is a problem of the field."""
        inner = {"contentMediaType": "application/json", "contentSchema": True}
        problem = self.problem({"a": text}, properties={"a": inner})
        assert "/a" == problem.pointer
        assert "due is JSON text" in problem.message

    def test_other_media_type(self) -> None:
        """Only application/json is opened."""
        inner = {"contentMediaType": "text/html", "contentSchema": False}
        assert [] == EventType.from_schema({**THING, "properties": {"a": inner}}).problems({"a": "{"})

    def test_choice(self) -> None:
        """Where several shapes are possible, the closest one is named."""
        shapes = [{"required": ["b", "c"]}, {"required": ["d"]}]
        assert "closest: /d is missing" in self.problem({"a": {}}, properties={"a": {"anyOf": shapes}}).message

    def test_boolean_is_no_integer(self) -> None:
        """True is not 1."""
        assert "is true; due is integer" == self.problem({"a": True}, properties={"a": {"type": "integer"}}).message

    def test_valid(self) -> None:
        """A payload is valid that has no problems."""
        thing = EventType.from_schema({**THING, "required": ["a"]})
        assert thing.valid({"a": 1})
        assert not thing.valid({})

    def test_no_json(self) -> None:
        """What JSON cannot hold is a problem, also in a field that nobody documents."""
        assert Problem("/b", "is nan, which is no number in JSON") == self.problem({"b": float("nan")})

    def test_line_break_at_the_end(self) -> None:
        """Digits with a line break after them are no digits."""
        problem = self.problem({"a": "1\n"}, properties={"a": {"pattern": "^[0-9]+$"}})
        assert Problem("/a", 'is "1\\n"; due is text that matches ^[0-9]+$') == problem

    def test_removes(self) -> None:
        """A payload that satisfies `removes` takes the state away."""
        thing = EventType.from_schema(THING)
        assert thing.removes({"gone": 1})
        assert not thing.removes({})

    @pytest.mark.parametrize(("expected", "operation"), [(False, 1), (True, 2), (True, 3)])
    def test_removes_attribute(self, expected: bool, operation: int) -> None:
        """RongCloud's operations 2 and 3 delete."""
        assert expected is catalogue("rongcloud")["rongcloud.chatroom-kv"].removes({"optType": operation})


class TestOccurrences:
    """Tests for `occurrences`."""

    def test_itself(self) -> None:
        """Without x-items, the payload is the thing that happened."""
        payload = {"eventType": "2"}
        assert [payload] == occurrences(catalogue("commsease")["commsease.login"], payload)

    @pytest.mark.parametrize("elements", [[{"a": 1}, {"a": 2}], '[{"a":1},{"a":2}]'])
    def test_list(self, elements: Any) -> None:
        """The elements are returned, whether sent as an array or as text."""
        assert [{"a": 1}, {"a": 2}] == occurrences(EventType.from_schema(THING), {"list": elements})

    @pytest.mark.parametrize("payload", [{}, {"list": "{"}, {"list": "{}"}, {"list": 1}, []])
    def test_unreadable(self, payload: Any) -> None:
        """A missing or unreadable list has no elements."""
        assert [] == occurrences(EventType.from_schema(THING), payload)
