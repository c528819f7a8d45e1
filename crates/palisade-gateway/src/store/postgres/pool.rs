//! The connections to a server: some are kept, more are opened while they are needed.
//!
//! 1. There are never more than `store.connections` and `store.overflow` together.
//! 2. Whoever wants one waits for `store.acquire_timeout` at most. A connection that takes longer to open is opened beside,
//!    and kept for the next.
//! 3. A connection is proven by the first thing that is asked of it. One that fails then is replaced, and nobody hears.
//! 4. One that failed later, or is too old, is not used again.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, timeout};

use super::connect::{Link, Target};
use super::error::down;
use super::{Error, Turn};

/// How long a connection may take to give up what was begun on it.
const UNDO: Duration = Duration::from_secs(1);
const BUSY: &str = "is it too slow, or store.connections too small?";

/// All of them.
pub(super) struct Pool {
    target: Arc<Target>,
    /// Those that nobody uses, the latest used last.
    idle: Mutex<Vec<Kept>>,
    /// How many may be in use or be opened at one time.
    room: Arc<Semaphore>,
    closed: AtomicBool,
}

/// A connection, and since when.
struct Kept {
    link: Link,
    opened: Instant,
    used: Instant,
}

/// A connection in use; a transaction is begun on it.
pub(super) struct Lease {
    kept: Option<Kept>,
    pool: Arc<Pool>,
    room: Option<OwnedSemaphorePermit>,
}

impl Pool {
    pub(super) fn new(target: Target) -> Arc<Self> {
        let most = target.place.connections.saturating_add(target.place.overflow);
        let room = Arc::new(Semaphore::new(most));
        Arc::new(Self { target: Arc::new(target), idle: Mutex::default(), room, closed: AtomicBool::new(false) })
    }

    /// A connection with a transaction begun on it.
    pub(super) async fn lease(self: &Arc<Self>, turn: Turn) -> Result<Lease, Error> {
        let leased = timeout(self.target.place.acquire, async {
            let room = Arc::clone(&self.room).acquire_owned().await.map_err(|_| down("was let go of", BUSY))?;
            let mut lease = Lease { kept: None, pool: Arc::clone(self), room: Some(room) };
            while let Some(kept) = self.pop() {
                lease.kept = Some(kept);
                if lease.begin(turn).await.is_ok() {
                    return Ok(lease);
                }
                lease.kept = None;
            }
            let room = lease.room.take();
            drop(lease);
            let lease = self.open(room).await?;
            lease.begin(turn).await?;
            Ok(lease)
        });
        leased.await.unwrap_or_else(|_| {
            // What was opened before may be a way to nobody: to find that out of each would take as long again.
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
            Err(down("does not answer in time", BUSY))
        })
    }

    /// Opens another one, beside: who asked may be gone before it is there.
    async fn open(self: &Arc<Self>, room: Option<OwnedSemaphorePermit>) -> Result<Lease, Error> {
        let (tell, told) = oneshot::channel();
        let pool = Arc::clone(self);
        tokio::spawn(async move {
            let opened = pool.target.link().await.map(|link| {
                let now = Instant::now();
                Lease { kept: Some(Kept { link, opened: now, used: now }), pool: Arc::clone(&pool), room }
            });
            if let Err(Ok(unwanted)) = tell.send(opened) {
                unwanted.done();
            }
        });
        told.await.map_err(|_| down("was let go of", BUSY))?
    }

    /// The latest used that is not too old. Those that nobody needed for long are closed on the way.
    fn pop(&self) -> Option<Kept> {
        let (lifetime, idle) = (self.target.place.lifetime, self.target.place.idle);
        let mut kept = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|kept| {
            kept.opened.elapsed() < lifetime && kept.used.elapsed() < idle && !kept.link.client.is_closed()
        });
        kept.pop()
    }

    fn keep(&self, kept: Kept) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.closed.load(Relaxed) && idle.len() < self.target.place.connections {
            idle.push(Kept { used: Instant::now(), ..kept });
        }
    }

    /// Closes what nobody uses, and nothing is kept from now on.
    pub(super) fn close(&self) {
        self.closed.store(true, Relaxed);
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub(super) const fn target(&self) -> &Arc<Target> {
        &self.target
    }

    /// Opens the first one, however long its opening may take.
    pub(super) async fn warm(&self) -> Result<(), Error> {
        let (link, now) = (self.target.link().await?, Instant::now());
        self.keep(Kept { link, opened: now, used: now });
        Ok(())
    }
}

impl Lease {
    /// What to ask; `None` where it failed before.
    pub(super) fn link(&self) -> Option<&Link> {
        self.kept.as_ref().map(|kept| &kept.link)
    }

    /// The times of the configuration.
    pub(super) fn target(&self) -> &Target {
        self.pool.target()
    }

    /// It is not used again.
    pub(super) fn give_up(&mut self) {
        self.kept = None;
    }

    async fn begin(&self, turn: Turn) -> Result<(), Error> {
        let Some(link) = self.link() else { return Err(down("was let go of", BUSY)) };
        Ok(link.client.batch_execute(turn.begin()).await?)
    }

    /// Gives it back, with nothing begun on it.
    pub(super) fn done(mut self) {
        if let Some(kept) = self.kept.take() {
            self.pool.keep(kept);
        }
    }
}

impl Drop for Lease {
    /// What was begun is undone beside; where that cannot be said in time, the connection goes, and with it the rest.
    fn drop(&mut self) {
        let (Some(kept), Ok(runtime)) = (self.kept.take(), tokio::runtime::Handle::try_current()) else { return };
        let (pool, room) = (Arc::clone(&self.pool), self.room.take());
        runtime.spawn(async move {
            if let Ok(Ok(())) = timeout(UNDO, kept.link.client.batch_execute("ROLLBACK")).await {
                pool.keep(kept);
            }
            drop(room);
        });
    }
}
