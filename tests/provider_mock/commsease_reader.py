"""A receiver of CommsEase's feeds, written from the documents alone: it verifies, reads, and answers.

It knows nothing of the packages that it is called by, and is as strict about types as a program in a typed language.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY, SECRET = "test-key", "test-secret"
STR, INT, BOOL, LIST, DICT = str, int, bool, list, dict
Fields = Mapping[str, type]

_CLIENT: Fields = {"fromDeviceId": STR, "fromClientType": STR}
_ASKED: Fields = {**_CLIENT, "fromAccount": STR, "timestamp": STR}
_TEAM: Fields = {**_ASKED, "tid": INT}
_MESSAGE: Fields = {**_CLIENT, "fromAccount": STR, "to": STR, "msgTimestamp": STR, "msgType": STR}
_MESSAGE_MORE: Fields = dict.fromkeys(
    ("fromNick", "body", "attach", "ext", "msgidClient", "fromClientIp", "fromClientPort"), STR
)
_NET: Fields = {"fromClientIp": STR, "fromClientPort": STR}

ALWAYS: Mapping[object, Fields] = {
    # Third-party callbacks: an integer, and its own names.
    **dict.fromkeys((1, 2, 6, 22), _MESSAGE),
    3: {"account": STR, "deviceId": STR, "clientType": STR, "timestamp": STR},
    **{key: {**_ASKED, "toAccount": STR} for key in (4, 5)},
    7: {**_CLIENT, "creator": STR, "timestamp": STR},
    **dict.fromkeys((8, 9, 11, 12, 14, 16, 18, 19, 23), _TEAM),
    20: {**_ASKED, "callType": INT},
    35: {**_ASKED, "msgFromAccid": STR, "msgId": INT, "time": INT, "opeType": INT, "toAccount": STR},
    **dict.fromkeys((36, 40), _ASKED),
    37: {**_ASKED, "roomid": INT},
    # RTC: a number beside data.
    ("rtc", 1): {"channelId": INT, "channelName": STR, "createtime": INT, "timestamp": INT},
    ("rtc", 2): {"channelId": INT, "channelName": STR, "timestamp": INT},
    ("rtc", 3): {"filename": STR},
    **{key: {"channelId": INT, "uid": INT, "timestamp": INT} for key in (("rtc", 4), ("rtc", 5))},
    ("rtc", 400): {"dataId": STR, "status": INT},
    ("rtc", "905"): {"fileName": STR},
    # NERoom: words.
    **{key: {"roomArchiveId": STR, "roomUuid": STR} for key in ("CREATE_ROOM", "CLOSE_ROOM")},
    **{key: {"roomArchiveId": STR, "users": LIST} for key in ("USER_JOIN_ROOM", "USER_LEAVE_ROOM")},
    **{key: {"room_archive_id": STR, "user_uuid": STR} for key in ("USER_ON_SEAT", "USER_OFF_SEAT")},
    # The older meeting component.
    **{("meeting", code): {"meetingUniqueId": INT, "time": INT} for code in range(1, 8)},
    # Data sync: text.
    "83": {"reason": STR, "timestamp": STR, "callbackBody": STR},
    "84": {"event": STR, "accid": STR, "timestamp": STR},
    "85": {"msgType": STR, "accid": STR, "ackMsgTime": STR},
    **{
        key: {"from": STR, "to": STR, "msgId": INT, "modifyAccountId": STR, "modifyTime": INT}
        for key in ("89", "90", "91")
    },
}
"""What every payload of a kind has, by what it is told by."""
SOMETIMES: Mapping[object, Fields] = {
    **dict.fromkeys((1, 2, 6, 22), _MESSAGE_MORE),
    3: {**dict.fromkeys(("name", "icon", "sign", "email", "birth", "mobile", "ex"), STR), "gender": INT},
    4: {"verifyType": INT, "msg": STR},
    7: {
        **dict.fromkeys(("tname", "icon", "custom", "intro", "msg", "announcement", "servercustom"), STR),
        **dict.fromkeys(("type", "teamMuteType", "level", "joinmode", "beinvitemode", "invitemode"), INT),
        "uptinfomode": INT,
        "upcustommode": INT,
        "inviteList": LIST,
    },
    9: {"beinvitemode": INT, "inviteList": LIST, "msg": STR, "attach": STR},
    11: {"managerList": LIST},
    12: {"managerList": LIST},
    14: {"kickList": LIST},
    16: {"nick": STR, "custom": STR, "notifyType": INT},
    18: {"toAccount": STR, "mute": INT},
    19: {"msg": STR, "joinmode": INT},
    20: {**_NET, "forceKeepCalling": BOOL, "notifyAttach": STR, "toAccountList": LIST},
    23: {"beinvitemode": INT, "inviteList": LIST, "msg": STR},
    35: {**_NET, "msgidClient": STR, "msg": STR, "attach": STR},
    36: {
        **_NET,
        **dict.fromkeys(("token", "loginExt", "customTag", "customClientType"), STR),
        "authType": INT,
        "autoLogin": BOOL,
    },
    37: {**_NET, "anonymous": BOOL, "tags": STR, "token": STR, "loginAuthType": INT, "nick": STR},
    40: {**_NET, "token": STR, "authType": INT, "customTag": STR, "customClientType": INT},
    ("rtc", 3): {"size": STR, "type": STR, "uid": INT, "mix": BOOL, "vid": STR, "md5": STR, "url": STR},
    ("rtc", 4): {"user": STR, "createTime": INT},
    ("rtc", 5): {"user": STR, "createTime": INT, "duration": INT},
    ("rtc", 400): {"channelId": INT, "evidences": DICT, "censorSource": INT},
    ("rtc", "905"): {"size": INT, "timestamp": INT},
    "USER_ON_SEAT": {"index": INT, "user": DICT},
    "84": {"code": STR, "fail": STR, "appLogin": STR, "chatRoomId": STR, "consid": STR},
    "85": {"ackAccid": STR, "ackTeamId": STR},
}


class Refused(Exception):
    """The request is none that the documents describe."""


@dataclass
class Reader:
    """What one address has read; `asks` for the mark of RTC, and which kind of `signature` it expects."""

    url: str = ""
    read: list[Any] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def receive(self, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        """Return status and body for a request; the names of headers are in lower case."""
        try:
            told, payload = understand(headers, body)
        except (Refused, ValueError) as refused:
            self.refused.append(str(refused))
            return 401, b""
        self.read.append((told, payload))
        return 200, b'{"errCode":0}' if isinstance(told, int) else b'{"code":200}'


def understand(headers: Mapping[str, str], body: bytes) -> tuple[object, Any]:
    """Return what a request tells of, and its payload; raises `Refused` or ValueError."""
    if not headers.get("content-type", "").startswith("application/json"):
        raise Refused("it is no JSON")
    verify(headers, body)
    payload = json.loads(body.decode("utf-8"))
    told, fields = sort(payload)
    if isinstance(told, tuple) and told[0] == "rtc" and headers.get("type") != "G2":
        raise Refused("RTC events are marked by a header")
    if isinstance(told, tuple) and told[0] == "meeting" and "nonce" not in headers:
        raise Refused("the meeting component signs a nonce")
    for name, kind in ALWAYS.get(told, {}).items():
        if type(fields.get(name)) is not kind:
            raise Refused(f"{told}: {name} is {fields.get(name)!r}")
    for name, kind in SOMETIMES.get(told, {}).items():
        if name in fields and type(fields[name]) is not kind:
            raise Refused(f"{told}: {name} is {fields[name]!r}")
    return told, payload


def verify(headers: Mapping[str, str], body: bytes) -> None:
    """Raise `Refused` unless the headers sign the body."""
    digest = hashlib.md5(body).hexdigest()
    if headers.get("appkey") != KEY:
        raise Refused("it is for another application")
    if "nonce" in headers:
        signed = SECRET + headers["nonce"] + headers.get("curtime", "") + digest
    else:
        signed = SECRET + digest + headers.get("curtime", "")
        if headers.get("md5") != digest:
            raise Refused("the MD5 is of another body")
    if headers.get("checksum") != hashlib.sha1(signed.encode()).hexdigest():
        raise Refused("the CheckSum is wrong")
    if len(headers["curtime"]) != 13:
        raise Refused("CurTime is not in milliseconds")


def sort(payload: Any) -> tuple[object, Mapping[str, Any]]:
    """Return what a payload tells of, and the object that its fields stand in."""
    if "msgType" in payload and "msgBody" in payload:
        return ("meeting", payload["msgType"]), payload["msgBody"]
    kind = payload["eventType"]
    if "data" in payload:
        return ("rtc", kind), payload["data"]
    if "requestId" in payload:
        if type(payload["timestamp"]) is not int:
            raise Refused("timestamp is no number")
        return kind, payload["body"]
    return kind, payload


@contextmanager
def listening() -> Iterator[Reader]:
    """Listen on a free port of this machine until the block ends."""
    reader = Reader()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, answer = reader.receive({name.lower(): value for name, value in self.headers.items()}, body)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    reader.url = f"http://127.0.0.1:{server.server_address[1]}/callbacks"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield reader
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
