"""Values that are put together from others: wherever they stand, and where what they are made of is missing."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from im_callback.provider_mock.traffic.composed import alone, recomposed
from im_callback.provider_mock.traffic.identity import Identities
from im_callback.schemas import catalogue

TENCENT = catalogue("tencent")
NOW = 1767225600000


def fresh(kind: str, number: int = 0, **arguments: Any) -> dict[str, Any]:
    """Return a documented sample with an identity of its own."""
    one = TENCENT[f"tencent.{kind}"]
    return dict(Identities(Random(1), NOW).fresh(one, one.examples[number], **arguments).payload)


class TestAlone:
    """Tests for `alone`."""

    @pytest.mark.parametrize(
        ("expected", "kind"),
        [
            (set(), "c2c-after-send"),
            ({"/MsgKey"}, "c2c-after-recall"),
            ({"/C2CMsgInfo/0/MsgKey"}, "c2c-after-read-receipt"),
            ({"/MsgSeqList/0/MsgId"}, "group-after-recall"),
        ],
    )
    def test_alone(self, expected: set[str], kind: str) -> None:
        """A MsgKey without its three parts; a MsgId without any part, and without a MsgKey to share them with."""
        one = TENCENT[f"tencent.{kind}"]
        assert expected == alone(one, one.examples[-1])


class TestFresh:
    """Tests for composed values in payloads with an identity of their own."""

    def test_key_without_parts(self) -> None:
        """What a recall names is another message, in the form of a MsgKey."""
        old, new = TENCENT["tencent.c2c-after-recall"].examples[0]["MsgKey"], fresh("c2c-after-recall")["MsgKey"]
        assert old != new
        assert 3 == len([part for part in new.split("_") if part.isdecimal()])

    def test_inside_a_list(self) -> None:
        """The id of a message that is read has the random number of its key."""
        (message,) = fresh("c2c-after-read-receipt")["C2CMsgInfo"]
        assert message["MsgKey"].split("_")[1] == message["MsgId"].split("-")[2]

    def test_random_of_a_group_message(self) -> None:
        """A group message calls it Random, and before it is sent it has no MsgTime."""
        sent, asked = fresh("group-after-send", 1), fresh("group-before-send", 1)
        assert [str(sent["MsgTime"]), str(sent["Random"])] == sent["MsgId"].split("-")[1:]
        assert ["1727580296", str(asked["Random"])] == asked["MsgId"].split("-")[1:]

    def test_parts_follow_a_key_that_is_kept(self) -> None:
        """Two changes of one message agree in all that its key is made of."""
        key = "1_2_3"
        payload = fresh("c2c-after-modify", values={"/MsgKey": key})
        assert (key, 1, 2, 3) == tuple(payload[name] for name in ("MsgKey", "MsgSeq", "MsgRandom", "MsgTime"))

    def test_version_of_keys(self) -> None:
        """The version of every key is that of the message."""
        payload = fresh("group-after-extension")
        assert {payload["Seq"]} == {one["Seq"] for one in payload["ExtensionList"]}
        assert 56 != payload["Seq"]

    def test_same_payload(self) -> None:
        """What fits already stays the very object that it is."""
        one = TENCENT["tencent.c2c-after-send"]
        assert recomposed(one, one.examples[0], ()) is one.examples[0]
