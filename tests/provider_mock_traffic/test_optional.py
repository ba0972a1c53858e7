"""Documented optional fields, added one at a time."""

from __future__ import annotations

from typing import Any

import pytest
from im_callback.provider_mock.traffic.generate import Generator
from im_callback.provider_mock.traffic.identity import without
from im_callback.provider_mock.traffic.optional import with_optional
from im_callback.provider_mock.traffic.shape import kind_in
from im_callback.provider_mock.traffic.variants import variant_payload
from im_callback.schemas import MISSING, EventType, jsontext, resolve

from tests.provider_mock.traffic_types import BY_NAME, DESCRIBED, NOW, each, each_variant


def added(name: str, payload: Any, seed: int = 1) -> dict[str, Any]:
    """Return what is added to a payload, by pointer."""
    return {
        pointer: resolve(changed, pointer)
        for pointer, changed in with_optional(Generator(seed, NOW), BY_NAME[name], payload)
    }


class TestWithOptional:
    """Tests for `with_optional`."""

    @each
    def test_samples(self, event_type: EventType) -> None:
        """Every payload is valid and differs from the sample in one field, which the sample does not have."""
        for seed in range(3):
            generator = Generator(seed, NOW)
            for sample in event_type.examples:
                found = with_optional(generator, event_type, sample)
                assert len(found) == len({pointer for pointer, _ in found})
                for pointer, changed in found:
                    assert [] == event_type.problems(changed)
                    assert resolve(sample, pointer) is MISSING
                    assert opened(sample) == opened(without(changed, pointer))
                    assert "undescribed" != kind_in(event_type.schema, changed, pointer)

    @each_variant
    def test_variants(self, event_type: EventType, variant: str) -> None:
        """Also in every variant, which stays the same."""
        generator = Generator(1, NOW)
        payload = variant_payload(generator, event_type, variant)
        for pointer, changed in with_optional(generator, event_type, payload):
            assert event_type.valid(changed), pointer
            assert variant == event_type.variant_of(changed)

    def test_top(self) -> None:
        """Fields of the payload itself, but not those that the documents only name."""
        conversation = BY_NAME["commsease.conversation"]
        always = {"/yidunRes", "/ext", "/antispam", "/ip", "/port", "/aiParams"}
        assert always == set(added("commsease.conversation", conversation.examples[0]))
        notice = set(added("commsease.conversation", conversation.examples[5]))
        assert always | {"/customApnsText"} == notice - {"/fromClientType", "/fromDeviceId", "/fromNick"}

    def test_embedded(self) -> None:
        """Fields of embedded JSON one level down."""
        attach = jsontext.dump({"dur": 1, "ext": "mp4", "h": 1, "md5": "x", "size": 1, "url": "http://a", "w": 1})
        payload = {**BY_NAME["commsease.conversation"].examples[2], "msgType": "VIDEO", "attach": attach}
        assert "/attach/name" in added("commsease.conversation", payload)
        assert "/attach/name" not in added("commsease.conversation", {**payload, "msgType": "CUSTOM"})

    def test_elements(self) -> None:
        """Fields of the first element, in embedded JSON too."""
        element = '{"antispam":true,"type":"P2P_MSG_AUDIO","yidunRes":{}}'
        bare = {"eventType": "20", "objects": f"[{element},{element}]"}
        found = added("commsease.antispam", bare)
        assert {"/objects/0/audioUrl", "/objects/0/serverMsgId", "/objects/0/yidunRes/taskId"} <= set(found)
        assert not [pointer for pointer in found if pointer.startswith("/objects/1")]

    def test_objects(self) -> None:
        """Fields of objects that are no text."""
        bare = {"eventType": "36", "type": "1", "uploadInfo": {"sdkLogUrl": "https://files.example.com/a"}}
        assert ["/uploadInfo/uploadMsg"] == list(added("commsease.upload-task", bare))

    def test_conditions(self) -> None:
        """What a condition of the schema forbids is not added."""
        room = BY_NAME["commsease.chatroom-message"]
        checked = {**room.examples[2], "yidunRes": '{"yidunBusType":0,"labels":[]}'}
        assert "/yidunRes/action" in added("commsease.chatroom-message", checked)
        picture = {**checked, "yidunRes": '{"yidunBusType":1,"labels":[]}'}
        assert "/yidunRes/action" not in added("commsease.chatroom-message", picture)

    def test_alternatives(self) -> None:
        """What belongs to another shape is not added: a call has no members as a conference has."""
        call, conference = BY_NAME["commsease.line-call-ended"].examples
        assert "/callback/members" not in added("commsease.line-call-ended", call)
        assert {"/callback/legs"} == set(added("commsease.line-call-ended", conference)) - {"/type"}

    def test_values(self) -> None:
        """A value is what the documents have for it."""
        for seed in range(5):
            found = added("commsease.conversation", BY_NAME["commsease.conversation"].examples[0], seed)
            assert found["/antispam"] in ("true", "false")
        (message_id,) = [
            value
            for pointer, value in added("tencent.c2c-after-send", BY_NAME["tencent.c2c-after-send"].examples[0]).items()
            if pointer == "/MsgId"
        ]
        assert message_id

    def test_unknown_type(self) -> None:
        """Where the documents leave open whether a value is a text, a receiver may read either: it is not added."""
        for seed in range(5):
            for name, pointer in (
                ("logout", "/logoutReason"),
                ("logout", "/logOutReason"),
                ("call-duration", "/running"),
            ):
                kind = BY_NAME[f"commsease.{name}"]
                without = {key: value for key, value in kind.examples[0].items() if key != pointer[1:]}
                assert pointer not in added(kind.name, without, seed)

    @pytest.mark.parametrize("text", ["{", "[]", "7", ""])
    def test_odd_content(self, text: str) -> None:
        """What holds no object has no members to add."""
        room = BY_NAME["commsease.chatroom-message"]
        found = added("commsease.chatroom-message", {**room.examples[1], "attach": text})
        assert not [pointer for pointer in found if pointer.startswith("/attach")]

    def test_whole(self) -> None:
        """Added one after the other, there is nothing left to add in the end."""
        for event_type in DESCRIBED:
            payload: Any = event_type.examples[0]
            for _ in range(60):
                found = with_optional(Generator(1, NOW), event_type, payload)
                if not found:
                    break
                payload = found[0][1]
            assert [] == with_optional(Generator(2, NOW), event_type, payload), event_type.name


def opened(value: Any) -> Any:
    """Return a payload with embedded JSON decoded, as far as it is objects and lists."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            value = jsontext.parse(value)
        except ValueError:
            return value
    if isinstance(value, dict):
        return {name: opened(inner) for name, inner in value.items()}
    return [opened(inner) for inner in value] if isinstance(value, list) else value
