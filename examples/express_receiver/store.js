// What is kept, in Redis. Scripts, because each runs as a whole: read first and written afterwards, of two requests
// at the same time the older would win, or both would be new.
//
//   messages:TYPE:FROM:TO   sorted set of the messages of a conversation, by msgTimestamp
//   message:UID             there once a message is in
//   attributes:ROOM         hash of what a room has now: an entry for each key
//   versions:ROOM           hash of the version of each key, also of those that were deleted
//   cleared:ROOM            the version up to which everything of a room was deleted
import { createClient, defineScript } from "redis";

const addMessage = defineScript({
  NUMBER_OF_KEYS: 2,
  SCRIPT: `
    if redis.call("SET", KEYS[1], "", "NX") then
      redis.call("ZADD", KEYS[2], ARGV[1], ARGV[2])
    end`,
  parseCommand(parser, uid, conversation, at, payload) {
    parser.pushKey(uid);
    parser.pushKey(conversation);
    parser.push(String(at), payload);
  },
  transformReply: () => undefined,
});

// Of a set and a removal with one version the removal wins.
const change = defineScript({
  NUMBER_OF_KEYS: 3,
  SCRIPT: `
    local attributes, versions, cleared = KEYS[1], KEYS[2], KEYS[3]
    local kind, version, key, payload = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4]
    local ended = tonumber(redis.call("GET", cleared) or -1)
    if kind == "clear" then
      if version <= ended then return end
      redis.call("SET", cleared, ARGV[2])
      local all = redis.call("HGETALL", versions)
      for i = 1, #all, 2 do
        if tonumber(all[i + 1]) <= version then redis.call("HDEL", attributes, all[i]) end
      end
      return
    end
    local newest = tonumber(redis.call("HGET", versions, key) or -1)
    if version < newest or version <= ended or (version == newest and kind == "set") then return end
    redis.call("HSET", versions, key, ARGV[2])
    if kind == "set" then
      redis.call("HSET", attributes, key, payload)
    else
      redis.call("HDEL", attributes, key)
    end`,
  parseCommand(parser, { room, key, kind, version, entry }) {
    for (const name of ["attributes", "versions", "cleared"]) parser.pushKey(`${name}:${room}`);
    parser.push(kind, String(version), key, JSON.stringify(entry));
  },
  transformReply: () => undefined,
});

export async function openStore(url) {
  const client = createClient({
    url,
    scripts: { addMessage, change },
    // While Redis is away a request is answered with 503 at once, and not kept waiting for it.
    disableOfflineQueue: true,
    socket: { connectTimeout: 2000 },
  });
  client.on("error", (error) => console.error("redis:", error.message));
  await client.connect();
  return {
    addMessage: (fields, at) => {
      const conversation = [fields.channelType, fields.fromUserId, fields.toUserId].map(encodeURIComponent).join(":");
      return client.addMessage(`message:${fields.msgUID}`, `messages:${conversation}`, at, JSON.stringify(fields));
    },
    apply: async (changes) => {
      // Together, in this order; an attribute that is sent twice in one request is no matter: its version decides.
      await Promise.all(changes.map((one) => client.change(one)));
    },
    close: () => client.close(),
  };
}
