//! The mint while a gateway runs: as the store has it, within a quarter of a second.
//!
//! A change made here counts with the next call: an operation loads what it wrote. One made by another process is seen by
//! asking the store for its version. While the store does not answer, all stays as it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Error, Mint};
use crate::current::Current;
use crate::store::tokens;

/// Between two questions whether anything has changed.
const ASK: Duration = Duration::from_millis(250);

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

    /// Follows the store until the gateway stops.
    pub(crate) async fn run(self: Arc<Self>, current: Current, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(ASK) => {}
            }
            let changed = self.follow().await.unwrap_or_else(|error| {
                tracing::debug!(%error, "the store does not answer: tokens stay as they are");
                false
            });
            if changed {
                current.nudge();
            }
        }
    }

    /// Loads what is old; whether it was.
    async fn follow(&self) -> Result<bool, Error> {
        let version = tokens::version(&mut self.mint.store.read().await?).await?;
        if self.version.swap(version, Relaxed) == version {
            return Ok(false);
        }
        self.mint.load().await?;
        Ok(true)
    }
}
