//! What clients must know before they have a token: whom to ask for one, and for what (RFC 9728).
//!
//! There is a document for every endpoint that could be, whether or not there is such a server: that nobody is told who
//! may not call it.

use palisade_guard::authenticate::Presented;
use palisade_guard::authenticate::resource::{METADATA, Resource};
use serde_json::{Value, json};

use crate::caller;
use crate::config::is_name;
use crate::reply::Reply;
use crate::snapshot::Snapshot;

/// Whether a path is that of a document.
pub(crate) fn is_document(path: &str) -> bool {
    match path.strip_prefix(METADATA) {
        Some("" | "/mcp" | "/api") => true,
        Some(below) => below.strip_prefix("/mcp/").is_some_and(|name| is_name(name) && name != "marketplace"),
        None => false,
    }
}

/// The document about the resource that a request asks about; `None` where no token of others is taken.
pub(super) fn document(gate: &Snapshot, presented: &Presented<'_>) -> Option<Reply> {
    let tokens = caller::tokens(gate).filter(|tokens| tokens.has_others())?;
    let servers: Vec<Value> = tokens.others().map(|issuer| issuer.url.as_ref().into()).collect();
    Some(Reply::json(&json!({
        "resource": Resource::of(tokens.base.as_deref(), presented).url(),
        "authorization_servers": servers,
        "scopes_supported": tokens.offered,
        "bearer_methods_supported": ["header"],
    })))
}
