-- Nonces of signed requests: which were used, and the time that was signed with each, in seconds since 1970.
CREATE TABLE nonces (
    once   BLOB PRIMARY KEY NOT NULL,
    signed BIGINT NOT NULL
) WITHOUT ROWID;
CREATE INDEX nonces_by_time ON nonces (signed);
INSERT INTO facts (name, value) VALUES ('nonces.forgotten', '0');

-- Claims on calls with an idempotency key. Times are milliseconds since 1970. Stage: 0 under way, 1 answered, 2 answered
-- and not kept, 3 unknown.
CREATE TABLE claims (
    claim   BLOB PRIMARY KEY NOT NULL,
    content BLOB NOT NULL,
    caller  TEXT NOT NULL,
    gateway BLOB NOT NULL,
    until   BIGINT NOT NULL,
    stage   BIGINT NOT NULL DEFAULT 0,
    error   BIGINT,
    answer  BLOB
);
CREATE INDEX claims_by_time ON claims (until);

-- Gateways that have claims under way, and until when each is taken to live.
CREATE TABLE gateways (
    gateway BLOB PRIMARY KEY NOT NULL,
    until   BIGINT NOT NULL
) WITHOUT ROWID;
