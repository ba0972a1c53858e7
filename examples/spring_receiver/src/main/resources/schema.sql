-- A list: every message and recording once, shown by time.
CREATE TABLE IF NOT EXISTS entry (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    feed text NOT NULL,
    identity text NOT NULL,
    shown_at bigint,
    payload text NOT NULL,
    UNIQUE (feed, identity)
);

-- The newest state of an account, a room, or somebody in a room.
CREATE TABLE IF NOT EXISTS state (
    feed text NOT NULL,
    scope text NOT NULL,
    at bigint NOT NULL,
    payload text NOT NULL,
    PRIMARY KEY (feed, scope)
);

CREATE OR REPLACE VIEW shown AS
    SELECT feed, payload, shown_at AS at FROM entry UNION ALL SELECT feed, payload, at FROM state;
