//! The store: what must outlive the process, or be known to every gateway that shares it.
//!
//! 1. It is one SQLite file, in WAL mode, for its owner alone, which several gateways of one machine may use at once; or a
//!    schema of a PostgreSQL database, which gateways of many machines share. In development it may be in memory: the same
//!    statements as in a file, and gone at the end.
//! 2. Whoever changes something is alone while it does ([`Store::write`]); what is written for each call is written beside
//!    what others write ([`Store::beside`]), which on SQLite is the same.
//! 3. What was committed under [`Durability::Strict`] survives the machine's power, under [`Durability::Write`] the
//!    death of the process.
//! 4. Nothing on the path of a call reads it, but where a call must be unique.
//!
//! Each noun has a file that holds its statements, as both kinds of database have them ([`sql`]); nobody else writes SQL.
//!
//! # Caveat
//! SQLite's locks do not work over network file systems. And nobody else may open the file in this process: closing it
//! would drop the locks of all.

pub(crate) mod changes;
mod copy;
pub(crate) mod facts;
mod file;
pub(crate) mod keys;
pub(crate) mod once;
mod postgres;
pub(crate) mod redis;
mod schema;
mod sql;
mod sqlite;
pub(crate) mod tokens;
mod transaction;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use self::redis::Error as RedisError;
use crate::config::StorePlace;
use crate::journal::Durability;
use crate::time;
pub use copy::copy;
pub(crate) use transaction::{Transaction, Writing};

/// An open store. Copies are the same store.
#[derive(Debug, Clone)]
pub struct Store {
    database: Database,
    file: Option<PathBuf>,
    /// Told of what others changed, where that is heard.
    news: Arc<watch::Sender<()>>,
}

#[derive(Debug, Clone)]
enum Database {
    Sqlite(sqlite::Database),
    Postgres(postgres::Database),
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
    /// There are rows already in this table of it.
    NotEmpty(&'static str),
    /// It does not answer, or not in time.
    Down(String),
    /// The server does not do what it should: what is the matter, and what to look at.
    Server(String, &'static str),
    /// The server does not let us do it.
    Setting(String, &'static str),
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
            Self::Foreign => f.write_str("is a database of another program; name one of its own"),
            Self::NotEmpty(table) => write!(f, "has rows already ({table}); name an empty store"),
            Self::Server(problem, cure) | Self::Setting(problem, cure) => {
                write!(f, "the PostgreSQL server {problem}; {cure}")
            }
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
        let (database, file) = match place {
            StorePlace::Memory => (Database::Sqlite(sqlite::Database::in_memory().await?), None),
            StorePlace::File(path) => (Database::Sqlite(sqlite::Database::in_file(path).await?), Some(path.clone())),
            StorePlace::Postgres(place) => (Database::Postgres(postgres::Database::open(place).await?), None),
        };
        let store = Self { database, file, news: Arc::default() };
        // Where many start at once, one makes the tables, and the others may wait longer for it than a call would.
        let end = Instant::now() + postgres::START;
        loop {
            match schema::bring_up(&store).await {
                Err(Error::Server(..)) if Instant::now() < end => tokio::time::sleep(postgres::PAUSE).await,
                done => return done.map(|()| store),
            }
        }
    }

    /// Its file, where it has one.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Whether others may use it too, and it is still there when this process is not.
    pub const fn is_shared(&self) -> bool {
        self.file.is_some() || matches!(self.database, Database::Postgres(_))
    }

    /// What it is, in a word.
    pub(crate) const fn kind(&self) -> &'static str {
        match (&self.database, &self.file) {
            (Database::Postgres(_), _) => "postgres",
            (Database::Sqlite(_), Some(_)) => "sqlite",
            (Database::Sqlite(_), None) => "memory",
        }
    }

    /// Begins to write. Nobody else changes anything until it is committed or dropped; what is dropped was never written.
    pub(crate) async fn write(&self, durability: Durability) -> Result<Writing, Error> {
        match &self.database {
            Database::Sqlite(database) => database.write(durability).await,
            Database::Postgres(database) => database.begin(postgres::Turn::Alone(durability)).await,
        }
    }

    /// Begins to write what is right whatever others write meanwhile. Rows that others may write too are to be written in
    /// one order, or both would wait for one another.
    pub(crate) async fn beside(&self, durability: Durability) -> Result<Writing, Error> {
        match &self.database {
            Database::Sqlite(database) => database.write(durability).await,
            Database::Postgres(database) => database.begin(postgres::Turn::Beside(durability)).await,
        }
    }

    /// Begins to take out what is old, while nobody writes beside.
    pub(crate) async fn clear(&self) -> Result<Writing, Error> {
        match &self.database {
            Database::Sqlite(database) => database.write(Durability::Strict).await,
            Database::Postgres(database) => database.begin(postgres::Turn::Clears).await,
        }
    }

    /// Begins to read, as of one moment.
    pub(crate) async fn read(&self) -> Result<Transaction, Error> {
        match &self.database {
            Database::Sqlite(database) => database.read().await,
            Database::Postgres(database) => database.begin(postgres::Turn::Reads).await,
        }
    }

    /// Wakes whoever follows what others change, where the store says so by itself. It may say so too often, and never
    /// for a while: it is read anew now and then too.
    pub(crate) fn news(&self) -> watch::Receiver<()> {
        self.news.subscribe()
    }

    /// Listens for news until it is told to stop.
    pub(crate) async fn listen(self, stop: CancellationToken) {
        if let Database::Postgres(database) = &self.database {
            database.listen(Arc::clone(&self.news), stop).await;
        }
    }

    /// How long a call waits for what it needs of the store.
    pub(crate) fn patience(&self) -> Duration {
        match &self.database {
            Database::Sqlite(_) => sqlite::PATIENCE,
            Database::Postgres(database) => database.patience(),
        }
    }

    /// Lets go of it, in order.
    pub async fn close(&self) {
        match &self.database {
            Database::Sqlite(database) => database.close().await,
            Database::Postgres(database) => database.close(),
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
pub(crate) mod tests;
