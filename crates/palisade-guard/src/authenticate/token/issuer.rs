//! Whose tokens are taken, and what they let their holders do.

use std::sync::Arc;

use super::super::resource::Resource;
use crate::grant::{Grant, Scopes, Words};
use crate::token::{Algorithm, Keyring};

/// Whose tokens are taken.
#[derive(Debug)]
pub struct Issuer {
    /// Its identifier, as it stands in its tokens.
    pub url: Box<str>,
    /// What the principals of its tokens begin with.
    pub prefix: Box<str>,
    /// Whom its tokens must be for.
    pub audience: Audience,
    /// What its keys may be for.
    pub algorithms: Vec<Algorithm>,
    /// The claim that says whose a token is.
    pub principal_claim: Box<str>,
    /// The claim that names the groups of the holder.
    pub groups_claim: Option<Box<str>>,
    /// What its scopes mean here; `None` where its scopes are ours.
    pub words: Option<Words>,
    /// What else is so for every token of it.
    pub grant: Grant,
    /// Seconds by which its clock may differ.
    pub leeway: u64,
    /// Its keys.
    pub keyring: Arc<Keyring>,
    /// Seconds for which its word about a token is believed; `None` where it cannot be asked.
    pub introspects: Option<u64>,
}

/// Whom tokens must be for.
#[derive(Debug, PartialEq, Eq)]
pub enum Audience {
    /// For the very address that is called.
    Resource,
    /// For one of these, which stand for every MCP endpoint, and for nothing else.
    Named(Vec<Box<str>>),
    /// Our own: for all MCP endpoints, for the administration, or for a new token.
    Own {
        /// The audience of every MCP endpoint.
        mcp: Box<str>,
        /// The audience of everything else.
        api: Box<str>,
        /// The audience of refresh tokens.
        refresh: Box<str>,
    },
}

impl Audience {
    /// Whether a token for these audiences (in canonical form) is for what is called.
    pub(super) fn fits(&self, audiences: &[Box<str>], resource: &Resource<'_>, refreshes: bool) -> bool {
        let has = |wanted: &str| audiences.iter().any(|audience| **audience == *wanted);
        match self {
            Self::Resource => audiences.iter().any(|audience| resource.is(audience)),
            Self::Named(names) => resource.is_mcp() && names.iter().any(|name| has(name)),
            Self::Own { refresh, .. } if refreshes => has(refresh),
            Self::Own { mcp, .. } if resource.is_mcp() => has(mcp),
            Self::Own { api, .. } => has(api),
        }
    }
}

impl Issuer {
    /// What a token with these scopes, of a holder in these groups, lets its holder do.
    pub(super) fn grant(&self, words: &[Box<str>], groups: &[Box<str>]) -> Grant {
        let mut scopes = String::new();
        match &self.words {
            None => scopes = words.join(" "),
            Some(meanings) => {
                let means = |word: &str| word == "*" || words.iter().any(|held| **held == *word);
                for (_, meaning) in meanings.iter().filter(|(word, _)| means(word)) {
                    scopes += meaning;
                    scopes += " ";
                }
            }
        }
        Grant {
            scopes: Some(Scopes::among(&scopes)),
            groups: groups.iter().map(|group| Arc::from(&**group)).collect(),
            words: self.words.clone(),
            ..self.grant.clone()
        }
    }

    /// Whether another configuration's issuer would read a token in the same way.
    pub(super) fn is_as(&self, other: &Self) -> bool {
        self.url == other.url
            && self.prefix == other.prefix
            && self.audience == other.audience
            && self.principal_claim == other.principal_claim
            && self.groups_claim == other.groups_claim
    }
}
