//! Tokens as credentials: `Authorization: Bearer eyJ…`, of our own issuer or of others (RFC 9068, RFC 6750).
//!
//! 1. A token's issuer is found by what it claims, letter by letter, and verified with that issuer's keys alone.
//! 2. What was verified is remembered until the token expires. At every call it is looked at again: its time, whether its
//!    key is still in force, whether it was taken back, and whether it is for what is called.
//! 3. A token whose key is not here is [`Need::Keys`], one whose issuer must be asked is [`Need::Introspection`]: whoever
//!    touches the world fetches, and comes back.
//! 4. A stream outlives what its token's issuer said: it is asked again, by the same judgement ([`Tokens::still`]).
//! 5. A refresh token of ours is taken at one address, and lets its holder do nothing but refresh.
//!
//! The token itself is not kept.

mod issuer;
mod verified;

use std::fmt;
use std::sync::Arc;

use http::Method;

pub use issuer::{Audience, Issuer};
pub use verified::Verified;

use super::resource::Resource;
use super::{CHALLENGE_INVALID, Presented, Principal, Proof, Verdict};
use crate::clock::Moment;
use crate::refusal::{Reason, Refusal};
use crate::token::revoked::Revoked;
use crate::token::{Cache, Claims, Compact, Fault, Rules, Type};

/// Everything that judges tokens.
#[derive(Debug)]
pub struct Tokens {
    /// Those whose tokens are taken.
    pub issuers: Vec<Arc<Issuer>>,
    /// The address of this gateway, where the operator named it.
    pub base: Option<Box<str>>,
    /// The scopes that a client without any is told to ask for.
    pub offered: Vec<Box<str>>,
    /// What was taken back.
    pub revoked: Arc<Revoked>,
    /// Tokens that were verified under this configuration.
    pub cache: Cache<Verified>,
}

/// What must be fetched before a token can be judged.
#[derive(Debug)]
pub enum Need {
    /// The keys of this issuer.
    Keys(Arc<Issuer>),
    /// What this issuer says about the token.
    Introspection(Arc<Issuer>),
}

/// Where a refresh token is taken.
pub const REFRESH: &str = "/api/tokens/refresh";

impl Tokens {
    /// Whose token it is, or what must be fetched to know.
    pub(super) fn judge(&self, token: &[u8], presented: &Presented<'_>) -> Result<Verdict, Refusal> {
        let now = presented.now.unix_ms / 1000;
        let name = Cache::<Verified>::name(token);
        if let Some(known) = self.cache.get(&name).filter(|known| known.is_fresh(now)) {
            return self.accept(&known, presented).map(Verdict::Accept);
        }
        let compact = Compact::read(token).map_err(refused)?;
        let claimed = compact.claimed_issuer().ok_or(Fault::Issuer).map_err(refused)?;
        let issuer =
            self.issuers.iter().find(|issuer| *issuer.url == *claimed).ok_or_else(|| refused(Fault::Issuer))?;
        let keys = issuer.keyring.now();
        let key = match keys.find(&compact) {
            Ok(key) => key,
            Err(_) if issuer.introspects.is_some() && keys.is_empty() => {
                return Ok(Verdict::Unsettled(Need::Introspection(Arc::clone(issuer))));
            }
            Err(Fault::UnknownKey) => return Ok(Verdict::Unsettled(Need::Keys(Arc::clone(issuer)))),
            Err(fault) => return Err(refused(fault)),
        };
        if !issuer.algorithms.contains(&key.algorithm()) {
            return Err(refused(Fault::Algorithm));
        }
        let is_own = matches!(issuer.audience, Audience::Own { .. });
        let refreshes = is_own && presented.method == Method::POST && presented.uri.path() == REFRESH;
        let typ = match (is_own, refreshes) {
            (_, true) => Type::Refresh,
            (true, _) => Type::Access,
            _ => Type::AccessOrPlain,
        };
        let rules = Rules { issuer: &issuer.url, typ, complete: is_own, leeway: issuer.leeway };
        let claims = Claims::verified(&compact, key, &rules, now).map_err(refused)?;
        let found = Verified::new(issuer, &claims, refreshes)?;
        let found = Arc::new(found.by(Arc::clone(&keys), compact.kid()));
        let caller = self.accept(&found, presented)?;
        if !refreshes {
            self.cache.put(name, found);
        }
        Ok(Verdict::Accept(caller))
    }

    /// Whose token it is by what its issuer said of it, or whom to ask; `None` where nobody can be.
    pub(super) fn opaque(&self, token: &[u8], presented: &Presented<'_>) -> Option<Result<Verdict, Refusal>> {
        let issuer = self.issuers.iter().find(|issuer| issuer.introspects.is_some())?;
        let known = self.cache.get(&Cache::<Verified>::name(token));
        Some(match known.filter(|known| known.is_fresh(presented.now.unix_ms / 1000)) {
            Some(known) => self.accept(&known, presented).map(Verdict::Accept),
            None => Ok(Verdict::Unsettled(Need::Introspection(Arc::clone(issuer)))),
        })
    }

    /// Whose token it is by its issuer's own word.
    pub fn introspected(
        &self,
        issuer: &Arc<Issuer>,
        token: &[u8],
        answer: &[u8],
        presented: &Presented<'_>,
    ) -> Result<Principal, Refusal> {
        let found = self.said(issuer, token, answer, presented.now)?;
        let caller = self.accept(&found, presented)?;
        self.cache.put(Cache::<Verified>::name(token), found);
        Ok(caller)
    }

