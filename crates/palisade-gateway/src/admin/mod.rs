//! Everything the gateway serves itself.

mod front;
pub(crate) mod keys;
pub(crate) mod metadata;
mod openapi;
pub(crate) mod tokens;

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, StatusCode, request};
use palisade_guard::authenticate::{Presented, Principal};
use palisade_guard::authorize::{self, policy::Thing};
use palisade_guard::refusal::{Reason, Refusal};
use serde_json::{Value, json};

use crate::aggregate;
use crate::passage::Passage;
use crate::reply::Reply;
use crate::route::Route;
use crate::snapshot::{self, Snapshot};
use crate::time;
use crate::transport::http::Content;
use crate::upstream::Server;
pub use openapi::openapi;

/// Whether this is up: one word, no versions and no counts.
pub(crate) fn health(gate: &Snapshot, head: &request::Parts) -> Result<Reply, Refusal> {
    if !is_reading(head) {
        return Err(Refusal::new(Reason::MethodNotAllowed));
    }
    let up = gate.lasting.is_ready() || head.uri.path() == "/health/live";
    let (status, body) = if up {
        (StatusCode::OK, r#"{"status":"up"}"#)
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, r#"{"status":"down"}"#)
    };
    let body = Bytes::from_static(body.as_bytes());
    Ok(Reply::Page { content_type: "application/json", status, body, policy: None })
}

/// Whether anybody may read what a route leads to.
pub(crate) const fn is_public(route: &Route) -> bool {
    matches!(route, Route::Front | Route::Health | Route::Metadata | Route::Jwks)
}

/// What needs no credential: the page for people, and what clients must know to get one. `None` for every other route.
pub(crate) fn front(
    gate: &Snapshot,
    route: &Route,
    head: &request::Parts,
    presented: &Presented<'_>,
) -> Option<Result<Reply, Refusal>> {
    let page = match route {
        Route::Front => front::page(gate, head),
        Route::Metadata => metadata::document(gate, presented)?,
        Route::Jwks => Reply::json(&gate.lasting.tokens.as_ref()?.mint.published()),
        _ => return None,
    };
    Some(if is_reading(head) { Ok(page) } else { Err(Refusal::new(Reason::MethodNotAllowed)) })
}

fn is_reading(head: &request::Parts) -> bool {
    matches!(head.method, Method::GET | Method::HEAD)
}

/// What an authenticated caller may read. An unknown path is told only here: before, it is 401 like all others.
pub(crate) async fn private(
    gate: &Arc<Snapshot>,
    passage: &mut Passage,
    route: Route,
    (head, body): (&request::Parts, Content),
    caller: &Principal,
) -> Result<Reply, Refusal> {
    if let Route::Keys(path) = route {
        return keys::answer(gate, passage, path, (head, body), caller).await;
    }
    if let Route::Tokens(deed) = route {
        return tokens::answer(gate, passage, deed, (head, body), caller).await;
    }
    if matches!(route, Route::Unknown) || matches!(route, Route::Status) && !gate.monitoring {
        return passage.fact("route", Err(Refusal::new(Reason::UnknownPath)));
    }
    if !is_reading(head) {
        return passage.fact("route", Err(Refusal::new(Reason::MethodNotAllowed)));
    }
    let mut seen: Vec<_> = Vec::new();
    if let Some(address) = passage.record.facts.client {
        let asker = gate.asker(caller, address);
        passage.fact("authorize", authorize::read(&asker))?;
        let is_shown = |server: &&Arc<Server>| !matches!(route, Route::Tools) || asker.may_list_tools(&server.name);
        seen.extend(aggregate::seen(gate, caller, address).filter(is_shown).cloned());
    }
    let value = match route {
        Route::Tools => tools(gate, passage, &seen, caller).await,
        Route::Marketplace => marketplace(&seen),
        _ => status(gate, &seen),
    };
    Ok(Reply::json(&value))
}

/// The tools of every server that the caller may call, and how each is called at `/mcp`; a server that does not answer is
/// named, not hidden.
async fn tools(gate: &Snapshot, passage: &Passage, servers: &[Arc<Server>], caller: &Principal) -> Value {
    let read = |server: Arc<Server>| async move { server.catalog.read(&server).await };
    let readings = aggregate::from_each(gate.aggregate.patience, servers, read).await;
    let names = aggregate::tool_names(gate, servers);
    let at_mcp = names.view();
    let asker = passage.record.facts.client.map(|address| gate.asker(caller, address));
    let mut tools = Vec::new();
    let mut unavailable = Vec::new();
    for (place, (server, reading)) in servers.iter().zip(readings).enumerate() {
        let Ok(reading) = reading else {
            unavailable.push(server.name.as_ref());
            continue;
        };
        let shown = |tool: &&Value| {
            let name = tool.get("name").and_then(Value::as_str);
            name.zip(asker.as_ref()).is_some_and(|(name, asker)| asker.may_list(Thing::Tool, &server.name, name))
        };
        tools.extend(reading.tools.iter().filter(shown).cloned().map(|mut tool| {
            let name = tool.get("name").and_then(Value::as_str).map(|name| at_mcp.shown(place, name));
            if let Some(tool) = tool.as_object_mut() {
                tool.insert("server".into(), server.name.as_ref().into());
                tool.insert("aggregate_name".into(), name.into());
            }
            tool
        }));
    }
    json!({"tools": tools, "unavailable": unavailable})
}

/// The servers that the caller may call, and whether each answered when it was last asked. Nobody is asked for this.
fn marketplace(servers: &[Arc<Server>]) -> Value {
    let servers = servers.iter().map(|server| {
        json!({
            "name": server.name.as_ref(),
            "path": format!("/mcp/{}", server.name),
            "transport": server.upstream.transport(),
            "state": if server.upstream.state() == "unavailable" { "down" } else { server.catalog.state() },
        })
    });
    json!({"servers": servers.collect::<Vec<_>>(), "aggregate": "/mcp"})
}

/// How the gateway fares, with the servers that the caller may see.
fn status(gate: &Snapshot, seen: &[Arc<Server>]) -> Value {
    let (requests, open, refused) = gate.lasting.counters.requests();
    let events: serde_json::Map<_, _> =
        gate.lasting.counters.events().into_iter().map(|(name, count)| (name.to_owned(), count.into())).collect();
    let cut: serde_json::Map<_, _> =
        gate.lasting.counters.cuts().map(|(name, count)| (name.to_owned(), count.into())).collect();
    let (connections, strangers) = gate.lasting.places.counts();
    json!({
        "status": if gate.lasting.is_ready() { "up" } else { "down" },
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_seconds": time::now().monotonic_ms / 1000,
        "memory_bytes": memory_bytes(),
        "requests": {"total": requests, "open": open, "refused": refused},
        "connections": {"open": connections, "strangers": strangers, "cut": cut},
        "security_events": events,
        "limits": {"windows": gate.limits.len(), "bytes": gate.limits.bytes()},
        "store": gate.lasting.follower.status(gate.staleness()),
        "redis": gate.lasting.redis.as_ref().map(|redis| redis.status()),
        "journal": gate.lasting.journal_status(),
        "servers": snapshot::server_states(seen),
        "configuration": gate.lasting.loads.status(),
        "sessions": snapshot::session_counts(seen),
        "issuers": gate.issuer_states(),
        "aggregate_sessions": gate.lasting.joined.len(),
    })
}

/// Resident memory of this process; `null` where the system does not tell.
fn memory_bytes() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * u64::try_from(rustix::param::page_size()).ok()?)
}
