//! One server's breaker: `guard::breaker` decides, here are the clock, the lock and the log.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use palisade_guard::breaker::{self, Config, Pass};
use palisade_guard::clock::Moment;
use palisade_guard::refusal::Refusal;

use super::unavailable;
use crate::time;

/// For servers that are called over the network: a failure may be one connection's bad luck.
pub(crate) const REMOTE: Config = Config { failures: 5, first_ms: 1_000, longest_ms: 30_000 };
/// For servers that are started: each failure costs a process, so they are fewer.
pub(crate) const STARTED: Config = Config { failures: 3, first_ms: 1_000, longest_ms: 30_000 };

/// The breaker in front of one server.
pub(crate) struct Breaker {
    server: Arc<str>,
    judged: Mutex<breaker::Breaker>,
}

/// One attempt that was let through. Dropped untold, it counts for nothing: the caller left.
pub(crate) struct Attempt<'b> {
    breaker: &'b Breaker,
    pass: Option<Pass>,
}

impl Breaker {
    /// A closed one.
    pub(crate) const fn new(server: Arc<str>, config: Config) -> Self {
        Self { server, judged: Mutex::new(breaker::Breaker::new(config)) }
    }

    /// Lets an attempt through, or turns it away with the time to come back.
    pub(crate) fn enter(&self) -> Result<Attempt<'_>, Refusal> {
        self.enter_at(time::now())
    }

    /// The same at a time that was read.
    pub(crate) fn enter_at(&self, now: Moment) -> Result<Attempt<'_>, Refusal> {
        match self.lock().enter(now.monotonic_ms) {
            Ok(pass) => Ok(Attempt { breaker: self, pass: Some(pass) }),
            Err(wait_ms) => Err(unavailable("the server failed before: it is left alone for a while")
                .retry_after(Duration::from_millis(wait_ms))
                .undone()),
        }
    }

    /// Tells what became of an attempt.
    pub(crate) fn tell(&self, pass: &Pass, well: bool) {
        let mut judged = self.lock();
        if well {
            let was_open = judged.is_open();
            judged.succeeded(pass);
            if was_open && !judged.is_open() {
                tracing::info!(server = %self.server, "the server is back");
            }
        } else if judged.failed(pass, time::now().monotonic_ms) {
            tracing::warn!(server = %self.server, "the server fails again and again: it is left alone for a while");
        }
    }

    /// Whether calls are turned away.
    pub(crate) fn is_open(&self) -> bool {
        self.lock().is_open()
    }

    fn lock(&self) -> MutexGuard<'_, breaker::Breaker> {
        self.judged.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attempt<'_> {
    /// Tells how it went.
    pub(crate) fn tell(mut self, well: bool) {
        if let Some(pass) = self.pass.take() {
            self.breaker.tell(&pass, well);
        }
    }

    /// It took the request, and did not answer in time.
    pub(crate) fn was_late(mut self) {
        if let Some(pass) = self.pass.take()
            && self.breaker.lock().was_late(&pass, time::now().monotonic_ms)
        {
            tracing::warn!(server = %self.breaker.server, "the server answers nobody any more: it is left alone for a while");
        }
    }

    /// The server answered; how long it stays is told by [`Breaker::tell`] later.
    pub(crate) fn answered(mut self) -> Option<Pass> {
        let pass = self.pass.take()?;
        self.breaker.lock().answered(&pass);
        Some(pass)
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if let Some(pass) = &self.pass {
            self.breaker.lock().abandoned(pass, time::now().monotonic_ms);
        }
    }
}
