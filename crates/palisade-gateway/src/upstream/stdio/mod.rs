//! Servers that speak MCP in lines (2026-07-28 and 2025-11-25, transports, "stdio").
//!
//! A legacy server keeps its state in its process, so every session has a child of its own. A modern server has no
//! state between requests, so one child serves all callers. Which era a server speaks is asked once
//! (`server/discover`, as the specification tells clients to), and only when a modern request comes.

mod errors;
pub mod keeper;
mod kept;
mod launch;
mod legacy;
mod link;
mod mailbox;
mod own;
mod places;
mod shared;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use palisade_guard::breaker::Pass;
use palisade_guard::message::{Call, Form, Message, Revision};
use palisade_guard::refusal::{Detail, Reason, Refusal};
use palisade_guard::validate::Vetted;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::breaker::{self, Breaker};
use super::http::agreed_revision;
use super::{Answer, Answered, Opened, Response, unavailable};
use crate::random;
use crate::session::{Resumed, Session};
use crate::time;
pub use launch::InProcess;
pub(crate) use launch::{CommandLine, Launch};
use legacy::LegacySession;
use link::{Life, Link};
pub(crate) use own::OwnSession;
pub(crate) use places::share;
use places::{Full, Place, Places};
use shared::SharedServer;

/// One server that speaks lines.
pub(crate) struct StdioUpstream {
    settings: Settings,
    sessions: Mutex<HashMap<u64, Arc<LegacySession>>>,
    shared: tokio::sync::Mutex<Option<Shared>>,
    /// Whether another child is worth a try. Two, for a legacy server may die of the question that finds the era.
    session_starts: Breaker,
    shared_starts: Breaker,
    /// One place for each child of a session.
    places: Places,
    era: AtomicU8,
    tasks: TaskTracker,
    /// The order that no child goes on, whoever holds it.
    stopped: CancellationToken,
}

/// The child that all modern callers share.
struct Shared {
    server: Arc<SharedServer>,
    since_ms: u64,
    attempt: Option<Pass>,
}

/// What makes a [`StdioUpstream`].
pub(crate) struct Settings {
    /// The server's name.
    pub(crate) name: Arc<str>,
    /// How it is started.
    pub(crate) launch: Launch,
    /// How long it may be silent while it owes an answer.
    pub(crate) answer_timeout: Duration,
    /// The largest line.
    pub(crate) answer_bytes: usize,
    /// Legacy sessions, hence children, at a time.
    pub(crate) max_sessions: usize,
    /// A legacy session that nobody uses for so long ends.
    pub(crate) session_idle: Duration,
}

const UNKNOWN: u8 = 0;
const MODERN: u8 = 1;
const LEGACY: u8 = 2;

/// A shared child that ends sooner has failed, and the next one is not started at once for ever.
const LIVED_WELL_MS: u64 = 10_000;
/// How long a server may take to say which era it speaks; one that is fetched by its command the first time is slow.
const PROBE: Duration = Duration::from_mins(1);
const DISCOVER: &str = r#"{"jsonrpc":"2.0","id":0,"method":"server/discover","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"palisade","version":"0.1.0"},"io.modelcontextprotocol/clientCapabilities":{}}}}"#;
/// Where the id stands in it.
const DISCOVER_ID: std::ops::Range<usize> = 22..23;

impl StdioUpstream {
    /// A server; nothing is started yet.
    pub(crate) fn new(settings: Settings, tasks: TaskTracker) -> Self {
        Self {
            places: Places::new(settings.max_sessions),
            session_starts: Breaker::new(Arc::clone(&settings.name), breaker::STARTED),
            shared_starts: Breaker::new(Arc::clone(&settings.name), breaker::STARTED),
            settings,
            sessions: Mutex::default(),
            shared: tokio::sync::Mutex::default(),
            era: AtomicU8::new(UNKNOWN),
            tasks,
            stopped: CancellationToken::new(),
        }
    }

    /// Sends one vetted call and waits for the answer's beginning.
    pub(crate) async fn forward(
        &self,
        vetted: &Vetted,
        principal: &Arc<str>,
        session: Option<&Resumed>,
    ) -> Result<Answered, Refusal> {
        let message = match vetted.call() {
            Call::Message(message) if message.revision().is_modern() => {
                return self.modern(message, principal).await.map(Answered::from);
            }
            Call::Message(message) if message.is("initialize") => return self.initialize(message, principal).await,
            Call::Message(message) => Some(message),
            Call::Stream { .. } | Call::End => None,
        };
        let number = number(session)?;
        let session = self.session(number)?;
        let answer = match (vetted.call(), message) {
            (Call::End, _) => {
                self.sessions().remove(&number);
                Ok(Answer::Ended)
            }
            (Call::Stream { after }, _) => session.stream(after.as_deref()),
            (_, Some(message)) => match message.form() {
                Some(Form::Request) => session.request(message).await,
                Some(Form::Notification) => session.notify(message).await,
                None => session.respond(message).await,
            },
            (_, None) => Ok(Answer::Accepted),
        };
        answer.map(Answered::from)
    }

