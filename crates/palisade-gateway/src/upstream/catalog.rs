//! What is known of a server's tools: asked by the gateway itself, kept for a minute.
//!
//! Two things need it: `GET /api/tools`, and the arguments that a tool repeats in headers, which must be compared before
//! a call is decided on. A server that does not answer is asked again later; its own check of the headers still stands.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use palisade_guard::message::{Call, json};
use palisade_guard::refusal::{Reason, Refusal};
use palisade_guard::validate::{Mirror, mirrors_of_schema};
use serde_json::{Value, json};

use super::{Server, Upstream, invalid};
use crate::time;

/// The tools of one server.
#[derive(Default)]
pub(crate) struct Catalog {
    known: Mutex<Option<Known>>,
    asking: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
struct Known {
    until_ms: u64,
    tools: Option<Arc<Tools>>,
}

/// One reading of a server's list.
pub(crate) struct Tools {
    /// The definitions, as the server gave them.
    pub(crate) list: Vec<Value>,
    mirrors: HashMap<Box<str>, Arc<[Mirror]>>,
}

const KEPT_MS: u64 = 60_000;
const RETRY_MS: u64 = 10_000;
const ASK_TIMEOUT: Duration = Duration::from_secs(5);
const START_TIMEOUT: Duration = Duration::from_secs(90);
const PAGES: usize = 50;
const TOOLS: usize = 10_000;

/// How the gateway asks a server, in one era or the other.
pub(crate) enum Era {
    /// 2026-07-28
    Modern,
    /// With a session of the gateway's own.
    Legacy,
}

impl Catalog {
    /// The tool whose arguments may be repeated in headers; none for anything but a modern tool call.
    pub(crate) fn tool_with_mirrors(call: &Call) -> Option<&Arc<str>> {
        match call {
            Call::Message(message) if message.revision().is_modern() && message.is("tools/call") => message.target(),
            _ => None,
        }
    }

    /// The arguments that a tool repeats in headers. A request that repeats some, to a server whose tools are not known
    /// now, is refused: what cannot be compared is not passed on.
    pub(crate) async fn mirrors_of(
        &self,
        server: &Server,
        tool: &str,
        headers: &HeaderMap,
    ) -> Result<Arc<[Mirror]>, Refusal> {
        match self.tools(server).await {
            Ok(tools) => Ok(tools.mirrors.get(tool).cloned().unwrap_or_default()),
            Err(refusal) if headers.keys().any(|name| name.as_str().starts_with("mcp-param-")) => Err(refusal),
            Err(_) => Ok(Arc::default()),
        }
    }

    /// The server's tools, asked for if they are not known well enough.
    pub(crate) async fn tools(&self, server: &Server) -> Result<Arc<Tools>, Refusal> {
        if let Some(known) = self.fresh() {
            return known.tools.ok_or_else(unknown);
        }
        let _one_at_a_time = self.asking.lock().await;
        if let Some(known) = self.fresh() {
            return known.tools.ok_or_else(unknown);
        }
        // A child may have to be fetched and started first; to stop it half-way would begin that anew each time.
        let patience = match &server.upstream {
            Upstream::Http(_) => ASK_TIMEOUT,
            Upstream::Stdio(_) => START_TIMEOUT,
        };
        let asked = match tokio::time::timeout(patience, ask(server)).await {
            Ok(asked) => asked,
            Err(_) => Err(Refusal::new(Reason::Timeout).because("tools/list for the catalogue")),
        };
        let now = time::now().monotonic_ms;
        let known = match &asked {
            Ok(tools) => Known { until_ms: now + KEPT_MS, tools: Some(Arc::clone(tools)) },
            Err(refusal) => {
                tracing::debug!(server = %server.name, cause = refusal.cause_for_log(), "the catalogue is unknown");
                Known { until_ms: now + RETRY_MS, tools: None }
            }
        };
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(known);
        asked
    }

    fn fresh(&self) -> Option<Known> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        known.filter(|known| time::now().monotonic_ms < known.until_ms)
    }
}

fn unknown() -> Refusal {
    Refusal::new(Reason::BackendUnavailable).because("the catalogue could not be read a moment ago")
}

