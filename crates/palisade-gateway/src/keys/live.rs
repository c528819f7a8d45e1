//! The table of managed keys while a gateway runs. A change made here counts with the next call: whoever makes one waits
//! for [`Live::changed`]. What others change is loaded by the [`follower`](crate::follower).

use std::sync::Arc;

use palisade_guard::authenticate::key_text::PublicId;
use palisade_guard::authenticate::managed_key::{ManagedKey, ManagedKeys};
use tokio::sync::Mutex;

use super::{Book, Error};
use crate::journal::Durability;
use crate::store::keys;

/// Keys whose uses are written down in one write.
const AT_ONCE: usize = 500;

/// The keys of a gateway that runs.
pub(crate) struct Live {
    /// What can be done with them.
    pub(crate) book: Book,
    /// The version of the table in force. Held while a table is loaded, so that none is put in the place of a newer one.
    version: Mutex<u64>,
}

impl Live {
    /// The keys as they are now.
    pub(crate) async fn new(book: Book) -> Result<Self, Error> {
        let version = Mutex::new(book.load().await?);
        Ok(Self { book, version })
    }

    /// The table that calls are judged by.
    pub(crate) fn managed(&self) -> &Arc<ManagedKeys> {
        &self.book.managed
    }

    /// Something was changed here: with the next call it counts.
    pub(crate) async fn changed(&self) -> Result<(), Error> {
        let mut version = self.version.lock().await;
        *version = self.book.load().await?;
        Ok(())
    }

    /// Whether any key works.
    pub(crate) fn has_one(&self, now_ms: u64) -> bool {
        self.managed().table().values().any(|key| key.expires_ms.is_none_or(|end| now_ms < end))
    }

    /// Loads the table if it is not of this version; whether it was not.
    pub(crate) async fn follow(&self, version: u64) -> Result<bool, Error> {
        if *self.version.lock().await == version {
            return Ok(false);
        }
        self.changed().await?;
        Ok(true)
    }

    /// The next moment at which a secret or a key ends by itself.
    pub(crate) fn next_end(&self, now_ms: u64) -> Option<u64> {
        let table = self.managed().table();
        let ends = table.values().flat_map(|key| [key.expires_ms, key.older.map(|(_, until)| until)]);
        ends.flatten().filter(|end| *end > now_ms).min()
    }

    /// Writes down what keys were used for, and before that those that are to be kept anew: a key whose use is written down
    /// is kept under the pepper in force.
    pub(crate) async fn flush(&self) -> Result<(), Error> {
        self.book.renew().await?;
        let table = self.managed().table();
        let taken = table.iter().filter_map(|(id, key)| key.usage.take().map(|count| (*id, key, count)));
        let mut taken: Vec<_> = taken.collect();
        taken.sort_unstable_by_key(|(id, ..)| *id);
        let mut rest = taken.as_slice();
        while !rest.is_empty() {
            let (some, later) = rest.split_at(rest.len().min(AT_ONCE));
            if let Err(error) = self.write_down(some).await {
                for (_, key, (uses, _)) in rest {
                    key.usage.give_back(*uses);
                }
                return Err(error);
            }
            rest = later;
        }
        Ok(())
    }

    async fn write_down(&self, some: &[(PublicId, &Arc<ManagedKey>, (u64, u64))]) -> Result<(), Error> {
        let rows = some.iter().map(|(id, _, (uses, last))| {
            let [uses, last] = [*uses, *last].map(|number| i64::try_from(number).unwrap_or(i64::MAX));
            (id.as_str().to_owned(), uses, last)
        });
        let mut writing = self.book.store.beside(Durability::Write).await?;
        keys::add_uses(&mut writing, &rows.collect::<Vec<_>>()).await?;
        Ok(writing.commit().await?)
    }
}
