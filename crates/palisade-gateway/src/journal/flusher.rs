//! The one task that writes. It takes all lines that have gathered, seals them into the chain and writes them at once.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use palisade_guard::arrival::CorrelationId;
use palisade_guard::audit::chain::Chain;
use palisade_guard::clock::Moment;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use super::disk::{Segment, Storage};
use super::lines::{Lines, Mark};
use super::recover::Recovered;
use super::{Config, Shared};

pub(super) struct Flusher {
    pub(super) shared: Arc<Shared>,
    pub(super) storage: Box<dyn Storage>,
    pub(super) segment: Box<dyn Segment>,
    number: u64,
    /// Bytes of whole lines in the segment.
    pub(super) length: u64,
    segment_bytes: u64,
    node: String,
    pub(super) chain: Chain,
    pub(super) clock: fn() -> Moment,
    /// Arrivals with an intent in the chain and no closing line.
    open: HashSet<CorrelationId>,
    /// Taken from the callers.
    taken: Lines,
    /// Refusals that only a count tells of.
    uncounted: u64,
    pub(super) out: Vec<u8>,
    /// Why a write failed, about which nothing was done yet.
    failed: Option<io::Error>,
    /// Nothing could be written, and nobody is left to wait for it.
    pub(super) given_up: bool,
    syncing: Option<(u64, JoinHandle<io::Result<()>>)>,
    next_sync: Instant,
}

/// What comes after a turn.
enum Turn {
    /// Another one.
    Again,
    /// Nothing, until there is work or it is this late.
    Wait(Instant),
    /// The end.
    Done,
}

