//! What a caller may do.
//!
//! 1. A credential with a list of servers, or with scopes, reaches the servers these name; to it, others do not exist.
//! 2. A credential with an IP list works from those addresses only.
//! 3. A credential with scopes does what they cover ([`grant::Scopes`]). One without does every MCP method, and never
//!    administration, which must be named.
//! 4. Everything else that reached this stage is a method the revision knows: unknown ones were refused when the
//!    message was parsed.

use std::net::IpAddr;
use std::sync::Arc;

use crate::authenticate::Principal;
use crate::grant::{self, Deed, Grant, Scopes};
use crate::message::Call;
use crate::refusal::{Detail, Reason, Refusal};

/// Proof that a rule allowed this caller on this server. Made only by [`call`].
#[derive(Debug)]
pub struct Permit {
    rule: &'static str,
}

impl Permit {
    /// The rule that decided, as records name it.
    pub const fn rule(&self) -> &'static str {
        self.rule
    }
}

/// Decides whether `caller` may do this on `server` from `address`.
pub fn call(caller: &Principal, address: IpAddr, server: &Arc<str>, call: &Call) -> Result<Permit, Refusal> {
    let rule = reach(caller, address, server)?;
    let Some(scopes) = &caller.grant().scopes else { return Ok(Permit { rule }) };
    let deeds = grant::deeds(call);
    let missing: Vec<_> = deeds.iter().filter(|deed| !scopes.cover(server, deed)).collect();
    if !missing.is_empty() {
        let needed = needed(caller.grant(), server, &missing);
        return Err(without(needed).because("the credential's scopes"));
    }
    Ok(Permit { rule: "scopes" })
}

/// Every scope that a call needs and that is missing, in the words that the caller's issuer knows.
fn needed(grant: &Grant, server: &str, missing: &[&Deed<'_>]) -> String {
    let mut words: Vec<String> = Vec::new();
    for deed in missing {
        let covers = |meaning: &str| Scopes::among(meaning).cover(server, deed);
        let issuers = grant.words.iter().flat_map(|words| words.iter());
        let word = issuers.filter(|(word, _)| &**word != "*").find(|(_, meaning)| covers(meaning));
        let word = word.map_or_else(|| format!("{deed}:{server}"), |(word, _)| word.to_string());
        if !words.contains(&word) {
            words.push(word);
        }
    }
    words.join(" ")
}

/// Decides whether `caller` may reach `server` from `address` at all, and names the rule.
pub fn reach(caller: &Principal, address: IpAddr, server: &Arc<str>) -> Result<&'static str, Refusal> {
    let grant = caller.grant();
    grant.lists.judge(address).map_err(|refusal| refusal.because("the key's IP list"))?;
    if !may_see(caller, server) {
        return Err(Refusal::new(Reason::UnknownPath).because("the servers of the key or its scopes"));
    }
    Ok(match &grant.servers {
        _ if caller.is_anonymous() => "mode-none",
        None => "key",
        Some(_) => "key-servers",
    })
}

/// Whether `caller` may know that `server` exists: the same decision, for lists.
pub fn may_see(caller: &Principal, server: &Arc<str>) -> bool {
    let grant = caller.grant();
    grant.servers.as_ref().is_none_or(|servers| servers.contains(server))
        && grant.scopes.as_ref().is_none_or(|scopes| scopes.reach(server))
}

/// Decides whether `caller` may read or write (`action`) a part of the administration: `keys`, `tokens`.
pub fn administer(caller: &Principal, address: IpAddr, part: &str, action: &str) -> Result<(), Refusal> {
    let grant = caller.grant();
    grant.lists.judge(address).map_err(|refusal| refusal.because("the key's IP list"))?;
    if grant.scopes.as_ref().is_some_and(|scopes| scopes.administer(part, action)) {
        return Ok(());
    }
    Err(without(format!("palisade:{part}:{action}")))
}

/// A refusal that names the scopes which are needed (RFC 6750 section 3.1).
fn without(needed: String) -> Refusal {
    let challenge = format!(r#"Bearer error="insufficient_scope", scope="{needed}""#);
    Refusal::new(Reason::ScopeMissing).challenge(challenge).with("scope", Detail::Text(needed.into()))
}

#[cfg(test)]
mod tests;