    /// Whether this token was good when it was last looked at. Nobody can make up one that was.
    pub fn was_good(&self, token: &[u8]) -> bool {
        self.cache.get(&Cache::<Verified>::name(token)).is_some()
    }

    /// The caller of a stream at a later moment, or whom to ask about its token again.
    pub fn still(&self, caller: &Principal, token: &[u8], now: Moment) -> Result<Verdict, Refusal> {
        let (then, issuer) = self.asked(caller)?;
        let known = self.cache.get(&Cache::<Verified>::name(token));
        match known.filter(|known| known.is_fresh(now.unix_ms / 1000)) {
            Some(known) => self.same(then, &known).map(Verdict::Accept),
            None => Ok(Verdict::Unsettled(Need::Introspection(Arc::clone(issuer)))),
        }
    }

    /// The caller of a stream, by the word of its token's issuer at a later moment.
    pub fn heard(&self, caller: &Principal, token: &[u8], answer: &[u8], now: Moment) -> Result<Principal, Refusal> {
        let (then, issuer) = self.asked(caller)?;
        let found = self.said(issuer, token, answer, now)?;
        let caller = self.same(then, &found)?;
        self.cache.put(Cache::<Verified>::name(token), found);
        Ok(caller)
    }

    /// What an issuer's word means. A token that is not good any more is not remembered as one that was.
    fn said(&self, issuer: &Arc<Issuer>, token: &[u8], answer: &[u8], now: Moment) -> Result<Arc<Verified>, Refusal> {
        said(issuer, answer, now).inspect_err(|_| self.cache.forget(&Cache::<Verified>::name(token)))
    }

    /// What was found of a caller's token, and who can be asked about it.
    fn asked<'a>(&'a self, caller: &'a Principal) -> Result<(&'a Verified, &'a Arc<Issuer>), Refusal> {
        let Proof::Token(then) = &caller.proof else { return Err(refused(Fault::Issuer)) };
        let asked = self.issuers.iter().find(|issuer| issuer.introspects.is_some() && issuer.is_as(then.issuer()));
        asked.map(|issuer| (&**then, issuer)).ok_or_else(|| refused(Fault::Issuer))
    }

    /// The caller of a token that is still whose it was, and for whom it was.
    fn same(&self, then: &Verified, found: &Arc<Verified>) -> Result<Principal, Refusal> {
        if !found.is_of_the_same(then) {
            return Err(refused("its issuer says something else of the token now"));
        }
        if self.revoked.means(found.names()) {
            return Err(refused(Fault::Revoked));
        }
        Ok(found.principal())
    }

    /// What holds for a token at one call.
    fn accept(&self, found: &Arc<Verified>, presented: &Presented<'_>) -> Result<Principal, Refusal> {
        let resource = Resource::of(self.base.as_deref(), presented);
        if !found.is_for(&resource) {
            return Err(refused(Fault::Audience));
        }
        if self.revoked.means(found.names()) {
            return Err(refused(Fault::Revoked));
        }
        if found.is_empty_handed() {
            let challenge = format!(r#"Bearer error="insufficient_scope", scope="{}""#, self.offered.join(" "));
            return Err(Refusal::new(Reason::ScopeMissing)
                .challenge(challenge)
                .because("no scope means anything here"));
        }
        Ok(found.principal())
    }

    /// The caller of a token as this configuration knows it at a later moment.
    pub(super) fn again(&self, found: &Verified, now: Moment) -> Option<Principal> {
        let issuer = self.issuers.iter().find(|issuer| issuer.is_as(found.issuer()))?;
        let holds = found.is_in_force(&issuer.keyring.now(), now.unix_ms / 1000) && !self.revoked.means(found.names());
        holds.then(|| Arc::new(found.under(issuer)).principal())
    }

    /// Adds to a refusal's challenge where a client learns whom to ask for a token, and for what (RFC 9728 section 5.1).
    pub fn complete(&self, refusal: Refusal, presented: &Presented<'_>) -> Refusal {
        let Some(challenge) = refusal.challenge_value().filter(|_| self.has_others()) else { return refusal };
        let metadata = Resource::of(self.base.as_deref(), presented).metadata();
        let mut challenge = format!(r#"{challenge}, resource_metadata="{metadata}""#);
        if !challenge.contains("scope=") && !self.offered.is_empty() {
            challenge = format!(r#"{challenge}, scope="{}""#, self.offered.join(" "));
        }
        refusal.challenge(challenge)
    }

    /// Whether tokens of others are taken.
    pub fn has_others(&self) -> bool {
        self.others().next().is_some()
    }

    /// Those others.
    pub fn others(&self) -> impl Iterator<Item = &Arc<Issuer>> {
        self.issuers.iter().filter(|issuer| !matches!(issuer.audience, Audience::Own { .. }))
    }
}

/// What an issuer's word means.
fn said(issuer: &Arc<Issuer>, answer: &[u8], now: Moment) -> Result<Arc<Verified>, Refusal> {
    let now = now.unix_ms / 1000;
    let claims = Claims::introspected(answer, &issuer.url, issuer.leeway, now).map_err(refused)?;
    let claims = claims.ok_or_else(|| refused("its issuer says that the token is not active"))?;
    let until = now.saturating_add(issuer.introspects.unwrap_or_default());
    Ok(Arc::new(Verified::new(issuer, &claims, false)?.until(until)))
}

/// The caller hears that the token is not good; why is for the log.
fn refused(cause: impl fmt::Display) -> Refusal {
    Refusal::new(Reason::Unauthenticated).challenge(CHALLENGE_INVALID).because(cause)
}

#[cfg(test)]
mod tests;
