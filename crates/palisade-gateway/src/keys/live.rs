//! The table of managed keys while a gateway runs. A change made here counts with the next call: whoever makes one waits
//! for [`Live::changed`]. What others change is loaded by the [`follower`](crate::follower).

use std::sync::Arc;

use palisade_guard::authenticate::managed_key::ManagedKeys;
use tokio::sync::Mutex;

use super::{Book, Error};
use crate::journal::Durability;
use crate::store::keys;

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
}
