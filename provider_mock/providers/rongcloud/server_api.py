"""RongCloud's server API: forms at the root of the host, signed in headers as the callbacks are in their query.

What a call causes is documented for attributes ("any changes") and deactivation; the rest is inferred. Messages of the
server are routed and asked about once the console has switched that on.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from im_callback.provider_mock.contract import (
    ApiAnswer,
    ApiError,
    ApiRequest,
    Call,
    Caller,
    Credentials,
    Event,
    Fields,
    ServerApi,
    Steps,
    quietly,
    same,
)
from im_callback.provider_mock.providers.rongcloud.signing import signature
from im_callback.provider_mock.providers.rongcloud.talk import random_uid

OK = {"code": 200}
SERVER, ADDRESS = "Server", "203.0.113.1:443"
"""Where messages of the server say that they come from."""
CHANNELS = {"1": "PERSON", "3": "GROUP", "4": "TEMPGROUP"}
"""Conversation types, by their numbers in a recall, that are played."""
SET, DELETE = 1, 2
ROOM_CREATED, ROOM_DESTROYED, BY_CALL = 0, 3, 0
GROUP_CREATED, JOINED, REMOVED, LEFT, DISMISSED = range(1, 6)
FRIEND_ENDED, FRIEND_ADDED = 4, 5
_DIGITS = re.compile(r"[0-9]{1,19}")
_ROOM = re.compile(r"chatroom\[(.*)\]", re.DOTALL)


class RongCloudApi(ServerApi):
    """The classic calls (`….json`); those of the newer `/v4/` are not played."""

    @cached_property
    def calls(self) -> Mapping[str, Call]:
        """The calls by their paths."""
        return {
            "/user/getToken.json": quietly(_token),
            "/user/deactivate.json": quietly(lambda request, caller: _activity(request, caller, "0")),
            "/user/reactivate.json": quietly(lambda request, caller: _activity(request, caller, "1")),
            "/message/private/publish.json": lambda request, caller: _publish(request, caller, "PERSON"),
            "/message/group/publish.json": lambda request, caller: _publish(request, caller, "GROUP"),
            "/message/chatroom/publish.json": lambda request, caller: _publish(request, caller, "TEMPGROUP"),
            "/message/recall.json": quietly(_recall),
            "/chatroom/create.json": quietly(_create_rooms),
            "/chatroom/create_new.json": quietly(_create_room),
            "/chatroom/destroy.json": quietly(_destroy_rooms),
            "/chatroom/entry/set.json": quietly(_set),
            "/chatroom/entry/batch/set.json": quietly(_set_several),
            "/chatroom/entry/remove.json": quietly(_remove),
            "/chatroom/entry/batch/remove.json": quietly(_remove_several),
            "/chatroom/entry/query.json": quietly(_query),
            "/group/create.json": quietly(_own_group),
            "/group/join.json": quietly(_own_group),
            "/group/quit.json": quietly(_leave_own_group),
            "/group/dismiss.json": quietly(_dismiss_own_group),
            "/entrust/group/create.json": quietly(_create_group),
            "/entrust/group/join.json": quietly(lambda request, caller: _members(request, caller, JOINED)),
            "/entrust/group/quit.json": quietly(lambda request, caller: _members(request, caller, LEFT)),
            "/entrust/group/member/kick.json": quietly(lambda request, caller: _members(request, caller, REMOVED)),
            "/entrust/group/dismiss.json": quietly(_dismiss_group),
            "/friend/add.json": quietly(_befriend),
            "/friend/delete.json": quietly(_end_friendships),
        }

    def owns(self, path: str) -> bool:
        """Return whether a path ends as RongCloud's do."""
        return path.endswith(".json")

    def app_key(self, request: ApiRequest) -> str:
        """Return the header App-Key; older SDKs write RC-App-Key."""
        return _header(request, "app-key")

    def refusal(self, request: ApiRequest, credentials: Credentials, now_millis: int) -> ApiAnswer | None:
        """Return 401 with 1004 unless Signature is sha1(App Secret + Nonce + Timestamp).

        Official SDKs send seconds where the page says milliseconds, and one signs once for all its requests: neither
        the age of a timestamp nor a nonce's second use is looked at.
        """
        del now_millis
        nonce, time = _header(request, "nonce"), _header(request, "timestamp")
        due = signature(credentials.app_secret or "", nonce, time)
        if nonce and _DIGITS.fullmatch(time) and same(_header(request, "signature").lower(), due):
            return None
        return _error(401, 1004, "the header Signature is not sha1(App Secret + Nonce + Timestamp)")

    def unknown_app(self, request: ApiRequest) -> ApiAnswer:
        """Return 401 with 1001."""
        return _error(401, 1001, f"no application here has the App-Key {self.app_key(request)[:80]!r}")

    def unusable(self, problem: str) -> ApiAnswer:
        """Return 400 with 1002."""
        return _error(400, 1002, problem)

    def not_played(self, request: ApiRequest) -> ApiAnswer:
        """Return 404 with the path."""
        return _error(404, 404, f"{request.path[:200]} is not played here; played are: {', '.join(self.calls)}")

    def unavailable(self, problem: str) -> ApiAnswer:
        """Return 503 with the code of a time-out."""
        return _error(503, 1050, problem)


