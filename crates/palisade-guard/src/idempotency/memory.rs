//! Claims in memory: for one process, and until it ends.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Answer, CLAIMS_OF_ONE, Claims, Deed, Down, End, Found, KEPT, found};

/// Claims in memory.
pub struct Memory {
    capacity: usize,
    bytes: usize,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    claims: HashMap<[u8; 32], Claim>,
    /// The same in the order in which they came, with the time when each may be forgotten.
    order: VecDeque<(u64, [u8; 32])>,
    of_caller: HashMap<Arc<str>, usize>,
    /// Bytes of all answers.
    bytes: usize,
}

struct Claim {
    deed: Deed,
    until_ms: u64,
    end: Option<End>,
}

impl Memory {
    /// An empty store for so many claims, and so many bytes of answers.
    pub fn new(capacity: usize, bytes: usize) -> Self {
        Self { capacity, bytes, kept: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, deed: Deed, now_ms: u64) -> Result<Found, Down> {
        let mut kept = self.lock();
        kept.forget(now_ms);
        if let Some(claim) = kept.claims.get(&deed.claim) {
            return Ok(found(&deed.content, &claim.deed.content, claim.end.clone()));
        }
        if kept.claims.len() >= self.capacity {
            return Err(Down::Store("there is no room for another idempotency key"));
        }
        let of_caller = kept.of_caller.entry(Arc::clone(&deed.caller)).or_default();
        if *of_caller >= CLAIMS_OF_ONE {
            return Err(Down::Crowded);
        }
        *of_caller += 1;
        let until_ms = now_ms.saturating_add(u64::try_from(KEPT.as_millis()).unwrap_or(u64::MAX));
        kept.order.push_back((until_ms, deed.claim));
        kept.claims.insert(deed.claim, Claim { deed, until_ms, end: None });
        Ok(Found::Nothing)
    }

    fn end(&self, claim: &[u8; 32], end: End) {
        let mut kept = self.lock();
        if end == End::Undone {
            kept.remove(claim);
            return;
        }
        let room = self.bytes.saturating_sub(kept.bytes);
        let end = match end {
            End::Answered(recorded) if recorded.bytes.len() > room => End::Unkept,
            end => end,
        };
        let size = size(&end);
        if let Some(claim) = kept.claims.get_mut(claim) {
            claim.end = Some(end);
            kept.bytes += size;
        }
    }
}

fn size(end: &End) -> usize {
    if let End::Answered(recorded) = end { recorded.bytes.len() } else { 0 }
}

impl Kept {
    fn forget(&mut self, now_ms: u64) {
        while let Some((until_ms, claim)) = self.order.front().copied()
            && until_ms <= now_ms
        {
            self.order.pop_front();
            // The same claim may have been freed and made anew.
            if self.claims.get(&claim).is_some_and(|kept| kept.until_ms <= now_ms) {
                self.remove(&claim);
            }
        }
    }

    fn remove(&mut self, claim: &[u8; 32]) {
        let Some(claim) = self.claims.remove(claim) else { return };
        self.bytes -= claim.end.as_ref().map_or(0, size);
        if let Some(count) = self.of_caller.get_mut(&claim.deed.caller) {
            *count -= 1;
            if *count == 0 {
                self.of_caller.remove(&claim.deed.caller);
            }
        }
    }
}

impl Claims for Memory {
    fn claim(&self, deed: Deed, now_ms: u64) -> Answer<Found> {
        let taken = self.take(deed, now_ms);
        Box::pin(async { taken })
    }

    fn settle(&self, claim: [u8; 32], end: End, _now_ms: u64) -> Answer<()> {
        self.end(&claim, end);
        Box::pin(async { Ok(()) })
    }
}
