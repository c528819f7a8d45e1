//! The mirror of one `[servers.NAME]`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::secret::{Command, Secret, Url};

/// One MCP server: a `command` that speaks MCP on standard input and output, or the `url` of one that speaks HTTP.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Server {
    /// Program and arguments; no shell is involved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) command: Option<Command>,
    /// Variables the program gets on top: values, or `secret:env:NAME` and `secret:file:PATH`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(in crate::config) env: BTreeMap<String, Secret>,
    /// Variables it gets from the gateway's own environment; it gets no other but `PATH`, `HOME` and the like.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in crate::config) inherit_env: Vec<String>,
    /// Where the program runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) working_dir: Option<String>,
    /// Address of its MCP endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) url: Option<Url>,
    /// Headers sent with every request: values, or `secret:env:NAME` and `secret:file:PATH`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(in crate::config) headers: BTreeMap<String, Secret>,
    /// Signs every request to `url`, for a server that wants signatures: another gateway like this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) sign: Option<Sign>,
    /// Certificates (PEM) to believe instead of the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) ca_file: Option<String>,
    /// Lets production call a host that is not this machine without TLS: whoever is on the way reads and changes all.
    pub(in crate::config) danger_plain_http: bool,
    /// How long one call may take.
    pub(in crate::config) timeout: String,
    /// Networks that may call this server; empty means all.
    pub(in crate::config) allow: Vec<String>,
    /// Networks that may not call this server.
    pub(in crate::config) deny: Vec<String>,
    /// Whether only signed requests may call it; to every other caller it does not exist.
    pub(in crate::config) signed: bool,
    /// Methods beyond those of MCP that may pass, like `vendor/extra`.
    pub(in crate::config) methods: Vec<String>,
    /// Sessions open at one time; one caller may have half of them.
    #[schemars(range(min = 1, max = 10_000))]
    pub(in crate::config) max_sessions: u32,
}

/// How requests to a server are signed.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Sign {
    /// The key id by which that server knows us.
    pub(in crate::config) key_id: String,
    /// The secret that we have in common, at least 32 bytes: `secret:env:NAME` or `secret:file:PATH`.
    pub(in crate::config) secret: Secret,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            command: None,
            env: BTreeMap::new(),
            inherit_env: Vec::new(),
            working_dir: None,
            url: None,
            headers: BTreeMap::new(),
            sign: None,
            ca_file: None,
            danger_plain_http: false,
            timeout: "5m".to_owned(),
            allow: Vec::new(),
            deny: Vec::new(),
            signed: false,
            methods: Vec::new(),
            max_sessions: 64,
        }
    }
}
