//! What one demo server remembers: when it started, how much it served, and the trading desk's shared state.
//!
//! Everything here is bounded: two counters, and a shelf with a fixed number of slots. The time comes in through
//! [`State::new`], so tests stand still and the tools themselves never read a clock.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use crate::{toolset::Toolset, trading::shared_state::Shelf};

/// The memory of one demo server, shared by all its connections.
pub(crate) struct State {
    pub(crate) toolset: Toolset,
    started: Instant,
    wall_clock: fn() -> SystemTime,
    served: AtomicU64,
    refused: AtomicU64,
    shelf: Mutex<Shelf>,
}

impl State {
    /// Empty memory for a server of `toolset` that tells the time by `wall_clock`.
    pub(crate) fn new(toolset: Toolset, wall_clock: fn() -> SystemTime) -> Self {
        Self {
            toolset,
            started: Instant::now(),
            wall_clock,
            served: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            shelf: Mutex::new(Shelf::default()),
        }
    }

    /// How long the server has been up, by the monotonic clock.
    pub(crate) fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// The time of day since the Unix epoch; a clock set before 1970 reads as the epoch.
    pub(crate) fn now(&self) -> Duration {
        (self.wall_clock)().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
    }

    /// Notes one finished tool call.
    pub(crate) fn count<T, E>(&self, outcome: &Result<T, E>) {
        let counter = if outcome.is_ok() { &self.served } else { &self.refused };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// How many tool calls were answered.
    pub(crate) fn served(&self) -> u64 {
        self.served.load(Ordering::Relaxed)
    }

    /// How many tool calls were refused by their tool.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// The shared state of the trading desk, for the length of one read or write.
    pub(crate) fn shelf(&self) -> MutexGuard<'_, Shelf> {
        // A panic elsewhere leaves the shelf whole: each change to it is one map operation.
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
