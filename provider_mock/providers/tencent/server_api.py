"""Tencent Cloud Chat's server API: JSON below `/v4/`, with a UserSig in the query; every answer is 200 with an ErrorCode.

Which callbacks a call causes is from the pages of the callbacks; what they leave open is inferred.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
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
    Moment,
    Said,
    ServerApi,
    State,
    Steps,
)
from im_callback.provider_mock.providers.tencent.usersig import problem

OK: Mapping[str, Any] = {"ActionStatus": "OK", "ErrorInfo": "", "ErrorCode": 0}
ROOT = "/v4/"
NOT_JSON, BAD_SIGNATURE, UNKNOWN_APP, NOT_THERE, NO_APP, TIMED_OUT = 60003, 60004, 60006, 60009, 60012, 60008
BAD_MESSAGE, BAD_KEY, NOT_FOUND, RECALLED, FORBIDDEN = 90001, 90054, 20022, 20023, 20006
BAD_GROUP_CALL, NO_GROUP, GROUP_FORBIDDEN, GROUP_THERE, NO_GROUP_MESSAGE = 10004, 10010, 10016, 10021, 10030
DISCARD = 2
"""What a team answers so that the sender sees a success, and nobody the message."""
FAILED, ADDED, THERE_ALREADY = 0, 1, 2
"""What became of each member who was to be added."""
_SHOWN = ("Name", "Introduction", "Notification", "FaceUrl")
"""What a callback says of a group that was changed."""
_NO_BEFORE, _NO_AFTER = "ForbidBeforeSendMsgCallback", "ForbidAfterSendMsgCallback"


@dataclass(frozen=True, slots=True)
class _Asked:
    """A call: its JSON, who makes it, and with what."""

    body: dict[str, Any]
    admin: str
    caller: Caller
    wrong: int
    """The code of this service for a field that cannot be used."""

    @property
    def state(self) -> State:
        return self.caller.state

    @property
    def moment(self) -> Moment:
        return self.caller.moment

    def text(self, name: str, default: str | None = None) -> str:
        """Return a text; refuses the call that lacks it and has no default."""
        value = self.body.get(name)
        if value in (None, "") and default is not None:
            return default
        if not isinstance(value, str) or not value:
            raise _fail(self.wrong, f"{name} is missing or no text")
        return value

    def number(self, name: str, default: int | None = None) -> int:
        """Return a whole number, likewise."""
        value = self.body.get(name)
        if value is None and default is not None:
            return default
        if isinstance(value, bool) or not isinstance(value, int):
            raise _fail(self.wrong, f"{name} is missing or no whole number")
        return value

    def array(self, name: str, *, needed: bool = True) -> list[Any]:
        """Return an array, likewise."""
        value = self.body.get(name)
        if value is None and not needed:
            return []
        if not isinstance(value, list) or (needed and not value):
            raise _fail(self.wrong, f"{name} is missing or no array")
        return value

    def named(self, name: str, field: str, *, needed: bool = True) -> list[str]:
        """Return a field's text of each object of an array."""
        found = [one.get(field) if isinstance(one, dict) else None for one in self.array(name, needed=needed)]
        if any(not isinstance(one, str) or not one for one in found):
            raise _fail(self.wrong, f"{name} holds something without a {field}")
        return [str(one) for one in found]

    def tick(self) -> int:
        """Return a time in ms that is later than that of every event before it."""
        last: int = (self.state.get("clock", "") or {"millis": 0})["millis"]
        millis = max(self.moment.millis, last + 1)
        self.state.put("clock", "", {"millis": millis})
        return millis


_Does = Callable[[_Asked], Steps]


