//! What outlives a configuration: the same from start to end, whatever is loaded in between.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use palisade_guard::idempotency::{self, Claims};
use palisade_guard::limit::Limits;
use palisade_guard::limit::penalty::Penalties;
use palisade_guard::seal::Sealer;
use palisade_guard::sign::nonces::{self, Nonces};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::aggregate;
use crate::config::Kept;
use crate::counters::Counters;
use crate::descriptors::Descriptors;
use crate::follower::Follower;
use crate::journal::Journal;
use crate::keys::Live;
use crate::random;
use crate::reload::Loads;
use crate::running::StartError;
use crate::store::Store;
use crate::store::once::Once;
use crate::store::redis::{self, Redis};
use crate::tasks::Tasks;
use crate::time;
use crate::tokens;
use crate::transport::places::Places;

/// Where it is kept what may happen once: in Redis, with everybody who shares the store, or in this process.
fn once(store: &Store, redis: Option<&Arc<Redis>>, stopping: &CancellationToken) -> (Arc<dyn Nonces>, Arc<dyn Claims>) {
    let (nonces, claims) = once_without(store);
    let keeps = |kept| redis.filter(|redis| redis.place().keeps.contains(&kept));
    let nonces = keeps(Kept::Nonces).map_or(nonces, |redis| redis::Nonces::begin(Arc::clone(redis), stopping.clone()));
    let claims = keeps(Kept::Claims).map_or(claims, |redis| redis::Claims::begin(Arc::clone(redis), stopping.clone()));
    (nonces, claims)
}

fn once_without(store: &Store) -> (Arc<dyn Nonces>, Arc<dyn Claims>) {
    if store.is_shared() {
        let once = Once::begin(store.clone());
        return (Arc::<Once>::clone(&once), once);
    }
    let nonces = nonces::Memory::new(NONCES, time::now());
    (Arc::new(nonces), Arc::new(idempotency::Memory::new(CLAIMS, ANSWERS)))
}

/// Claims that are kept in memory, and bytes of their answers.
const CLAIMS: usize = 200_000;
const ANSWERS: usize = 64 << 20;
/// Nonces that are kept in memory: 50 MiB of them, and a thousand callers at their limit.
const NONCES: usize = 500_000;

/// Everything that a reload must not begin anew.
pub(crate) struct Lasting {
    /// The journal.
    pub(crate) journal: Journal,
    /// The store.
    pub(crate) store: Store,
    /// Managed keys.
    pub(crate) keys: Arc<Live>,
    /// What others change in the store.
    pub(crate) follower: Arc<Follower>,
    /// What is shared in Redis, where there is one.
    pub(crate) redis: Option<Arc<Redis>>,
    /// Windows of callers in it.
    pub(crate) window: Option<redis::Window>,
    /// What may be used once.
    pub(crate) nonces: Arc<dyn Nonces>,
    /// What may be done once.
    pub(crate) claims: Arc<dyn Claims>,
    /// Tokens of our own, where they are wanted.
    pub(crate) tokens: Option<Arc<tokens::Live>>,
    /// Seals the handles of sessions.
    pub(crate) sealer: Sealer,
    /// Seals the ids of tasks.
    pub(crate) tasks: Tasks,
    /// The windows of all callers: another limit counts on in them.
    pub(crate) limits: Limits,
    /// What guessing costs.
    pub(crate) penalties: Penalties,
    /// Connections of clients.
    pub(crate) places: Arc<Places>,
    /// Where connections must stop.
    pub(crate) descriptors: Arc<Descriptors>,
    /// Sessions with several servers.
    pub(crate) joined: aggregate::Table,
    /// What the status page counts.
    pub(crate) counters: Counters,
    /// How every correlation id of this process begins.
    pub(crate) correlation_prefix: u64,
    /// Which configurations were loaded.
    pub(crate) loads: Loads,
    /// Cancelled when the gateway stops.
    pub(crate) stopping: CancellationToken,
    /// Cancelled when calls under way have had their time to end.
    pub(crate) cut: CancellationToken,
    arrivals: AtomicU64,
    ready: AtomicBool,
}

impl Lasting {
    /// What lasts, at the start.
    pub(crate) fn new(
        journal: Journal,
        (store, keys, tokens, redis): (Store, Live, Option<tokens::Live>, Option<Arc<Redis>>),
        limits: palisade_guard::limit::Config,
        digest: Option<String>,
        stopping: CancellationToken,
    ) -> Result<Self, StartError> {
        let (nonces, claims) = once(&store, redis.as_ref(), &stopping);
        let counts = redis.as_ref().filter(|redis| redis.place().keeps.contains(&Kept::Limits));
        let tasks = Tasks::new(&keys.book.derived(b"palisade task ids 1")).ok_or(StartError::NoCipher)?;
        let (keys, tokens) = (Arc::new(keys), tokens.map(Arc::new));
        let follower = Arc::new(Follower::new(store.clone(), Arc::clone(&keys), tokens.clone()));
        Ok(Self {
            journal,
            window: counts.map(|redis| redis::Window::new(Arc::clone(redis))),
            redis,
            nonces,
            claims,
            store,
            keys,
            tokens,
            follower,
            sealer: Sealer::new(&random::bytes()).ok_or(StartError::NoCipher)?,
            tasks,
            limits: Limits::new(limits, random::bytes()),
            penalties: Penalties::new(random::bytes()),
            places: Arc::default(),
            descriptors: Descriptors::claim(),
            joined: aggregate::Table::default(),
            counters: Counters::default(),
            correlation_prefix: u64::from_le_bytes(random::bytes()),
            loads: Loads::new(digest),
            stopping,
            cut: CancellationToken::new(),
            arrivals: AtomicU64::new(0),
            ready: AtomicBool::new(false),
        })
    }

    /// The number of the next arrival.
    pub(crate) fn next_arrival(&self) -> u64 {
        self.arrivals.fetch_add(1, Ordering::Relaxed)
    }

    /// Whether calls can be taken: the listener is open and what must be recorded can be.
    pub(crate) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed) && !self.journal.is_down()
    }

    /// Opens or closes the doors for readiness checks.
    pub(crate) fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Relaxed);
    }

    /// The journal, for the status page.
    pub(crate) fn journal_status(&self) -> Value {
        let status = self.journal.status();
        json!({"down": self.journal.is_down(), "records": status.records, "buffered_bytes": status.buffered_bytes})
    }
}
