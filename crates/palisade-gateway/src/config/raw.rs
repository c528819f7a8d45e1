//! The file as it is written: a mirror of `palisade.toml`, whose comments are the manual.
//!
//! Nothing is judged here but the form. Texts that mean something (addresses, durations, sizes) stay texts, so that
//! one pass over the whole file can report every fault; `checked` has the types. The JSON Schema for editors is made
//! from this file, and so is the check for unknown names.

mod aggregate;
mod client;
mod policy;
mod redis;
mod security_headers;
mod server;
mod store;
mod timeouts;
mod tls;
mod tokens;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::secret::Secret;
pub(super) use aggregate::Aggregate;
pub use aggregate::Prefix;
pub(super) use client::Client;
pub(super) use policy::Policy;
pub(super) use redis::Redis;
pub use redis::{Kept, OnFailure};
pub(super) use security_headers::SecurityHeaders;
pub(super) use server::{Server, Sign};
pub(super) use store::Store;
pub(super) use timeouts::Timeouts;
pub(super) use tls::{Certificate, ClientAuth, Tls};
pub(super) use tokens::{Issuer, TokenAlgorithm, Tokens};

/// Everything that can be set. Flags win over the environment, the environment over the file, the file over defaults.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "palisade.toml")]
pub(super) struct File {
    /// How strict to be: everything but `development` refuses to start with a dangerous setting. Env `ENVIRONMENT`.
    pub(super) environment: Environment,
    /// Whether the status page and the counters are served (to callers who authenticate). Env `MCP_ENABLE_MONITORING`.
    pub(super) monitoring: bool,
    /// What is written about the gateway's own work.
    pub(super) log: Log,
    /// Where to listen and whom to let in.
    pub(super) listen: Listen,
    /// How callers prove who they are.
    pub(super) auth: Auth,
    /// The MCP servers behind the gate, each at `/mcp/NAME`. A name is lower case letters, digits, `_` and `-`.
    pub(super) servers: BTreeMap<String, Server>,
    /// Who may do what, by roles and rules; without it the credentials' own servers and scopes decide.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) policy: Option<Policy>,
    /// The aggregate of all servers at `/mcp`, where there are several.
    pub(super) aggregate: Aggregate,
    /// How much and how large.
    pub(super) limits: Limits,
    /// How long to wait. A duration is a number with `ms`, `s`, `m`, `h` or `d`.
    pub(super) timeouts: Timeouts,
    /// The journal of every call.
    pub(super) audit: Audit,
    /// What must outlive the process: managed keys, and what else must be known twice.
    pub(super) store: Store,
    /// A Redis or Valkey that several gateways share, for what changes with every call.
    pub(super) redis: Redis,
}

impl Default for File {
    fn default() -> Self {
        Self {
            environment: Environment::default(),
            monitoring: true,
            log: Log::default(),
            listen: Listen::default(),
            auth: Auth::default(),
            servers: BTreeMap::new(),
            policy: None,
            aggregate: Aggregate::default(),
            limits: Limits::default(),
            timeouts: Timeouts::default(),
            audit: Audit::default(),
            store: Store::default(),
            redis: Redis::default(),
        }
    }
}

/// Where the gateway runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Environment {
    /// Callers depend on it; what is dangerous is refused.
    #[default]
    Production,
    /// As strict as production.
    Staging,
    /// On a developer's machine; must be asked for.
    Development,
}

/// What is written about the gateway's own work, on standard error.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Log {
    /// The least important thing still written. Env `MCP_LOG_LEVEL`.
    pub(super) level: Level,
    /// One JSON object for each line, or lines for people.
    pub(super) format: Format,
}

/// How important a line is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Something of ours broke.
    Error,
    /// Somebody should look.
    Warn,
    /// What happens.
    #[default]
    Info,
    /// Why it happens.
    Debug,
    /// Every step; production refuses it, since it follows what callers send.
    Trace,
}

/// What a log line looks like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For people.
    Pretty,
    /// For machines.
    #[default]
    Json,
}

