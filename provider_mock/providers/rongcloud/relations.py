"""Friends and groups: asked before they are made, joined before they are left."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from im_callback.provider_mock.contract import Event
from im_callback.provider_mock.traffic.stage import Delivery, Stage

PEOPLE, GROUPS, SMALL = 20, 5, 3
CLIENTS = ("iOS", "Android", "Websocket", "PC")
SERVER = "Server"
ASKED, ACCEPTED, REFUSED, ENDED, ADDED = range(1, 6)
CREATED, JOINED, REMOVED, LEFT, DISMISSED, PROMOTED, DEMOTED, HANDED_OVER = range(1, 9)


class _Friends:
    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.people = stage.accounts(PEOPLE)
        self.asked: list[tuple[str, str]] = []
        self.friends: list[tuple[str, str]] = []

    def ask(self) -> Delivery | None:
        pair = self._strangers()
        if pair is None:
            return None
        self.asked.append(pair)
        return self._told(ASKED, *pair)

    def answer(self) -> Delivery | None:
        if not self.asked:
            return None
        pair = self.asked.pop(0)
        accepted = self.stage.chance(0.8)
        if accepted:
            self.friends.append(pair)
        return self._told(ACCEPTED if accepted else REFUSED, pair[1], pair[0])

    def add(self) -> Delivery | None:
        pair = self._strangers()
        if pair is None:
            return None
        self.friends.append(pair)
        return self._told(ADDED, *pair, source=SERVER)

    def end(self) -> Delivery | None:
        if not self.friends:
            return None
        pair = self.stage.pick(self.friends)
        self.friends.remove(pair)
        return self._told(ENDED, *pair)

    def _strangers(self) -> tuple[str, str] | None:
        one, other = self.stage.random.sample(self.people, 2)
        known = {*self.asked, *self.friends}
        return None if {(one, other), (other, one)} & known else (one, other)

    def _told(self, kind: int, user: str, to: str, source: str | None = None) -> Delivery:
        payload = {
            "userId": user,
            "eventType": kind,
            "toUserId": to,
            "source": source or self.stage.pick(CLIENTS),
            "time": self.stage.moment(user, to),
        }
        return (Event("rongcloud.friend", payload),)


class _Groups:
    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.people = stage.accounts(PEOPLE)
        self.made = 0
        # Of each group its members; the first owns it.
        self.members: dict[str, list[str]] = {}

    def create(self) -> Delivery | None:
        if len(self.members) >= GROUPS:
            return None
        self.made += 1
        owner, *others = self.stage.random.sample(self.people, SMALL)
        group = f"group-{self.stage.tag}-{self.made}"
        self.members[group] = [owner, *others]
        return (self._done(group, CREATED, owner, [owner]), self._done(group, JOINED, owner, others))

    def join(self) -> Delivery | None:
        group = self._group()
        outside = [one for one in self.people if one not in self.members.get(group, self.people)]
        if not outside:
            return None
        user = self.stage.pick(outside)
        self.members[group].append(user)
        return (self._done(group, JOINED, user, [user]),)

    def leave(self) -> Delivery | None:
        group = self._group()
        if len(self.members.get(group, ())) <= SMALL:
            return None
        owner, *others = self.members[group]
        user = self.stage.pick(others)
        self.members[group].remove(user)
        kind, doer = (LEFT, user) if self.stage.chance(0.6) else (REMOVED, owner)
        return (self._done(group, kind, doer, [user]),)

    def promote(self) -> Delivery | None:
        group = self._group()
        if not group:
            return None
        owner, *others = self.members[group]
        return (self._done(group, self.stage.pick((PROMOTED, DEMOTED)), owner, [self.stage.pick(others)]),)

    def hand_over(self) -> Delivery | None:
        group = self._group()
        if not group:
            return None
        owner, heir, *others = self.members[group]
        self.members[group] = [heir, *others, owner]
        return (self._done(group, HANDED_OVER, owner, [heir]),)

    def dismiss(self) -> Delivery | None:
        group = self._group()
        if not group:
            return None
        owner = self.members.pop(group)[0]
        return (self._done(group, DISMISSED, owner),)

    def _group(self) -> str:
        return self.stage.pick(list(self.members)) if self.members else ""

    def _done(self, group: str, kind: int, doer: str, users: list[str] | None = None) -> Event:
        payload: dict[str, Any] = {
            "groupId": group,
            "eventType": kind,
            "time": self.stage.moment(group),
            "optUserId": doer,
        }
        return Event("rongcloud.group-operation", {**payload, **({"userIds": users} if users else {})})


def friends(stage: Stage) -> Iterator[Delivery]:
    """Yield an endless story of friends."""
    world = _Friends(stage)
    actions = {world.ask: 40, world.answer: 35, world.end: 15, world.add: 10}
    while True:
        yield stage.turn(actions)


def groups(stage: Stage) -> Iterator[Delivery]:
    """Yield an endless story of groups."""
    world = _Groups(stage)
    actions = {
        world.create: 10,
        world.join: 40,
        world.leave: 25,
        world.promote: 12,
        world.hand_over: 5,
        world.dismiss: 3,
    }
    while True:
        yield stage.turn(actions)
