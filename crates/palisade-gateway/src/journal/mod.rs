//! The audit journal: records on disk, in a chain, one write for all that gather in one round of the scheduler.
//!
//! 1. An intent is on its way to the disk before its deed: [`Journal::intend`] returns when it was written, or under
//!    `durability = "strict"` when it was synced. What is written survives the death of this process; what is synced
//!    survives the death of the machine, and happens every second otherwise.
//! 2. A closing line is handed over and never waits: [`Journal::close`] is called from `Drop`.
//! 3. When nothing can be written, or too much waits to be, intents are refused, so nothing is done unrecorded. Closing
//!    lines wait in memory; what waits is bounded because nothing new is begun. Refusals beyond that bound are counted
//!    and the count is written.
//! 4. After a failed write the segment is closed for good and a new one is begun, as soon as one can be: see `outage`.

mod disk;
mod flusher;
mod lines;
mod outage;
mod recover;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use palisade_guard::audit::change::Change;
use palisade_guard::audit::record::Record;
use palisade_guard::clock::Moment;
use tokio::sync::Notify;

pub(crate) use disk::private;
use disk::{Disk, Storage};
use flusher::Flusher;
use lines::{Lines, Mark};
pub use recover::{Recovered, VerifyError, verify};

/// Where and how the journal is written.
#[derive(Debug, Clone)]
pub struct Config {
    /// Its folder, for this process alone.
    pub dir: PathBuf,
    /// What an intent waits for.
    pub durability: Durability,
    /// The size after which a new segment is begun.
    pub segment_bytes: u64,
    /// The name of this replica, in each segment.
    pub node: String,
}

/// What an intent waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// The write: it survives `kill -9`.
    Write,
    /// The sync: it survives a power cut.
    Strict,
}

impl From<crate::config::Durability> for Durability {
    fn from(durability: crate::config::Durability) -> Self {
        match durability {
            crate::config::Durability::Write => Self::Write,
            crate::config::Durability::Strict => Self::Strict,
        }
    }
}

/// Why a journal cannot be opened.
#[derive(Debug)]
pub enum Error {
    /// Another process holds this folder.
    Locked(PathBuf),
    /// The folder cannot be used.
    Io(PathBuf, io::Error),
    /// What is there is not intact.
    Broken(VerifyError),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Locked(dir) => {
                write!(f, "{} is in use by another process; give each gateway its own folder", dir.display())
            }
            Self::Io(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Broken(error) => {
                write!(f, "the journal is not intact: {error}; keep the folder as evidence and start with another one")
            }
        }
    }
}

/// Nothing can be recorded now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JournalDown;

/// How the journal fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// Lines handed over since the start.
    pub records: u64,
    /// Bytes that wait to be written.
    pub buffered_bytes: usize,
    /// Whether writing fails.
    pub down: bool,
}

/// The journal of this process.
pub struct Journal {
    shared: Arc<Shared>,
    /// Held by the flusher's own task while it writes. A call tries to take it and never waits for it.
    flusher: Arc<tokio::sync::Mutex<Flusher>>,
}

/// What callers and the flusher share. No lock is held across a write.
struct Shared {
    state: Mutex<State>,
    work: Notify,
    strict: bool,
}

#[derive(Default)]
struct State {
    /// Handed over and not taken by the flusher.
    lines: Lines,
    /// Bytes that the flusher has taken and not written.
    held: usize,
    /// Intents whose closing line was not handed over.
    open: usize,
    /// Lines handed over, written, synced.
    appended: u64,
    written: u64,
    synced: u64,
    /// How often writing began to fail: whoever waits across such a moment is told.
    failures: u64,
    down: bool,
    /// Refusals that are only counted, because too much waits.
    uncounted: u64,
    waiting: Vec<(Wanted, Waker)>,
    closing: bool,
}

