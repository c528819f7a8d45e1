//! Legacy sessions on stdio: one child for each, and the gateway is the Streamable HTTP server in front of it.
//!
//! A line says nothing about the stream it belongs to, so:
//! 1. a response goes to the request with its id; progress goes to the request with its token;
//! 2. anything else goes to the newest request that is still open, or else to the GET stream, or else it waits
//!    for one of them, bounded.
//!
//! Events of a stream are numbered (`stream-number`) and the last ones are kept, so that a client whose connection
//! broke can come back for the rest: leaving is not cancelling (2025-11-25, transports).

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use palisade_guard::message::{Envelope, Message, Revision, Shape};
use palisade_guard::refusal::{Reason, Refusal};

use super::super::judge::{self, Verdict};
use super::super::{Answer, Events, Expected, Response, invalid};
use super::kept::{KEPT_BYTES, KEPT_EVENTS, Kept};
use super::link::{Link, Listener};
use super::mailbox::{Mail, Mailbox, Sink, gone, mailbox};
use crate::time;
use crate::transport::sse::Event;

/// Open requests of one session.
const OPEN_REQUESTS: usize = 256;
/// Requests of the server that wait for the client's response.
const ASKED: usize = 256;
/// The stream of GET.
const STANDING: u64 = 0;

/// One session.
pub(super) struct LegacySession {
    link: Link,
    state: Arc<Shared>,
    patience: Duration,
}

struct Shared(Mutex<State>);

#[derive(Default)]
struct State {
    next_stream: u64,
    /// Streams by number: GET's and one for each open request.
    streams: HashMap<u64, Stream>,
    /// Open requests, oldest first: id and stream.
    open: VecDeque<(Bytes, u64)>,
    /// Progress tokens and their streams.
    progress: HashMap<Bytes, u64>,
    /// Requests of the server the client has not answered.
    asked: VecDeque<Bytes>,
    kept: Kept,
    backlog: VecDeque<Bytes>,
    backlog_bytes: usize,
    ended: bool,
    used_ms: u64,
}

impl Stream {
    /// Whether a client takes what is sent.
    fn is_read(&self) -> bool {
        self.sink.as_ref().is_some_and(|sink| !sink.is_closed())
    }
}

/// Where a message stands in its stream.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// Others follow.
    Between,
    /// The response, with its `error.code` if it is an error.
    Last(Option<i64>),
}

#[derive(Default)]
struct Stream {
    sink: Option<Sink>,
    events: u64,
    /// Since when its client has been gone.
    left_ms: Option<u64>,
}

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
        let state = State { next_stream: STANDING + 1, used_ms: time::now().monotonic_ms, ..State::default() };
        let state = Arc::new(Shared(Mutex::new(state)));
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

impl State {
    fn open_request(&mut self, id: Bytes, token: Option<Bytes>, sink: Sink) -> Result<(), Refusal> {
        self.used_ms = time::now().monotonic_ms;
        if self.ended {
            return Err(gone());
        }
        if self.open.iter().any(|(open, _)| *open == id) {
            return Err(Refusal::new(Reason::NotAMessage).says("id is in use by an open request").at("/id"));
        }
        if self.open.len() >= OPEN_REQUESTS {
            return Err(Refusal::new(Reason::NoCapacity).says("too many open requests in this session"));
        }
        let number = self.next_stream;
        self.next_stream += 1;
        self.streams.insert(number, Stream { sink: Some(sink), ..Stream::default() });
        self.open.push_back((id, number));
        if let Some(token) = token {
            self.progress.insert(token, number);
        }
        Ok(())
    }

    /// The client took a request back: its stream ends, and its place is free.
    fn cancel(&mut self, id: &[u8]) {
        let number = self.close_request(id);
        if let Some(sink) = number.and_then(|number| self.streams.remove(&number)?.sink) {
            sink.send(Mail::Cancelled);
        }
    }

