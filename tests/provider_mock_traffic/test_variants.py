"""Payloads of a given variant: valid, exactly that variant, with the content that belongs to it."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from im_callback.provider_mock.traffic.generate import Generator
from im_callback.provider_mock.traffic.identity import Identities
from im_callback.provider_mock.traffic.shape import leaves
from im_callback.provider_mock.traffic.variants import variant_payload
from im_callback.provider_mock.traffic.words import PlainWords
from im_callback.schemas import EventType, jsontext, resolve

from tests.provider_mock.test_identity import told_by
from tests.provider_mock.traffic_types import BY_NAME, DESCRIBED, NOW, VARIED, each_variant

SHAPES = {
    "PICTURE": {"md5", "h", "w", "size", "name", "url", "ext"},
    "AUDIO": {"size", "ext", "dur", "url", "md5"},
    "VIDEO": {"dur", "ext", "h", "md5", "size", "url", "w", "name"},
    "LOCATION": {"lat", "lng", "title"},
    "FILE": {"ext", "md5", "name", "size", "url"},
    "NOTIFICATION": {"data", "id"},
}
ELEMENTS = {
    "TIMTextElem": {"Text"},
    "TIMLocationElem": {"Desc", "Latitude", "Longitude"},
    "TIMFaceElem": {"Index", "Data"},
    "TIMCustomElem": {"Data", "Desc", "Ext", "Sound"},
    "TIMSoundElem": {"Url", "UUID", "Size", "Second", "Download_Flag"},
    "TIMImageElem": {"UUID", "ImageFormat", "ImageInfoArray"},
    "TIMFileElem": {"Url", "UUID", "FileSize", "FileName", "Download_Flag"},
}


def made(event_type: EventType, variant: str, seed: int = 1) -> Any:
    """Return a payload of a source of its own."""
    return variant_payload(Generator(seed, NOW), event_type, variant)


class TestVariantPayload:
    """Tests for `variant_payload`."""

    @each_variant
    def test_variant(self, event_type: EventType, variant: str) -> None:
        """It is valid and exactly the variant that was asked for."""
        for seed in range(5):
            payload = made(event_type, variant, seed)
            assert [] == event_type.problems(payload)
            assert variant == event_type.variant_of(payload)

    @settings(max_examples=60, deadline=None)
    @given(st.integers(0, 2**64), st.sampled_from(range(len(VARIED))))
    def test_any_seed(self, seed: int, which: int) -> None:
        """So it is for every seed."""
        event_type, variant = VARIED[which]
        payload = made(event_type, variant, seed)
        assert event_type.valid(payload)
        assert variant == event_type.variant_of(payload)

    @each_variant
    def test_without_faker(self, event_type: EventType, variant: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without Faker, too."""
        monkeypatch.setitem(sys.modules, "faker", None)
        generator = Generator(1, NOW)
        assert isinstance(generator._words, PlainWords)
        payload = variant_payload(generator, event_type, variant)
        assert event_type.valid(payload)
        assert variant == event_type.variant_of(payload)

    @pytest.mark.parametrize("message", SHAPES)
    @pytest.mark.parametrize("kind", ["PERSON", "TEAM", "SUPER_TEAM"])
    def test_attachment(self, kind: str, message: str) -> None:
        """A picture has all that is documented of a picture, in every kind of conversation."""
        payload = made(BY_NAME["commsease.conversation"], f"{kind}/{message}")
        assert SHAPES[message] == set(jsontext.parse(payload["attach"]))
        assert (kind == "PERSON") is not payload["to"].isdecimal()

    @pytest.mark.parametrize("message", [name for name in SHAPES if name != "NOTIFICATION"])
    def test_room_attachment(self, message: str) -> None:
        """In a chat room, too."""
        payload = made(BY_NAME["commsease.chatroom-message"], message)
        assert SHAPES[message] == set(jsontext.parse(payload["attach"]))

    @pytest.mark.parametrize("message", ELEMENTS)
    def test_element(self, message: str) -> None:
        """A message element has all that is documented of it, and stands alone."""
        payload = made(BY_NAME["tencent.c2c-after-send"], message)
        ((element,), content) = payload["MsgBody"], payload["MsgBody"][0]["MsgContent"]
        assert message == element["MsgType"]
        assert ELEMENTS[message] == set(content)

    def test_merged(self) -> None:
        """Merged messages are listed or named by a key, not both; each is of a group or of an account."""
        seen = set()
        for seed in range(20):
            content = made(BY_NAME["tencent.c2c-after-send"], "TIMRelayElem", seed)["MsgBody"][0]["MsgContent"]
            seen |= {"MsgList", "JsonMsgKey"} & set(content)
            assert 1 == len({"MsgList", "JsonMsgKey"} & set(content))
            assert all(1 == len({"GroupId", "To_Account"} & set(one)) for one in content.get("MsgList", ()))
        assert {"MsgList", "JsonMsgKey"} == seen

    def test_nothing_else(self) -> None:
        """What neither the schema requires nor any sample of the type shows is left out."""
        always = {
            "attach", "body", "convType", "eventType", "fromAccount", "msgTimestamp", "msgType", "msgidServer", "to",
        }  # fmt: skip
        conversation = BY_NAME["commsease.conversation"]
        message, notice = {"msgidClient", "resendFlag"}, {"customSafeFlag", "customApnsText"}
        assert always | message == set(made(conversation, "SUPER_TEAM/TEXT"))
        assert always | message | {"tMembers"} == set(made(conversation, "TEAM/TEXT"))
        assert always | notice == set(made(conversation, "CUSTOM_PERSON/FRIEND_DELETE"))
        signal = BY_NAME["commsease.signal"]
        assert {"uid"} == set(made(signal, "JOIN_ROOM")) - set(made(signal, "CTRL"))
        assert {"requestId"} == set(made(signal, "REJECT")) - set(made(signal, "CTRL"))
        assert {"needPush", "pushTitle"} < set(made(signal, "INVITE")) - set(made(signal, "REJECT"))

    def test_clearing(self) -> None:
        """What other variants require, one that has no sample is without: clearing a room names no attribute."""
        attribute = BY_NAME["rongcloud.chatroom-kv"]
        assert {"key", "value"} == set(made(attribute, "1")) - set(made(attribute, "3"))
        assert {"key", "value"} <= set(made(attribute, "2"))

    def test_as_in_the_samples(self) -> None:
        """Where values are listed, one that the samples show is taken, and what they have is there."""
        for seed in range(10):
            payload = made(BY_NAME["commsease.conversation"], "PERSON/TEXT", seed)
            assert payload["fromClientType"] in ("IOS", "REST")
            assert "0" == payload["resendFlag"]
        peek = made(BY_NAME["commsease.chatroom-queue"], "6")
        assert "elements" in peek
        assert "elements" not in made(BY_NAME["commsease.chatroom-queue"], "8")

    def test_unique(self) -> None:
        """No two have the same identity."""
        generator = Generator(1, NOW)
        for event_type in DESCRIBED:
            if event_type.identity:
                told = [
                    identity
                    for variant in event_type.variants
                    for _ in range(3)
                    for identity in told_by(event_type, variant_payload(generator, event_type, variant))
                ]
                assert len(told) == len(set(told)), event_type.name

    def test_same_seed(self) -> None:
        """The same seed gives the same payload."""
        for event_type, variant in VARIED:
            assert made(event_type, variant) == made(event_type, variant)

    @pytest.mark.parametrize("variant", ["", "TEAM", "TEAM/FRIEND_ADD", "team/text"])
    def test_unknown(self, variant: str) -> None:
        """A variant that does not exist is an error."""
        with pytest.raises(LookupError, match="has no variant"):
            made(BY_NAME["commsease.conversation"], variant)

    def test_identities(self) -> None:
        """The identities of a run are used, if they are given."""
        generator = Generator(1, NOW)
        ids = Identities(generator.random, NOW, run=7)
        payload = variant_payload(Generator(1, NOW, identities=ids), BY_NAME["commsease.signal"], "INVITE")
        assert ids.tag in payload["from"]
        assert any(ids.tag in str(value) for _, value in leaves(payload))
        assert "" != resolve(payload, "/requestId")
