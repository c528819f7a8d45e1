//! The mirror of one `[[auth.clients]]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::secret::Secret;

/// A client that signs its requests.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Client {
    /// What records and limits call it: `client:NAME`.
    pub(in crate::config) name: String,
    /// The key id that its signatures name; without it the name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) key_id: Option<String>,
    /// What it signs with, at least 32 bytes each: one secret, or two while the second takes the place of the first. Each
    /// is `secret:env:NAME` or `secret:file:PATH`; the secret itself in development only.
    pub(in crate::config) secrets: Vec<Secret>,
    /// Servers it may call; without it all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) servers: Option<Vec<String>>,
    /// What it may do, as a key's `scopes`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) scopes: Option<Vec<String>>,
    /// Groups its holder is in.
    pub(in crate::config) groups: Vec<String>,
    /// Networks it may call from; empty means all.
    pub(in crate::config) allow: Vec<String>,
    /// Networks it may not call from.
    pub(in crate::config) deny: Vec<String>,
    /// Calls in any 60 seconds, instead of `limits.per_caller_per_minute`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub(in crate::config) limit_per_minute: Option<u32>,
}
