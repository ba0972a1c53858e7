"""The calls of Tencent's server API that are about groups: their members, attributes and messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from im_callback.provider_mock.contract import ApiAnswer, Event, Steps, quietly
from im_callback.provider_mock.providers.tencent.called import (
    NO_AFTER,
    NO_BEFORE,
    OK,
    Asked,
    Does,
    as_members,
    event_of,
    fail,
    must_allow,
)

WRONG, NO_GROUP, FORBIDDEN, THERE, NO_MESSAGE = 10004, 10010, 10016, 10021, 10030
FAILED, ADDED, THERE_ALREADY = 0, 1, 2
"""What became of each member who was to be added."""
_SHOWN = ("Name", "Introduction", "Notification", "FaceUrl")
"""What a callback says of a group that was changed."""


def _group(asked: Asked) -> tuple[str, dict[str, Any]]:
    name = asked.text("GroupId")
    group = asked.state.get("group", name)
    if group is None:
        raise fail(NO_GROUP, f"there is no group {name[:80]!r}")
    return name, group


def _of(asked: Asked, name: str, group: Mapping[str, Any], kind: str, command: str, **fields: Any) -> tuple[Event, ...]:
    """Return what a group's callback says; EventTime is text in all samples of groups."""
    code = f"Group.Callback{command}"
    return event_of(kind, code, GroupId=name, Type=group["Type"], **fields, EventTime=str(asked.tick()))


def _create_group(asked: Asked) -> Steps:
    owner, kind, title = asked.text("Owner_Account", asked.admin), asked.text("Type"), asked.text("Name")
    members = asked.named("MemberList", "Member_Account", needed=False)
    made: dict[str, Any] = {"Operator_Account": asked.admin, "Owner_Account": owner, "Type": kind, "Name": title}
    made["MemberList"] = as_members(members)
    before = event_of("group-before-create", "Group.CallbackBeforeCreateGroup", **made, EventTime=str(asked.tick()))
    (said,) = yield list(before)
    must_allow(said, FORBIDDEN)
    if said.refused:
        raise fail(FORBIDDEN, "")
    name = asked.text("GroupId", f"@TGS#{asked.moment.random.getrandbits(40):X}")
    if asked.state.get("group", name) is not None:
        raise fail(THERE, f"there is a group {name[:80]!r} already")
    data = asked.array("AppDefinedData", needed=False)
    everybody = list(dict.fromkeys([owner, *members]))
    group = {"Type": kind, "Name": title, "Owner": owner, "Members": everybody, "Attributes": {}, "Last": 0}
    asked.state.put("group", name, group)
    time = str(asked.tick())
    more = {"UserDefinedDataList": data} if data else {}
    told = event_of(
        "group-after-create", "Group.CallbackAfterCreateGroup", GroupId=name, **made, **more, EventTime=time
    )
    return ApiAnswer({**OK, "GroupId": name, "Type": kind}, [told])


def _add_members(asked: Asked) -> Steps:
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
            DestinationMembers=as_members(new),
        )
        (said,) = yield list(before)
        must_allow(said, FORBIDDEN)
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
    joined = {"JoinType": "Invited", "Operator_Account": asked.admin, "NewMemberList": as_members(added)}
    events = [_of(asked, name, group, "group-after-join", "AfterNewMemberJoin", **joined)] if added else []
    return ApiAnswer({**OK, "MemberList": results}, events)


def _remove_members(asked: Asked) -> ApiAnswer:
    name, group = _group(asked)
    gone = [one for one in asked.array("MemberToDel_Account") if one in group["Members"] and one != group["Owner"]]
    group["Members"] = [one for one in group["Members"] if one not in gone]
    asked.state.put("group", name, group)
    left = {"ExitType": "Kicked", "Operator_Account": asked.admin, "ExitMemberList": as_members(gone)}
    return ApiAnswer(OK, [_of(asked, name, group, "group-after-leave", "AfterMemberExit", **left)] if gone else [])


def _change_group(asked: Asked) -> ApiAnswer:
    name, group = _group(asked)
    changed = {field: value for field, value in asked.body.items() if field in _SHOWN}
    asked.state.put("group", name, {**group, **changed})
    told = _of(
        asked, name, group, "group-after-info-change", "AfterGroupInfoChanged", Operator_Account=asked.admin, **changed
    )
    return ApiAnswer(OK, [told] if changed else [])


