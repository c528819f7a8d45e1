//! The mirror of `[store]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::secret::{Secret, Url};

/// What must outlive the process: managed keys, and what else must be known twice.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Store {
    /// `sqlite:FILE`, made at start if its folder exists; several gateways of one machine may share it. Or
    /// `postgres://USER@HOST/DATABASE`, which gateways of many machines share; with `?host=FOLDER` for a socket in place of
    /// a host. Or `memory`, which forgets everything at the end, in development only. Without it `palisade.db` beside
    /// `audit.dir`, and in development `memory`. Env `DATABASE_URL`.
    pub(in crate::config) url: Option<Url>,
    /// The password for PostgreSQL, as `secret:env:NAME` or `secret:file:PATH`. In the environment `DATABASE_URL` may
    /// hold it.
    pub(in crate::config) password: Option<Secret>,
    /// Whom PostgreSQL must be certified by, as a PEM file; without it whom the system trusts. A server that is not this
    /// machine is spoken to over TLS and must be certified for its name.
    pub(in crate::config) ca_file: Option<String>,
    /// `true` lets `?sslmode=disable` stand in the URL of a server that is not this machine: whoever is on the way reads
    /// and changes everything, and can make keys.
    pub(in crate::config) danger_plain_postgres: bool,
    /// Connections to PostgreSQL that are kept open. Env `DB_POOL_SIZE`.
    #[schemars(range(min = 1, max = 1000))]
    pub(in crate::config) connections: u32,
    /// Connections beyond these while they are needed. Env `DB_MAX_OVERFLOW`.
    #[schemars(range(min = 0, max = 1000))]
    pub(in crate::config) overflow: u32,
    /// How long a call waits for PostgreSQL before it is refused.
    pub(in crate::config) acquire_timeout: String,
    /// How long a new connection to PostgreSQL may take.
    pub(in crate::config) connect_timeout: String,
    /// How long a statement may take there.
    pub(in crate::config) statement_timeout: String,
    /// How old a connection becomes before it is replaced.
    pub(in crate::config) max_lifetime: String,
    /// How long a connection is kept that nobody needs.
    pub(in crate::config) idle_timeout: String,
    /// `true` logs each statement for PostgreSQL and how long it took, never with its values. Env `SQL_DEBUG`.
    pub(in crate::config) log_statements: bool,
    /// The secret without which nothing in the store can be used as a key, as `secret:env:NAME` or `secret:file:PATH`:
    /// at least 32 random bytes, the same for all gateways that share the store. Without it `palisade.pepper` beside
    /// the file, made with the first key; PostgreSQL needs one here. Keep a copy of it, apart from copies of the store.
    pub(in crate::config) pepper: Option<Secret>,
    /// The pepper before this one, while keys that were made with it are in use: each is kept under the new one after its
    /// next use. Of several gateways, give the new one to all as `previous_pepper` first, then exchange the two.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) previous_pepper: Option<Secret>,
    /// For how long managed keys and tokens of our own are believed while the store does not answer, from `1s` to `1h`.
    /// What others withdraw meanwhile cannot be seen; after this time such callers get 503 until the store answers again.
    /// Keys of the configuration are not touched.
    pub(in crate::config) max_staleness: String,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            url: None,
            password: None,
            ca_file: None,
            danger_plain_postgres: false,
            connections: 10,
            overflow: 20,
            acquire_timeout: "250ms".to_owned(),
            connect_timeout: "4s".to_owned(),
            statement_timeout: "1s".to_owned(),
            max_lifetime: "1h".to_owned(),
            idle_timeout: "10m".to_owned(),
            log_statements: false,
            pepper: None,
            previous_pepper: None,
            max_staleness: "1m".to_owned(),
        }
    }
}
