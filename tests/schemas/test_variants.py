"""Variants: what the schemas list at the fields that receivers branch on, and what a payload is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from im_callback.schemas import MISSING, BadSchema, EventType, catalogue, load, resolve
from im_callback.schemas.variants import as_text, placed

from tests.cases import in_each
from tests.schemas.payloads import DOCUMENTED, EVENT_TYPES, valid_payloads
from tests.schemas.test_loader import THING, write

BY_NAME = {one.name: one for one in EVENT_TYPES}
CONVERSATION = BY_NAME["commsease.conversation"]
HAS = {"type": "object", "required": ["kind"], "properties": {"kind": {"const": "b"}}}
TWO_FIELDS: dict[str, Any] = {
    **THING,
    "x-variants": ["/kind", "/part"],
    "properties": {"kind": {"enum": ["a", "b"]}, "part": {"enum": [1, 2, 3]}},
    "if": HAS,
    "then": {"properties": {"part": {"enum": [3, 4]}}},
    "else": {"properties": {"part": {"not": {"const": 9}}}},
}


class TestVariants:
    """Tests for `EventType.variants`."""

    @pytest.mark.parametrize(
        ("count", "name"),
        [
            (56, "commsease.conversation"),
            (11, "commsease.chatroom-message"),
            (3, "commsease.call-duration"),
            (3, "commsease.call-duration-2"),
            (4, "commsease.call-file"),
            (3, "commsease.chatroom-in-out"),
            (9, "commsease.chatroom-queue"),
            (15, "commsease.antispam"),
            (9, "commsease.signal"),
            (1, "commsease.upload-task"),
            (3, "rongcloud.chatroom-kv"),
            (9, "tencent.c2c-after-send"),
            (0, "commsease.login"),
            (0, "commsease.call-ended-2"),
        ],
    )
    def test_count(self, count: int, name: str) -> None:
        """Every documented combination, and none twice."""
        variants = BY_NAME[name].variants
        assert count == len(variants) == len(set(variants))
        assert bool(count) is bool(BY_NAME[name].variant_pointers)

    def test_go_together(self) -> None:
        """Each kind of conversation has its own kinds of messages, in the order of the schema."""
        variants = CONVERSATION.variants
        assert ("PERSON/TEXT", "PERSON/PICTURE") == variants[:2]
        assert {"TEAM/TEXT", "SUPER_TEAM/NOTIFICATION", "CUSTOM_PERSON/FRIEND_ADD"} <= set(variants)
        assert not {"PERSON/FRIEND_ADD", "CUSTOM_TEAM/TEXT", "CUSTOM_PERSON/TEAM_APPLY"} & set(variants)

    def test_conditions(self) -> None:
        """What one field allows at another follows the schema's conditions."""
        assert ("a/1", "a/2", "a/3", "b/3") == EventType.from_schema(TWO_FIELDS).variants

    def test_misprints(self) -> None:
        """Values that are only admitted because a page misprints them are no variants."""
        antispam = BY_NAME["commsease.antispam"]
        assert "P2P_MSG_AUDIO" in antispam.variants
        assert "peer-to-peer_MSG_AUDIO" not in antispam.variants

    @in_each("event_type", DOCUMENTED, ids=lambda one: one.name)
    def test_samples(self, event_type: EventType) -> None:
        """Every documented sample is one of them, or several where it holds elements of several kinds."""
        for sample in event_type.examples:
            kinds = event_type.variant_of(sample).split("+")
            assert set(kinds) <= set(event_type.variants or [""])

    @in_each("event_type", [one for one in EVENT_TYPES if one.variants], ids=lambda one: one.name)
    def test_values(self, event_type: EventType) -> None:
        """The values of a variant, put into a payload whose lists hold no other, make that variant."""
        inner = [pointer for pointer in event_type.variant_pointers if "/0/" in pointer]
        whole = next(
            one
            for one in valid_payloads(event_type)
            if all(resolve(one, p) is not MISSING is resolve(one, p.replace("/0/", "/1/")) for p in inner)
        )
        for variant in event_type.variants:
            payload: Any = whole
            for pointer, value in event_type.variant_values(variant).items():
                payload = placed(event_type.schema, payload, pointer, value)
            assert variant == event_type.variant_of(payload)

    def test_unknown(self) -> None:
        """A variant that the schema does not list has no values."""
        with pytest.raises(LookupError, match=r"commsease\.conversation has no variant 'PERSON/NOTHING'"):
            CONVERSATION.variant_values("PERSON/NOTHING")


