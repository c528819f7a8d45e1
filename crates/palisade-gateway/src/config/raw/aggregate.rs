//! The mirror of `[aggregate]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The aggregate of all servers at `/mcp`, where there are several.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Aggregate {
    /// When the name of a tool or prompt has its server in front, as `server.tool`.
    pub(in crate::config) prefix: Prefix,
    /// How long one server may take for its part of a list; a list goes without what comes later, and says so.
    pub(in crate::config) timeout: String,
    /// Sessions of clients open at one time; one caller may have half of them.
    #[schemars(range(min = 1, max = 100_000))]
    pub(in crate::config) max_sessions: u32,
}

impl Default for Aggregate {
    fn default() -> Self {
        Self { prefix: Prefix::Conflict, timeout: "10s".to_owned(), max_sessions: 1024 }
    }
}

/// When names have their server in front.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Prefix {
    /// Where the bare name could mean another server's.
    #[default]
    Conflict,
    /// Always.
    Always,
}
