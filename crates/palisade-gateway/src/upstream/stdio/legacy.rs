//! Legacy sessions on stdio: one child for each, and the gateway is the Streamable HTTP server in front of it.
//!
//! A line says nothing about the stream it belongs to, so:
//! 1. a response goes to the request with its id; progress goes to the request with its token;
//! 2. anything else goes to the newest request that is still open, or else to the GET stream, or else it waits
//!    for one of them, bounded.
//!
//! Events of a stream are numbered (`stream-number`) and the last ones are kept, so that a client whose connection
//! broke can come back for the rest: leaving is not cancelling (2025-11-25, transports).

mod streams;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use palisade_guard::message::{Envelope, Message, Revision};
use palisade_guard::refusal::{Reason, Refusal};

use super::super::judge::{self, Verdict};
use super::super::{Answer, Events, Expected, Response, invalid};
use super::link::{Link, Listener};
use super::mailbox::{Mail, Mailbox, gone, mailbox};
use crate::time;
use crate::transport::sse::Event;
use streams::{STANDING, State, Stream};

/// One session.
pub(super) struct LegacySession {
    link: Link,
    state: Arc<Shared>,
    patience: Duration,
}

struct Shared(Mutex<State>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LegacySession {
    /// Starts a session; `start` starts its child with the listener it is given.
    /// `patience` is how long the server may take to read a message, or to answer one whose client has gone.
    pub(super) fn start(
        patience: Duration,
        start: impl FnOnce(ChildListener) -> std::io::Result<Link>,
    ) -> std::io::Result<Self> {
        let state = Arc::new(Shared(Mutex::new(State::new(time::now().monotonic_ms))));
        let link = start(ChildListener { state: Arc::clone(&state) })?;
        Ok(Self { link, state, patience })
    }

    /// Whether its child has gone.
    pub(super) fn has_ended(&self) -> bool {
        self.state.lock().ended || self.link.is_closed()
    }

    /// Milliseconds of the monotonic clock since when nobody used it; `None` while somebody does.
    pub(super) fn idle_since(&self) -> Option<u64> {
        let mut state = self.state.lock();
        state.forget_abandoned(self.patience);
        let used = state.streams.values().any(Stream::is_read);
        (state.open.is_empty() && !used).then_some(state.used_ms)
    }

    /// Sends a request and waits for its answer's beginning.
    pub(super) async fn request(&self, message: &Message) -> Result<Answer, Refusal> {
        self.sent(message).await?.answer().await
    }

    /// Sends a request and waits for its response, whatever comes before it: for the handshake.
    pub(super) async fn response(&self, message: &Message) -> Result<Response, Refusal> {
        self.sent(message).await?.response().await
    }

    async fn sent(&self, message: &Message) -> Result<Mailbox<Left>, Refusal> {
        let id = message.id().unwrap_or_default();
        let token = message.progress_token().map(|span| message.bytes().slice(span));
        let left = Left { id: id.clone(), state: Arc::clone(&self.state) };
        let (sink, mailbox) = mailbox(left, Some(self.patience));
        {
            let mut state = self.state.lock();
            state.forget_abandoned(self.patience);
            state.open_request(id, token, sink)?;
        }
        self.send(message.bytes().clone()).await?;
        Ok(mailbox)
    }

    /// Sends a notification.
    pub(super) async fn notify(&self, message: &Message) -> Result<Answer, Refusal> {
        self.state.lock().used_ms = time::now().monotonic_ms;
        self.send(message.bytes().clone()).await?;
        if message.is("notifications/cancelled")
            && let Some((span, _)) = message.param(&["requestId"])
        {
            // No response comes for a request that was taken back (2025-11-25, cancellation).
            self.state.lock().cancel(&message.bytes().slice(span));
        }
        Ok(Answer::Accepted)
    }

    /// Sends the client's response to a request that the server did make.
    pub(super) async fn respond(&self, message: &Message) -> Result<Answer, Refusal> {
        let id = message.id().unwrap_or_default();
        {
            let mut state = self.state.lock();
            state.used_ms = time::now().monotonic_ms;
            let Some(at) = state.asked.iter().position(|asked| *asked == id) else {
                return Err(Refusal::new(Reason::NotAMessage).says("no request of the server has this id").at("/id"));
            };
            state.asked.remove(at);
        }
        self.send(message.bytes().clone()).await?;
        Ok(Answer::Accepted)
    }

    /// The GET stream, or what is left of an earlier one.
    pub(super) fn stream(&self, after: Option<&str>) -> Result<Answer, Refusal> {
        let mut state = self.state.lock();
        state.used_ms = time::now().monotonic_ms;
        let place = match after {
            None => None,
            Some(id) => Some(place(id).ok_or_else(|| {
                Refusal::new(Reason::InvalidParams).says("Last-Event-ID is none of this session").at("Last-Event-ID")
            })?),
        };
        let stream = place.map_or(STANDING, |(stream, _)| stream);
        let owed = stream != STANDING;
        let (sink, mailbox) = mailbox((), None);
        if let Some((stream, number)) = place {
            for event in state.kept.after(stream, number) {
                sink.send(Mail::Event(event.clone()));
            }
        }
        if !owed || state.streams.contains_key(&stream) {
            state.attach(stream, sink);
        }
        Ok(Answer::Events(Box::new(Standing(mailbox))))
    }

    async fn send(&self, bytes: Bytes) -> Result<(), Refusal> {
        match tokio::time::timeout(self.patience, self.link.send(bytes)).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(gone()),
            Err(_) => Err(Refusal::new(Reason::Timeout).because("the server does not read")),
        }
    }
}

