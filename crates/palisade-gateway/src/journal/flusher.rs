//! The one task that writes. It takes all lines that have gathered, seals them into the chain and writes them at once.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use palisade_guard::audit::chain::Chain;
use palisade_guard::clock::Moment;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout_at};

use super::disk::{Segment, Storage};
use super::recover::Recovered;
use super::{Config, Shared};

pub(super) struct Flusher {
    shared: Arc<Shared>,
    storage: Box<dyn Storage>,
    segment: Box<dyn Segment>,
    number: u64,
    length: u64,
    segment_bytes: u64,
    node: String,
    chain: Chain,
    clock: fn() -> Moment,
    /// Taken from the callers and not written yet.
    bodies: Vec<u8>,
    ends: Vec<usize>,
    /// Refusals that only a count tells of.
    uncounted: u64,
    out: Vec<u8>,
    syncing: Option<(u64, JoinHandle<io::Result<()>>)>,
    next_sync: Instant,
}

/// How often the disk is asked to keep what was written, where no intent waits for it.
const SYNC: Duration = Duration::from_secs(1);
/// How often writing is tried again while it fails.
const RETRY: Duration = Duration::from_millis(250);

impl Flusher {
    /// Begins a segment that goes on from what was recovered.
    pub(super) fn begin(
        shared: Arc<Shared>,
        storage: Box<dyn Storage>,
        config: &Config,
        recovered: &Recovered,
        clock: fn() -> Moment,
    ) -> io::Result<Self> {
        let number = recovered.next_segment;
        let mut flusher = Self {
            segment: storage.create(number)?,
            shared,
            storage,
            number,
            length: 0,
            segment_bytes: config.segment_bytes,
            node: config.node.clone(),
            chain: recovered.chain,
            clock,
            bodies: Vec::new(),
            ends: Vec::new(),
            uncounted: 0,
            out: Vec::new(),
            syncing: None,
            next_sync: Instant::now() + SYNC,
        };
        let now = clock();
        flusher.chain.begin_segment(number, &flusher.node, now, &mut flusher.out);
        if recovered.torn_bytes > 0 {
            flusher.chain.note(now, "a torn line was cut off", recovered.torn_bytes, &mut flusher.out);
        }
        for correlation in &recovered.unclosed {
            flusher.chain.recovered(now, correlation, &mut flusher.out);
        }
        flusher.write_out()?;
        if let Err(error) = flusher.storage.reserve() {
            tracing::warn!(%error, "no space can be set aside for the journal's last words");
        }
        Ok(flusher)
    }

    /// Writes until the journal is closed.
    pub(super) async fn run(mut self) {
        loop {
            let strict_or_flush = self.shared.strict || self.shared.lock().closing;
            self.take();
            if !self.ends.is_empty() {
                if let Err(error) = self.write_taken() {
                    self.recover(&error).await;
                }
                continue;
            }
            if strict_or_flush && self.is_unsynced() {
                self.sync_now().await;
                continue;
            }
            if self.shared.lock().closing {
                self.shared.lock().wake(true);
                if Arc::strong_count(&self.shared) == 1 {
                    return;
                }
            }
            self.idle().await;
        }
    }

    /// Waits for work, or for the time to sync.
    async fn idle(&mut self) {
        let shared = Arc::clone(&self.shared);
        if timeout_at(self.next_sync, shared.work.notified()).await.is_err() {
            self.next_sync = Instant::now() + SYNC;
            self.sync_in_background().await;
        }
    }

    /// Takes all that has gathered.
    fn take(&mut self) {
        let mut state = self.shared.lock();
        if self.ends.is_empty() {
            std::mem::swap(&mut self.bodies, &mut state.bodies);
            std::mem::swap(&mut self.ends, &mut state.ends);
        } else {
            let offset = self.bodies.len();
            self.bodies.append(&mut state.bodies);
            self.ends.extend(state.ends.drain(..).map(|end| end + offset));
        }
        self.uncounted += std::mem::take(&mut state.uncounted);
    }

    /// Seals and writes what was taken. On failure the chain is as it was and everything is still here.
    fn write_taken(&mut self) -> io::Result<()> {
        let before = self.chain;
        let mut start = 0;
        for end in &self.ends {
            let body = self.bodies.get(start..*end).unwrap_or_default();
            self.chain.seal(&mut self.out, |out| out.extend_from_slice(body));
            start = *end;
        }
        if self.uncounted > 0 {
            self.chain.note((self.clock)(), "refusals without lines of their own", self.uncounted, &mut self.out);
        }
        if let Err(error) = self.write_out() {
            self.chain = before;
            self.out.clear();
            return Err(error);
        }
        self.uncounted = 0;
        let lines = u64::try_from(self.ends.len()).unwrap_or(u64::MAX);
        self.bodies.clear();
        self.ends.clear();
        let mut state = self.shared.lock();
        state.written += lines;
        state.down = false;
        let strict = self.shared.strict;
        state.wake(strict);
        drop(state);
        if self.length >= self.segment_bytes {
            return self.rotate();
        }
        Ok(())
    }

