//! The gateway's own questions to a line-speaking server.

use std::time::Duration;

use bytes::Bytes;
use palisade_guard::message::{self, Body, Facts, Message, Revision, agree, json};
use palisade_guard::refusal::Refusal;

use super::super::http::agreed_revision;
use super::super::invalid;
use super::StdioUpstream;
use super::legacy::LegacySession;

/// How long the gateway waits for an answer to a question of its own.
const PATIENCE: Duration = Duration::from_secs(30);

/// A legacy session of the gateway's own: its child ends with it.
pub(crate) struct OwnSession {
    session: LegacySession,
    revision: Revision,
    hello: Bytes,
}

impl StdioUpstream {
    /// Asks the shared child of a modern server.
    pub(crate) async fn ask_shared(&self, body: Bytes) -> Result<Bytes, Refusal> {
        let server = self.shared().await?;
        let (id, _) = json::find(&body, 0..body.len(), &["id"]).ok_or_else(|| invalid("a question without an id"))?;
        let asked = server.exchange(&body, id, None, Some(PATIENCE), PATIENCE).await?;
        asked.response().await.map(|response| response.bytes)
    }

    /// Starts a session with a child of its own.
    pub(crate) async fn own_session(&self, initialize: Bytes, initialized: Bytes) -> Result<OwnSession, Refusal> {
        let (session, answer) = self.start_session(&parsed(initialize, Revision::V2025_11_25)?, None).await?;
        let revision = agreed_revision(&answer.bytes).ok_or_else(|| invalid("initialize was refused"))?;
        session.notify(&parsed(initialized, revision)?).await?;
        Ok(OwnSession { session, revision, hello: answer.bytes })
    }
}

impl OwnSession {
    /// The answer to `initialize`.
    pub(crate) const fn hello(&self) -> &Bytes {
        &self.hello
    }

    /// Asks one question.
    pub(crate) async fn ask(&self, body: Bytes) -> Result<Bytes, Refusal> {
        let answer = self.session.response(&parsed(body, self.revision)?).await?;
        Ok(answer.bytes)
    }
}

fn parsed(bytes: Bytes, revision: Revision) -> Result<Message, Refusal> {
    let config = message::Config::default();
    let Body::One(envelope) = message::read(&config, bytes)? else { return Err(invalid("a batch of our own")) };
    let facts = Facts { headers: None, session: Some(revision), batched: false, extra_methods: &[] };
    agree(&config, envelope, facts)
}
