// The documented samples, read through the types that types.js has made of the schemas.
import { schema } from "im-callback-schemas";
import type { CommseaseLogin } from "./generated/commsease.login.js";
import type { RongcloudChatroomKv } from "./generated/rongcloud.chatroom-kv.js";

const login = (schema("commsease.login").examples as CommseaseLogin[])[0]!;
const at: string | number = login.timestamp;
const changed = (schema("rongcloud.chatroom-kv").examples as RongcloudChatroomKv[])[0]!;
console.log(JSON.stringify({ accid: login.accid, clientType: login.clientType, at, chatroomId: changed.chatroomId }));

// @ts-expect-error There is no such client.
const typo: CommseaseLogin["clientType"] = "ANDROID";
// @ts-expect-error There is no such field of this type.
const number: number = login.accid;
void [typo, number];
