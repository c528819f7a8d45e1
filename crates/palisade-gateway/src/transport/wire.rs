//! What one client's connection tells while hyper speaks on it: hyper gives no look at what it holds and waits for.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::body::Body;

/// Facts of one connection, shared by what reads and writes on it and by what serves it.
#[derive(Default)]
pub(crate) struct Wire {
    /// Nothing has come since the last answer.
    silent: AtomicBool,
    /// hyper waits for a head: what it writes now is no answer of ours.
    awaits_head: AtomicBool,
    /// The client took less than it was given: the rest is still with whoever writes.
    stalled: AtomicBool,
    /// The body of a stream that goes on without hyper.
    leaving: Mutex<Option<Body>>,
}

impl Wire {
    /// hyper waits for the next head; a connection that is kept may be silent.
    pub(crate) fn awaits_head(&self, is_kept: bool) {
        self.silent.store(is_kept, Ordering::Relaxed);
        self.awaits_head.store(true, Ordering::Relaxed);
    }

    /// Bytes came.
    pub(crate) fn has_read(&self) {
        self.silent.store(false, Ordering::Relaxed);
    }

    /// Whether the connection is kept, and nothing came on it since the last answer.
    pub(crate) fn is_silent(&self) -> bool {
        self.silent.load(Ordering::Relaxed)
    }

    /// A request has arrived, and will be answered.
    pub(crate) fn owes_answer(&self) {
        self.awaits_head.store(false, Ordering::Relaxed);
    }

    /// Whether hyper answers by itself, if it writes something now.
    pub(crate) fn is_refusing(&self) -> bool {
        self.awaits_head.load(Ordering::Relaxed) && !self.stalled.load(Ordering::Relaxed)
    }

    /// Notes whether bytes that were written are still here.
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
