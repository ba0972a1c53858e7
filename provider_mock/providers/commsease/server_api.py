"""CommsEase's server API: forms to `….action`, signed in headers with a nonce and seconds; every answer is 200 with a code.

What a call is copied as is inferred from field names. The server API asks nobody: third-party callbacks are for what
clients do.
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Mapping, Sequence
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
    octets,
    quietly,
    same,
)

OK: Mapping[str, Any] = {"code": 200}
PREFIX = "/nimserver"
"""Stands before the paths on the hosts of the service; SDKs have it in their endpoint, or do not."""
NOT_ALLOWED, NOT_FOUND, UNUSABLE, BUSY = 403, 404, 414, 449
FRESH = 300
"""Seconds that a CurTime may be away from now."""
REST, NOT_RESENT = "REST", "0"
TYPES = {
    "0": "TEXT",
    "1": "PICTURE",
    "2": "AUDIO",
    "3": "VIDEO",
    "4": "LOCATION",
    "6": "FILE",
    "10": "TIPS",
    "100": "CUSTOM",
}
"""Message types by their numbers in calls."""
ADDED, UPDATED, TAKEN_OUT, CLEARED = "2", "3", "5", "8"
INVITED, KICKED, DISSOLVED = 0, 1, 4
"""What notifications in teams tell."""
_DIGITS = re.compile(r"[0-9]{1,18}")


class CommsEaseApi(ServerApi):
    """The calls of the first version (`….action`); those of the second (`/im/v2/…`) are not played."""

    @cached_property
    def calls(self) -> Mapping[str, Call]:
        """The calls by their paths."""
        return {
            "/user/create.action": quietly(_create_user),
            "/user/refreshToken.action": quietly(_refresh_token),
            "/msg/sendMsg.action": quietly(_send),
            "/msg/sendBatchMsg.action": quietly(_send_to_many),
            "/msg/sendAttachMsg.action": quietly(_notify),
            "/msg/recall.action": quietly(_recall),
            "/chatroom/create.action": quietly(_create_room),
            "/chatroom/sendMsg.action": quietly(_send_in_room),
            "/chatroom/queueOffer.action": quietly(_offer),
            "/chatroom/queuePoll.action": quietly(_poll),
            "/chatroom/queueDrop.action": quietly(_drop),
            "/team/create.action": quietly(_create_team),
            "/team/add.action": quietly(_add_members),
            "/team/kick.action": quietly(_kick_members),
            "/team/remove.action": quietly(_remove_team),
            "/friend/add.action": quietly(_befriend),
            "/friend/delete.action": quietly(_end_friendship),
        }

    def owns(self, path: str) -> bool:
        """Return whether a path ends as those of the first version, or begins as those of the second."""
        return path.endswith(".action") or path.removeprefix(PREFIX).startswith(("/im/v2/", "/im/v2.1/"))

    def call(self, request: ApiRequest) -> Call | None:
        """Return the call, whether its path has `/nimserver` before it or not."""
        return self.calls.get(request.path.removeprefix(PREFIX))

    def app_key(self, request: ApiRequest) -> str:
        """Return the header AppKey."""
        return request.headers.get("appkey", "")

    def refusal(self, request: ApiRequest, credentials: Credentials, now_millis: int) -> ApiAnswer | None:
        """Return 414 unless CheckSum is sha1(AppSecret + Nonce + CurTime), with a CurTime in seconds near now.

        The 5 minutes that it is valid are a community's observation, no vendor's word.
        """
        nonce, time = request.headers.get("nonce", ""), request.headers.get("curtime", "")
        text = octets((credentials.app_secret or "") + nonce + time)
        due = hashlib.sha1(text, usedforsecurity=False).hexdigest()
        if not nonce or len(nonce) > 128 or not same(request.headers.get("checksum", "").lower(), due):
            return _error(UNUSABLE, "the header CheckSum is not sha1(AppSecret + Nonce + CurTime)")
        if not _DIGITS.fullmatch(time) or abs(int(time) - now_millis // 1000) > FRESH:
            return _error(UNUSABLE, "the header CurTime is not within 5 minutes of now, in seconds")
        return None

    def unknown_app(self, request: ApiRequest) -> ApiAnswer:
        """Return 403."""
        return _error(NOT_ALLOWED, f"no application here has the AppKey {self.app_key(request)[:80]!r}")

    def unusable(self, problem: str) -> ApiAnswer:
        """Return 414."""
        return _error(UNUSABLE, problem)

    def not_played(self, request: ApiRequest) -> ApiAnswer:
        """Return 404, in the form of either version."""
        text = f"{request.path[:200]} is not played here; played are: {', '.join(self.calls)}"
        return ApiAnswer({"code": NOT_FOUND, "desc": text, "msg": text}, (), 404)

    def unavailable(self, problem: str) -> ApiAnswer:
        """Return 449: the SDK is to try again."""
        return _error(BUSY, problem)


def _error(code: int, text: str) -> ApiAnswer:
    return ApiAnswer({"code": code, "desc": text})


def _refused(code: int, text: str) -> ApiError:
    return ApiError({"code": code, "desc": text})


def _needed(form: Fields, *names: str) -> list[str]:
    if missing := [name for name in names if not form.get(name)]:
        raise _refused(UNUSABLE, f"{', '.join(missing)} is missing")
    return [form.get(name) for name in names]


def _json(form: Fields, name: str, kind: type[Any]) -> Any:
    """Return the JSON value of a field; an empty one where it is left out."""
    try:
        found = json.loads(form.get(name)) if form.get(name) else kind()
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, kind):
        raise _refused(UNUSABLE, f"{name} is no JSON {'array' if kind is list else 'object'}")
    return found


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _tick(caller: Caller) -> int:
    """Return a time in ms that is later than that of every event before it; ids are made of it too."""
    last: int = (caller.state.get("clock", "") or {"millis": 0})["millis"]
    millis = max(caller.moment.millis, last + 1)
    caller.state.put("clock", "", {"millis": millis})
    return millis


def _uuid(caller: Caller) -> str:
    return str(uuid.UUID(int=caller.moment.random.getrandbits(128), version=4))


def _nick(caller: Caller, account: str) -> str:
    return str((caller.state.get("account", account) or {}).get("name") or account)


def _event(name: str, code: str, **fields: Any) -> tuple[Event, ...]:
    return (Event(f"commsease.{name}", {"eventType": code, **fields}),)


# Accounts.


def _create_user(request: ApiRequest, caller: Caller) -> ApiAnswer:
    form = request.form()
    (account,) = _needed(form, "accid")
    if caller.state.get("account", account) is not None:
        raise _refused(UNUSABLE, "already register")
    token = form.get("token") or f"{caller.moment.random.getrandbits(128):032x}"
    caller.state.put("account", account, {"name": form.get("name"), "token": token})
    return ApiAnswer({**OK, "info": {"accid": account, "name": form.get("name"), "token": token}})


def _refresh_token(request: ApiRequest, caller: Caller) -> ApiAnswer:
    (account,) = _needed(request.form(), "accid")
    known = caller.state.get("account", account)
    if known is None:
        raise _refused(UNUSABLE, f"{account} not register")
    token = f"{caller.moment.random.getrandbits(128):032x}"
    caller.state.put("account", account, {**known, "token": token})
    return ApiAnswer({**OK, "info": {"accid": account, "token": token}})


# Messages.


def _send(request: ApiRequest, caller: Caller) -> ApiAnswer:
    form = request.form()
    sender, kind, to, number = _needed(form, "from", "ope", "to", "type")
    if kind not in ("0", "1"):
        raise _refused(UNUSABLE, f"the ope {kind[:20]!r} is none of 0 and 1")
    if kind == "1":
        _team(caller, to)
    time, event = _message(form, caller, sender, to, number, team=kind == "1")
    return ApiAnswer({**OK, "data": {"msgid": time, "timetag": time, "antispam": False}}, _routed(form, event))


def _send_to_many(request: ApiRequest, caller: Caller) -> ApiAnswer:
    form = request.form()
    sender, _, number = _needed(form, "fromAccid", "toAccids", "type")
    ids: dict[str, int] = {}
    events: list[tuple[Event, ...]] = []
    for to in _json(form, "toAccids", list):
        ids[str(to)], event = _message(form, caller, sender, str(to), number, team=False)
        events += _routed(form, event)
    last = max(ids.values(), default=caller.moment.millis)
    return ApiAnswer({**OK, "unregister": "[]", "timetag": last, "msgids": ids}, events)


def _message(
    form: Fields, caller: Caller, sender: str, to: str, number: str, *, team: bool
) -> tuple[int, tuple[Event, ...]]:
    """Keep a message; return its id, which is its time, and its copy."""
    if number not in TYPES:
        raise _refused(UNUSABLE, f"the type {number[:20]!r} is none of {', '.join(TYPES)}")
    body = _json(form, "body", dict)
    words = number in ("0", "10")
    time, client = _tick(caller), _uuid(caller)
    known = {"from": sender, "to": to, "team": team, "client": client, "recalled": False}
    caller.state.put("message", str(time), known, passing=True)
    copy = {
        "convType": "TEAM" if team else "PERSON",
        "to": to,
        "fromAccount": sender,
        "fromClientType": REST,
        "fromDeviceId": "",
        "fromNick": _nick(caller, sender),
        "msgTimestamp": str(time),
        "msgType": TYPES[number],
        "body": str(body.get("msg", "")) if words else "",
        "attach": "" if words else form.get("body"),
        "msgidClient": client,
        "msgidServer": str(time),
        "resendFlag": NOT_RESENT,
    }
    return time, _event("conversation", "1", **copy, **({"ext": form.get("ext")} if form.get("ext") else {}))


def _routed(form: Fields, event: tuple[Event, ...]) -> list[tuple[Event, ...]]:
    """Return the copy, unless the call's option says that there is none."""
    return [] if _json(form, "option", dict).get("route") is False else [event]


