"""A good receiver of all feeds of Tencent's, and mutants of it, written without the packages that they are judged by."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, ClassVar

from tests.receivers.good import TENCENT_OK, Answer, Entry, Good, Kind, Request, look, text

C2C = ("From_Account", "To_Account", "MsgKey")
LIFE = Kind("group", ("GroupId", "EventTime"), ("EventTime",), ("GroupId",))
IN_GROUP = ("GroupId", "EventTime")
MEMBERS = ("GroupId", "EventTime", "Member_Account")
AFTER: Mapping[str, Kind] = {
    "C2C.CallbackAfterSendMsg": Kind("c2c", C2C, ("MsgTime", "MsgSeq")),
    "C2C.CallbackAfterMsgReport": Kind(
        "read",
        ("Report_Account", "Peer_Account", "LastReadTime"),
        ("LastReadTime",),
        ("Report_Account", "Peer_Account"),
    ),
    "C2C.CallbackAfterMsgReadReceipt": Kind("receipt", C2C, each="C2CMsgInfo"),
    "C2C.CallbackAfterMsgReadAll": Kind(
        "read-all", ("Report_Account", "EventTime"), ("EventTime",), ("Report_Account",)
    ),
    "C2C.CallbackAfterMsgWithDraw": Kind("recall", C2C),
    "C2C.CallbackAfterModifyMsg": Kind("modified", (*C2C, "EventTime"), ("EventTime",), C2C),
    "C2C.CallbackAfterC2CMsgExtension": Kind("extension", (*C2C, "Seq"), ("Seq",), C2C),
    "State.StateChange": Kind(
        "presence", ("Info.To_Account", "Info.Action", "EventTime"), ("EventTime",), ("Info.To_Account",)
    ),
    "Group.CallbackAfterCreateGroup": LIFE,
    "Group.CallbackAfterGroupDestroyed": LIFE,
    "Group.CallbackAfterNewMemberJoin": Kind("member", MEMBERS, each="NewMemberList"),
    "Group.CallbackAfterMemberExit": Kind("member", MEMBERS, each="ExitMemberList"),
    "Group.CallbackAfterSendMsg": Kind("group-message", ("GroupId", "TopicId", "MsgSeq"), ("MsgSeq",)),
    "Group.CallbackAfterRecallMsg": Kind("group-recall", ("GroupId", "TopicId", "MsgSeq"), each="MsgSeqList"),
    "Group.CallbackAfterModifyMsg": Kind(
        "group-modified",
        ("GroupId", "TopicId", "MsgSeq", "EventTime"),
        ("EventTime",),
        ("GroupId", "TopicId", "MsgSeq"),
    ),
    "Group.CallbackAfterGroupMsgExtension": Kind(
        "group-extension", ("GroupId", "MsgSeq", "Seq"), ("Seq",), ("GroupId", "MsgSeq")
    ),
    "Group.CallbackAfterReadReceipt": Kind(
        "group-receipt", ("GroupId", "EventTime", "MsgSeq"), each="GroupMsgReceiptList"
    ),
    "Group.CallbackSendMsgException": Kind("unsent", ("GroupId", "Random")),
    "Group.CallbackAfterGroupFull": Kind("full", IN_GROUP),
    "Group.CallbackAfterGroupInfoChanged": Kind("info", IN_GROUP, ("EventTime",), ("GroupId",)),
    "Group.CallbackAfterChangeGroupOwner": Kind("owner", IN_GROUP, ("EventTime",), ("GroupId",)),
    "Group.CallbackAfterMemberFieldChanged": Kind(
        "card", ("GroupId", "Modified_Account", "EventTime"), ("EventTime",), ("GroupId", "Modified_Account")
    ),
    "Group.CallbackAfterGroupAttrChanged": Kind("attributes", IN_GROUP, ("EventTime",), ("GroupId",)),
    "Group.CallbackAfterCreateTopic": Kind("topic", ("GroupId", "TopicId")),
    "Bot.OnC2CMessage": Kind("bot-c2c", C2C, ("MsgTime", "MsgSeq")),
    "Bot.OnGroupMessage": Kind("bot-group", ("GroupId", "MsgSeq"), ("MsgSeq",)),
    "Profile.CallbackPortraitSet": Kind("profile", ("From_Account", "EventTime")),
    "OfficialAccount.CallbackAfterSendMsg": Kind("official", ("Official_Account", "MsgKey"), ("MsgTime",)),
    "Sns.CallbackFriendAdd": Kind("friends"),
}
"""What it keeps of what has happened; the others it acknowledges."""
PUSH = Kind("push", ("PushID", "TaskId", "To_Account", "PushPlatform", "PushStage"), each="Events")
OTHERS: Mapping[str, Kind] = {
    "Push.OfflinePush": PUSH,
    "Push.AllMemberPush": PUSH,
    "ContentCallback.ResultNotify": Kind("moderation", ("CtxcbRequestId",)),
    "Room.CallbackAfterCreateRoom": Kind("room", ("RoomInfo.RoomId", "EventTime")),
    "Room.CallbackAfterDestroyRoom": Kind("room", ("RoomId", "EventTime")),
    "Mic.CallbackAfterSeatInfoChanged": Kind("seats", ("RoomId", "EventTime")),
    "Live.CallbackAfterCreateBattle": Kind("battle", ("BattleId",)),
    "Live.CallbackAfterEndBattle": Kind("battle", ("BattleId",)),
    "Live.CallbackAfterChangeOwner": Kind("live-owner", ("RoomId", "EventTime"), ("EventTime",), ("RoomId",)),
    "Live.CallbackAfterSetMetadata": Kind("metadata", ("RoomId", "EventTime")),
}
CALL_EVENT = Kind(
    "call-event", ("CallId", "UserId", "Role", "Event", "EventTime"), ("EventTime",), ("CallId", "UserId")
)
CALL_STATUS = Kind("call-status", ("CallId", "UserId"))
ASKED: Mapping[str, Kind] = {
    "C2C.CallbackBeforeSendMsg": Kind("asked-c2c", C2C, ("MsgTime", "MsgSeq")),
    "Group.CallbackBeforeSendMsg": Kind("asked-group", ("GroupId", "Random")),
    "Group.CallbackBeforeApplyJoinGroup": Kind("applied", ("GroupId", "Requestor_Account", "EventTime")),
}
"""What it keeps of what it is asked, if it keeps any of it."""
FORBIDDEN = "forbidden"
ASKS_FRIENDS = {"Sns.CallbackPrevFriendAdd": "FriendItem", "Sns.CallbackPrevFriendResponse": "ResponseFriendItem"}


class Webhooks(Good):
    """Verifies, keeps what has happened once and in order, and lets happen whatever is not forbidden."""

    asked: ClassVar[bool] = False
    """Whether it also keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__("tencent")

    def receive(self, request: Request) -> Answer:
        answer = super().receive(request)
        return self.decided(request) if answer.status == 200 and answer.body == TENCENT_OK else answer

    def from_tencent(self, request: Request) -> bool:
        # A call is not signed at all.
        if self.parameter(request, "sdkappid"):
            return self.same_app(self.parameter(request, "sdkappid"))
        return super().from_tencent(request)

    def command(self, request: Request) -> str:
        """Return the command that the query names."""
        return self.parameter(request, "CallbackCommand") or self.parameter(request, "command")

    def code(self, request: Request, item: dict[str, Any]) -> str:
        named = text(item.get("CallbackCommand"))
        if named and named != self.command(request):
            raise ValueError("URL and body name two commands")
        return self.command(request)

    def kind(self, request: Request, code: str, item: dict[str, Any]) -> Kind | None:
        """Return what an object is; None if it is nothing to us."""
        if self.parameter(request, "sdkappid"):
            return CALL_EVENT if "Event" in item else CALL_STATUS
        return AFTER.get(code) or OTHERS.get(code) or (ASKED.get(code) if self.asked else None)

    def entries_of(self, request: Request, item: dict[str, Any]) -> Iterable[Entry]:
        code = self.code(request, item)
        kind = self.kind(request, code, item)
        if kind is None or not self.happened(item):
            return []
        item = {"CallbackCommand": code, **item} if not self.parameter(request, "sdkappid") else item
        return [self.entry(kind, code, one) for one in self.parts(kind, item)]

    def parts(self, kind: Kind, item: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the things that an object tells of, each with what is said of all of them."""
        if not kind.each:
            return [item]
        found = item.get(kind.each)
        if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
            raise ValueError(f"{kind.each} is no list of objects")
        around = {name: value for name, value in item.items() if name != kind.each}
        return [{**around, **one} for one in found]

    def entry(self, kind: Kind, code: str, item: dict[str, Any]) -> Entry:
        for path in kind.identity:
            if isinstance(look(item, path), (dict, list)):
                # The caller answers what is no payload of the provider's.
                raise ValueError(f"{path} is no text")  # noqa: TRY004
        found = super().entry(kind, code, item)
        return replace(found, place=found.at if not found.scope else ())

    # Decisions

    def decided(self, request: Request) -> Answer:
        """Return what the page of the command has as an answer."""
        item = json.loads(self.decode(request.body))
        return Answer(200, json.dumps(self.answer(self.command(request), item)))

    def answer(self, command: str, item: Any) -> dict[str, Any]:
        """Return the answer to a command."""
        said = {"ActionStatus": "OK", "ErrorInfo": "", "ErrorCode": 0}
        if command in ASKS_FRIENDS:
            asked = item.get(ASKS_FRIENDS[command], []) if isinstance(item, dict) else []
            asked = [one for one in asked if isinstance(one, dict)] if isinstance(asked, list) else []
            results = [{"To_Account": text(one.get("To_Account")), "ResultCode": 0, "ResultInfo": ""} for one in asked]
            return {**said, "ResultItem": results}
        if command == "Chatbot.OnC2CSignalMessage":
            return {**said, "RspData": "received"}
        if "CallbackBefore" in command and FORBIDDEN in json.dumps(item):
            return {**said, "ErrorInfo": "not here", "ErrorCode": 1}
        return said


class KeepsQuestions(Webhooks):
    """Also keeps what it was asked."""

    asked = True


class Broken(Webhooks):
    """A receiver with one defect. `caught_by` are the checks that fail, by feed, without the provider's name."""

    caught_by: ClassVar[Mapping[str, set[str]]]
    deadline: ClassVar[float | None] = None
    """How many seconds it has, where it must not take the real ones."""


REJECTS = {
    "signature.rejects-wrong-secret",
    "signature.rejects-empty-secret",
    "signature.rejects-key-as-secret",
    "signature.rejects-altered-time",
    "signature.rejects-missing",
    "signature.rejects-truncated-signature",
}
"""Every check for a bad signature of the right application and time."""
REPEATS = {
    "deduplication.far-apart",
    "deduplication.retry-after-lost-ack",
    "deduplication.retry-after-timeout",
    "deduplication.same-request-again",
    "deduplication.retry-signed-afresh",
    "deduplication.retry-reformatted",
    "deduplication.concurrent",
}
STALE = {
    "ordering.stale-ignored",
    "ordering.newest-wins",
    "ordering.order-field-decides",
    "ordering.versions-at-once",
}
LISTED = {"ordering.listed-in-order", "ordering.order-beyond-31-bits"}
DOUBLED = "deduplication.nothing-doubled"
VISIBLE = "signature.refusal-is-visible"
NO_DECISION = "decision.refusal-is-no-decision"


class BelievesAnySign(Broken):
    """Does not look at Sign."""

    caught_by: ClassVar = dict.fromkeys(("after", "push", "moderation", "room", "live"), REJECTS)

    def signed(self, given: str, fixed: Any, numbers: Any) -> bool:
        return True


class ServesAnybody(Broken):
    """Does not compare the application."""

    caught_by: ClassVar = {
        **{feed: {"signature.rejects-foreign-app"} for feed in ("after", "push", "call", "live")},
        "before": {"signature.rejects-foreign-app", VISIBLE},
    }

    def same_app(self, key: str) -> bool:
        return True


class RefusesWith200(Broken, KeepsQuestions):
    """Says to a question that it does not believe what it says to one that it refuses."""

    caught_by: ClassVar = {
        "before": {VISIBLE, NO_DECISION},
        # Of gifts nothing is kept: that the same question is answered otherwise tells that this one is refused.
        "live-before": {VISIBLE, NO_DECISION},
    }

    def refusal(self) -> Answer:
        return Answer(200, '{"ActionStatus":"FAIL","ErrorInfo":"invalid sign","ErrorCode":1}')


class KeepsRepeats(Broken):
    """Keeps whatever comes."""

    caught_by: ClassVar = {
        **{feed: {*REPEATS, DOUBLED} for feed in ("after", "call")},
        **dict.fromkeys(("push", "room"), REPEATS),
    }

    def repeated(self, entry: Entry) -> bool:
        return False


class ByArrival(Broken):
    """Shows everything as it came."""

    caught_by: ClassVar = {
        "after": {*STALE, *LISTED, "ordering.late-after-removal", "ordering.late-removal"},
        **dict.fromkeys(("call", "live"), STALE),
    }

    def stale(self, entry: Entry) -> bool:
        return False

    def show(self, entry: Entry) -> None:
        self.entries.append(entry)


class SlowAboutTopics(Broken):
    """Thinks for too long before it lets a topic be created."""

    caught_by: ClassVar = {"before": {"acknowledgement.within-deadline", "decision.decides-in-time"}}
    deadline = 0.4
    wired = True

    def answer(self, command: str, item: Any) -> dict[str, Any]:
        if command == "Group.CallbackBeforeCreateTopic":
            self.stopped.wait(0.8)
        return super().answer(command, item)


class SaysSuccess(Broken):
    """Answers every question with a text that is no JSON."""

    caught_by: ClassVar = {feed: {"preflight.accepts-valid"} for feed in ("before", "live-before")}

    def decided(self, request: Request) -> Answer:
        return Answer(200, "success")


class TimesAreText(Broken):
    """Reads EventTime as text, as the international samples of groups have it."""

    caught_by: ClassVar = {
        "after": {
            "acknowledgement.acks-every-type",
            "payloads.every-variant",
            "payloads.type-drift",
            "signature.accepts-documented",
        }
    }

    def entry(self, kind: Kind, code: str, item: dict[str, Any]) -> Entry:
        if code.startswith("Group.") and not isinstance(item.get("EventTime", ""), str):
            raise ValueError("EventTime is no text")
        return super().entry(kind, code, item)


class FollowsTheUrl(Broken):
    """Files any body under the command of the URL."""

    caught_by: ClassVar = {feed: {"signature.rejects-command-mismatch"} for feed in ("after", "room", "live")}

    def code(self, request: Request, item: dict[str, Any]) -> str:
        return self.command(request)
