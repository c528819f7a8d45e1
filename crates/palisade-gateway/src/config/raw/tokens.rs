//! Tokens: those of our own, and those of others' issuers.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::secret::{Secret, Url};

/// Tokens of our own (JWT): an access token for a while, and a refresh token to have another one.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Tokens {
    /// Whether they are issued and taken.
    pub(in crate::config) enabled: bool,
    /// What they are signed with: `EdDSA`, with keys that the gateway makes and keeps in its store; `HS256`, with
    /// `secret`. Without it `HS256` where there is a secret, else `EdDSA`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) algorithm: Option<TokenAlgorithm>,
    /// The secret of HS256: at least 32 bytes, and no word that others know. Env `SECRET_KEY`.
    pub(in crate::config) secret: Option<Secret>,
    /// The secret before this one, whose tokens are still taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) previous_secret: Option<Secret>,
    /// Whose tokens they are (`iss`); without it `auth.public_url`, or else `palisade:` and the environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) issuer: Option<String>,
    /// Minutes for which an access token is good. Env `ACCESS_TOKEN_EXPIRE_MINUTES`.
    #[schemars(range(min = 1, max = 1440))]
    pub(in crate::config) access_minutes: u32,
    /// Days for which a refresh token is good. Env `REFRESH_TOKEN_EXPIRE_DAYS`.
    #[schemars(range(min = 1, max = 90))]
    pub(in crate::config) refresh_days: u32,
}

impl Default for Tokens {
    fn default() -> Self {
        Self {
            enabled: true,
            algorithm: None,
            secret: None,
            previous_secret: None,
            issuer: None,
            access_minutes: 30,
            refresh_days: 7,
        }
    }
}

/// What our own tokens are signed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub(in crate::config) enum TokenAlgorithm {
    /// Ed25519: whoever verifies cannot sign.
    #[serde(rename = "EdDSA")]
    EdDsa,
    /// A secret that every gateway of the group knows.
    #[serde(rename = "HS256")]
    Hs256,
}

/// Somebody else's issuer of tokens, like a company's single sign-on (OAuth 2.1, OIDC).
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Issuer {
    /// What its principals are called: `oauth:NAME:WHO`.
    pub(in crate::config) name: String,
    /// Its identifier, letter by letter as `iss` has it in its tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) url: Option<String>,
    /// Whom its tokens must be for, where it cannot issue them for the address of the endpoint that is called (RFC 8707),
    /// which is what is asked for without this. Such a token opens every MCP endpoint, and never the administration.
    pub(in crate::config) audiences: Vec<String>,
    /// What its keys may sign with; without it every algorithm with a public key.
    pub(in crate::config) algorithms: Vec<String>,
    /// Where its keys are (JWKS); without this and `jwks_file`, where its metadata says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) jwks: Option<Url>,
    /// A file with its keys (JWKS), instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) jwks_file: Option<String>,
    /// The claim that says whose a token is.
    pub(in crate::config) principal_claim: Option<String>,
    /// The claim that names the groups of the holder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) groups_claim: Option<String>,
    /// What its scopes mean here: scopes of ours for each of its own. `"*"` is what every token of it means. Without this
    /// its scopes are taken for ours.
    pub(in crate::config) scopes: BTreeMap<String, Vec<String>>,
    /// Servers that its tokens reach; without it all that their scopes name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) servers: Option<Vec<String>>,
    /// Calls of one holder in any 60 seconds, instead of `limits.per_caller_per_minute`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub(in crate::config) limit_per_minute: Option<u32>,
    /// By how much its clock may differ: at most `60s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) leeway: Option<String>,
    /// Where it can be asked about tokens that say nothing themselves (RFC 7662).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) introspection: Option<Url>,
    /// As whom it is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) client_id: Option<String>,
    /// The secret that goes with it: `secret:env:NAME` or `secret:file:PATH`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) client_secret: Option<Secret>,
    /// For how long its answer is believed, from `1s` to `5m`; `30s` without this. A token that it takes back works so long
    /// at most; a stream is asked about again as often.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) introspection_max_age: Option<String>,
    /// Certificates to believe instead of the system's (PEM).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) ca_file: Option<String>,
}
