//! Who is calling.
//!
//! 1. Mode `none`: everybody on this machine is `anonymous`; configuration allows it on loopback and stdio only.
//! 2. Mode `keys`: exactly one key, in `Authorization: Bearer K` or `X-API-Key: K`. Both may stand together only if they
//!    are the same key.
//! 3. A credential comes from the request alone, never from a path, a query or our own environment.
//!
//! The credential ends here: a [`Principal`] does not hold it, so no later stage can pass it on.

mod static_key;

use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName};

pub use static_key::{Key, Keys};

use crate::refusal::{Reason, Refusal};

/// How callers prove who they are.
#[derive(Debug)]
pub enum Config {
    /// Not at all.
    None,
    /// By a static key.
    Keys(Keys),
}

/// A verified caller. Made only by [`caller`].
#[derive(Debug, Clone)]
pub struct Principal {
    id: Arc<str>,
    key: Option<Arc<Key>>,
}

impl Principal {
    /// The name that records, limits and sealed handles use.
    pub const fn id(&self) -> &Arc<str> {
        &self.id
    }

    /// The key it came with; `None` in mode `none`.
    pub const fn key(&self) -> Option<&Arc<Key>> {
        self.key.as_ref()
    }

    /// How it was verified, as records say it.
    pub const fn method(&self) -> &'static str {
        if self.key.is_some() { "key" } else { "none" }
    }
}

/// A credential longer than this is refused without a look.
const CREDENTIAL_BYTES: usize = 4096;
static X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const CHALLENGE: &str = r#"Bearer realm="mcp""#;
const CHALLENGE_INVALID: &str =
    r#"Bearer realm="mcp", error="invalid_token", error_description="the key is not known""#;

impl Config {
    /// The principal of mode `none`.
    pub fn anonymous() -> Principal {
        Principal { id: Arc::from("anonymous"), key: None }
    }
}

/// Verifies the caller.
pub fn caller(config: &Config, headers: &HeaderMap) -> Result<Principal, Refusal> {
    let Config::Keys(keys) = config else {
        return Ok(Config::anonymous());
    };
    let bearer = bearer(headers)?;
    let api_key = single(headers, &X_API_KEY)?;
    let credential = match (bearer, api_key) {
        (None, None) => return Err(Refusal::new(Reason::Unauthenticated).challenge(CHALLENGE)),
        (Some(one), Some(other)) if one != other => {
            return Err(Refusal::new(Reason::CredentialMalformed).because("Authorization and X-API-Key differ"));
        }
        (Some(one), _) | (None, Some(one)) => one,
    };
    let Some(key) = keys.find(credential) else {
        return Err(Refusal::new(Reason::Unauthenticated).challenge(CHALLENGE_INVALID).because("unknown key"));
    };
    Ok(Principal { id: Arc::clone(&key.id), key: Some(Arc::clone(key)) })
}

/// The caller as another configuration knows it; `None` if there it is nobody. For streams that outlive the
/// configuration they were opened under.
pub fn again(config: &Config, caller: &Principal) -> Option<Principal> {
    match (config, &caller.key) {
        (Config::None, None) => Some(caller.clone()),
        (Config::Keys(keys), Some(key)) => {
            let key = keys.find_digest(&key.digest).filter(|now| now.id == key.id)?;
            Some(Principal { id: Arc::clone(&key.id), key: Some(Arc::clone(key)) })
        }
        _ => None,
    }
}

/// The one value of a header, as bytes: whatever is not ASCII is simply no key.
fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h [u8]>, Refusal> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(Refusal::new(Reason::CredentialMalformed).because(format_args!("{name} stands twice")));
    }
    match first.map(http::HeaderValue::as_bytes) {
        Some(value) if value.len() > CREDENTIAL_BYTES => {
            Err(Refusal::new(Reason::CredentialMalformed).because(format_args!("{name} is too long")))
        }
        value => Ok(value),
    }
}

/// The token of `Authorization: Bearer token` (RFC 6750 section 2.1): scheme in any case, exactly one space.
fn bearer(headers: &HeaderMap) -> Result<Option<&[u8]>, Refusal> {
    let Some(value) = single(headers, &AUTHORIZATION)? else {
        return Ok(None);
    };
    let token = match value.split_at_checked(7) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case(b"bearer ") => token,
        _ => return Err(Refusal::new(Reason::Unauthenticated).challenge(CHALLENGE).because("not a Bearer credential")),
    };
    if token.is_empty() || token.contains(&b' ') {
        return Err(Refusal::new(Reason::Unauthenticated).challenge(CHALLENGE_INVALID).because("malformed credential"));
    }
    Ok(Some(token))
}

#[cfg(test)]
mod tests;