    /// Forgets requests whose clients left so long ago that no answer is waited for.
    fn forget_abandoned(&mut self, patience: Duration) {
        let now = time::now().monotonic_ms;
        let patience = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
        let long_ago = |stream: &Stream| stream.left_ms.is_some_and(|left| now.saturating_sub(left) >= patience);
        let abandoned: Vec<_> = self
            .open
            .iter()
            .filter(|(_, number)| self.streams.get(number).is_none_or(long_ago))
            .map(|(id, _)| id.clone())
            .collect();
        for id in abandoned {
            if let Some(number) = self.close_request(&id) {
                self.streams.remove(&number);
            }
        }
    }

    fn close_request(&mut self, id: &[u8]) -> Option<u64> {
        let at = self.open.iter().position(|(open, _)| *open == id)?;
        let (_, number) = self.open.remove(at)?;
        self.progress.retain(|_, stream| *stream != number);
        Some(number)
    }

    /// One line of the server.
    fn line(&mut self, envelope: &Envelope) -> Result<(), Refusal> {
        let bytes = envelope.bytes.clone();
        match &envelope.shape {
            Shape::Response { error, .. } => {
                let id = envelope.id().unwrap_or_default();
                let number = self.close_request(&id).ok_or_else(|| invalid("a response to no open request"))?;
                self.deliver(number, bytes, Place::Last(*error));
                self.streams.remove(&number);
            }
            Shape::Request { .. } => {
                if self.asked.len() >= ASKED {
                    self.asked.pop_front();
                }
                self.asked.push_back(envelope.id().unwrap_or_default());
                self.deliver_to_newest(bytes);
            }
            Shape::Notification { .. } => {
                let token = envelope.param(&["progressToken"]).map(|(span, _)| bytes.slice(span));
                match token.and_then(|token| self.progress.get(&token).copied()) {
                    Some(number) => self.deliver(number, bytes, Place::Between),
                    None => self.deliver_to_newest(bytes),
                }
            }
        }
        Ok(())
    }

    /// The newest open request whose client is still there, else the GET stream, else the backlog.
    fn deliver_to_newest(&mut self, bytes: Bytes) {
        let has_sink = |number: &u64| self.streams.get(number).is_some_and(Stream::is_read);
        let newest = self.open.iter().rev().map(|(_, number)| *number).find(has_sink);
        match newest.or_else(|| has_sink(&STANDING).then_some(STANDING)) {
            Some(number) => self.deliver(number, bytes, Place::Between),
            None if self.backlog.len() < KEPT_EVENTS && self.backlog_bytes + bytes.len() <= KEPT_BYTES => {
                self.backlog_bytes += bytes.len();
                self.backlog.push_back(bytes);
            }
            None => tracing::warn!("dropped a message of the server: no client listens"),
        }
    }

    fn deliver(&mut self, number: u64, bytes: Bytes, place: Place) {
        let stream = self.streams.entry(number).or_default();
        stream.events += 1;
        let id = Bytes::from(format!("{number}-{}", stream.events));
        let event = Event { id: Some(id), ..Event::message(bytes) };
        let mail = match place {
            Place::Last(error) => Mail::Last { event: event.clone(), error },
            Place::Between => Mail::Event(event.clone()),
        };
        if stream.sink.as_ref().is_some_and(|sink| !sink.send(mail)) {
            stream.sink = None;
        }
        let events = stream.events;
        // A lone first response was sent as plain JSON; only what a client could ask for again is kept.
        if events > 1 || matches!(place, Place::Between) {
            self.kept.push(number, events, event);
        }
    }

    fn attach(&mut self, number: u64, sink: Sink) {
        let stream = self.streams.entry(number).or_default();
        (stream.sink, stream.left_ms) = (Some(sink), None);
        if number == STANDING {
            self.backlog_bytes = 0;
            for bytes in std::mem::take(&mut self.backlog) {
                self.deliver(STANDING, bytes, Place::Between);
            }
        }
    }
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
