//! Nonces in memory: for one process, and until it ends.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};

use super::{Answer, Down, KEPT_S, Nonces, Seen, Use};
use crate::clock::Moment;

/// Nonces in memory.
pub struct Memory {
    capacity: usize,
    kept: Mutex<Kept>,
}

struct Kept {
    used: HashSet<[u8; 32]>,
    /// The same in the order in which they came, with the time when each may be forgotten, on the clock that never goes
    /// back.
    order: VecDeque<(u64, Use)>,
    /// The latest time that was forgotten.
    forgotten: u64,
}

impl Memory {
    /// An empty store of a process that starts now. What was used before that is not known.
    pub fn new(capacity: usize, now: Moment) -> Self {
        let forgotten = (now.unix_ms / 1000).saturating_sub(1);
        Self { capacity, kept: Mutex::new(Kept { used: HashSet::new(), order: VecDeque::new(), forgotten }) }
    }

    fn note(&self, used: Use, now: Moment) -> Result<Seen, Down> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.forget(now.monotonic_ms);
        if used.timestamp <= kept.forgotten {
            return Ok(Seen::Forgotten);
        }
        if kept.used.contains(&used.once) {
            return Ok(Seen::Again);
        }
        if kept.used.len() >= self.capacity {
            return Err(Down("there is no room for another nonce"));
        }
        kept.used.insert(used.once);
        kept.order.push_back((now.monotonic_ms + KEPT_S * 1000, used));
        Ok(Seen::First)
    }
}

impl Kept {
    fn forget(&mut self, now_ms: u64) {
        while let Some((until_ms, used)) = self.order.front()
            && *until_ms <= now_ms
        {
            self.forgotten = self.forgotten.max(used.timestamp);
            self.used.remove(&used.once);
            self.order.pop_front();
        }
    }
}

impl Nonces for Memory {
    fn insert(&self, used: Use, now: Moment) -> Answer<'_, Seen> {
        let noted = self.note(used, now);
        Box::pin(async { noted })
    }
}

#[cfg(test)]
mod tests {
    use super::{Down, KEPT_S, Memory, Seen, Use};
    use crate::clock::Moment;

    const START_S: u64 = 1_785_231_000;

    fn at(seconds: u64) -> Moment {
        Moment { monotonic_ms: seconds * 1000, unix_ms: (START_S + seconds) * 1000 }
    }

    fn used(number: u8, after: u64) -> Use {
        Use { once: [number; 32], timestamp: START_S + after }
    }

    /// B4, P-B14: a full store says so and forgets nobody; room comes with time alone.
    #[test]
    fn a_full_store_refuses() {
        let store = Memory::new(2, at(0));
        assert_eq!(store.note(used(1, 0), at(0)), Ok(Seen::First));
        assert_eq!(store.note(used(2, 1), at(1)), Ok(Seen::First));
        assert!(matches!(store.note(used(3, 2), at(2)), Err(Down(_))));
        assert_eq!(store.note(used(1, 0), at(2)), Ok(Seen::Again), "nobody was pushed out");
        assert_eq!(store.note(used(3, KEPT_S), at(KEPT_S)), Ok(Seen::First));
    }

    /// B4, R14, P-B14: what was forgotten is not accepted again, though the clock is set back or the process is a new one.
    #[test]
    fn the_forgotten_stay_used() {
        let store = Memory::new(9, at(0));
        assert_eq!(store.note(used(1, 5), at(5)), Ok(Seen::First));
        let later = Moment { unix_ms: at(5).unix_ms, ..at(5 + KEPT_S) };
        assert_eq!(store.note(used(1, 5), later), Ok(Seen::Forgotten), "the wall clock went back");
        assert_eq!(store.note(used(2, 6), later), Ok(Seen::First));
        let next = Memory::new(9, at(10));
        assert_eq!(next.note(used(2, 6), at(10)), Ok(Seen::Forgotten), "a new process knows nothing of before");
        assert_eq!(next.note(used(2, 10), at(10)), Ok(Seen::First));
    }
}
