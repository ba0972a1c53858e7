"""Rooms whose attributes are set, changed and deleted, each time with a higher version, and now and then cleared."""

from __future__ import annotations

from collections.abc import Iterator

from im_callback.provider_mock.contract import Event
from im_callback.provider_mock.traffic.stage import Delivery, Stage

PEOPLE, ROOMS = 20, 6
KEYS = ("topic", "host", "score", "mic-1", "mic-2", "mic-3", "mic-4", "gift", "notice", "mood", "theme", "level")
SET, DELETE, CLEAR = 1, 2, 3


class _World:
    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.people = stage.accounts(PEOPLE)
        # What is set in each room, with its value; a dictionary keeps the order in which keys were set.
        self.rooms: dict[str, dict[str, str]] = {f"room-{stage.tag}-{n}": {} for n in range(1, ROOMS + 1)}

    def put(self) -> Delivery:
        return (self._put(self._room()),)

    def delete(self) -> Delivery | None:
        room = self._room()
        return (self._delete(room),) if self.rooms[room] else None

    def clear(self) -> Delivery | None:
        room = self._room()
        if not self.rooms[room]:
            return None
        self.rooms[room].clear()
        return (self._entry(room, CLEAR),)

    def several(self) -> Delivery:
        room = self._room()
        return tuple(
            self._delete(room) if self.rooms[room] and self.stage.chance(0.25) else self._put(room)
            for _ in range(self.stage.random.randrange(2, 6))
        )

    def _room(self) -> str:
        return self.stage.pick(list(self.rooms))

    def _put(self, room: str) -> Event:
        key, value = self.stage.pick(KEYS), self.stage.sentence()
        self.rooms[room][key] = value
        return self._entry(room, SET, key=key, value=value)

    def _delete(self, room: str) -> Event:
        key = self.stage.pick(list(self.rooms[room]))
        return self._entry(room, DELETE, key=key, value=self.rooms[room].pop(key))

    def _entry(self, room: str, kind: int, **fields: str) -> Event:
        moment = self.stage.moment(room)
        payload = {
            "chatroomId": room,
            "optType": kind,
            "userId": self.stage.pick(self.people),
            **fields,
            "status": "2",
            "timestamp": moment,
            "version": moment,
        }
        return Event("rongcloud.chatroom-kv", payload)


def story(stage: Stage) -> Iterator[Delivery]:
    """Yield the deliveries of an endless story."""
    world = _World(stage)
    actions = {world.put: 62, world.delete: 15, world.clear: 3, world.several: 20}
    while True:
        yield stage.turn(actions)
