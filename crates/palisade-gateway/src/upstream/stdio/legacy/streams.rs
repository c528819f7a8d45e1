//! What is open in one legacy session: its streams and their requests, the server's questions, and what waits.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use palisade_guard::message::{Envelope, Shape};
use palisade_guard::refusal::{Reason, Refusal};

use super::super::super::invalid;
use super::super::kept::{KEPT_BYTES, KEPT_EVENTS, Kept};
use super::super::mailbox::{Mail, Sink, gone};
use crate::time;
use crate::transport::sse::Event;

/// Open requests of one session.
const OPEN_REQUESTS: usize = 256;
/// Requests of the server that wait for the client's response.
const ASKED: usize = 256;
/// The stream of GET.
pub(super) const STANDING: u64 = 0;

#[derive(Default)]
pub(super) struct State {
    next_stream: u64,
    /// Streams by number: GET's and one for each open request.
    pub(super) streams: HashMap<u64, Stream>,
    /// Open requests, oldest first: id and stream.
    pub(super) open: VecDeque<(Bytes, u64)>,
    /// Progress tokens and their streams.
    progress: HashMap<Bytes, u64>,
    /// Requests of the server the client has not answered.
    pub(super) asked: VecDeque<Bytes>,
    pub(super) kept: Kept,
    backlog: VecDeque<Bytes>,
    backlog_bytes: usize,
    pub(super) ended: bool,
    pub(super) used_ms: u64,
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
pub(super) struct Stream {
    pub(super) sink: Option<Sink>,
    events: u64,
    /// Since when its client has been gone.
    pub(super) left_ms: Option<u64>,
}

impl Stream {
    /// Whether a client takes what is sent.
    pub(super) fn is_read(&self) -> bool {
        self.sink.as_ref().is_some_and(|sink| !sink.is_closed())
    }
}

impl State {
    /// A session of which nobody has asked anything yet.
    pub(super) fn new(now_ms: u64) -> Self {
        Self { next_stream: STANDING + 1, used_ms: now_ms, ..Self::default() }
    }

    pub(super) fn open_request(&mut self, id: Bytes, token: Option<Bytes>, sink: Sink) -> Result<(), Refusal> {
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
    pub(super) fn cancel(&mut self, id: &[u8]) {
        let number = self.close_request(id);
        if let Some(sink) = number.and_then(|number| self.streams.remove(&number)?.sink) {
            sink.send(Mail::Cancelled);
        }
    }

    /// Forgets requests whose clients left so long ago that no answer is waited for.
    pub(super) fn forget_abandoned(&mut self, patience: Duration) {
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
    pub(super) fn line(&mut self, envelope: &Envelope) -> Result<(), Refusal> {
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

    pub(super) fn attach(&mut self, number: u64, sink: Sink) {
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
