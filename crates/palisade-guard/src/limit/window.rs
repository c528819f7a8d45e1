//! One subject's last 60 seconds: how many calls, and when they leave.
//!
//! A window is a ring of clusters. A cluster knows its last call and how many calls it holds.
//!
//! 1. A cluster leaves 60.000 s after its **last** call, so no call is ever forgotten early: in no 60 seconds are
//!    there more admissions than the limit.
//! 2. A call joins the newest cluster when that one began less than [`Window::width_ms`] ago; otherwise it begins a
//!    cluster. So no call is remembered longer than 60 s plus one width, and calls of one instant leave together,
//!    60.000 s later.
//! 3. A limit that the ring can hold call by call (at most `CLUSTERS`) has width 0: it is exact.
//! 4. Refused calls are not counted: whoever waits as long as told is admitted.
//!
//! A counter per calendar minute would admit twice the limit at its edge, and so would a token bucket; a list of
//! all calls would cost memory in proportion to the limit.

/// How far back a window looks.
pub const SPAN_MS: u64 = 60_000;

/// How large the counts of a window can get: `u16` for limits up to 65,535, `u32` beyond.
pub trait Count: Copy + Default + Into<u32> + Send {
    /// One more. Stays at the largest value, which no limit of this type exceeds.
    #[must_use]
    fn incremented(self) -> Self;
    /// So many fewer.
    #[must_use]
    fn reduced(self, by: Self) -> Self;
}

impl Count for u16 {
    fn incremented(self) -> Self {
        self.saturating_add(1)
    }
    fn reduced(self, by: Self) -> Self {
        self.saturating_sub(by)
    }
}

impl Count for u32 {
    fn incremented(self) -> Self {
        self.saturating_add(1)
    }
    fn reduced(self, by: Self) -> Self {
        self.saturating_sub(by)
    }
}

/// What a window says about one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the call may pass. If so, it has been counted.
    pub admitted: bool,
    /// How many more calls would pass now.
    pub remaining: u32,
    /// Milliseconds until more calls become available than now; after a refusal, until a call can pass.
    pub retry_ms: u64,
    /// Milliseconds until the newest counted call leaves and the whole limit is available again.
    pub reset_ms: u64,
}

/// The calls of one subject in the last 60 seconds.
#[derive(Debug, Clone, Copy)]
pub struct Window<C, const CLUSTERS: usize> {
    /// Time of the newest call: 48 bits of milliseconds, little end first. Eight bytes would cost every client two.
    newest: [u16; 3],
    /// How long before the newest call its cluster began.
    begun: u16,
    /// Where the oldest cluster stands in the ring.
    first: u8,
    /// How many clusters are in use.
    used: u8,
    /// All calls of all clusters.
    total: C,
    /// The low 16 bits of the time of each cluster's last call. Clusters are younger than 60 s, so that is enough.
    last: [u16; CLUSTERS],
    /// The calls of each cluster.
    calls: [C; CLUSTERS],
}

impl<C: Count, const CLUSTERS: usize> Default for Window<C, CLUSTERS> {
    fn default() -> Self {
        const { assert!(CLUSTERS >= 2 && CLUSTERS <= 128, "the ring is counted in u8") };
        Self {
            newest: [0; 3],
            begun: 0,
            first: 0,
            used: 0,
            total: C::default(),
            last: [0; CLUSTERS],
            calls: [C::default(); CLUSTERS],
        }
    }
}

impl<C: Count, const CLUSTERS: usize> Window<C, CLUSTERS> {
    /// How much longer than 60 s a call may be remembered under this limit: 0 for a limit of at most `CLUSTERS`.
    pub const fn width_ms(limit: u32) -> u64 {
        if limit <= Self::RING {
            return 0;
        }
        Self::WIDTH_MS
    }

    /// Judges one call at `now_ms` and counts it if it may pass.
    ///
    /// A clock behind the newest call counts as that call's time: two threads may read the clock in one order and
    /// arrive here in the other.
    pub fn admit(&mut self, limit: u32, now_ms: u64) -> Verdict {
        let now = now_ms.min(LAST_MS).max(self.newest_ms());
        let idle_ms = self.forget(now);
        let admitted = self.total.into() < limit;
        if !admitted {
            return self.verdict(false, limit, idle_ms);
        }
        self.count(limit, now, idle_ms);
        self.verdict(true, limit, 0)
    }

    /// Takes back one call that was counted, the newest there is: one that turned out not to be of this window.
    pub fn give_back(&mut self) {
        for nth in (0..self.used).rev() {
            let at = usize::from(Self::wrapped(self.first, nth));
            if let Some(calls) = self.calls.get_mut(at).filter(|calls| (**calls).into() > 0) {
                *calls = calls.reduced(C::default().incremented());
                self.total = self.total.reduced(C::default().incremented());
                return;
            }
        }
    }

