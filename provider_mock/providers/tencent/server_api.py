"""Tencent Cloud Chat's server API: JSON below `/v4/`, with a UserSig in the query; every answer is 200 with an ErrorCode.

Which callbacks a call causes is from the pages of the callbacks; what they leave open is inferred.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from im_callback.provider_mock.contract import (
    ApiAnswer,
    ApiRequest,
    Call,
    Caller,
    Credentials,
    ServerApi,
    Steps,
    quietly,
)
from im_callback.provider_mock.providers.tencent import groups_api
from im_callback.provider_mock.providers.tencent.called import (
    NO_AFTER,
    NO_BEFORE,
    OK,
    Asked,
    Does,
    event_of,
    fail,
    must_allow,
)
from im_callback.provider_mock.providers.tencent.usersig import problem

ROOT = "/v4/"
NOT_JSON, BAD_SIGNATURE, UNKNOWN_APP, NOT_THERE, NO_APP, TIMED_OUT = 60003, 60004, 60006, 60009, 60012, 60008
WRONG, BAD_KEY, NOT_FOUND, RECALLED, FORBIDDEN = 90001, 90054, 20022, 20023, 20006


class TencentApi(ServerApi):
    """The calls of accounts, messages, groups and friends."""

    @cached_property
    def calls(self) -> Mapping[str, Call]:
        """The calls by their paths."""
        services: Mapping[str, Mapping[str, Does]] = {
            "im_open_login_svc": {
                "account_import": quietly(_import_account),
                "multiaccount_import": quietly(_import_accounts),
                "account_check": quietly(_check_accounts),
                "account_delete": quietly(_delete_accounts),
            },
            "openim": {
                "sendmsg": _send,
                "batchsendmsg": quietly(_send_to_many),
                "admin_msgwithdraw": quietly(_recall),
                "modify_c2c_msg": quietly(_modify),
                "admin_set_msg_read": quietly(_read),
            },
            **groups_api.SERVICES,
            "profile": {"portrait_set": quietly(_set_profile)},
            "sns": {"friend_add": quietly(_add_friends), "friend_delete": quietly(_delete_friends)},
        }
        return {
            f"{ROOT}{service}/{command}": _call(does, groups_api.WRONG if service in groups_api.SERVICES else WRONG)
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
            return fail(BAD_SIGNATURE, "the application here has no secret; give it api_secret").answer
        found = problem(
            request.query.get("usersig", ""),
            credentials.app_secret,
            request.query.get("identifier", ""),
            credentials.app_key,
            now_millis // 1000,
        )
        return None if found is None else fail(BAD_SIGNATURE, found).answer

    def unknown_app(self, request: ApiRequest) -> ApiAnswer:
        """Return 60012 where no sdkappid is given, else 60006."""
        given = self.app_key(request)
        if not given:
            return fail(NO_APP, "the query names no sdkappid").answer
        return fail(UNKNOWN_APP, f"no application here has the sdkappid {given[:80]!r}").answer

    def unusable(self, problem: str) -> ApiAnswer:
        """Return 90001."""
        return fail(WRONG, problem).answer

    def not_played(self, request: ApiRequest) -> ApiAnswer:
        """Return 404 with 60009."""
        text = f"{request.path[:200]} is not played here; played are: {', '.join(self.calls)}"
        return ApiAnswer({"ActionStatus": "FAIL", "ErrorInfo": text, "ErrorCode": NOT_THERE}, (), 404)

    def unavailable(self, problem: str) -> ApiAnswer:
        """Return 60008, the code of a time-out of the service's."""
        return fail(TIMED_OUT, problem).answer


def _call(does: Does, wrong: int) -> Call:
    def steps(request: ApiRequest, caller: Caller) -> Steps:
        try:
            body = request.document()
        except ValueError:
            body = None
        if not isinstance(body, dict):
            raise fail(NOT_JSON, "the body is no JSON object")
        return (yield from does(Asked(body, request.query.get("identifier", ""), caller, wrong)))

    return steps


# Accounts.


def _import_account(asked: Asked) -> ApiAnswer:
    user = asked.text("UserID", asked.body.get("Identifier") or None)
    asked.state.put("account", user, {"Nick": asked.text("Nick", ""), "FaceUrl": asked.text("FaceUrl", "")})
    return ApiAnswer(OK)


def _import_accounts(asked: Asked) -> ApiAnswer:
    for user in asked.array("Accounts"):
        asked.state.put("account", str(user), {})
    return ApiAnswer({**OK, "FailAccounts": []})


def _check_accounts(asked: Asked) -> ApiAnswer:
    found = []
    for user in asked.named("CheckItem", "UserID"):
        status = "NotImported" if asked.state.get("account", user) is None else "Imported"
        found.append({"UserID": user, "ResultCode": 0, "ResultInfo": "", "AccountStatus": status})
    return ApiAnswer({**OK, "ResultItem": found})


def _delete_accounts(asked: Asked) -> ApiAnswer:
    users = asked.named("DeleteItem", "UserID")
    for user in users:
        asked.state.drop("account", user)
    return ApiAnswer({**OK, "ResultItem": [{"UserID": user, "ResultCode": 0, "ResultInfo": ""} for user in users]})