def _error(status: int, code: int, text: str) -> ApiAnswer:
    return ApiAnswer({"code": code, "errorMessage": text}, (), status)


def _header(request: ApiRequest, name: str) -> str:
    return request.headers.get(name) or request.headers.get(f"rc-{name}", "")


def _needed(form: Fields, *names: str) -> list[str]:
    """Return the values of fields, or refuse the call that lacks one."""
    if missing := [name for name in names if not form.get(name)]:
        raise ApiError({"code": 1002, "errorMessage": f"{', '.join(missing)} is missing"}, 400)
    return [form.get(name) for name in names]


def _several(form: Fields, name: str) -> list[str]:
    """Return the values of a field that is repeated, or holds several between commas; none: the call is refused."""
    _needed(form, name)
    return [one for value in form.all(name) for one in value.split(",") if one]


def _object(form: Fields, name: str) -> dict[str, Any]:
    try:
        found = json.loads(form.get(name) or "{}")
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ApiError({"code": 1002, "errorMessage": f"{name} is no JSON object"}, 400)
    return found


def _tick(caller: Caller) -> int:
    """Return a time in ms that is later than that of every event before it."""
    last: int = (caller.state.get("clock", "") or {"millis": 0})["millis"]
    millis = max(caller.moment.millis, last + 1)
    caller.state.put("clock", "", {"millis": millis})
    return millis


# Accounts.


def _token(request: ApiRequest, caller: Caller) -> ApiAnswer:
    form = request.form()
    (user,) = _needed(form, "userId")
    caller.state.put("account", user, {"name": form.get("name"), "portraitUri": form.get("portraitUri")})
    return ApiAnswer({**OK, "userId": user, "token": f"{random_uid(caller.moment.random)}@mock"})


def _activity(request: ApiRequest, caller: Caller, kind: str) -> ApiAnswer:
    (user,) = _needed(request.form(), "userId")
    operation = random_uid(caller.moment.random)
    account = caller.state.get("account", user) or {}
    caller.state.put("account", user, {**account, "active": kind == "1"})
    told = {"userId": user, "operateId": operation, "type": kind, "code": "0", "time": str(_tick(caller))}
    return ApiAnswer({**OK, "operateId": operation}, [(Event("rongcloud.user-deactivation", told),)])


# Messages.

_TARGETS = {
    "PERSON": ("toUserId", "userId"),
    "GROUP": ("toGroupId", "groupId"),
    "TEMPGROUP": ("toChatroomId", "chatroomId"),
}
"""By channel the field that says to whom, and how the answer calls it."""
_PUSH = ("pushContent", "pushExt", "extraContent")


