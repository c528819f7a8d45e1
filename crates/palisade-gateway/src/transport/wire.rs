//! What one client's connection tells while hyper speaks on it: hyper gives no look at the bytes it holds.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::body::Body;

/// Facts of one connection, shared by what reads and writes on it and by what serves it.
#[derive(Default)]
pub(crate) struct Wire {
    /// The client took less than it was given: the rest is still with whoever writes.
    stalled: AtomicBool,
    /// The body of a stream that goes on without hyper.
    leaving: Mutex<Option<Body>>,
}

impl Wire {
    /// Notes whether the client takes what is written.
    pub(crate) fn set_stalled(&self, stalled: bool) {
        self.stalled.store(stalled, Ordering::Relaxed);
    }

    /// Puts down the body of a stream whose head hyper is about to write.
    pub(crate) fn leave_with(&self, body: Body) {
        *self.leaving.lock().unwrap_or_else(PoisonError::into_inner) = Some(body);
    }

    /// The body that was put down, once every byte before it has gone.
    pub(crate) fn left(&self) -> Option<Body> {
        if self.stalled.load(Ordering::Relaxed) {
            return None;
        }
        self.leaving.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
