//! What the command line says about the configuration.

use std::path::PathBuf;

use super::secret::Secret;

/// The flags that set something. Each wins over environment and file.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// `--listen`
    pub listen: Option<String>,
    /// `--environment`
    pub environment: Option<String>,
    /// `--log-level`
    pub log_level: Option<String>,
    /// `--log-format`
    pub log_format: Option<String>,
    /// `--audit-dir`
    pub audit_dir: Option<String>,
    /// `--allowed-host`, repeated
    pub hosts: Vec<String>,
    /// `--allowed-origin`, repeated
    pub origins: Vec<String>,
    /// `--api-key-file`
    pub api_key_file: Option<PathBuf>,
    /// `--api-key`: every process on the machine can read it there, so it works in development only.
    pub api_key: Option<Secret>,
    /// `--env-keys`: the environment must hold a key.
    pub env_keys: bool,
    /// `--url` or `-- CMD ARGS…`, with the name the server gets.
    pub servers: Vec<(String, ServerFlag)>,
}

/// A server named on the command line.
#[derive(Debug, Clone)]
pub enum ServerFlag {
    /// `--url`
    Url(Secret),
    /// `-- CMD ARGS…`
    Command(super::secret::Command),
}

/// What the gateway starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// A file: production unless it says otherwise.
    File,
    /// The command line alone (`run -- CMD`, `run --url`, `demo`): development as long as it listens on loopback.
    AdHoc,
}

impl Flags {
    /// The flags that replace a setting: flag, setting, text.
    pub(super) fn settings(&self) -> impl Iterator<Item = (&'static str, &'static str, &str)> {
        [
            ("--listen", "listen.address", &self.listen),
            ("--environment", "environment", &self.environment),
            ("--log-level", "log.level", &self.log_level),
            ("--log-format", "log.format", &self.log_format),
            ("--audit-dir", "audit.dir", &self.audit_dir),
        ]
        .into_iter()
        .filter_map(|(flag, setting, text)| Some((flag, setting, text.as_deref()?)))
    }
}