    /// Whether every call has left, so that forgetting the window changes nothing.
    pub fn is_idle(&self, now_ms: u64) -> bool {
        self.used == 0 || now_ms.min(LAST_MS).saturating_sub(self.newest_ms()) >= SPAN_MS
    }

    /// Lets leave what is 60 s old. Returns the milliseconds since the newest call, less than 60,000.
    fn forget(&mut self, now: u64) -> u16 {
        let idle_ms = u16::try_from(now - self.newest_ms()).unwrap_or(u16::MAX);
        if u64::from(idle_ms) >= SPAN_MS || self.used == 0 {
            self.used = 0;
            self.total = C::default();
            return 0;
        }
        while self.used > 0 && self.leaves_in(0, idle_ms) == 0 {
            self.total = self.total.reduced(self.calls_of(0));
            self.first = Self::wrapped(self.first, 1);
            self.used -= 1;
        }
        idle_ms
    }

    fn count(&mut self, limit: u32, now: u64, idle_ms: u16) {
        let begun = self.begun.saturating_add(idle_ms);
        // A full ring happens only when a limit was raised while calls stood one by one: then the newest cluster
        // grows, which can only remember longer.
        let full = u32::from(self.used) == Self::RING;
        let joins = self.used > 0 && (idle_ms == 0 || u64::from(begun) < Self::width_ms(limit) || full);
        if joins {
            self.begun = begun;
        } else {
            self.begun = 0;
            self.used += 1;
        }
        let at = usize::from(Self::wrapped(self.first, self.used - 1));
        let fresh = if joins { self.calls.get(at).copied().unwrap_or_default() } else { C::default() };
        self.newest = low_48(now);
        if let (Some(last), Some(calls)) = (self.last.get_mut(at), self.calls.get_mut(at)) {
            *last = self.newest[0];
            *calls = fresh.incremented();
        }
        self.total = self.total.incremented();
    }

    fn verdict(&self, admitted: bool, limit: u32, idle_ms: u16) -> Verdict {
        let total = self.total.into();
        Verdict {
            admitted,
            remaining: limit.saturating_sub(total),
            retry_ms: self.more_in(limit, idle_ms),
            reset_ms: if self.used == 0 { 0 } else { SPAN_MS.saturating_sub(u64::from(idle_ms)) },
        }
    }

    /// Milliseconds until a cluster has left and fewer than `limit` calls are left. A limit of 0 never opens: the
    /// whole span is said.
    fn more_in(&self, limit: u32, idle_ms: u16) -> u64 {
        let mut left: u32 = self.total.into();
        for nth in 0..self.used {
            left = left.saturating_sub(self.calls_of(nth).into());
            if left < limit {
                return self.leaves_in(nth, idle_ms);
            }
        }
        SPAN_MS
    }

    /// Milliseconds until the `nth` oldest cluster leaves.
    fn leaves_in(&self, nth: u8, idle_ms: u16) -> u64 {
        let at = usize::from(Self::wrapped(self.first, nth));
        let last = self.last.get(at).copied().unwrap_or_default();
        let age = self.newest[0].wrapping_sub(last);
        SPAN_MS.saturating_sub(u64::from(age) + u64::from(idle_ms))
    }

    fn calls_of(&self, nth: u8) -> C {
        self.calls.get(usize::from(Self::wrapped(self.first, nth))).copied().unwrap_or_default()
    }

    fn newest_ms(&self) -> u64 {
        let [low, middle, high] = self.newest.map(u64::from);
        low | middle << 16 | high << 32
    }

    /// The place `by` steps after `from` in the ring.
    fn wrapped(from: u8, by: u8) -> u8 {
        let sum = from + by;
        if u32::from(sum) >= Self::RING { sum - Self::RING_U8 } else { sum }
    }

    #[expect(clippy::as_conversions, clippy::cast_possible_truncation, reason = "at most 128, see Default")]
    const RING: u32 = CLUSTERS as u32;
    #[expect(clippy::as_conversions, clippy::cast_possible_truncation, reason = "at most 128, see Default")]
    const RING_U8: u8 = CLUSTERS as u8;
    /// Narrow enough for memory, wide enough that the ring outlasts 60 s: a live ring of `n` clusters spans at least
    /// `n - 2` widths and one more begins only a width later.
    #[expect(clippy::as_conversions, reason = "u32 to u64 in a constant")]
    const WIDTH_MS: u64 = SPAN_MS.div_ceil(Self::RING as u64 - 1);
}

/// The last instant a window can tell from its neighbours: some 8,900 years after the process started.
const LAST_MS: u64 = (1 << 48) - 1;

const fn low_48(ms: u64) -> [u16; 3] {
    let [low, low_2, middle, middle_2, high, high_2, _, _] = ms.to_le_bytes();
    [u16::from_le_bytes([low, low_2]), u16::from_le_bytes([middle, middle_2]), u16::from_le_bytes([high, high_2])]
}

#[cfg(test)]
#[path = "window_tests.rs"]
mod tests;