def _notify(request: ApiRequest, caller: Caller) -> ApiAnswer:
    form = request.form()
    sender, kind, to, attach = _needed(form, "from", "msgtype", "to", "attach")
    if kind not in ("0", "1"):
        raise _refused(UNUSABLE, f"the msgtype {kind[:20]!r} is none of 0 and 1")
    names = ("CUSTOM_TEAM", "CUSTOM_TEAM_MSG") if kind == "1" else ("CUSTOM_PERSON", "CUSTOM_P2P_MSG")
    kept = "1" if form.get("save", "2") == "2" else "0"
    event = _notice(caller, sender, to, *names, attach, customSafeFlag=kept, customApnsText=form.get("pushcontent"))
    return ApiAnswer(OK, _routed(form, event))


def _notice(caller: Caller, sender: str, to: str, conv: str, kind: str, attach: str, **more: str) -> tuple[Event, ...]:
    time = str(_tick(caller))
    return _event(
        "conversation",
        "1",
        convType=conv,
        to=to,
        fromAccount=sender,
        msgTimestamp=time,
        msgType=kind,
        body="",
        attach=attach,
        msgidServer=time,
        **more,
    )


def _recall(request: ApiRequest, caller: Caller) -> ApiAnswer:
    form = request.form()
    one, sent, kind, sender, to = _needed(form, "deleteMsgid", "timetag", "type", "from", "to")
    if kind not in ("7", "8"):
        raise _refused(UNUSABLE, f"the type {kind[:20]!r} is none of 7 and 8")
    known = caller.state.get("message", one) or {"client": "", "recalled": False}
    if known["recalled"]:
        return ApiAnswer(OK)
    caller.state.put("message", one, {**known, "recalled": True}, passing=True)
    copy = {"from": sender, "to": to, "fromClientType": REST, "msgId": one, "clientId": known["client"]}
    copy |= {"sendTime": sent, "deleteTime": str(_tick(caller)), "selfMsg": form.get("msg")}
    name = "team-message-recall" if kind == "8" else "message-recall"
    return ApiAnswer(OK, [_event(name, kind, **copy)])


