//! The facts of one arrival, filled in stage by stage.
//!
//! Every arrival has exactly one closing line. A call that is sent upstream has an intent line before it, so that after
//! a crash it is known what may have been done. Arguments appear as their digest alone.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Uri};

use super::line::Line;
use crate::arrival::CorrelationId;
use crate::clock::Moment;
use crate::message::Message;
use crate::refusal::{Event, Refusal};

/// How an arrival ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// With a result.
    Answered,
    /// With a JSON-RPC error of the upstream.
    AnsweredWithError(i64),
    /// By a stage of ours.
    Refused,
    /// With a stream that was sent to its end.
    Streamed,
    /// A message was taken that has no answer.
    Accepted,
    /// A browser's preflight was answered.
    Preflight,
    /// A page of our own was served.
    Served,
    /// The client left before the answer was sent.
    ClientLeft,
    /// The upstream failed inside a stream.
    UpstreamFailed,
    /// Something of ours panicked.
    Panicked,
    /// Not known: the process ended in between.
    Unknown,
}

impl Outcome {
    /// The word in records.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::AnsweredWithError(_) => "answered_with_error",
            Self::Refused => "refused",
            Self::Streamed => "streamed",
            Self::Accepted => "accepted",
            Self::Preflight => "preflight",
            Self::Served => "served",
            Self::ClientLeft => "client_left",
            Self::UpstreamFailed => "upstream_failed",
            Self::Panicked => "panicked",
            Self::Unknown => "unknown",
        }
    }
}

/// How long a record is kept, by what it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// A tool was called: 90 days.
    ToolExecution,
    /// Anything else was read: 365 days.
    DataAccess,
    /// A call was refused with a security event: 2555 days.
    SecurityEvents,
    /// Somebody could not authenticate: 365 days.
    AuthEvents,
    /// Somebody changed what the gateway rests on: 2555 days.
    ConfigChanges,
}

impl Class {
    /// The word in records.
    pub const fn word(self) -> &'static str {
        match self {
            Self::ToolExecution => "tool_execution",
            Self::DataAccess => "data_access",
            Self::SecurityEvents => "security_events",
            Self::AuthEvents => "auth_events",
            Self::ConfigChanges => "config_changes",
        }
    }
}

/// Why a stage refused.
#[derive(Debug, Clone)]
struct Decision {
    stage: &'static str,
    reason: &'static str,
    code: &'static str,
    event: Option<Event>,
    cause: Option<Box<str>>,
}

/// One message of a batch.
#[derive(Debug, Clone)]
struct Element {
    method: Box<str>,
    name: Option<Arc<str>>,
    refused: Option<&'static str>,
    event: Option<Event>,
}

/// The facts of one arrival.
#[derive(Debug, Clone)]
pub struct Record {
    /// Its name.
    pub correlation: CorrelationId,
    /// When it arrived.
    pub at: Moment,
    /// The client's address, behind trusted proxies.
    pub client: Option<IpAddr>,
    /// The other end of the socket.
    pub peer: Option<IpAddr>,
    /// The server it was for.
    pub server: Option<Arc<str>>,
    /// Who called.
    pub principal: Option<Arc<str>>,
    /// How the caller was verified.
    pub auth: Option<&'static str>,
    /// The protocol revision.
    pub revision: Option<&'static str>,
    /// The JSON-RPC id, as it was written.
    pub rpc_id: Option<Bytes>,
    /// The tool, prompt, resource or task.
    pub name: Option<Arc<str>>,
    /// Whether it named a session.
    pub session: bool,
    /// Bytes of the body.
    pub bytes_in: u64,
    /// Bytes of the answer's body.
    pub bytes_out: u64,
    /// SHA-256 of the arguments' bytes.
    pub args_digest: Option<[u8; 32]>,
    /// Whether an intent line was handed over: then a closing line must follow.
    pub intended: bool,
    /// The rule that allowed it.
    pub rule: Option<Cow<'static, str>>,
    /// How it ended.
    pub outcome: Outcome,
    /// The HTTP status of the answer.
    pub http_status: u16,
    /// From arrival to the last byte.
    pub duration_us: u64,
    /// Events of a stream.
    pub events: u64,
    http: Method,
    path: Uri,
    method: Option<Cow<'static, str>>,
    callers_correlation: Option<Box<str>>,
    decision: Option<Decision>,
    elements: Vec<Element>,
    /// What the line before the deed says of the call: the closing line says the same, and need not find it again.
    call: Option<Box<[u8]>>,
}

