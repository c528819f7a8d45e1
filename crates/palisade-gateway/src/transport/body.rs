//! The body of an answer. What must outlive the call's function rides inside it and ends with it, also when the
//! client leaves: the record closes when the last byte was handed over, or when nobody takes any more.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};
use palisade_guard::refusal::{Reason, Refusal};
use tokio::time::{Instant, Sleep};

use super::sse::{Event, KEEP_ALIVE};
use crate::record::OpenRecord;
use crate::upstream::Events;

/// An answer's body.
pub(crate) struct Body {
    content: Content,
    /// Closes when the body is dropped.
    record: Option<Box<OpenRecord>>,
}

enum Content {
    Whole(Option<Bytes>),
    Events(Box<Stream>),
    /// Sent by somebody else; only the head is ours.
    Elsewhere,
}

/// A stream of events on its way to a client.
pub(crate) struct Stream {
    events: Pin<Box<dyn Events>>,
    ending: Ending,
    tick: Pin<Box<Sleep>>,
    clocks: Clocks,
    opened: Instant,
    /// When the last event passed.
    heard: Instant,
    ended: bool,
}

/// How long a stream may last.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clocks {
    /// Between two signs of life.
    pub(crate) keep_alive: Duration,
    /// From its beginning, whatever happens on it: an upstream that is always about to answer must come to an end.
    pub(crate) lifetime: Duration,
    /// Without an event, where none is owed.
    pub(crate) idle: Duration,
}

/// What ends a stream before its own end, and what it says then.
pub(crate) struct Ending {
    /// Done when it must end.
    pub(crate) due: Pin<Box<dyn Future<Output = Refusal> + Send>>,
    /// Whether it has no end of its own, and owes no answer.
    pub(crate) standing: bool,
    /// The last message of a standing stream, where the protocol has one.
    pub(crate) farewell: Option<Bytes>,
    /// Makes the JSON-RPC error that ends a stream which broke, or which must end and owes an answer.
    pub(crate) error: Box<dyn Fn(&Refusal) -> Bytes + Send>,
}

impl Body {
    /// A body that is all here.
    pub(crate) const fn whole(bytes: Bytes, record: Box<OpenRecord>) -> Self {
        Self { content: Content::Whole(Some(bytes)), record: Some(record) }
    }

    /// A stream of events.
    pub(crate) fn events(stream: Stream, record: Box<OpenRecord>) -> Self {
        Self { content: Content::Events(Box::new(stream)), record: Some(record) }
    }

    /// What stands in the place of a body that is sent elsewhere.
    pub(crate) const fn elsewhere() -> Self {
        Self { content: Content::Elsewhere, record: None }
    }

    /// Whether it is a stream without an end of its own.
    pub(crate) const fn is_standing(&self) -> bool {
        matches!(&self.content, Content::Events(stream) if stream.is_standing())
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        let polled = match &mut this.content {
            Content::Whole(bytes) => Poll::Ready(bytes.take().filter(|bytes| !bytes.is_empty())),
            Content::Events(stream) => stream.poll(context, this.record.as_deref_mut()),
            Content::Elsewhere => Poll::Pending,
        };
        if let (Poll::Ready(sent), Some(record)) = (&polled, &mut this.record) {
            match sent {
                Some(bytes) => record.sent(bytes.len()),
                None => record.complete(),
            }
        }
        polled.map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Whole(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
            Content::Events(stream) => stream.ended,
            Content::Elsewhere => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| u64::try_from(bytes.len()).unwrap_or(u64::MAX)))
            }
            Content::Events(_) | Content::Elsewhere => SizeHint::default(),
        }
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        // A whole body is complete once it was taken: hyper asks no more when it has all the bytes it announced.
        if let (Content::Whole(bytes), Some(record)) = (&self.content, &mut self.record)
            && bytes.as_ref().is_none_or(Bytes::is_empty)
        {
            record.complete();
        }
    }
}

