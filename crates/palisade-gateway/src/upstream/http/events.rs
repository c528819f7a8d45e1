//! The event stream of an HTTP upstream, judged event by event.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::Body;
use hyper::body::Incoming;
use palisade_guard::refusal::{Reason, Refusal};
use tokio::time::{Instant, Sleep};

use super::super::judge::{self, Verdict};
use super::super::{Events, Expected, invalid, unavailable};
use crate::transport::sse::{Event, Reader};

/// The events of one response body.
pub(crate) struct HttpEvents {
    body: Incoming,
    reader: Reader,
    expected: Expected,
    ended: bool,
    /// An event with an id came: the client may come back for the rest.
    resumable: bool,
    /// How long the upstream may be silent while it owes an answer.
    patience: Option<(Duration, Pin<Box<Sleep>>)>,
}

impl HttpEvents {
    /// The events of `body`; one event holds at most `limit` bytes.
    pub(crate) fn new(body: Incoming, expected: Expected, limit: usize, patience: Duration) -> Self {
        let patience = expected.id.is_some().then(|| (patience, Box::pin(tokio::time::sleep(patience))));
        Self { body, reader: Reader::new(limit), expected, ended: false, resumable: false, patience }
    }

    /// What the stream may hold.
    pub(crate) const fn expected(&self) -> &Expected {
        &self.expected
    }

    /// What the next event becomes; `None` where it must not pass.
    fn judge(&mut self, event: Event) -> Option<Result<Event, Refusal>> {
        self.resumable |= event.id.is_some();
        if event.data.is_empty() {
            return Some(Ok(event));
        }
        if !event.is_message() {
            tracing::debug!("dropped an event that is no message");
            return None;
        }
        match judge::stream_message(&event.data, &self.expected) {
            Ok(Verdict::Pass) => Some(Ok(event)),
            Ok(Verdict::Last) => {
                self.ended = true;
                Some(Ok(event))
            }
            Ok(Verdict::Drop(why)) => {
                tracing::warn!(why, "dropped a message of the upstream");
                None
            }
            Err(refusal) => {
                self.ended = true;
                Some(Err(refusal))
            }
        }
    }

    /// The upstream closed the stream. Without an answer that is an error, unless the client can resume.
    fn closed(&mut self, error: Option<Refusal>) -> Poll<Option<Result<Event, Refusal>>> {
        self.ended = true;
        let resumable = self.resumable && !self.expected.revision.is_modern();
        if self.expected.id.is_none() || resumable {
            return Poll::Ready(None);
        }
        let refusal = error.unwrap_or_else(|| unavailable("the upstream closed the stream without an answer"));
        Poll::Ready(Some(Err(refusal)))
    }

    fn out_of_patience(&mut self, context: &mut Context<'_>) -> bool {
        self.patience.as_mut().is_some_and(|(_, sleep)| sleep.as_mut().poll(context).is_ready())
    }

    fn take(&mut self, bytes: &Bytes) {
        self.reader.feed(bytes);
        if let Some((patience, sleep)) = &mut self.patience {
            sleep.as_mut().reset(Instant::now() + *patience);
        }
    }
}

impl Events for HttpEvents {
    fn poll_event(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Event, Refusal>>> {
        let this = &mut *self;
        if this.ended {
            return Poll::Ready(None);
        }
        loop {
            match this.reader.next_event() {
                Ok(Some(event)) => {
                    if let Some(judged) = this.judge(event) {
                        return Poll::Ready(Some(judged));
                    }
                    continue;
                }
                Ok(None) => {}
                Err(_) => {
                    this.ended = true;
                    return Poll::Ready(Some(Err(invalid("an event beyond limits.answer"))));
                }
            }
            match Pin::new(&mut this.body).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => {
                    if let Ok(bytes) = frame.into_data() {
                        this.take(&bytes);
                    }
                }
                Poll::Ready(Some(Err(error))) => return this.closed(Some(unavailable(error))),
                Poll::Ready(None) => return this.closed(None),
                Poll::Pending if this.out_of_patience(context) => {
                    this.ended = true;
                    let refusal = Refusal::new(Reason::Timeout).because("the upstream's stream fell silent");
                    return Poll::Ready(Some(Err(refusal)));
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}
