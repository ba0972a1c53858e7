"""Conversations of two: every message later than the one before it, with the next number; a few cannot be sent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from provider_mock.contract import Event
from provider_mock.traffic.identity import message_key
from provider_mock.traffic.world.stage import Delivery, Stage

PEOPLE = 20
FAILED = 0.04
"""How often a message cannot be sent."""
FAILURE = (20006, "msg is blocked by the app's own rules")
SUCCESS = (0, "send msg succeed")


class _World:
    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.people = stage.accounts(PEOPLE)
        # MsgSeq has 32 bits; it begins low enough to rise for as long as any run lasts.
        self.sequence = dict.fromkeys(self.people, stage.random.randrange(1, 10**6))
        self.unread: dict[tuple[str, str], int] = {}

    def message(self) -> Delivery:
        stage = self.stage
        sender = stage.pick(self.people)
        to = stage.pick([other for other in self.people if other != sender])
        self.sequence[sender] += 1
        result, information = FAILURE if stage.chance(FAILED) else SUCCESS
        # Who writes has read what was written to him.
        self.unread.pop((to, sender), None)
        if result == 0:
            self.unread[sender, to] = self.unread.get((sender, to), 0) + 1
        payload = {
            "CallbackCommand": "C2C.CallbackAfterSendMsg",
            "From_Account": sender,
            "To_Account": to,
            "MsgSeq": self.sequence[sender],
            "MsgRandom": stage.random.getrandbits(32),
            "MsgTime": stage.moment() // 1000,
            "OnlineOnlyFlag": 0,
            "SendMsgResult": result,
            "ErrorInfo": information,
            "UnreadMsgNum": self.unread.get((sender, to), 0),
            "MsgBody": self._body(),
            "CloudCustomData": "",
        }
        return (Event("tencent.c2c-after-send", {**payload, "MsgKey": message_key(payload)}),)

    def _body(self) -> list[dict[str, Any]]:
        stage = self.stage
        body: list[dict[str, Any]] = [{"MsgType": "TIMTextElem", "MsgContent": {"Text": stage.sentence()}}]
        if stage.chance(0.2):
            face = {"Index": stage.random.randrange(1, 100), "Data": "smile"}
            body.append({"MsgType": "TIMFaceElem", "MsgContent": face})
        return body


def story(stage: Stage) -> Iterator[Delivery]:
    """Yield the deliveries of an endless story."""
    world = _World(stage)
    while True:
        yield stage.turn({world.message: 1})
