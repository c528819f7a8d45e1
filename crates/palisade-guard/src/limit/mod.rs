//! How much: sliding windows that never admit more than N calls in any 60 seconds.
//!
//! Three uses, each with its own windows:
//!
//! 1. [`Limits::arrive`]: every call of an address, against a coarse ceiling. A flood costs little below. A call that
//!    authenticates gives its place back ([`Limits::known`]), so the ceiling is one for strangers.
//! 2. [`Limits::unauthenticated`]: a call that brought no credential, or a wrong one, against the address's small
//!    limit. A call that authenticates never touches it, so people behind one address cannot lock each other out.
//! 3. [`Limits::caller`]: a call of a verified caller, against the caller's own limit. Nobody else can use it up.
//!
//! How a window counts is told in [`window`], how many are kept in [`table`]. One client's windows, the ceiling's and
//! either of the two others, take at most 200 bytes together at limits up to 65,535.
//!
//! # Caveat
//! Time is the monotonic clock, handed in: a wall clock that steps back would lock everybody out, one that steps
//! forward would forgive everything.

pub mod headers;
pub mod penalty;
pub mod seed;
mod shard;
pub mod subject;
pub mod table;
pub mod window;

use crate::refusal::{Detail, Reason, Refusal};
use headers::{Quota, Scope};
use seed::Seed;
use std::sync::Arc;
use std::time::Duration;
use subject::Subject;
use table::Table;

/// The limits of one gateway.
#[derive(Debug, Clone, Copy)]
pub struct Config {
    /// Calls that do not authenticate, per address and 60 s (`RATE_LIMIT_PER_MINUTE`).
    pub per_address: u32,
    /// All calls but those that authenticate, per address and 60 s.
    pub ceiling: u32,
    /// Calls of one principal per 60 s (`CALLER_RATE_LIMIT_PER_MINUTE`).
    pub per_caller: u32,
    /// How many subjects are remembered one by one in each table.
    pub capacity: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { per_address: 100, ceiling: 10_000, per_caller: 1000, capacity: 1 << 20 }
    }
}

/// All windows of one gateway, and the limits they are judged by.
#[derive(Clone)]
pub struct Limits {
    config: Config,
    windows: Arc<Windows>,
}

struct Windows {
    seed: Seed,
    arrivals: Table<u16, COARSE>,
    arrivals_wide: Table<u32, COARSE>,
    strangers: Table<u16, FINE>,
    strangers_wide: Table<u32, FINE>,
    callers: Table<u16, FINE>,
    callers_wide: Table<u32, FINE>,
}

/// A call that a limit let pass, and how the limit stands after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admission {
    /// Whose limit.
    pub scope: Scope,
    /// Calls per 60 s.
    pub limit: u32,
    /// How many more calls would pass now.
    pub remaining: u32,
    /// Milliseconds until the newest call leaves the window: then all of the limit is available again.
    pub reset_ms: u64,
    /// Milliseconds until the oldest calls leave the window: then more calls are available than now.
    pub retry_ms: u64,
}

impl Limits {
    /// Empty windows. `secret` is fresh randomness, the same for the life of the process.
    pub fn new(config: Config, secret: [u8; 16]) -> Self {
        let seed = Seed::new(secret);
        // Tables and names must not share a secret: derive one from the other.
        let inner = Seed::new(seed.name("places in tables"));
        let capacity = config.capacity;
        let windows = Windows {
            seed,
            arrivals: Table::new(capacity, inner),
            arrivals_wide: Table::new(capacity, inner),
            strangers: Table::new(capacity, inner),
            strangers_wide: Table::new(capacity, inner),
            callers: Table::new(capacity, inner),
            callers_wide: Table::new(capacity, inner),
        };
        Self { config, windows: Arc::new(windows) }
    }

    /// Other limits over the same windows, for a reload: nobody gets a fresh quota. The capacity stays as it was.
    #[must_use]
    pub fn with_config(&self, config: Config) -> Self {
        Self { config, windows: Arc::clone(&self.windows) }
    }

    /// The subject of a verified caller. Costs a hash of the identifier: keep it beside the principal.
    pub fn subject_of(&self, caller_id: &str) -> Subject {
        Subject::caller(caller_id, &self.windows.seed)
    }

    /// The limit of callers that have none of their own.
    pub const fn per_caller(&self) -> u32 {
        self.config.per_caller
    }

    /// Counts any call of an address against the ceiling, before anything is known of it.
    pub fn arrive(&self, client: &Subject, now_ms: u64) -> Result<(), Refusal> {
        let tables = (&self.windows.arrivals, &self.windows.arrivals_wide);
        judge(tables, Scope::Ceiling, client, self.config.ceiling, now_ms).map(drop)
    }