impl Stream {
    /// A stream of `events`.
    pub(crate) fn new(events: Box<dyn Events>, ending: Ending, clocks: Clocks) -> Self {
        let opened = Instant::now();
        let tick = Box::pin(tokio::time::sleep_until(opened));
        let mut stream =
            Self { events: Box::into_pin(events), ending, tick, clocks, opened, heard: opened, ended: false };
        stream.wind(opened);
        stream
    }

    /// Whether it has no end of its own.
    const fn is_standing(&self) -> bool {
        self.ending.standing
    }

    /// When it ends, if nothing comes.
    fn end(&self) -> Instant {
        let end = self.opened + self.clocks.lifetime;
        if self.is_standing() { end.min(self.heard + self.clocks.idle) } else { end }
    }

    /// Sets the clock for the next sign of life, or for the end.
    fn wind(&mut self, now: Instant) {
        let next = self.end().min(now + self.clocks.keep_alive);
        self.tick.as_mut().reset(next);
    }

    /// The next bytes; `None` at the end.
    fn poll(&mut self, context: &mut Context<'_>, record: Option<&mut OpenRecord>) -> Poll<Option<Bytes>> {
        if self.ended {
            return Poll::Ready(None);
        }
        if let Poll::Ready(refusal) = self.ending.due.as_mut().poll(context) {
            return Poll::Ready(self.must_end(&refusal, record));
        }
        let now = Instant::now();
        if now >= self.end() {
            return self.out_of_time(record);
        }
        match self.events.as_mut().poll_event(context) {
            Poll::Ready(Some(Ok(event))) => {
                if let Some(record) = record {
                    record.event();
                }
                self.heard = now;
                self.wind(now);
                Poll::Ready(Some(written(&event)))
            }
            Poll::Ready(Some(Err(refusal))) => Poll::Ready(Some(self.broken(&refusal, record))),
            Poll::Ready(None) => {
                self.ended = true;
                Poll::Ready(None)
            }
            Poll::Pending => match self.tick.as_mut().poll(context) {
                Poll::Ready(()) => {
                    self.wind(now);
                    // Registers the timer anew, or nothing would wake this stream for the next keep-alive.
                    let _registered = self.tick.as_mut().poll(context);
                    Poll::Ready(Some(Bytes::from_static(KEEP_ALIVE)))
                }
                Poll::Pending => Poll::Pending,
            },
        }
    }

    /// A stream that owes an answer ends with an error; any other just ends, and its client opens the next.
    fn out_of_time(&mut self, record: Option<&mut OpenRecord>) -> Poll<Option<Bytes>> {
        if self.is_standing() {
            return Poll::Ready(self.leave());
        }
        Poll::Ready(Some(self.broken(&Refusal::new(Reason::Timeout).because("timeouts.stream is over"), record)))
    }

    fn broken(&mut self, refusal: &Refusal, record: Option<&mut OpenRecord>) -> Bytes {
        self.ended = true;
        if let Some(record) = record {
            record.broke(refusal);
        }
        written(&Event::message((self.ending.error)(refusal)))
    }

    /// Ends because it must, not because it broke.
    fn must_end(&mut self, refusal: &Refusal, record: Option<&mut OpenRecord>) -> Option<Bytes> {
        if self.is_standing() {
            return self.leave();
        }
        self.ended = true;
        if let Some(record) = record {
            record.cut(refusal);
        }
        Some(written(&Event::message((self.ending.error)(refusal))))
    }

    /// The last word of a standing stream, if the protocol has one.
    fn leave(&mut self) -> Option<Bytes> {
        self.ended = true;
        self.ending.farewell.take().map(|farewell| written(&Event::message(farewell)))
    }
}

fn written(event: &Event) -> Bytes {
    let mut out = BytesMut::with_capacity(event.data.len() + 64);
    event.write(&mut out);
    out.freeze()
}
