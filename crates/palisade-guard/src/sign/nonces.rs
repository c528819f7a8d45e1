//! What was used once and may not be used again.
//!
//! 1. A nonce is written down after its signature was found good, and in the scope of its key: nobody can use up
//!    another's.
//! 2. Looking and writing are one step: of two equal requests at the same instant one is the first.
//! 3. Nothing makes room: a store that is full says that it cannot tell, and the request is refused.
//! 4. What was forgotten counts as used: a store refuses every time that is not later than the latest one it has
//!    forgotten. So it does not help to set the clock back, or to wait for a restart.

mod memory;

use std::pin::Pin;

use super::{SKEW_S, WINDOW_S};
use crate::clock::Moment;

pub use memory::Memory;

/// How long a nonce is kept: for as long as the longest-lived signature may still come, and once more, since a clock
/// may be set back by as much.
pub const KEPT_S: u64 = 2 * WINDOW_S + SKEW_S;

/// One use, in the words of [`super::Statement::once`] and [`super::Statement::timestamp`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Use {
    /// Which nonce of which key.
    pub once: [u8; 32],
    /// The time that was signed with it, in seconds since 1970.
    pub timestamp: u64,
}

/// What a store found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// It was not used before, and is now.
    First,
    /// It was used before.
    Again,
    /// Whether it was used before is not known any more.
    Forgotten,
}

/// The store cannot tell: it is full, or cannot be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Down(pub &'static str);

/// What a store answers, when it has made sure that it will not forget it.
pub type Answer<'s, T> = Pin<Box<dyn Future<Output = Result<T, Down>> + Send + 's>>;

/// Where nonces are written down.
pub trait Nonces: Send + Sync {
    /// Notes a use, if it is the first.
    fn insert(&self, used: Use, now: Moment) -> Answer<'_, Seen>;
}
