//! Where the store is, and how it is used.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::secret::Secret;

/// What must outlive the process.
#[derive(Debug)]
pub struct Store {
    /// Where it is.
    pub place: StorePlace,
    /// The secret that makes keys of what is in it; `None` where one is made beside it.
    pub pepper: Option<Secret>,
    /// The one before it.
    pub previous_pepper: Option<Secret>,
    /// How long managed keys and tokens of our own are believed while it does not answer.
    pub max_staleness: Duration,
}

/// Where a store is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StorePlace {
    /// In this process alone.
    Memory,
    /// In this file.
    File(PathBuf),
    /// On this server.
    Postgres(Box<Postgres>),
}

/// A database of a PostgreSQL server, and how it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Postgres {
    /// Where it listens.
    pub host: PostgresHost,
    /// At which port.
    pub port: u16,
    /// As whom we come.
    pub user: String,
    /// With which password, if with one.
    pub password: Option<Secret>,
    /// Which database.
    pub database: String,
    /// Whether the connection is TLS, with a server that is certified for its name.
    pub tls: bool,
    /// By whom it must be certified; `None` for those whom the system trusts.
    pub ca_file: Option<PathBuf>,
    /// Connections that are kept open.
    pub connections: usize,
    /// Connections beyond these, closed when they are not needed.
    pub overflow: usize,
    /// How long to wait for a connection that can be used.
    pub acquire: Duration,
    /// How long a new connection may take to open.
    pub connect: Duration,
    /// How long a statement may take.
    pub statement: Duration,
    /// How old a connection may become.
    pub lifetime: Duration,
    /// How long one is kept that nobody needs.
    pub idle: Duration,
    /// Whether each statement is logged, without its values.
    pub log_statements: bool,
}

/// Where a PostgreSQL server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PostgresHost {
    /// At this name or address.
    Name(String),
    /// At a socket in this folder.
    Folder(PathBuf),
}
