//! Where Redis is, and how it is used.

use std::path::PathBuf;
use std::time::Duration;

pub use crate::config::raw::{Kept, OnFailure};
use crate::config::secret::Secret;

/// A Redis or Valkey that gateways share.
#[derive(Debug, Clone)]
pub struct Redis {
    /// How many there are, and who of them takes writes.
    pub form: RedisForm,
    /// Names or addresses, and ports.
    pub nodes: Vec<(String, u16)>,
    /// As whom we come, where not as `default`.
    pub user: Option<String>,
    /// With which password, if with one.
    pub password: Option<Secret>,
    /// Which database.
    pub database: u16,
    /// Whether the connection is TLS, with a server that is certified for its name.
    pub tls: bool,
    /// By whom it must be certified; `None` for those whom the system trusts.
    pub ca_file: Option<PathBuf>,
    /// What every key begins with.
    pub prefix: String,
    /// What is kept there.
    pub keeps: Vec<Kept>,
    /// How many gateways share it, where somebody said.
    pub replicas: Option<u32>,
    /// What limits do while it does not answer.
    pub limits_on_failure: OnFailure,
    /// How long a connection may take to open.
    pub connect: Duration,
    /// How long a command may take.
    pub command: Duration,
}

/// How many there are, and who of them takes writes.
#[derive(Debug, Clone)]
pub enum RedisForm {
    /// One.
    Single,
    /// The one that Sentinels call so.
    Sentinel {
        /// Its name.
        master: String,
        /// The password of the Sentinels.
        password: Option<Secret>,
    },
    /// Each has a part.
    Cluster,
}