def _publish(request: ApiRequest, caller: Caller, channel: str) -> Steps:
    """Send a message to each target: it is asked about first, then routed as the answer leaves it.

    One about which the answer is no is routed to nobody, and has no id in the answer to the SDK.
    """
    form = request.form()
    field, named = _TARGETS[channel]
    sender, _, kind, content = _needed(form, "fromUserId", field, "objectName", "content")
    meant = form.all("toUserId") if channel == "GROUP" else []
    ids = {target: random_uid(caller.moment.random) for target in form.all(field)}
    millis = caller.moment.millis
    asked = [
        Event(
            "rongcloud.pre-message",
            {
                "appKey": caller.credentials.app_key,
                "fromUserId": sender,
                "targetId": target,
                **({"toUserIds": ",".join(meant)} if meant else {}),
                "msgType": kind,
                "content": content,
                "channelType": channel,
                "msgTimeStamp": str(millis),
                "messageId": one,
                "os": SERVER,
                "clientIp": ADDRESS,
                **{name: form.get(name) for name in _PUSH if form.get(name)},
                **{name: _truth(form.get(name)) for name in ("disablePush", "expansion") if form.get(name)},
            },
        )
        for target, one in ids.items()
    ]
    said = yield asked
    events: list[tuple[Event, ...]] = []
    uids = []
    for (target, one), result in zip(ids.items(), said, strict=True):
        if result.refused:
            continue
        time = _tick(caller)
        told = {
            "channelType": channel,
            "fromUserId": sender,
            "toUserId": target,
            "msgTimestamp": str(time),
            "timestamp": str(time),
            "objectName": kind,
            "content": result.payload["content"],
            "sensitiveType": "0",
            "source": SERVER,
            "msgUID": one,
            "clientIp": ADDRESS,
            **({"groupUserIds": meant} if meant else {}),
        }
        caller.state.put("message", one, {"time": time, "recalled": False}, passing=True)
        uids.append({named: target, "messageUID": one})
        if result.answer.get("pass") != 2:
            events.append((Event("rongcloud.message", told),))
    single = {"messageUID": uids[0]["messageUID"]} if len(uids) == 1 else {}
    return ApiAnswer({**OK, **single, "messageUIDs": uids}, events)


def _truth(value: str) -> str:
    return "true" if value.lower() in ("1", "true") else "false"


def _recall(request: ApiRequest, caller: Caller) -> ApiAnswer:
    form = request.form()
    sender, kind, target, uid = _needed(form, "fromUserId", "conversationType", "targetId", "messageUID")
    if not kind.isdecimal() or not kind.isascii():
        raise ApiError({"code": 1002, "errorMessage": f"the conversationType {kind[:20]!r} is no number"}, 400)
    known = caller.state.get("message", uid) or {"recalled": False}
    if known["recalled"]:
        return ApiAnswer(OK)
    sent = form.get("sentTime")
    time = known.get("time") or (int(sent) if _DIGITS.fullmatch(sent) else caller.moment.millis)
    caller.state.put("message", uid, {"time": time, "recalled": True}, passing=True)
    channel = {"busChannel": form.get("busChannel")} if form.get("busChannel") else {}
    told = {
        "eventType": 1,
        "fromUserId": sender,
        "optTime": _tick(caller),
        "source": SERVER,
        "conversationInfo": {"conversationType": int(kind), "targetId": target, **channel},
        "originalMsgInfo": {"messageId": uid, "messageTime": time},
        "recallMsgInfo": {
            "isDelete": int(_truth(form.get("isDelete")) == "true"),
            "isAdmin": int(_truth(form.get("isAdmin")) == "true"),
            "extra": form.get("extra"),
        },
    }
    return ApiAnswer(OK, [(Event("rongcloud.message-operation", told),)])


# Chat rooms and their attributes.


def _room(caller: Caller, room: str) -> dict[str, Any]:
    return caller.state.get("room", room) or {"attributes": {}}


def _room_event(caller: Caller, room: str, kind: int) -> Event:
    told = {"chatRoomId": room, "userIds": [], "status": BY_CALL, "type": kind, "time": _tick(caller)}
    return Event("rongcloud.chatroom-status", told)


def _create_rooms(request: ApiRequest, caller: Caller) -> ApiAnswer:
    found = [match[1] for name, _ in request.form().pairs if (match := _ROOM.fullmatch(name)) and match[1]]
    if not found:
        raise ApiError({"code": 1002, "errorMessage": "there is no chatroom[ID]=NAME"}, 400)
    events = [event for room in found for event in _created(caller, room)]
    return ApiAnswer(OK, [(event,) for event in events])


