//! The one place that reads a clock.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::Poll;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use palisade_guard::clock::Moment;
use tokio::time::error::Elapsed;
use tokio::time::{timeout, timeout_at};

static STARTED: LazyLock<Instant> = LazyLock::new(Instant::now);
/// What the wall clock showed when the process started, by its latest reading: a step moves it.
static WALL_AT_START: AtomicU64 = AtomicU64::new(0);
/// When the wall clock is to be read again.
static WALL_UNTIL: AtomicU64 = AtomicU64::new(0);

/// The wall clock is read at most this often: every call asks several times, and a record's time is in milliseconds.
const WALL_MS: u64 = 10;

/// This instant, on both clocks.
pub fn now() -> Moment {
    at(Instant::now())
}

/// An instant that is about now, on both clocks.
pub(crate) fn at(instant: Instant) -> Moment {
    let monotonic_ms = millis(instant.saturating_duration_since(*STARTED));
    if monotonic_ms >= WALL_UNTIL.load(Relaxed) {
        // A wall clock before 1970 is a broken one: it shows as the epoch, and nothing that admits depends on it.
        let unix_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, millis);
        WALL_AT_START.store(unix_ms.saturating_sub(monotonic_ms), Relaxed);
        WALL_UNTIL.store(monotonic_ms + WALL_MS, Relaxed);
    }
    Moment { monotonic_ms, unix_ms: WALL_AT_START.load(Relaxed) + monotonic_ms }
}

/// The monotonic clock itself, for durations.
pub(crate) fn instant() -> Instant {
    Instant::now()
}

/// What comes of `future` within this time. What is there already, the usual case, needs no timer.
pub(crate) async fn within<F: Future>(patience: Duration, mut future: Pin<&mut F>) -> Result<F::Output, Elapsed> {
    match at_once(future.as_mut()).await {
        Some(output) => Ok(output),
        None => timeout(patience, future).await,
    }
}

/// The same until it is `due`.
pub(crate) async fn by<F: Future>(due: tokio::time::Instant, mut future: Pin<&mut F>) -> Result<F::Output, Elapsed> {
    match at_once(future.as_mut()).await {
        Some(output) => Ok(output),
        None => timeout_at(due, future).await,
    }
}

async fn at_once<F: Future>(mut future: Pin<&mut F>) -> Option<F::Output> {
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

/// Microseconds from `earlier` to `later`.
pub(crate) fn micros(earlier: Instant, later: Instant) -> u64 {
    u64::try_from(later.saturating_duration_since(earlier).as_micros()).unwrap_or(u64::MAX)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
