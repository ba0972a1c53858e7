-- Names are compared byte by byte: to MySQL's own collations "Ann", "ann" and "ann " are one.

-- A list: every message of a group, or of a topic in it, once.
CREATE TABLE IF NOT EXISTS message (
    room varbinary(255), topic varbinary(255), seq bigint, payload mediumtext NOT NULL, PRIMARY KEY (room, topic, seq)
) CHARACTER SET utf8mb4;

-- The newest that is known of somebody in a room.
CREATE TABLE IF NOT EXISTS member (
    room varbinary(255), account varbinary(255), at bigint NOT NULL, present int NOT NULL, payload mediumtext NOT NULL,
    PRIMARY KEY (room, account)
) CHARACTER SET utf8mb4;
