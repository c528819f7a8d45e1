//! The gateway as a client of its own upstream: questions of its own, in one era or the other.

use bytes::Bytes;
use palisade_guard::message::json;
use palisade_guard::refusal::{Reason, Refusal};
use serde_json::{Map, Value, json};

use super::stdio::{OwnSession, StdioUpstream};
use super::{Server, Upstream, http, invalid};
use crate::session::Resumed;

/// How the gateway asks a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Era {
    /// 2026-07-28
    Modern,
    /// With a session of the gateway's own.
    Legacy,
}

/// A conversation with a server.
pub(super) struct Conversation<'s> {
    way: Way<'s>,
    /// What the server said of itself; `None` where it said nothing that could be read.
    pub(super) capabilities: Option<Map<String, Value>>,
    /// Bytes of answers so far.
    pub(super) heard: usize,
}

enum Way<'s> {
    Http { upstream: &'s http::HttpUpstream, session: Option<Resumed>, modern: bool },
    Shared(&'s StdioUpstream),
    Child(OwnSession),
}

impl<'s> Conversation<'s> {
    /// Begins it.
    pub(super) async fn open(server: &'s Server, era: Era) -> Result<Self, Refusal> {
        let (way, hello) = match (&server.upstream, era) {
            (Upstream::Http(upstream), Era::Modern) => (Way::Http { upstream, session: None, modern: true }, None),
            (Upstream::Stdio(upstream), Era::Modern) => (Way::Shared(upstream), None),
            (Upstream::Http(upstream), Era::Legacy) => {
                let (session, hello) = upstream.initialize(&request(0, "initialize", initialize(), false)).await?;
                upstream.tell(&Bytes::from_static(INITIALIZED), session.as_ref()).await?;
                (Way::Http { upstream, session, modern: false }, Some(hello))
            }
            (Upstream::Stdio(upstream), Era::Legacy) => {
                let first = request(0, "initialize", initialize(), false);
                let session = upstream.own_session(first, Bytes::from_static(INITIALIZED)).await?;
                let hello = session.hello().clone();
                (Way::Child(session), Some(hello))
            }
        };
        let mut conversation = Self { way, capabilities: None, heard: 0 };
        let hello = match hello {
            Some(hello) => result(&hello).ok(),
            None => conversation.ask("server/discover", Map::new()).await.ok(),
        };
        conversation.capabilities = hello.and_then(|hello| hello.get("capabilities")?.as_object().cloned());
        Ok(conversation)
    }

    /// Asks one question.
    pub(super) async fn ask(&mut self, method: &str, params: Map<String, Value>) -> Result<Value, Refusal> {
        let modern = !matches!(self.way, Way::Child(_) | Way::Http { modern: false, .. });
        let body = request(1, method, params, modern);
        let answer = match &mut self.way {
            Way::Http { upstream, session, modern } => upstream.ask(body, method, session.as_ref(), *modern).await?,
            Way::Shared(upstream) => upstream.ask_shared(body).await?,
            Way::Child(session) => session.ask(body).await?,
        };
        self.heard += answer.len();
        result(&answer)
    }

    /// Ends it.
    pub(super) async fn close(self) {
        if let Way::Http { upstream, session: Some(session), .. } = self.way {
            upstream.end(&session).await;
        }
    }
}

fn result(answer: &Bytes) -> Result<Value, Refusal> {
    let Some((span, _)) = json::find(answer, 0..answer.len(), &["result"]) else {
        let code = json::find(answer, 0..answer.len(), &["error", "code"]).and_then(|(span, _)| answer.get(span));
        let unknown = code == Some(b"-32601");
        return Err(if unknown {
            Refusal::new(Reason::UnknownMethod).because("an error")
        } else {
            invalid("an error")
        });
    };
    serde_json::from_slice(answer.get(span).unwrap_or_default()).map_err(invalid)
}

const INITIALIZED: &[u8] = br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

fn initialize() -> Map<String, Value> {
    let params = json!({
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "palisade", "version": env!("CARGO_PKG_VERSION")},
    });
    params.as_object().cloned().unwrap_or_default()
}

/// A request of the gateway's own.
fn request(id: u32, method: &str, mut params: Map<String, Value>, modern: bool) -> Bytes {
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
