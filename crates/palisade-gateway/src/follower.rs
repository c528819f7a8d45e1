//! What others change in the store, followed while a gateway runs: one question every quarter of a second, for managed
//! keys and for tokens.
//!
//! 1. A change made here counts with the next call: whoever makes one waits for it, and stirs this loop for the rest.
//! 2. A change made by another process is seen by asking the store for its versions, which costs it one small read; PostgreSQL
//!    tells of it at once.
//! 3. Streams are judged again when keys or tokens change, and when the time of a key is over.
//! 4. What keys were used for is written down in groups, every few seconds and at the end.
//! 5. Changes go into the journal of one gateway that runs.
//! 6. While the store does not answer all stays as it is, and it is known since when: what may have been withdrawn
//!    elsewhere meanwhile is not believed for ever ([`Heard`]).

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use palisade_guard::authenticate::Heard;
use palisade_guard::clock::Moment;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::current::Current;
use crate::journal::Journal;
use crate::keys;
use crate::store::{Error, Store, changes, facts};
use crate::time;
use crate::tokens;

/// Between two questions whether anything has changed.
const ASK: Duration = Duration::from_millis(250);
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between two times that uses are written down, in questions.
const FLUSH: u32 = 20;

/// Follows one store.
pub(crate) struct Follower {
    store: Store,
    keys: Arc<keys::Live>,
    tokens: Option<Arc<tokens::Live>>,
    /// When the store last answered.
    heard: Arc<Heard>,
    /// Something changed here.
    stirred: Notify,
    /// The file that was opened, where the store is one.
    file: Option<(PathBuf, u64, u64)>,
    /// Since when the store does not answer.
    down: Mutex<Option<Moment>>,
    /// Whether streams were told that what is known is too old.
    told_streams: AtomicBool,
}

impl Follower {
    /// Of what was just read from `store`.
    pub(crate) fn new(store: Store, keys: Arc<keys::Live>, tokens: Option<Arc<tokens::Live>>) -> Self {
        let file = store.file().and_then(|path| {
            let about = path.metadata().ok()?;
            Some((path.to_owned(), about.dev(), about.ino()))
        });
        Self {
            store,
            keys,
            tokens,
            heard: Arc::new(Heard::new(time::now())),
            stirred: Notify::new(),
            file,
            down: Mutex::new(None),
            told_streams: AtomicBool::new(false),
        }
    }

    /// When the store last answered.
    pub(crate) const fn heard(&self) -> &Arc<Heard> {
        &self.heard
    }

    /// Something was changed here that streams rest on and the journal must have.
    pub(crate) fn stir(&self) {
        self.stirred.notify_one();
    }

    /// Follows the store until the gateway stops.
    pub(crate) async fn run(self: Arc<Self>, current: Current, stop: CancellationToken) {
        let mut until = self.keys.next_end(0);
        let mut news = self.store.news();
        for turn in 1_u32.. {
            let stirred = tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(ASK) => false,
                () = self.stirred.notified() => true,
                // Of a store that tells.
                _ = news.changed() => false,
            };
            let followed = self.follow().await;
            let changed = self.told(followed).unwrap_or_default();
            let now_ms = time::now().unix_ms;
            let over = until.is_some_and(|until| until <= now_ms);
            if stirred || changed || over || self.is_just_stale(&current) {
                current.nudge();
                until = self.keys.next_end(now_ms);
            }
            if stirred || changed || turn % FLUSH == 1 {
                self.told(self.record(&current.snapshot().lasting.journal).await);
            }
            if turn % FLUSH == 0 {
                self.told(self.keys.flush().await.map_err(keys::Error::into_store));
            }
        }
    }

    /// Loads what is old; whether anything was.
    async fn follow(&self) -> Result<bool, Error> {
        let asked = time::now();
        let late = |_| Error::Down(format!("no answer within {PATIENCE:?}"));
        let loaded = tokio::time::timeout(PATIENCE, async {
            self.must_be_in_place()?;
            let (keys, tokens) = facts::versions(&self.store).await?;
            let keys = self.keys.follow(keys).await.map_err(keys::Error::into_store)?;
            let tokens = match &self.tokens {
                Some(live) => live.follow(tokens).await.map_err(tokens::Error::into_store)?,
                None => false,
            };
            Ok(keys || tokens)
        });
        let changed = loaded.await.unwrap_or_else(|over| Err(late(over)))?;
        self.heard.at(asked);
        Ok(changed)
    }

    /// The file that is open is the one that others find. One that was moved away answers for ever, and hears nothing.
    fn must_be_in_place(&self) -> Result<(), Error> {
        let Some((path, device, number)) = &self.file else { return Ok(()) };
        match path.metadata() {
            Ok(about) if (about.dev(), about.ino()) == (*device, *number) => Ok(()),
            Ok(_) => Err(Error::Down("another file is in its place: put it back, or restart".to_owned())),
            Err(error) => Err(Error::Down(error.to_string())),
        }
    }

    /// Whether what is known of the store has just become too old: streams that rest on it must end.
    fn is_just_stale(&self, current: &Current) -> bool {
        let is_stale = self.heard.is_stale(time::now(), current.snapshot().staleness());
        !self.told_streams.swap(is_stale, Relaxed) && is_stale
    }

    /// Writes changes into the journal, and takes them out of the store when it has them. One gateway at a time does so.
    async fn record(&self, journal: &Journal) -> Result<(), Error> {
        while let Some(taken) = changes::take(&self.store).await? {
            for (number, change) in &taken.changes {
                let unix_ms = u64::try_from(change.at).unwrap_or_default();
                let at = Moment { monotonic_ms: 0, unix_ms };
                let change = palisade_guard::audit::change::Change {
                    at,
                    number: *number,
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
            taken.out().await?;
        }
        Ok(())
    }

    /// Says it once when the store goes, and once when it is back.
    fn told<T>(&self, result: Result<T, Error>) -> Option<T> {
        let mut down = self.down.lock().unwrap_or_else(PoisonError::into_inner);
        match &result {
            Err(error) if down.is_none() => {
                tracing::error!(%error, "the store does not answer: managed keys and tokens stay as they are for a while");
                *down = Some(time::now());
            }
            Ok(_) if down.take().is_some() => tracing::warn!("the store answers again"),
            _ => {}
        }
        result.ok()
    }

    /// For the status page.
    pub(crate) fn status(&self, most_ms: u64) -> Value {
        let down = *self.down.lock().unwrap_or_else(PoisonError::into_inner);
        let now = time::now();
        json!({
            "kind": self.store.kind(),
            "reachable": down.is_none(),
            "degraded_since": down.map(|since| since.rfc3339().to_string()),
            "read_ms_ago": self.heard.age_ms(now),
            "too_old": self.heard.is_stale(now, most_ms),
        })
    }
}
