//! What is known of one arrival on its way through the pipeline, and what its reply will need.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName};
use palisade_guard::arrival::CorrelationId;
use palisade_guard::audit::record::Record;
use palisade_guard::authenticate::Principal;
use palisade_guard::clock::Moment;
use palisade_guard::digest::sha256;
use palisade_guard::edge::origin::AllowedOrigin;
use palisade_guard::identify::client_address::Client;
use palisade_guard::limit::Admission;
use palisade_guard::message::{Call, Envelope, Form, Message};
use palisade_guard::refusal::{Reason, Refusal};

use crate::arrival;
use crate::ending::Grounds;
use crate::record::OpenRecord;
use crate::snapshot::Snapshot;
use crate::time;
use crate::transport::http::Arrival;
use crate::upstream::Server;

/// Ours on every answer; theirs is noted beside it.
pub(crate) static CORRELATION: HeaderName = HeaderName::from_static("x-correlation-id");

/// One arrival under way.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(crate) struct Passage {
    /// Its record.
    pub(crate) record: Box<OpenRecord>,
    /// When it arrived.
    pub(crate) now: Moment,
    /// The form in which it is answered.
    pub(crate) speaks: Speaks,
    /// The browser origin that may read the answer.
    pub(crate) origin: Option<AllowedOrigin>,
    /// Whether the client is connected by TLS.
    pub(crate) secure: bool,
    /// Whether the client is the process that started us: there are no headers of its own.
    pub(crate) local: bool,
    /// What is left of the caller's limit.
    pub(crate) admission: Option<Admission>,
    /// The server that it was for.
    pub(crate) reached: Option<Arc<Server>>,
    /// On what grounds its answer may be a stream.
    pub(crate) grounds: Option<Grounds>,
    /// Whether its answer is a stream without an end of its own.
    pub(crate) standing: bool,
    /// Whether its answer is that of an earlier call.
    pub(crate) replayed: bool,
    /// The methods its path takes.
    pub(crate) allow: &'static str,
}

/// How an answer is written.
#[derive(Debug, Clone)]
pub(crate) enum Speaks {
    /// Plain JSON and pages.
    Rest,
    /// JSON-RPC.
    Mcp {
        /// Whether 404 is just 404 (2026-07-28) or the end of a session (before).
        modern: bool,
        /// The id of the request, as it was written.
        id: Option<Bytes>,
    },
}

impl Speaks {
    /// The id to answer under.
    pub(crate) const fn id(&self) -> Option<&Bytes> {
        match self {
            Self::Mcp { id, .. } => id.as_ref(),
            Self::Rest => None,
        }
    }

    /// The same, holding nothing of the request's buffer.
    pub(crate) fn detached(mut self) -> Self {
        if let Self::Mcp { id: Some(id), .. } = &mut self {
            *id = Bytes::copy_from_slice(id);
        }
        self
    }

    /// Whether the caller speaks 2026-07-28 or later.
    pub(crate) const fn is_modern(&self) -> bool {
        matches!(self, Self::Mcp { modern: true, .. })
    }
}

/// The method's name, without a copy where the specification knows it.
fn method_word(message: &Message) -> Cow<'static, str> {
    match (message.method(), message.method_name()) {
        (Some(method), _) => Cow::Borrowed(method.name),
        (None, Some(name)) => Cow::Owned(name.to_owned()),
        (None, None) => Cow::Borrowed("response"),
    }
}

impl Passage {
    /// Opens the record, before anything can refuse.
    pub(crate) fn open(gate: &Snapshot, arrival: &Arrival) -> Self {
        let started = time::instant();
        let now = time::at(started);
        let lasting = &gate.lasting;
        let correlation = CorrelationId::new(lasting.correlation_prefix, lasting.next_arrival());
        let mut facts = Record::new(correlation, now);
        facts.peer = arrival.peer.map(|peer| peer.ip().to_canonical());
        facts.set_http(&arrival.head.method, &arrival.head.uri);
        if let Some(theirs) = arrival.head.headers.get(&CORRELATION).and_then(|value| value.to_str().ok()) {
            facts.set_callers_correlation(theirs);
        }
        Self {
            record: Box::new(OpenRecord::open(lasting, facts, started)),
            now,
            speaks: Speaks::Rest,
            origin: None,
            secure: arrival.secured.is_some(),
            local: arrival.peer.is_none(),
            admission: None,
            reached: None,
            grounds: None,
            standing: false,
            replayed: false,
            allow: "GET",
        }
    }

    /// Chooses the form of answers by the path alone, whether or not there is such a server: the form must not tell.
    pub(crate) fn speak(&mut self, path: &str, headers: &HeaderMap) {
        if path == "/mcp" || path.starts_with("/mcp/") && path != "/mcp/marketplace" {
            self.speaks = Speaks::Mcp { modern: arrival::speaks_modern(headers), id: None };
        }
    }

    /// Notes who is connected.
    pub(crate) fn identified(&mut self, client: &Client) {
        self.record.facts.client = Some(client.address());
        self.secure |= client.secure();
    }

    /// Notes who is calling.
    pub(crate) fn authenticated(&mut self, caller: &Principal) {
        self.record.facts.principal = Some(Arc::clone(caller.id()));
        self.record.facts.auth = Some(caller.method());
    }

    /// The request whose id answers carry.
    pub(crate) fn answer_under(&mut self, envelope: &Envelope) {
        let id = if envelope.form() == Some(Form::Request) { envelope.id() } else { None };
        if let Speaks::Mcp { id: answered, .. } = &mut self.speaks {
            *answered = id;
        }
    }

    /// Notes what is called.
    pub(crate) fn called(&mut self, call: &Call) {
        let facts = &mut self.record.facts;
        match call {
            Call::Message(message) => {
                facts.revision = Some(message.revision().name());
                facts.set_method(method_word(message));
                facts.rpc_id = message.id();
                self.standing = message.is("subscriptions/listen");
                facts.name = message.target().cloned();
                if let Some(span) = message.arguments() {
                    facts.args_digest = message.bytes().get(span).map(sha256);
                }
                if let Speaks::Mcp { modern, .. } = &mut self.speaks {
                    *modern = message.revision().is_modern();
                }
            }
            Call::Stream { .. } => {
                facts.set_method("stream");
                self.standing = true;
            }
            Call::End => facts.set_method("end"),
        }
    }

    /// Writes down what is about to be done; what cannot be recorded is not done.
    pub(crate) async fn intend(&mut self, gate: &Snapshot) -> Result<(), Refusal> {
        // A call that is sent once more, since it was not done, is one call: its intent stands.
        if self.record.facts.intended {
            return Ok(());
        }
        let intended = gate.lasting.journal.intend(&mut self.record.facts, self.now).await;
        let unrecorded = |down| Refusal::new(Reason::JournalUnavailable).because(format_args!("{down:?}"));
        self.fact("intend", intended.map_err(unrecorded))
    }

    /// Notes what a stage found, and hands it on.
    pub(crate) fn fact<T>(&mut self, stage: &'static str, result: Result<T, Refusal>) -> Result<T, Refusal> {
        result.inspect_err(|refusal| self.record.refused(stage, refusal))
    }
}
