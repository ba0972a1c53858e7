"""The traps of Tencent's event types beside messages, groups and logins."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from im_callback import schemas
from im_callback.schemas import EventType, catalogue, jsontext, occurrences, replace, resolve
from im_callback.schemas.validate import problems, validator

TENCENT = catalogue("tencent")
FOLDER = Path(schemas.__file__).parent / "tencent"
FEEDS = {
    "Sns": {"after", "before"},
    "Profile": {"after"},
    "Follow": {"after"},
    "Bot": {"after"},
    "Chatbot": {"before"},
    "OfficialAccount": {"after", "before"},
    "Alert": {"after"},
    "Push": {"push"},
    "ContentCallback": {"moderation"},
    "Room": {"room"},
    "Mic": {"room"},
    "Live": {"live", "live-before"},
}


def named(kind: str) -> EventType:
    """Return one of Tencent's event types."""
    return TENCENT[f"tencent.{kind}"]


def sample(kind: str, place: int = 0) -> Any:
    """Return a documented sample of an event type."""
    return named(kind).examples[place]


def push(**change: Any) -> Any:
    """Return a push of one event, changed."""
    return {"Events": [{**sample("push-offline")["Events"][0], **change}]}


class TestFeeds:
    """Tests for which feed delivers what."""

    @pytest.mark.parametrize("service", FEEDS)
    def test_services(self, service: str) -> None:
        """Each service has feeds of its own, and others do not deliver what is its."""
        assert FEEDS[service] == {one.feed for one in TENCENT if one.code.startswith(f"{service}.")}

    def test_questions(self) -> None:
        """What is asked before something happens has an answer of its own; the rest shares one."""
        shared = set(json.loads((FOLDER / "after.response.schema.json").read_text(encoding="utf-8"))["x-response-to"])
        asked = {one.name for one in TENCENT if one.feed in ("before", "live-before")}
        told = {one.name for one in TENCENT if one.feed in ("after", "push", "moderation", "room", "live")}
        assert not asked & shared
        assert {"tencent.live-not-blocked"} == told - shared


class TestDetection:
    """Tests for payloads without a command at the top."""

    @pytest.mark.parametrize(
        ("expected", "payload"),
        [
            ("push-offline", {"Events": [{"CallbackCommand": "Push.OfflinePush"}]}),
            ("push-all-members", {"Events": [{"CallbackCommand": "Push.AllMemberPush"}]}),
            (None, {"Events": [{"CallbackCommand": "Push.NotYet"}]}),
            (None, {"Events": []}),
            (None, {"CallbackCommand": "Push.OfflinePush"}),
            ("moderation-result", {"Scene": "C2C", "CtxcbResult": "broken"}),
            (None, {"Scene": "C2C", "CtxcbResult": 1, "CallbackCommand": "ContentCallback.ResultNotify"}),
            ("call-event", {"CallId": "a", "Event": "start_call", "CallResult": ""}),
            ("call-status", {"CallId": "a", "CallResult": "normal_end"}),
            (None, {"CallId": "a"}),
        ],
    )
    def test_identify(self, expected: str | None, payload: Any) -> None:
        """What stands in the body tells them apart."""
        found = TENCENT.identify(payload)
        assert expected == (None if found is None else found.name.removeprefix("tencent."))