class TencentApi(ServerApi):
    """The calls of accounts, messages, groups and friends."""

    @cached_property
    def calls(self) -> Mapping[str, Call]:
        """The calls by their paths."""
        services: Mapping[str, Mapping[str, _Does]] = {
            "im_open_login_svc": {
                "account_import": _quiet(_import_account),
                "multiaccount_import": _quiet(_import_accounts),
                "account_check": _quiet(_check_accounts),
                "account_delete": _quiet(_delete_accounts),
            },
            "openim": {
                "sendmsg": _send,
                "batchsendmsg": _quiet(_send_to_many),
                "admin_msgwithdraw": _quiet(_recall),
                "modify_c2c_msg": _quiet(_modify),
                "admin_set_msg_read": _quiet(_read),
            },
            "group_open_http_svc": {
                "create_group": _create_group,
                "add_group_member": _add_members,
                "delete_group_member": _quiet(_remove_members),
                "modify_group_base_info": _quiet(_change_group),
                "change_group_owner": _quiet(_hand_over),
                "modify_group_attr": _quiet(_set_attributes),
                "clear_group_attr": _quiet(_clear_attributes),
                "send_group_msg": _send_to_group,
                "group_msg_recall": _quiet(_recall_of_group),
                "destroy_group": _quiet(_destroy_group),
            },
            "group_open_attr_http_svc": {"get_group_attr": _quiet(_attributes)},
            "profile": {"portrait_set": _quiet(_set_profile)},
            "sns": {"friend_add": _quiet(_add_friends), "friend_delete": _quiet(_delete_friends)},
        }
        return {
            f"{ROOT}{service}/{command}": _call(does, BAD_GROUP_CALL if service.startswith("group") else BAD_MESSAGE)
            for service, commands in services.items()
            for command, does in commands.items()
        }

    def owns(self, path: str) -> bool:
        """Return whether a path has Tencent's beginning, and service and command behind it."""
        return path.startswith(ROOT) and path.count("/") == 3

    def app_key(self, request: ApiRequest) -> str:
        """Return the sdkappid of the query."""
        return request.query.get("sdkappid", "")

    def refusal(self, request: ApiRequest, credentials: Credentials, now_millis: int) -> ApiAnswer | None:
        """Return 60004 unless the query's usersig is of its identifier and sdkappid, signed, and not expired."""
        if credentials.app_secret is None:
            return _fail(BAD_SIGNATURE, "the application here has no secret; give it api_secret").answer
        found = problem(
            request.query.get("usersig", ""),
            credentials.app_secret,
            request.query.get("identifier", ""),
            credentials.app_key,
            now_millis // 1000,
        )
        return None if found is None else _fail(BAD_SIGNATURE, found).answer

    def unknown_app(self, request: ApiRequest) -> ApiAnswer:
        """Return 60012 where no sdkappid is given, else 60006."""
        given = self.app_key(request)
        if not given:
            return _fail(NO_APP, "the query names no sdkappid").answer
        return _fail(UNKNOWN_APP, f"no application here has the sdkappid {given[:80]!r}").answer

    def unusable(self, problem: str) -> ApiAnswer:
        """Return 90001."""
        return _fail(BAD_MESSAGE, problem).answer

    def not_played(self, request: ApiRequest) -> ApiAnswer:
        """Return 404 with 60009."""
        text = f"{request.path[:200]} is not played here; played are: {', '.join(self.calls)}"
        return ApiAnswer({"ActionStatus": "FAIL", "ErrorInfo": text, "ErrorCode": NOT_THERE}, (), 404)

    def unavailable(self, problem: str) -> ApiAnswer:
        """Return 60008, the code of a time-out of the service's."""
        return _fail(TIMED_OUT, problem).answer


def _fail(code: int, text: str) -> ApiError:
    return ApiError({"ActionStatus": "FAIL", "ErrorInfo": text, "ErrorCode": code})


def _call(does: _Does, wrong: int) -> Call:
    def steps(request: ApiRequest, caller: Caller) -> Steps:
        try:
            body = request.document()
        except ValueError:
            body = None
        if not isinstance(body, dict):
            raise _fail(NOT_JSON, "the body is no JSON object")
        return (yield from does(_Asked(body, request.query.get("identifier", ""), caller, wrong)))

    return steps


def _quiet(does: Callable[[_Asked], ApiAnswer]) -> _Does:
    def steps(asked: _Asked) -> Steps:
        yield from ()
        return does(asked)

    return steps


def _event(kind: str, command: str, **fields: Any) -> tuple[Event, ...]:
    return (Event(f"tencent.{kind}", {"CallbackCommand": command, **fields}),)


def _members(accounts: Sequence[str]) -> list[dict[str, str]]:
    return [{"Member_Account": one} for one in accounts]


def _check(said: Said, forbidden: int) -> None:
    """Refuse the call that the team's server has refused: with a code of its own, or with the provider's."""
    code = said.answer.get("ErrorCode")
    if said.refused and code != DISCARD:
        raise _fail(
            code if isinstance(code, int) and code > DISCARD else forbidden, str(said.answer.get("ErrorInfo", ""))
        )