    fn write_out(&mut self) -> io::Result<()> {
        self.segment.write(&self.out)?;
        self.length += u64::try_from(self.out.len()).unwrap_or(u64::MAX);
        self.out.clear();
        Ok(())
    }

    /// Begins the next segment.
    fn rotate(&mut self) -> io::Result<()> {
        let mut next = self.storage.create(self.number + 1)?;
        let before = self.chain;
        let mut first = Vec::new();
        self.chain.begin_segment(self.number + 1, &self.node, (self.clock)(), &mut first);
        if let Err(error) = next.write(&first) {
            self.chain = before;
            return Err(error);
        }
        // The old segment is complete: it is synced before it is let go.
        if let Ok(sync) = self.segment.sync() {
            tokio::task::spawn_blocking(move || {
                if let Err(error) = sync() {
                    tracing::error!(%error, "a full segment of the journal cannot be synced");
                }
            });
        }
        self.segment = next;
        self.number += 1;
        self.length = u64::try_from(first.len()).unwrap_or(u64::MAX);
        Ok(())
    }

    /// Writing failed: callers are told, the segment gets its last words, and a new one is begun when one can be.
    async fn recover(&mut self, error: &io::Error) {
        tracing::error!(%error, "the audit journal cannot be written: calls are refused until it can");
        {
            let mut state = self.shared.lock();
            state.down = true;
            state.failures += 1;
            let strict = self.shared.strict;
            state.wake(strict);
        }
        self.last_words();
        loop {
            sleep(RETRY).await;
            if self.shared.lock().closing && Arc::strong_count(&self.shared) == 1 {
                return;
            }
            self.take();
            if self.rotate().is_err() {
                // A file that was made and could not be begun keeps its number.
                self.number += 1;
                continue;
            }
            let (before, length) = (self.chain, self.length);
            self.chain.note((self.clock)(), "the journal goes on", 0, &mut self.out);
            if self.write_out().is_err() || (!self.ends.is_empty() && self.write_taken().is_err()) {
                self.chain = before;
                self.out.clear();
                let _as_good_as_it_gets = self.segment.cut(length);
                self.length = length;
                continue;
            }
            self.shared.lock().down = false;
            drop(self.storage.reserve());
            tracing::info!("the audit journal goes on");
            return;
        }
    }

    /// Cuts a half-written line and says that the journal stopped, in the space set aside.
    fn last_words(&mut self) {
        if self.segment.cut(self.length).is_err() {
            return;
        }
        self.storage.release();
        let before = self.chain;
        self.out.clear();
        self.chain.note((self.clock)(), "the journal stopped", 0, &mut self.out);
        if self.write_out().is_err() {
            self.chain = before;
            self.out.clear();
            let _as_good_as_it_gets = self.segment.cut(self.length);
        }
    }

    fn is_unsynced(&self) -> bool {
        let state = self.shared.lock();
        state.synced < state.written
    }

    /// Syncs what was written, with all that waits for it.
    async fn sync_now(&mut self) {
        let written = self.shared.lock().written;
        let synced = match self.segment.sync() {
            Ok(sync) => tokio::task::spawn_blocking(sync).await.unwrap_or_else(|error| Err(io::Error::other(error))),
            Err(error) => Err(error),
        };
        self.synced(written, synced).await;
    }

    /// Has the disk sync while writing goes on.
    async fn sync_in_background(&mut self) {
        match self.syncing.take() {
            Some((written, syncing)) if syncing.is_finished() => {
                let synced = syncing.await.unwrap_or_else(|error| Err(io::Error::other(error)));
                self.synced(written, synced).await;
            }
            // A slow disk: one sync at a time.
            Some(syncing) => {
                self.syncing = Some(syncing);
                return;
            }
            None => {}
        }
        if self.is_unsynced()
            && let Ok(sync) = self.segment.sync()
        {
            self.syncing = Some((self.shared.lock().written, tokio::task::spawn_blocking(sync)));
        }
    }

    async fn synced(&mut self, written: u64, synced: io::Result<()>) {
        match synced {
            Ok(()) => {
                let mut state = self.shared.lock();
                state.synced = state.synced.max(written);
                let strict = self.shared.strict;
                state.wake(strict);
            }
            // What a failed sync left behind cannot be known (fsync(2)): this segment is not trusted any more.
            Err(error) => self.recover(&error).await,
        }
    }
}