const PATH: usize = 256;
const NAME: usize = 256;
const WORD: usize = 128;
const CAUSE: usize = 512;

impl Record {
    /// The record of an arrival of which nothing is known yet.
    pub fn new(correlation: CorrelationId, at: Moment) -> Self {
        Self {
            correlation,
            at,
            client: None,
            peer: None,
            server: None,
            principal: None,
            auth: None,
            revision: None,
            rpc_id: None,
            name: None,
            session: false,
            bytes_in: 0,
            bytes_out: 0,
            args_digest: None,
            intended: false,
            rule: None,
            outcome: Outcome::Unknown,
            http_status: 0,
            duration_us: 0,
            events: 0,
            http: Method::default(),
            path: Uri::default(),
            method: None,
            callers_correlation: None,
            decision: None,
            elements: Vec::new(),
            call: None,
        }
    }

    /// The HTTP method and path; a query is not recorded, since it may hold what should not have been put there.
    pub fn set_http(&mut self, method: &Method, target: &Uri) {
        self.http = method.clone();
        self.path = target.clone();
    }

    /// Lets go of the buffer in which the request came: for a record that stays open as long as a stream does.
    pub fn detach(&mut self) {
        self.rpc_id = self.rpc_id.as_deref().map(Bytes::copy_from_slice);
        if let Ok(path) = Uri::try_from(self.path.path()) {
            self.path = path;
        }
    }

    /// The caller's own correlation id, beside ours.
    pub fn set_callers_correlation(&mut self, theirs: &str) {
        self.callers_correlation = Some(bounded(theirs, WORD).into());
    }

    /// The MCP method.
    pub fn set_method(&mut self, method: impl Into<Cow<'static, str>>) {
        self.method = Some(method.into());
    }

    /// What was refused had not been done, and is tried once more.
    pub fn try_again(&mut self) {
        self.decision = None;
    }

    /// A stage refused. The first refusal counts: what follows from it is its consequence.
    pub fn refuse(&mut self, stage: &'static str, refusal: &Refusal) {
        if self.decision.is_some() {
            return;
        }
        let row = refusal.reason().row();
        self.decision = Some(Decision {
            stage,
            reason: row.name,
            code: row.code.names().0,
            event: row.event,
            cause: refusal.cause_for_log().map(|cause| bounded(cause, CAUSE).into()),
        });
    }

    /// One message of a batch, and whether it was refused.
    pub fn element(&mut self, judged: &Result<Option<&Message>, Refusal>) {
        let message = judged.as_ref().ok().copied().flatten();
        self.elements.push(Element {
            method: message.and_then(Message::method_name).map_or("", |method| bounded(method, WORD)).into(),
            name: message.and_then(Message::target).cloned(),
            refused: judged.as_ref().err().map(|refusal| refusal.reason().row().name),
            event: judged.as_ref().err().and_then(|refusal| refusal.reason().row().event),
        });
    }

    /// How long the record is kept. A batch with a refused message is kept as that refusal is; one that does more than
    /// call tools, as what is kept longer.
    pub fn class(&self) -> Class {
        let refused = self.decision.as_ref().and_then(|decision| decision.event);
        match refused.or_else(|| self.elements.iter().find_map(|element| element.event)) {
            Some(Event::AuthFailure) => Class::AuthEvents,
            Some(_) => Class::SecurityEvents,
            None if self.calls_only_tools() => Class::ToolExecution,
            None => Class::DataAccess,
        }
    }

