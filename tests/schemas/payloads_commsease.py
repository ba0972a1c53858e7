"""Hand-written payloads of CommsEase's newer event types, for what their samples do not show."""

from __future__ import annotations

from typing import Any

_CLIENT = {"fromDeviceId": "d", "fromClientType": "HARMONY", "timestamp": "1590482457381"}
_NET = {"fromClientIp": "60.27.79.202", "fromClientPort": "44772"}
_ASKED = {"fromAccount": "wm1", **_CLIENT}
_TEAM = {**_ASKED, "tid": 2747918666}
_ATTACHED = {
    "PICTURE": '{"md5":"d0323f8d","h":5,"w":5,"size":9,"name":"a","url":"http://a","ext":"jpg"}',
    "AUDIO": '{"size":9,"ext":"aac","dur":3808,"url":"http://a","md5":"35411b36"}',
    "VIDEO": '{"dur":1473,"ext":"mp4","h":4,"md5":"6ba2b502","size":1,"url":"http://a","w":3,"name":"a"}',
    "LOCATION": '{"lat":30.18,"lng":120.19,"title":"Hangzhou"}',
    "FILE": '{"ext":"ttf","md5":"79d62a35","name":"a.ttf","size":"91680","url":"http://a"}',
    "CUSTOM": "not JSON",
}
_SPOKEN = {"fromAccount": "a", "fromDeviceId": "d", "fromClientType": "MAC", "msgTimestamp": "1541560157286"}
_CHANGE = {
    "from": "t3",
    "to": "2348369454",
    "msgId": 1223,
    "modifyAccountId": "t4",
    "modifyTime": 1608877682237,
    "extension": "x",
    "attachment": "x",
    "subType": 3,
    "fromClientType": "IOS",
    "clientId": "c",
}
_ROOM = {"channelId": 43677571680222, "timestamp": 1606974852479}
_USER = {
    **_ROOM,
    "user": "u",
    "uid": 7,
    "platform": 1,
    "userRole": 0,
    "status": 1,
    "appKey": "k",
    "duration": 3,
    "channelName": "abc",
    "createTime": 1606974852379,
}
_LABELS = [{"label": 100, "level": 2, "rate": 0.5, "subLabels": [{"subLabel": "x", "rate": 1}]}]
_EVIDENCES = {
    "video": {"evidence": {"uid": 1, "url": "http://a"}, "labels": _LABELS},
    "audio": {"content": "x", "segments": [{"label": 600, "level": 1, "subLabels": [{"details": {}}]}]},
}
_SEATED = {
    "user_uuid": "u",
    "name": "n",
    "icon": "http://a",
    "inviter_user_uuid": "v",
    "on_seat_type": 1,
    "ext": "x",
    "timestamp": 1648006285198,
    "index": 2,
}
_ENVELOPE = {"requestId": "r", "timestamp": 1648006285198}
_MEMBER = {"meetingUniqueId": 26775, "time": 1600782498147, "accountId": "a", "deviceId": "d", "roomUid": 3}


def _messages(code: int, to: str) -> list[dict[str, Any]]:
    """Return a message of each kind whose content has a form, to somebody or something."""
    message = {"eventType": code, **_SPOKEN, **_NET, "to": to, "fromNick": "n", "msgidClient": "c", "ext": "x"}
    return [{**message, "msgType": kind, "attach": text} for kind, text in _ATTACHED.items()]


