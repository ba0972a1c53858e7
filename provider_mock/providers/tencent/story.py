"""People who come online and leave, write to each other, read, recall and change it, and meet in groups.

Of two messages the later one has the greater MsgTime, or the same and the greater MsgSeq; of a group's, MsgSeq rises
from 1. Groups' times are texts, as in the samples.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from im_callback.provider_mock.contract import Event
from im_callback.provider_mock.traffic.composed import message_key

if TYPE_CHECKING:
    from im_callback.provider_mock.traffic.stage import Delivery, Stage

PEOPLE = 20
GROUPS = 5
RECENT = 40
"""Messages that can still be read, recalled or changed."""
FAILED = 0.04
"""How often a message cannot be sent."""
FAILURE = (20006, "msg is blocked by the app's own rules")
SUCCESS = (0, "send msg succeed")
ENDS = (("Logout", "Unregister"), ("Disconnect", "LinkClose"), ("Disconnect", "TimeOut"))
PLATFORMS = ("iOS", "Android", "Web", "Windows", "iPad", "Mac", "Linux")
TYPES = ("Public", "Work", "Meeting")
NAMES = ("Book club", "周末爬山", "Family", "项目组", "Five-a-side ⚽")
MEETINGS = "groups"
"""Groups are made and dissolved for ever: one time for all of them, so that no group need be remembered for its own."""


@dataclass
class _Message:
    sender: str
    to: str
    key: str
    time: int
    numbers: dict[str, int]
    version: int = 0


@dataclass
class _Group:
    name: str
    type: str
    owner: str
    members: list[str]
    last: int = 0
    recent: deque[int] = field(default_factory=lambda: deque(maxlen=5))


class _Cast:
    """Who takes part, and how they write."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.people = stage.accounts(PEOPLE)
        # MsgSeq has 32 bits; it begins low enough to rise for as long as any run lasts.
        self.sequence = dict.fromkeys(self.people, stage.random.randrange(1, 10**6))

    def pair(self) -> tuple[str, str]:
        sender = self.stage.pick(self.people)
        return sender, self.stage.pick([other for other in self.people if other != sender])

    def some(self, most: int) -> list[str]:
        return self.stage.random.sample(self.people, self.stage.random.randint(2, most))

    def numbers(self, sender: str) -> dict[str, int]:
        self.sequence[sender] += 1
        return {
            "MsgSeq": self.sequence[sender],
            "MsgRandom": self.stage.random.getrandbits(32),
            "MsgTime": self.stage.moment() // 1000,
        }

    def group_id(self) -> str:
        return f"@TGS#{self.stage.tag}{self.stage.number() % 10**9}"

    def time(self) -> str:
        return str(self.stage.moment(MEETINGS))

    def body(self) -> list[dict[str, Any]]:
        stage = self.stage
        body: list[dict[str, Any]] = [{"MsgType": "TIMTextElem", "MsgContent": {"Text": stage.sentence()}}]
        if stage.chance(0.2):
            face = {"Index": stage.random.randrange(1, 100), "Data": "smile"}
            body.append({"MsgType": "TIMFaceElem", "MsgContent": face})
        return body


