//! The gateway's own questions to a line-speaking server.

use std::time::Duration;

use bytes::Bytes;
use palisade_guard::message::{self, Body, Facts, Message, Revision, agree};
use palisade_guard::refusal::Refusal;

use super::super::http::agreed_revision;
use super::super::{Answer, invalid};
use super::StdioUpstream;
use super::legacy::LegacySession;

/// How long the gateway waits for an answer to a question of its own.
const PATIENCE: Duration = Duration::from_secs(30);
/// Where the id stands in a question, which `serde_json` writes with sorted keys: `{"id":1,…`.
const ID: std::ops::Range<usize> = 6..7;

/// A legacy session of the gateway's own: its child ends with it.
pub(crate) struct OwnSession {
    session: LegacySession,
    revision: Revision,
}

impl StdioUpstream {
    /// Asks the shared child of a modern server.
    pub(crate) async fn ask_shared(&self, body: Bytes) -> Result<Bytes, Refusal> {
        let server = self.shared().await?;
        let answer = server.exchange(&body, ID, None, Some(PATIENCE)).await?;
        last(answer).await
    }

    /// Starts a session with a child of its own.
    pub(crate) async fn own_session(&self, initialize: Bytes, initialized: Bytes) -> Result<OwnSession, Refusal> {
        let start = |listener| self.link(listener);
        let session = LegacySession::start(start).map_err(|error| self.cannot_start(&error))?;
        let answer = session.request(&parsed(initialize, Revision::V2025_11_25)?, PATIENCE).await?;
        let revision = agreed_revision(&last(answer).await?).ok_or_else(|| invalid("initialize was refused"))?;
        session.notify(&parsed(initialized, revision)?).await?;
        Ok(OwnSession { session, revision })
    }
}

impl OwnSession {
    /// Asks one question.
    pub(crate) async fn ask(&self, body: Bytes) -> Result<Bytes, Refusal> {
        let answer = self.session.request(&parsed(body, self.revision)?, PATIENCE).await?;
        last(answer).await
    }
}

fn parsed(bytes: Bytes, revision: Revision) -> Result<Message, Refusal> {
    let config = message::Config::default();
    let Body::One(envelope) = message::read(&config, bytes)? else { return Err(invalid("a batch of our own")) };
    let facts = Facts { headers: None, session: Some(revision), batched: false, extra_methods: &[] };
    agree(&config, envelope, facts)
}

/// The response; what comes before it is not for us.
async fn last(answer: Answer) -> Result<Bytes, Refusal> {
    match answer {
        Answer::Message(response) => Ok(response.bytes),
        Answer::Events(events) => {
            let mut events = Box::into_pin(events);
            let mut last = None;
            while let Some(event) = std::future::poll_fn(|context| events.as_mut().poll_event(context)).await {
                last = Some(event?.data);
            }
            last.ok_or_else(|| invalid("the stream ended without an answer"))
        }
        Answer::Accepted | Answer::Ended => Err(invalid("no answer")),
    }
}
