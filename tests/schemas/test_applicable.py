"""What a schema says about a value of one payload, as opposed to what it could say about others."""

from __future__ import annotations

from typing import Any

import pytest
from im_callback.schemas import MISSING, catalogue
from im_callback.schemas.applicable import accepts, applying, children, embeds, follow, speaking

ROOM = catalogue("commsease")["commsease.chatroom-message"]
TEXT_OF = {"type": "string", "contentMediaType": "application/json"}
ROOT: dict[str, Any] = {
    "$defs": {"n": {"type": "integer", "title": "n"}},
    "title": "root",
    "properties": {"kind": {}, "value": {"title": "general"}},
    "allOf": [
        {
            "if": {"required": ["kind"], "properties": {"kind": {"const": "n"}}},
            "then": {"properties": {"value": {"$ref": "#/$defs/n"}}},
            "else": {"properties": {"value": {"title": "other"}}},
        }
    ],
    "anyOf": [{"type": "object", "required": ["x"], "title": "with x"}, {"$ref": "#/$defs/n"}],
}


def titles(schemas: Any) -> list[str]:
    """Return what the schemas call themselves."""
    return [schema["title"] for schema in schemas if "title" in schema]


class TestSpeaking:
    """Tests for `speaking`."""

    @pytest.mark.parametrize(
        ("expected", "payload"),
        [
            (["general", "n"], {"kind": "n", "value": 1}),
            (["general", "other"], {"kind": "m"}),
            (["general", "other"], {}),
        ],
    )
    def test_branches(self, expected: list[str], payload: Any) -> None:
        """Only the branches that apply, the general ones first; the value need not be there."""
        assert expected == titles(speaking(ROOT, payload, "/value"))

    @pytest.mark.parametrize(("expected", "message"), [(["md5"], "PICTURE"), ([], "CUSTOM"), ([], "TEXT")])
    def test_embedded(self, expected: list[str], message: str) -> None:
        """Text is entered where this payload's schema calls it JSON, not because it looks like JSON."""
        payload = {**ROOM.examples[3], "msgType": message}
        found = speaking(ROOM.schema, payload, "/attach/md5")
        assert expected == [schema["x-kind"] for schema in found if "x-kind" in schema]

    @pytest.mark.parametrize("text", ["{", "[]", "1", ""])
    def test_broken_text(self, text: str) -> None:
        """Text that is no JSON, or none with members, has nothing said about its members."""
        payload = {**ROOM.examples[3], "attach": text}
        assert [] == [one for one in speaking(ROOM.schema, payload, "/attach/nothing") if one]

    def test_nothing(self) -> None:
        """A field that the schema does not know has nothing said about it."""
        assert [] == speaking(ROOT, {}, "/unknown/deeper")


class TestApplying:
    """Tests for `applying`."""

    def test_choices(self) -> None:
        """Of several shapes, those that the value has."""
        assert ["root", "with x"] == titles(applying(ROOT, ROOT, {"x": 1}))
        assert ["root", "n"] == titles(applying(ROOT, ROOT, 1))

    def test_absent(self) -> None:
        """Of what is not there neither conditions nor choices are entered."""
        assert ["root"] == titles(applying(ROOT, ROOT, MISSING))

    def test_no_object(self) -> None:
        """True and false say nothing of their own."""
        assert [] == list(applying(ROOT, True, 1))


class TestChildren:
    """Tests for `children`."""

    @pytest.mark.parametrize(
        ("expected", "schema", "token"),
        [
            (["a"], {"properties": {"a": {"title": "a"}}, "additionalProperties": {"title": "other"}}, "a"),
            (["other"], {"properties": {"a": {"title": "a"}}, "additionalProperties": {"title": "other"}}, "b"),
            (["other"], {"additionalProperties": {"title": "other"}}, "0"),
            (["item"], {"items": {"title": "item"}}, "0"),
            ([], {"items": {"title": "item"}}, "a"),
            (["n"], {"items": {"$ref": "#/$defs/n"}}, "0"),
        ],
    )
    def test_children(self, expected: list[str], schema: Any, token: str) -> None:
        """Members by name, elements by number."""
        assert expected == titles(children(ROOT, [schema], token, MISSING))


class TestAccepts:
    """Tests for `accepts`."""

    def test_reference(self) -> None:
        """A part may refer to the definitions of the whole."""
        part = {"properties": {"a": {"$ref": "#/$defs/n"}}}
        assert [True, False, True] == [accepts(ROOT, part, value) for value in ({"a": 1}, {"a": "1"}, {})]

    def test_follow(self) -> None:
        """A reference is followed; what is none is itself."""
        part = {"title": "a"}
        assert ROOT["$defs"]["n"] == follow(ROOT, {"$ref": "#/$defs/n"})
        assert part is follow(ROOT, part)


class TestEmbeds:
    """Tests for `embeds`."""

    @pytest.mark.parametrize(
        ("expected", "schema"),
        [
            (True, {**TEXT_OF, "contentSchema": {}}),
            (False, {**TEXT_OF, "contentSchema": True}),
            (False, {**TEXT_OF}),
            (False, {"contentMediaType": "text/html", "contentSchema": {}}),
        ],
    )
    def test_embeds(self, expected: bool, schema: Any) -> None:
        """Described JSON in a text."""
        assert expected is embeds(schema)
