//! One lock's worth of subjects: a chained index over windows that stand in chunks.
//!
//! Windows never move: memory grows by a chunk, not by doubling, and the index grows by one bucket for each new
//! place (linear hashing, Litwin 1980), so no call ever pays for a rehash of the whole table.

use super::seed::Seed;
use super::subject::Subject;
use super::window::{Count, SPAN_MS, Window};

/// Subjects that share a lock.
pub(super) struct Shard<C, const CLUSTERS: usize> {
    /// The first place of each chain.
    buckets: Vec<u32>,
    /// All places, used and free.
    chunks: Vec<Vec<Place<C, CLUSTERS>>>,
    /// The first free place; the others follow by `next`.
    free: u32,
    places: usize,
    used: usize,
    /// Where the next sweep begins.
    broom: usize,
    /// Windows shared by block while the shard is full. None until that happens.
    crowd: Vec<Window<C, CLUSTERS>>,
    /// Until when calls in the crowd still count.
    crowded_until_ms: u64,
}

struct Place<C, const CLUSTERS: usize> {
    subject: Subject,
    next: u32,
    window: Window<C, CLUSTERS>,
}

impl<C, const CLUSTERS: usize> Default for Shard<C, CLUSTERS> {
    fn default() -> Self {
        Self {
            buckets: Vec::new(),
            chunks: Vec::new(),
            free: NOWHERE,
            places: 0,
            used: 0,
            broom: 0,
            crowd: Vec::new(),
            crowded_until_ms: 0,
        }
    }
}

impl<C: Count, const CLUSTERS: usize> Shard<C, CLUSTERS> {
    /// The window of a subject that has one.
    pub(super) fn find(&mut self, subject: &Subject, place: u64) -> Option<&mut Window<C, CLUSTERS>> {
        let mut at = self.chain(place);
        loop {
            let found = self.place(at)?;
            if found.subject == *subject {
                return self.place_mut(at).map(|found| &mut found.window);
            }
            at = found.next;
        }
    }

    /// Gives a newcomer a place of its own, unless all are in use.
    pub(super) fn insert(
        &mut self,
        seed: &Seed,
        subject: Subject,
        window: Window<C, CLUSTERS>,
        capacity: usize,
    ) -> Option<&mut Window<C, CLUSTERS>> {
        let at = self.claim(seed, capacity)?;
        let bucket = self.bucket(subject.place(seed));
        let next = std::mem::replace(self.buckets.get_mut(bucket)?, at);
        self.used += 1;
        let place = self.place_mut(at)?;
        *place = Place { subject, next, window };
        Some(&mut place.window)
    }

    /// What a newcomer of this block may have used up already: what the whole block used while the shard was full.
    pub(super) fn known_of(&self, block: u64, now_ms: u64) -> Window<C, CLUSTERS> {
        if now_ms >= self.crowded_until_ms {
            return Window::default();
        }
        self.crowd.get(seat(block)).copied().unwrap_or_default()
    }

    /// The window that a block shares while the shard is full.
    #[expect(clippy::indexing_slicing, reason = "seat() is below SEATS")]
    pub(super) fn crowd(&mut self, block: u64, now_ms: u64) -> &mut Window<C, CLUSTERS> {
        if self.crowd.is_empty() {
            self.crowd = vec![Window::default(); SEATS];
        }
        self.crowded_until_ms = self.crowded_until_ms.max(now_ms.saturating_add(SPAN_MS));
        &mut self.crowd[seat(block)]
    }

    /// Looks at the next few places and frees the idle ones.
    pub(super) fn sweep(&mut self, seed: &Seed, now_ms: u64, places: usize) {
        for _ in 0..places.min(self.places) {
            let at = u32::try_from(self.broom).unwrap_or(NOWHERE);
            self.broom = if self.broom + 1 < self.places { self.broom + 1 } else { 0 };
            let Some(place) = self.place(at) else { return };
            if place.subject != Subject::NOBODY && place.window.is_idle(now_ms) {
                self.release(seed, at);
            }
        }
    }

    /// Frees every idle place, and moves into less memory when most of it is unused.
    pub(super) fn forget_idle(&mut self, seed: &Seed, now_ms: u64) {
        self.sweep(seed, now_ms, self.places);
        if now_ms >= self.crowded_until_ms {
            self.crowd = Vec::new();
        }
        if self.places <= CHUNK || self.used > self.places / 4 {
            return;
        }
        let capacity = self.places;
        let crowd = std::mem::take(&mut self.crowd);
        let old = std::mem::replace(self, Self { crowd, crowded_until_ms: self.crowded_until_ms, ..Self::default() });
        for place in old.chunks.into_iter().flatten().filter(|place| place.subject != Subject::NOBODY) {
            self.insert(seed, place.subject, place.window, capacity);
        }
    }

