-- What there is one of: which pepper makes keys of digests, and how often the keys changed.
CREATE TABLE facts (
    name  TEXT PRIMARY KEY NOT NULL,
    value TEXT NOT NULL
);
INSERT INTO facts (name, value) VALUES ('keys.version', '0');

-- Managed keys. Times are milliseconds since 1970. Of a secret there is its digest under the pepper alone.
CREATE TABLE keys (
    id         TEXT PRIMARY KEY NOT NULL,
    name       TEXT NOT NULL,
    owner      TEXT,
    permits    TEXT NOT NULL,
    created    BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    expires    BIGINT,
    revoked    BIGINT,
    digest     BLOB NOT NULL,
    rotated    BIGINT,
    old_digest BLOB,
    old_until  BIGINT,
    uses       BIGINT NOT NULL DEFAULT 0,
    last_used  BIGINT
);
-- A name means one key that can be used; one that was revoked leaves it to the next.
CREATE UNIQUE INDEX keys_by_name ON keys (name) WHERE revoked IS NULL;

-- What was changed, by whom, until a gateway has written it into its journal.
CREATE TABLE changes (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    at     BIGINT NOT NULL,
    who    TEXT NOT NULL,
    what   TEXT NOT NULL,
    target TEXT NOT NULL,
    before TEXT,
    after  TEXT
);
