-- A list: every message of a group, or of a topic in it, once.
CREATE TABLE IF NOT EXISTS message (
    room text, topic text, seq bigint, payload text NOT NULL, PRIMARY KEY (room, topic, seq)
);

-- The newest that is known of somebody in a room.
CREATE TABLE IF NOT EXISTS member (
    room text, account text, at bigint NOT NULL, present int NOT NULL, payload text NOT NULL, PRIMARY KEY (room, account)
);
