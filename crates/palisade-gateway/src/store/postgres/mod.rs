//! A store in a PostgreSQL database, which gateways on many machines share.
//!
//! 1. No wait has no end: a connection is waited for, opened, used and given back within times of the configuration, also
//!    when the server is stopped, or the network takes everything and answers nothing.
//! 2. Whoever makes or changes something takes a lock of the database ([`Turn::Alone`]): of two who want the same, one
//!    comes second and sees what the first did, as on SQLite. What is written for each call does not ([`Turn::Beside`]);
//!    there each statement must be right beside others'.
//! 3. A server that repeats another is not used: what was revoked may still be good there.
//! 4. No error, line of a log or dump shows a password or a value of a statement.

mod connect;
mod error;
mod pool;
mod transaction;

use std::sync::Arc;

use super::Error;
use crate::config;
use crate::journal::Durability;
use pool::Pool;
pub(super) use transaction::Transaction;

/// The schema that holds our tables.
pub(super) const SCHEMA: &str = "palisade";

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
    /// The database of this configuration. Nothing is asked of it yet.
    pub(super) fn new(place: &config::Postgres) -> Result<Self, Error> {
        Ok(Self { pool: Pool::new(connect::Target::new(place)?) })
    }

    /// Begins a transaction.
    pub(super) async fn begin(&self, turn: Turn) -> Result<super::Transaction, Error> {
        let lease = self.pool.lease(turn).await?;
        let mut transaction = Transaction::new(lease);
        transaction.take(turn).await?;
        Ok(super::Transaction::Postgres(transaction))
    }

    /// How long one waits for a connection.
    pub(super) fn patience(&self) -> std::time::Duration {
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
