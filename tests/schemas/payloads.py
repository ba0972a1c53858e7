"""Hand-written payloads for what no documented sample shows: optional fields, the other admitted type, other branches."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from im_callback.schemas import EventType, catalogue, replace, resolve
from im_callback.schemas.jsontext import dump

from tests.schemas import payloads_commsease, payloads_rongcloud
from tests.schemas.tencent_payloads import TENCENT, with_bodies
from tests.schemas.tencent_service_payloads import SERVICES

PROVIDERS = ("commsease", "rongcloud", "tencent")
EVENT_TYPES = [one for provider in PROVIDERS for one in catalogue(provider)]
DOCUMENTED = [one for one in EVENT_TYPES if one.status == "documented"]
UNDOCUMENTED = [one for one in EVENT_TYPES if one.status == "undocumented"]


def _as_text(name: str, pointer: str, write: Callable[[Any], str]) -> Any:
    """Return the first sample with text in place of a value that may be sent either way."""
    sample = catalogue(name.partition(".")[0])[name].examples[0]
    return replace(sample, pointer, write(resolve(sample, pointer)))


_PICTURE = {
    "md5": "d0323f8d447abf3df7256bd66f9d5b62",
    "h": 5,
    "w": 5,
    "size": 9,
    "name": "a",
    "url": "http://a",
    "ext": "jpg",
}
_VIDEO = {**_PICTURE, "dur": 1473, "ext": "mp4"}
_MESSAGE = {
    "eventType": "1",
    "convType": "TEAM",
    "to": "13827",
    "fromAccount": "zhangsan",
    "msgTimestamp": "1456888017105",
    "msgidClient": "f33f0716-6027-47de-a582-37a8dc2d217c",
    "msgidServer": "8364607",
}
_ROOM_MESSAGE = {
    "eventType": "4",
    "fromAccount": "zhangsan",
    "msgTimestamp": "1456123424339",
    "msgidClient": "e4d9065fdb5fde927b16d87b7e861d46",
    "roomId": "2016",
}
_ONE_TO_ONE = {
    "CallbackCommand": "C2C.CallbackAfterSendMsg",
    "From_Account": "jared",
    "To_Account": "Jonh",
    "MsgSeq": 4294967295,
    "MsgRandom": 0,
    "MsgTime": 1557481126,
    "MsgKey": "4294967295_0_1557481126",
}

BEYOND_SAMPLES: dict[str, list[dict[str, Any]]] = {
    **payloads_commsease.BEYOND_SAMPLES,
    "commsease.conversation": [
        {
            **_MESSAGE,
            "msgType": "PICTURE",
            "attach": json.dumps(_PICTURE),
            "tMembers": "[zhangsan, lisi]",
            "ext": "",
            "antispam": "true",
            "blacklist": "1",
            "ip": "60.27.79.202",
            "port": "44772",
            "aiParams": {"direction": 1, "account": "robot", "content": {}},
            "yidunRes": '{"yidunBusType":0,"yidunApiVersion":2,"action":2,"labels":[{"label":100,"level":2,"rate":0.5}]}',
        },
        {**_MESSAGE, "msgType": "VIDEO", "attach": json.dumps(_VIDEO)},
        {
            **_MESSAGE,
            "msgType": "NOTIFICATION",
            "attach": '{"data":{"id":"lisi","ids":["lisi"],"tinfo":{"1":"13827"},"uinfos":[{"1":"lisi"}]},"id":403}',
        },
        {**_MESSAGE, "convType": "CUSTOM_TEAM", "msgType": "TEAM_INVITE", "customSafeFlag": "1"},
    ],
    "commsease.login": [
        {
            "eventType": "2",
            "accid": "t3",
            "clientType": "HARMONY",
            "clientIp": "60.27.79.202",
            "code": 200,
            "timestamp": 1608877682237,
            "sdkHumanVersion": "8.1.0",
        }
    ],
    "commsease.logout": [
        {
            "eventType": "3",
            "accid": "tes",
            "clientType": "iOS",
            "code": 200,
            "timestamp": 1608872658452,
            "clientIp": "60.27.79.202",
            "deviceId": "c25f82d0",
            "sdkHumanVersion": "8.1.0",
            "logoutReason": "2",
            "logOutReason": 2,
        }
    ],
    "commsease.chatroom-message": [
        {**_ROOM_MESSAGE, "msgType": "TIPS", "attach": "welcome", "antispam": "true"},
        {**_ROOM_MESSAGE, "msgType": "VIDEO", "attach": json.dumps(_VIDEO)},
    ],
    "commsease.call-duration": [
        {
            "eventType": "5",
            "channelId": "1",
            "createtime": "1458798033925",
            "ext": "x",
            "running": "true",
            "type": "VEDIO",
        }
    ],
    "commsease.call-duration-2": [
        {"eventType": "21", "channelId": "1", "createtime": "1458798033925", "ext": "x", "running": True}
    ],
    "commsease.call-file": [
        {
            "eventType": "6",
            "fileinfo": json.dumps(
                [
                    {
                        "caller": True,
                        "channelid": "6265489843204131361",
                        "filename": "0-6265489843204131361-mix.mp4",
                        "md5": "4c5cc81dd00817b548b5eef42eac4d11",
                        "mix": True,
                        "size": "91680",
                        "type": "mp4",
                        "url": "http://example.com/0",
                        "user": "0",
                        "vid": "1062591",
                    }
                ]
            ),
        }
    ],
    "commsease.message-recall": [{"eventType": "7", "msgId": "1", "attach": "x"}],
    "commsease.team-message-recall": [{"eventType": "8", "msgId": "1", "attach": "x"}],
    "commsease.chatroom-in-out": [
        {
            "eventType": "9",
            "roomId": "1001",
            "accid": "test",
            "event": "KICK",
            "timestamp": "1452504942126",
            "roleType": "-1",
            "anonymous": "true",
            "tags": ["a"],
            "notifyTargetTags": "a",
            "logOutReason": "LOGIN_KICK",
            "ext": "x",
        }
    ],
    "commsease.line-call-ended": [{"type": "CALL"}, {"type": "CALL", "eventType": "10"}],
    "commsease.chatroom-queue": [
        {"eventType": "14", "roomid": "57", "qEvent": "9", "operator": "zyy", "operationTime": 1512702269556},
        {"eventType": "14", "roomid": "57", "qEvent": "9", "operator": "zyy", "operationTime": "1512702269556"},
    ],
    "commsease.antispam": [
        {"eventType": "20", "objects": '[{"antispam":"true","type":"QCHAT_MSG_PICTURE","yidunRes":{}}]'},
        {"eventType": "20", "objects": '[{"antispam":"true","type":"peer-to-peer_MSG_AUDIO","yidunRes":{}}]'},
        {"eventType": "20", "objects": '[{"antispam":true,"type":"CHATROOM_MSG_AUDIO","yidunRes":{},"to":"64"}]'},
        _as_text("commsease.antispam", "/objects/0/yidunRes", dump),
    ],
    "commsease.read-receipt": [_as_text("commsease.read-receipt", "/objects/0/timestamp", str)],
    "commsease.signal": [
        {
            "eventType": "31",
            "type": "INVITE",
            "channelId": "1",
            "from": "a",
            "to": "b",
            "timestamp": "1578551421737",
            "attachExt": "x",
            "isSave": "true",
            "requestId": "1",
            "needPush": "true",
            "pushTitle": "x",
            "pushContent": "x",
            "pushPayload": "x",
            "needBadge": "false",
        },
        {"eventType": "31", "type": "JOIN_ROOM", "channelId": "1", "uid": "1"},
    ],
    "commsease.upload-task": [_as_text("commsease.upload-task", "/uploadInfo", dump)],
    **payloads_rongcloud.BEYOND_SAMPLES,
    "tencent.c2c-after-send": [
        {
            **_ONE_TO_ONE,
            "MsgId": "144115233406643804-1727580296-4026038328",
            "EventTime": "1670574414123",
            "MsgBody": [
                {
                    "MsgType": "TIMRelayElem",
                    "MsgContent": {
                        "Title": "t",
                        "MsgNum": 99,
                        "CompatibleText": "",
                        "AbstractList": [],
                        "JsonMsgKey": "k",
                    },
                }
            ],
        },
        {
            **_ONE_TO_ONE,
            "MsgBody": [
                {
                    "MsgType": "TIMRelayElem",
                    "MsgContent": {
                        "Title": "t",
                        "MsgNum": 1,
                        "CompatibleText": "",
                        "AbstractList": ["a"],
                        "MsgList": [
                            {
                                "From_Account": "A",
                                "To_Account": "B",
                                "MsgSeq": 1,
                                "MsgRandom": 1,
                                "MsgTimeStamp": 1,
                                "MsgBody": [{"MsgType": "TIMStreamElem", "MsgContent": {"x": 1}}],
                                "CloudCustomData": "x",
                            }
                        ],
                    },
                }
            ],
        },
    ],
}

BEYOND_SAMPLES |= TENCENT | SERVICES
_MESSAGES = [*catalogue("tencent")["tencent.c2c-after-send"].examples, *BEYOND_SAMPLES["tencent.c2c-after-send"]]
for _name, _payloads in with_bodies([one["MsgBody"] for one in _MESSAGES]).items():
    BEYOND_SAMPLES.setdefault(_name, []).extend(_payloads)


def valid_payloads(event_type: EventType) -> list[Any]:
    """Return the documented samples of *event_type* and the hand-written payloads."""
    if event_type.status == "undocumented":
        marks = event_type.schema["properties"]
        return [{name: marks[name].get("const", {}) for name in event_type.schema["required"]}]
    return [*event_type.examples, *BEYOND_SAMPLES.get(event_type.name, [])]
