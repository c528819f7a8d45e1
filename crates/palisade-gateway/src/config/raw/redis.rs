//! The mirror of `[redis]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::secret::{Secret, Url};

/// A Redis or Valkey that several gateways share, for what changes with every call.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "the names of the file")]
pub(in crate::config) struct Redis {
    /// `rediss://USER@HOST:PORT/DATABASE` over TLS, `redis://` without it; `valkeys://` and `valkey://` mean the same. Several
    /// hosts, of a cluster or of Sentinels, stand with commas between them. Env `REDIS_URL`.
    pub(in crate::config) url: Option<Url>,
    /// The password, as `secret:env:NAME` or `secret:file:PATH`. In the environment `REDIS_URL` may hold it, or
    /// `REDIS_PASSWORD`.
    pub(in crate::config) password: Option<Secret>,
    /// `true` speaks TLS although the URL begins with `redis://`. Env `REDIS_SSL`.
    pub(in crate::config) tls: Option<bool>,
    /// Whom Redis must be certified by, as a PEM file; without it whom the system trusts.
    pub(in crate::config) ca_file: Option<String>,
    /// `true` lets Redis be spoken to without TLS on another machine: whoever is on the way lifts every limit, and can use
    /// what was signed a second time.
    pub(in crate::config) danger_plain_redis: bool,
    /// What the Sentinels of the URL call the one that takes writes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) master: Option<String>,
    /// The password of the Sentinels themselves, where they want one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) sentinel_password: Option<Secret>,
    /// Whether the URL names nodes of a cluster.
    pub(in crate::config) cluster: bool,
    /// What every key in it begins with. Gateways that share limits have the same.
    pub(in crate::config) prefix: String,
    /// What is kept there: `limits` of callers, `nonces` of signed requests, `claims` of idempotency keys. What is not named
    /// here stays where it is without Redis.
    pub(in crate::config) keeps: Vec<Kept>,
    /// How many gateways share the limits: while Redis does not answer, each lets pass so much less. Without it as many as
    /// were last seen there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub(in crate::config) replicas: Option<u32>,
    /// What limits do while Redis does not answer. Nonces and claims are always refused then.
    pub(in crate::config) limits_on_failure: OnFailure,
    /// How long a new connection may take, at most `5s`.
    pub(in crate::config) connect_timeout: String,
    /// How long a call waits for Redis, at most `5s`.
    pub(in crate::config) command_timeout: String,
}

impl Default for Redis {
    fn default() -> Self {
        Self {
            url: None,
            password: None,
            tls: None,
            ca_file: None,
            danger_plain_redis: false,
            master: None,
            sentinel_password: None,
            cluster: false,
            prefix: "palisade".to_owned(),
            keeps: vec![Kept::Limits, Kept::Nonces, Kept::Claims],
            replicas: None,
            limits_on_failure: OnFailure::Local,
            connect_timeout: "250ms".to_owned(),
            command_timeout: "250ms".to_owned(),
        }
    }
}

/// What can be kept in Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kept {
    /// Limits of callers.
    Limits,
    /// Nonces of signed requests.
    Nonces,
    /// Claims of idempotency keys.
    Claims,
}

/// What limits do while Redis does not answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// Each gateway counts by itself, up to its share of the limit.
    #[default]
    Local,
    /// Calls are refused.
    Refuse,
}