    /// Starts a session: a child of its own, kept once it has agreed on a revision.
    async fn initialize(&self, message: &Message, principal: &Arc<str>) -> Result<Answered, Refusal> {
        let (session, response) = self.start_session(message, Some(principal)).await?;
        if response.error.is_some() {
            return Ok(Answer::Message(response).into());
        }
        let revision = agreed_revision(&response.bytes)
            .ok_or_else(|| super::invalid("the answer to initialize names no known protocolVersion"))?;
        let number = u64::from_le_bytes(random::bytes());
        self.sessions().insert(number, Arc::new(session));
        let opened = Opened { session: Session::Stdio(number), revision };
        Ok(Answered { answer: Answer::Message(response), opened: Some(opened) })
    }

    /// A session with a child of its own, if there is a place for one, and its answer to `initialize`. No `principal` is
    /// the gateway itself.
    async fn start_session(
        &self,
        initialize: &Message,
        principal: Option<&Arc<str>>,
    ) -> Result<(LegacySession, Response), Refusal> {
        self.sweep();
        let attempt = self.session_starts.enter()?;
        let place = self.places.take(principal).map_err(|full| self.no_place(&full))?;
        let start = |listener| self.link(Some(place), listener);
        let answered = match LegacySession::start(self.settings.answer_timeout, start) {
            Ok(session) => session.response(initialize).await.map(|response| (session, response)),
            Err(error) => Err(self.cannot_start(&error)),
        };
        attempt.tell(answered.is_ok());
        answered
    }

    fn no_place(&self, full: &Full) -> Refusal {
        let (whose, limit) = match full {
            Full::Share => ("that one caller may have", share(self.settings.max_sessions)),
            Full::All => ("of this server", self.settings.max_sessions),
        };
        let limit = u64::try_from(limit).unwrap_or(u64::MAX);
        Refusal::new(Reason::NoCapacity)
            .says(format!("all sessions {whose} are in use (servers.{}.max_sessions)", self.settings.name))
            .with("limit", Detail::Number(limit))
            .retry_after(Duration::from_secs(10))
    }

    /// Ends sessions that nobody uses, or whose child has ended; called from time to time, and when room is wanted.
    pub(crate) fn sweep(&self) {
        let now = time::now().monotonic_ms;
        let idle = u64::try_from(self.settings.session_idle.as_millis()).unwrap_or(u64::MAX);
        self.sessions().retain(|_, session| {
            let idled = session.idle_since().is_some_and(|since| now.saturating_sub(since) >= idle);
            !idled && !session.has_ended()
        });
    }

    /// Whether children are started.
    pub(crate) fn is_available(&self) -> bool {
        match self.era.load(Ordering::Relaxed) {
            MODERN => !self.shared_starts.is_open(),
            _ => !self.session_starts.is_open(),
        }
    }

    /// How many legacy sessions there are.
    pub(crate) fn session_count(&self) -> usize {
        self.sessions().len()
    }

    /// Stops every child, also one that is being started, or held by a question of the gateway's own; there will be no
    /// other.
    pub(crate) async fn stop(&self) {
        self.stopped.cancel();
        self.sessions().clear();
        *self.shared.lock().await = None;
    }

    fn session(&self, number: u64) -> Result<Arc<LegacySession>, Refusal> {
        let mut sessions = self.sessions();
        match sessions.get(&number) {
            Some(session) if !session.has_ended() => Ok(Arc::clone(session)),
            _ => {
                sessions.remove(&number);
                Err(Refusal::new(Reason::SessionUnknown).because("the session has ended"))
            }
        }
    }