# Accounts.


def _import_account(asked: _Asked) -> ApiAnswer:
    user = asked.text("UserID", asked.body.get("Identifier") or None)
    asked.state.put("account", user, {"Nick": asked.text("Nick", ""), "FaceUrl": asked.text("FaceUrl", "")})
    return ApiAnswer(OK)


def _import_accounts(asked: _Asked) -> ApiAnswer:
    for user in asked.array("Accounts"):
        asked.state.put("account", str(user), {})
    return ApiAnswer({**OK, "FailAccounts": []})


def _check_accounts(asked: _Asked) -> ApiAnswer:
    found = []
    for user in asked.named("CheckItem", "UserID"):
        status = "NotImported" if asked.state.get("account", user) is None else "Imported"
        found.append({"UserID": user, "ResultCode": 0, "ResultInfo": "", "AccountStatus": status})
    return ApiAnswer({**OK, "ResultItem": found})


def _delete_accounts(asked: _Asked) -> ApiAnswer:
    users = asked.named("DeleteItem", "UserID")
    for user in users:
        asked.state.drop("account", user)
    return ApiAnswer({**OK, "ResultItem": [{"UserID": user, "ResultCode": 0, "ResultInfo": ""} for user in users]})


def _set_profile(asked: _Asked) -> ApiAnswer:
    told = _event(
        "profile-set",
        "Profile.CallbackPortraitSet",
        Operator_Account=asked.admin,
        From_Account=asked.text("From_Account"),
        EventTime=asked.tick(),
        ProfileItem=asked.array("ProfileItem"),
    )
    return ApiAnswer(OK, [told])


# One to one.


def _send(asked: _Asked) -> Steps:
    """Send a message: the team's server may refuse it, change it, or have it vanish without a word.

    Of one that vanishes the documents do not say whether the after-callback comes; it does not here.
    """
    millis = asked.tick()
    time, chance, sequence = millis // 1000, asked.number("MsgRandom"), asked.number("MsgSeq", millis % 2**32)
    sender, to = asked.text("From_Account", asked.admin), asked.text("To_Account")
    key = f"{sequence}_{chance}_{time}"
    message = {
        "From_Account": sender,
        "To_Account": to,
        "MsgSeq": sequence,
        "MsgRandom": chance,
        "MsgTime": time,
        "MsgKey": key,
        "OnlineOnlyFlag": int(asked.body.get("MsgLifeTime") == 0),
        "MsgBody": asked.array("MsgBody"),
        "CloudCustomData": asked.text("CloudCustomData", ""),
    }
    silent = asked.array("ForbidCallbackControl", needed=False)
    answer = {**OK, "MsgTime": time, "MsgKey": key}
    if _NO_BEFORE not in silent:
        (said,) = yield list(_event("c2c-before-send", "C2C.CallbackBeforeSendMsg", **message))
        _check(said, FORBIDDEN)
        if said.refused:
            return ApiAnswer(answer)
        message = {name: said.payload[name] for name in message}
    unread = asked.state.get("unread", to) or {}
    unread[sender] = unread.get(sender, 0) + 1
    asked.state.put("unread", to, unread)
    _keep(asked, message)
    told = _event(
        "c2c-after-send",
        "C2C.CallbackAfterSendMsg",
        **message,
        SendMsgResult=0,
        ErrorInfo="send msg succeed",
        UnreadMsgNum=sum(unread.values()),
    )
    return ApiAnswer(answer, [] if _NO_AFTER in silent else [told])


def _keep(asked: _Asked, message: Mapping[str, Any]) -> None:
    kept = {name: message[name] for name in ("MsgSeq", "MsgRandom", "MsgTime", "MsgBody", "CloudCustomData")}
    asked.state.put("message", _key(message), {**kept, "recalled": False}, passing=True)


def _key(message: Mapping[str, Any]) -> str:
    return "\n".join(str(message[name]) for name in ("From_Account", "To_Account", "MsgKey"))


