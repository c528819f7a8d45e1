//! What a credential lets its holder do, whatever kind of credential it is.

mod glob;
mod scopes;

use std::sync::Arc;

pub use scopes::{Deed, NotAScope, SCOPE_BYTES, Scope, Scopes, deeds};

use crate::identify::IpLists;

/// The rights that come with a credential. The default is every MCP method on every server from everywhere, and no
/// administration.
#[derive(Debug, Clone, Default)]
pub struct Grant {
    /// Servers it may call; `None` means all.
    pub servers: Option<Vec<Arc<str>>>,
    /// What it may do; `None` means every MCP method, and nothing of the administration.
    pub scopes: Option<Scopes>,
    /// Groups its holder is in.
    pub groups: Vec<Arc<str>>,
    /// Addresses it may be used from.
    pub lists: IpLists,
    /// Calls in 60 s, where it has a limit of its own.
    pub limit: Option<u32>,
}
