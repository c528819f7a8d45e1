//! When the store was last heard of. What others withdraw there is seen by asking it; while it does not answer, what is
//! known grows old, and what is too old is not believed.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::clock::Moment;
use crate::refusal::{Reason, Refusal};

/// When the store last answered.
#[derive(Debug)]
pub struct Heard(AtomicU64);

impl Heard {
    /// It answered then.
    pub const fn new(then: Moment) -> Self {
        Self(AtomicU64::new(then.monotonic_ms))
    }

    /// It was asked then, and has answered.
    pub fn at(&self, then: Moment) {
        self.0.fetch_max(then.monotonic_ms, Relaxed);
    }

    /// Milliseconds since it answered.
    pub fn age_ms(&self, now: Moment) -> u64 {
        now.monotonic_ms.saturating_sub(self.0.load(Relaxed))
    }

    /// Whether that was longer ago than this.
    pub fn is_stale(&self, now: Moment, most_ms: u64) -> bool {
        self.age_ms(now) > most_ms
    }

    /// Refuses what cannot be believed any more.
    pub(super) fn judge(&self, now: Moment, most_ms: u64) -> Result<(), Refusal> {
        if !self.is_stale(now, most_ms) {
            return Ok(());
        }
        let refusal = Refusal::new(Reason::StoreUnavailable)
            .says("the store cannot be read, so nobody knows whether this credential was withdrawn: try again later");
        Err(refusal.because("the store did not answer for longer than store.max_staleness"))
    }
}

#[cfg(test)]
mod tests {
    use super::Heard;
    use crate::clock::Moment;
    use crate::refusal::Reason;

    fn moment(monotonic_ms: u64) -> Moment {
        Moment { monotonic_ms, unix_ms: 0 }
    }

    /// I3, R9: what is known is believed for so long, and again as soon as the store answers; an answer that comes late
    /// makes nothing older than it is.
    #[test]
    fn what_is_known_grows_old() {
        let heard = Heard::new(moment(1000));
        let judge = |now| heard.judge(moment(now), 500).map_err(|refusal| refusal.reason());
        assert_eq!((judge(1500), judge(1501)), (Ok(()), Err(Reason::StoreUnavailable)));
        heard.at(moment(1400));
        heard.at(moment(1200));
        assert_eq!((judge(1900), judge(1901)), (Ok(()), Err(Reason::StoreUnavailable)));
    }
}