def _created(caller: Caller, room: str) -> Iterator[Event]:
    if caller.state.get("room", room) is None:
        caller.state.put("room", room, {"attributes": {}})
        yield _room_event(caller, room, ROOM_CREATED)


def _create_room(request: ApiRequest, caller: Caller) -> ApiAnswer:
    form = request.form()
    (room,) = _needed(form, "chatroomId")
    events: list[tuple[Event, ...]] = [(event,) for event in _created(caller, room)]
    entries = _texts(_object(form, "entryInfo"))
    if entries:
        events.append(_put(caller, room, form.get("entryOwnerId"), entries, auto=False))
    return ApiAnswer(OK, events)


def _destroy_rooms(request: ApiRequest, caller: Caller) -> ApiAnswer:
    events = []
    for room in _several(request.form(), "chatroomId"):
        if caller.state.get("room", room) is not None:
            caller.state.drop("room", room)
            events.append((_room_event(caller, room, ROOM_DESTROYED),))
    return ApiAnswer(OK, events)


def _set(request: ApiRequest, caller: Caller) -> ApiAnswer:
    form = request.form()
    room, user, key, value = _needed(form, "chatroomId", "userId", "key", "value")
    return ApiAnswer(OK, [_put(caller, room, user, {key: value}, auto=_truth(form.get("autoDelete")) == "true")])


def _set_several(request: ApiRequest, caller: Caller) -> ApiAnswer:
    form = request.form()
    room, owner, _ = _needed(form, "chatroomId", "entryOwnerId", "entryInfo")
    entries = _texts(_object(form, "entryInfo"))
    auto = _truth(form.get("autoDelete")) == "true"
    return ApiAnswer(OK, [_put(caller, room, owner, entries, auto=auto)] if entries else [])


def _texts(entries: Mapping[str, Any]) -> dict[str, str]:
    return {
        key: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for key, value in entries.items()
    }


def _put(caller: Caller, room: str, user: str, entries: Mapping[str, str], *, auto: bool) -> tuple[Event, ...]:
    known = _room(caller, room)
    events = []
    for key, value in entries.items():
        event = _entry(caller, room, user, SET, key, value)
        time = str(event.payload["version"])
        known["attributes"][key] = {"value": value, "userId": user, "autoDelete": auto, "lastSetTime": time}
        events.append(event)
    caller.state.put("room", room, known)
    return tuple(events)


def _entry(caller: Caller, room: str, user: str, kind: int, key: str, value: str) -> Event:
    """Return the event of a change; versions are times, and rise."""
    time = _tick(caller)
    told = {"chatroomId": room, "optType": kind, "userId": user, "key": key, "value": value}
    return Event("rongcloud.chatroom-kv", {**told, "status": "2", "timestamp": time, "version": time})


def _remove(request: ApiRequest, caller: Caller) -> ApiAnswer:
    room, user, key = _needed(request.form(), "chatroomId", "userId", "key")
    return _removed(caller, room, user, [key])


def _remove_several(request: ApiRequest, caller: Caller) -> ApiAnswer:
    form = request.form()
    room, owner, text = _needed(form, "chatroomId", "entryOwnerId", "entryKeys")
    try:
        keys = json.loads(text)
    except (ValueError, RecursionError):
        keys = None
    if not isinstance(keys, list):
        raise ApiError({"code": 1002, "errorMessage": "entryKeys is no JSON array"}, 400)
    return _removed(caller, room, owner, [str(key) for key in keys])


def _removed(caller: Caller, room: str, user: str, keys: Sequence[str]) -> ApiAnswer:
    """Return the answer to a removal: an attribute that is not set changes nothing, and causes nothing."""
    known = _room(caller, room)
    gone = [(key, known["attributes"].pop(key)) for key in keys if key in known["attributes"]]
    events = tuple(_entry(caller, room, user, DELETE, key, was["value"]) for key, was in gone)
    if events:
        caller.state.put("room", room, known)
    return ApiAnswer(OK, [events] if events else [])


def _query(request: ApiRequest, caller: Caller) -> ApiAnswer:
    form = request.form()
    (room,) = _needed(form, "chatroomId")
    known = _room(caller, room)["attributes"]
    wanted = form.all("keys") or list(known)
    found = [
        {"key": key, **known[key], "autoDelete": str(int(known[key]["autoDelete"]))} for key in wanted if key in known
    ]
    return ApiAnswer({**OK, "keys": found})


