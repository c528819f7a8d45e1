//! A store in a PostgreSQL database, which gateways on many machines share.
//!
//! 1. No wait has no end: a connection is waited for, opened, used and given back within times of the configuration, also
//!    when the server is stopped, or the network takes everything and answers nothing.
//! 2. Whoever makes or changes something takes a lock of the database ([`Turn::Alone`]): of two who want the same, one
//!    comes second and sees what the first did, as on SQLite. What is written for each call does not ([`Turn::Beside`]);
//!    there each statement must be right beside others'.
//! 3. A server that repeats another is not used: what was revoked may still be good there.
//! 4. Changes are heard of at once ([`Database::listen`]), and read from the tables.
//! 5. No error, line of a log or dump shows a password or a value of a statement.

mod connect;
mod error;
mod listen;
mod pool;
mod transaction;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Error;
use crate::config;
use crate::journal::Durability;
use pool::Pool;
pub(super) use transaction::Transaction;

/// The schema that holds our tables.
pub(super) const SCHEMA: &str = "palisade";

/// How long a server is waited for at the start.
pub(super) const START: Duration = Duration::from_secs(10);
/// Between two attempts then.
pub(super) const PAUSE: Duration = Duration::from_millis(250);

/// Who else may be at work in a transaction's time.
#[derive(Debug, Clone, Copy)]
pub(super) enum Turn {
    /// It sees one moment, and writes nothing.
    Reads,
    /// Nobody else decides anything meanwhile.
    Alone(Durability),
    /// Others too.
    Beside(Durability),
    /// It takes out what is old, and nobody writes beside it.
    Clears,
}

/// The connections to one.
#[derive(Clone)]
pub(super) struct Database {
    pool: Arc<Pool>,
}

impl Database {
    /// The database of this configuration. One that is just starting too is waited for.
    pub(super) async fn open(place: &config::Postgres) -> Result<Self, Error> {
        let pool = Pool::new(connect::Target::new(place)?);
        let end = Instant::now() + START;
        loop {
            match pool.warm().await {
                Err(Error::Server(..)) if Instant::now() < end => tokio::time::sleep(PAUSE).await,
                warmed => return warmed.map(|()| Self { pool }),
            }
        }
    }

    /// Tells `news` of every change, until it is told to stop.
    pub(super) async fn listen(&self, news: Arc<watch::Sender<()>>, stop: CancellationToken) {
        listen::listen(Arc::clone(self.pool.target()), news, stop).await;
    }

    /// Begins a transaction.
    pub(super) async fn begin(&self, turn: Turn) -> Result<super::Transaction, Error> {
        let lease = self.pool.lease(turn).await?;
        let mut transaction = Transaction::new(lease);
        transaction.take(turn).await?;
        Ok(super::Transaction::Postgres(transaction))
    }

    /// How long one waits for a connection.
    pub(super) fn patience(&self) -> Duration {
        self.pool.target().place.acquire
    }

    /// Lets go of it.
    pub(super) fn close(&self) {
        self.pool.close();
    }
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Database { .. }")
    }
}
