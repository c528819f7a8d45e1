//! The table of managed keys while a gateway runs: as the store has it, within a quarter of a second.
//!
//! 1. A change made here counts with the next call: whoever makes one waits for [`Live::changed`].
//! 2. A change made by another process is seen by asking the store for its version, which costs it one small read.
//! 3. Streams are judged again when keys change, and when the time of one is over.
//! 4. Uses are written down in groups, every few seconds and at the end.
//! 5. Changes go into the journal of a gateway that runs.
//!
//! While the store does not answer, the table stays as it is, and the log says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use palisade_guard::authenticate::managed_key::ManagedKeys;
use palisade_guard::clock::Moment;
use tokio::sync::{Mutex, Notify};
use tokio_util::sync::CancellationToken;

use super::{Book, Error};
use crate::current::Current;
use crate::journal::{Durability, Journal};
use crate::store::{changes, keys};
use crate::time;

/// Between two questions whether the keys have changed.
const ASK: Duration = Duration::from_millis(250);
/// Between two times that uses are written down, in questions.
const FLUSH: u32 = 20;

/// The keys of a gateway that runs.
pub(crate) struct Live {
    /// What can be done with them.
    pub(crate) book: Book,
    /// The version of the table in force. Held while a table is loaded, so that none is put in the place of a newer one.
    version: Mutex<u64>,
    /// Something changed here.
    stirred: Notify,
    down: AtomicBool,
}

impl Live {
    /// The keys as they are now.
    pub(crate) async fn new(book: Book) -> Result<Self, Error> {
        let version = Mutex::new(book.load().await?);
        Ok(Self { book, version, stirred: Notify::new(), down: AtomicBool::new(false) })
    }

    /// The table that calls are judged by.
    pub(crate) fn managed(&self) -> &Arc<ManagedKeys> {
        &self.book.managed
    }

    /// Something was changed here: with the next call it counts.
    pub(crate) async fn changed(&self) -> Result<(), Error> {
        self.load().await?;
        self.stirred.notify_one();
        Ok(())
    }

    /// Something else was changed in the store that streams rest on and the journal must have.
    pub(crate) fn stir(&self) {
        self.stirred.notify_one();
    }

    async fn load(&self) -> Result<(), Error> {
        let mut version = self.version.lock().await;
        *version = self.book.load().await?;
        Ok(())
    }

    /// Loads the table if it is old; whether it was.
    async fn follow(&self) -> Result<bool, Error> {
        let version = keys::version(&mut self.book.store.read().await?).await?;
        let is_old = *self.version.lock().await != version;
        if is_old {
            self.load().await?;
        }
        Ok(is_old)
    }

    /// Follows the store until the gateway stops.
    pub(crate) async fn run(self: Arc<Self>, current: Current, stop: CancellationToken) {
        let mut until = self.next_end(0);
        for turn in 1_u32.. {
            let stirred = tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(ASK) => false,
                () = self.stirred.notified() => true,
            };
            let followed = self.follow().await;
            let changed = self.told(followed).unwrap_or_default();
            let now_ms = time::now().unix_ms;
            let over = until.is_some_and(|until| until <= now_ms);
            if stirred || changed || over {
                current.nudge();
                until = self.next_end(now_ms);
            }
            if stirred || changed || turn % FLUSH == 1 {
                self.told(self.record(&current.snapshot().lasting.journal).await);
            }
            if turn % FLUSH == 0 {
                self.told(self.flush().await);
            }
        }
    }

    /// The next moment at which a secret or a key ends by itself.
    fn next_end(&self, now_ms: u64) -> Option<u64> {
        let table = self.managed().table();
        let ends = table.values().flat_map(|key| [key.expires_ms, key.older.map(|(_, until)| until)]);
        ends.flatten().filter(|end| *end > now_ms).min()
    }

    /// Writes down what keys were used for.
    pub(crate) async fn flush(&self) -> Result<(), Error> {
        let table = self.managed().table();
        let taken = table.iter().filter_map(|(id, key)| key.usage.take().map(|count| (*id, key, count)));
        let taken: Vec<_> = taken.collect();
        if taken.is_empty() {
            return Ok(());
        }
        let write = async {
            let mut writing = self.book.store.write(Durability::Write).await?;
            for (id, _, (uses, last)) in &taken {
                let [uses, last] = [*uses, *last].map(|number| i64::try_from(number).unwrap_or(i64::MAX));
                keys::add_uses(&mut writing, id.as_str(), uses, last).await?;
            }
            Ok(writing.commit().await?)
        };
        let written = write.await;
        if written.is_err() {
            for (_, key, (uses, _)) in &taken {
                key.usage.give_back(*uses);
            }
        }
        written
    }

    /// Writes changes into the journal, and takes them out of the store when it has them.
    async fn record(&self, journal: &Journal) -> Result<(), Error> {
        loop {
            let (found, last) = changes::oldest(&self.book.store).await?;
            if found.is_empty() {
                return Ok(());
            }
            for change in &found {
                let unix_ms = u64::try_from(change.at).unwrap_or_default();
                let at = Moment { monotonic_ms: 0, unix_ms };
                let change = palisade_guard::audit::change::Change {
                    at,
                    who: &change.who,
                    what: &change.what,
                    target: &change.target,
                    before: change.before.as_deref(),
                    after: change.after.as_deref(),
                };
                // They stay where they are until the journal can be written again.
                if journal.change(&change, time::now()).await.is_err() {
                    return Ok(());
                }
            }
            changes::take_out(&self.book.store, last).await?;
        }
    }

    /// Says it once when the store goes, and once when it is back.
    fn told<T>(&self, result: Result<T, Error>) -> Option<T> {
        match &result {
            Err(error) if !self.down.swap(true, Relaxed) => {
                tracing::error!(%error, "the store does not answer: managed keys stay as they are");
            }
            Ok(_) if self.down.swap(false, Relaxed) => tracing::warn!("the store answers again"),
            _ => {}
        }
        result.ok()
    }
}
