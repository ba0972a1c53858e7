"""Who is there: connections that come up before they go down, and rooms that fill and empty."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from im_callback.provider_mock.contract import Event
from im_callback.provider_mock.traffic.stage import Delivery, Stage

PEOPLE, DEVICES, ROOMS = 20, 2, 6
CLIENTS = ("iOS", "Android", "Websocket", "PC", "MiniProgram")
ONLINE, OFFLINE, LOGGED_OUT = "0", "1", "2"
CREATED, JOINED, LEFT, DESTROYED = range(4)
BY_CALL, AUTOMATIC, BANNED, EXPIRED = range(4)


class _Online:
    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.people = stage.accounts(PEOPLE)
        # Of each user the open connections: session and what else does not change.
        self.open: dict[str, dict[str, dict[str, Any]]] = {one: {} for one in self.people}

    def up(self) -> Delivery | None:
        away = [one for one in self.people if len(self.open[one]) < DEVICES]
        return (self._up(self.stage.pick(away)),) if away else None

    def down(self) -> Delivery | None:
        there = [one for one in self.people if self.open[one]]
        return (self._down(self.stage.pick(there)),) if there else None

    def several(self) -> Delivery | None:
        there = [one for one in self.people if self.open[one]]
        if not there:
            return None
        return tuple(self._down(one) for one in there[: self.stage.random.randrange(2, 5)])

    def _up(self, user: str) -> Event:
        session = self.stage.uuid()
        place = self.people.index(user) + 1
        self.open[user][session] = {
            "os": self.stage.pick(CLIENTS),
            "clientIp": f"203.0.113.{place}:{40000 + place}",
        }
        return self._changed(user, ONLINE, session, self.open[user][session])

    def _down(self, user: str) -> Event:
        session = self.stage.pick(list(self.open[user]))
        known = self.open[user].pop(session)
        status = LOGGED_OUT if self.stage.chance(0.3) else OFFLINE
        return self._changed(user, status, session, {"clientIp": known["clientIp"]})

    def _changed(self, user: str, status: str, session: str, rest: dict[str, Any]) -> Event:
        payload = {"userid": user, "status": status, "time": self.stage.moment(user), "sessionId": session}
        return Event("rongcloud.online-status", {**payload, **rest})


class _Rooms:
    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.people = stage.accounts(PEOPLE)
        self.names = [f"room-{stage.tag}-{n}" for n in range(1, ROOMS + 1)]
        self.inside: dict[str, list[str]] = {}

    def create(self) -> Delivery | None:
        missing = [name for name in self.names if name not in self.inside]
        if not missing:
            return None
        room = self.stage.pick(missing)
        self.inside[room] = []
        return (self._changed(room, CREATED, BY_CALL),)

    def join(self) -> Delivery | None:
        if not self.inside:
            return None
        room = self.stage.pick(list(self.inside))
        outside = [one for one in self.people if one not in self.inside[room]]
        if not outside:
            return None
        coming = self.stage.random.sample(outside, min(len(outside), self.stage.random.randrange(1, 4)))
        self.inside[room] += coming
        return tuple(self._changed(room, JOINED, BY_CALL, one) for one in coming)

    def leave(self) -> Delivery | None:
        filled = [name for name, members in self.inside.items() if members]
        if not filled:
            return None
        room = self.stage.pick(filled)
        user = self.stage.pick(self.inside[room])
        self.inside[room].remove(user)
        return (self._changed(room, LEFT, self.stage.pick((BY_CALL, BY_CALL, AUTOMATIC, BANNED)), user),)

    def destroy(self) -> Delivery | None:
        if not self.inside:
            return None
        room = self.stage.pick(list(self.inside))
        del self.inside[room]
        return (self._changed(room, DESTROYED, self.stage.pick((BY_CALL, EXPIRED))),)

    def _changed(self, room: str, kind: int, status: int, *users: str) -> Event:
        payload = {
            "chatRoomId": room,
            "userIds": list(users),
            "status": status,
            "type": kind,
            "time": self.stage.moment(room),
        }
        return Event("rongcloud.chatroom-status", payload)


def online(stage: Stage) -> Iterator[Delivery]:
    """Yield an endless story of people who come and go."""
    world = _Online(stage)
    while True:
        yield stage.turn({world.up: 55, world.down: 40, world.several: 5})


def rooms(stage: Stage) -> Iterator[Delivery]:
    """Yield an endless story of rooms."""
    world = _Rooms(stage)
    while True:
        yield stage.turn({world.create: 10, world.join: 55, world.leave: 30, world.destroy: 5})