def _set_profile(asked: Asked) -> ApiAnswer:
    told = event_of(
        "profile-set",
        "Profile.CallbackPortraitSet",
        Operator_Account=asked.admin,
        From_Account=asked.text("From_Account"),
        EventTime=asked.tick(),
        ProfileItem=asked.array("ProfileItem"),
    )
    return ApiAnswer(OK, [told])


# One to one.


def _send(asked: Asked) -> Steps:
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
    if NO_BEFORE not in silent:
        (said,) = yield list(event_of("c2c-before-send", "C2C.CallbackBeforeSendMsg", **message))
        must_allow(said, FORBIDDEN)
        if said.refused:
            return ApiAnswer(answer)
        message = {name: said.payload[name] for name in message}
    unread = asked.state.get("unread", to) or {}
    unread[sender] = unread.get(sender, 0) + 1
    asked.state.put("unread", to, unread)
    _keep(asked, message)
    told = event_of(
        "c2c-after-send",
        "C2C.CallbackAfterSendMsg",
        **message,
        SendMsgResult=0,
        ErrorInfo="send msg succeed",
        UnreadMsgNum=sum(unread.values()),
    )
    return ApiAnswer(answer, [] if NO_AFTER in silent else [told])


def _keep(asked: Asked, message: Mapping[str, Any]) -> None:
    kept = {name: message[name] for name in ("MsgSeq", "MsgRandom", "MsgTime", "MsgBody", "CloudCustomData")}
    asked.state.put("message", _key(message), {**kept, "recalled": False}, passing=True)


def _key(message: Mapping[str, Any]) -> str:
    return "\n".join(str(message[name]) for name in ("From_Account", "To_Account", "MsgKey"))


def _send_to_many(asked: Asked) -> ApiAnswer:
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


def _sent(asked: Asked) -> tuple[dict[str, str], dict[str, Any]]:
    """Return the names of the message that a call is about, and what is known of it."""
    names = {name: asked.text(name) for name in ("From_Account", "To_Account", "MsgKey")}
    if len(names["MsgKey"].split("_")) != 3:
        raise fail(BAD_KEY, "the MsgKey is none")
    known = asked.state.get("message", _key(names))
    if known is None:
        raise fail(NOT_FOUND, "there is no such message")
    return names, known


def _recall(asked: Asked) -> ApiAnswer:
    names, known = _sent(asked)
    if known["recalled"]:
        raise fail(RECALLED, "the message has been recalled already")
    asked.state.put("message", _key(names), {**known, "recalled": True}, passing=True)
    unread = sum((asked.state.get("unread", names["To_Account"]) or {}).values())
    return ApiAnswer(OK, [event_of("c2c-after-recall", "C2C.CallbackAfterMsgWithDraw", **names, UnreadMsgNum=unread)])


def _modify(asked: Asked) -> ApiAnswer:
    names, known = _sent(asked)
    known |= {name: value for name, value in asked.body.items() if name in ("MsgBody", "CloudCustomData")}
    asked.state.put("message", _key(names), known, passing=True)
    told = event_of(
        "c2c-after-modify",
        "C2C.CallbackAfterModifyMsg",
        Operator_Account=asked.admin,
        **names,
        **{name: value for name, value in known.items() if name != "recalled"},
        EventTime=asked.tick(),
    )
    return ApiAnswer(OK, [told])


def _read(asked: Asked) -> ApiAnswer:
    reader, peer = asked.text("Report_Account"), asked.text("Peer_Account")
    unread = asked.state.get("unread", reader) or {}
    unread.pop(peer, None)
    asked.state.put("unread", reader, unread)
    told = event_of(
        "c2c-after-read",
        "C2C.CallbackAfterMsgReport",
        Report_Account=reader,
        Peer_Account=peer,
        LastReadTime=asked.number("MsgReadTime", 0) or asked.moment.seconds,
        UnreadMsgNum=sum(unread.values()),
    )
    return ApiAnswer(OK, [told])


# Friends: what servers do is not asked about.


def _add_friends(asked: Asked) -> ApiAnswer:
    user, others = asked.text("From_Account"), asked.named("AddFriendItem", "To_Account")
    told = event_of(
        "sns-friend-add",
        "Sns.CallbackFriendAdd",
        PairList=[{"From_Account": user, "To_Account": one, "Initiator_Account": user} for one in others],
        ClientCmd="friend_add",
        Admin_Account=asked.admin,
        ForceFlag=asked.number("ForceAddFlags", 0),
    )
    return ApiAnswer({**OK, **_results(others)}, [told])


def _delete_friends(asked: Asked) -> ApiAnswer:
    user, others = asked.text("From_Account"), [str(one) for one in asked.array("To_Account")]
    pairs = [{"From_Account": user, "To_Account": one} for one in others]
    told = event_of("sns-friend-delete", "Sns.CallbackFriendDelete", PairList=pairs)
    return ApiAnswer({**OK, **_results(others)}, [told])


def _results(accounts: Sequence[str]) -> dict[str, Any]:
    return {"ResultItem": [{"To_Account": one, "ResultCode": 0, "ResultInfo": ""} for one in accounts]}