/// Where to listen and whom to let in.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Listen {
    /// Address and port; port 0 picks a free one. Env `PORT` replaces the port, flag `--listen` the whole.
    pub(super) address: String,
    /// Host names this gateway is called by, like `mcp.example.com` or `*.example.com`; every other name is answered
    /// 421. Empty serves the loopback names only, and production refuses it. Env `ALLOWED_HOSTS`.
    pub(super) hosts: Vec<String>,
    /// Browser origins that may call, like `https://app.example.com`; every other one is answered 403. Production
    /// wants the word: `["none"]` says that no browser may call. Env `ALLOWED_ORIGINS`.
    pub(super) origins: Vec<String>,
    /// Proxies whose `Forwarded` and `X-Forwarded-For` headers are believed, as networks (CIDR) or addresses.
    pub(super) trusted_proxies: Vec<String>,
    /// Networks that may call; empty means all.
    pub(super) allow: Vec<String>,
    /// Networks that may not call, even where `allow` has them.
    pub(super) deny: Vec<String>,
    /// Connections open at one time. When all are taken, a new one gets the place of the oldest that has not
    /// authenticated; where there is none, it is closed.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(super) max_connections: u32,
    /// Those from one address, or one IPv6 /64. Trusted proxies are not counted. Without it 1000, and then connections
    /// from this machine are not counted either.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(super) max_connections_per_address: Option<u32>,
    /// TLS on this address; without it whoever is on the way reads and changes all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tls: Option<Tls>,
    /// The protective headers on every answer: a value of your own, or `"off"`.
    pub(super) security_headers: SecurityHeaders,
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            address: "127.0.0.1:8080".to_owned(),
            hosts: Vec::new(),
            origins: Vec::new(),
            trusted_proxies: Vec::new(),
            allow: Vec::new(),
            deny: Vec::new(),
            max_connections: 16_000,
            max_connections_per_address: None,
            tls: None,
            security_headers: SecurityHeaders::default(),
        }
    }
}

/// How callers prove who they are.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Auth {
    /// `bearer`: a key with every call, or a signature. `hmac`: a signature, and nothing else. `none`: everybody, on loopback in development only. Env `AUTH_MODE`.
    pub(super) mode: Mode,
    /// What stands in front of managed keys: 2 to 16 small letters, digits and `_`, with `_` at the end. Keys that were
    /// made with another one work on. Env `API_KEY_PREFIX`.
    pub(super) key_prefix: String,
    /// Characters of a new managed key's secret. Env `API_KEY_LENGTH`.
    #[schemars(range(min = 22, max = 128))]
    pub(super) key_length: u32,
    /// The keys; those of `--api-key-file` and of the environment (`MCP_API_KEYS`, `API_KEY`, `AUTH_TOKEN`,
    /// `MCP_API_KEY_HASH`) come on top.
    pub(super) keys: Vec<Key>,
    /// The address at which clients reach this gateway, without a path of ours: `https://mcp.example.com`. Tokens are for
    /// endpoints of this address. Without it, for those of the host that the client used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) public_url: Option<String>,
    /// The scopes that a client without a token is told to ask for; without it those that the first issuer's `scopes`
    /// names, or `mcp:tools`, `mcp:resources` and `mcp:prompts`.
    pub(super) offered_scopes: Vec<String>,
    /// Tokens of our own.
    pub(super) tokens: Tokens,
    /// Others whose tokens are taken, like a company's single sign-on.
    pub(super) issuers: Vec<Issuer>,
    /// The clients that sign their requests; that of `API_KEY_HMAC_SECRET` comes on top.
    pub(super) clients: Vec<Client>,
    /// Lets production accept signatures of the compatibility scheme, which cover neither host nor headers.
    pub(super) danger_allow_compat_signatures: bool,
    /// Whose client certificates are whose, where `listen.tls.client_auth` asks for them.
    pub(super) certificates: Vec<Certificate>,
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            key_prefix: "mcp_".to_owned(),
            key_length: 32,
            keys: Vec::new(),
            public_url: None,
            offered_scopes: Vec::new(),
            tokens: Tokens::default(),
            issuers: Vec::new(),
            clients: Vec::new(),
            danger_allow_compat_signatures: false,
            certificates: Vec::new(),
        }
    }
}

/// How callers prove who they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(extend("x-later" = ["jwt", "oauth", "session"]))]
pub(super) enum Mode {
    /// Not at all: on loopback in development only.
    None,
    /// By a static key, as `Authorization: Bearer KEY` or `X-API-Key: KEY`.
    #[default]
    Bearer,
    /// By a signature over the request.
    Hmac,
}

