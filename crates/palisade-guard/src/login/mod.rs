//! Logging in at an authorization server, for a client that holds no credential yet: OAuth 2.1 with PKCE, as MCP wants it.
//!
//! The other side of `authenticate`: here we are the client. Everything that is read came from somebody who may be hostile:
//! a server that sends us to an authorization server, that server, and whoever calls our address for its answer. What they
//! say is judged here; who is asked, and when, is the gateway's part.
//!
//! 1. An authorization server is reached by `https`; plainly on this machine alone, where the MCP server is here too.
//! 2. A server speaks for its own address alone, and an authorization server for itself alone.
//! 3. An address for the browser holds nothing that a shell could take for more than text.

mod address;
mod answer;
mod challenge;
mod metadata;
mod request;
mod tokens;

pub use address::{is_here, place, same_origin};
pub use answer::{Answer, Expected, answer};
pub use challenge::{Challenge, challenge};
pub use metadata::{Issuer, Resource, Trust, issuer, issuer_places, resource, resource_places};
pub use request::{Attempt, encoded, form, registration};
pub use tokens::{Granted, client_id, granted, problem};

/// What is wrong with what somebody said, in words for the person who logs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong(pub &'static str);

impl std::fmt::Display for Wrong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Wrong {}

/// Values and keys of a document.
const NODES: usize = 4096;

#[cfg(test)]
mod tests;