def _hand_over(asked: Asked) -> ApiAnswer:
    name, group = _group(asked)
    new = asked.text("NewOwner_Account")
    if new not in group["Members"]:
        raise fail(WRONG, f"{new[:80]!r} is no member of the group")
    told = {"Operator_Account": asked.admin, "OldOwner_Account": group["Owner"], "NewOwner_Account": new}
    asked.state.put("group", name, {**group, "Owner": new})
    return ApiAnswer(OK, [_of(asked, name, group, "group-after-owner-change", "AfterChangeGroupOwner", **told)])


def _set_attributes(asked: Asked) -> ApiAnswer:
    name, group = _group(asked)
    given: dict[str, str] = dict(zip(asked.named("GroupAttr", "key"), asked.named("GroupAttr", "value"), strict=True))
    group["Attributes"] |= given
    asked.state.put("group", name, group)
    return ApiAnswer(OK, [_attributes_event(asked, name, group, "modify", given)])


def _clear_attributes(asked: Asked) -> ApiAnswer:
    name, group = _group(asked)
    asked.state.put("group", name, {**group, "Attributes": {}})
    return ApiAnswer(OK, [_attributes_event(asked, name, group, "clear", {})])


def _attributes_event(
    asked: Asked, name: str, group: Mapping[str, Any], kind: str, given: Mapping[str, str]
) -> tuple[Event, ...]:
    told = {"OptionType": kind, "Operator_Account": asked.admin, "GroupAttr": _pairs(given)}
    return _of(asked, name, group, "group-after-attribute-change", "AfterGroupAttrChanged", **told)


def _attributes(asked: Asked) -> ApiAnswer:
    _, group = _group(asked)
    return ApiAnswer({**OK, "GroupAttrAry": _pairs(group["Attributes"])})


def _pairs(given: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in given.items()]


def _send_to_group(asked: Asked) -> Steps:
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
    if NO_BEFORE not in silent:
        (said,) = yield list(_of(asked, name, group, "group-before-send", "BeforeSendMsg", **message))
        must_allow(said, FORBIDDEN)
        vanishes = said.refused
        message = {field: said.payload[field] for field in message}
        name, group = _group(asked)
    group["Last"] += 1
    number, time = group["Last"], asked.tick() // 1000
    asked.state.put("group", name, group)
    asked.state.put("group message", f"{name}\n{number}", {"recalled": False}, passing=True)
    told = _of(asked, name, group, "group-after-send", "AfterSendMsg", **message, MsgSeq=number, MsgTime=time)
    return ApiAnswer({**OK, "MsgTime": time, "MsgSeq": number}, [] if vanishes or NO_AFTER in silent else [told])


def _recall_of_group(asked: Asked) -> ApiAnswer:
    name, group = _group(asked)
    results, recalled = [], []
    for one in asked.array("MsgSeqList"):
        number = one.get("MsgSeq") if isinstance(one, dict) else None
        if isinstance(number, str) and number.isdecimal() and len(number) <= 10:  # Some SDKs send text.
            number = int(number)
        known = asked.state.get("group message", f"{name}\n{number}")
        fine = known is not None and not known["recalled"]
        results.append({"MsgSeq": number, "RetCode": 0 if fine else NO_MESSAGE})
        if fine:
            asked.state.put("group message", f"{name}\n{number}", {"recalled": True}, passing=True)
            recalled.append({"MsgSeq": number})
    told = {"Operator_Account": asked.admin, "MsgSeqList": recalled}
    events = [_of(asked, name, group, "group-after-recall", "AfterRecallMsg", **told)] if recalled else []
    return ApiAnswer({**OK, "RecallRetList": results}, events)


def _destroy_group(asked: Asked) -> ApiAnswer:
    name, group = _group(asked)
    asked.state.drop("group", name)
    told = {"Owner_Account": group["Owner"], "Name": group["Name"], "MemberList": as_members(group["Members"])}
    return ApiAnswer(OK, [_of(asked, name, group, "group-after-disband", "AfterGroupDestroyed", **told)])


SERVICES: Mapping[str, Mapping[str, Does]] = {
    "group_open_http_svc": {
        "create_group": _create_group,
        "add_group_member": _add_members,
        "delete_group_member": quietly(_remove_members),
        "modify_group_base_info": quietly(_change_group),
        "change_group_owner": quietly(_hand_over),
        "modify_group_attr": quietly(_set_attributes),
        "clear_group_attr": quietly(_clear_attributes),
        "send_group_msg": _send_to_group,
        "group_msg_recall": quietly(_recall_of_group),
        "destroy_group": quietly(_destroy_group),
    },
    "group_open_attr_http_svc": {"get_group_attr": quietly(_attributes)},
}
"""What each command of these services does."""
