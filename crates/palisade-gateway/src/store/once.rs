//! What may happen once, however many gateways share the store: the use of a nonce, and a deed under an idempotency key.
//!
//! 1. One task writes. Whatever waits when its turn comes is one write, and everybody hears of it when it is on the disk:
//!    a disk that syncs a hundred times in a second still takes thousands of calls.
//! 2. What cannot be written down was not the first, and is not done.
//! 3. A claim under way belongs to a gateway, which says every two seconds that it lives. When it has said nothing for
//!    ten, the outcome of its claims is unknown.

mod claims;
mod nonces;

use std::sync::Arc;
use std::time::Duration;

use palisade_guard::clock::Moment;
use palisade_guard::idempotency::{self, Claims, Deed, End, Found};
use palisade_guard::sign::nonces::{Answer, Down, Nonces, Seen, Use};
use tokio::sync::{mpsc, oneshot};

use super::Store;
use crate::journal::Durability;
use crate::{random, time};

/// Questions that may wait. More are turned away: the disk does not keep up.
const WAITING: usize = 4096;
/// Questions in one write.
const TOGETHER: usize = 256;
/// How often a gateway with claims under way says that it lives.
const BEAT: Duration = Duration::from_secs(2);
/// How long one counts as living after that.
const ALIVE_MS: u64 = 10_000;
/// How long one question may take.
const PATIENCE: Duration = Duration::from_secs(5);
const SLOW: &str = "the store did not answer in time";
const FULL: &str = "too many wait for the store";

/// Nonces and claims in the store.
#[derive(Clone)]
pub(crate) struct Once {
    jobs: mpsc::Sender<Job>,
}

enum Job {
    Nonce(Use, oneshot::Sender<Result<Seen, &'static str>>),
    Claim(Deed, u64, oneshot::Sender<Result<Found, idempotency::Down>>),
    Settle([u8; 32], End, oneshot::Sender<Result<(), &'static str>>),
}

/// What is told when the write is done.
enum Told {
    Nonce(Result<Seen, &'static str>, oneshot::Sender<Result<Seen, &'static str>>),
    Claim(Result<Found, idempotency::Down>, oneshot::Sender<Result<Found, idempotency::Down>>),
    Settle(oneshot::Sender<Result<(), &'static str>>),
}

impl Once {
    /// Begins to write to `store`.
    pub(crate) fn begin(store: Store) -> Arc<Self> {
        let (jobs, waiting) = mpsc::channel(WAITING);
        let writer = Writer { store, gateway: random::bytes(), under_way: 0, nonces: nonces::Kept::default() };
        tokio::spawn(writer.run(waiting));
        Arc::new(Self { jobs })
    }

    async fn ask<T>(
        jobs: mpsc::Sender<Job>,
        job: impl FnOnce(oneshot::Sender<T>) -> Job + Send,
    ) -> Result<T, &'static str> {
        let (tell, told) = oneshot::channel();
        jobs.try_send(job(tell)).map_err(|_| FULL)?;
        match tokio::time::timeout(PATIENCE, told).await {
            Ok(Ok(told)) => Ok(told),
            Ok(Err(_)) | Err(_) => Err(SLOW),
        }
    }
}

impl Nonces for Once {
    fn insert(&self, used: Use, _now: Moment) -> Answer<'_, Seen> {
        let jobs = self.jobs.clone();
        Box::pin(async move {
            Self::ask(jobs, move |tell| Job::Nonce(used, tell)).await.and_then(|told| told).map_err(Down)
        })
    }
}

impl Claims for Once {
    fn claim(&self, deed: Deed, now_ms: u64) -> idempotency::Answer<Found> {
        let jobs = self.jobs.clone();
        Box::pin(async move {
            let asked = Self::ask(jobs, move |tell| Job::Claim(deed, now_ms, tell)).await;
            asked.map_err(idempotency::Down::Store).and_then(|told| told)
        })
    }

    fn settle(&self, claim: [u8; 32], end: End, _now_ms: u64) -> idempotency::Answer<()> {
        let jobs = self.jobs.clone();
        Box::pin(async move {
            let told = Self::ask(jobs, move |tell| Job::Settle(claim, end, tell)).await.and_then(|told| told);
            told.map_err(idempotency::Down::Store)
        })
    }
}

/// The one that writes.
struct Writer {
    store: Store,
    /// Who has the claims that are made here.
    gateway: [u8; 16],
    /// Claims made here that have not ended.
    under_way: u64,
    nonces: nonces::Kept,
}

impl Writer {
    async fn run(mut self, mut waiting: mpsc::Receiver<Job>) {
        let mut beat = tokio::time::interval(BEAT);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut batch = Vec::with_capacity(TOGETHER);
        loop {
            tokio::select! {
                taken = waiting.recv_many(&mut batch, TOGETHER) => if taken == 0 { return },
                _ = beat.tick(), if self.under_way > 0 => {}
            }
            match self.write(&mut batch).await {
                Ok(told) => told.into_iter().for_each(Told::tell),
                Err(error) => {
                    tracing::error!(%error, "nonces and claims cannot be written down");
                    // Whoever asked hears that nothing was written: its question is dropped.
                    batch.clear();
                }
            }
        }
    }

    /// Writes all that waits, and says what to tell.
    async fn write(&mut self, batch: &mut Vec<Job>) -> Result<Vec<Told>, super::Error> {
        let now = time::now();
        let mut writing = self.store.write(Durability::Strict).await?;
        let mut told = Vec::with_capacity(batch.len());
        let mut under_way = self.under_way;
        self.nonces.begin(&mut writing, now).await?;
        claims::forget(&mut writing, now.unix_ms).await?;
        for job in batch.drain(..) {
            told.push(match job {
                Job::Nonce(used, tell) => Told::Nonce(self.nonces.insert(&mut writing, used).await?, tell),
                Job::Claim(deed, now_ms, tell) => {
                    let found = claims::claim(&mut writing, &self.gateway, &deed, now_ms).await?;
                    under_way += u64::from(found == Ok(Found::Nothing));
                    Told::Claim(found, tell)
                }
                Job::Settle(claim, end, tell) => {
                    under_way = under_way.saturating_sub(claims::settle(&mut writing, &claim, end).await?);
                    Told::Settle(tell)
                }
            });
        }
        if under_way > 0 {
            claims::live(&mut writing, &self.gateway, now.unix_ms + ALIVE_MS).await?;
        }
        writing.commit().await?;
        self.under_way = under_way;
        Ok(told)
    }
}

impl Told {
    /// Nobody listens any more where the caller has left.
    fn tell(self) {
        match self {
            Self::Nonce(seen, tell) => drop(tell.send(seen)),
            Self::Claim(found, tell) => drop(tell.send(found)),
            Self::Settle(tell) => drop(tell.send(Ok(()))),
        }
    }
}

/// A number as SQLite has it.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
