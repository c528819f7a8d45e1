//! What a credential lets its holder do, whatever kind of credential it is.

mod glob;
mod scopes;
mod within;

use std::sync::Arc;

pub use scopes::{Deed, NotAScope, SCOPE_BYTES, Scope, ScopeParts, Scopes, climbs, deeds};

use crate::identify::IpLists;

/// What others' scopes mean here: a word of theirs, and scopes of ours with spaces between. `*` is what every token means.
pub type Words = Arc<[(Box<str>, Box<str>)]>;

/// The rights that come with a credential. The default is every MCP method on every server from everywhere, and no
/// administration.
#[derive(Debug, Clone, Default)]
pub struct Grant {
    /// Servers it may call; `None` means all.
    pub servers: Option<Vec<Arc<str>>>,
    /// What it may do; `None` means every MCP method, and nothing of the administration.
    pub scopes: Option<Scopes>,
    /// What others' scopes mean here, word by word, where its scopes come from such words.
    pub words: Option<Words>,
    /// Groups its holder is in.
    pub groups: Vec<Arc<str>>,
    /// Addresses it may be used from.
    pub lists: IpLists,
    /// Calls in 60 s, where it has a limit of its own.
    pub limit: Option<u32>,
}
