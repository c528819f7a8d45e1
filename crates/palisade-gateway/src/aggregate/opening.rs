//! `initialize` and `server/discover` of the aggregate: a server named palisade that can what its servers can.

use std::collections::BTreeSet;

use palisade_guard::message::json;
use palisade_guard::message::{Message, Revision};
use palisade_guard::refusal::{Reason, Refusal};
use serde_json::{Map, Value, json};

use super::lists::from_each;
use super::visit::{Visit, known};
use crate::passage::Passage;
use crate::pipeline::{self, Caller};
use crate::reply::Reply;

/// What of a server's capabilities the aggregate has too, by era.
const LEGACY: [&str; 4] = ["tools", "prompts", "resources", "completions"];
const MODERN: [&str; 5] = ["tools", "prompts", "resources", "completions", "extensions"];
/// The largest `initialize` that is kept to be said to each server.
const HELLO_BYTES: usize = 64 * 1024;

/// Begins a session. No server is asked for one of its own yet.
pub(super) async fn initialize(
    passage: &mut Passage,
    caller: &Caller<'_>,
    visit: &Visit,
    message: &Message,
) -> Result<Reply, Refusal> {
    let wanted = message.param(&["protocolVersion"]).and_then(|(span, _)| message.bytes().get(span));
    let wanted = wanted.and_then(|wanted| Revision::named(json::text_of(wanted).as_bytes()));
    let revision = match wanted {
        Some(revision) if !revision.is_modern() && revision != Revision::V2024_11_05 => revision,
        _ => Revision::V2025_11_25,
    };
    if message.bytes().len() > HELLO_BYTES {
        let actual = u64::try_from(message.bytes().len()).unwrap_or(u64::MAX);
        let limit = u64::try_from(HELLO_BYTES).unwrap_or(u64::MAX);
        return passage.fact("session", Err(Refusal::new(Reason::PayloadTooLarge).limit(limit, actual)));
    }
    passage.intend(&visit.gate).await?;
    let mut capabilities = capabilities(visit, &LEGACY).await;
    capabilities.insert("logging".into(), json!({}));
    let begun = visit.gate.lasting.joined.begin(visit, message.bytes().clone(), revision);
    let session = passage.fact("session", begun)?;
    let handle = passage.fact("session", pipeline::handle(&visit.gate, caller, &session, revision))?;
    let result = json!({
        "protocolVersion": revision.name(),
        "capabilities": capabilities,
        "serverInfo": server_info(),
    });
    match super::result(message, &result.to_string()) {
        Reply::Mcp { answer, .. } => Ok(Reply::Mcp { answer, handle }),
        other => Ok(other),
    }
}

/// Says what the aggregate is to a caller of 2026-07-28.
pub(super) async fn discover(visit: &Visit, message: &Message) -> Reply {
    let result = json!({
        "resultType": "complete",
        "supportedVersions": Revision::SUPPORTED,
        "capabilities": capabilities(visit, &MODERN).await,
        "ttlMs": 0,
        "cacheScope": "private",
        "_meta": {"io.modelcontextprotocol/serverInfo": server_info()},
    });
    super::result(message, &result.to_string())
}

/// What the gateway calls itself.
pub(super) fn server_info() -> Value {
    json!({"name": "palisade", "version": env!("CARGO_PKG_VERSION")})
}

/// What any server can, the aggregate can. A server that is not known yet could do everything.
async fn capabilities(visit: &Visit, names: &[&str]) -> Map<String, Value> {
    let readings = from_each(visit.patience(), &visit.servers, |server| async move { known(&server).await });
    let mut all = Map::new();
    for reading in readings.await {
        match reading {
            Ok(reading) => {
                for name in names {
                    if let Some(theirs) = reading.capabilities.get(*name) {
                        unite(all.entry(*name).or_insert_with(|| json!({})), theirs);
                    }
                }
            }
            Err(_) => {
                for name in ["tools", "prompts", "resources"] {
                    all.entry(name).or_insert_with(|| json!({}));
                }
            }
        }
    }
    let lists: BTreeSet<_> =
        ["tools", "prompts", "resources"].into_iter().filter(|name| all.contains_key(*name)).collect();
    for name in lists {
        // Servers come and go, and with them what is listed.
        unite(all.entry(name).or_insert_with(|| json!({})), &json!({"listChanged": true}));
    }
    all
}

/// Both together; of two flags the one that is set, of two lists both.
pub(super) fn unite(ours: &mut Value, theirs: &Value) {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            for (name, value) in theirs {
                match ours.get_mut(name) {
                    Some(known) => unite(known, value),
                    None => drop(ours.insert(name.clone(), value.clone())),
                }
            }
        }
        (Value::Array(ours), Value::Array(theirs)) => ours.extend(theirs.iter().cloned()),
        (ours, Value::Bool(true)) => *ours = Value::Bool(true),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::unite;
    use serde_json::json;

    /// A3: the aggregate can what any server can.
    #[test]
    fn capabilities_are_united() {
        let mut all = json!({"listChanged": false});
        unite(&mut all, &json!({"listChanged": true, "subscribe": false}));
        unite(&mut all, &json!({"listChanged": false, "io.x/tasks": {"a": {}}}));
        assert_eq!(all, json!({"listChanged": true, "subscribe": false, "io.x/tasks": {"a": {}}}));
    }
}
