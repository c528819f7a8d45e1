//! What goes on in a connection of HTTP/2: whether anything does, and who does not take what was asked for.
//!
//! A client says by windows how much it takes of each stream. One that asks for large answers and opens no window
//! holds them all, while it answers every ping. So an answer is handed over in pieces, and a piece that lies for too long ends
//! the connection.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::Instant;

use super::body::Body;

/// Bytes handed over at once.
const PIECE: usize = 16 * 1024;

/// The requests of one connection.
pub(super) struct Traffic(Mutex<State>);

struct State {
    next: u64,
    /// Requests that are not answered in full.
    open: usize,
    /// When the last one began or ended.
    last: Instant,
    /// Since when a piece of which answer lies there. No more than streams.
    lying: BTreeMap<u64, Instant>,
}

/// One request, from its head to the end of its answer.
pub(super) struct Exchange {
    number: u64,
    traffic: Arc<Traffic>,
}

impl Traffic {
    /// None yet.
    pub(super) fn new() -> Arc<Self> {
        let state = State { next: 0, open: 0, last: Instant::now(), lying: BTreeMap::new() };
        Arc::new(Self(Mutex::new(state)))
    }

    /// A request came.
    pub(super) fn begin(self: &Arc<Self>) -> Exchange {
        let mut state = self.lock();
        state.next += 1;
        state.open += 1;
        state.last = Instant::now();
        Exchange { number: state.next, traffic: Arc::clone(self) }
    }

    /// Whether there ever was a request.
    pub(super) fn has_begun(&self) -> bool {
        self.lock().next > 0
    }

    /// How long nothing has been asked for and nothing owed.
    pub(super) fn idle(&self) -> Option<Duration> {
        let state = self.lock();
        (state.open == 0).then(|| state.last.elapsed())
    }

    /// How long a piece has been lying there.
    pub(super) fn stalled(&self) -> Option<Duration> {
        self.lock().lying.values().min().map(Instant::elapsed)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Exchange {
    fn gave(&self) {
        self.traffic.lock().lying.insert(self.number, Instant::now());
    }

    fn taken(&self) {
        self.traffic.lock().lying.remove(&self.number);
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let mut state = self.traffic.lock();
        state.lying.remove(&self.number);
        state.open = state.open.saturating_sub(1);
        state.last = Instant::now();
    }
}

/// An answer in pieces. Whoever asks for the next one has taken the one before.
pub(super) struct Pieces {
    body: Body,
    rest: Bytes,
    exchange: Exchange,
}

impl Pieces {
    /// An answer of this exchange, which lies there from now on.
    pub(super) fn new(body: Body, exchange: Exchange) -> Self {
        exchange.gave();
        Self { body, rest: Bytes::new(), exchange }
    }
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        this.exchange.taken();
        if this.rest.is_empty() {
            match ready!(Pin::new(&mut this.body).poll_frame(context)) {
                None => return Poll::Ready(None),
                Some(Ok(frame)) => this.rest = frame.into_data().unwrap_or_default(),
            }
        }
        let piece = this.rest.split_to(this.rest.len().min(PIECE));
        this.exchange.gave();
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        // Asked before the first piece, for the length in the head.
        self.body.size_hint()
    }
}