def _send_to_many(asked: _Asked) -> ApiAnswer:
    """Send one message to several: no callback is made for that, as documented."""
    millis = asked.tick()
    chance, sequence = asked.number("MsgRandom"), asked.number("MsgSeq", millis % 2**32)
    key = f"{sequence}_{chance}_{millis // 1000}"
    message = {"From_Account": asked.text("From_Account", asked.admin), "MsgKey": key, "MsgSeq": sequence}
    message |= {
        "MsgRandom": chance,
        "MsgTime": millis // 1000,
        "MsgBody": asked.array("MsgBody"),
        "CloudCustomData": "",
    }
    for to in asked.array("To_Account"):
        _keep(asked, {**message, "To_Account": to})
    return ApiAnswer({**OK, "MsgKey": key})


def _sent(asked: _Asked) -> tuple[dict[str, str], dict[str, Any]]:
    """Return the names of the message that a call is about, and what is known of it."""
    names = {name: asked.text(name) for name in ("From_Account", "To_Account", "MsgKey")}
    if len(names["MsgKey"].split("_")) != 3:
        raise _fail(BAD_KEY, "the MsgKey is none")
    known = asked.state.get("message", _key(names))
    if known is None:
        raise _fail(NOT_FOUND, "there is no such message")
    return names, known


def _recall(asked: _Asked) -> ApiAnswer:
    names, known = _sent(asked)
    if known["recalled"]:
        raise _fail(RECALLED, "the message has been recalled already")
    asked.state.put("message", _key(names), {**known, "recalled": True}, passing=True)
    unread = sum((asked.state.get("unread", names["To_Account"]) or {}).values())
    return ApiAnswer(OK, [_event("c2c-after-recall", "C2C.CallbackAfterMsgWithDraw", **names, UnreadMsgNum=unread)])


def _modify(asked: _Asked) -> ApiAnswer:
    names, known = _sent(asked)
    known |= {name: value for name, value in asked.body.items() if name in ("MsgBody", "CloudCustomData")}
    asked.state.put("message", _key(names), known, passing=True)
    told = _event(
        "c2c-after-modify",
        "C2C.CallbackAfterModifyMsg",
        Operator_Account=asked.admin,
        **names,
        **{name: value for name, value in known.items() if name != "recalled"},
        EventTime=asked.tick(),
    )
    return ApiAnswer(OK, [told])


def _read(asked: _Asked) -> ApiAnswer:
    reader, peer = asked.text("Report_Account"), asked.text("Peer_Account")
    unread = asked.state.get("unread", reader) or {}
    unread.pop(peer, None)
    asked.state.put("unread", reader, unread)
    told = _event(
        "c2c-after-read",
        "C2C.CallbackAfterMsgReport",
        Report_Account=reader,
        Peer_Account=peer,
        LastReadTime=asked.number("MsgReadTime", 0) or asked.moment.seconds,
        UnreadMsgNum=sum(unread.values()),
    )
    return ApiAnswer(OK, [told])


# Groups.


def _group(asked: _Asked) -> tuple[str, dict[str, Any]]:
    name = asked.text("GroupId")
    group = asked.state.get("group", name)
    if group is None:
        raise _fail(NO_GROUP, f"there is no group {name[:80]!r}")
    return name, group


def _of(
    asked: _Asked, name: str, group: Mapping[str, Any], kind: str, command: str, **fields: Any
) -> tuple[Event, ...]:
    """Return what a group's callback says; EventTime is text in all samples of groups."""
    code = f"Group.Callback{command}"
    return _event(kind, code, GroupId=name, Type=group["Type"], **fields, EventTime=str(asked.tick()))


def _create_group(asked: _Asked) -> Steps:
    owner, kind, title = asked.text("Owner_Account", asked.admin), asked.text("Type"), asked.text("Name")
    members = asked.named("MemberList", "Member_Account", needed=False)
    made: dict[str, Any] = {"Operator_Account": asked.admin, "Owner_Account": owner, "Type": kind, "Name": title}
    made["MemberList"] = _members(members)
    before = _event("group-before-create", "Group.CallbackBeforeCreateGroup", **made, EventTime=str(asked.tick()))
    (said,) = yield list(before)
    _check(said, GROUP_FORBIDDEN)
    if said.refused:
        raise _fail(GROUP_FORBIDDEN, "")
    name = asked.text("GroupId", f"@TGS#{asked.moment.random.getrandbits(40):X}")
    if asked.state.get("group", name) is not None:
        raise _fail(GROUP_THERE, f"there is a group {name[:80]!r} already")
    data = asked.array("AppDefinedData", needed=False)
    everybody = list(dict.fromkeys([owner, *members]))
    group = {"Type": kind, "Name": title, "Owner": owner, "Members": everybody, "Attributes": {}, "Last": 0}
    asked.state.put("group", name, group)
    time = str(asked.tick())
    more = {"UserDefinedDataList": data} if data else {}
    told = _event("group-after-create", "Group.CallbackAfterCreateGroup", GroupId=name, **made, **more, EventTime=time)
    return ApiAnswer({**OK, "GroupId": name, "Type": kind}, [told])


