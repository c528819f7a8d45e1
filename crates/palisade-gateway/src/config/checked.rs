//! The configuration after every check: nothing in it can be wrong, and nothing is left to be decided.
//!
//! Each part goes to the module that uses it, in that module's own type where it has one.

mod redis;
mod store;
mod tokens;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, Uri};
use palisade_guard::authenticate::CertificateRule;
use palisade_guard::authorize::policy::Policy;
use palisade_guard::grant::Grant;
use palisade_guard::identify::IpLists;
use palisade_guard::sign::Secrets;
use palisade_guard::{edge, identify, limit};

pub use super::raw::{Durability, Environment, Format, Level, Prefix, ToolNames};
use super::secret::{Command, Secret};
pub use crate::transport::tls::Tls;
pub use redis::{Kept, OnFailure, Redis, RedisForm};
pub use store::{Postgres, PostgresHost, Store, StorePlace};
pub use tokens::{Introspection, Issuer, KeySource, Signing, Tokens};

/// Everything a gateway is built from.
#[derive(Debug)]
pub struct Config {
    /// How strict to be.
    pub environment: Environment,
    /// Whether status and counters are served.
    pub monitoring: bool,
    /// What is written about our own work.
    pub log: Log,
    /// The socket.
    pub listen: Listen,
    /// How it speaks TLS, where it does.
    pub tls: Option<Tls>,
    /// Hosts, origins and headers.
    pub edge: edge::Config,
    /// Proxies and lists of addresses.
    pub identify: identify::Config,
    /// How callers prove who they are.
    pub auth: Auth,
    /// How many calls.
    pub limits: limit::Config,
    /// The longest penalty for a wrong credential.
    pub penalty: Duration,
    /// How large a message.
    pub message: MessageLimits,
    /// How long to wait.
    pub timeouts: Timeouts,
    /// What stands behind the gate, by name in order. Empty only with servers inside this process.
    pub servers: Vec<Server>,
    /// Who may do what, where rules say so.
    pub policy: Option<Arc<Policy>>,
    /// What all of them are together.
    pub aggregate: Aggregate,
    /// The journal.
    pub audit: Audit,
    /// The store.
    pub store: Store,
    /// What gateways share beside it, where they do.
    pub redis: Option<Redis>,
    /// What an operator should know although nothing is wrong: to be written as warnings.
    pub notes: Vec<String>,
}

impl Environment {
    /// Whether what is dangerous is refused.
    pub const fn is_strict(self) -> bool {
        !matches!(self, Self::Development)
    }

    /// The word of the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Production => "production",
            Self::Staging => "staging",
            Self::Development => "development",
        }
    }
}

/// What is written about our own work.
#[derive(Debug, Clone, Copy)]
pub struct Log {
    /// The least important thing still written.
    pub level: Level,
    /// What a line looks like.
    pub format: Format,
}

impl Level {
    /// The word of the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// The socket.
#[derive(Debug, Clone, Copy)]
pub struct Listen {
    /// Where to bind; port 0 picks a free one.
    pub address: SocketAddr,
    /// Connections open at one time.
    pub max_connections: usize,
    /// Those of one address; `None` where nobody said.
    pub max_connections_per_address: Option<usize>,
}

/// How callers prove who they are.
#[derive(Debug)]
pub struct Auth {
    /// Whether they must.
    pub mode: AuthMode,
    /// Every key, whatever it came from; no two have the same name or text.
    pub keys: Vec<StaticKey>,
    /// Whose client certificates are whose, in order.
    pub certificates: Vec<CertificateRule>,
    /// What a new managed key looks like.
    pub form: KeyForm,
    /// The address of this gateway as clients know it, in canonical form.
    pub public_url: Option<String>,
    /// The scopes that a client without any is told to ask for; empty for what the first issuer knows.
    pub offered: Vec<String>,
    /// Tokens of our own, where they are wanted.
    pub tokens: Option<Tokens>,
    /// Others whose tokens are taken.
    pub issuers: Vec<Issuer>,
    /// Every client that signs; no two have the same name, key id or secret.
    pub clients: Vec<SigningClient>,
    /// Whether signatures of the compatibility scheme count.
    pub compat_signatures: bool,
}

/// What a new managed key looks like.
#[derive(Debug, Clone)]
pub struct KeyForm {
    /// What stands in front.
    pub prefix: String,
    /// Characters of the secret.
    pub length: usize,
}

impl Auth {
    /// Whether keys are asked for and there is none: in development on loopback alone, where one is made and shown.
    pub const fn wants_a_key(&self) -> bool {
        let none =
            self.keys.is_empty() && self.issuers.is_empty() && self.clients.is_empty() && self.certificates.is_empty();
        matches!(self.mode, AuthMode::Keys) && none
    }
}

/// Whether callers must prove who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthMode {
    /// Everybody on this machine may call.
    None,
    /// With a key, or by signing.
    Keys,
    /// By signing.
    Signatures,
}

