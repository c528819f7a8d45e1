//! What the command line says about the configuration.

use std::fmt;
use std::path::PathBuf;

use super::secret::Secret;

/// The flags that set something. Each wins over environment and file.
#[derive(Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
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
    /// `--env NAME` or `--env NAME=VALUE`, repeated: what the program of `-- CMD` gets to see.
    pub server_env: Vec<String>,
    /// `palisade connect`: the credential for the server of `--url`.
    pub credential: Option<Credential>,
    /// Whether there are servers inside this process, so that none need be configured.
    pub in_process: bool,
    /// `palisade keys`: there may be no key yet.
    pub tends_keys: bool,
    /// `palisade stdio`: the process that starts us is the one client, and there is no network.
    pub stdio: bool,
}

/// Without the values of `--env`.
impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let variables: Vec<&str> = self.server_env.iter().filter_map(|text| text.split('=').next()).collect();
        let mut shown = f.debug_struct("Flags");
        for (flag, _, text) in self.settings() {
            shown.field(flag, &text);
        }
        shown.field("--allowed-host", &self.hosts).field("--allowed-origin", &self.origins);
        shown.field("--api-key-file", &self.api_key_file).field("--api-key", &self.api_key);
        shown.field("--env-keys", &self.env_keys).field("servers", &self.servers).field("--env", &variables);
        shown.field("in_process", &self.in_process).field("stdio", &self.stdio).finish_non_exhaustive()
    }
}

/// A server named on the command line.
#[derive(Debug, Clone)]
pub enum ServerFlag {
    /// `--url`
    Url(Secret),
    /// `-- CMD ARGS…`
    Command(super::secret::Command),
}

/// How a server is told who calls it.
#[derive(Debug, Clone)]
pub enum Credential {
    /// By a key, with every request.
    Key(Secret),
    /// By signing every request.
    Signature {
        /// What the signatures name.
        key_id: String,
        /// The secret.
        secret: Secret,
    },
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
