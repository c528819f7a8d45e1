//! A store in a SQLite file, in WAL mode, or in memory.

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, SqlSafeStr as _, SqlitePool};

use super::{Error, Transaction, file};
use crate::journal::Durability;

/// How long one may wait for another's write, and for a connection.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// Connections that read.
const READERS: u32 = 2;

/// The connections to one.
#[derive(Debug, Clone)]
pub(super) struct Database {
    writer: SqlitePool,
    reader: SqlitePool,
}

impl Database {
    /// One that is gone at the end.
    pub(super) async fn in_memory() -> Result<Self, Error> {
        let memory = pool(1).connect_with(options().in_memory(true)).await?;
        Ok(Self { writer: memory.clone(), reader: memory })
    }

    /// The one in this file, which is made if it is not there.
    pub(super) async fn in_file(path: &Path) -> Result<Self, Error> {
        file::prepare(path)?;
        let options = options().filename(path).synchronous(SqliteSynchronous::Full);
        let writer = first(&options.clone().journal_mode(SqliteJournalMode::Wal)).await?;
        let reader = pool(READERS).connect_lazy_with(options.pragma("query_only", "ON"));
        Ok(Self { writer, reader })
    }

    /// Begins to write, when nobody else does.
    pub(super) async fn write(&self, durability: Durability) -> Result<Transaction, Error> {
        let mut connection = self.writer.acquire().await?;
        let synchronous = match durability {
            Durability::Strict => "PRAGMA synchronous = FULL",
            Durability::Write => "PRAGMA synchronous = NORMAL",
        };
        sqlx::raw_sql(synchronous).execute(&mut *connection).await?;
        // At once, or two readers who both want to write could only fail.
        let begun = sqlx::Transaction::begin(connection, Some("BEGIN IMMEDIATE".into_sql_str())).await?;
        Ok(Transaction::Sqlite(begun))
    }

    /// Begins to read.
    pub(super) async fn read(&self) -> Result<Transaction, Error> {
        Ok(Transaction::Sqlite(self.reader.begin().await?))
    }

    /// Lets go of it, in order.
    pub(super) async fn close(&self) {
        self.reader.close().await;
        self.writer.close().await;
    }
}

fn options() -> SqliteConnectOptions {
    let options = SqliteConnectOptions::new().foreign_keys(true).busy_timeout(PATIENCE).disable_statement_logging();
    options.pragma("trusted_schema", "OFF")
}

/// Connections stay as long as the store does: one in memory holds all there is.
fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(PATIENCE)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
}

/// The writer. To change the mode of a new file takes a lock that SQLite does not wait for, so where several processes
/// make the file at the same time, all but one must ask again.
async fn first(options: &SqliteConnectOptions) -> Result<SqlitePool, Error> {
    const PAUSE: Duration = Duration::from_millis(50);
    let mut waited = Duration::ZERO;
    loop {
        match pool(1).connect_with(options.clone()).await {
            Err(sqlx::Error::Database(error)) if waited < PATIENCE && error.message().contains("locked") => {
                waited += PAUSE;
                tokio::time::sleep(PAUSE).await;
            }
            connected => return Ok(connected?),
        }
    }
}