class _World(_Cast):
    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self.online: set[str] = set()
        self.unread: dict[tuple[str, str], int] = {}
        self.read_until: dict[tuple[str, str], int] = {}
        self.recent: deque[_Message] = deque(maxlen=RECENT)
        self.groups: list[_Group] = []

    # Accounts.

    def come(self) -> Delivery | None:
        away = [one for one in self.people if one not in self.online]
        return self._state(self.stage.pick(away), "Login", "Register") if away else None

    def go(self) -> Delivery | None:
        here = [one for one in self.people if one in self.online]
        return self._state(self.stage.pick(here), *self.stage.pick(ENDS)) if here else None

    def _state(self, account: str, action: str, reason: str) -> Delivery:
        payload: dict[str, Any] = {
            "CallbackCommand": "State.StateChange",
            "EventTime": self.stage.moment(account),
            "Info": {"Action": action, "To_Account": account, "Reason": reason},
        }
        if action == "Login":
            self.online.add(account)
            if self.stage.chance(0.1):
                payload["KickedDevice"] = [{"Platform": self.stage.pick(PLATFORMS)}]
        else:
            self.online.discard(account)
        return (Event("tencent.state-change", payload),)

    # One to one.

    def message(self) -> Delivery:
        sender, to = self.pair()
        numbers = self.numbers(sender)
        result, information = FAILURE if self.stage.chance(FAILED) else SUCCESS
        # Who writes has read what was written to him.
        self.unread.pop((to, sender), None)
        if result == 0:
            self.unread[sender, to] = self.unread.get((sender, to), 0) + 1
            self.recent.append(_Message(sender, to, message_key(numbers), numbers["MsgTime"], numbers))
        return _event(
            "c2c-after-send",
            "C2C.CallbackAfterSendMsg",
            From_Account=sender,
            To_Account=to,
            **numbers,
            MsgKey=message_key(numbers),
            OnlineOnlyFlag=0,
            SendMsgResult=result,
            ErrorInfo=information,
            UnreadMsgNum=self.unread.get((sender, to), 0) if result == 0 else -1,
            MsgBody=self.body(),
            CloudCustomData="",
        )

    def read(self) -> Delivery | None:
        def told(one: _Message) -> int:
            return self.read_until.get((one.to, one.sender), 0)

        unread = [one for one in self.recent if one.time > told(one)]
        if not unread:
            return None
        one = self.stage.pick(unread)
        self.unread.pop((one.sender, one.to), None)
        self.read_until[one.to, one.sender] = one.time
        return _event(
            "c2c-after-read",
            "C2C.CallbackAfterMsgReport",
            Report_Account=one.to,
            Peer_Account=one.sender,
            LastReadTime=one.time,
            UnreadMsgNum=sum(number for (_, to), number in self.unread.items() if to == one.to),
        )

    def recall(self) -> Delivery | None:
        if not self.recent:
            return None
        one = self.stage.pick(self.recent)
        self.recent.remove(one)
        return _event(
            "c2c-after-recall",
            "C2C.CallbackAfterMsgWithDraw",
            **_named(one),
            UnreadMsgNum=self.unread.get((one.sender, one.to), 0),
        )

    def modify(self) -> Delivery | None:
        if not self.recent:
            return None
        one = self.stage.pick(self.recent)
        return _event(
            "c2c-after-modify",
            "C2C.CallbackAfterModifyMsg",
            CloudCustomData="",
            MsgBody=self.body(),
            Operator_Account=one.sender,
            **_named(one),
            **one.numbers,
            EventTime=self.stage.moment(one.sender),
        )

    def extend(self) -> Delivery | None:
        if not self.recent:
            return None
        one = self.stage.pick(self.recent)
        one.version += 1
        extension = {"Key": "poll", "Value": self.stage.sentence(), "Seq": one.version}
        return _event(
            "c2c-after-extension",
            "C2C.CallbackAfterC2CMsgExtension",
            **_named(one),
            OperateType=1,
            ExtensionList=[extension],
            Seq=one.version,
            EventTime=self.stage.moment(one.sender),
        )

    # Groups.

    def found(self) -> Delivery | None:
        if len(self.groups) == GROUPS:
            return None
        owner, *others = self.some(6)
        one = _Group(self.group_id(), self.stage.pick(TYPES), owner, [owner, *others])
        self.groups.append(one)
        return _event(
            "group-after-create",
            "Group.CallbackAfterCreateGroup",
            GroupId=one.name,
            Operator_Account=owner,
            Owner_Account=owner,
            Type=one.type,
            Name=self.stage.pick(NAMES),
            MemberList=_members(one.members),
            EventTime=self.time(),
        )

    def disband(self) -> Delivery | None:
        if len(self.groups) < GROUPS:
            return None
        one = self.stage.pick(self.groups)
        self.groups.remove(one)
        return self._of(
            one, "group-after-disband", "GroupDestroyed", Owner_Account=one.owner, MemberList=_members(one.members)
        )

    def say(self) -> Delivery | None:
        if not self.groups:
            return None
        one = self.stage.pick(self.groups)
        sender = self.stage.pick(one.members)
        one.last += 1
        one.recent.append(one.last)
        return self._of(
            one,
            "group-after-send",
            "SendMsg",
            From_Account=sender,
            Operator_Account=sender,
            Random=self.stage.random.getrandbits(32),
            MsgSeq=one.last,
            MsgTime=self.stage.moment() // 1000,
            OnlineOnlyFlag=0,
            MsgBody=self.body(),
            CloudCustomData="",
        )

    def take_back(self) -> Delivery | None:
        found = [one for one in self.groups if one.recent]
        if not found:
            return None
        one = self.stage.pick(found)
        number = self.stage.pick(one.recent)
        one.recent.remove(number)
        return self._of(
            one, "group-after-recall", "RecallMsg", Operator_Account=one.owner, MsgSeqList=[{"MsgSeq": number}]
        )

    def join(self) -> Delivery | None:
        found = [one for one in self.groups if len(one.members) < PEOPLE]
        if not found:
            return None
        one = self.stage.pick(found)
        new = self.stage.pick([other for other in self.people if other not in one.members])
        one.members.append(new)
        invited = self.stage.chance(0.5)
        return self._of(
            one,
            "group-after-join",
            "NewMemberJoin",
            JoinType="Invited" if invited else "Apply",
            Operator_Account=one.owner if invited else new,
            NewMemberList=_members([new]),
        )

    def leave(self) -> Delivery | None:
        found = [one for one in self.groups if len(one.members) > 2]
        if not found:
            return None
        one = self.stage.pick(found)
        gone = self.stage.pick([other for other in one.members if other != one.owner])
        one.members.remove(gone)
        kicked = self.stage.chance(0.3)
        return self._of(
            one,
            "group-after-leave",
            "MemberExit",
            ExitType="Kicked" if kicked else "Quit",
            Operator_Account=one.owner if kicked else gone,
            ExitMemberList=_members([gone]),
        )

    def announce(self) -> Delivery | None:
        # Of a group always the same field: what is sent is only what has changed.
        one = self.stage.pick(self.groups) if self.groups else None
        if one is None:
            return None
        return self._of(
            one,
            "group-after-info-change",
            "GroupInfoChanged",
            Operator_Account=one.owner,
            Notification=self.stage.sentence(),
        )

    def hand_over(self) -> Delivery | None:
        one = self.stage.pick(self.groups) if self.groups else None
        if one is None:
            return None
        old = one.owner
        one.owner = self.stage.pick([other for other in one.members if other != old])
        return self._of(
            one,
            "group-after-owner-change",
            "ChangeGroupOwner",
            Operator_Account=old,
            OldOwner_Account=old,
            NewOwner_Account=one.owner,
        )

    def _of(self, one: _Group, kind: str, command: str, **fields: Any) -> Delivery:
        code = f"Group.CallbackAfter{command}"
        return _event(kind, code, GroupId=one.name, Type=one.type, **fields, EventTime=self.time())


