//! What may happen once, however many gateways share the store: the use of a nonce, and a deed under an idempotency key.
//!
//! 1. One task writes. Whatever waits when its turn comes is one write, and everybody hears of it when it is on the disk:
//!    a disk that syncs a hundred times in a second still takes thousands of calls.
//! 2. What cannot be written down was not the first, and is not done. Nobody waits for it longer than [`Store::patience`].
//! 3. A claim under way belongs to a gateway, which says every two seconds that it lives. When it has said nothing for
//!    ten, the outcome of its claims is unknown.
//! 4. What became of a deed is owed to the store until it is written down, also when that takes several attempts; and a
//!    claim that nobody heard of is taken back.

mod claims;
mod nonces;
mod owed;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use palisade_guard::clock::Moment;
use palisade_guard::idempotency::{self, Claims, Deed, End, Found};
use palisade_guard::sign::nonces::{Answer, Down, Nonces, Seen, Use};
use tokio::sync::{mpsc, oneshot};

use super::sql::{Sql, run_all};
use super::{Error, Store, Writing};
use crate::journal::Durability;
use crate::{random, time};
use owed::{Heard, Owed, Unheard};

/// Questions that may wait. More are turned away: the disk does not keep up.
const WAITING: usize = 4096;
/// Questions in one write.
const TOGETHER: usize = 256;
/// How often a gateway with claims under way says that it lives.
const BEAT: Duration = Duration::from_secs(2);
/// How long one counts as living after that.
const ALIVE_MS: u64 = 10_000;
/// How often what is old is taken out.
const CLEAR_MS: u64 = 5_000;
const SLOW: &str = "the store did not answer in time";
const FULL: &str = "too many wait for the store";

/// Nonces and claims in the store.
#[derive(Clone)]
pub(crate) struct Once {
    jobs: mpsc::Sender<Job>,
    patience: Duration,
}

type ToldNonce = Result<Seen, &'static str>;
type ToldClaim = (Result<Found, idempotency::Down>, Option<Heard>);

enum Job {
    Nonce(Use, oneshot::Sender<ToldNonce>),
    Claim(Deed, u64, oneshot::Sender<ToldClaim>),
    Settle([u8; 32], End, oneshot::Sender<()>),
    /// An end that could not be written down before.
    Owed([u8; 32]),
}

/// What is done for a job.
enum Plan {
    /// Nothing: this is what is told.
    Told(Told),
    /// One statement.
    Run,
    /// What is owed of this claim, and then the claim, if there is room for one.
    Claim { owed: bool, full: bool },
}

/// What is told when the write is done.
enum Told {
    Nonce(ToldNonce),
    Claim(Result<Found, idempotency::Down>),
    Settled,
}

impl Once {
    /// Begins to write to `store`.
    pub(crate) fn begin(store: Store) -> Arc<Self> {
        let (jobs, waiting) = mpsc::channel(WAITING);
        let patience = store.patience();
        let writer = Writer {
            store,
            gateway: random::bytes(),
            under_way: HashSet::new(),
            made: Vec::new(),
            owed: Owed::default(),
            unheard: Unheard::default(),
            nonces: nonces::Kept::default(),
            claims: claims::Kept::default(),
            cleared_ms: None,
        };
        tokio::spawn(writer.run(waiting));
        Arc::new(Self { jobs, patience })
    }

    async fn ask<T>(&self, job: impl FnOnce(oneshot::Sender<T>) -> Job + Send) -> Result<T, &'static str> {
        let (tell, told) = oneshot::channel();
        self.jobs.try_send(job(tell)).map_err(|_| FULL)?;
        match tokio::time::timeout(self.patience, told).await {
            Ok(Ok(told)) => Ok(told),
            Ok(Err(_)) | Err(_) => Err(SLOW),
        }
    }
}

impl Nonces for Once {
    fn insert(&self, used: Use, _now: Moment) -> Answer<'_, Seen> {
        Box::pin(async move { self.ask(move |tell| Job::Nonce(used, tell)).await.and_then(|told| told).map_err(Down) })
    }
}

