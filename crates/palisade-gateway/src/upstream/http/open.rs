//! Streams of legacy sessions that owe an answer, so that one whose request was taken back ends.
//!
//! A server owes no answer to a request that its client cancelled (2025-11-25, cancellation), and some keep the stream
//! open all the same, with a sign of life every few seconds: for ever, if nobody ends it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use palisade_guard::message::Message;
use palisade_guard::refusal::Refusal;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::super::{Answer, Answered, Events};
use crate::session::{Resumed, Session};
use crate::transport::sse::Event;

/// The open streams of one upstream, at most one for each connection of a client and message of a batch.
#[derive(Clone, Default)]
pub(super) struct OpenStreams(Arc<Mutex<Table>>);

type Table = HashMap<Key, CancellationToken>;
/// The upstream's session, and the id of the request.
type Key = (Box<str>, Bytes);

impl OpenStreams {
    /// What was answered to `message`: a stream is noted until it ends, and a cancellation ends the one that it names.
    pub(super) fn follow(&self, message: &Message, session: Option<&Resumed>, mut answered: Answered) -> Answered {
        let Some(Resumed { session: Session::Http(session), revision }) = session else { return answered };
        if revision.is_modern() {
            return answered;
        }
        if message.is("notifications/cancelled") {
            if let Some((span, _)) = message.param(&["requestId"]) {
                self.end(&(session.clone(), message.bytes().slice(span)));
            }
            return answered;
        }
        if let (Answer::Events(_), Some(id)) = (&answered.answer, message.id()) {
            answered.answer = self.noted((session.clone(), id), answered.answer);
        }
        answered
    }

    fn noted(&self, key: Key, answer: Answer) -> Answer {
        let Answer::Events(events) = answer else { return answer };
        let taken_back = match self.lock().entry(key.clone()) {
            Entry::Vacant(place) => place.insert(CancellationToken::new()).clone(),
            // Two requests with one id: the client cannot mean one of them.
            Entry::Occupied(_) => return Answer::Events(events),
        };
        let taken_back = Box::pin(taken_back.cancelled_owned());
        Answer::Events(Box::new(Noted { events: Box::into_pin(events), taken_back, key, open: self.clone() }))
    }

    fn end(&self, key: &Key) {
        if let Some(token) = self.lock().get(key) {
            token.cancel();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stream that ends when its request is taken back.
struct Noted {
    events: Pin<Box<dyn Events>>,
    taken_back: Pin<Box<WaitForCancellationFutureOwned>>,
    key: Key,
    open: OpenStreams,
}

impl Events for Noted {
    fn poll_event(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Event, Refusal>>> {
        match self.events.as_mut().poll_event(context) {
            Poll::Pending => self.taken_back.as_mut().poll(context).map(|()| None),
            event @ Poll::Ready(_) => event,
        }
    }
}

impl Drop for Noted {
    fn drop(&mut self) {
        self.open.lock().remove(&self.key);
    }
}