/// Bytes that may wait to be written before intents are refused and refusals only counted.
const BUFFERED: usize = 16 << 20;
/// Intents that may be open at one time: a new segment names them all in its first line.
const OPEN: usize = 65_536;

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Journal {
    /// Opens the journal, mends what a crash left, and begins to write.
    pub fn open(config: Config, clock: fn() -> Moment) -> Result<(Self, Recovered), Error> {
        let disk = Disk::open(&config.dir)?;
        let recovered = recover::recover(&disk)?;
        let journal =
            Self::begin(&config, Box::new(disk), &recovered, clock).map_err(|error| Error::Io(config.dir, error))?;
        Ok((journal, recovered))
    }

    fn begin(
        config: &Config,
        storage: Box<dyn Storage>,
        recovered: &Recovered,
        clock: fn() -> Moment,
    ) -> io::Result<Self> {
        let strict = config.durability == Durability::Strict;
        let shared = Arc::new(Shared { state: Mutex::default(), work: Notify::new(), strict });
        let flusher = Flusher::begin(Arc::clone(&shared), storage, config, recovered, clock)?;
        let flusher = Arc::new(tokio::sync::Mutex::new(flusher));
        tokio::spawn(Flusher::run(Arc::clone(&flusher)));
        Ok(Self { shared, flusher })
    }

    /// Writes down what is about to be done.
    pub async fn intend(&self, record: &mut Record, now: Moment) -> Result<(), JournalDown> {
        let (wanted, alone) = {
            let mut state = self.shared.lock();
            if state.down || state.buffered() > BUFFERED || state.open >= OPEN {
                return Err(JournalDown);
            }
            record.intended = true;
            state.open += 1;
            state.append(Mark::Opens(record.correlation), |out| record.write_intent(now, out));
            let wanted = Wanted { ticket: state.appended, failures: state.failures, synced: self.shared.strict };
            (wanted, state.open == 1 && !self.shared.strict)
        };
        // Nobody is there to share the write with: to wake another task for it would only take longer.
        if !(alone && self.flusher.try_lock().is_ok_and(|mut flusher| flusher.write_at_once())) {
            self.shared.work.notify_one();
        }
        Written { shared: &self.shared, wanted }.await
    }

    /// Hands over the closing line of an arrival. Never waits, never fails.
    pub fn close(&self, record: &Record, now: Moment) {
        {
            let mut state = self.shared.lock();
            if !record.intended && state.buffered() > BUFFERED {
                state.uncounted += 1;
                return;
            }
            let mark = if record.intended { Mark::Closes(record.correlation) } else { Mark::Stands };
            state.open = state.open.saturating_sub(usize::from(record.intended));
            state.append(mark, |out| record.write_closing(now, out));
        }
        self.shared.work.notify_one();
    }

    /// Writes down what somebody changed, and waits until it is written.
    pub async fn change(&self, change: &Change<'_>, now: Moment) -> Result<(), JournalDown> {
        let wanted = {
            let mut state = self.shared.lock();
            if state.down || state.buffered() > BUFFERED {
                return Err(JournalDown);
            }
            state.append(Mark::Stands, |out| change.write(now, out));
            Wanted { ticket: state.appended, failures: state.failures, synced: self.shared.strict }
        };
        self.shared.work.notify_one();
        Written { shared: &self.shared, wanted }.await
    }

    /// Waits until all that was handed over is written and synced, or cannot be.
    pub async fn flush(&self) {
        let wanted = {
            let mut state = self.shared.lock();
            state.closing = true;
            Wanted { ticket: state.appended, failures: state.failures, synced: true }
        };
        self.shared.work.notify_one();
        // There is nobody left to tell that the last lines could not be written; the log was told.
        let _told_to_the_log = Written { shared: &self.shared, wanted }.await;
    }

    /// Whether writing fails now.
    pub fn is_down(&self) -> bool {
        self.shared.lock().down
    }

    /// How the journal fares.
    pub fn status(&self) -> Status {
        let state = self.shared.lock();
        Status { records: state.appended, buffered_bytes: state.buffered(), down: state.down }
    }
}

impl State {
    fn append(&mut self, mark: Mark, write: impl FnOnce(&mut Vec<u8>)) {
        self.lines.push(mark, write);
        self.appended += 1;
    }

    fn buffered(&self) -> usize {
        self.lines.bytes() + self.held
    }

    /// Whether what is wanted was done, or cannot be; `None` while it may be.
    fn judge(&self, wanted: Wanted) -> Option<Result<(), JournalDown>> {
        // First of all: a line that was written, and is in doubt since, is not done.
        if self.failures != wanted.failures || (self.down && wanted.synced) {
            return Some(Err(JournalDown));
        }
        let done = if wanted.synced { self.synced } else { self.written };
        (done >= wanted.ticket).then_some(Ok(()))
    }

    /// Wakes everybody who need not wait any longer.
    fn wake(&mut self) {
        let waiting = std::mem::take(&mut self.waiting);
        for (wanted, waker) in waiting {
            if self.judge(wanted).is_some() {
                waker.wake();
            } else {
                self.waiting.push((wanted, waker));
            }
        }
    }
}

/// A line that somebody waits for.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    ticket: u64,
    failures: u64,
    synced: bool,
}

/// Done when a line was written or synced, or when writing failed in between.
struct Written<'s> {
    shared: &'s Shared,
    wanted: Wanted,
}

impl Future for Written<'_> {
    type Output = Result<(), JournalDown>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.shared.lock();
        if let Some(judged) = state.judge(self.wanted) {
            return Poll::Ready(judged);
        }
        state.waiting.push((self.wanted, context.waker().clone()));
        Poll::Pending
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.shared.lock().closing = true;
        self.shared.work.notify_one();
    }
}

/// Whether no other process holds this folder.
pub fn is_free(dir: &Path) -> io::Result<bool> {
    disk::lock(dir).map(|lock| lock.is_some())
}