# Chat rooms and their queues.


def _create_room(request: ApiRequest, caller: Caller) -> ApiAnswer:
    form = request.form()
    creator, name = _needed(form, "creator", "name")
    room = _tick(caller)
    caller.state.put("room", str(room), {"creator": creator, "queue": {}})
    told = {field: form.get(field) or None for field in ("announcement", "broadcasturl", "ext")}
    shown = {"roomid": room, "valid": True, "name": name, "creator": creator, "queuelevel": 0, "muted": False}
    return ApiAnswer({**OK, "chatroom": {**shown, **told}})


def _room(form: Fields, caller: Caller) -> tuple[str, dict[str, Any]]:
    (name,) = _needed(form, "roomid")
    room = caller.state.get("room", name)
    if room is None:
        raise _refused(NOT_FOUND, f"there is no room {name[:80]!r}")
    return name, room


def _send_in_room(request: ApiRequest, caller: Caller) -> ApiAnswer:
    form = request.form()
    name, _ = _room(form, caller)
    client, sender, number = _needed(form, "msgId", "fromAccid", "msgType")
    if number not in TYPES:
        raise _refused(UNUSABLE, f"the msgType {number[:20]!r} is none of {', '.join(TYPES)}")
    time, nick = _tick(caller), _nick(caller, sender)
    copy = {
        "roomId": name,
        "fromAccount": sender,
        "fromAvator": "",
        "fromClientType": REST,
        "fromExt": "",
        "fromNick": nick,
        "msgTimestamp": str(time),
        "msgType": TYPES[number],
        "attach": form.get("attach"),
        "ext": form.get("ext"),
        "msgidClient": client,
        "resendFlag": form.get("resendFlag") or NOT_RESENT,
        "roleInfoTimetag": "0",
    }
    told = {"time": str(time), "fromAvator": "", "msgid_client": client, "fromClientType": REST, "roomId": name}
    told |= {
        "fromAccount": sender,
        "fromNick": nick,
        "attach": form.get("attach"),
        "type": number,
        "ext": form.get("ext"),
    }
    silent = form.get("route") == "0"
    return ApiAnswer({**OK, "desc": told}, [] if silent else [_event("chatroom-message", "4", **copy)])


