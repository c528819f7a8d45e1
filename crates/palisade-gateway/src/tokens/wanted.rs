//! What a token is to be, as it comes from a command or a request; and what is given for it.

use std::sync::Arc;

use palisade_guard::grant::{Grant, Scopes};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Error;
use crate::keys::Asker;

/// What a token is to be.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Wanted {
    /// Whose it is: records call its holder `token:` and this. 1 to 128 of ASCII letters, digits and `._@+-`.
    pub subject: String,
    /// What it is for.
    pub purpose: Purpose,
    /// What it may do; without it every MCP method. A token for the administration must name what it may do there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
    /// Servers it may call; without it all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub servers: Option<Vec<String>>,
    /// Groups its holder is in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
}

/// What a token is for. One is no good for the other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// The MCP endpoints.
    #[default]
    Mcp,
    /// The administration.
    Api,
}

/// A pair of tokens, shown this one time (RFC 6749 section 5.1).
#[derive(Debug, Serialize, JsonSchema)]
pub struct Issued {
    /// What is sent with every request.
    pub access_token: String,
    /// `Bearer`
    pub token_type: &'static str,
    /// Seconds for which it is good.
    pub expires_in: u64,
    /// What buys the next pair, once.
    pub refresh_token: String,
    /// Seconds for which that is good.
    pub refresh_expires_in: u64,
    /// What it may do.
    pub scope: String,
    /// What the access token is called (`jti`), to take it back.
    pub id: String,
    /// What it and all that follow by refreshing are called.
    pub family: String,
}

impl Purpose {
    /// Its word.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Mcp => "mcp",
            Self::Api => "api",
        }
    }
}

/// Every MCP method.
const ALL: &str = "mcp:*";

impl Wanted {
    /// What it may do.
    pub(super) fn scopes(&self) -> Vec<String> {
        self.scopes.clone().unwrap_or_else(|| vec![ALL.to_owned()])
    }

    /// Whether it can be.
    pub(super) fn check(&self, servers: &[Arc<str>]) -> Result<(), Error> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._@+-".contains(&byte);
        if !(1..=128).contains(&self.subject.len()) || !self.subject.bytes().all(plain) {
            return Err(Error::Wrong("subject", "write 1 to 128 of ASCII letters, digits and ._@+-".to_owned()));
        }
        if self.purpose == Purpose::Api && self.scopes.is_none() {
            return Err(Error::Wrong("scopes", "name what it may do in the administration".to_owned()));
        }
        let scopes = self.scopes();
        let wrong = |problem: String| Err(Error::Wrong("scopes", problem));
        if scopes.is_empty() || scopes.len() > MOST {
            return wrong(format!("write 1 to {MOST} scopes"));
        }
        if let Err((text, why)) = Scopes::read(scopes.iter().map(String::as_str)) {
            return wrong(format!("{text:?} is not a scope: {why}"));
        }
        let unknown = |name: &&String| !servers.iter().any(|server| **server == ***name);
        if let Some(name) = self.servers.iter().flatten().find(unknown) {
            return Err(Error::Wrong("servers", format!("{name:?} is not a server")));
        }
        if self.groups.len() > MOST || self.groups.iter().any(|group| !crate::config::is_name(group)) {
            return Err(Error::Wrong("groups", "write names of a-z, 0-9, \"_\" and \"-\"".to_owned()));
        }
        Ok(())
    }

    /// Nobody can give more than they hold.
    pub(super) fn within(&self, by: Asker<'_>) -> Result<(), Error> {
        let scopes = Scopes::read(self.scopes().iter().map(String::as_str)).map_err(|_| Error::Beyond("scopes"))?;
        let shared = |names: &Vec<String>| names.iter().map(|name| Arc::from(name.as_str())).collect::<Vec<Arc<str>>>();
        let grant = Grant {
            servers: self.servers.as_ref().map(shared),
            scopes: Some(scopes),
            groups: shared(&self.groups),
            ..Grant::default()
        };
        by.goes_beyond(&grant).map_or(Ok(()), |part| Err(Error::Beyond(part)))
    }
}

/// Scopes, and groups, of one token.
const MOST: usize = 64;