async fn ask(server: &Server) -> Result<Arc<Tools>, Refusal> {
    let list = match pages(server, &Era::Modern).await {
        Ok(list) => list,
        Err(_) => pages(server, &Era::Legacy).await?,
    };
    let mirrors = list.iter().filter_map(|tool| {
        let found = mirrors_of_schema(tool.get("inputSchema")?);
        (!found.is_empty()).then_some(())?;
        Some((Box::from(tool.get("name")?.as_str()?), Arc::from(found)))
    });
    Ok(Arc::new(Tools { mirrors: mirrors.collect(), list }))
}

/// Every page of `tools/list`, in one conversation.
async fn pages(server: &Server, era: &Era) -> Result<Vec<Value>, Refusal> {
    let mut conversation = Conversation::open(server, era).await?;
    let mut list = Vec::new();
    let mut cursor: Option<Value> = None;
    for _ in 0..PAGES {
        let mut params = serde_json::Map::new();
        params.extend(cursor.take().map(|cursor| ("cursor".to_owned(), cursor)));
        let result = conversation.ask("tools/list", params).await?;
        let tools = result.get("tools").and_then(Value::as_array).ok_or_else(|| invalid("tools/list without tools"))?;
        list.extend(tools.iter().take(TOOLS - list.len()).cloned());
        cursor = result.get("nextCursor").filter(|cursor| cursor.is_string()).cloned();
        if cursor.is_none() || list.len() == TOOLS {
            break;
        }
    }
    conversation.close().await;
    Ok(list)
}

/// The gateway as a client of its own upstream.
enum Conversation<'s> {
    Http { upstream: &'s super::http::HttpUpstream, session: Option<crate::session::Resumed>, modern: bool },
    Shared(&'s super::stdio::StdioUpstream),
    Child(super::stdio::OwnSession),
}

impl<'s> Conversation<'s> {
    async fn open(server: &'s Server, era: &Era) -> Result<Self, Refusal> {
        match (&server.upstream, era) {
            (Upstream::Http(upstream), Era::Modern) => Ok(Self::Http { upstream, session: None, modern: true }),
            (Upstream::Http(upstream), Era::Legacy) => {
                let session = upstream.initialize(&request(0, "initialize", initialize(), false)).await?;
                upstream.tell(&Bytes::from_static(INITIALIZED), session.as_ref()).await?;
                Ok(Self::Http { upstream, session, modern: false })
            }
            (Upstream::Stdio(upstream), Era::Modern) => Ok(Self::Shared(upstream)),
            (Upstream::Stdio(upstream), Era::Legacy) => {
                let first = request(0, "initialize", initialize(), false);
                upstream.own_session(first, Bytes::from_static(INITIALIZED)).await.map(Self::Child)
            }
        }
    }

    async fn ask(&mut self, method: &str, params: serde_json::Map<String, Value>) -> Result<Value, Refusal> {
        let modern = !matches!(self, Self::Child(_) | Self::Http { modern: false, .. });
        let body = request(1, method, params, modern);
        let answer = match self {
            Self::Http { upstream, session, modern } => upstream.ask(body, method, session.as_ref(), *modern).await?,
            Self::Shared(upstream) => upstream.ask_shared(body).await?,
            Self::Child(session) => session.ask(body).await?,
        };
        let (span, _) = json::find(&answer, 0..answer.len(), &["result"]).ok_or_else(|| invalid("an error"))?;
        serde_json::from_slice(answer.get(span).unwrap_or_default()).map_err(invalid)
    }

    async fn close(self) {
        if let Self::Http { upstream, session: Some(session), .. } = self {
            upstream.end(&session).await;
        }
    }
}

const INITIALIZED: &[u8] = br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

fn initialize() -> serde_json::Map<String, Value> {
    let params = json!({
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "palisade", "version": env!("CARGO_PKG_VERSION")},
    });
    params.as_object().cloned().unwrap_or_default()
}

/// A request of the gateway's own.
fn request(id: u32, method: &str, mut params: serde_json::Map<String, Value>, modern: bool) -> Bytes {
    if modern {
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": {"name": "palisade", "version": env!("CARGO_PKG_VERSION")},
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        params.insert("_meta".into(), meta);
    }
    Bytes::from(json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string())
}
