//! Signed requests: the credential is a signature over the request, by a client that has a secret in common with us.
//!
//! 1. Headers first: form, then the key id, then the time. An unknown signer cannot make us read a body.
//! 2. The signature holds, or the caller hears one and the same whatever is wrong: the record says what.
//! 3. Last the nonce is written down, in the scope of its key, by whoever has a store: [`Pending::holds`] says which.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Principal, Proof};
use crate::grant::Grant;
use crate::refusal::{Reason, Refusal};
use crate::sign::nonces::{Down, Seen, Use};
use crate::sign::{Fault, Request, Scheme, Secrets, Statement, statement};

/// A client that signs.
#[derive(Debug)]
pub struct Client {
    /// The principal: `client:NAME`.
    pub id: Arc<str>,
    /// What its signatures name.
    pub key_id: Arc<str>,
    /// What it signs with: two secrets while one replaces the other.
    pub secrets: Secrets,
    /// What it may do.
    pub grant: Arc<Grant>,
}

/// All clients that sign, and what is asked of them.
#[derive(Debug, Default)]
pub struct Clients {
    by_key_id: HashMap<Arc<str>, Arc<Client>>,
    /// Whether nobody gets in without a signature.
    pub demanded: bool,
    /// Whether the compatibility scheme counts.
    pub compat: bool,
}

/// A signature whose headers are in order: the body must be read to know more.
#[derive(Debug)]
pub struct Pending {
    statement: Statement,
    client: Arc<Client>,
}

impl Clients {
    /// The table of these clients.
    pub fn new(clients: impl IntoIterator<Item = Client>, demanded: bool, compat: bool) -> Self {
        let by_key_id = clients.into_iter().map(|client| (Arc::clone(&client.key_id), Arc::new(client)));
        let by_key_id = by_key_id.collect();
        Self { by_key_id, demanded, compat }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_key_id.is_empty()
    }

    /// Judges what the headers say; `None` for a request that is not signed.
    pub(super) fn read(&self, request: &Request<'_>, now_s: u64) -> Result<Option<Pending>, Refusal> {
        let Some(statement) = statement(request).map_err(refusal)? else {
            return if self.demanded { Err(missing("the request is not signed")) } else { Ok(None) };
        };
        if statement.scheme() == Scheme::Compat && !self.compat {
            return Err(refused(Reason::SignatureScheme, "auth.danger_allow_compat_signatures is not set"));
        }
        let client = self.by_key_id.get(statement.key_id());
        let Some(client) = client else {
            // As much work as a signature that does not fit.
            if let Some(anybody) = self.by_key_id.values().next() {
                let _ = statement.holds(&anybody.secrets, b"");
            }
            return Err(refused(Reason::SignatureKeyUnknown, "the key id is not known"));
        };
        statement.timely(now_s).map_err(refusal)?;
        Ok(Some(Pending { statement, client: Arc::clone(client) }))
    }

    /// The client that is still called so and still has the secret that was signed with.
    pub(super) fn again(&self, id: &str, secret: &[u8; 32]) -> Option<&Arc<Client>> {
        self.by_key_id.values().find(|client| &*client.id == id && client.secrets.has(secret))
    }
}

impl Pending {
    /// Whether the signature fits this body: who it is then, and what must not have been used before.
    pub fn holds(self, body: &[u8]) -> Result<(Principal, Use), Refusal> {
        let Self { statement, client } = self;
        let secret = statement.holds(&client.secrets, body).map_err(refusal)?;
        let principal = by_signature(&client, secret);
        Ok((principal, Use { once: statement.once(), timestamp: statement.timestamp() }))
    }
}

pub(super) fn by_signature(client: &Client, secret: [u8; 32]) -> Principal {
    Principal { id: Arc::clone(&client.id), grant: Arc::clone(&client.grant), proof: Proof::Signature(secret) }
}

/// What follows from what a store found of a nonce.
pub fn first(seen: &Result<Seen, Down>) -> Result<(), Refusal> {
    match seen {
        Ok(Seen::First) => Ok(()),
        Ok(Seen::Again) => Err(refused(Reason::SignatureReplayed, "the nonce was used before")),
        Ok(Seen::Forgotten) => Err(Refusal::new(Reason::StoreUnavailable)
            .retry_after(std::time::Duration::from_secs(1))
            .because("signed before the store began, or before what it has forgotten")),
        Err(Down(why)) => Err(Refusal::new(Reason::StoreUnavailable).because(why)),
    }
}

/// The refusal where a signature is demanded and none is there.
pub fn missing(cause: &'static str) -> Refusal {
    refused(Reason::SignatureMissing, cause)
}

fn refusal(fault: Fault) -> Refusal {
    let reason = match fault {
        Fault::Malformed(_) => Reason::SignatureMalformed,
        Fault::TooOld => Reason::SignatureTooOld,
        Fault::TooEarly => Reason::SignatureTooEarly,
        Fault::Wrong | Fault::OtherBody => Reason::SignatureWrong,
    };
    Refusal::new(reason).challenge(CHALLENGE).because(fault)
}

fn refused(reason: Reason, cause: &'static str) -> Refusal {
    Refusal::new(reason).challenge(CHALLENGE).because(cause)
}

const CHALLENGE: &str = r#"Signature realm="mcp""#;

#[cfg(test)]
mod tests;
