//! When nothing can be written: callers are told, what was half written is cut, and writing begins anew in a new segment
//! as soon as there is space again, without a restart.
//!
//! 1. The segment that failed is cut back to its last whole line. Until that worked, nothing else is written: a torn line
//!    inside a journal could not be told from a changed one.
//! 2. It gets one more line, "the journal stopped", in the space that was set aside for it.
//! 3. Every 250 ms: the space is set aside again (so there is some), a segment is begun, what waited is written. Then,
//!    and not before, calls are taken again.

use std::io;
use std::time::Duration;

use tokio::time::sleep;

use super::flusher::Flusher;

/// How often writing is tried again while it fails.
const RETRY: Duration = Duration::from_millis(250);

impl Flusher {
    /// Writing failed.
    pub(super) async fn stop(&mut self, error: &io::Error) {
        self.refuse_calls(error);
        self.last_words();
        self.resume(None).await;
    }

    /// A sync failed. What it left behind cannot be known (fsync(2)), so nothing more is written to this segment; the
    /// next one says how many lines may be missing from it after a power cut.
    pub(super) async fn distrust(&mut self, error: &io::Error) {
        self.refuse_calls(error);
        let unsynced = {
            let state = self.shared.lock();
            state.written.saturating_sub(state.synced)
        };
        self.resume(Some(unsynced)).await;
    }

    fn refuse_calls(&self, error: &io::Error) {
        tracing::error!(%error, "the audit journal cannot be written: calls are refused until it can");
        let mut state = self.shared.lock();
        state.down = true;
        state.failures += 1;
        state.wake();
    }

    /// Cuts a half-written line and says that the journal stopped, in the space set aside.
    fn last_words(&mut self) {
        if self.segment.cut(self.length).is_err() {
            return;
        }
        self.storage.release();
        let before = self.chain;
        self.chain.note((self.clock)(), "the journal stopped", 0, &mut self.out);
        if self.write_out().is_err() {
            self.chain = before;
        }
    }

    /// Tries until it works, or until nobody needs the journal any more.
    async fn resume(&mut self, doubtful: Option<u64>) {
        loop {
            sleep(RETRY).await;
            match self.try_again(doubtful) {
                Ok(()) => {
                    self.shared.lock().down = false;
                    tracing::info!("the audit journal goes on");
                    return;
                }
                Err(error) => tracing::debug!(%error, "the audit journal still cannot be written"),
            }
            self.given_up = self.is_left();
            if self.given_up {
                return;
            }
        }
    }

    fn try_again(&mut self, doubtful: Option<u64>) -> io::Result<()> {
        self.segment.cut(self.length)?;
        self.storage.reserve()?;
        self.begin_next()?;
        let written = self.first_words(doubtful).and_then(|()| {
            self.take();
            self.write_taken()
        });
        if written.is_err() {
            // There is less space than it seemed: it must be found again before the next segment is begun.
            self.storage.release();
        }
        written
    }

    fn first_words(&mut self, doubtful: Option<u64>) -> io::Result<()> {
        let (before, now) = (self.chain, (self.clock)());
        if let Some(lines) = doubtful {
            self.chain.note(
                now,
                "a sync failed: the last lines before this segment may not last",
                lines,
                &mut self.out,
            );
        }
        self.chain.note(now, "the journal goes on", 0, &mut self.out);
        self.write_out().inspect_err(|_| self.chain = before)
    }
}