class TestShapes:
    """Tests for what one field asks of another, and for what is written in several ways."""

    @pytest.mark.parametrize(
        ("valid", "payload"),
        [
            (True, push()),
            (False, push(EventType=2)),
            (True, push(EventType=2, GroupID="@TGS#1")),
            (False, push(EventType=2, GroupId="@TGS#1")),
            (False, push(EventType=3)),
            (False, push(PushStage=0)),
            (True, {"Events": push()["Events"] * 100}),
            (False, {"Events": push()["Events"] * 101}),
        ],
    )
    def test_push(self, valid: bool, payload: Any) -> None:
        """A push about a group names it by GroupID, and up to 100 come together."""
        assert valid is not bool(named("push-offline").problems(payload))

    @pytest.mark.parametrize("kind", ["push-offline", "push-all-members", "sns-friend-add", "sns-blacklist-delete"])
    def test_items(self, kind: str) -> None:
        """Each element of the list is a thing that happened, and has what tells it from others."""
        one = named(kind)
        for payload in one.examples:
            elements = occurrences(one, payload)
            assert elements == payload[str(one.items)[1:]]
            assert all(pointer[1:] in element for element in elements for pointer in one.identity or ())

    @pytest.mark.parametrize(
        ("valid", "kind", "pointer", "value"),
        [
            (True, "sns-friend-add", "/ClientCmd", "FriendAdd"),
            (True, "sns-friend-add", "/ClientCmd", "friend_response"),
            (False, "sns-friend-add", "/ClientCmd", "friendAdd"),
            (True, "sns-friend-add", "/Admin_Account", ""),
            (True, "profile-set", "/ProfileItem/1/Value", 4294967295),
            (False, "profile-set", "/ProfileItem/1/Value", None),
            (False, "follow-add", "/FollowList", ["UserID_002"]),
            (False, "follow-delete", "/To_Account", [{"To_Account": "UserID_002"}]),
            (False, "follow-delete", "/To_Account", "UserID_002"),
            (False, "official-account-after-create", "/EventTime", "1670574414123"),
            (False, "bot-group-message", "/EventTime", "1670574414123"),
            (False, "room-member-enter", "/MemberList_Account", [{"Member_Account": "user1"}]),
            (False, "room-member-enter", "/Type", "Leave"),
            (True, "room-member-leave", "/Type", "Expired"),
            (True, "room-info-change", "/RoomInfo/IsCloudRecordingDisabled", True),
            (True, "live-rooms-over-threshold", "/CurRoomCount", "400"),
            (False, "live-rooms-over-threshold", "/MaxRoomCount", [500]),
            (False, "live-admin-change", "/opType", "Add"),
            (False, "live-battle-ended", "/FromRoomInfo", "pk-3"),
            (True, "moderation-result", "/ContactItem", {"ContactType": 2, "ToGroupId": "@TGS#1"}),
            (False, "moderation-result", "/ContactItem", {"ContactType": 2, "To_Account": "Jonh"}),
            (False, "moderation-result", "/TextContent", "aaabbbccc"),
            (True, "call-event", "/Role", "callee"),
            (True, "call-event", "/Event", "not_yet_documented"),
        ],
    )
    def test_value(self, valid: bool, kind: str, pointer: str, value: Any) -> None:
        """One field of the first sample, changed."""
        assert valid is not bool(named(kind).problems(replace(sample(kind), pointer, value)))

    def test_time_in_three_places(self) -> None:
        """The creation of a live room has its EventTime beside RoomInfo, in it, or nowhere."""
        beside, inside, nowhere = named("live-created").examples
        assert beside["EventTime"] == inside["RoomInfo"]["EventTime"]
        assert "EventTime" not in {**nowhere, **nowhere["RoomInfo"]}

    @pytest.mark.parametrize(
        ("kind", "place", "pointer"),
        [
            ("live-battle-ended", 0, "/FromRoomInfo/Owner_Account"),
            ("live-battle-ended", 0, "/ToRoomList/0/Owner_Account"),
            ("live-destroyed", 1, "/RoomInfo/Owner_Account"),
            ("room-seat-change", 0, "/SeatList/0/Member_Account"),
        ],
    )
    def test_accounts_beyond_doubles(self, kind: str, place: int, pointer: str) -> None:
        """Accounts that are numbers beyond 2**53 are read exactly; as text they are valid too."""
        payload = sample(kind, place)
        value = resolve(payload, pointer)
        assert value > 2**53
        assert value == resolve(jsontext.parse(jsontext.dump(payload)), pointer)
        assert [] == named(kind).problems(replace(payload, pointer, str(value)))


class TestVariants:
    """Tests for the variants."""

    def test_roles(self) -> None:
        """The caller's events are not those of the other; both may be asked into a call."""
        variants = named("call-event").variants
        assert {"caller/start_call", "callee/receive_call", "caller/call_end", "callee/call_end"} <= set(variants)
        assert {"caller/invite_user", "callee/invite_user"} <= set(variants)
        assert not {"callee/start_call", "caller/receive_call"} & set(variants)

    def test_failed(self) -> None:
        """A message to a chatbot that was not sent says so."""
        one = named("bot-c2c-message")
        assert not one.failed(sample("bot-c2c-message"))
        assert one.failed({**sample("bot-c2c-message"), "SendMsgResult": 20006})


class TestAnswers:
    """Tests for the answers to questions."""

    @pytest.mark.parametrize(
        ("valid", "name", "answer"),
        [
            (True, "sns-before", {"ErrorCode": 0, "ResultItem": []}),
            (False, "sns-before", {"ErrorCode": 0}),
            (False, "sns-before", {"ErrorCode": 1, "ResultItem": []}),
            (True, "sns-before", {"ErrorCode": 39000, "ResultItem": []}),
            (False, "sns-before", {"ErrorCode": 39001, "ResultItem": []}),
            (
                False,
                "sns-before",
                {"ErrorCode": 0, "ResultItem": [{"To_Account": "a", "ResultCode": 1, "ResultInfo": ""}]},
            ),
            (False, "sns-before", {"ErrorCode": 0, "ResultItem": [{"To_Account": "a", "ResultCode": 0}]}),
            (True, "chatbot-c2c-signal-message", {"ErrorCode": 1, "RspData": ""}),
            (False, "chatbot-c2c-signal-message", {"ErrorCode": 0}),
            (False, "chatbot-c2c-signal-message", {"ErrorCode": 0, "RspData": {"msg": "x"}}),
            (True, "official-account-before", {"ErrorCode": 1}),
            (False, "official-account-before", {"ErrorCode": 2}),
            (True, "official-account-before-subscribe", {"ErrorCode": 0}),
            (False, "official-account-before-subscribe", {"ErrorCode": 0, "RefusedMembers_Account": "jared"}),
            (True, "live-before-gift", {"ErrorCode": 1}),
            (True, "live-before-gift", {"ErrorCode": 102200}),
            (False, "live-before-gift", {"ErrorCode": 102201}),
            (False, "live-before-gift", {"ErrorCode": 2}),
        ],
    )
    def test_decisions(self, valid: bool, name: str, answer: dict[str, Any]) -> None:
        """Each service has codes and fields of its own."""
        schema = json.loads((FOLDER / f"{name}.response.schema.json").read_text(encoding="utf-8"))
        assert valid is not bool(problems(validator(schema), {"ActionStatus": "OK", "ErrorInfo": "", **answer}))
