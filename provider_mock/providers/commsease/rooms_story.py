"""Rooms of calls, NERoom and meetings that are opened, fill, empty and are closed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from im_callback.provider_mock.contract import Event
from im_callback.provider_mock.traffic.stage import Delivery, Stage

PEOPLE, OPEN = 30, 6
"""How many people there are, and how many rooms are open at a time."""
SAFE = 10**15
"""Ids that are sent as numbers stay below it: beyond 2**53 some receivers lose digits."""


@dataclass
class _Room:
    id: int
    name: str
    opened: int
    members: dict[str, int] = field(default_factory=dict)
    """When who entered."""
    seats: dict[str, int] = field(default_factory=dict)
    """Who sits where."""

    @property
    def key(self) -> str:
        """What its moments are kept by."""
        return str(self.id)


class _World(ABC):
    """People go in and out of rooms; what is told of it, a subclass says."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.people = stage.accounts(PEOPLE)
        self.rooms: list[_Room] = []

    def number(self, account: str) -> int:
        """Return somebody's number."""
        return self.people.index(account) + 1

    def open(self) -> Delivery | None:
        """Open a room, unless enough are open."""
        if len(self.rooms) >= OPEN:
            return None
        number = self.stage.number() % SAFE
        room = _Room(number, f"room {number}", self.stage.moment(str(number)))
        self.rooms.append(room)
        return self.opened(room)

    def enter(self) -> Delivery | None:
        """Let somebody who is nowhere enter a room."""
        inside = {account for room in self.rooms for account in room.members}
        outside = [account for account in self.people if account not in inside]
        if not self.rooms or not outside:
            return None
        room, account = self.stage.pick(self.rooms), self.stage.pick(outside)
        room.members[account] = self.stage.moment(room.key, account)
        return self.entered(room, account, room.members[account])

    def leave(self) -> Delivery | None:
        """Let somebody leave."""
        found = [(room, account) for room in self.rooms for account in room.members]
        if not found:
            return None
        room, account = self.stage.pick(found)
        if first := self.rise(room, account):
            return first
        moment = self.stage.moment(room.key, account)
        return self.left(room, account, moment, room.members.pop(account))

    def close(self) -> Delivery | None:
        """Close a room that is empty."""
        found = [room for room in self.rooms if not room.members]
        if not found:
            return None
        room = self.stage.pick(found)
        self.rooms.remove(room)
        return self.closed(room, self.stage.moment(room.key))

    def rise(self, room: _Room, account: str) -> Delivery | None:
        """Return what a member does first who is about to leave, if anything."""
        del room, account
        return None

    @abstractmethod
    def opened(self, room: _Room) -> Delivery:
        """Return what is told of a room that was opened."""

    @abstractmethod
    def entered(self, room: _Room, account: str, moment: int) -> Delivery:
        """Return what is told of a member who entered."""

    @abstractmethod
    def left(self, room: _Room, account: str, moment: int, since: int) -> Delivery:
        """Return what is told of a member who left."""

    @abstractmethod
    def closed(self, room: _Room, moment: int) -> Delivery:
        """Return what is told of a room that was closed."""


class _Recorded(_World):
    """Rooms of which there are recordings."""

    def record(self) -> Delivery | None:
        """Have a recording of a room ready."""
        found = [room for room in self.rooms if room.members]
        if not found:
            return None
        room = self.stage.pick(found)
        return self.recorded(room, self.stage.moment(room.key))

    @abstractmethod
    def recorded(self, room: _Room, moment: int) -> Delivery:
        """Return what is told of a recording."""


class _Calls(_Recorded):
    def _event(self, name: str, code: int, room: _Room, **fields: Any) -> Delivery:
        data = {"channelId": room.id, "channelName": room.name, **fields}
        return (Event(f"commsease.rtc-{name}", {"eventType": code, "data": data}),)

    def opened(self, room: _Room) -> Delivery:
        return self._event("room-started", 1, room, createtime=room.opened, timestamp=room.opened)

    def closed(self, room: _Room, moment: int) -> Delivery:
        return self._event("room-ended", 2, room, createtime=room.opened, timestamp=moment)

    def _user(self, room: _Room, account: str, moment: int) -> dict[str, Any]:
        number = self.number(account)
        return {"createTime": room.opened, "timestamp": moment, "user": account, "uid": number, "userRole": 0}

    def entered(self, room: _Room, account: str, moment: int) -> Delivery:
        return self._event("user-joined", 4, room, **self._user(room, account, moment))

    def left(self, room: _Room, account: str, moment: int, since: int) -> Delivery:
        return self._event("user-left", 5, room, **self._user(room, account, moment), duration=moment - since)

    def recorded(self, room: _Room, moment: int) -> Delivery:
        name = f"0-{room.id}-{moment}-0-mix.mp4"
        data = {
            "caller": False,
            "channelId": room.id,
            "filename": name,
            "md5": f"{self.stage.random.getrandbits(128):032x}",
            "size": str(self.stage.random.randrange(10**5, 10**8)),
            "type": "mp4",
            "url": f"https://files.example.com/{name}",
            "uid": 0,
            "taskId": f"{self.stage.random.getrandbits(128):032x}",
            "mix": True,
            "vid": str(self.stage.number() % SAFE),
        }
        return (Event("commsease.rtc-recording-file", {"eventType": 3, "data": data}),)