/// How often the disk is asked to keep what was written, where no intent waits for it.
const SYNC: Duration = Duration::from_secs(1);
/// Bytes of one write, where a stop has let many gather: what fits is written, even if not all does.
const PIECE: usize = 1 << 20;

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
            open: HashSet::new(),
            taken: Lines::default(),
            uncounted: 0,
            out: Vec::new(),
            failed: None,
            given_up: false,
            syncing: None,
            next_sync: Instant::now() + SYNC,
        };
        if let Err(error) = flusher.write_first(recovered) {
            flusher.storage.discard(number);
            return Err(error);
        }
        if let Err(error) = flusher.storage.reserve() {
            tracing::warn!(%error, "no space can be set aside for the journal's last words");
        }
        Ok(flusher)
    }

    /// The first lines after a start: what the last process left is mended in them.
    fn write_first(&mut self, recovered: &Recovered) -> io::Result<()> {
        let now = (self.clock)();
        let open = recovered.unclosed.iter().map(String::as_str);
        self.chain.begin_segment(self.number, &self.node, open, now, &mut self.out);
        if recovered.torn_bytes > 0 {
            self.chain.note(now, "a torn line was cut off", recovered.torn_bytes, &mut self.out);
        }
        for correlation in &recovered.unclosed {
            self.chain.recovered(now, correlation, &mut self.out);
        }
        self.write_out()
    }

    /// Writes until the journal is closed.
    pub(super) async fn run(flusher: Arc<tokio::sync::Mutex<Self>>) {
        loop {
            let (shared, until) = {
                let mut this = flusher.lock().await;
                match this.turn().await {
                    Turn::Again => continue,
                    Turn::Done => return,
                    Turn::Wait(until) => (Arc::clone(&this.shared), until),
                }
            };
            let _work_or_time = timeout_at(until, shared.work.notified()).await;
        }
    }

    /// Does the next thing that is to be done.
    async fn turn(&mut self) -> Turn {
        if self.given_up {
            return Turn::Done;
        }
        if let Some(error) = self.failed.take() {
            self.stop(&error).await;
            return Turn::Again;
        }
        self.take();
        if self.has_work() {
            self.work().await;
            return Turn::Again;
        }
        let closing = self.shared.lock().closing;
        if (self.shared.strict || closing) && self.is_unsynced() {
            if let Err(error) = self.sync().await {
                self.distrust(&error).await;
            }
            return Turn::Again;
        }
        if self.is_left() {
            return Turn::Done;
        }
        if Instant::now() >= self.next_sync {
            self.next_sync = Instant::now() + SYNC;
            self.sync_in_background().await;
            // What was handed over meanwhile has sent its word already.
            return Turn::Again;
        }
        Turn::Wait(self.next_sync)
    }

    /// Writes what waits, for the one call under way, if that is all there is to do.
    pub(super) fn write_at_once(&mut self) -> bool {
        if self.length >= self.segment_bytes || self.failed.is_some() || self.given_up {
            return false;
        }
        self.take();
        // What is to be done about a failure takes longer than a call may wait here.
        self.failed = self.write_taken().err();
        self.failed.is_none()
    }

    /// Writes what was taken; into a new segment when this one is full. That one is synced before: what an intent waits
    /// for must not be in a file that nobody syncs any more.
    async fn work(&mut self) {
        if self.length < self.segment_bytes {
            if let Err(error) = self.write_taken() {
                self.stop(&error).await;
            }
            return;
        }
        if let Err(error) = self.sync().await {
            return self.distrust(&error).await;
        }
        if let Err(error) = self.begin_next() {
            self.stop(&error).await;
        }
    }

    /// Whether nobody can hand over anything any more.
    pub(super) fn is_left(&self) -> bool {
        self.shared.lock().closing && Arc::strong_count(&self.shared) == 1
    }

    fn has_work(&self) -> bool {
        !self.taken.is_empty() || self.uncounted > 0
    }

    /// Takes all that has gathered.
    pub(super) fn take(&mut self) {
        let mut state = self.shared.lock();
        self.taken.take(&mut state.lines);
        self.uncounted += std::mem::take(&mut state.uncounted);
        state.held = self.taken.bytes();
    }

    /// Seals and writes what was taken. What cannot be written is still here, and the chain ends where the file does.
    pub(super) fn write_taken(&mut self) -> io::Result<()> {
        while self.has_work() {
            let before = self.chain;
            if self.uncounted > 0 {
                let now = (self.clock)();
                self.chain.note(now, "refusals without lines of their own", self.uncounted, &mut self.out);
            }
            let mut lines = 0;
            for (body, _) in self.taken.unwritten() {
                self.chain.seal(&mut self.out, |out| out.extend_from_slice(body));
                lines += 1;
                if self.out.len() >= PIECE {
                    break;
                }
            }
            if let Err(error) = self.write_out() {
                self.chain = before;
                return Err(error);
            }
            self.uncounted = 0;
            self.wrote(lines);
        }
        Ok(())
    }

    /// The next lines are in the file: whoever waits for that hears of it.
    fn wrote(&mut self, lines: usize) {
        for (_, mark) in self.taken.unwritten().take(lines) {
            match mark {
                Mark::Opens(arrival) => drop(self.open.insert(arrival)),
                Mark::Closes(arrival) => drop(self.open.remove(&arrival)),
                Mark::Stands => {}
            }
        }
        self.taken.wrote(lines);
        let mut state = self.shared.lock();
        state.written += u64::try_from(lines).unwrap_or(u64::MAX);
        state.held = self.taken.bytes();
        state.wake();
    }

    /// Writes all of `out`, and forgets it if that fails.
    pub(super) fn write_out(&mut self) -> io::Result<()> {
        let written = self.segment.write(&self.out);
        if written.is_ok() {
            self.length += u64::try_from(self.out.len()).unwrap_or(u64::MAX);
        }
        self.out.clear();
        self.out.shrink_to(PIECE);
        written
    }

    /// Begins the next segment, or leaves no trace of it.
    pub(super) fn begin_next(&mut self) -> io::Result<()> {
        let number = self.number + 1;
        let mut next = self.storage.create(number)?;
        let before = self.chain;
        let mut first = Vec::new();
        let open = self.open.iter().map(CorrelationId::as_str);
        self.chain.begin_segment(number, &self.node, open, (self.clock)(), &mut first);
        if let Err(error) = next.write(&first) {
            self.chain = before;
            self.storage.discard(number);
            return Err(error);
        }
        self.segment = next;
        self.number = number;
        self.length = u64::try_from(first.len()).unwrap_or(u64::MAX);
        Ok(())
    }

    fn is_unsynced(&self) -> bool {
        let state = self.shared.lock();
        state.synced < state.written
    }

    /// Syncs what was written, with all that waits for it.
    async fn sync(&mut self) -> io::Result<()> {
        let written = self.shared.lock().written;
        let sync = self.segment.sync()?;
        tokio::task::spawn_blocking(sync).await.unwrap_or_else(|error| Err(io::Error::other(error)))?;
        self.synced(written);
        Ok(())
    }

    /// Has the disk sync while writing goes on.
    async fn sync_in_background(&mut self) {
        match self.syncing.take() {
            Some((written, syncing)) if syncing.is_finished() => {
                match syncing.await.unwrap_or_else(|error| Err(io::Error::other(error))) {
                    Ok(()) => self.synced(written),
                    Err(error) => return self.distrust(&error).await,
                }
            }
            // A slow disk: one sync at a time.
            Some(syncing) => {
                self.syncing = Some(syncing);
                return;
            }
            None => {}
        }
        if !self.is_unsynced() {
            return;
        }
        let written = self.shared.lock().written;
        match self.segment.sync() {
            Ok(sync) => self.syncing = Some((written, tokio::task::spawn_blocking(sync))),
            Err(error) => self.distrust(&error).await,
        }
    }

    fn synced(&self, written: u64) {
        let mut state = self.shared.lock();
        state.synced = state.synced.max(written);
        state.wake();
    }
}
