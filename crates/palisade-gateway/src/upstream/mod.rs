//! The servers behind the gateway, and what they answer.

mod asking;
pub(crate) mod breaker;
pub(crate) mod catalog;
pub(crate) mod http;
pub(crate) mod judge;
pub(crate) mod stdio;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use ::http::HeaderMap;
use bytes::Bytes;
use palisade_guard::authorize::Asker;
use palisade_guard::message::{Message, Revision};
use palisade_guard::refusal::{Reason, Refusal};
use palisade_guard::validate::Vetted;

use crate::servers::Recipe;
use crate::session::{Resumed, Session};
use crate::transport::sse::Event;

/// What an upstream answered to one vetted call.
pub(crate) enum Answer {
    /// A notification or response was taken.
    Accepted,
    /// The session ended.
    Ended,
    /// One JSON-RPC response.
    Message(Response),
    /// A stream of events.
    Events(Box<dyn Events>),
}

/// One JSON-RPC response of an upstream.
pub(crate) struct Response {
    /// Its bytes, as they came.
    pub(crate) bytes: Bytes,
    /// `error.code`, if it is an error.
    pub(crate) error: Option<i64>,
    /// The HTTP status an error had upstream, where the protocol gives it a meaning.
    pub(crate) status: Option<u16>,
}

/// An answer, and the session it opened.
pub(crate) struct Answered {
    /// The answer.
    pub(crate) answer: Answer,
    /// A session that this answer opened; its handle goes to the caller.
    pub(crate) opened: Option<Opened>,
}

/// A session that an upstream opened.
pub(crate) struct Opened {
    /// What the handle will hold.
    pub(crate) session: Session,
    /// The revision that was agreed on.
    pub(crate) revision: Revision,
}

impl From<Answer> for Answered {
    fn from(answer: Answer) -> Self {
        Self { answer, opened: None }
    }
}

/// Events from an upstream, judged one by one. Dropping it ends the interest in them.
pub(crate) trait Events: Send {
    /// The next event; `None` when the stream has ended properly; an error ends it.
    fn poll_event(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Event, Refusal>>>;
}

/// Which messages of a server may be in a stream.
#[derive(Debug, Clone)]
pub(crate) struct Expected {
    /// The request that is answered; `None` for a stream that belongs to no request.
    pub(crate) id: Option<Bytes>,
    /// Whether responses to earlier requests may come (a resumed stream).
    pub(crate) resumed: bool,
    /// The revision of the stream.
    pub(crate) revision: Revision,
}

impl Expected {
    /// What a stream that answers `message` may hold.
    pub(crate) fn by(message: &Message) -> Self {
        Self { id: message.id(), resumed: false, revision: message.revision() }
    }
}

/// The refusal for an upstream that breaks the protocol.
pub(crate) fn invalid(cause: impl std::fmt::Display) -> Refusal {
    Refusal::new(Reason::AnswerInvalid).because(cause)
}

/// The refusal for an upstream that cannot be reached.
pub(crate) fn unavailable(cause: impl std::fmt::Display) -> Refusal {
    Refusal::new(Reason::BackendUnavailable).because(cause)
}

/// One server behind the gateway.
pub(crate) struct Server {
    /// Its name in paths and records.
    pub(crate) name: Arc<str>,
    /// What handles are sealed to: another upstream under the same name is another server to them.
    pub(crate) seal: Arc<str>,
    /// Addresses that may call it.
    pub(crate) lists: palisade_guard::identify::IpLists,
    /// Methods beyond the specification that may pass.
    pub(crate) extra_methods: Box<[Box<str>]>,
    /// Whether only signed requests may call it.
    pub(crate) signed: bool,
    /// How it is reached.
    pub(crate) upstream: Upstream,
    /// What is known of its tools.
    pub(crate) catalog: Arc<catalog::Catalog>,
    /// What the upstream was made of.
    pub(crate) recipe: Arc<Recipe>,
}

/// How a server is reached.
#[derive(Clone)]
pub(crate) enum Upstream {
    /// Streamable HTTP.
    Http(Arc<http::HttpUpstream>),
    /// Child processes, or servers in this process, that speak lines.
    Stdio(Arc<stdio::StdioUpstream>),
}

impl Server {
    /// Whether it exists to this caller.
    pub(crate) fn is_open_to(&self, asker: &Asker<'_>) -> bool {
        let caller = asker.caller;
        asker.may_see(&self.name) && (!self.signed || caller.signs() || caller.is_anonymous())
    }

    /// Sends one vetted call and waits for the answer's beginning.
    pub(crate) async fn forward(
        &self,
        vetted: &Vetted,
        principal: &Arc<str>,
        headers: &HeaderMap,
        session: Option<&Resumed>,
    ) -> Result<Answered, Refusal> {
        match &self.upstream {
            Upstream::Http(upstream) => upstream.forward(vetted, principal, headers, session).await,
            Upstream::Stdio(upstream) => Box::pin(upstream.forward(vetted, principal, session)).await,
        }
    }
}

impl Upstream {
    /// The word for catalogues and the status page: whether calls reach it, as far as the last ones tell.
    pub(crate) fn state(&self) -> &'static str {
        let available = match self {
            Self::Http(upstream) => upstream.is_available(),
            Self::Stdio(upstream) => upstream.is_available(),
        };
        if available { "available" } else { "unavailable" }
    }

    /// Whether this is that very one, and not another like it.
    pub(crate) fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Http(one), Self::Http(other)) => Arc::ptr_eq(one, other),
            (Self::Stdio(one), Self::Stdio(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }

    /// The word for catalogues.
    pub(crate) const fn transport(&self) -> &'static str {
        match self {
            Self::Http(_) => "http",
            Self::Stdio(_) => "stdio",
        }
    }
}
