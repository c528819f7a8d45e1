//! Which paths exist. A path is matched as it was sent: no decoding, no folding, no trailing slash, so that there is no
//! second spelling of a protected path.

use std::sync::Arc;

use crate::admin::{keys, metadata, tokens};
use crate::snapshot::Snapshot;
use crate::upstream::Server;

/// Where a request wants to go.
pub(crate) enum Route {
    /// `GET /`: what this is, for people.
    Front,
    /// `GET /health`, `/health/live`, `/health/ready`.
    Health,
    /// `/mcp` and `/mcp/{server}`.
    Mcp(Arc<Server>),
    /// `/mcp` when it stands for several servers.
    Aggregate,
    /// `GET /api/tools`
    Tools,
    /// `GET /api/status`
    Status,
    /// `/api/keys` and what is below.
    Keys(keys::Path),
    /// `/api/tokens` and what is below.
    Tokens(tokens::Deed),
    /// `GET /.well-known/jwks.json`, where there are tokens of our own.
    Jwks,
    /// `GET /mcp/marketplace`
    Marketplace,
    /// `GET /.well-known/oauth-protected-resource…`, where tokens of others are taken.
    Metadata,
    /// Nowhere. Told only to those who are authenticated.
    Unknown,
}

/// The route of a path.
pub(crate) fn find(gate: &Snapshot, path: &str) -> Route {
    match path {
        "/" => Route::Front,
        "/health" | "/health/live" | "/health/ready" => Route::Health,
        "/api/tools" => Route::Tools,
        "/api/status" => Route::Status,
        "/mcp/marketplace" => Route::Marketplace,
        _ if !gate.issuers.is_empty() && metadata::is_document(path) => Route::Metadata,
        "/mcp" => gate.only_server().map_or(Route::Aggregate, |server| Route::Mcp(Arc::clone(server))),
        "/.well-known/jwks.json" if gate.lasting.tokens.is_some() => Route::Jwks,
        _ if path.starts_with("/api/tokens") => {
            let rest = path.strip_prefix("/api/tokens").unwrap_or_default();
            tokens::Deed::read(rest).map_or(Route::Unknown, Route::Tokens)
        }
        _ if path.starts_with("/api/keys") => {
            let rest = path.strip_prefix("/api/keys").unwrap_or_default();
            keys::Path::read(rest).map_or(Route::Unknown, Route::Keys)
        }
        _ => {
            let server = path.strip_prefix("/mcp/").and_then(|name| gate.servers.get(name));
            server.map_or(Route::Unknown, |server| Route::Mcp(Arc::clone(server)))
        }
    }
}
