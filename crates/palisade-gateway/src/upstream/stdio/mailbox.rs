//! The way from a line-speaking server to one client's stream: bounded, and never a reason to wait.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use palisade_guard::refusal::{Reason, Refusal};
use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep};

use super::super::{Answer, Events, Response};
use crate::transport::sse::Event;

/// Messages that wait for a slow reader. One more and its stream is cut, for the server serves others too.
const WAITING: usize = 1024;
/// Bytes of them.
const WAITING_BYTES: usize = 16 << 20;

/// After this long without a word an answer becomes a stream, so that keep-alives can be sent.
const BECOMES_STREAM: Duration = Duration::from_secs(10);

/// One message for a client.
#[derive(Debug)]
pub(super) enum Mail {
    /// Belongs to the stream.
    Event(Event),
    /// The response: the last one.
    Last {
        /// The response as an event.
        event: Event,
        /// `error.code`, if it is an error.
        error: Option<i64>,
    },
    /// No answer will come.
    Failed(Refusal),
    /// The client took the request back: nothing more is owed.
    Cancelled,
}

impl Mail {
    fn bytes(&self) -> usize {
        match self {
            Self::Event(event) | Self::Last { event, .. } => event.data.len(),
            Self::Failed(_) | Self::Cancelled => 0,
        }
    }
}

/// Where the server's messages for one stream go.
#[derive(Debug, Clone)]
pub(super) struct Sink {
    /// Boxed: a channel sets aside room for 32 at once, and most streams never hold one.
    mail: mpsc::Sender<Box<Mail>>,
    queued: Arc<AtomicUsize>,
}

/// Where a client's stream takes them from.
pub(super) struct Mailbox<G> {
    mail: mpsc::Receiver<Box<Mail>>,
    queued: Arc<AtomicUsize>,
    first: Option<Event>,
    ended: bool,
    patience: Option<(Duration, Pin<Box<Sleep>>)>,
    /// Does what must be done when nobody wants the answer any more.
    _guard: G,
}

impl Sink {
    /// Hands a message over; false when the client has gone or reads too slowly.
    pub(super) fn send(&self, mail: Mail) -> bool {
        let bytes = mail.bytes();
        let queued = self.queued.fetch_add(bytes, Relaxed);
        // One message of any size may wait; beyond that a client that does not read must not fill our memory.
        let fits = queued == 0 || queued + bytes <= WAITING_BYTES;
        let sent = fits && self.mail.try_send(Box::new(mail)).is_ok();
        if !sent {
            self.queued.fetch_sub(bytes, Relaxed);
        }
        sent
    }

    /// Whether nobody reads any more.
    pub(super) fn is_closed(&self) -> bool {
        self.mail.is_closed()
    }
}

/// A mailbox and its sink. `patience` is how long the server may be silent while it owes an answer.
pub(super) fn mailbox<G>(guard: G, patience: Option<Duration>) -> (Sink, Mailbox<G>) {
    let (sender, mail) = mpsc::channel(WAITING);
    let patience = patience.map(|patience| (patience, Box::pin(tokio::time::sleep(patience))));
    let queued = Arc::new(AtomicUsize::new(0));
    let sink = Sink { mail: sender, queued: Arc::clone(&queued) };
    (sink, Mailbox { mail, queued, first: None, ended: false, patience, _guard: guard })
}

impl<G: Send + Unpin + 'static> Mailbox<G> {
    /// The answer: the response alone if it comes first and soon, a stream otherwise.
    pub(super) async fn answer(mut self) -> Result<Answer, Refusal> {
        let first = std::future::poll_fn(|context| self.poll_mail(context));
        match tokio::time::timeout(BECOMES_STREAM, first).await {
            Ok(Some(Ok(Mail::Last { event, error }))) => {
                Ok(Answer::Message(Response { bytes: event.data, error, status: None }))
            }
            Ok(Some(Ok(Mail::Event(event)))) => {
                self.first = Some(event);
                Ok(Answer::Events(Box::new(self)))
            }
            Ok(Some(Ok(Mail::Failed(refusal)) | Err(refusal))) => Err(refusal),
            Ok(Some(Ok(Mail::Cancelled))) => {
                self.ended = true;
                Ok(Answer::Events(Box::new(self)))
            }
            Ok(None) => Err(gone()),
            Err(_) => Ok(Answer::Events(Box::new(self))),
        }
    }

    /// The response alone, however long it takes within the patience: for handshakes, where nothing before it counts.
    pub(super) async fn response(mut self) -> Result<Response, Refusal> {
        loop {
            match std::future::poll_fn(|context| self.poll_mail(context)).await {
                Some(Ok(Mail::Last { event, error })) => {
                    return Ok(Response { bytes: event.data, error, status: None });
                }
                Some(Ok(Mail::Event(_))) => {}
                Some(Ok(Mail::Failed(refusal)) | Err(refusal)) => return Err(refusal),
                Some(Ok(Mail::Cancelled)) | None => return Err(gone()),
            }
        }
    }

    fn poll_mail(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Mail, Refusal>>> {
        match self.mail.poll_recv(context) {
            Poll::Ready(mail) => {
                let bytes = mail.as_ref().map_or(0, |mail| mail.bytes());
                self.queued.fetch_sub(bytes, Relaxed);
                if let Some((patience, sleep)) = &mut self.patience {
                    sleep.as_mut().reset(Instant::now() + *patience);
                }
                Poll::Ready(mail.map(|mail| Ok(*mail)))
            }
            Poll::Pending => {
                let Some((_, sleep)) = &mut self.patience else { return Poll::Pending };
                sleep
                    .as_mut()
                    .poll(context)
                    .map(|()| Some(Err(Refusal::new(Reason::Timeout).because("the server is silent"))))
            }
        }
    }
}

impl<G: Send + Unpin + 'static> Events for Mailbox<G> {
    fn poll_event(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Event, Refusal>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        if let Some(event) = self.first.take() {
            return Poll::Ready(Some(Ok(event)));
        }
        let Poll::Ready(mail) = self.poll_mail(context) else { return Poll::Pending };
        Poll::Ready(match mail {
            Some(Ok(Mail::Event(event))) => Some(Ok(event)),
            Some(Ok(Mail::Last { event, .. })) => {
                self.ended = true;
                Some(Ok(event))
            }
            Some(Ok(Mail::Failed(refusal)) | Err(refusal)) => {
                self.ended = true;
                Some(Err(refusal))
            }
            Some(Ok(Mail::Cancelled)) => {
                self.ended = true;
                None
            }
            None => {
                self.ended = true;
                // A stream that owes an answer does not just end.
                self.patience.is_some().then(|| Err(gone()))
            }
        })
    }
}

/// The refusal for a server that ended while it owed an answer.
pub(super) fn gone() -> Refusal {
    super::super::unavailable("the server ended, or the client read too slowly")
}
