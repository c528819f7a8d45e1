//! The event stream of an HTTP upstream, judged event by event.
//!
//! 1. Only a whole event or a whole comment is a sign of life: bytes that drip are silence.
//! 2. What does not pass is noise: comments, what is no message, messages that must not pass. A stream that holds more
//!    of it between two messages than two messages may hold ends.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use palisade_guard::refusal::{Reason, Refusal};
use tokio::time::{Instant, Sleep};

use super::super::judge::{self, Verdict};
use super::super::{Events, Expected, invalid, unavailable};
use super::standing::Standing;
use crate::transport::sse::{Event, Reader};

/// The events of one response body.
pub(crate) struct HttpEvents {
    /// `None` once it is no longer of interest.
    body: Option<Standing>,
    reader: Reader,
    expected: Expected,
    ended: bool,
    /// An event with an id came: the client may come back for the rest.
    resumable: bool,
    /// Bytes since the last event that passed.
    noise: usize,
    noise_limit: usize,
    /// Something did not pass: told once, or the upstream could fill the log.
    told: bool,
    /// The reader's signs of life when patience began anew.
    signs: u64,
    /// How long the upstream may be silent while it owes an answer.
    patience: Option<(Duration, Pin<Box<Sleep>>)>,
}

impl HttpEvents {
    /// The events of `body`; one event holds at most `limit` bytes.
    pub(super) fn new(body: Standing, mut expected: Expected, limit: usize, patience: Duration) -> Self {
        // Copied: a stream must not hold the buffer of its request.
        expected.id = expected.id.as_deref().map(Bytes::copy_from_slice);
        let patience = expected.id.is_some().then(|| (patience, Box::pin(tokio::time::sleep(patience))));
        Self {
            body: Some(body),
            reader: Reader::new(limit),
            expected,
            ended: false,
            resumable: false,
            noise: 0,
            noise_limit: limit.saturating_mul(2),
            told: false,
            signs: 0,
            patience,
        }
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
            return self.dropped("an event that is no message");
        }
        match judge::stream_message(&event.data, &self.expected) {
            Ok(Verdict::Pass) => Some(Ok(event)),
            Ok(Verdict::Last) => {
                self.ended = true;
                if let Some(body) = self.body.take() {
                    body.retire();
                }
                Some(Ok(event))
            }
            Ok(Verdict::Drop(why)) => self.dropped(why),
            Err(refusal) => {
                self.ended = true;
                Some(Err(refusal))
            }
        }
    }

    fn dropped<T>(&mut self, why: &'static str) -> Option<T> {
        if !std::mem::replace(&mut self.told, true) {
            tracing::warn!(why, "dropped what the upstream said; more of it in this stream is not told");
        }
        None
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
        self.noise += bytes.len();
        self.reader.feed(bytes);
    }

    /// Nothing more can be read from what came.
    fn read_all(&mut self) -> Result<(), Refusal> {
        if self.noise > self.noise_limit {
            return Err(invalid("twice limits.answer without a message that may pass"));
        }
        if let Some((patience, sleep)) = &mut self.patience
            && self.signs != self.reader.signs()
        {
            self.signs = self.reader.signs();
            sleep.as_mut().reset(Instant::now() + *patience);
        }
        Ok(())
    }

    fn broken(&mut self, refusal: Refusal) -> Poll<Option<Result<Event, Refusal>>> {
        self.ended = true;
        Poll::Ready(Some(Err(refusal)))
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
                        this.noise = 0;
                        return Poll::Ready(Some(judged));
                    }
                    continue;
                }
                Ok(None) => {}
                Err(_) => return this.broken(invalid("an event beyond limits.answer")),
            }
            if let Err(refusal) = this.read_all() {
                return this.broken(refusal);
            }
            let Some(body) = &mut this.body else { return Poll::Ready(None) };
            match body.poll_data(context) {
                Poll::Ready(Some(Ok(bytes))) => this.take(&bytes),
                Poll::Ready(Some(Err(error))) => return this.closed(Some(unavailable(error))),
                Poll::Ready(None) => return this.closed(None),
                Poll::Pending if this.out_of_patience(context) => {
                    let refusal = Refusal::new(Reason::Timeout).because("the upstream's stream fell silent");
                    return this.broken(refusal);
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}