BEYOND_SAMPLES: dict[str, list[dict[str, Any]]] = {
    "commsease.login-failure": [
        {
            "eventType": "84",
            "event": "0",
            "accid": "a",
            "timestamp": "1653899015393",
            "chatRoomId": "48",
            "code": "13003",
            "fail": "chatroom.in.blacklist",
        }
    ],
    "commsease.session-read": [
        {"eventType": "85", "msgType": "0", "accid": "yx", "ackAccid": "84851", "ackMsgTime": 1658283011566}
    ],
    "commsease.message-update": [{"eventType": 89, **_CHANGE}],
    "commsease.team-message-update": [{"eventType": 90, **_CHANGE}],
    "commsease.superteam-message-update": [{"eventType": 91, **_CHANGE}],
    "commsease.third-party-message": _messages(1, "b"),
    "commsease.third-party-team-message": _messages(2, "64"),
    "commsease.third-party-chatroom-message": _messages(6, "64"),
    "commsease.third-party-superteam-message": _messages(22, "64"),
    "commsease.third-party-friend-add": [{"eventType": 4, **_ASKED, "toAccount": "b", "verifyType": 2, "msg": "hi"}],
    "commsease.third-party-team-invite": [{"eventType": 9, **_TEAM, "inviteList": ["b"], "msg": "hi", "attach": "x"}],
    "commsease.third-party-team-add-manager": [{"eventType": 11, **_TEAM, "managerList": ["b", "c"]}],
    "commsease.third-party-team-remove-manager": [{"eventType": 12, **_TEAM, "managerList": ["b"]}],
    "commsease.third-party-team-kick": [{"eventType": 14, **_TEAM, "kickList": ["b"]}],
    "commsease.third-party-team-member-update": [
        {"eventType": 16, **_TEAM, "nick": "n", "custom": "x", "notifyType": 2}
    ],
    "commsease.third-party-team-mute-member": [{"eventType": 18, **_TEAM, "toAccount": "b", "mute": 0}],
    "commsease.third-party-team-apply": [{"eventType": 19, **_TEAM, "msg": "hi", "joinmode": 1}],
    "commsease.third-party-superteam-invite": [{"eventType": 23, **_TEAM, "inviteList": '["b"]'}],
    "commsease.third-party-message-recall": [
        {
            "eventType": 35,
            **_ASKED,
            "msgFromAccid": "a",
            "msgId": 1,
            "time": 1590482455336,
            "opeType": 7,
            "toAccount": "b",
            "msg": "x",
            "attach": "x",
        }
    ],
    "commsease.third-party-login": [
        {
            "eventType": 36,
            **_ASKED,
            **_NET,
            "token": "",
            "authType": 2,
            "loginExt": "x",
            "customClientType": "1",
            "autoLogin": True,
        }
    ],
    "commsease.rtc-room-started": [
        {"eventType": 1, "data": {**_ROOM, "channelName": "abc", "createtime": 1606974852379, "status": 1}}
    ],
    "commsease.rtc-room-ended": [
        {"eventType": 2, "data": {**_ROOM, "channelName": "abc", "createtime": 1606974852379, "status": 1}}
    ],
    "commsease.rtc-recording-file": [
        {
            "eventType": 3,
            "data": {
                "channelId": "123",
                "filename": "a.mp4",
                "pieceIndex": "1",
                "timestamp": 1606974852479,
                "substream": False,
            },
        }
    ],
    "commsease.rtc-user-joined": [{"eventType": 4, "data": _USER}],
    "commsease.rtc-user-left": [{"eventType": 5, "data": _USER}],
    "commsease.rtc-moderation": [{"eventType": 400, "data": {"dataId": "1", "status": 102, "evidences": _EVIDENCES}}],
    "commsease.rtc-whiteboard-recording": [
        {"eventType": "905", "data": {"vid": 3, "fileName": "a", "channelId": "123", "recordTime": 1606974852479}}
    ],
    "commsease.neroom-create-room": [
        {
            **_ENVELOPE,
            "eventType": "CREATE_ROOM",
            "body": {"roomArchiveId": "1", "roomUuid": "2", "operatorUserUuid": 3},
        }
    ],
    "commsease.neroom-user-join-room": [
        {
            **_ENVELOPE,
            "eventType": "USER_JOIN_ROOM",
            "body": {"roomArchiveId": "1", "roomUuid": "2", "users": [{"role": "host", "userUuid": "u"}]},
        }
    ],
    "commsease.neroom-user-on-seat": [
        {
            **_ENVELOPE,
            "eventType": "USER_ON_SEAT",
            "body": {"room_archive_id": "1", "user_uuid": "u", "index": 2, "user": _SEATED},
        }
    ],
    "commsease.neroom-user-off-seat": [
        {**_ENVELOPE, "eventType": "USER_OFF_SEAT", "body": {"room_archive_id": "1", "user_uuid": "u", "index": 2}}
    ],
    "commsease.meetingkit-event": [
        {**_ENVELOPE, "eventType": "MEETING_INFO_CHANGE", "body": {"subject": "x", "settings": {}}},
        {**_ENVELOPE, "eventType": "AI_CHAT", "body": {}},
    ],
    "commsease.meeting-member-joined": [{"msgType": 5, "msgBody": _MEMBER}],
    "commsease.meeting-member-left": [{"msgType": 6, "msgBody": _MEMBER}],
}