    /// A request of 2026-07-28, for the shared child.
    async fn modern(&self, message: &Message, principal: &Arc<str>) -> Result<Answer, Refusal> {
        let server = match self.shared().await {
            // As the server itself would say it: clients that probe take this for a legacy server and initialize.
            Err(refusal) if message.is("server/discover") && refusal.reason() == Reason::UnsupportedRevision => {
                return Err(Refusal::new(Reason::UnknownMethod).says("this server speaks earlier protocol revisions"));
            }
            shared => shared?,
        };
        match message.form() {
            Some(Form::Request) => server.request(message, principal, self.settings.answer_timeout).await,
            // Over HTTP a client cancels by leaving; its ids mean nothing to the server.
            Some(Form::Notification) if message.is("notifications/cancelled") => Ok(Answer::Accepted),
            _ => server.notify(message, self.settings.answer_timeout).await,
        }
    }

    /// The shared child, started and found modern.
    async fn shared(&self) -> Result<Arc<SharedServer>, Refusal> {
        let mut shared = self.shared.lock().await;
        let now_ms = time::now().monotonic_ms;
        match shared.as_ref() {
            Some(running) if !running.server.has_ended() => return Ok(Arc::clone(&running.server)),
            Some(Shared { attempt: Some(attempt), since_ms, .. }) => {
                // One that dies soon after each start goes round in a loop, also if it answers first.
                self.shared_starts.tell(attempt, now_ms.saturating_sub(*since_ms) >= LIVED_WELL_MS);
            }
            Some(_) | None => {}
        }
        *shared = None;
        if self.era.load(Ordering::Relaxed) == LEGACY {
            return Err(legacy_only());
        }
        let attempt = self.shared_starts.enter()?;
        match self.start_shared().await {
            Ok((server, response)) => {
                let attempt = attempt.answered();
                if response.error.is_none_or(is_modern_error) {
                    self.era.store(MODERN, Ordering::Relaxed);
                    *shared = Some(Shared { server: Arc::clone(&server), since_ms: now_ms, attempt });
                    return Ok(server);
                }
                self.era.store(LEGACY, Ordering::Relaxed);
                Err(legacy_only())
            }
            Err(refusal) => {
                attempt.tell(false);
                Err(refusal)
            }
        }
    }

    /// A new child, and what it says of itself.
    async fn start_shared(&self) -> Result<(Arc<SharedServer>, Response), Refusal> {
        let start = |listener| self.link(None, listener);
        let server = Arc::new(SharedServer::start(start).map_err(|error| self.cannot_start(&error))?);
        let discover = bytes::Bytes::from_static(DISCOVER.as_bytes());
        let asked = server.exchange(&discover, DISCOVER_ID, None, Some(PROBE), PROBE).await?;
        let response = asked.response().await?;
        Ok((server, response))
    }

    fn link<L: link::Listener>(&self, place: Option<Place>, listener: L) -> std::io::Result<Link> {
        if self.stopped.is_cancelled() {
            return Err(std::io::Error::other("no server is started any more"));
        }
        let Settings { launch, name, answer_bytes, .. } = &self.settings;
        let life = Life { unwanted: self.stopped.child_token(), place };
        Link::start(launch, name, *answer_bytes, &self.tasks, life, listener)
    }

    fn cannot_start(&self, error: &std::io::Error) -> Refusal {
        tracing::error!(server = %self.settings.name, %error, "the server cannot be started");
        unavailable(error).undone()
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<u64, Arc<LegacySession>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn number(session: Option<&Resumed>) -> Result<u64, Refusal> {
    match session.map(|resumed| &resumed.session) {
        Some(Session::Stdio(number)) => Ok(*number),
        Some(_) => Err(Refusal::new(Reason::SessionUnknown).because("a session of another transport")),
        None => Err(Refusal::new(Reason::SessionMissing)),
    }
}

/// Codes only a modern server answers with (2026-07-28, basic, "Error Codes").
const fn is_modern_error(code: i64) -> bool {
    matches!(code, -32022..=-32020)
}

/// What a modern request to a legacy server hears; clients fall back to `initialize` upon it.
fn legacy_only() -> Refusal {
    let legacy = Revision::SUPPORTED.into_iter().filter(|name| *name != Revision::V2026_07_28.name()).collect();
    Refusal::new(Reason::UnsupportedRevision)
        .says("this server speaks earlier protocol revisions: initialize first")
        .with("supported", Detail::List(legacy))
        .with("requested", Detail::Text(Revision::V2026_07_28.name().into()))
}

#[cfg(test)]
mod tests {
    use super::{DISCOVER, DISCOVER_ID};

    /// A3: the probe's id is where we say it is.
    #[test]
    fn the_probe_is_sound() {
        assert_eq!(&DISCOVER[DISCOVER_ID], "0");
        assert!(serde_json::from_str::<serde_json::Value>(DISCOVER).is_ok());
    }
}
