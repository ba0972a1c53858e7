"""Uses the Python client as a team would: accounts, messages, a recall, a group with members, attributes and messages."""

import json
import sys

from tencentcloud_im.tcim_client import GroupAttr, GroupMemObj, GroupObj, MessageObj, MessageText, TCIMClient

client = TCIMClient("1400000001", "secret-key", "administrator", f"{sys.argv[1]}/v4")
said = [client.add_single_user("alice", "Alice", "").json()]
said += [
    client.send_message(MessageObj("alice", "bob", [MessageText(text)])).json()
    for text in ("hello", "change", "forbid", "vanish")
]
said.append(client.draw_message("alice", "bob", said[1]["MsgKey"]).json())
said.append(client.create_group(GroupObj("alice", "Public", "a group")).json())
group = said[-1]["GroupId"]
said += [
    client.add_group_member(group, [GroupMemObj("bob"), GroupMemObj("mallory")]).json(),
    client.update_group_attr(group, [GroupAttr("topic", "one")]).json(),
    client.update_group_attr(group, [GroupAttr("topic", "two")]).json(),
    client.get_group_attr(group).json(),
    client.send_group_message(group, [MessageText("hello")], from_account="bob").json(),
    client.recall_group_message(group, ["1"]).json(),
    client.delete_group(group).json(),
    TCIMClient("1400000001", "another-key", "administrator", f"{sys.argv[1]}/v4").delete_group(group).json(),
]
print(json.dumps(said))
