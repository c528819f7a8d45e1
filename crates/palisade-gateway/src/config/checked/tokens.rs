//! Tokens, checked.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use palisade_guard::grant::Words;
use palisade_guard::token::Algorithm;

use super::super::secret::Secret;

/// Tokens of our own.
#[derive(Debug, Clone)]
pub struct Tokens {
    /// Whose they are.
    pub issuer: String,
    /// What they are signed with.
    pub signing: Signing,
    /// How long an access token is good.
    pub access: Duration,
    /// How long a refresh token is good.
    pub refresh: Duration,
}

/// What our own tokens are signed with.
#[derive(Debug, Clone)]
pub enum Signing {
    /// Ed25519 keys in the store.
    Stored,
    /// HS256.
    Secret {
        /// What signs and verifies.
        now: Secret,
        /// What verified before.
        before: Option<Secret>,
    },
}

/// Somebody else's issuer.
#[derive(Debug, Clone)]
pub struct Issuer {
    /// What its principals are called.
    pub name: String,
    /// Its identifier.
    pub url: String,
    /// Whom its tokens must be for; empty for the address that is called.
    pub audiences: Vec<String>,
    /// What its keys may sign with; never empty.
    pub algorithms: Vec<Algorithm>,
    /// Where its keys are.
    pub keys: KeySource,
    /// The claim that says whose a token is.
    pub principal_claim: String,
    /// The claim that names the groups of the holder.
    pub groups_claim: Option<String>,
    /// What its scopes mean, each as scopes of ours with spaces between.
    pub words: Option<Words>,
    /// Servers that its tokens reach.
    pub servers: Option<Vec<Arc<str>>>,
    /// Calls of one holder in 60 s.
    pub limit: Option<u32>,
    /// Seconds by which its clock may differ.
    pub leeway: u64,
    /// Where it can be asked.
    pub introspection: Option<Introspection>,
    /// Certificates to believe instead of the system's.
    pub ca_file: Option<PathBuf>,
}

/// Where an issuer's keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// Where its metadata says.
    Discovery,
    /// Here.
    Url(Uri),
    /// In a file, whose text this is.
    Text(String),
}

/// Where an issuer can be asked about a token, and as whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Introspection {
    /// Where.
    pub url: Uri,
    /// Who asks.
    pub client_id: String,
    /// By which it knows that it is us.
    pub client_secret: Secret,
    /// For how long its answer is believed.
    pub believed: Duration,
}

impl Issuer {
    /// Whether what it takes to reach the two is the same.
    pub(crate) fn is_reached_as(&self, other: &Self) -> bool {
        (&self.name, &self.url, &self.keys, &self.introspection, &self.ca_file)
            == (&other.name, &other.url, &other.keys, &other.introspection, &other.ca_file)
    }
}