    /// How many subjects have a place of their own.
    pub(super) const fn len(&self) -> usize {
        self.used
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        let chunks = self.chunks.iter().map(|chunk| chunk.capacity() * size_of::<Place<C, CLUSTERS>>());
        chunks.sum::<usize>()
            + self.chunks.capacity() * size_of::<Vec<Place<C, CLUSTERS>>>()
            + self.buckets.capacity() * size_of::<u32>()
            + self.crowd.capacity() * size_of::<Window<C, CLUSTERS>>()
    }

    /// A free place, else a new one while there are fewer than `capacity`.
    fn claim(&mut self, seed: &Seed, capacity: usize) -> Option<u32> {
        if let Some(place) = self.place(self.free) {
            let next = place.next;
            return Some(std::mem::replace(&mut self.free, next));
        }
        let at = u32::try_from(self.places).ok().filter(|at| *at != NOWHERE && self.places < capacity)?;
        if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK) {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        let place = Place { subject: Subject::NOBODY, next: NOWHERE, window: Window::default() };
        self.chunks.last_mut()?.push(place);
        self.places += 1;
        self.add_bucket(seed);
        Some(at)
    }

    /// Takes a place out of its chain and makes it free.
    fn release(&mut self, seed: &Seed, at: u32) {
        let Some(place) = self.place(at) else { return };
        let (after, bucket) = (place.next, self.bucket(place.subject.place(seed)));
        let mut link = self.buckets.get_mut(bucket);
        while let Some(next) = link {
            if *next == at {
                *next = after;
                break;
            }
            let next = *next;
            link = place_in(&mut self.chunks, next).map(|place| &mut place.next);
        }
        let free = std::mem::replace(&mut self.free, at);
        if let Some(place) = self.place_mut(at) {
            (place.subject, place.next) = (Subject::NOBODY, free);
        }
        self.used -= 1;
    }

    /// One bucket more: the chain it splits off is the one whose places would now fall into it.
    fn add_bucket(&mut self, seed: &Seed) {
        if self.buckets.len() == self.buckets.capacity() {
            // By an eighth, not by doubling: the index is the one part that moves when it grows.
            self.buckets.reserve_exact(self.buckets.len() / 8 + 16);
        }
        let added = self.buckets.len();
        self.buckets.push(NOWHERE);
        if added == 0 {
            return;
        }
        let split = added & ((added + 1).next_power_of_two() / 2 - 1);
        let (mut stays, mut moves) = (NOWHERE, NOWHERE);
        let mut at = self.buckets.get(split).copied().unwrap_or(NOWHERE);
        while let Some(place) = self.place(at) {
            let next = place.next;
            let chain = if self.bucket(place.subject.place(seed)) == added { &mut moves } else { &mut stays };
            let rest = std::mem::replace(chain, at);
            if let Some(place) = self.place_mut(at) {
                place.next = rest;
            }
            at = next;
        }
        for (bucket, first) in [(split, stays), (added, moves)] {
            if let Some(chain) = self.buckets.get_mut(bucket) {
                *chain = first;
            }
        }
    }

    fn chain(&self, place: u64) -> u32 {
        self.buckets.get(self.bucket(place)).copied().unwrap_or(NOWHERE)
    }

    /// The bucket of a hash among any number of buckets, not only powers of two: what falls beyond the last bucket
    /// is still in the chain that will be split for it.
    fn bucket(&self, place: u64) -> usize {
        let low = usize::try_from(place & u64::from(u32::MAX)).unwrap_or_default();
        let round = self.buckets.len().next_power_of_two();
        let bucket = low & (round - 1);
        if bucket < self.buckets.len() { bucket } else { bucket & (round / 2).saturating_sub(1) }
    }

    fn place(&self, at: u32) -> Option<&Place<C, CLUSTERS>> {
        let at = usize::try_from(at).ok()?;
        self.chunks.get(at / CHUNK)?.get(at % CHUNK)
    }

    fn place_mut(&mut self, at: u32) -> Option<&mut Place<C, CLUSTERS>> {
        place_in(&mut self.chunks, at)
    }
}

fn place_in<C, const CLUSTERS: usize>(
    chunks: &mut [Vec<Place<C, CLUSTERS>>],
    at: u32,
) -> Option<&mut Place<C, CLUSTERS>> {
    let at = usize::try_from(at).ok()?;
    chunks.get_mut(at / CHUNK)?.get_mut(at % CHUNK)
}

/// The seat of a block in the crowd.
fn seat(block: u64) -> usize {
    usize::try_from(block & u64::from(u32::MAX)).unwrap_or_default() % SEATS
}

/// No place: beyond the last that can be claimed.
const NOWHERE: u32 = u32::MAX;
/// Places that are allocated together.
const CHUNK: usize = 32;
/// Shared windows of one shard.
const SEATS: usize = 256;
