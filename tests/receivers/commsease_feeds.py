"""Good receivers of CommsEase's other feeds, and mutants of them, written without the packages that they are judged by."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from tests.receivers.good import Answer, Entry, Good, Kind, Request, text
from tests.receivers.honest import KeepsRemovals, NoOrder, OnlyIdentity, Present

ALLOWED = '{"errCode":0}'
DEADLINE = 0.4
"""Seconds that a run waits for those who are late, so that the proof is quick."""


class FeedGood(Good):
    """A good receiver of one feed."""

    feed: ClassVar[str]
    kinds: ClassVar[Mapping[str, Kind]]
    """By what a payload calls itself; all else is acknowledged and forgotten."""

    def __init__(self) -> None:
        super().__init__("commsease")

    def entries_of(self, request: Request, item: dict[str, Any]) -> Iterable[Entry]:
        code = self.name_of(item)
        kind = self.kinds.get(code)
        return [] if kind is None else [self.entry(kind, code, item)]

    def name_of(self, item: dict[str, Any]) -> str:
        """Return what a payload calls itself; empty if it is nothing of this feed."""
        return text(item.get("eventType"))


# Third-party callbacks.

_ASKED = ("eventType", "fromAccount", "fromDeviceId", "toAccount", "tid", "timestamp")
_MESSAGE = Kind("question", ("eventType", "fromAccount", "to", "msgidClient", "msgTimestamp"))
_LOGIN = Kind("login", ("eventType", "fromAccount", "roomid", "fromDeviceId", "timestamp"))


class Answers(FeedGood):
    """Decides by what a message says, and keeps a log of what it was asked."""

    feed = "third-party"
    banned = "banned"
    kinds = {
        **dict.fromkeys(("1", "2", "6", "22"), _MESSAGE),
        "3": Kind("question", ("eventType", "account", "deviceId", "timestamp")),
        **dict.fromkeys(("4", "5", "8", "9", "11", "12", "14", "16", "18", "19", "20", "23"), Kind("question", _ASKED)),
        "7": Kind("question", ("eventType", "creator", "fromDeviceId", "timestamp")),
        "35": Kind("question", ("opeType", "msgId", "timestamp")),
        **dict.fromkeys(("36", "37", "40"), _LOGIN),
    }

    def receive(self, request: Request) -> Answer:
        answer = super().receive(request)
        return answer if answer.status != 200 else Answer(200, self.decide(json.loads(request.body)))

    def name_of(self, item: dict[str, Any]) -> str:
        # A text is data sync's, and data beside a number RTC's.
        asked = isinstance(item.get("eventType"), (int, float)) and "data" not in item
        return super().name_of(item) if asked else ""

    def decide(self, item: Any) -> str:
        """Return the answer to a question."""
        said = text(item.get("body")) if isinstance(item, dict) else ""
        if self.banned in said:
            return '{"errCode":1,"responseCode":20001,"callbackExt":"banned"}'
        return ALLOWED


class OnlyAnswers(Answers):
    """Decides, and records nothing."""

    kinds = {}


# RTC.

_CALL = Kind("call", ("eventType", "data.channelId", "data.timestamp"), ("data.timestamp",), ("data.channelId",))
_USER = Kind(
    "call-user",
    ("eventType", "data.channelId", "data.uid", "data.timestamp"),
    ("data.timestamp",),
    ("data.channelId", "data.uid"),
)


class Calls(FeedGood):
    """Keeps the states of rooms and members, and lists recordings; what is not marked as RTC it leaves alone."""

    feed = "rtc"
    kinds = {
        "1": _CALL,
        "2": _CALL,
        "3": Kind("recording", ("data.channelId", "data.filename")),
        "4": _USER,
        "5": _USER,
        "400": Kind("check", ("data.dataId", "data.status")),
        "905": Kind("recording", ("data.channelId", "data.fileName")),
    }

    def genuine(self, request: Request) -> bool:
        return super().genuine(request) and self.header(request, "type") == "G2"

    def name_of(self, item: dict[str, Any]) -> str:
        return super().name_of(item) if isinstance(item.get("data"), dict) else ""


# NERoom and MeetingKit.


LISTED = (
    "USER_JOIN_ROOM",
    "USER_LEAVE_ROOM",
    "MEETING_INFO_CHANGE",
    "MEETING_STATE_CHANGE_EVENT",
    "MEETING_MEMBER_ENTRY",
    "MEETING_MEMBER_LEAVE",
    "MEETING_MEMBER_USERNAME_CHANGE",
    "MEETING_MEMBER_ROLE_CHANGE",
    "MEETING_RECORD",
    "MEETING_DURATION",
    "MEETING_MEMBER_INVITE",
    "MEETING_MEMBER_INVITE_CANCEL",
    "MEETING_TRANSCRIPT_COMPLETED",
    "MEETING_SUMMARY_COMPLETED",
    "AI_CHAT",
    "AI_TRIGGER",
)


class Rooms(FeedGood):
    """Keeps the states of rooms and seats, and a list of all else, each once by its requestId."""

    feed = "neroom"
    _room = Kind("room", ("requestId",), ("timestamp",), ("body.roomArchiveId",))
    _seat = Kind("seat", ("requestId",), ("timestamp",), ("body.room_archive_id", "body.user_uuid"))
    kinds = {
        "CREATE_ROOM": _room,
        "CLOSE_ROOM": _room,
        "USER_ON_SEAT": _seat,
        "USER_OFF_SEAT": _seat,
        **dict.fromkeys(
            LISTED,
            Kind("event", ("requestId",)),
        ),
    }


# The older meeting component.


class Meetings(FeedGood):
    """Lists what happens in meetings; the nonce is part of what is signed, and the MD5 is not sent."""

    feed = "meeting"
    _event = Kind("meeting", ("msgType", "msgBody.meetingUniqueId", "msgBody.time"))
    _member = Kind("meeting", (*_event.identity, "msgBody.accountId", "msgBody.deviceId"))
    kinds = {**dict.fromkeys(("1", "2", "3", "4", "7"), _event), "5": _member, "6": _member}

    def genuine(self, request: Request) -> bool:
        stamp, nonce = self.header(request, "CurTime"), self.header(request, "Nonce")
        return (
            self.same_app(self.header(request, "AppKey"))
            and nonce != ""
            and self.signed(self.header(request, "CheckSum"), [], [nonce, stamp, self.digest(request)])
            # As old as its retries may be.
            and self.recent(stamp, 1000, 3600)
        )

    def name_of(self, item: dict[str, Any]) -> str:
        return text(item.get("msgType"))


class CallsUnderWay(Present, Calls):
    """Shows the rooms that are open, and who is in them."""

    gone = {"2": ("eventType", frozenset({"2"})), "5": ("eventType", frozenset({"5"}))}


class RoomsOpen(Present, Rooms):
    """Shows the rooms that are open, and the seats that are taken."""

    gone = {name: ("eventType", frozenset({name})) for name in ("CLOSE_ROOM", "USER_OFF_SEAT")}


class CallsInColumns(OnlyIdentity, Calls):
    """Keeps of each RTC event no more than what tells it from others, without the envelope."""


class RoomsInALog(KeepsRemovals, Rooms):
    """Shows what happened to rooms and seats, one after the other."""


class CallsForwarded(NoOrder, Calls):
    """Forwards RTC events to a log without an order."""


GOOD = (Answers, OnlyAnswers, Calls, CallsUnderWay, CallsInColumns, CallsForwarded, Rooms, RoomsOpen, RoomsInALog)
GOOD += (Meetings,)


# Mutants, each with one defect. `caught_by` names the checks that fail, without the provider's name.


class FailsOpen(Answers):
    """Allows what is not the provider's, with 200."""

    def refusal(self) -> Answer:
        return Answer(200, ALLOWED)


