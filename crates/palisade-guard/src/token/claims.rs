//! What a token says, once its signature is good (RFC 7519 section 4, RFC 9068).

use std::borrow::Cow;

use super::{Compact, Document, Fault, Key};

/// What a token must say to be taken.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'r> {
    /// Who made it, letter by letter.
    pub issuer: &'r str,
    /// What it must call itself.
    pub typ: Type,
    /// Whether it must name itself (`jti`) and the time it begins (`nbf`).
    pub complete: bool,
    /// Seconds by which clocks may differ.
    pub leeway: u64,
}

/// What a token calls itself (`typ`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// `at+jwt` (RFC 9068)
    Access,
    /// `at+jwt`, `JWT` or nothing: what issuers in the field give out as access tokens.
    AccessOrPlain,
    /// Our own refresh token.
    Refresh,
}

/// The claims that count here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// Whom it is for.
    pub audiences: Vec<Box<str>>,
    /// Until when it is good, in seconds since 1970.
    pub expires: u64,
    /// When it was made.
    pub issued: Option<u64>,
    /// Its own name.
    pub id: Option<Box<str>>,
    /// What it allows, word by word.
    pub scopes: Vec<Box<str>>,
    /// The members of its payload, for claims that configuration names.
    payload: Box<[u8]>,
}

/// A refresh token of ours, which no reader of access tokens takes for one.
const REFRESH: &str = "palisade-refresh+jwt";
/// Values and keys of a payload.
pub(super) const NODES: usize = 2048;
/// Bytes of a subject or an id, and of an audience.
const TEXT_BYTES: usize = 512;
/// Words of a scope.
const SCOPES: usize = 256;

impl Claims {
    /// The claims of a token that `key` signed, by these rules, at `now` (seconds since 1970).
    pub fn verified(token: &Compact<'_>, key: &Key, rules: &Rules<'_>, now: u64) -> Result<Self, Fault> {
        let payload = key.verify(token)?;
        rules.typ.judge(token.typ.as_deref())?;
        let claims = Document::read(payload, NODES).ok_or(Fault::Malformed)?;
        if claims.text("iss").ok().flatten().as_deref() != Some(rules.issuer) {
            return Err(Fault::Issuer);
        }
        let expires = claims.seconds("exp").ok().flatten().ok_or(Fault::Claim("exp"))?;
        let begins = claims.seconds("nbf").map_err(|_| Fault::Claim("nbf"))?;
        let issued = claims.seconds("iat").map_err(|_| Fault::Claim("iat"))?;
        if now >= expires.saturating_add(rules.leeway) {
            return Err(Fault::Expired);
        }
        if begins.max(issued).is_some_and(|begins| begins > now.saturating_add(rules.leeway)) {
            return Err(Fault::NotYet);
        }
        let id = short(claims.text("jti").ok().flatten()).map_err(|()| Fault::Claim("jti"))?;
        if rules.complete && (id.is_none() || begins.is_none() || issued.is_none()) {
            return Err(Fault::Claim("jti, nbf, iat"));
        }
        Ok(Self {
            audiences: audiences(&claims)?,
            expires,
            issued,
            id,
            scopes: scopes(&claims)?,
            payload: payload.into(),
        })
    }

    /// What an issuer answers about a token (RFC 7662 section 2.2); `None` where it says that the token is not active.
    pub fn introspected(answer: &[u8], issuer: &str, leeway: u64, now: u64) -> Result<Option<Self>, Fault> {
        let claims = Document::read(answer, NODES).ok_or(Fault::Malformed)?;
        if !claims.truth("active").ok().flatten().ok_or(Fault::Claim("active"))? {
            return Ok(None);
        }
        if claims.text("iss").map_err(|_| Fault::Issuer)?.is_some_and(|iss| iss != issuer) {
            return Err(Fault::Issuer);
        }
        // An issuer may keep to itself when a token expires; it is asked again soon.
        let expires = claims.seconds("exp").map_err(|_| Fault::Claim("exp"))?.unwrap_or(u64::MAX);
        if now >= expires.saturating_add(leeway) {
            return Err(Fault::Expired);
        }
        Ok(Some(Self {
            audiences: audiences(&claims)?,
            expires,
            issued: claims.seconds("iat").map_err(|_| Fault::Claim("iat"))?,
            id: short(claims.text("jti").ok().flatten()).map_err(|()| Fault::Claim("jti"))?,
            scopes: scopes(&claims)?,
            payload: answer.into(),
        }))
    }

    /// The text of a claim that configuration names.
    pub fn text(&self, name: &str) -> Option<Box<str>> {
        let claims = Document::read(&self.payload, NODES)?;
        short(claims.text(name).ok().flatten()).ok().flatten()
    }

    /// The whole number of a claim.
    pub fn number(&self, name: &str) -> Option<u64> {
        Document::read(&self.payload, NODES)?.seconds(name).ok()?
    }

    /// The texts of a claim that configuration names.
    pub fn texts(&self, name: &str) -> Option<Vec<Box<str>>> {
        let claims = Document::read(&self.payload, NODES)?;
        Some(claims.texts(name).ok()??.into_iter().map(|text| text.as_ref().into()).collect())
    }
}

impl Type {
    /// The type that we write.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Access | Self::AccessOrPlain => "at+jwt",
            Self::Refresh => REFRESH,
        }
    }

    /// Types are media types, whose `application/` may be left out, in any case (RFC 7515 section 4.1.9).
    fn judge(self, typ: Option<&str>) -> Result<(), Fault> {
        let typ = typ.map(str::to_ascii_lowercase);
        let typ = typ.as_deref().map(|typ| typ.strip_prefix("application/").unwrap_or(typ));
        let fits = match self {
            Self::Access => typ == Some("at+jwt"),
            Self::AccessOrPlain => matches!(typ, None | Some("at+jwt" | "jwt")),
            Self::Refresh => typ == Some(REFRESH),
        };
        if fits { Ok(()) } else { Err(Fault::Type) }
    }
}

/// A text that can stand in a record; `None` where there is none.
fn short(text: Option<Cow<'_, str>>) -> Result<Option<Box<str>>, ()> {
    let Some(text) = text else { return Ok(None) };
    let sound = !text.is_empty() && text.len() <= TEXT_BYTES && !text.chars().any(char::is_control);
    if sound { Ok(Some(text.as_ref().into())) } else { Err(()) }
}

fn audiences(claims: &Document<'_>) -> Result<Vec<Box<str>>, Fault> {
    let audiences = claims.texts("aud").ok().flatten().ok_or(Fault::Claim("aud"))?;
    if audiences.iter().any(|audience| audience.len() > TEXT_BYTES) {
        return Err(Fault::Claim("aud"));
    }
    Ok(audiences.iter().map(|audience| audience.as_ref().into()).collect())
}

/// `scope`, words apart (RFC 8693 section 4.2); or `scp`, as a list or the same, where an issuer calls it that.
fn scopes(claims: &Document<'_>) -> Result<Vec<Box<str>>, Fault> {
    let name = if claims.has("scope") { "scope" } else { "scp" };
    let given = claims.texts(name).map_err(|_| Fault::Claim("scope"))?.unwrap_or_default();
    let words: Vec<Box<str>> =
        given.iter().flat_map(|text| text.split(' ')).filter(|word| !word.is_empty()).map(Into::into).collect();
    if words.len() > SCOPES { Err(Fault::Claim("scope")) } else { Ok(words) }
}
