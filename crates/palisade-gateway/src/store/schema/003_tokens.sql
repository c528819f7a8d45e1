-- Keys that sign tokens of our own. Times are milliseconds since 1970.
CREATE TABLE token_keys (
    kid     TEXT PRIMARY KEY NOT NULL,
    seed    BLOB NOT NULL,
    made    BIGINT NOT NULL,
    retires BIGINT
);
-- One key is in force.
CREATE UNIQUE INDEX token_keys_in_force ON token_keys ((retires IS NULL)) WHERE retires IS NULL;

-- An access token and what followed it by refreshing. A refresh token is good for one generation.
CREATE TABLE token_families (
    family     TEXT PRIMARY KEY NOT NULL,
    holder     TEXT NOT NULL,
    wanted     TEXT NOT NULL,
    generation BIGINT NOT NULL,
    expires    BIGINT NOT NULL
);
CREATE INDEX token_families_by_holder ON token_families (holder);

-- What was taken back before its time, until nothing that it means can be good any more.
CREATE TABLE token_revocations (
    kind       TEXT NOT NULL,
    name       TEXT NOT NULL,
    made_until BIGINT NOT NULL,
    forget     BIGINT NOT NULL,
    PRIMARY KEY (kind, name)
);
INSERT INTO facts (name, value) VALUES ('tokens.version', '0');
