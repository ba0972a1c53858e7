"""People ask for what clients can ask for: to log in, talk, recall, make friends, found teams, call and enter rooms."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from im_callback.provider_mock.contract import Event
from im_callback.provider_mock.traffic.stage import Delivery, Stage

PEOPLE, ROOMS, TEAMS = 30, 5, 12
RECENT = 40
"""Messages that can still be recalled."""
CLIENTS = ("AOS", "IOS", "PC", "WEB", "MAC")


@dataclass
class _Person:
    account: str
    client: str
    device: str
    address: str
    online: bool = False


@dataclass
class _Message:
    sender: _Person
    to: str
    team: bool
    client_id: str
    server_id: int
    sent: int


class _World:
    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.people = [self._person(account) for account in stage.accounts(PEOPLE)]
        self.rooms = [stage.number() for _ in range(ROOMS)]
        self.teams: deque[int] = deque((stage.number() for _ in range(2)), maxlen=TEAMS)
        self.recent: deque[_Message] = deque(maxlen=RECENT)

    def _person(self, account: str) -> _Person:
        stage = self.stage
        address = ".".join(str(stage.random.randrange(1, 255)) for _ in range(4))
        return _Person(account, stage.pick(CLIENTS), stage.uuid(), address)

    def _someone(self, *, online: bool = True) -> _Person | None:
        found = [person for person in self.people if person.online == online]
        return self.stage.pick(found) if found else None

    def _other(self, person: _Person) -> str:
        return self.stage.pick([one.account for one in self.people if one is not person])

    def _asked(self, person: _Person, **fields: Any) -> dict[str, Any]:
        return {
            "fromAccount": person.account,
            "fromClientType": person.client,
            "fromDeviceId": person.device,
            **fields,
            "timestamp": str(self.stage.moment(person.account)),
        }

    def log_in(self) -> Delivery | None:
        person = self._someone(online=False)
        if person is None:
            return None
        person.online = True
        person.client = self.stage.pick(CLIENTS)
        return _question(
            "login",
            36,
            self._asked(person, **_net(person), authType=1, autoLogin=False, loginExt="", token=self.stage.uuid()),
        )

    def say(self) -> Delivery | None:
        person = self._someone()
        if person is None:
            return None
        team, room = self.stage.chance(0.3), self.stage.chance(0.2)
        to = self.stage.pick(self.rooms) if room else self.stage.pick(self.teams) if team else self._other(person)
        name, code = ("chatroom-message", 6) if room else ("team-message", 2) if team else ("message", 1)
        client_id, sent = self.stage.uuid(), self.stage.moment(person.account)
        if not room:
            self.recent.append(_Message(person, str(to), team, client_id, self.stage.number(), sent))
        fields = {
            "body": self.stage.sentence(),
            "fromAccount": person.account,
            "fromClientType": person.client,
            "fromDeviceId": person.device,
            "fromNick": person.account,
            "msgTimestamp": str(sent),
            "msgType": "TEXT",
            "msgidClient": client_id,
            "to": str(to),
            **_net(person),
        }
        return _question(name, code, fields)

    def recall(self) -> Delivery | None:
        if not self.recent:
            return None
        message = self.stage.pick(self.recent)
        self.recent.remove(message)
        sender = message.sender
        asked = self._asked(
            sender,
            **_net(sender),
            msgFromAccid=sender.account,
            msgId=message.server_id,
            msgidClient=message.client_id,
            opeType=8 if message.team else 7,
            time=message.sent,
            toAccount=message.to,
        )
        return _question("message-recall", 35, asked)

    def befriend(self) -> Delivery | None:
        person = self._someone()
        if person is None:
            return None
        friend = self._other(person)
        if self.stage.chance(0.2):
            return _question("friend-delete", 5, self._asked(person, toAccount=friend))
        asked = self._asked(person, msg=self.stage.sentence(), toAccount=friend, verifyType=2)
        return _question("friend-add", 4, asked)

    def found(self) -> Delivery | None:
        person = self._someone()
        if person is None:
            return None
        # The callback has no id of the team yet.
        self.teams.append(self.stage.number())
        asked = self._asked(person, inviteList=[self._other(person)], level=200, tname=self.stage.sentence(), type=1)
        asked["creator"] = asked.pop("fromAccount")
        return _question("team-create", 7, asked)

    def invite(self) -> Delivery | None:
        person = self._someone()
        if person is None:
            return None
        team, others = self.stage.pick(self.teams), [self._other(person)]
        if self.stage.chance(0.3):
            return _question("team-kick", 14, self._asked(person, kickList=others, tid=team))
        asked = self._asked(person, beinvitemode=1, inviteList=others, msg=self.stage.sentence(), tid=team)
        return _question("team-invite", 9, asked)

    def call(self) -> Delivery | None:
        person = self._someone()
        if person is None:
            return None
        asked = self._asked(person, **_net(person), callType=1, forceKeepCalling=False, notifyAttach="")
        return _question("call", 20, {**asked, "toAccountList": [self._other(person)]})

    def enter(self) -> Delivery | None:
        person = self._someone()
        if person is None:
            return None
        fields = {"anonymous": False, "nick": person.account, "roomid": self.stage.pick(self.rooms), "tags": "[]"}
        return _question("chatroom-login", 37, self._asked(person, **_net(person), **fields))

    def change(self) -> Delivery | None:
        person = self._someone()
        if person is None:
            return None
        fields = {
            "account": person.account,
            "clientType": person.client,
            "deviceId": person.device,
            "sign": self.stage.sentence(),
            "timestamp": str(self.stage.moment(person.account)),
        }
        return _question("profile", 3, fields)

    def leave(self) -> Delivery | None:
        """Let somebody go, which nobody is asked about, and have somebody else log in."""
        person = self._someone()
        if person is not None:
            person.online = False
        return self.log_in()


def story(stage: Stage) -> Iterator[Delivery]:
    """Yield the deliveries of an endless story."""
    world = _World(stage)
    actions = {
        world.log_in: 8,
        world.say: 60,
        world.recall: 5,
        world.befriend: 6,
        world.found: 2,
        world.invite: 4,
        world.call: 3,
        world.enter: 8,
        world.change: 2,
        world.leave: 4,
    }
    while True:
        yield stage.turn(actions)


def _net(person: _Person) -> dict[str, Any]:
    return {"fromClientIp": person.address, "fromClientPort": "44772"}


def _question(name: str, code: int, fields: dict[str, Any]) -> Delivery:
    # The vendor's samples have their keys in alphabetical order.
    return (Event(f"commsease.third-party-{name}", dict(sorted({**fields, "eventType": code}.items()))),)
