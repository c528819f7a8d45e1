//! What was found of a token, without the token.

use std::sync::Arc;

use super::super::resource::{Resource, canonical};
use super::super::{Principal, Proof};
use super::{Audience, Issuer, refused};
use crate::grant::Grant;
use crate::refusal::Refusal;
use crate::token::revoked::Names;
use crate::token::{Claims, Fault, KeySet};

/// What was found of a token.
#[derive(Debug, Clone)]
pub struct Verified {
    issuer: Arc<Issuer>,
    /// The keys that it was verified with; `None` where its issuer was asked.
    keys: Option<Arc<KeySet>>,
    kid: Option<Box<str>>,
    /// In canonical form.
    audiences: Vec<Box<str>>,
    scopes: Vec<Box<str>>,
    groups: Vec<Box<str>>,
    servers: Option<Vec<Arc<str>>>,
    issued: Option<u64>,
    /// Until when it is good, and until when what was found of it is believed, in seconds since 1970.
    expires: u64,
    fresh: u64,
    token: Option<Box<str>>,
    family: Option<Box<str>>,
    /// Of a refresh token: how often its family was refreshed before.
    generation: Option<u64>,
    id: Arc<str>,
    grant: Arc<Grant>,
}

impl Verified {
    /// What these claims of `issuer` say.
    pub(super) fn new(issuer: &Arc<Issuer>, claims: &Claims, refreshes: bool) -> Result<Self, Refusal> {
        let whose =
            claims.text(&issuer.principal_claim).ok_or_else(|| refused("the token does not say whose it is"))?;
        let groups = issuer.groups_claim.as_ref().and_then(|name| claims.texts(name)).unwrap_or_default();
        let is_own = matches!(issuer.audience, Audience::Own { .. });
        let own = |name: &str| is_own.then(|| claims.text(name)).flatten();
        let generation = refreshes.then(|| claims.number("gen")).flatten();
        if refreshes && generation.is_none() {
            return Err(refused(Fault::Claim("gen")));
        }
        let servers = is_own.then(|| claims.texts("servers")).flatten();
        let expires = claims.expires.saturating_add(issuer.leeway);
        let found = Self {
            issuer: Arc::clone(issuer),
            keys: None,
            kid: None,
            audiences: claims.audiences.iter().map(|audience| canonical(audience).into()).collect(),
            scopes: if refreshes { Vec::new() } else { claims.scopes.clone() },
            groups,
            servers: servers.map(|servers| servers.iter().map(|server| Arc::from(&**server)).collect()),
            issued: claims.issued,
            expires,
            fresh: expires,
            token: claims.id.clone(),
            family: own("fam"),
            generation,
            id: Arc::from(format!("{}{whose}", issuer.prefix)),
            grant: Arc::default(),
        };
        Ok(found.under(issuer))
    }

    /// The same under another configuration's issuer.
    pub(super) fn under(&self, issuer: &Arc<Issuer>) -> Self {
        let mut grant = issuer.grant(&self.scopes, &self.groups);
        if self.servers.is_some() {
            grant.servers.clone_from(&self.servers);
        }
        Self { issuer: Arc::clone(issuer), grant: Arc::new(grant), ..self.clone() }
    }

    /// Verified with these keys.
    pub(super) fn by(self, keys: Arc<KeySet>, kid: Option<&str>) -> Self {
        Self { keys: Some(keys), kid: kid.map(Into::into), ..self }
    }

    /// Not believed for longer than this.
    pub(super) fn until(self, second: u64) -> Self {
        Self { fresh: self.fresh.min(second), ..self }
    }

    /// Until when the word of its issuer is believed, in seconds since 1970; `None` where nobody was asked.
    pub(in super::super) fn believed(&self) -> Option<u64> {
        self.keys.is_none().then_some(self.fresh)
    }

    /// Whether it says the same of whom it is for and whose it is.
    pub(super) fn is_of_the_same(&self, other: &Self) -> bool {
        self.id == other.id && self.audiences == other.audiences
    }

    /// Whether it is a token of ours.
    pub(in super::super) fn is_own(&self) -> bool {
        matches!(self.issuer.audience, Audience::Own { .. })
    }

    pub(super) fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// Whether what was found can be believed without another look at the token.
    pub(super) fn is_fresh(&self, now: u64) -> bool {
        let by_the_same = |keys: &Arc<KeySet>| Arc::ptr_eq(keys, &self.issuer.keyring.now());
        now < self.fresh && self.keys.as_ref().is_none_or(by_the_same)
    }

    /// Whether the token is good still, by what is known of its issuer now.
    pub(super) fn is_in_force(&self, keys: &Arc<KeySet>, now: u64) -> bool {
        let same = self.keys.as_ref().is_none_or(|then| Arc::ptr_eq(then, keys));
        now < self.expires && (same || self.kid.as_ref().is_some_and(|kid| keys.has(kid)))
    }

    pub(super) fn is_for(&self, resource: &Resource<'_>) -> bool {
        self.issuer.audience.fits(&self.audiences, resource, self.generation.is_some())
    }

    /// Whether it lets its holder do nothing at all, though it should.
    pub(super) fn is_empty_handed(&self) -> bool {
        self.generation.is_none() && self.grant.scopes.as_ref().is_some_and(|scopes| scopes.words().next().is_none())
    }

    pub(super) fn names(&self) -> Names<'_> {
        // Its issuer's clock may be ahead of the one by which its holder's tokens were taken back.
        let issued = self.issued.map(|issued| issued.saturating_sub(self.issuer.leeway));
        Names { token: self.token.as_deref(), family: self.family.as_deref(), holder: &self.id, issued }
    }

    pub(super) fn principal(self: &Arc<Self>) -> Principal {
        Principal { id: Arc::clone(&self.id), grant: Arc::clone(&self.grant), proof: Proof::Token(Arc::clone(self)) }
    }

    /// The family and generation of a refresh token.
    pub(in super::super) fn refresh(&self) -> Option<(&str, u64)> {
        self.family.as_deref().zip(self.generation)
    }

    /// When it ends, in seconds since 1970.
    pub(in super::super) const fn expires(&self) -> u64 {
        self.expires
    }
}