class ComparesTheDigestAlone(Answers):
    """Holds the MD5 header against the body, and looks at nothing else."""

    def genuine(self, request: Request) -> bool:
        return self.same_digest(self.header(request, "MD5"), self.digest(request))


class AnswersInAnotherDialect(Answers):
    """Answers with code in the place of errCode."""

    def decide(self, item: Any) -> str:
        return '{"code":200}'


class TakesItsTime(Answers):
    """Thinks about calls for longer than anybody waits."""

    wired = True

    def decide(self, item: Any) -> str:
        if isinstance(item, dict) and "callType" in item:
            self.stopped.wait(3 * DEADLINE)
        return super().decide(item)


class ReadsTimesAsNumbers(Answers):
    """Has a number in its class where the time is text, and breaks."""

    def name_of(self, item: dict[str, Any]) -> str:
        if not isinstance(item.get("timestamp", 0), int):
            raise TypeError("timestamp: a number is due")
        return super().name_of(item)


class ReadsCodesAsText(Answers):
    """Knows the numbers of data sync alone, which are text, and breaks at all others."""

    def name_of(self, item: dict[str, Any]) -> str:
        return str(item["eventType"].strip())


class LastOneWins(Calls):
    """Takes what comes last for what is newest."""

    def stale(self, entry: Entry) -> bool:
        return False


class KeepsRepeats(Calls):
    """Records every delivery, repeats too."""

    def repeated(self, entry: Entry) -> bool:
        return False


class NeedsCreatetime(Calls):
    """Cannot do without a field that the sample of an ended room misspells."""

    def name_of(self, item: dict[str, Any]) -> str:
        if item.get("eventType") == 2:
            item["data"]["createtime"]
        return super().name_of(item)


class TellsByRoom(Rooms):
    """Takes two events of one kind in one room for the same, though their ids differ."""

    kinds = {
        **Rooms.kinds,
        "CREATE_ROOM": Rooms.kinds["CREATE_ROOM"]._replace(identity=("eventType", "body.roomArchiveId")),
        "CLOSE_ROOM": Rooms.kinds["CLOSE_ROOM"]._replace(identity=("eventType", "body.roomArchiveId")),
    }


class HashesWhatItRead(Meetings):
    """Hashes the JSON that it has read and written again, not the bytes that came."""

    def digest(self, request: Request) -> str:
        try:
            again = json.dumps(json.loads(request.body), ensure_ascii=False, separators=(",", ":"))
        except ValueError:
            return ""
        return hashlib.md5(again.encode(), usedforsecurity=False).hexdigest()


class LeavesTheNonceOut(Meetings):
    """Signs without the nonce, as data sync does."""

    def genuine(self, request: Request) -> bool:
        stamp = self.header(request, "CurTime")
        return self.signed(self.header(request, "CheckSum"), [], [self.digest(request), stamp])
