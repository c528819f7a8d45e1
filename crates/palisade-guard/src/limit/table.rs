//! Subjects and their windows, in bounded memory.
//!
//! 1. Subjects are spread over shards by a keyed hash; each shard has its own lock, held for one judgement.
//! 2. A newcomer takes a free window. At each newcomer a few windows are looked at, and the idle ones are freed: the
//!    table forgets as fast as it learns.
//! 3. When every window is in use, newcomers share one per block of neighbours (the crowd). Sharing can only be
//!    stricter.
//! 4. A newcomer after that starts with a copy of what its block used, so moving out of the crowd refills nothing.
//!
//! No window is ever taken from a subject that still has calls in it: filling the table with addresses buys nobody a
//! fresh quota (the mistake of every least-recently-used table).

use super::seed::Seed;
use super::shard::Shard;
use super::subject::Subject;
use super::window::{Count, Verdict};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The windows of many subjects.
pub struct Table<C, const CLUSTERS: usize> {
    seed: Seed,
    shards: Box<[Lane<C, CLUSTERS>]>,
    shard_capacity: usize,
}

/// A shard on cache lines of its own: neighbours' locks must not slow each other.
#[repr(align(128))]
struct Lane<C, const CLUSTERS: usize>(Mutex<Shard<C, CLUSTERS>>);

impl<C: Count, const CLUSTERS: usize> Table<C, CLUSTERS> {
    /// An empty table that remembers about `capacity` subjects one by one.
    pub fn new(capacity: usize, seed: Seed) -> Self {
        let shards = (capacity / SUBJECTS_PER_SHARD).clamp(1, MOST_SHARDS).next_power_of_two();
        Self {
            seed,
            shards: (0..shards).map(|_| Lane(Mutex::new(Shard::default()))).collect(),
            shard_capacity: capacity.div_ceil(shards),
        }
    }

    /// Judges one call of `subject` and counts it if it may pass.
    pub fn admit(&self, subject: &Subject, limit: u32, now_ms: u64) -> Verdict {
        let place = subject.place(&self.seed);
        let mut shard = self.shard(place);
        if let Some(window) = shard.find(subject, place) {
            return window.admit(limit, now_ms);
        }
        shard.sweep(&self.seed, now_ms, LOOKED_AT_PER_NEWCOMER);
        let block = subject.block().place(&self.seed);
        let window = shard.known_of(block, now_ms);
        if let Some(window) = shard.insert(&self.seed, *subject, window, self.shard_capacity) {
            return window.admit(limit, now_ms);
        }
        shard.crowd(block, now_ms).admit(limit, now_ms)
    }

    /// Takes back one call of `subject`.
    pub fn give_back(&self, subject: &Subject, now_ms: u64) {
        let place = subject.place(&self.seed);
        let mut shard = self.shard(place);
        match shard.find(subject, place) {
            Some(window) => window.give_back(),
            None => shard.crowd(subject.block().place(&self.seed), now_ms).give_back(),
        }
    }

    /// Forgets every idle subject and gives memory back to the allocator where most of it is unused.
    ///
    /// The table stays bounded without this. Called once a minute or so, it lets the rest of the process use what a
    /// flood took; whether the allocator hands pages back to the system is its own choice.
    pub fn forget_idle(&self, now_ms: u64) {
        for lane in &self.shards {
            lock(lane).forget_idle(&self.seed, now_ms);
        }
    }

    /// How many subjects are remembered one by one.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|lane| lock(lane).len()).sum()
    }

    /// Whether nobody is remembered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes held, spare places included.
    pub fn bytes(&self) -> usize {
        let held: usize = self.shards.iter().map(|lane| lock(lane).bytes()).sum();
        held + size_of_val(&*self.shards) + size_of::<Self>()
    }

    #[expect(clippy::indexing_slicing, reason = "masked by the number of shards, a power of two")]
    fn shard(&self, place: u64) -> MutexGuard<'_, Shard<C, CLUSTERS>> {
        // The high half: the low half chooses the bucket within the shard.
        let high = usize::try_from(place >> 32).unwrap_or_default();
        lock(&self.shards[high & (self.shards.len() - 1)])
    }
}

/// A panic elsewhere must not turn every later call away; a shard is consistent between any two of its statements
/// that can panic, as there are none.
fn lock<C, const CLUSTERS: usize>(lane: &Lane<C, CLUSTERS>) -> MutexGuard<'_, Shard<C, CLUSTERS>> {
    lane.0.lock().unwrap_or_else(PoisonError::into_inner)
}

const MOST_SHARDS: usize = 64;
/// Fewer subjects do not need a further lock.
const SUBJECTS_PER_SHARD: usize = 1024;
const LOOKED_AT_PER_NEWCOMER: usize = 4;

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
