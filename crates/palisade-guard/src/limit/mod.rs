//! How much: sliding windows that never admit more than N calls in any 60 seconds.

/// The limits of one gateway.
#[derive(Debug, Clone, Copy)]
pub struct Config {
    /// Calls that do not authenticate, per address and 60 s (`RATE_LIMIT_PER_MINUTE`).
    pub per_address: u32,
    /// All calls, per address and 60 s.
    pub ceiling: u32,
    /// Calls of one principal per 60 s (`CALLER_RATE_LIMIT_PER_MINUTE`).
    pub per_caller: u32,
    /// How many subjects are remembered one by one in each table.
    pub capacity: usize,
}
