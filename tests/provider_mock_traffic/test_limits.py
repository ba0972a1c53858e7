"""Payloads at the documented maxima, one at a time."""

from __future__ import annotations

from typing import Any

import pytest
from im_callback.provider_mock.traffic.generate import Generator
from im_callback.provider_mock.traffic.limits import LONG, limits
from im_callback.provider_mock.traffic.optional import with_optional
from im_callback.provider_mock.traffic.variants import variant_payload
from im_callback.schemas import EventType, jsontext, replace, resolve

from tests.provider_mock.traffic_types import BY_NAME, NOW, each, each_variant

CONVERSATION = BY_NAME["commsease.conversation"]
MESSAGE = BY_NAME["tencent.c2c-after-send"]
#: Samples of messages that hold ids and numbers alone: sound and video as old SDKs send them.
NO_TEXT = (6, 11)


def largest(event_type: EventType, payload: Any) -> dict[str, Any]:
    """Return the values at their maxima, by pointer."""
    return {pointer: resolve(changed, pointer) for pointer, changed in limits(event_type, payload)}


class TestLimits:
    """Tests for `limits`."""

    @each
    def test_samples(self, event_type: EventType) -> None:
        """Every payload is valid, and differs where it says."""
        for sample in event_type.examples:
            for pointer, changed in limits(event_type, sample):
                assert [] == event_type.problems(changed)
                assert resolve(sample, pointer) != resolve(changed, pointer)

    @each_variant
    def test_variants(self, event_type: EventType, variant: str) -> None:
        """Also of every variant with everything optional, and the variant stays."""
        generator = Generator(1, NOW)
        payload = variant_payload(generator, event_type, variant)
        for _, whole in with_optional(generator, event_type, payload):
            for pointer, changed in limits(event_type, whole):
                assert event_type.valid(changed), pointer
                assert variant == event_type.variant_of(changed)

    @pytest.mark.parametrize(
        ("length", "pointer"),
        [
            (4096, "/attach"),
            (5000, "/body"),
            (64, "/fromAccount"),
            (128, "/fromDeviceId"),
            (255, "/fromNick"),
            (1024, "/ext"),
            (500, "/customApnsText"),
        ],
    )
    def test_texts(self, length: int, pointer: str) -> None:
        """The longest text, of as many characters as bytes, which still begins as it did."""
        sample = {**CONVERSATION.examples[0], "ext": "my own"}
        if pointer == "/customApnsText":
            sample = CONVERSATION.examples[6]
        text = largest(CONVERSATION, sample)[pointer]
        assert length == len(text) == len(text.encode())
        assert text.startswith(sample[pointer[1:]])
        assert text == text.strip()

    @pytest.mark.parametrize("message", ["PICTURE", "AUDIO", "VIDEO", "LOCATION", "FILE"])
    def test_embedded(self, message: str) -> None:
        """Text that holds JSON still does at its maximum, and the same but for one text in it."""
        payload = variant_payload(Generator(1, NOW), CONVERSATION, f"TEAM/{message}")
        attach = largest(CONVERSATION, payload)["/attach"]
        assert 4096 == len(attach)
        old, new = jsontext.parse(payload["attach"]), jsontext.parse(attach)
        assert 1 == len([name for name in old if old[name] != new[name]])

    def test_no_room(self) -> None:
        """JSON in which no text is free has no maximum that means anything."""
        assert "/attach" not in largest(CONVERSATION, CONVERSATION.examples[5])

    def test_attribute(self) -> None:
        """The name of an attribute keeps to its alphabet."""
        attribute = BY_NAME["rongcloud.chatroom-kv"]
        found = largest(attribute, attribute.examples[0])
        assert {"/key": 128, "/value": 4096} == {pointer: len(value) for pointer, value in found.items()}
        assert found["/key"].isalnum()

    def test_numbers(self) -> None:
        """The largest unsigned number of 32 bits, also in merged messages; MsgKey follows."""
        found = dict(limits(MESSAGE, MESSAGE.examples[0]))
        assert 2**32 - 1 == found["/MsgSeq"]["MsgSeq"] == found["/MsgRandom"]["MsgRandom"]
        assert "4294967295_2837546_1557481126" == found["/MsgSeq"]["MsgKey"]
        assert "/MsgKey" not in found
        merged = largest(MESSAGE, MESSAGE.examples[12])
        assert 2**32 - 1 == merged["/MsgBody/0/MsgContent/MsgList/1/MsgRandom"]

    @pytest.mark.parametrize("place", range(14))
    def test_message(self, place: int) -> None:
        """A message of 12 KB, if a text in it can be longer; the messages in it are no larger than it."""
        found = largest(MESSAGE, MESSAGE.examples[place])
        sizes = [len(jsontext.dump(value).encode()) for value in found.values() if isinstance(value, list)]
        assert sizes == ([] if place in NO_TEXT else [12 * 1024])

    @pytest.mark.parametrize(
        ("name", "pointer"),
        [
            ("commsease.conversation", "/msgidServer"),
            ("commsease.chatroom-message", "/roomId"),
            ("commsease.call-duration", "/channelId"),
            ("commsease.call-file", "/fileinfo/0/channelid"),
            ("commsease.message-recall", "/msgId"),
            ("commsease.team-message-recall", "/to"),
            ("commsease.sms-receipt", "/objects/1/sendid"),
            ("commsease.antispam", "/objects/0/serverMsgId"),
        ],
    )
    def test_ids(self, name: str, pointer: str) -> None:
        """An id that can be read as a Long, close to the largest; another one for another id."""
        event_type = BY_NAME[name]
        sample = event_type.examples[0]
        found = largest(event_type, sample)[pointer]
        assert LONG - 10**15 < int(found) < LONG
        other = dict(limits(event_type, sample))[pointer]
        assert found == resolve(other, pointer)
        another = replace(sample, pointer, "41")
        assert found != largest(event_type, another)[pointer]

    def test_kept(self) -> None:
        """Renewed after that, the maximum can be kept while everything else is new."""
        ids = Generator(1, NOW).identities
        for pointer, changed in limits(CONVERSATION, ids.fresh(CONVERSATION, CONVERSATION.examples[2]).payload):
            again = ids.fresh(CONVERSATION, changed, keep=[pointer]).payload
            assert resolve(changed, pointer) == resolve(again, pointer)
            assert changed["msgidClient"] != again["msgidClient"]

    def test_kept_in_elements(self) -> None:
        """Also where the payload is a list: pointers from the root will do."""
        receipt = BY_NAME["commsease.sms-receipt"]
        ids = Generator(1, NOW).identities
        changed = dict(limits(receipt, receipt.examples[0]))["/objects/1/sendid"]
        again = ids.fresh(receipt, changed, keep=["/objects/1/sendid"]).payload
        assert resolve(changed, "/objects/1/sendid") == resolve(again, "/objects/1/sendid")
        assert resolve(changed, "/objects/0/sendid") != resolve(again, "/objects/0/sendid")
        assert resolve(changed, "/objects/1/mobile") != resolve(again, "/objects/1/mobile")

    def test_nothing(self) -> None:
        """A payload without anything limited has no maxima."""
        login = BY_NAME["commsease.login"]
        assert [] == limits(login, login.examples[0])
