"""People who come and go, and write to each other: versions and sequences rise."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

from im_callback.provider_mock.contract import Event
from im_callback.provider_mock.traffic.stage import Delivery, Stage

PEOPLE, CONVERSATIONS = 12, 5


class _World:
    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.people = stage.accounts(PEOPLE)
        self.conversations = [f"room-{stage.tag}-{n}" for n in range(1, CONVERSATIONS + 1)]
        self.states = dict.fromkeys(self.people, "offline")
        self.versions = dict.fromkeys(self.people, 0)
        self.sequences = dict.fromkeys(self.conversations, 0)

    def come(self) -> Delivery | None:
        return self._turn("offline", "online")

    def step_away(self) -> Delivery | None:
        return self._turn("online", "away")

    def return_(self) -> Delivery | None:
        return self._turn("away", "online")

    def leave(self) -> Delivery | None:
        return self._turn("online", "offline")

    def say(self) -> Delivery | None:
        writers = [one for one, state in self.states.items() if state == "online"]
        if not writers:
            return None
        stage, conversation = self.stage, self.stage.pick(self.conversations)
        self.sequences[conversation] += 1
        data = {
            "id": stage.uuid(),
            "conversation": conversation,
            "sequence": self.sequences[conversation],
            "sender": stage.pick(writers),
        }
        if stage.chance(0.2):
            data |= {"kind": "image", "url": f"https://files.example.com/{stage.uuid()}.jpg"}
        else:
            data |= {"kind": "text", "text": stage.sentence()}
        return (self._event("message.created", conversation, data),)

    def _turn(self, before: str, after: str) -> Delivery | None:
        people = [one for one, state in self.states.items() if state == before]
        if not people:
            return None
        who = self.stage.pick(people)
        self.states[who] = after
        self.versions[who] += 1
        return (self._event("presence.changed", who, {"user": who, "state": after, "version": self.versions[who]}),)

    def _event(self, kind: str, concerned: str, data: dict[str, Any]) -> Event:
        moment = datetime.fromtimestamp(self.stage.moment(concerned) / 1000, timezone.utc)
        timestamp = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return Event(f"acme.{kind.replace('.', '-')}", {"type": kind, "timestamp": timestamp, "data": data})


def story(stage: Stage) -> Iterator[Delivery]:
    """Yield the deliveries of an endless story."""
    world = _World(stage)
    actions = {world.come: 8, world.step_away: 4, world.return_: 4, world.leave: 6, world.say: 60}
    while True:
        yield stage.turn(actions)