impl Claims for Once {
    fn claim(&self, deed: Deed, now_ms: u64) -> idempotency::Answer<Found> {
        let once = self.clone();
        Box::pin(async move {
            let asked = once.ask(move |tell| Job::Claim(deed, now_ms, tell)).await;
            let (found, heard) = asked.map_err(idempotency::Down::Store)?;
            if let Some(heard) = heard {
                heard.so();
            }
            found
        })
    }

    fn settle(&self, claim: [u8; 32], end: End, _now_ms: u64) -> idempotency::Answer<()> {
        let once = self.clone();
        Box::pin(async move {
            let told = once.ask(move |tell| Job::Settle(claim, end, tell)).await;
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
    under_way: HashSet<[u8; 32]>,
    /// Claims that this write makes.
    made: Vec<[u8; 32]>,
    owed: Owed,
    unheard: Unheard,
    nonces: nonces::Kept,
    claims: claims::Kept,
    cleared_ms: Option<u64>,
}

impl Writer {
    async fn run(mut self, mut waiting: mpsc::Receiver<Job>) {
        let mut beat = tokio::time::interval(BEAT);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut batch = Vec::with_capacity(TOGETHER);
        // A write that never ends would be the last one.
        let most = self.store.patience() * 4;
        loop {
            tokio::select! {
                taken = waiting.recv_many(&mut batch, TOGETHER) => if taken == 0 { return },
                _ = beat.tick(), if !self.under_way.is_empty() || !self.owed.is_empty() => {}
            }
            self.unheard.take().into_iter().for_each(|claim| self.owed.add(claim, End::Undone));
            batch.extend(self.owed.some(TOGETHER).map(Job::Owed));
            // In one order everywhere, or two gateways could wait for one another.
            batch.sort_by_key(Job::order);
            self.made.clear();
            let written = tokio::time::timeout(most, self.write(&batch)).await;
            match written.unwrap_or_else(|_| Err(Error::Down(SLOW.to_owned()))) {
                Ok(told) => self.tell(batch.drain(..).zip(told)),
                Err(error) => {
                    tracing::error!(%error, "nonces and claims cannot be written down");
                    self.failed(batch.drain(..));
                }
            }
        }
    }

    /// Writes all that waits, and says what to tell.
    async fn write(&mut self, batch: &[Job]) -> Result<Vec<Told>, Error> {
        let now = time::now();
        self.clear(now).await?;
        let mut writing = self.store.beside(Durability::Strict).await?;
        self.nonces.begin(&mut writing).await?;
        self.claims.begin(&mut writing, now).await?;
        let mut statements = Vec::with_capacity(batch.len());
        let plans: Vec<Plan> = batch.iter().map(|job| self.plan(job, &mut statements)).collect();
        let mut done = run_all(statements, &mut writing).await?.into_iter();
        let mut told = Vec::with_capacity(batch.len());
        for (job, plan) in batch.iter().zip(plans) {
            told.push(self.heard(&mut writing, job, plan, &mut done).await?);
        }
        if !self.under_way.is_empty() || !self.made.is_empty() {
            claims::live(&mut writing, &self.gateway, now.unix_ms + ALIVE_MS).await?;
        }
        writing.commit().await?;
        Ok(told)
    }

    /// What is to be run for a job.
    fn plan(&self, job: &Job, statements: &mut Vec<Sql>) -> Plan {
        match job {
            Job::Nonce(used, _) => {
                if let Some(told) = self.nonces.refuse(used) {
                    return Plan::Told(Told::Nonce(told));
                }
                statements.push(nonces::insert(used));
                Plan::Run
            }
            Job::Claim(deed, now_ms, _) => {
                let owed = self.owed.get(&deed.claim);
                statements.extend(owed.map(|end| self.claims.settle(&self.gateway, &deed.claim, end)));
                let full = self.claims.is_full();
                if !full {
                    statements.push(claims::insert(&self.gateway, deed, *now_ms));
                }
                Plan::Claim { owed: owed.is_some(), full }
            }
            Job::Settle(claim, end, _) => {
                statements.push(self.claims.settle(&self.gateway, claim, end));
                Plan::Run
            }
            Job::Owed(claim) => match self.owed.get(claim) {
                Some(end) => {
                    statements.push(self.claims.settle(&self.gateway, claim, end));
                    Plan::Run
                }
                None => Plan::Told(Told::Settled),
            },
        }
    }

    /// What it has led to; `done` says how many rows each statement changed.
    async fn heard(
        &mut self,
        writing: &mut Writing,
        job: &Job,
        plan: Plan,
        done: &mut impl Iterator<Item = u64>,
    ) -> Result<Told, Error> {
        Ok(match (job, plan) {
            (_, Plan::Told(told)) => told,
            (Job::Claim(deed, now_ms, _), Plan::Claim { owed, full }) => {
                if owed {
                    done.next();
                }
                if !full && done.next() == Some(1) {
                    self.made.push(deed.claim);
                    self.claims.one_more();
                    return Ok(Told::Claim(Ok(Found::Nothing)));
                }
                let standing = claims::standing(writing, &self.gateway, deed, *now_ms).await?;
                let none = if full { Err(claims::NO_ROOM) } else { Ok(Found::UnderWay) };
                Told::Claim(standing.map_or(none, Ok))
            }
            (Job::Nonce(..), _) => Told::Nonce(Ok(self.nonces.inserted(done.next() == Some(1)))),
            (Job::Settle(_, end, _), _) => {
                done.next();
                self.claims.grow(end);
                Told::Settled
            }
            _ => {
                done.next();
                Told::Settled
            }
        })
    }

    /// Takes out what is old, now and then.
    async fn clear(&mut self, now: Moment) -> Result<(), Error> {
        if self.cleared_ms.is_some_and(|before| before + CLEAR_MS > now.monotonic_ms) {
            return Ok(());
        }
        let mut clearing = self.store.clear().await?;
        self.nonces.clear(&mut clearing, now).await?;
        claims::forget_gateways(&mut clearing, now.unix_ms).await?;
        clearing.commit().await?;
        self.cleared_ms = Some(now.monotonic_ms);
        Ok(())
    }

    /// It is written down: everybody hears.
    fn tell(&mut self, told: impl Iterator<Item = (Job, Told)>) {
        self.under_way.extend(self.made.drain(..));
        for (job, told) in told {
            match (job, told) {
                (Job::Nonce(_, tell), Told::Nonce(seen)) => drop(tell.send(seen)),
                (Job::Claim(deed, _, tell), Told::Claim(found)) => {
                    self.owed.paid(&deed.claim);
                    let heard = (found == Ok(Found::Nothing)).then(|| self.unheard.unless_heard(deed.claim));
                    drop(tell.send((found, heard)));
                }
                (Job::Settle(claim, _, tell), _) => {
                    self.under_way.remove(&claim);
                    let _gone = tell.send(());
                }
                (Job::Owed(claim), _) => {
                    self.under_way.remove(&claim);
                    self.owed.paid(&claim);
                }
                _ => {}
            }
        }
    }

    /// Nobody knows whether it is written down: whoever asked hears that it is not, and so it shall be. What has ended is
    /// written down later.
    fn failed(&mut self, jobs: impl Iterator<Item = Job>) {
        self.made.drain(..).for_each(|claim| self.owed.add(claim, End::Undone));
        for job in jobs {
            if let Job::Settle(claim, end, _) = job {
                self.owed.add(claim, end);
            }
        }
    }
}

impl Job {
    /// Nonces, and then claims; of one claim first what is owed.
    const fn order(&self) -> (u8, [u8; 32], u8) {
        match self {
            Self::Nonce(used, _) => (0, used.once, 0),
            Self::Owed(claim) => (1, *claim, 0),
            Self::Settle(claim, ..) => (1, *claim, 1),
            Self::Claim(deed, ..) => (1, deed.claim, 2),
        }
    }
}

/// A number as databases have it.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
pub(crate) mod tests;
