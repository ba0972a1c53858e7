-- The newest state of each attribute or member of a room. What was removed stays, marked, so that a late, older state
-- cannot bring it back.
CREATE TABLE IF NOT EXISTS state (
    feed text, room text, name text, version bigint NOT NULL, removed boolean NOT NULL, payload text NOT NULL,
    PRIMARY KEY (feed, room, name)
);

-- Up to which version everything in a room has ended: it was cleared, or destroyed.
CREATE TABLE IF NOT EXISTS ended (feed text, room text, version bigint NOT NULL, PRIMARY KEY (feed, room));

CREATE OR REPLACE VIEW shown AS
    SELECT state.* FROM state LEFT JOIN ended USING (feed, room)
    WHERE NOT removed AND (ended.version IS NULL OR state.version > ended.version);
