"""People log in, talk, enter rooms, take back what they said, and log out."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from im_callback.provider_mock.contract import Event
from im_callback.provider_mock.traffic.stage import Delivery, Stage

PEOPLE, ROOMS, TEAMS = 30, 5, 4
RECENT = 40
"""Messages that can still be recalled or read."""
CLIENTS = ("AOS", "IOS", "PC", "WEB", "MAC")


@dataclass
class _Person:
    account: str
    client: str
    device: str
    address: str
    connection: str | None = None
    """None: logged out."""
    rooms: list[str] = field(default_factory=list)


@dataclass
class _Message:
    sender: _Person
    to: str
    team: bool
    server_id: str
    client_id: str
    sent: int
    read: bool = False


class _World:
    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.people = [self._person(account) for account in stage.accounts(PEOPLE)]
        self.rooms = [str(stage.number()) for _ in range(ROOMS)]
        self.teams = [str(stage.number()) for _ in range(TEAMS)]
        self.recent: deque[_Message] = deque(maxlen=RECENT)

    def _person(self, account: str) -> _Person:
        stage = self.stage
        address = ".".join(str(stage.random.randrange(1, 255)) for _ in range(4))
        return _Person(account, stage.pick(CLIENTS), stage.uuid(), address)

    def _someone(self, *, online: bool = True) -> _Person | None:
        found = [person for person in self.people if (person.connection is not None) == online]
        return self.stage.pick(found) if found else None

    def log_in(self) -> Delivery | None:
        person = self._someone(online=False)
        if person is None:
            return None
        person.client = self.stage.pick(CLIENTS)
        person.connection = self.stage.uuid()
        return _event(
            "login",
            "2",
            accid=person.account,
            clientType=person.client,
            clientIp=person.address,
            code="200",
            sdkVersion="155",
            deviceId=person.device,
            timestamp=str(self.stage.moment(person.account)),
        )

    def heartbeat(self) -> Delivery | None:
        person = self._someone()
        if person is None:
            return None
        return _event(
            "heartbeat",
            "42",
            accid=person.account,
            consid=person.connection,
            clientType=person.client,
            clientIp=person.address,
            clientPort="44772",
            deviceId=person.device,
            timestamp=str(self.stage.moment(person.account)),
        )

    def log_out(self) -> Delivery | None:
        person = self._someone()
        if person is None:
            return None
        if person.rooms:
            return self._leave(person)
        person.connection = None
        return _event(
            "logout",
            "3",
            accid=person.account,
            clientType=person.client,
            clientIp=person.address,
            code="200",
            sdkVersion="155",
            deviceId=person.device,
            logoutReason="1",
            timestamp=str(self.stage.moment(person.account)),
        )

    def say(self) -> Delivery | None:
        person = self._someone()
        if person is None:
            return None
        team = self.stage.chance(0.2)
        others = [other.account for other in self.people if other is not person]
        to = self.stage.pick(self.teams if team else others)
        sent = self.stage.moment(person.account)
        message = _Message(person, to, team, str(self.stage.number()), self.stage.uuid(), sent)
        self.recent.append(message)
        return _event(
            "conversation",
            "1",
            convType="TEAM" if team else "PERSON",
            to=to,
            fromAccount=person.account,
            fromClientType=person.client,
            fromDeviceId=person.device,
            fromNick=person.account,
            msgTimestamp=str(sent),
            msgType="TEXT",
            body=self.stage.sentence(),
            attach="",
            msgidClient=message.client_id,
            msgidServer=message.server_id,
            resendFlag="0",
        )

    def recall(self) -> Delivery | None:
        found = [message for message in self.recent if message.sender.connection is not None]
        if not found:
            return None
        message = self.stage.pick(found)
        self.recent.remove(message)
        name, code = ("team-message-recall", "8") if message.team else ("message-recall", "7")
        return _event(
            name,
            code,
            **{"from": message.sender.account},
            to=message.to,
            fromClientType=message.sender.client,
            msgId=message.server_id,
            clientId=message.client_id,
            sendTime=str(message.sent),
            deleteTime=str(self.stage.moment(message.sender.account)),
            selfMsg="Recalled a message",
        )

    def read(self) -> Delivery | None:
        online = {person.account: person for person in self.people if person.connection is not None}
        found = [one for one in self.recent if not one.team and not one.read and one.to in online]
        if not found:
            return None
        reader = self.stage.pick(found).to
        receipts = []
        for message in found:
            if message.to == reader:
                message.read = True
                moment = self.stage.moment(reader, message.sender.account)
                receipts.append(
                    {
                        "fromAccount": reader,
                        "toAccount": message.sender.account,
                        "clientType": online[reader].client,
                        "msgidClient": message.client_id,
                        "timestamp": moment,
                    }
                )
        return _event("read-receipt", "30", objects=_text(receipts))

    def enter(self) -> Delivery | None:
        person = self._someone()
        room = self.stage.pick(self.rooms)
        if person is None or room in person.rooms:
            return None
        person.rooms.append(room)
        return self._passed(person, room, "IN")

    def leave(self) -> Delivery | None:
        inside = [person for person in self.people if person.rooms]
        return self._leave(self.stage.pick(inside)) if inside else None

    def _leave(self, person: _Person) -> Delivery:
        room = self.stage.pick(person.rooms)
        person.rooms.remove(room)
        return self._passed(person, room, "OUT")

    def _passed(self, person: _Person, room: str, direction: str) -> Delivery:
        return _event(
            "chatroom-in-out",
            "9",
            roomId=room,
            event=direction,
            accid=person.account,
            clientIp=person.address,
            clientType=person.client,
            code="200",
            sdkVersion="155",
            timestamp=str(self.stage.moment(person.account, room)),
        )

    def say_in_room(self) -> Delivery | None:
        inside = [person for person in self.people if person.rooms]
        if not inside:
            return None
        person = self.stage.pick(inside)
        room = self.stage.pick(person.rooms)
        moment = str(self.stage.moment(person.account, room))
        return _event(
            "chatroom-message",
            "4",
            roomId=room,
            fromAccount=person.account,
            fromAvator="",
            fromClientType=person.client,
            fromExt="",
            fromNick=person.account,
            msgTimestamp=moment,
            msgType="TEXT",
            attach=self.stage.sentence(),
            msgidClient=self.stage.uuid(),
            resendFlag="0",
            roleInfoTimetag=moment,
        )

    def text_message(self) -> Delivery:
        moment = self.stage.moment("sms")
        number = self.stage.number()
        mobile = f"1{number % 10**10:010d}"
        if self.stage.chance(0.5):
            reply = {"mobile": mobile, "content": "TD", "replytime": _date(moment)}
            return _event("sms-uplink", "12", objects=_text([reply]))
        receipt = {
            "mobile": mobile,
            "sendid": str(number),
            "result": "DELIVRD",
            "sendTime": _date(moment - 5000),
            "reportTime": _date(moment),
            "spliced": "1",
            "templateId": 1234,
        }
        return _event("sms-receipt", "11", objects=[receipt])

    def call(self) -> Delivery | None:
        caller, callee = self._someone(), self._someone()
        if caller is None or callee is None or caller is callee:
            return None
        seconds = self.stage.random.randrange(1, 600)
        return _event(
            "call-duration",
            "5",
            channelId=str(self.stage.number()),
            createtime=str(self.stage.moment(caller.account, callee.account)),
            duration=str(2 * seconds),
            live="1",
            members=_text(
                [
                    {"accid": callee.account, "duration": seconds},
                    {"accid": caller.account, "caller": True, "duration": seconds},
                ]
            ),
            status="SUCCESS",
            type="AUDIO",
        )

    def upload(self) -> Delivery | None:
        if self._someone() is None:
            return None
        link = f"https://files.example.com/{self.stage.tag}/{self.stage.number()}"
        return _event("upload-task", "36", type="1", uploadInfo={"uploadMsg": "log", "sdkLogUrl": link})


def story(stage: Stage) -> Iterator[Delivery]:
    """Yield the deliveries of an endless story."""
    world = _World(stage)
    actions = {
        world.log_in: 8,
        world.heartbeat: 8,
        world.log_out: 6,
        world.say: 30,
        world.recall: 4,
        world.read: 8,
        world.enter: 8,
        world.leave: 4,
        world.say_in_room: 18,
        world.text_message: 2,
        world.call: 2,
        world.upload: 1,
    }
    while True:
        yield stage.turn(actions)


def _event(name: str, event_type: str, /, **fields: Any) -> Delivery:
    return (Event(f"commsease.{name}", {"eventType": event_type, **fields}),)


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _date(millis: int) -> str:
    return datetime.fromtimestamp(millis / 1000, timezone.utc).strftime("%Y-%m-%d %H:%M:%S")