class _Questions(_Cast):
    def message(self) -> Delivery:
        sender, to = self.pair()
        numbers = self.numbers(sender)
        return _event(
            "c2c-before-send",
            "C2C.CallbackBeforeSendMsg",
            From_Account=sender,
            To_Account=to,
            **numbers,
            MsgKey=message_key(numbers),
            OnlineOnlyFlag=0,
            MsgBody=self.body(),
            CloudCustomData="",
        )

    def say(self) -> Delivery:
        sender = self.stage.pick(self.people)
        return _event(
            "group-before-send",
            "Group.CallbackBeforeSendMsg",
            GroupId=self.group_id(),
            Type=self.stage.pick(TYPES),
            From_Account=sender,
            Operator_Account=sender,
            Random=self.stage.random.getrandbits(32),
            OnlineOnlyFlag=0,
            MsgBody=self.body(),
            CloudCustomData="",
            EventTime=self.time(),
        )

    def found(self) -> Delivery:
        owner, *others = self.some(6)
        return _event(
            "group-before-create",
            "Group.CallbackBeforeCreateGroup",
            Operator_Account=owner,
            Owner_Account=owner,
            Type=self.stage.pick(TYPES),
            Name=self.stage.pick(NAMES),
            CreateGroupNum=self.stage.random.randrange(10),
            MemberList=_members(others),
            EventTime=self.time(),
        )

    def apply(self) -> Delivery:
        return _event(
            "group-before-apply-join",
            "Group.CallbackBeforeApplyJoinGroup",
            GroupId=self.group_id(),
            Type=self.stage.pick(TYPES),
            Requestor_Account=self.stage.pick(self.people),
            EventTime=self.time(),
        )

    def invite(self) -> Delivery:
        host, *guests = self.some(4)
        return _event(
            "group-before-invite-join",
            "Group.CallbackBeforeInviteJoinGroup",
            GroupId=self.group_id(),
            Type=self.stage.pick(TYPES),
            Operator_Account=host,
            DestinationMembers=_members(guests),
            EventTime=self.time(),
        )


def after(stage: Stage) -> Iterator[Delivery]:
    """Yield what an endless story tells."""
    world = _World(stage)
    actions = {
        world.message: 24,
        world.come: 5,
        world.go: 3,
        world.read: 6,
        world.recall: 2,
        world.modify: 2,
        world.extend: 1,
        world.say: 14,
        world.found: 2,
        world.join: 4,
        world.leave: 3,
        world.take_back: 1,
        world.announce: 1,
        world.hand_over: 1,
        world.disband: 1,
    }
    while True:
        yield stage.turn(actions)


def before(stage: Stage) -> Iterator[Delivery]:
    """Yield what an endless story asks."""
    world = _Questions(stage)
    while True:
        yield stage.turn({world.message: 10, world.say: 6, world.found: 1, world.apply: 2, world.invite: 1})


def _event(kind: str, command: str, **fields: Any) -> Delivery:
    return (Event(f"tencent.{kind}", {"CallbackCommand": command, **fields}),)


def _named(one: _Message) -> dict[str, str]:
    return {"From_Account": one.sender, "To_Account": one.to, "MsgKey": one.key}


def _members(accounts: list[str]) -> list[dict[str, str]]:
    return [{"Member_Account": one} for one in accounts]