def _offer(request: ApiRequest, caller: Caller) -> ApiAnswer:
    """Put an element into a room's queue, or another value under the key that is there."""
    form = request.form()
    name, room = _room(form, caller)
    key, value = _needed(form, "key", "value")
    kind = UPDATED if key in room["queue"] else ADDED
    operator = form.get("operator") or room["creator"]
    room["queue"][key] = value
    caller.state.put("room", name, room)
    transient = "true" if form.get("transient") == "true" else "false"
    more = {"elements": _text({key: value}), "transient": transient, "belongTo": operator}
    return ApiAnswer({**OK, "desc": {}}, [_queue_event(caller, name, kind, operator, **more)])


def _poll(request: ApiRequest, caller: Caller) -> ApiAnswer:
    """Take an element out: the one of a key, or the first."""
    form = request.form()
    name, room = _room(form, caller)
    key = form.get("key") or next(iter(room["queue"]), "")
    if key not in room["queue"]:
        return ApiAnswer({**OK, "desc": {}})
    value = room["queue"].pop(key)
    caller.state.put("room", name, room)
    event = _queue_event(caller, name, TAKEN_OUT, room["creator"], elements=_text({key: value}))
    return ApiAnswer({**OK, "desc": {"key": key, "value": value}}, [event])


def _drop(request: ApiRequest, caller: Caller) -> ApiAnswer:
    name, room = _room(request.form(), caller)
    caller.state.put("room", name, {**room, "queue": {}})
    return ApiAnswer({**OK, "desc": {}}, [_queue_event(caller, name, CLEARED, room["creator"])])


def _queue_event(caller: Caller, room: str, kind: str, operator: str, **more: str) -> tuple[Event, ...]:
    copy = {
        "roomid": room,
        "qEvent": kind,
        "operator": operator,
        "fromWebApi": "true",
        "operationTime": str(_tick(caller)),
    }
    return _event("chatroom-queue", "14", **copy, **more)


# Teams.


