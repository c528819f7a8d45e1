//! The mirror of `[policy]`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who may do what. Once it is there, nothing is allowed that no role and no rule permits; what a credential's own
/// servers and scopes leave out stays left out.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Policy {
    /// Files of rules in Cedar, from this file's folder on; `*` in the last part stands for any run of characters.
    pub(in crate::config) files: Vec<String>,
    /// Roles of your own, and the scopes each has, like `mcp:tools:call:files/read_*`. Built in are `admin`, `operator`,
    /// `auditor`, `developer` and `viewer`.
    pub(in crate::config) roles: BTreeMap<String, Vec<String>>,
    /// Who has which roles.
    pub(in crate::config) bindings: Vec<Binding>,
}

/// Roles, and who has them: everybody in one of the groups, and each of the callers.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Binding {
    /// Names of roles.
    pub(in crate::config) roles: Vec<String>,
    /// Names of groups, as keys have them, or a token's `groups_claim`.
    pub(in crate::config) groups: Vec<String>,
    /// Names of callers as the journal has them, like `key:ci`.
    pub(in crate::config) callers: Vec<String>,
}
