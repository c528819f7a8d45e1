//! The one place that reads a clock.

use std::sync::LazyLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use palisade_guard::clock::Moment;

static STARTED: LazyLock<Instant> = LazyLock::new(Instant::now);

/// This instant, on both clocks.
pub fn now() -> Moment {
    let millis = |duration: std::time::Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    Moment {
        monotonic_ms: millis(STARTED.elapsed()),
        // A wall clock before 1970 is a broken one: it shows as the epoch, and nothing that admits depends on it.
        unix_ms: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, millis),
    }
}

/// Microseconds since `earlier`, for durations of calls.
pub(crate) fn micros_since(earlier: Instant) -> u64 {
    u64::try_from(earlier.elapsed().as_micros()).unwrap_or(u64::MAX)
}

/// The monotonic clock itself, for durations.
pub(crate) fn instant() -> Instant {
    Instant::now()
}
