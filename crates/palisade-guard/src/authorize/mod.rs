//! What a caller may do.
//!
//! 1. A credential with a list of servers, or with scopes, reaches the servers these name; to it, others do not exist.
//! 2. A credential with an IP list works from those addresses only.
//! 3. A credential with scopes does what they cover ([`grant::Scopes`]). One without does every MCP method, and never
//!    administration, which must be named.
//! 4. Where there is a policy ([`policy`]), it must permit each deed besides: what a credential leaves out, no rule gives.
//! 5. Everything else that reached this stage is a method the revision knows: unknown ones were refused when the
//!    message was parsed.

mod deeds;
pub mod policy;

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use crate::authenticate::Principal;
use crate::clock::Moment;
use crate::grant::{self, Deed, Grant, Scopes};
use crate::message::Call;
use crate::refusal::{Detail, Reason, Refusal};
use policy::{Policy, Thing, Who};

/// Proof that a rule allowed this caller on this server. Made only by [`call`].
#[derive(Debug)]
pub struct Permit {
    rule: Cow<'static, str>,
}

impl Permit {
    /// The rule that decided, as records name it.
    pub const fn rule(&self) -> &Cow<'static, str> {
        &self.rule
    }
}

/// Who asks for something, and on what that is judged.
#[derive(Debug, Clone, Copy)]
pub struct Asker<'a> {
    /// The policy, where there is one.
    pub policy: Option<&'a Policy>,
    /// The caller.
    pub caller: &'a Principal,
    /// Where the caller is.
    pub address: IpAddr,
    /// When.
    pub now: Moment,
}

impl<'a> Asker<'a> {
    fn who(&self) -> Who<'a> {
        Who {
            id: self.caller.id(),
            groups: &self.caller.grant().groups,
            method: self.caller.method(),
            address: self.address,
            unix_s: self.now.unix_ms / 1000,
        }
    }

    /// Whether this thing may stand in the caller's lists.
    pub fn may_list(&self, thing: Thing, server: &str, name: &str) -> bool {
        self.policy.is_none_or(|policy| policy.shows(&self.who(), thing, server, name))
    }

    /// Whether the caller may have the list of a server's tools.
    pub fn may_list_tools(&self, server: &str) -> bool {
        self.caller.grant().scopes.as_ref().is_none_or(|scopes| scopes.cover(server, &Deed::LIST_TOOLS))
    }

    /// Whether the caller may know that `server` exists.
    pub fn may_see(&self, server: &Arc<str>) -> bool {
        may_see(self.caller, server) && self.policy.is_none_or(|policy| policy.reaches(&self.who(), server))
    }

    /// Decides whether the caller may reach `server` at all, and names the rule.
    pub fn reach(&self, server: &Arc<str>) -> Result<&'static str, Refusal> {
        read(self)?;
        let grant = self.caller.grant();
        if !self.may_see(server) {
            return Err(Refusal::new(Reason::UnknownPath).because("the servers of the key, its scopes, or the policy"));
        }
        Ok(match &grant.servers {
            _ if self.caller.is_anonymous() => "mode-none",
            None => "key",
            Some(_) => "key-servers",
        })
    }
}

/// Decides whether the caller may read what the gateway says of itself, from where the caller is.
pub fn read(asker: &Asker<'_>) -> Result<(), Refusal> {
    asker.caller.grant().lists.judge(asker.address).map_err(|refusal| refusal.because("the key's IP list"))
}

/// Decides whether this may be done on `server`.
pub fn call(asker: &Asker<'_>, server: &Arc<str>, call: &Call) -> Result<Permit, Refusal> {
    let mut rule = Cow::Borrowed(asker.reach(server)?);
    if let Some(scopes) = &asker.caller.grant().scopes {
        let deeds = grant::deeds(call);
        let missing: Vec<_> = deeds.iter().filter(|deed| !scopes.cover(server, deed)).collect();
        if !missing.is_empty() {
            let needed = needed(asker.caller.grant(), server, &missing);
            return Err(without(needed).because("the credential's scopes"));
        }
        rule = Cow::Borrowed("scopes");
    }
    if let Some(policy) = asker.policy {
        let said = deeds::Said::of(call);
        for deed in deeds::of(server, call, &said) {
            rule = decided(policy, asker, &deed)?.unwrap_or(rule);
        }
    }
    Ok(Permit { rule })
}

/// What the policy says to one deed: the rule that permits it, or a refusal.
fn decided(policy: &Policy, asker: &Asker<'_>, deed: &policy::Deed<'_>) -> Result<Option<Cow<'static, str>>, Refusal> {
    let who = asker.who();
    let verdict = policy.decide(&who, deed);
    if verdict.allowed {
        return Ok(verdict.rule.map(|rule| Cow::Owned(rule.id.to_string())));
    }
    let cause = match (&verdict.broken, &verdict.rule) {
        (Some(broken), _) => format!("a rule of the policy could not be evaluated: {broken}"),
        (None, Some(rule)) => format!("the policy's rule {}", rule.id),
        (None, None) => "no rule of the policy permits it".to_owned(),
    };
    if verdict.broken.is_some() {
        return Err(Refusal::new(Reason::PolicyBroken).because(cause));
    }
    let forbidden = || Refusal::new(Reason::Forbidden);
    let refusal = match verdict.rule.as_ref().map(|rule| (&rule.denial, &rule.id)) {
        Some((policy::Denial::Hide, _)) => deeds::nothing_there(deed),
        Some((policy::Denial::Explain(words), id)) => {
            let refusal = forbidden().with("rule", Detail::Text(id.to_string().into()));
            if words.is_empty() { refusal } else { refusal.says(words.to_string()) }
        }
        _ if policy.shows(&who, deed.thing, deed.server, deed.name) => forbidden(),
        _ => deeds::nothing_there(deed),
    };
    Err(refusal.because(cause))
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

/// Whether the credential itself lets its holder know that `server` exists.
fn may_see(caller: &Principal, server: &Arc<str>) -> bool {
    let grant = caller.grant();
    grant.servers.as_ref().is_none_or(|servers| servers.contains(server))
        && grant.scopes.as_ref().is_none_or(|scopes| scopes.reach(server))
}

/// Decides whether the caller may read or write (`action`) a part of the administration: `keys`, `tokens`.
pub fn administer(asker: &Asker<'_>, part: &str, action: &str) -> Result<(), Refusal> {
    read(asker)?;
    let grant = asker.caller.grant();
    if !grant.scopes.as_ref().is_some_and(|scopes| scopes.administer(part, action)) {
        return Err(without(format!("palisade:{part}:{action}")));
    }
    let Some(policy) = asker.policy else { return Ok(()) };
    decided(policy, asker, &deeds::administration(part, action)).map(drop)
}

/// A refusal that names the scopes which are needed (RFC 6750 section 3.1).
fn without(needed: String) -> Refusal {
    let challenge = format!(r#"Bearer error="insufficient_scope", scope="{needed}""#);
    Refusal::new(Reason::ScopeMissing).challenge(challenge).with("scope", Detail::Text(needed.into()))
}

#[cfg(test)]
mod tests;