def _add_members(asked: _Asked) -> Steps:
    name, group = _group(asked)
    asked_for = asked.named("MemberList", "Member_Account")
    new = [one for one in asked_for if one not in group["Members"]]
    refused: list[Any] = []
    if new:
        before = _of(
            asked,
            name,
            group,
            "group-before-invite-join",
            "BeforeInviteJoinGroup",
            Operator_Account=asked.admin,
            DestinationMembers=_members(new),
        )
        (said,) = yield list(before)
        _check(said, GROUP_FORBIDDEN)
        kept_out = said.answer.get("RefusedMembers_Account")
        refused = new if said.refused else kept_out if isinstance(kept_out, list) else []
        name, group = _group(asked)
    added = [one for one in new if one not in refused]
    group["Members"] = list(dict.fromkeys([*group["Members"], *added]))
    asked.state.put("group", name, group)
    results = [
        {"Member_Account": one, "Result": ADDED if one in added else FAILED if one in refused else THERE_ALREADY}
        for one in asked_for
    ]
    joined = {"JoinType": "Invited", "Operator_Account": asked.admin, "NewMemberList": _members(added)}
    events = [_of(asked, name, group, "group-after-join", "AfterNewMemberJoin", **joined)] if added else []
    return ApiAnswer({**OK, "MemberList": results}, events)


def _remove_members(asked: _Asked) -> ApiAnswer:
    name, group = _group(asked)
    gone = [one for one in asked.array("MemberToDel_Account") if one in group["Members"] and one != group["Owner"]]
    group["Members"] = [one for one in group["Members"] if one not in gone]
    asked.state.put("group", name, group)
    left = {"ExitType": "Kicked", "Operator_Account": asked.admin, "ExitMemberList": _members(gone)}
    return ApiAnswer(OK, [_of(asked, name, group, "group-after-leave", "AfterMemberExit", **left)] if gone else [])


def _change_group(asked: _Asked) -> ApiAnswer:
    name, group = _group(asked)
    changed = {field: value for field, value in asked.body.items() if field in _SHOWN}
    asked.state.put("group", name, {**group, **changed})
    told = _of(
        asked, name, group, "group-after-info-change", "AfterGroupInfoChanged", Operator_Account=asked.admin, **changed
    )
    return ApiAnswer(OK, [told] if changed else [])


def _hand_over(asked: _Asked) -> ApiAnswer:
    name, group = _group(asked)
    new = asked.text("NewOwner_Account")
    if new not in group["Members"]:
        raise _fail(BAD_GROUP_CALL, f"{new[:80]!r} is no member of the group")
    told = {"Operator_Account": asked.admin, "OldOwner_Account": group["Owner"], "NewOwner_Account": new}
    asked.state.put("group", name, {**group, "Owner": new})
    return ApiAnswer(OK, [_of(asked, name, group, "group-after-owner-change", "AfterChangeGroupOwner", **told)])


def _set_attributes(asked: _Asked) -> ApiAnswer:
    name, group = _group(asked)
    given: dict[str, str] = dict(zip(asked.named("GroupAttr", "key"), asked.named("GroupAttr", "value"), strict=True))
    group["Attributes"] |= given
    asked.state.put("group", name, group)
    return ApiAnswer(OK, [_attributes_event(asked, name, group, "modify", given)])


def _clear_attributes(asked: _Asked) -> ApiAnswer:
    name, group = _group(asked)
    asked.state.put("group", name, {**group, "Attributes": {}})
    return ApiAnswer(OK, [_attributes_event(asked, name, group, "clear", {})])


def _attributes_event(
    asked: _Asked, name: str, group: Mapping[str, Any], kind: str, given: Mapping[str, str]
) -> tuple[Event, ...]:
    told = {"OptionType": kind, "Operator_Account": asked.admin, "GroupAttr": _pairs(given)}
    return _of(asked, name, group, "group-after-attribute-change", "AfterGroupAttrChanged", **told)


