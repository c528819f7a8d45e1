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
use palisade_guard::message::{Message, Revision, Shape, read_answer};
use palisade_guard::refusal::{Reason, Refusal};

use super::super::judge::{self, Verdict};
use super::super::{Answer, Events, Expected, invalid};
use super::link::{Link, Listener};
use super::mailbox::{Mail, Mailbox, Sink, gone, mailbox};
use crate::time;
use crate::transport::sse::Event;

/// Open requests of one session.
const OPEN_REQUESTS: usize = 256;
/// Messages that wait for a stream, and events kept for resumption.
const KEPT_EVENTS: usize = 256;
/// Bytes of both.
const KEPT_BYTES: usize = 4 << 20;
/// Requests of the server that wait for the client's response.
const ASKED: usize = 256;
/// The stream of GET.
const STANDING: u64 = 0;

/// One session.
pub(super) struct LegacySession {
    link: Link,
    state: Arc<Shared>,
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
    kept: VecDeque<(u64, u64, Event)>,
    kept_bytes: usize,
    backlog: VecDeque<Bytes>,
    ended: bool,
    used_ms: u64,
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
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LegacySession {
    /// Starts a session; `start` starts its child with the listener it is given.
    pub(super) fn start(start: impl FnOnce(ChildListener) -> std::io::Result<Link>) -> std::io::Result<Self> {
        let state = State { next_stream: STANDING + 1, used_ms: time::now().monotonic_ms, ..State::default() };
        let state = Arc::new(Shared(Mutex::new(state)));
        let link = start(ChildListener { state: Arc::clone(&state) })?;
        Ok(Self { link, state })
    }

    /// Whether its child has gone.
    pub(super) fn has_ended(&self) -> bool {
        self.state.lock().ended || self.link.is_closed()
    }

    /// Milliseconds of the monotonic clock since when nobody used it; `None` while somebody does.
    pub(super) fn idle_since(&self) -> Option<u64> {
        let state = self.state.lock();
        let standing = state.streams.get(&STANDING).is_some_and(|stream| stream.sink.is_some());
        (state.open.is_empty() && !standing).then_some(state.used_ms)
    }

    /// Sends a request and waits for its answer's beginning.
    pub(super) async fn request(&self, message: &Message, patience: Duration) -> Result<Answer, Refusal> {
        let id = message.id().unwrap_or_default();
        let token = message.progress_token().map(|span| message.bytes().slice(span));
        let (sink, mailbox) = mailbox(Unguarded, Some(patience));
        self.state.lock().open_request(id, token, sink)?;
        self.send(message.bytes().clone()).await?;
        mailbox.answer().await
    }

    /// Sends a notification.
    pub(super) async fn notify(&self, message: &Message) -> Result<Answer, Refusal> {
        self.state.lock().used_ms = time::now().monotonic_ms;
        self.send(message.bytes().clone()).await?;
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
        let (sink, mailbox) = mailbox(Unguarded, None);
        if let Some((stream, number)) = place {
            state.replay(stream, number, &sink);
        }
        if !owed || state.streams.contains_key(&stream) {
            state.attach(stream, sink);
        }
        Ok(Answer::Events(Box::new(Standing(mailbox))))
    }

    async fn send(&self, bytes: Bytes) -> Result<(), Refusal> {
        if self.link.send(bytes).await { Ok(()) } else { Err(gone()) }
    }
}

/// Leaving a legacy stream is not cancelling it: nothing is to be done.
struct Unguarded;

/// A stream that ends when its sink is dropped, owing nothing.
struct Standing(Mailbox<Unguarded>);

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
        self.streams.insert(number, Stream { sink: Some(sink), events: 0 });
        self.open.push_back((id, number));
        if let Some(token) = token {
            self.progress.insert(token, number);
        }
        Ok(())
    }

    fn close_request(&mut self, id: &[u8]) -> Option<u64> {
        let at = self.open.iter().position(|(open, _)| *open == id)?;
        let (_, number) = self.open.remove(at)?;
        self.progress.retain(|_, stream| *stream != number);
        Some(number)
    }

    /// One line of the server.
    fn line(&mut self, bytes: Bytes) -> Result<(), Refusal> {
        let expected = Expected { id: None, resumed: true, revision: Revision::V2025_11_25 };
        if let Verdict::Drop(why) = judge::stream_message(&bytes, &expected)? {
            return Err(invalid(why));
        }
        let envelope = read_answer(judge::BOUNDS, bytes.clone())?;
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
        let has_sink = |number: &u64| self.streams.get(number).is_some_and(|stream| stream.sink.is_some());
        let newest = self.open.iter().rev().map(|(_, number)| *number).find(has_sink);
        match newest.or_else(|| has_sink(&STANDING).then_some(STANDING)) {
            Some(number) => self.deliver(number, bytes, Place::Between),
            None if self.backlog.len() < KEPT_EVENTS => self.backlog.push_back(bytes),
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
            self.keep(number, events, event);
        }
    }

    fn keep(&mut self, stream: u64, number: u64, event: Event) {
        self.kept_bytes += event.data.len();
        self.kept.push_back((stream, number, event));
        while self.kept.len() > KEPT_EVENTS || self.kept_bytes > KEPT_BYTES {
            let Some((_, _, event)) = self.kept.pop_front() else { return };
            self.kept_bytes -= event.data.len();
        }
    }

    fn replay(&self, stream: u64, after: u64, sink: &Sink) {
        for (_, _, event) in self.kept.iter().filter(|(of, number, _)| *of == stream && *number > after) {
            sink.send(Mail::Event(event.clone()));
        }
    }

    fn attach(&mut self, number: u64, sink: Sink) {
        self.streams.entry(number).or_default().sink = Some(sink);
        if number == STANDING {
            for bytes in std::mem::take(&mut self.backlog) {
                self.deliver(STANDING, bytes, Place::Between);
            }
        }
    }
}

/// Hears the child of one session.
pub(super) struct ChildListener {
    state: Arc<Shared>,
}

impl Listener for ChildListener {
    fn line(&mut self, line: Bytes) {
        if let Err(refusal) = self.state.lock().line(line) {
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