def _team(caller: Caller, name: str) -> dict[str, Any]:
    team = caller.state.get("team", name)
    if team is None:
        raise _refused(NOT_FOUND, f"there is no team {name[:80]!r}")
    return team


def _create_team(request: ApiRequest, caller: Caller) -> ApiAnswer:
    form = request.form()
    title, owner = _needed(form, "tname", "owner")
    others = [str(one) for one in _json(form, "members", list) if one != owner]
    name = str(_tick(caller))
    return _invited(form, caller, name, {"title": title, "owner": owner, "members": [owner]}, others)


def _add_members(request: ApiRequest, caller: Caller) -> ApiAnswer:
    form = request.form()
    name, _, _ = _needed(form, "tid", "owner", "members")
    team = _team(caller, name)
    new = [str(one) for one in _json(form, "members", list) if one not in team["members"]]
    return _invited(form, caller, name, team, new)


def _invited(form: Fields, caller: Caller, name: str, team: dict[str, Any], others: Sequence[str]) -> ApiAnswer:
    """Have accounts join, or invite them where they are to agree (`magree` 1)."""
    owner = team["owner"]
    if form.get("magree") == "1":
        attach = _text({"msg": form.get("msg"), "tid": name})
        events = [_notice(caller, owner, name, "CUSTOM_TEAM", "TEAM_INVITE", attach)] if others else []
    else:
        team["members"] = [*team["members"], *others]
        events = [_notification(caller, name, team, INVITED, others)] if others else []
    caller.state.put("team", name, team)
    return ApiAnswer({**OK, "tid": name, "faccid": {"accid": [], "msg": ""}}, events)


def _kick_members(request: ApiRequest, caller: Caller) -> ApiAnswer:
    form = request.form()
    name, _ = _needed(form, "tid", "owner")
    team = _team(caller, name)
    wanted = [form.get("member"), *(str(one) for one in _json(form, "members", list))]
    gone = [one for one in wanted if one in team["members"] and one != team["owner"]]
    team["members"] = [one for one in team["members"] if one not in gone]
    caller.state.put("team", name, team)
    return ApiAnswer(OK, [_notification(caller, name, team, KICKED, gone)] if gone else [])


def _remove_team(request: ApiRequest, caller: Caller) -> ApiAnswer:
    name, _ = _needed(request.form(), "tid", "owner")
    team = _team(caller, name)
    caller.state.drop("team", name)
    return ApiAnswer(OK, [_notification(caller, name, team, DISSOLVED, [])])


def _notification(
    caller: Caller, name: str, team: Mapping[str, Any], kind: int, about: Sequence[str]
) -> tuple[Event, ...]:
    data: dict[str, Any] = {"tinfo": {"1": name, "3": team["title"], "5": team["owner"], "9": len(team["members"])}}
    time = str(_tick(caller))
    return _event(
        "conversation",
        "1",
        convType="TEAM",
        to=name,
        fromAccount=team["owner"],
        fromClientType=REST,
        fromDeviceId="",
        fromNick=_nick(caller, team["owner"]),
        msgTimestamp=time,
        msgType="NOTIFICATION",
        body="",
        attach=_text({"data": {**data, **({"ids": list(about)} if about else {})}, "id": kind}),
        msgidClient=_uuid(caller),
        msgidServer=time,
        resendFlag=NOT_RESENT,
    )


# Friends.


def _befriend(request: ApiRequest, caller: Caller) -> ApiAnswer:
    form = request.form()
    account, other, kind = _needed(form, "accid", "faccid", "type")
    if kind not in ("1", "2", "3", "4"):
        raise _refused(UNUSABLE, f"the type {kind[:20]!r} is none of 1 to 4")
    attach = _text({"vt": int(kind), **({"msg": form.get("msg")} if form.get("msg") else {})})
    return ApiAnswer(OK, [_notice(caller, account, other, "CUSTOM_PERSON", "FRIEND_ADD", attach)])


def _end_friendship(request: ApiRequest, caller: Caller) -> ApiAnswer:
    account, other = _needed(request.form(), "accid", "faccid")
    return ApiAnswer(OK, [_notice(caller, account, other, "CUSTOM_PERSON", "FRIEND_DELETE", "")])
