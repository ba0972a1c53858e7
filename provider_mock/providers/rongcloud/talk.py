"""Conversations of two, of groups and in chat rooms, each message later than the one before it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from im_callback.provider_mock.contract import Event
from im_callback.provider_mock.traffic.stage import Delivery, Stage

PEOPLE, GROUPS, ROOMS = 20, 5, 3
DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUV"
CLIENTS = ("iOS", "Android", "Websocket", "PC")
DIRECTED = 0.1
"""How often a message in a group is meant for some of its members."""


def uid(stage: Stage) -> str:
    """Return the id of a message: 16 digits of base 32, in groups of four."""
    return random_uid(stage.random)


def random_uid(random: Random) -> str:
    """Return the same of random numbers."""
    bits = random.getrandbits(80)
    digits = "".join(DIGITS[bits >> place & 31] for place in range(0, 80, 5))
    return "-".join(digits[place : place + 4] for place in range(0, 16, 4))


class _World:
    def __init__(self, stage: Stage, write: Callable[[dict[str, Any]], Event]) -> None:
        self.stage = stage
        self.write = write
        self.people = stage.accounts(PEOPLE)
        self.address = {one: f"203.0.113.{place}:{40000 + place}" for place, one in enumerate(self.people, 1)}
        self.groups = {f"group-{stage.tag}-{n}": stage.random.sample(self.people, 6) for n in range(1, GROUPS + 1)}
        self.rooms = [f"room-{stage.tag}-{n}" for n in range(1, ROOMS + 1)]

    def person(self) -> Delivery:
        sender = self.stage.pick(self.people)
        return self._said("PERSON", sender, self.stage.pick([one for one in self.people if one != sender]))

    def group(self) -> Delivery:
        group = self.stage.pick(list(self.groups))
        members = self.groups[group]
        sender = self.stage.pick(members)
        others = [one for one in members if one != sender]
        meant = others[:2] if self.stage.chance(DIRECTED) else []
        return self._said("GROUP", sender, group, meant)

    def room(self) -> Delivery:
        return self._said("TEMPGROUP", self.stage.pick(self.people), self.stage.pick(self.rooms))

    def _said(self, channel: str, sender: str, target: str, meant: list[str] | None = None) -> Delivery:
        kind, content = self._content()
        said = {
            "channel": channel,
            "sender": sender,
            "target": target,
            "meant": meant or [],
            "moment": str(self.stage.moment(target, sender)),
            "kind": kind,
            "content": json.dumps(content, ensure_ascii=False, separators=(",", ":")),
            "id": uid(self.stage),
            "client": self.stage.pick(CLIENTS),
            "address": self.address[sender],
        }
        return (self.write(said),)

    def _content(self) -> tuple[str, dict[str, Any]]:
        place = f"https://files.example.com/{self.stage.number()}"
        if self.stage.chance(0.1):
            return "RC:ImgMsg", {"content": "bhZPzJXimRwrtvc=", "imageUri": place}
        if self.stage.chance(0.1):
            return "RC:HQVCMsg", {"remoteUrl": place, "duration": self.stage.random.randrange(1, 61)}
        return "RC:TxtMsg", {"content": self.stage.sentence()}


def _sent(said: dict[str, Any]) -> Event:
    payload = {
        "channelType": said["channel"],
        "fromUserId": said["sender"],
        "toUserId": said["target"],
        "msgTimestamp": said["moment"],
        "timestamp": said["moment"],
        "objectName": said["kind"],
        "content": said["content"],
        "sensitiveType": "0",
        "source": said["client"],
        "msgUID": said["id"],
        "clientIp": said["address"],
        **({"groupUserIds": said["meant"]} if said["meant"] else {}),
    }
    return Event("rongcloud.message", payload)


def _about_to_be_sent(said: dict[str, Any]) -> Event:
    payload = {
        "appKey": "test-key",
        "fromUserId": said["sender"],
        "targetId": said["target"],
        **({"toUserIds": ",".join(said["meant"])} if said["meant"] else {}),
        "msgType": said["kind"],
        "content": said["content"],
        "channelType": said["channel"],
        "msgTimeStamp": said["moment"],
        "messageId": said["id"],
        "os": said["client"],
        "clientIp": said["address"],
    }
    return Event("rongcloud.pre-message", payload)


def _story(stage: Stage, write: Callable[[dict[str, Any]], Event]) -> Iterator[Delivery]:
    world = _World(stage, write)
    while True:
        yield stage.turn({world.person: 50, world.group: 35, world.room: 15})


def sent(stage: Stage) -> Iterator[Delivery]:
    """Yield the messages of an endless story, when they have been sent."""
    return _story(stage, _sent)


def about_to_be_sent(stage: Stage) -> Iterator[Delivery]:
    """Yield the messages of an endless story, when they wait for an answer."""
    return _story(stage, _about_to_be_sent)