def _attributes(asked: _Asked) -> ApiAnswer:
    _, group = _group(asked)
    return ApiAnswer({**OK, "GroupAttrAry": _pairs(group["Attributes"])})


def _pairs(given: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in given.items()]


def _send_to_group(asked: _Asked) -> Steps:
    name, group = _group(asked)
    message = {
        "From_Account": asked.text("From_Account", asked.admin),
        "Operator_Account": asked.admin,
        "Random": asked.number("Random"),
        "OnlineOnlyFlag": int(asked.body.get("OnlineOnlyFlag") == 1),
        "MsgBody": asked.array("MsgBody"),
        "CloudCustomData": asked.text("CloudCustomData", ""),
    }
    silent = asked.array("ForbidCallbackControl", needed=False)
    vanishes = False
    if _NO_BEFORE not in silent:
        (said,) = yield list(_of(asked, name, group, "group-before-send", "BeforeSendMsg", **message))
        _check(said, GROUP_FORBIDDEN)
        vanishes = said.refused
        message = {field: said.payload[field] for field in message}
        name, group = _group(asked)
    group["Last"] += 1
    number, time = group["Last"], asked.tick() // 1000
    asked.state.put("group", name, group)
    asked.state.put("group message", f"{name}\n{number}", {"recalled": False}, passing=True)
    told = _of(asked, name, group, "group-after-send", "AfterSendMsg", **message, MsgSeq=number, MsgTime=time)
    return ApiAnswer({**OK, "MsgTime": time, "MsgSeq": number}, [] if vanishes or _NO_AFTER in silent else [told])


def _recall_of_group(asked: _Asked) -> ApiAnswer:
    name, group = _group(asked)
    results, recalled = [], []
    for one in asked.array("MsgSeqList"):
        number = one.get("MsgSeq") if isinstance(one, dict) else None
        if isinstance(number, str) and number.isdecimal() and len(number) <= 10:  # Some SDKs send text.
            number = int(number)
        known = asked.state.get("group message", f"{name}\n{number}")
        fine = known is not None and not known["recalled"]
        results.append({"MsgSeq": number, "RetCode": 0 if fine else NO_GROUP_MESSAGE})
        if fine:
            asked.state.put("group message", f"{name}\n{number}", {"recalled": True}, passing=True)
            recalled.append({"MsgSeq": number})
    told = {"Operator_Account": asked.admin, "MsgSeqList": recalled}
    events = [_of(asked, name, group, "group-after-recall", "AfterRecallMsg", **told)] if recalled else []
    return ApiAnswer({**OK, "RecallRetList": results}, events)


def _destroy_group(asked: _Asked) -> ApiAnswer:
    name, group = _group(asked)
    asked.state.drop("group", name)
    told = {"Owner_Account": group["Owner"], "Name": group["Name"], "MemberList": _members(group["Members"])}
    return ApiAnswer(OK, [_of(asked, name, group, "group-after-disband", "AfterGroupDestroyed", **told)])


# Friends: what servers do is not asked about.


def _add_friends(asked: _Asked) -> ApiAnswer:
    user, others = asked.text("From_Account"), asked.named("AddFriendItem", "To_Account")
    told = _event(
        "sns-friend-add",
        "Sns.CallbackFriendAdd",
        PairList=[{"From_Account": user, "To_Account": one, "Initiator_Account": user} for one in others],
        ClientCmd="friend_add",
        Admin_Account=asked.admin,
        ForceFlag=asked.number("ForceAddFlags", 0),
    )
    return ApiAnswer({**OK, **_results(others)}, [told])


def _delete_friends(asked: _Asked) -> ApiAnswer:
    user, others = asked.text("From_Account"), [str(one) for one in asked.array("To_Account")]
    pairs = [{"From_Account": user, "To_Account": one} for one in others]
    told = _event("sns-friend-delete", "Sns.CallbackFriendDelete", PairList=pairs)
    return ApiAnswer({**OK, **_results(others)}, [told])


def _results(accounts: Sequence[str]) -> dict[str, Any]:
    return {"ResultItem": [{"To_Account": one, "ResultCode": 0, "ResultInfo": ""} for one in accounts]}