# Groups: those that the team keeps itself cause nothing, those that RongCloud keeps ("entrusted") do.


def _own_group(request: ApiRequest, caller: Caller) -> ApiAnswer:
    form = request.form()
    users, (group,) = _several(form, "userId"), _needed(form, "groupId")
    members = (caller.state.get("own group", group) or {"members": []})["members"]
    caller.state.put("own group", group, {"members": list(dict.fromkeys([*members, *users]))})
    return ApiAnswer(OK)


def _leave_own_group(request: ApiRequest, caller: Caller) -> ApiAnswer:
    form = request.form()
    users, (group,) = _several(form, "userId"), _needed(form, "groupId")
    members = (caller.state.get("own group", group) or {"members": []})["members"]
    caller.state.put("own group", group, {"members": [one for one in members if one not in users]})
    return ApiAnswer(OK)


def _dismiss_own_group(request: ApiRequest, caller: Caller) -> ApiAnswer:
    _, group = _needed(request.form(), "userId", "groupId")
    caller.state.drop("own group", group)
    return ApiAnswer(OK)


def _create_group(request: ApiRequest, caller: Caller) -> ApiAnswer:
    form = request.form()
    group, owner, name = _needed(form, "groupId", "owner", "name")
    if caller.state.get("group", group) is not None:
        raise ApiError({"code": 1002, "errorMessage": f"there is a group {group!r} already"}, 400)
    others = [one for value in form.all("userIds") for one in value.split(",") if one and one != owner]
    caller.state.put("group", group, {"name": name, "owner": owner, "members": [owner, *others]})
    events = [_group_event(caller, group, GROUP_CREATED, owner, [owner, *others])]
    return ApiAnswer(OK, [(event,) for event in events])


def _members(request: ApiRequest, caller: Caller, kind: int) -> ApiAnswer:
    form = request.form()
    users, (name,) = _several(form, "userIds"), _needed(form, "groupId")
    group = _known_group(caller, name)
    if kind == JOINED:
        changed = [one for one in users if one not in group["members"]]
        group["members"] += changed
    else:
        changed = [one for one in users if one in group["members"]]
        group["members"] = [one for one in group["members"] if one not in changed]
    caller.state.put("group", name, group)
    doer = changed[0] if changed and kind != REMOVED else group["owner"]
    return ApiAnswer(OK, [(_group_event(caller, name, kind, doer, changed),)] if changed else [])


def _dismiss_group(request: ApiRequest, caller: Caller) -> ApiAnswer:
    (name,) = _needed(request.form(), "groupId")
    group = _known_group(caller, name)
    caller.state.drop("group", name)
    return ApiAnswer(OK, [(_group_event(caller, name, DISMISSED, group["owner"], []),)])


def _known_group(caller: Caller, name: str) -> dict[str, Any]:
    group = caller.state.get("group", name)
    if group is None:
        raise ApiError({"code": 1002, "errorMessage": f"there is no group {name!r}"}, 400)
    return group


def _group_event(caller: Caller, group: str, kind: int, doer: str, users: Sequence[str]) -> Event:
    told = {"groupId": group, "eventType": kind, "time": _tick(caller), "optUserId": doer}
    return Event("rongcloud.group-operation", {**told, **({"userIds": list(users)} if users else {})})


# Friends.


def _befriend(request: ApiRequest, caller: Caller) -> ApiAnswer:
    user, other = _needed(request.form(), "userId", "targetId")
    return ApiAnswer(OK, [(_friend_event(caller, FRIEND_ADDED, user, other),)])


def _end_friendships(request: ApiRequest, caller: Caller) -> ApiAnswer:
    form = request.form()
    others, (user,) = _several(form, "targetIds"), _needed(form, "userId")
    return ApiAnswer(OK, [(_friend_event(caller, FRIEND_ENDED, user, other),) for other in others])


def _friend_event(caller: Caller, kind: int, user: str, other: str) -> Event:
    told = {"userId": user, "eventType": kind, "toUserId": other, "source": SERVER, "time": _tick(caller)}
    return Event("rongcloud.friend", told)