class TestVariantOf:
    """Tests for `EventType.variant_of`."""

    @pytest.mark.parametrize(
        ("expected", "name", "payload"),
        [
            ("TEAM/TEXT", "commsease.conversation", {"convType": "TEAM", "msgType": "TEXT"}),
            ("TEAM/NEW", "commsease.conversation", {"convType": "TEAM", "msgType": "NEW"}),
            ("", "commsease.conversation", {"convType": "TEAM"}),
            ("", "commsease.conversation", {"convType": "TEAM", "msgType": None}),
            ("", "commsease.conversation", {"convType": "TEAM", "msgType": ["TEXT"]}),
            ("3", "rongcloud.chatroom-kv", {"optType": 3}),
            ("TIMStreamElem", "tencent.c2c-after-send", {"MsgBody": [{"MsgType": "TIMStreamElem"}]}),
            ("", "tencent.c2c-after-send", {"MsgBody": []}),
            ("TEAM_MSG_AUDIO+x", "commsease.antispam", {"objects": '[{"type":"TEAM_MSG_AUDIO"},{"type":"x"}]'}),
            ("a", "commsease.antispam", {"objects": '[{"type":"a"},{"type":"a"}]'}),
            ("", "commsease.antispam", {"objects": '[{"type":"a"},{"type":null}]'}),
            ("a+b", "tencent.c2c-after-send", {"MsgBody": [{"MsgType": "a"}, {"MsgType": "b"}, {"MsgType": "a"}]}),
            ("", "commsease.antispam", {"objects": "no list"}),
            ("", "commsease.login", {"eventType": "2"}),
        ],
    )
    def test_variant(self, expected: str, name: str, payload: Any) -> None:
        """The values at the pointers, as text; empty where there is none."""
        assert expected == BY_NAME[name].variant_of(payload)

    @pytest.mark.parametrize(
        ("expected", "value"), [("true", True), ("1", 1), ("1", 1.0), ("1.5", 1.5), ("", ""), (None, None), (None, {})]
    )
    def test_text(self, expected: str | None, value: Any) -> None:
        """Scalars have a text of their own."""
        assert expected == as_text(value)


class TestPlaced:
    """Tests for `placed`."""

    @pytest.mark.parametrize(
        ("expected", "name", "pointer"),
        [
            ({"type": 1}, "commsease.signal", "/type"),
            ({"objects": '[{"type":1}]'}, "commsease.antispam", "/objects/0/type"),
            ({"MsgBody": [{"MsgType": 1}]}, "tencent.c2c-after-send", "/MsgBody/0/MsgType"),
            ({"uploadInfo": {"sdkLogUrl": 1}}, "commsease.upload-task", "/uploadInfo/sdkLogUrl"),
        ],
    )
    def test_made(self, expected: Any, name: str, pointer: str) -> None:
        """What is missing around a value is made as the schema has it: objects, lists, text that holds them."""
        payload: dict[str, Any] = {}
        assert expected == placed(BY_NAME[name].schema, payload, pointer, 1)
        assert {} == payload

    def test_kept(self) -> None:
        """What is there stays, embedded JSON included."""
        antispam = BY_NAME["commsease.antispam"]
        changed = placed(antispam.schema, antispam.examples[0], "/objects/0/type", "P2P_MSG_VIDEO")
        assert "pre00001" == resolve(changed, "/objects/0/from")
        assert "P2P_MSG_VIDEO" == antispam.variant_of(changed)


class TestLoad:
    """Tests for the check of `x-variants`."""

    @pytest.mark.parametrize("value", ["/kind", [], ["kind"], ["/kind", "/kind"], [1]])
    def test_dialect(self, tmp_path: Path, value: Any) -> None:
        """The keyword is a list of pointers."""
        with pytest.raises(BadSchema, match="breaks the dialect at /x-variants"):
            load(write(tmp_path, "thing", **{**TWO_FIELDS, "x-variants": value}))

    @pytest.mark.parametrize("pointers", [["/nothing"], ["/kind", "/nothing"]])
    def test_unlisted(self, tmp_path: Path, pointers: list[str]) -> None:
        """A field whose values are not listed cannot name a variant."""
        with pytest.raises(BadSchema, match=r"x-variants names /.*, for which it lists no values"):
            load(write(tmp_path, "thing", **{**TWO_FIELDS, "x-variants": pointers}))

    def test_own(self, tmp_path: Path) -> None:
        """Anybody's event types have variants."""
        (thing,) = load(write(tmp_path, "thing", **TWO_FIELDS))
        assert ("/kind", "/part") == thing.variant_pointers
        assert "b/3" in thing.variants

    def test_at_the_root_only(self, tmp_path: Path) -> None:
        """It is about the whole payload."""
        properties = {**TWO_FIELDS["properties"], "more": {"x-variants": ["/a"]}}
        with pytest.raises(BadSchema, match="breaks the dialect"):
            load(write(tmp_path, "thing", **{**TWO_FIELDS, "properties": properties}))

    def test_there_are_several(self) -> None:
        """The types named here are those of the providers."""
        assert {"commsease", "rongcloud", "tencent"} == {
            one.provider for one in EVENT_TYPES if catalogue(one.provider)[one.name].variants
        }
