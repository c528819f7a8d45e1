//! What the store must still hear, and who has not heard of what is in the store.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use palisade_guard::idempotency::End;

/// Ends that are remembered at most; of more the claims stay under way for as long as this gateway lives.
const MOST: usize = 100_000;
/// Bytes of answers among them; beyond these it is remembered only that there was one.
const BYTES: usize = 64 << 20;

/// Ends that could not be written down yet.
#[derive(Default)]
pub(super) struct Owed {
    ends: BTreeMap<[u8; 32], End>,
    bytes: usize,
}

impl Owed {
    pub(super) fn add(&mut self, claim: [u8; 32], end: End) {
        self.paid(&claim);
        if self.ends.len() >= MOST {
            tracing::error!("too many outcomes cannot be written down: a claim stays under way");
            return;
        }
        let end = if self.bytes + weight(&end) > BYTES { End::Unkept } else { end };
        self.bytes += weight(&end);
        self.ends.insert(claim, end);
    }

    /// It is written down.
    pub(super) fn paid(&mut self, claim: &[u8; 32]) {
        if let Some(end) = self.ends.remove(claim) {
            self.bytes -= weight(&end);
        }
    }

    pub(super) fn get(&self, claim: &[u8; 32]) -> Option<&End> {
        self.ends.get(claim)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Some of them.
    pub(super) fn some(&self, most: usize) -> impl Iterator<Item = [u8; 32]> {
        self.ends.keys().take(most).copied()
    }
}

fn weight(end: &End) -> usize {
    if let End::Answered(recorded) = end { recorded.bytes.len() } else { 0 }
}

/// Claims whose callers were gone before they heard of them.
#[derive(Default, Clone)]
pub(super) struct Unheard(Arc<Mutex<Vec<[u8; 32]>>>);

/// Goes with the news of a claim. Dropped on the way, it says that nobody heard.
pub(super) struct Heard {
    claim: Option<[u8; 32]>,
    unheard: Unheard,
}

impl Unheard {
    pub(super) fn unless_heard(&self, claim: [u8; 32]) -> Heard {
        Heard { claim: Some(claim), unheard: self.clone() }
    }

    /// All of them, and they are none any more.
    pub(super) fn take(&self) -> Vec<[u8; 32]> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Heard {
    /// Whoever asked has the news.
    pub(super) fn so(mut self) {
        self.claim = None;
    }
}

impl Drop for Heard {
    fn drop(&mut self) {
        if let Some(claim) = self.claim {
            self.unheard.0.lock().unwrap_or_else(PoisonError::into_inner).push(claim);
        }
    }
}