class _Rooms(_World):
    def _event(self, name: str, moment: int, body: dict[str, Any]) -> Delivery:
        payload = {
            "requestId": f"{self.stage.random.getrandbits(128):032x}",
            "eventType": name,
            "timestamp": moment,
            "body": body,
        }
        return (Event(f"commsease.neroom-{name.lower().replace('_', '-')}", payload),)

    def _room(self, room: _Room, **fields: Any) -> dict[str, Any]:
        return {"roomArchiveId": room.key, "roomUuid": str(room.id % 10**6), **fields}

    def opened(self, room: _Room) -> Delivery:
        return self._event("CREATE_ROOM", room.opened, self._room(room, operatorUserUuid=self.people[0]))

    def closed(self, room: _Room, moment: int) -> Delivery:
        return self._event("CLOSE_ROOM", moment, self._room(room, operatorUserUuid=self.people[0]))

    def entered(self, room: _Room, account: str, moment: int) -> Delivery:
        return self._event("USER_JOIN_ROOM", moment, self._room(room, users=[{"userUuid": account}]))

    def left(self, room: _Room, account: str, moment: int, since: int) -> Delivery:
        return self._event("USER_LEAVE_ROOM", moment, self._room(room, users=[{"userUuid": account}]))

    def sit_down(self) -> Delivery | None:
        """Let a member take a seat."""
        found = [(room, one) for room in self.rooms for one in room.members if one not in room.seats]
        if not found:
            return None
        room, account = self.stage.pick(found)
        room.seats[account] = next(seat for seat in range(1, PEOPLE + 1) if seat not in room.seats.values())
        return self._seated(room, account, self.stage.moment(room.key, account))

    def rise(self, room: _Room, account: str) -> Delivery | None:
        if account not in room.seats:
            return None
        return self._unseated(room, account, room.seats.pop(account), self.stage.moment(room.key, account))

    def _seated(self, room: _Room, account: str, moment: int) -> Delivery:
        seat = room.seats[account]
        user = {"user_uuid": account, "name": account, "on_seat_type": 1, "timestamp": moment, "index": seat}
        body = {"room_archive_id": room.key, "user_uuid": account, "index": seat, "user": user}
        return self._event("USER_ON_SEAT", moment, body)

    def _unseated(self, room: _Room, account: str, seat: int, moment: int) -> Delivery:
        body = {"room_archive_id": room.key, "user_uuid": account, "index": seat}
        return self._event("USER_OFF_SEAT", moment, body)


class _Meetings(_Recorded):
    def _event(self, name: str, code: int, room: _Room, moment: int, **fields: Any) -> Delivery:
        body = {"meetingId": str(room.id % 10**10), "meetingUniqueId": room.id, "time": moment, **fields}
        return (Event(f"commsease.meeting-{name}", {"msgType": code, "msgBody": body}),)

    def opened(self, room: _Room) -> Delivery:
        return self._event("started", 1, room, room.opened)

    def closed(self, room: _Room, moment: int) -> Delivery:
        return self._event("ended", 3, room, moment, type=1, subject=room.name, reason=1)

    def _member(self, account: str) -> dict[str, Any]:
        number = self.number(account)
        return {"accountId": account, "deviceId": f"device-{number}", "roomUid": number}

    def entered(self, room: _Room, account: str, moment: int) -> Delivery:
        return self._event("member-joined", 5, room, moment, **self._member(account))

    def left(self, room: _Room, account: str, moment: int, since: int) -> Delivery:
        return self._event("member-left", 6, room, moment, **self._member(account))

    def recorded(self, room: _Room, moment: int) -> Delivery:
        return self._event("recording", 7, room, moment)


def _told(world: _World, *more: Any) -> Iterator[Delivery]:
    actions = {world.open: 4, world.enter: 30, world.leave: 26, world.close: 4, **dict.fromkeys(more, 6)}
    while True:
        yield world.stage.turn(actions)


def rtc_story(stage: Stage) -> Iterator[Delivery]:
    """Yield what happens in rooms of audio and video calls, endlessly."""
    world = _Calls(stage)
    return _told(world, world.record)


def neroom_story(stage: Stage) -> Iterator[Delivery]:
    """Yield what happens in rooms of NERoom, endlessly."""
    world = _Rooms(stage)
    return _told(world, world.sit_down)


def meeting_story(stage: Stage) -> Iterator[Delivery]:
    """Yield what happens in meetings, endlessly."""
    world = _Meetings(stage)
    return _told(world, world.record)
