//! The mirror of `[listen.tls]` and of `[[auth.certificates]]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// TLS 1.2 and 1.3 on the listener, with HTTP/2 for whoever speaks it. Changed files count for new connections.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Tls {
    /// The certificate and those above it (PEM), our own first.
    pub(in crate::config) cert: Option<String>,
    /// Its private key (PEM), which nobody else may read (mode 0600).
    pub(in crate::config) key: Option<String>,
    /// Whether clients show a certificate too.
    pub(in crate::config) client_auth: ClientAuth,
    /// Whom a client's certificate must come from (PEM).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) client_ca: Option<String>,
    /// Lists of revoked certificates (PEM), one of each authority above a client. A list past its next update lets nobody in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) crl: Option<String>,
}

/// Whether clients show a certificate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum ClientAuth {
    /// Nobody is asked for one.
    #[default]
    Off,
    /// Whoever has one shows it; a wrong one ends the connection.
    Optional,
    /// Nobody gets in without one.
    Required,
}

/// Whose certificates are whose. Of `san_dns`, `san_uri`, `san_email` and `subject` all that are given must fit; the first
/// rule that fits counts.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Certificate {
    /// What records and limits call the holder.
    pub(in crate::config) name: String,
    /// A host name, or `*.example.com` for every name one step below.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) san_dns: Option<String>,
    /// A URI, as SPIFFE has them, or `spiffe://example.com/agents/*` for all below.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) san_uri: Option<String>,
    /// An address of mail, or `*@example.com`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) san_email: Option<String>,
    /// The whole subject as RFC 4514 writes it, like `CN=agent,O=Example`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) subject: Option<String>,
    /// Servers the holder may call; without it all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) servers: Option<Vec<String>>,
    /// What the holder may do, as for a key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) scopes: Option<Vec<String>>,
    /// Groups the holder is in.
    pub(in crate::config) groups: Vec<String>,
    /// Networks the holder may call from; empty means all.
    pub(in crate::config) allow: Vec<String>,
    /// Networks the holder may not call from.
    pub(in crate::config) deny: Vec<String>,
    /// Calls in any 60 seconds, instead of `limits.per_caller_per_minute`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub(in crate::config) limit_per_minute: Option<u32>,
}