    fn calls_only_tools(&self) -> bool {
        if self.elements.is_empty() {
            return self.method.as_deref() == Some("tools/call");
        }
        self.elements.iter().all(|element| &*element.method == "tools/call")
    }

    /// The fields of the line that is written before the deed.
    pub fn write_intent(&mut self, now: Moment, out: &mut Vec<u8>) {
        let mut line = Line::open(out, "intent");
        line.time(now).word("correlation", self.correlation.as_str());
        let before = line.length();
        self.write_call(&mut line);
        self.call = out.get(before..).map(Box::from);
    }

    /// The fields of the line that closes the arrival.
    pub fn write_closing(&self, now: Moment, out: &mut Vec<u8>) {
        let mut line = Line::open(out, "closing");
        line.time(now).word("correlation", self.correlation.as_str());
        line.word("class", self.class().word());
        line.text("http", self.http.as_str()).text("path", bounded(self.path.path(), PATH));
        match &self.call {
            Some(call) => line.fields(call),
            None => self.write_call(&mut line),
        }
        line.maybe("callers_correlation", self.callers_correlation.as_deref());
        line.word("decision", if self.decision.is_some() { "refused" } else { "allowed" });
        if let Some(decision) = &self.decision {
            line.word("stage", decision.stage).word("reason", decision.reason).word("code", decision.code);
            if let Some((event, severity)) = decision.event.map(Event::names) {
                line.word("security_event", event).word("severity", severity);
            }
            line.maybe("cause", decision.cause.as_deref());
        }
        line.word("outcome", self.outcome.word());
        if let Outcome::AnsweredWithError(code) = self.outcome {
            line.signed("error", code);
        }
        line.number("status", self.http_status.into()).number("duration_us", self.duration_us);
        line.number("bytes_in", self.bytes_in).number("bytes_out", self.bytes_out);
        if self.events > 0 {
            line.number("events", self.events);
        }
    }

    fn write_call(&self, line: &mut Line<'_>) {
        if let Some(client) = self.client {
            line.address("client", client);
        }
        if let Some(peer) = self.peer.filter(|peer| self.client != Some(*peer)) {
            line.address("peer", peer);
        }
        line.maybe("principal", self.principal.as_deref()).maybe("server", self.server.as_deref());
        for (name, word) in [("auth", self.auth), ("revision", self.revision)] {
            if let Some(word) = word {
                line.word(name, word);
            }
        }
        line.maybe("rule", self.rule.as_deref().map(|rule| bounded(rule, NAME)));
        line.maybe("method", self.method.as_deref().map(|method| bounded(method, WORD)));
        line.maybe("name", self.name.as_deref().map(|name| bounded(name, NAME)));
        // One JSON string or integer, bounded when the message was parsed.
        if let Some(id) = &self.rpc_id {
            line.text("rpc_id", &String::from_utf8_lossy(id));
        }
        if self.session {
            line.raw("session", b"true");
        }
        if let Some(digest) = &self.args_digest {
            line.hex("args_sha256", digest);
        }
        if !self.elements.is_empty() {
            line.raw("elements", &self.elements_json());
        }
    }

    fn elements_json(&self) -> Vec<u8> {
        let mut out = b"[".to_vec();
        for (place, element) in self.elements.iter().enumerate() {
            out.extend_from_slice(if place == 0 { b"{" } else { b",{" });
            let mut line = Line::open(&mut out, "element");
            line.text("method", &element.method);
            line.maybe("name", element.name.as_deref().map(|name| bounded(name, NAME)));
            line.maybe("refused", element.refused);
            out.push(b'}');
        }
        out.push(b']');
        out
    }
}

/// At most `longest` bytes of a text, cut between characters.
fn bounded(text: &str, longest: usize) -> &str {
    let mut end = text.len().min(longest);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests;
