"""Uses the Python SDK as a team would: messages that are let through, changed and refused, a recall, a room, a group."""

import json
import sys

from rongcloud.rongcloud import RongCloud

rong = RongCloud("test-key", "test-secret", host_url=sys.argv[1])
private = rong.get_message().get_private()
sent = [private.send("alice", ["bob"], "RC:TxtMsg", {"content": text}) for text in ("hello", "change", "forbid")]
said = [
    *sent,
    private.recall("alice", "bob", sent[0]["messageUIDs"][0]["messageUID"], 1500000000000),
    rong.get_chatroom().create([("room-1", "a room & more")]),
    rong.get_group().create(["alice", "bob"], "group-1", "a group"),
]
print(json.dumps(said))
