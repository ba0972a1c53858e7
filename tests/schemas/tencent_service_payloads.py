"""Hand-written payloads of Tencent's event types beside one-to-one messages, groups and logins."""

from __future__ import annotations

from typing import Any

_BIG = 144115245353757792
_JUDGED = {"CtxcbResult": 0, "CtxcbRequestId": "241ed925", "From_Account": "jared"}

SERVICES: dict[str, list[dict[str, Any]]] = {
    "tencent.sns-friend-add": [
        {
            "CallbackCommand": "Sns.CallbackFriendAdd",
            "PairList": [{"From_Account": "a", "To_Account": "b"}],
            "ClientCmd": "FriendResponse",
        }
    ],
    "tencent.sns-before-friend-response": [
        {
            "CallbackCommand": "Sns.CallbackPrevFriendResponse",
            "From_Account": "a",
            "ResponseFriendItem": [{"To_Account": "b", "ResponseAction": "Response_Action_Agree"}],
            "EventTime": 1631777645424,
        }
    ],
    "tencent.profile-set": [
        {
            "CallbackCommand": "Profile.CallbackPortraitSet",
            "From_Account": "a",
            "EventTime": 1656921052497,
            "ProfileItem": [{"Tag": "Tag_Profile_Custom_Level", "Value": 4294967295}],
        }
    ],
    "tencent.bot-c2c-message": [
        {
            "CallbackCommand": "Bot.OnC2CMessage",
            "From_Account": "jared",
            "To_Account": "@RBT#001",
            "MsgSeq": 4294967295,
            "MsgRandom": 0,
            "MsgTime": 1557481126,
            "MsgKey": "4294967295_0_1557481126",
            "MsgId": "144115233406643804-1727580296-4026038328",
            "UnreadMsgNum": -1,
            "MsgBody": [],
        }
    ],
    "tencent.official-account-after-info-change": [
        {
            "CallbackCommand": "OfficialAccount.CallbackAfterOfficialAccountInfoChanged",
            "Official_Account": "@TOA#_a",
            "Introduction": "",
            "FaceUrl": "http://a",
            "Organization": "x",
            "EventTime": 1670574414123,
        }
    ],
    "tencent.push-all-members": [
        {
            "Events": [
                {
                    "CallbackCommand": "Push.AllMemberPush",
                    "EventType": 2,
                    "TaskId": "657bf434",
                    "EventTime": 1557481129,
                    "To_Account": "user3",
                    "PushPlatform": 0,
                    "PushStage": 3,
                    "ErrInfo": "",
                    "DataId": "1",
                    "DeviceType": 2,
                }
            ]
        }
    ],
    "tencent.moderation-result": [
        {**_JUDGED, "Scene": "Group", "ContactItem": {"ContactType": 2, "ToGroupId": "@TGS#1"}, "MsgID": "123"},
        {**_JUDGED, "Scene": "UserInfo", "ContentType": "Image", "FileURL": "http://a"},
    ],
    "tencent.call-event": [
        {
            "UserId": "Bob",
            "CallId": "aheahfo",
            "Role": "callee",
            "Event": "call_end",
            "CallResult": "normal_end",
            "EventTime": 1704695566,
        }
    ],
    "tencent.room-info-change": [
        {
            "CallbackCommand": "Room.CallbackAfterUpdateRoomInfo",
            "RoomInfo": {"RoomId": "rid-123", "IsCloudRecordingDisabled": False},
            "EventTime": 1670574414123,
        }
    ],
    "tencent.room-seat-change": [
        {
            "CallbackCommand": "Mic.CallbackAfterSeatInfoChanged",
            "RoomId": "rid-123",
            "SeatList": [{"Index": 0}, {"Index": 1, "Member_Account": "user1"}],
            "EventTime": 1670574414123,
        }
    ],
    "tencent.live-rooms-over-threshold": [
        {
            "CallbackCommand": "Live.CallbackAfterCreateRoomReachingThreshold",
            "Operator_Account": "brennanli",
            "EventTime": 1739966441121,
            "CurRoomCount": "400",
        }
    ],
    "tencent.live-battle-started": [
        {
            "CallbackCommand": "Live.CallbackAfterStartBattle",
            "BattleId": "4siHsNsWN/T3aub9zKraqI4zZAyPRpXQhdtKv1q4HOs=",
            "FromRoomInfo": {"RoomId": "pk-3", "Owner_Account": _BIG},
            "EventTime": 1739954005000,
        }
    ],
    "tencent.live-battle-ended": [
        {
            "CallbackCommand": "Live.CallbackAfterEndBattle",
            "BattleId": "4siHsNsWN/T3aub9zKraqPfGQAimPhdFoe6VWhtz9lY=",
            "FromRoomInfo": {"RoomId": "pk-3", "Owner_Account": "brennan"},
            "EventTime": 1739956146119,
        }
    ],
}