/// Leaving a legacy stream is not cancelling it: the request stays open, but not for ever.
struct Left {
    id: Bytes,
    state: Arc<Shared>,
}

impl Drop for Left {
    fn drop(&mut self) {
        let mut state = self.state.lock();
        let number = state.open.iter().find(|(open, _)| *open == self.id).map(|(_, number)| *number);
        if let Some(stream) = number.and_then(|number| state.streams.get_mut(&number))
            && !stream.is_read()
        {
            stream.left_ms = Some(time::now().monotonic_ms);
        }
    }
}

/// A stream that ends when its sink is dropped, owing nothing.
struct Standing(Mailbox<()>);

impl Events for Standing {
    fn poll_event(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Event, Refusal>>> {
        std::pin::Pin::new(&mut self.0).poll_event(context)
    }
}

fn place(id: &str) -> Option<(u64, u64)> {
    let (stream, number) = id.split_once('-')?;
    Some((stream.parse().ok()?, number.parse().ok()?))
}

/// A line that may pass.
fn judged(line: Bytes) -> Result<Envelope, Refusal> {
    let expected = Expected { id: None, resumed: true, revision: Revision::V2025_11_25 };
    let envelope = judge::read(line)?;
    match judge::in_stream(&envelope, &expected)? {
        Verdict::Pass | Verdict::Last => Ok(envelope),
        Verdict::Drop(why) => Err(invalid(why)),
    }
}

/// Hears the child of one session.
pub(super) struct ChildListener {
    state: Arc<Shared>,
}

impl Listener for ChildListener {
    fn line(&mut self, line: Bytes) {
        // Read before the lock is taken: callers wait for it.
        if let Err(refusal) = judged(line).and_then(|envelope| self.state.lock().line(&envelope)) {
            tracing::warn!(cause = refusal.cause_for_log(), "dropped a line of the server");
        }
    }

    fn ended(&mut self) {
        let mut state = self.state.lock();
        state.ended = true;
        for (_, stream) in std::mem::take(&mut state.streams) {
            if let Some(sink) = stream.sink {
                sink.send(Mail::Failed(gone()));
            }
        }
        state.open.clear();
    }
}
