//! How long a connection waits for the head of a request.
//!
//! 1. A new connection has `timeouts.header` to say its first one.
//! 2. One that is kept between requests may be silent for `timeouts.connection_idle`, which is longer than clients keep a
//!    connection: whoever closes first must not be us, or a request on its way would be lost.
//! 3. From its first byte on every head has `timeouts.header`, however slowly it drips. A beginning that came together
//!    with the request before it is not seen here, and ends with the silence of rule 2.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::{Sleep, Timer};
use tokio::time::Instant;

use super::wire::Wire;

/// hyper's timer for one connection. hyper asks for a sleep when it begins to wait for a head, and polls it whenever
/// something was read and is no head yet.
pub(super) struct HeadClock {
    header: Duration,
    idle: Duration,
    kept: AtomicBool,
    wire: Arc<Wire>,
    made: std::time::Instant,
}

impl HeadClock {
    /// A clock for a new connection.
    pub(super) fn new(header: Duration, idle: Duration, wire: Arc<Wire>) -> Self {
        Self { header, idle, kept: AtomicBool::new(false), wire, made: Instant::now().into_std() }
    }
}

impl Timer for HeadClock {
    fn sleep(&self, _duration: Duration) -> Pin<Box<dyn Sleep>> {
        let is_kept = self.kept.swap(true, Ordering::Relaxed);
        self.wire.awaits_head(is_kept);
        let first = if is_kept { self.idle } else { self.header };
        let sleep = Box::pin(tokio::time::sleep(first));
        Box::pin(Waiting { sleep, begun: !is_kept, header: self.header, wire: Arc::clone(&self.wire) })
    }

    /// What hyper adds up to a deadline is our own to say: each wait has its time from when it begins.
    fn sleep_until(&self, _deadline: std::time::Instant) -> Pin<Box<dyn Sleep>> {
        self.sleep(self.header)
    }

    /// Asked for at each head, for the sake of a deadline alone: no clock need be read.
    fn now(&self) -> std::time::Instant {
        self.made
    }
}

/// One wait for one head.
struct Waiting {
    sleep: Pin<Box<tokio::time::Sleep>>,
    /// Whether the head's own clock runs.
    begun: bool,
    header: Duration,
    wire: Arc<Wire>,
}

impl Sleep for Waiting {}

impl Future for Waiting {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if !self.begun && !self.wire.is_silent() {
            self.begun = true;
            let end = Instant::now() + self.header;
            self.sleep.as_mut().reset(end);
        }
        self.sleep.as_mut().poll(context)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use hyper::rt::Timer;
    use tokio::time::{Instant, timeout};

    use super::{HeadClock, Wire};

    const HEADER: Duration = Duration::from_secs(10);
    const IDLE: Duration = Duration::from_mins(2);

    /// A8, R1: the first head has its time from the beginning, later ones from their first byte, and silence has its own.
    #[tokio::test(start_paused = true)]
    async fn silence_is_not_slowness() {
        let wire = Arc::<Wire>::default();
        let clock = HeadClock::new(HEADER, IDLE, Arc::clone(&wire));
        let started = Instant::now();
        clock.sleep(HEADER).await;
        assert_eq!((started.elapsed(), wire.is_silent()), (HEADER, false), "who says nothing at first is slow");

        let started = Instant::now();
        clock.sleep(HEADER).await;
        assert_eq!((started.elapsed(), wire.is_silent()), (IDLE, true));

        let mut head = clock.sleep(HEADER);
        assert!(timeout(Duration::from_secs(100), &mut head).await.is_err());
        wire.has_read();
        let started = Instant::now();
        assert!(timeout(Duration::from_secs(4), &mut head).await.is_err());
        wire.has_read();
        head.await;
        assert_eq!(started.elapsed(), HEADER, "more bytes give no more time");
    }
}