/// What is known of one key.
#[derive(Clone)]
pub struct StaticKey {
    /// What its holder is called.
    pub name: Arc<str>,
    /// SHA-256 of the key.
    pub digest: [u8; 32],
    /// What it lets its holder do.
    pub grant: Grant,
}

/// A client that signs its requests.
#[derive(Debug, Clone)]
pub struct SigningClient {
    /// What it is called.
    pub name: Arc<str>,
    /// What its signatures name.
    pub key_id: Arc<str>,
    /// What it signs with.
    pub secrets: Secrets,
    /// What it may do.
    pub grant: Grant,
}

/// Without the digest: that of a key somebody chose can be guessed.
impl fmt::Debug for StaticKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StaticKey").field("name", &self.name).field("grant", &self.grant).finish_non_exhaustive()
    }
}

/// How large a message may be.
#[derive(Debug, Clone, Copy)]
pub struct MessageLimits {
    /// Bytes of a request's body.
    pub body: usize,
    /// Bytes of a signed request's body.
    pub signed_body: usize,
    /// Bytes of a tool's arguments.
    pub arguments: usize,
    /// Bytes of one message of an answer.
    pub answer: usize,
    /// Bytes of a request's headers.
    pub header: usize,
    /// Arrays and objects inside one another.
    pub depth: usize,
    /// Messages in one batch.
    pub batch: usize,
    /// How tools may be called.
    pub tool_names: ToolNames,
}

/// How long to wait.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// For a request's headers.
    pub header: Duration,
    /// For the next request on a connection that is kept.
    pub connection_idle: Duration,
    /// For a request's body.
    pub body: Duration,
    /// For a connection to an upstream.
    pub connect: Duration,
    /// Between two signs of life on a quiet stream.
    pub keep_alive: Duration,
    /// For a client to take some of what is written to it.
    pub write: Duration,
    /// For a stream, whatever happens on it.
    pub stream: Duration,
    /// For a stream on which nothing happens.
    pub stream_idle: Duration,
    /// Until a session nobody uses is forgotten.
    pub session: Duration,
    /// For calls to end when the gateway stops.
    pub shutdown: Duration,
    /// For everything but readiness to go on before that, as a part of it.
    pub notice: Option<Duration>,
}

/// All servers together, at `/mcp`.
#[derive(Debug, Clone, Copy)]
pub struct Aggregate {
    /// When names have their server in front.
    pub prefix: Prefix,
    /// How long one server may take for its part of a list.
    pub timeout: Duration,
    /// Sessions of clients open at one time.
    pub max_sessions: usize,
}

/// One MCP server behind the gate.
#[derive(Debug)]
pub struct Server {
    /// Its name: `/mcp/NAME`.
    pub name: Arc<str>,
    /// How to reach it.
    pub upstream: Upstream,
    /// How long one call may take.
    pub timeout: Duration,
    /// Who may call it.
    pub lists: IpLists,
    /// Whether only signed requests may call it.
    pub signed: bool,
    /// Methods beyond those of MCP that may pass.
    pub methods: Vec<Box<str>>,
    /// Sessions open at one time.
    pub max_sessions: usize,
}

/// How to reach a server.
#[derive(PartialEq, Eq)]
pub enum Upstream {
    /// Over Streamable HTTP.
    Http {
        /// Its MCP endpoint: `http` or `https`, with a host.
        url: Uri,
        /// Sent with every request; each value can stand in a header.
        headers: Vec<(HeaderName, Secret)>,
        /// Certificates to believe instead of the system's.
        ca_file: Option<PathBuf>,
        /// What signs every request.
        sign: Option<Sign>,
    },
    /// As a child process.
    Stdio {
        /// Program and arguments; never empty.
        command: Command,
        /// Variables it gets.
        env: Vec<(String, Secret)>,
        /// Variables it gets from our own environment; none of them holds a secret of ours.
        inherit_env: Vec<String>,
        /// Where it runs.
        working_dir: Option<PathBuf>,
    },
}

/// How requests to an upstream are signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sign {
    /// What the signatures name.
    pub key_id: String,
    /// The secret, long enough.
    pub secret: Secret,
}

/// Without what may be a credential: queries, header and variable values, telling arguments.
impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http { url, headers, ca_file, sign } => {
                let shown = super::secret::Url::new(url.to_string());
                let mut http = f.debug_struct("Http");
                http.field("url", &shown).field("headers", headers).field("ca_file", ca_file);
                http.field("sign", sign).finish()
            }
            Self::Stdio { command, env, inherit_env, working_dir } => f
                .debug_struct("Stdio")
                .field("command", command)
                .field("env", env)
                .field("inherit_env", inherit_env)
                .field("working_dir", working_dir)
                .finish(),
        }
    }
}

/// The journal.
#[derive(Debug, Clone)]
pub struct Audit {
    /// Its folder, which exists or can be made; `None` in development alone.
    pub dir: Option<PathBuf>,
    /// When a record counts as kept.
    pub durability: Durability,
    /// Size at which a new file is begun.
    pub segment_bytes: u64,
    /// What this gateway is called in its records.
    pub node: String,
}
