"""Hand-written payloads of RongCloud: what no sample shows of the types whose pages have few samples, or none."""

from __future__ import annotations

import json
from typing import Any

_USER = {"id": "u1", "name": "n", "portrait": "http://a", "extra": ""}
_TEXT = {
    "content": "a+b %2B 中文 &=",
    "user": _USER,
    "extra": "",
    "mentionedInfo": {"type": 2, "userIdList": ["u2"], "mentionedContent": "x"},
}
_PICTURE = {"content": "bhZPzJXimRwrtvc=", "imageUri": "http://a", "user": _USER, "extra": ""}
_VOICE = {"remoteUrl": "http://a", "duration": 60, "user": _USER, "extra": ""}
_ID = "CLU2-NFGR-CQ82-O4IS"
_MESSAGE = {
    "channelType": "GROUP",
    "fromUserId": "u1",
    "toUserId": "g1",
    "msgTimestamp": "1743499753581",
    "objectName": "RC:TxtMsg",
    "content": json.dumps(_TEXT),
    "sensitiveType": "2",
    "msgUID": _ID,
}
_BEFORE = {
    "appKey": "k",
    "fromUserId": "u1",
    "targetId": "g1",
    "channelType": "GROUP",
    "msgType": "RC:TxtMsg",
    "content": json.dumps(_TEXT),
    "msgTimeStamp": "1743499753581",
    "messageId": _ID,
    "os": "PC",
    "clientIp": "::1:22263",
}
_AUDITED = {
    "appKey": "k",
    "fromUserId": "u1",
    "targetId": "g1",
    "toUserIds": "u2,u3",
    "conversationType": "GROUP",
    "objectName": "RC:TxtMsg",
    "message": json.dumps(_TEXT),
    "extraContent": {},
    "clientOs": "PC",
    "messageTime": 1743499753581,
    "messageId": _ID,
}
_BOT = {"userId": "b", "name": "n", "profileUrl": "http://a", "type": "t", "metadata": {"version": "1"}}
_TO_BOT = {
    "fromUserId": "u1",
    "toUserId": "b",
    "objectName": "RC:TxtMsg",
    "content": json.dumps(_TEXT),
    "channelType": "PERSON",
    "msgUID": _ID,
}
_GROUP = {
    "groupId": "g",
    "groupName": "n",
    "time": 1,
    "permissions": {"invitePerm": 0, "profilePerm": 0, "memProfilePerm": 0},
}
_DELETED = {
    "eventType": 2,
    "fromUserId": "u1",
    "optTime": 1574476797772,
    "conversationInfo": {"conversationType": 10, "targetId": "g", "busChannel": ""},
    "originalMsgInfo": {},
    "deleteMsgInfo": {"deleteType": 2, "msgTimestamp": 1574476797772},
}


def _audited(**changes: Any) -> dict[str, Any]:
    return {"result": 10000, "content": json.dumps({**_AUDITED, **changes}), "msgUID": _ID}


BEYOND_SAMPLES: dict[str, list[dict[str, Any]]] = {
    "rongcloud.chatroom-kv": [
        {"chatroomId": "r", "optType": 3, "version": 2},
        {"chatroomId": "r", "optType": 3, "version": 2, "key": "", "value": ""},
    ],
    "rongcloud.message": [
        {**_MESSAGE, "groupUserIds": "u2", "originalMsgUID": "", "aiGenerated": "true"},
        {**_MESSAGE, "groupUserIds": ["u2", "u3"]},
        {**_MESSAGE, "channelType": "ULTRAGROUP", "busChannel": "", "originalMsgUID": _ID},
        {**_MESSAGE, "channelType": "TEMPGROUP", "objectName": "RC:ImgMsg", "content": json.dumps(_PICTURE)},
        {**_MESSAGE, "channelType": "PERSONS", "objectName": "RC:HQVCMsg", "content": json.dumps(_VOICE)},
        {**_MESSAGE, "channelType": "NOTIFY", "objectName": "app:gift", "content": "1+1 = 2"},
    ],
    "rongcloud.pre-message": [
        {
            **_BEFORE,
            "toUserIds": "u2,u3",
            "pushContent": "",
            "disablePush": "false",
            "pushExt": "{}",
            "expansion": "true",
            "extraContent": "{}",
            "aiGenerated": "false",
        },
        {**_BEFORE, "channelType": "ULTRAGROUP", "busChannel": "c", "originalMsgUID": _ID},
        {**_BEFORE, "channelType": "TEMPGROUP", "msgType": "RC:ImgMsg", "content": json.dumps(_PICTURE)},
        {**_BEFORE, "channelType": "PERSONS", "msgType": "RC:HQVCMsg", "content": json.dumps(_VOICE)},
    ],
    "rongcloud.audit-result": [
        _audited(),
        _audited(toUserIds=""),
        _audited(objectName="RC:ImgMsg", message=json.dumps(_PICTURE)),
        _audited(objectName="RC:HQVCMsg", message=json.dumps(_VOICE)),
    ],
    "rongcloud.chatroom-status": [
        {"chatRoomId": "r", "userIds": ["u", "v"], "status": 2, "type": 2, "time": 1},
        {"chatRoomId": "r", "userIds": [], "status": 3, "type": 3, "time": 1},
    ],
    "rongcloud.message-operation": [_DELETED],
    "rongcloud.user-profile": [
        {"userId": "u", "type": 0, "time": 1},
        {"userId": "u", "type": 1, "time": 1, "userProfile": '{"uniqueId":"n","name":"n","portraitUri":"","level":0}'},
        {"userId": "u", "type": 1, "time": 1, "userExtProfile": '{"ext_Profile":""}'},
        {"userId": "u", "time": 1, "userProfile": {"name": "n", "portraitUri": "http://a", "gender": 1}},
    ],
    "rongcloud.group-info": [{"profiles": [_GROUP, {**_GROUP, "groupId": "h"}]}],
    "rongcloud.hosted-info-moderation": [
        {"eventType": 1, "result": True, "time": 1, "targetGroupId": "g", "contents": []},
        {"eventType": 3, "result": True, "time": 1, "optUserId": "u", "contents": []},
    ],
    "rongcloud.bot-message-private": [
        {"type": "message:private", "timestamp": 1, "bot": _BOT, "data": {**_TO_BOT, "msgTimestamp": 1}},
        {
            "type": "message:private",
            "timestamp": 1,
            "bot": _BOT,
            "data": {**_TO_BOT, "objectName": "RC:ImgMsg", "content": json.dumps(_PICTURE)},
        },
        {
            "type": "message:private",
            "timestamp": 1,
            "bot": _BOT,
            "data": {**_TO_BOT, "objectName": "RC:HQVCMsg", "content": json.dumps(_VOICE)},
        },
    ],
}