    /// A call that was counted by [`Self::arrive`] is no stranger's: it gives its place back.
    pub fn known(&self, client: &Subject, now_ms: u64) {
        if u16::try_from(self.config.ceiling).is_ok() {
            self.windows.arrivals.give_back(client, now_ms);
        } else {
            self.windows.arrivals_wide.give_back(client, now_ms);
        }
    }

    /// Counts a TLS handshake of an address, against a ceiling of its own: no flood of calls shuts out a connection.
    pub fn handshake(&self, client: &Subject, now_ms: u64) -> Result<(), Refusal> {
        self.arrive(&Subject::handshakes(client, &self.windows.seed), now_ms)
    }

    /// Counts a call that did not authenticate against its address.
    pub fn unauthenticated(&self, client: &Subject, now_ms: u64) -> Result<Admission, Refusal> {
        let tables = (&self.windows.strangers, &self.windows.strangers_wide);
        judge(tables, Scope::Address, client, self.config.per_address, now_ms)
    }

    /// Counts a call of a verified caller; without authentication at all, of the address.
    ///
    /// A limit above 65,535 has windows of its own: a caller whose limit is moved across that number begins anew.
    pub fn caller(&self, caller: &Subject, limit: u32, now_ms: u64) -> Result<Admission, Refusal> {
        judge((&self.windows.callers, &self.windows.callers_wide), Scope::Caller, caller, limit, now_ms)
    }

    /// Forgets idle subjects and gives their memory back to the allocator. Worth a call about once a minute.
    pub fn forget_idle(&self, now_ms: u64) {
        let Windows { seed: _, arrivals, arrivals_wide, strangers, strangers_wide, callers, callers_wide } =
            &*self.windows;
        for table in [strangers, callers] {
            table.forget_idle(now_ms);
        }
        for table in [strangers_wide, callers_wide] {
            table.forget_idle(now_ms);
        }
        arrivals.forget_idle(now_ms);
        arrivals_wide.forget_idle(now_ms);
    }

    /// How many windows are kept for subjects of their own.
    pub fn len(&self) -> usize {
        let Windows { seed: _, arrivals, arrivals_wide, strangers, strangers_wide, callers, callers_wide } =
            &*self.windows;
        let fine = [strangers, callers].map(Table::len).into_iter().sum::<usize>();
        let fine_wide = [strangers_wide, callers_wide].map(Table::len).into_iter().sum::<usize>();
        fine + fine_wide + arrivals.len() + arrivals_wide.len()
    }

    /// Whether nobody is remembered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes held by all windows and their index, spare places included.
    pub fn bytes(&self) -> usize {
        let Windows { seed: _, arrivals, arrivals_wide, strangers, strangers_wide, callers, callers_wide } =
            &*self.windows;
        let fine = [strangers, callers].map(Table::bytes).into_iter().sum::<usize>();
        let fine_wide = [strangers_wide, callers_wide].map(Table::bytes).into_iter().sum::<usize>();
        fine + fine_wide + arrivals.bytes() + arrivals_wide.bytes()
    }
}

fn judge<const CLUSTERS: usize>(
    (narrow, wide): (&Table<u16, CLUSTERS>, &Table<u32, CLUSTERS>),
    scope: Scope,
    subject: &Subject,
    limit: u32,
    now_ms: u64,
) -> Result<Admission, Refusal> {
    let verdict = if u16::try_from(limit).is_ok() {
        narrow.admit(subject, limit, now_ms)
    } else {
        wide.admit(subject, limit, now_ms)
    };
    told(scope, limit, verdict)
}

/// What follows from a window's verdict, wherever the window is.
pub fn told(scope: Scope, limit: u32, verdict: window::Verdict) -> Result<Admission, Refusal> {
    let window::Verdict { admitted, remaining, retry_ms, reset_ms } = verdict;
    let admission = Admission { scope, limit, remaining, reset_ms, retry_ms };
    if admitted {
        return Ok(admission);
    }
    Err(refuse(admission.quota()).retry_after(Duration::from_millis(retry_ms)))
}

fn refuse(quota: Quota) -> Refusal {
    Refusal::new(Reason::RateLimited)
        .with("scope", Detail::Text(quota.scope.name().into()))
        .with("limit", Detail::Number(quota.limit.into()))
        .with("remaining", Detail::Number(quota.remaining.into()))
        .with("window_seconds", Detail::Number(window::SPAN_MS / 1000))
        .with("reset_seconds", Detail::Number(quota.reset_seconds))
}

/// Clusters of the ceiling's windows: 10 s wide, for a limit that only has to stop floods.
const COARSE: usize = 7;
/// Clusters of the other windows: 2.728 s wide. Together with the ceiling's they fill the 200 bytes of a client.
const FINE: usize = 23;

#[cfg(test)]
#[path = "limits_tests.rs"]
mod tests;
