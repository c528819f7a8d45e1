//! The store: what must outlive the process, or be known to every gateway that shares it.
//!
//! 1. It is one SQLite file, in WAL mode, for its owner alone. Several gateways and the command may use it at once. In
//!    development it may be in memory: the same statements, and gone at the end.
//! 2. One connection writes, so that writers of this process wait for one another in order, and not for SQLite. A
//!    writer of another process is waited for, up to [`PATIENCE`].
//! 3. What was committed under [`Durability::Strict`] survives the machine's power, under [`Durability::Write`] the
//!    death of the process.
//! 4. Nothing on the path of a call reads it, but where a call must be unique.
//!
//! Each noun has a file that holds its statements; nobody else writes SQL.
//!
//! # Caveat
//! SQLite's locks do not work over network file systems. And nobody else may open the file in this process: closing it
//! would drop the locks of all.

pub(crate) mod changes;
pub(crate) mod facts;
mod file;
pub(crate) mod keys;
pub(crate) mod once;
mod schema;
pub(crate) mod tokens;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, SqlSafeStr as _, Sqlite, SqlitePool, Transaction};

use crate::config::StorePlace;
use crate::journal::Durability;
use crate::time;

/// How long one may wait for another's write, and for a connection.
const PATIENCE: Duration = Duration::from_secs(5);
/// Connections that read.
const READERS: u32 = 2;

/// An open store. Copies are the same store.
#[derive(Debug, Clone)]
pub struct Store {
    writer: SqlitePool,
    reader: SqlitePool,
    file: Option<PathBuf>,
}

/// Why a store cannot be opened or used.
#[derive(Debug)]
pub enum Error {
    /// The file is not one that may be used: which, why, and what to do.
    File(PathBuf, String, String),
    /// A newer version of this program wrote it.
    Newer {
        /// The version of its tables.
        found: i64,
        /// The newest that this program knows.
        known: i64,
    },
    /// It is a database of another program.
    Foreign,
    /// It does not answer, or not in time.
    Down(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, problem, cure) => write!(f, "{} {problem}; {cure}", path.display()),
            Self::Newer { found, known } => write!(
                f,
                "was written by a newer version (tables {found}, this version knows {known}); start the newer version, \
                 or put a copy from before back"
            ),
            Self::Foreign => f.write_str("is a database of another program; name a file of its own"),
            Self::Down(error) => write!(f, "cannot be used ({error}); is the disk full, or its folder read-only?"),
        }
    }
}

impl std::error::Error for Error {}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Down(error.to_string())
    }
}

impl Store {
    /// Opens the store, makes it if there is none, and brings its tables up to date.
    pub async fn open(place: &StorePlace) -> Result<Self, Error> {
        let options = SqliteConnectOptions::new().foreign_keys(true).busy_timeout(PATIENCE).disable_statement_logging();
        let options = options.pragma("trusted_schema", "OFF");
        let store = match place {
            StorePlace::Memory => {
                let memory = pool(1).connect_with(options.in_memory(true)).await?;
                Self { writer: memory.clone(), reader: memory, file: None }
            }
            StorePlace::File(path) => {
                file::prepare(path)?;
                let options = options.filename(path).synchronous(SqliteSynchronous::Full);
                let writer = first(&options.clone().journal_mode(SqliteJournalMode::Wal)).await?;
                let reader = pool(READERS).connect_lazy_with(options.pragma("query_only", "ON"));
                Self { writer, reader, file: Some(path.clone()) }
            }
        };
        schema::bring_up(store.write(Durability::Strict).await?).await?;
        Ok(store)
    }

    /// Its file, where it has one.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Begins to write. Nobody else writes until it is committed or dropped; what is dropped was never written.
    pub(crate) async fn write(&self, durability: Durability) -> Result<Writing, Error> {
        let mut connection = self.writer.acquire().await?;
        let synchronous = match durability {
            Durability::Strict => "PRAGMA synchronous = FULL",
            Durability::Write => "PRAGMA synchronous = NORMAL",
        };
        sqlx::raw_sql(synchronous).execute(&mut *connection).await?;
        // At once, or two readers who both want to write could only fail.
        Ok(Transaction::begin(connection, Some("BEGIN IMMEDIATE".into_sql_str())).await?)
    }

    /// Where to read.
    pub(crate) const fn read(&self) -> &SqlitePool {
        &self.reader
    }

    /// Lets go of it, in order.
    pub async fn close(&self) {
        self.reader.close().await;
        self.writer.close().await;
    }
}

/// A write under way.
pub(crate) type Writing = Transaction<'static, Sqlite>;

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

/// Milliseconds since 1970, as the store has them.
pub(crate) fn now() -> i64 {
    i64::try_from(time::now().unix_ms).unwrap_or(i64::MAX)
}

/// So much later, at most the end of time.
pub(crate) fn later(now: i64, lifetime: Duration) -> i64 {
    now.saturating_add(i64::try_from(lifetime.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests;
