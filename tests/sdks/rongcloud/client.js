// Uses the Node SDK as a team would: messages that are let through, changed and refused, a recall, a room, a group.
const rong = require("rongcloud-sdk")({ appkey: "test-key", secret: "test-secret", api: process.argv[2] });

async function main() {
  const said = [];
  for (const text of ["hello", "change", "forbid"]) {
    const message = { senderId: "alice", targetId: "bob", objectName: "RC:TxtMsg", content: { content: text } };
    said.push(await rong.Message.Private.send(message));
  }
  const uId = said[0].messageUIDs[0].messageUID;
  said.push(await rong.Message.Private.recall({ senderId: "alice", targetId: "bob", uId, sentTime: 1500000000000 }));
  said.push(await rong.Chatroom.create([{ id: "room-1", name: "a room & more" }]));
  said.push(await rong.Group.create({ id: "group-1", name: "a group", members: [{ id: "alice" }, { id: "bob" }] }));
  console.log(JSON.stringify(said));
}

main();
