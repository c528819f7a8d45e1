//! The mint while a gateway runs. A change made here counts with the next call: an operation loads what it wrote. What
//! others change is loaded by the [`follower`](crate::follower).

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::{Error, Mint};

/// The mint of a gateway that runs.
pub(crate) struct Live {
    /// What can be done with it.
    pub(crate) mint: Mint,
    version: AtomicU64,
}

impl Live {
    /// The mint as it is now.
    pub(crate) async fn new(mint: Mint) -> Result<Self, Error> {
        let version = AtomicU64::new(mint.load().await?);
        Ok(Self { mint, version })
    }

    /// Loads what the store has if this is another version; whether it was.
    pub(crate) async fn follow(&self, version: u64) -> Result<bool, Error> {
        if self.version.load(Relaxed) == version {
            return Ok(false);
        }
        self.version.store(self.mint.load().await?, Relaxed);
        Ok(true)
    }
}