/// One key. It says where its text is kept in exactly one of `sha256`, `key_file`, `key_env` and `key`.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "the names of the file")]
pub(super) struct Key {
    /// What records and limits call its holder; without it `key-1`, `key-2` …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    /// The SHA-256 of the key, in 64 hexadecimal digits: the key itself then never stands on this machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sha256: Option<Secret>,
    /// A file that holds the key and that nobody else may read (mode 0600).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) key_file: Option<String>,
    /// An environment variable that holds the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) key_env: Option<String>,
    /// The key itself; in development only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) key: Option<Secret>,
    /// Servers it may call; without it all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) servers: Option<Vec<String>>,
    /// What it may do: `mcp:tools:call:SERVER/TOOL` with `*` for any run of characters, `palisade:keys:write` and the
    /// like for administration; without it every MCP method, and no administration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) scopes: Option<Vec<String>>,
    /// Groups its holder is in.
    pub(super) groups: Vec<String>,
    /// Networks it may be used from; empty means all.
    pub(super) allow: Vec<String>,
    /// Networks it may not be used from.
    pub(super) deny: Vec<String>,
    /// Calls in any 60 seconds, instead of `limits.per_caller_per_minute`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub(super) limit_per_minute: Option<u32>,
}

/// How much and how large. Calls are counted in any 60 seconds, not from minute to minute; a size is a number with
/// `B`, `KiB`, `MiB` or `GiB`.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Limits {
    /// The longest that the refusal of a wrong credential waits, where many came from one IPv4 /24 or IPv6 /48; a right
    /// one never waits. `off` for no penalty.
    pub(super) penalty: String,
    /// Calls that do not authenticate, from one address. Env `RATE_LIMIT_PER_MINUTE`.
    #[schemars(range(min = 1))]
    pub(super) per_address_per_minute: u32,
    /// All calls from one address but those that authenticate: beyond, strangers are refused without a look, and who is
    /// known goes on.
    #[schemars(range(min = 1))]
    pub(super) address_ceiling_per_minute: u32,
    /// Calls of one caller. Env `CALLER_RATE_LIMIT_PER_MINUTE`.
    #[schemars(range(min = 1))]
    pub(super) per_caller_per_minute: u32,
    /// Addresses, and callers, that are counted one by one; more share what is left.
    #[schemars(range(min = 1000, max = 10_000_000))]
    pub(super) counted: u32,
    /// Bytes of a request's body.
    pub(super) body: String,
    /// Bytes of the body of a signed request, which is read before its signature can be judged.
    pub(super) signed_body: String,
    /// Bytes of a tool's arguments.
    pub(super) arguments: String,
    /// Bytes of one message of an upstream's answer.
    pub(super) answer: String,
    /// Bytes of a request's headers.
    pub(super) header: String,
    /// Arrays and objects inside one another.
    #[schemars(range(min = 4, max = 128))]
    pub(super) depth: u32,
    /// Messages in one batch, in the revision of MCP that has batches.
    #[schemars(range(min = 1, max = 1000))]
    pub(super) batch: u32,
    /// How tools may be called.
    pub(super) tool_names: ToolNames,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            penalty: "10s".to_owned(),
            per_address_per_minute: 100,
            address_ceiling_per_minute: 10_000,
            per_caller_per_minute: 1_000,
            counted: 1_000_000,
            body: "10MiB".to_owned(),
            signed_body: "1MiB".to_owned(),
            arguments: "1MiB".to_owned(),
            answer: "10MiB".to_owned(),
            header: "64KiB".to_owned(),
            depth: 64,
            batch: 50,
            tool_names: ToolNames::Spec,
        }
    }
}

/// How tools may be called.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ToolNames {
    /// As MCP says: at most 128 of ASCII letters, digits, `.`, `_`, `-`, `/`.
    #[default]
    Spec,
    /// At most 100 of ASCII letters, digits, `.`, `_`.
    Strict,
}

/// The journal of every call.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Audit {
    /// The folder it is kept in, made at start if its parent exists. Production wants one.
    pub(super) dir: Option<String>,
    /// When a call's record counts as kept.
    pub(super) durability: Durability,
    /// Size at which a new file is begun.
    pub(super) segment: String,
    /// What this gateway is called in its records.
    pub(super) node: String,
}

impl Default for Audit {
    fn default() -> Self {
        Self { dir: None, durability: Durability::Write, segment: "64MiB".to_owned(), node: "palisade".to_owned() }
    }
}

/// When a call's record counts as kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// When the system has it: it outlives the gateway, not the machine's power.
    #[default]
    Write,
    /// When the disk has it, before the call goes on.
    Strict,
}
