"""Every call of the providers' server APIs, in an order in which each finds what it needs, and the events that it causes.

`{name}` in a field stands for what an earlier answer held under that name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Made(NamedTuple):
    """A call: its path, its fields, the event types that follow (questions first), and what is kept of the answer."""

    path: str
    fields: Mapping[str, Any]
    events: tuple[str, ...] = ()
    kept: Mapping[str, str] = {}


TEXT = {"objectName": "RC:TxtMsg", "content": '{"content":"hello"}'}
ASKED, SAID, ROOM, ENTRY = "pre-message", "message", "chatroom-status", "chatroom-kv"
GROUP = "group-operation"

RONGCLOUD = (
    Made("/user/getToken.json", {"userId": "u1", "name": "n", "portraitUri": ""}),
    Made("/user/deactivate.json", {"userId": "u1"}, ("user-deactivation",)),
    Made("/user/reactivate.json", {"userId": "u1"}, ("user-deactivation",)),
    Made(
        "/message/private/publish.json",
        {"fromUserId": "u1", "toUserId": ["u2", "u3"], **TEXT, "pushContent": "p", "disablePush": "1", "expansion": ""},
        (ASKED, ASKED, SAID, SAID),
    ),
    Made(
        "/message/group/publish.json",
        {"fromUserId": "u1", "toGroupId": "g", "toUserId": ["u2", "u3"], **TEXT},
        (ASKED, SAID),
        {"messageUID": "messageUID"},
    ),
    Made("/message/chatroom/publish.json", {"fromUserId": "u1", "toChatroomId": "r", **TEXT}, (ASKED, SAID)),
    Made(
        "/message/recall.json",
        {"fromUserId": "u1", "conversationType": "3", "targetId": "g", "messageUID": "{messageUID}", "isAdmin": "1"},
        ("message-operation",),
    ),
    Made(
        "/message/recall.json",
        {"fromUserId": "u1", "conversationType": "3", "targetId": "g", "messageUID": "{messageUID}"},
    ),
    Made("/chatroom/create.json", {"chatroom[a]": "one", "chatroom[b]": "two"}, (ROOM, ROOM)),
    Made("/chatroom/create.json", {"chatroom[a]": "one"}),
    Made(
        "/chatroom/create_new.json", {"chatroomId": "r", "entryOwnerId": "u1", "entryInfo": '{"k":"v"}'}, (ROOM, ENTRY)
    ),
    Made("/chatroom/entry/set.json", {"chatroomId": "r", "userId": "u1", "key": "k", "value": "w"}, (ENTRY,)),
    Made(
        "/chatroom/entry/batch/set.json",
        {"chatroomId": "r", "entryOwnerId": "u1", "entryInfo": '{"a":"1","b":2}', "autoDelete": "true"},
        (ENTRY, ENTRY),
    ),
    Made("/chatroom/entry/remove.json", {"chatroomId": "r", "userId": "u1", "key": "k"}, (ENTRY,)),
    Made("/chatroom/entry/remove.json", {"chatroomId": "r", "userId": "u1", "key": "k"}),
    Made(
        "/chatroom/entry/batch/remove.json",
        {"chatroomId": "r", "entryOwnerId": "u1", "entryKeys": '["a","z"]'},
        (ENTRY,),
    ),
    Made("/chatroom/entry/query.json", {"chatroomId": "r", "keys": ["b", "z"]}),
    Made("/chatroom/destroy.json", {"chatroomId": ["r", "nowhere"]}, (ROOM,)),
    Made("/group/create.json", {"userId": ["u1", "u2"], "groupId": "own", "groupName": "n"}),
    Made("/group/join.json", {"userId": "u3", "groupId": "own", "groupName": "n"}),
    Made("/group/quit.json", {"userId": "u3", "groupId": "own"}),
    Made("/group/dismiss.json", {"userId": "u1", "groupId": "own"}),
    Made("/entrust/group/create.json", {"groupId": "h", "name": "n", "owner": "u1", "userIds": "u2,u3"}, (GROUP,)),
    Made("/entrust/group/join.json", {"groupId": "h", "userIds": ["u4", "u2"]}, (GROUP,)),
    Made("/entrust/group/quit.json", {"groupId": "h", "userIds": "u4"}, (GROUP,)),
    Made("/entrust/group/quit.json", {"groupId": "h", "userIds": "u4"}),
    Made("/entrust/group/member/kick.json", {"groupId": "h", "userIds": "u3"}, (GROUP,)),
    Made("/entrust/group/dismiss.json", {"groupId": "h"}, (GROUP,)),
    Made("/friend/add.json", {"userId": "u1", "targetId": "u2", "optType": "1"}, ("friend",)),
    Made("/friend/delete.json", {"userId": "u1", "targetIds": "u2,u3"}, ("friend", "friend")),
)

WORDS = [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "hello"}}]
LOGIN, OPENIM, GROUPS = "/v4/im_open_login_svc", "/v4/openim", "/v4/group_open_http_svc"
NAMES = {"From_Account": "a", "To_Account": "b", "MsgKey": "{MsgKey}"}
IN = {"GroupId": "{GroupId}"}

TENCENT = (
    Made(f"{LOGIN}/account_import", {"UserID": "a", "Nick": "A"}),
    Made(f"{LOGIN}/multiaccount_import", {"Accounts": ["b", "c"]}),
    Made(f"{LOGIN}/account_check", {"CheckItem": [{"UserID": "a"}, {"UserID": "z"}]}),
    Made(f"{LOGIN}/account_delete", {"DeleteItem": [{"UserID": "c"}]}),
    Made(
        "/v4/profile/portrait_set",
        {"From_Account": "a", "ProfileItem": [{"Tag": "Tag_Profile_IM_Nick", "Value": "n"}]},
        ("profile-set",),
    ),
    Made(
        f"{OPENIM}/sendmsg",
        {"From_Account": "a", "To_Account": "b", "MsgRandom": 7, "MsgBody": WORDS},
        ("c2c-before-send", "c2c-after-send"),
        {"MsgKey": "MsgKey"},
    ),
    Made(
        f"{OPENIM}/sendmsg",
        {
            "To_Account": "b",
            "MsgRandom": 8,
            "MsgSeq": 9,
            "MsgLifeTime": 0,
            "MsgBody": WORDS,
            "ForbidCallbackControl": ["ForbidBeforeSendMsgCallback", "ForbidAfterSendMsgCallback"],
        },
    ),
    Made(f"{OPENIM}/batchsendmsg", {"To_Account": ["b", "c"], "MsgRandom": 9, "MsgBody": WORDS}),
    Made(f"{OPENIM}/modify_c2c_msg", {**NAMES, "CloudCustomData": "x"}, ("c2c-after-modify",)),
    Made(f"{OPENIM}/admin_set_msg_read", {"Report_Account": "b", "Peer_Account": "a"}, ("c2c-after-read",)),
    Made(f"{OPENIM}/admin_msgwithdraw", NAMES, ("c2c-after-recall",)),
    Made(
        f"{GROUPS}/create_group",
        {"Owner_Account": "a", "Type": "Public", "Name": "n", "MemberList": [{"Member_Account": "b"}]},
        ("group-before-create", "group-after-create"),
        {"GroupId": "GroupId"},
    ),
    Made(
        f"{GROUPS}/add_group_member",
        {**IN, "MemberList": [{"Member_Account": "b"}, {"Member_Account": "c"}]},
        ("group-before-invite-join", "group-after-join"),
    ),
    Made(f"{GROUPS}/add_group_member", {**IN, "MemberList": [{"Member_Account": "b"}]}),
    Made(f"{GROUPS}/delete_group_member", {**IN, "MemberToDel_Account": ["c", "z"]}, ("group-after-leave",)),
    Made(f"{GROUPS}/modify_group_base_info", {**IN, "Notification": "x"}, ("group-after-info-change",)),
    Made(f"{GROUPS}/modify_group_base_info", {**IN, "MaxMemberNum": 9}),
    Made(f"{GROUPS}/change_group_owner", {**IN, "NewOwner_Account": "b"}, ("group-after-owner-change",)),
    Made(
        f"{GROUPS}/modify_group_attr",
        {**IN, "GroupAttr": [{"key": "k", "value": "v"}]},
        ("group-after-attribute-change",),
    ),
    Made("/v4/group_open_attr_http_svc/get_group_attr", IN),
    Made(f"{GROUPS}/clear_group_attr", IN, ("group-after-attribute-change",)),
    Made(
        f"{GROUPS}/send_group_msg",
        {**IN, "Random": 7, "MsgBody": WORDS},
        ("group-before-send", "group-after-send"),
    ),
    Made(f"{GROUPS}/group_msg_recall", {**IN, "MsgSeqList": [{"MsgSeq": 1}, {"MsgSeq": 2}]}, ("group-after-recall",)),
    Made(f"{GROUPS}/destroy_group", IN, ("group-after-disband",)),
    Made("/v4/sns/friend_add", {"From_Account": "a", "AddFriendItem": [{"To_Account": "b"}]}, ("sns-friend-add",)),
    Made("/v4/sns/friend_delete", {"From_Account": "a", "To_Account": ["b"]}, ("sns-friend-delete",)),
)

COPY = "conversation"
COMMSEASE = (
    Made("/user/create.action", {"accid": "a", "name": "Ann"}),
    Made("/user/refreshToken.action", {"accid": "a"}),
    Made(
        "/msg/sendMsg.action",
        {"from": "a", "ope": "0", "to": "b", "type": "0", "body": '{"msg":"hi"}', "ext": "x"},
        (COPY,),
        {"msgid": "data/msgid"},
    ),
    Made(
        "/nimserver/msg/sendMsg.action",
        {"from": "a", "ope": "0", "to": "b", "type": "100", "body": '{"a":1}', "option": '{"route":false}'},
    ),
    Made(
        "/msg/sendBatchMsg.action",
        {"fromAccid": "a", "toAccids": '["b","c"]', "type": "0", "body": '{"msg":"hi"}'},
        (COPY, COPY),
    ),
    Made("/msg/sendAttachMsg.action", {"from": "a", "msgtype": "0", "to": "b", "attach": '{"a":1}'}, (COPY,)),
    Made(
        "/msg/recall.action",
        {"deleteMsgid": "{msgid}", "timetag": "{msgid}", "type": "7", "from": "a", "to": "b"},
        ("message-recall",),
    ),
    Made("/msg/recall.action", {"deleteMsgid": "{msgid}", "timetag": "{msgid}", "type": "7", "from": "a", "to": "b"}),
    Made("/chatroom/create.action", {"creator": "a", "name": "n"}, (), {"roomid": "chatroom/roomid"}),
    Made(
        "/chatroom/sendMsg.action",
        {"roomid": "{roomid}", "msgId": "m1", "fromAccid": "a", "msgType": "0", "attach": "hi"},
        ("chatroom-message",),
    ),
    Made("/chatroom/queueOffer.action", {"roomid": "{roomid}", "key": "k", "value": "v"}, ("chatroom-queue",)),
    Made("/chatroom/queueOffer.action", {"roomid": "{roomid}", "key": "k", "value": "w"}, ("chatroom-queue",)),
    Made("/chatroom/queuePoll.action", {"roomid": "{roomid}"}, ("chatroom-queue",)),
    Made("/chatroom/queuePoll.action", {"roomid": "{roomid}", "key": "k"}),
    Made("/chatroom/queueDrop.action", {"roomid": "{roomid}"}, ("chatroom-queue",)),
    Made("/team/create.action", {"tname": "n", "owner": "a", "members": '["b"]'}, (COPY,), {"tid": "tid"}),
    Made("/team/add.action", {"tid": "{tid}", "owner": "a", "members": '["c"]', "magree": "1"}, (COPY,)),
    Made("/msg/sendMsg.action", {"from": "a", "ope": "1", "to": "{tid}", "type": "0", "body": '{"msg":"hi"}'}, (COPY,)),
    Made("/team/kick.action", {"tid": "{tid}", "owner": "a", "member": "b"}, (COPY,)),
    Made("/team/remove.action", {"tid": "{tid}", "owner": "a"}, (COPY,)),
    Made("/friend/add.action", {"accid": "a", "faccid": "b", "type": "1"}, (COPY,)),
    Made("/friend/delete.action", {"accid": "a", "faccid": "b"}, (COPY,)),
)

MADE = {"rongcloud": RONGCLOUD, "tencent": TENCENT, "commsease": COMMSEASE}
