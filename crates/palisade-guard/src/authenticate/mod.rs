//! Who is calling.
//!
//! 1. Mode `none`: everybody on this machine is `anonymous`; configuration allows it on loopback and stdio only.
//! 2. Otherwise a request brings exactly one credential. Each method knows its own by its form; a wrong one is refused
//!    there, and never tried with the next method.
//! 3. Keys stand in `Authorization: Bearer K` or `X-API-Key: K`. Both may stand together only if they are the same key.
//! 4. Tokens stand in `Authorization` alone, and are told from keys by their form ([`token`]).
//! 5. A signature stands alone: with a key beside it there are two credentials, and the request is refused.
//! 6. A certificate of the connection is a credential if a rule says whose it is; then nothing else may stand beside it.
//! 7. A credential comes from the request and its connection alone, never from a path, a query or our own environment.
//!
//! The credential ends here: a [`Principal`] does not hold it, so no later stage can pass it on.
//!
//! What a judgement needs from outside (a body's digest, a nonce that is new, an issuer's keys) is a [`Verdict`] that
//! says so; the gateway fetches it and comes back.

mod certificate;
mod heard;
pub mod key_text;
pub mod managed_key;
pub mod resource;
mod signed;
mod static_key;
pub mod token;

use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, Method, Uri};

pub use certificate::{CertificateRule, Wanted};
pub use heard::Heard;
pub use signed::{Client, Clients, Pending, first, missing};
pub use static_key::{Key, Keys};
use token::{Need, Tokens, Verified};

use crate::certificate::Certificate;
use crate::clock::Moment;
use crate::grant::Grant;
use crate::refusal::{Reason, Refusal};
use crate::sign::Request;
use crate::token::{Compact, TOKEN_BYTES};
use key_text::PublicId;
use managed_key::{Digests, Found, ManagedKey, ManagedKeys};

/// How callers prove who they are.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a snapshot has one")]
pub enum Config {
    /// Not at all.
    None,
    /// By a credential of one of these methods.
    Credentials(Methods),
}

/// Everything that can be a credential.
#[derive(Debug, Default)]
pub struct Methods {
    /// Keys that stand in the configuration.
    pub keys: Keys,
    /// Keys that are made and withdrawn while the gateway runs.
    pub managed: Option<Arc<ManagedKeys>>,
    /// When the store last answered, and for how many milliseconds what it said is believed.
    pub heard: Option<(Arc<Heard>, u64)>,
    /// Tokens, where any are taken.
    pub tokens: Option<Tokens>,
    /// Clients that sign their requests.
    pub clients: Clients,
    /// Whose client certificates are whose, in order.
    pub certificates: Vec<CertificateRule>,
}

/// What a request shows of its caller.
#[derive(Debug, Clone, Copy)]
pub struct Presented<'a> {
    /// The request's method.
    pub method: &'a Method,
    /// The request's target, as it was written.
    pub uri: &'a Uri,
    /// The request's headers.
    pub headers: &'a HeaderMap,
    /// Whether the client is connected by TLS.
    pub secure: bool,
    /// The certificate by which the client's side of the connection was verified.
    pub certificate: Option<&'a Arc<Certificate>>,
    /// When it came.
    pub now: Moment,
}

/// What is known of a caller before anything is fetched.
#[derive(Debug)]
pub enum Verdict {
    /// Who it is.
    Accept(Principal),
    /// A token about which something must be fetched first.
    Unsettled(Need),
    /// Somebody whose signature must be held against the body.
    Signed(Box<Pending>),
}

impl Verdict {
    /// Who it is, if that is known.
    pub fn principal(self) -> Option<Principal> {
        match self {
            Self::Accept(principal) => Some(principal),
            Self::Unsettled(_) | Self::Signed(_) => None,
        }
    }
}

/// A verified caller. Made only by this module.
#[derive(Debug, Clone)]
pub struct Principal {
    id: Arc<str>,
    grant: Arc<Grant>,
    proof: Proof,
}

/// What a caller was known by: enough to find it again, and never the credential itself.
#[derive(Debug, Clone)]
enum Proof {
    Nothing,
    Key([u8; 32]),
    Managed(PublicId, Digests),
    Token(Arc<Verified>),
    /// By what the secret is known.
    Signature([u8; 32]),
    Certificate(Arc<Certificate>),
}

impl Principal {
    /// The name that records, limits and sealed handles use.
    pub const fn id(&self) -> &Arc<str> {
        &self.id
    }

    /// What it may do.
    pub const fn grant(&self) -> &Arc<Grant> {
        &self.grant
    }

    /// Whether nobody knows who it is (mode `none`).
    pub const fn is_anonymous(&self) -> bool {
        matches!(self.proof, Proof::Nothing)
    }

    /// How it was verified, as records say it.
    pub const fn method(&self) -> &'static str {
        match self.proof {
            Proof::Nothing => "none",
            Proof::Key(_) => "key",
            Proof::Managed(..) => "managed_key",
            Proof::Token(_) => "token",
            Proof::Signature(_) => "signature",
            Proof::Certificate(_) => "certificate",
        }
    }

    /// When its credential ends by itself, in seconds since 1970.
    pub fn expires(&self) -> Option<u64> {
        match &self.proof {
            Proof::Token(found) => Some(found.expires()),
            Proof::Certificate(certificate) => Some(certificate.not_after),
            _ => None,
        }
    }

    /// Until when its token's issuer is believed, in seconds since 1970: then it must be asked again. `None` for every
    /// credential that is judged here.
    pub fn believed(&self) -> Option<u64> {
        match &self.proof {
            Proof::Token(found) => found.believed(),
            _ => None,
        }
    }

    /// The family and the generation of the refresh token it came with.
    pub fn refresh(&self) -> Option<(&str, u64)> {
        match &self.proof {
            Proof::Token(found) => found.refresh(),
            _ => None,
        }
    }

    /// Whether it may have been withdrawn in the store by somebody else.
    fn rests_on_the_store(&self) -> bool {
        match &self.proof {
            Proof::Managed(..) => true,
            Proof::Token(found) => found.is_own(),
            _ => false,
        }
    }

    /// Whether the request was signed.
    pub const fn signs(&self) -> bool {
        matches!(self.proof, Proof::Signature(_))
    }
}

/// A credential longer than this is refused without a look.
const CREDENTIAL_BYTES: usize = TOKEN_BYTES + "Bearer ".len();
/// Every header that a method reads its credential from.
const CREDENTIALS: [&str; 4] = ["authorization", "x-api-key", "x-signature", "signature"];
static X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const CHALLENGE: &str = r#"Bearer realm="mcp""#;
/// The challenge to a credential that is not good.
pub const CHALLENGE_INVALID: &str =
    r#"Bearer realm="mcp", error="invalid_token", error_description="the credential is not good""#;
/// Only who has the right secret hears this.
const CHALLENGE_EXPIRED: &str = r#"Bearer realm="mcp", error="invalid_token", error_description="the key has expired""#;

impl Config {
    /// The principal of mode `none`.
    pub fn anonymous() -> Principal {
        Principal { id: Arc::from("anonymous"), grant: Arc::default(), proof: Proof::Nothing }
    }
}

/// Verifies the caller.
pub fn caller(config: &Config, presented: &Presented<'_>) -> Result<Verdict, Refusal> {
    let Config::Credentials(methods) = config else {
        return Ok(Verdict::Accept(Config::anonymous()));
    };
    let holder = presented
        .certificate
        .and_then(|shown| certificate::holder(&methods.certificates, shown, presented.now.unix_ms));
    match (holder, by_headers(methods, presented)?) {
        (Some(_), Some(_)) => Err(Refusal::new(Reason::CredentialMalformed).because("a certificate and a key")),
        (Some(holder), None) => Ok(Verdict::Accept(holder)),
        (None, Some(Verdict::Accept(caller))) => {
            believed(methods, &caller, presented.now)?;
            Ok(Verdict::Accept(caller))
        }
        (None, Some(verdict)) => Ok(verdict),
        (None, None) => Err(Refusal::new(Reason::Unauthenticated).challenge(CHALLENGE)),
    }
}

/// What the store said of a caller is believed for a while without it, and then no longer.
fn believed(methods: &Methods, caller: &Principal, now: Moment) -> Result<(), Refusal> {
    match &methods.heard {
        Some((heard, most_ms)) if caller.rests_on_the_store() => heard.judge(now, *most_ms),
        _ => Ok(()),
    }
}

/// Who the headers say it is; `None` where no credential stands in them.
fn by_headers(methods: &Methods, presented: &Presented<'_>) -> Result<Option<Verdict>, Refusal> {
    if let Some(pending) = signature(methods, presented)? {
        return Ok(Some(Verdict::Signed(Box::new(pending))));
    }
    let bearer = bearer(presented.headers)?;
    let api_key = single(presented.headers, &X_API_KEY)?;
    let credential = match (bearer, api_key) {
        (None, None) => return Ok(None),
        (Some(one), Some(other)) if one != other => {
            return Err(Refusal::new(Reason::CredentialMalformed).because("Authorization and X-API-Key differ"));
        }
        (Some(one), _) | (None, Some(one)) => one,
    };
    if let Some(judged) = methods.managed.as_ref().and_then(|managed| by_form(managed, credential, presented.now)) {
        return judged.map(Some);
    }
    let tokens = methods.tokens.as_ref().filter(|_| bearer.is_some());
    if let Some(tokens) = tokens.filter(|_| Compact::is_form(credential)) {
        return tokens.judge(credential, presented).map(Some);
    }
    let Some(key) = methods.keys.find(credential) else {
        // What begins as our own keys do is a mistyped one: nobody else is to be shown it.
        let tokens = tokens.filter(|_| !credential.starts_with(OURS));
        if let Some(verdict) = tokens.and_then(|tokens| tokens.opaque(credential, presented)) {
            return verdict.map(Some);
        }
        return Err(Refusal::new(Reason::Unauthenticated).challenge(CHALLENGE_INVALID).because("unknown key"));
    };
    Ok(Some(Verdict::Accept(by_key(key))))
}

/// How managed keys begin, where the operator has not chosen another prefix.
const OURS: &[u8] = b"mcp_";

/// A managed key is known by its form; `None` for every other credential.
fn by_form(managed: &ManagedKeys, credential: &[u8], now: Moment) -> Option<Result<Verdict, Refusal>> {
    let refused = |challenge, why: &str, id: PublicId| {
        let cause = format_args!("managed:{}: {why}", id.as_str());
        Err(Refusal::new(Reason::Unauthenticated).challenge(challenge).because(cause))
    };
    Some(match managed.find(credential, now.unix_ms) {
        Found::Works(key, id, digests) => Ok(Verdict::Accept(by_managed(&key, id, digests))),
        Found::Expired(id) => refused(CHALLENGE_EXPIRED, "it has expired", id),
        Found::Unknown(id, why) => refused(CHALLENGE_INVALID, why, id),
        Found::NotMine => return None,
    })
}

fn by_managed(key: &ManagedKey, id: PublicId, digests: Digests) -> Principal {
    let proof = Proof::Managed(id, digests);
    Principal { id: Arc::clone(&key.principal), grant: Arc::clone(&key.grant), proof }
}

/// What is known of a signed request; `None` for one that is not signed.
fn signature(methods: &Methods, presented: &Presented<'_>) -> Result<Option<Pending>, Refusal> {
    let Presented { method, uri, headers, now, .. } = presented;
    let pending = methods.clients.read(&Request::of(method, uri, headers), now.unix_ms / 1000)?;
    if pending.is_some() && (headers.contains_key(AUTHORIZATION) || headers.contains_key(&X_API_KEY)) {
        return Err(Refusal::new(Reason::CredentialMalformed).because("a signature and a key"));
    }
    Ok(pending)
}

fn by_key(key: &Key) -> Principal {
    Principal { id: Arc::clone(&key.id), grant: Arc::clone(&key.grant), proof: Proof::Key(key.digest) }
}

/// The caller as another configuration, or a later moment, knows it. For streams that outlive the configuration they were
/// opened under.
pub fn again(config: &Config, caller: &Principal, now: Moment) -> Result<Principal, Refusal> {
    let withdrawn = || Refusal::new(Reason::Unauthenticated).because("the credential was withdrawn");
    let known = known(config, caller, now).ok_or_else(withdrawn)?;
    if let Config::Credentials(methods) = config {
        believed(methods, &known, now)?;
    }
    Ok(known)
}

/// `None` if there it is nobody.
fn known(config: &Config, caller: &Principal, now: Moment) -> Option<Principal> {
    match (config, &caller.proof) {
        (Config::None, Proof::Nothing) => Some(caller.clone()),
        (Config::Credentials(methods), Proof::Key(digest)) => {
            methods.keys.find_digest(digest).filter(|now| now.id == caller.id).map(|key| by_key(key))
        }
        (Config::Credentials(methods), Proof::Managed(id, digests)) => {
            let key = methods.managed.as_ref()?.again(id, digests, now.unix_ms)?;
            Some(by_managed(&key, *id, *digests))
        }
        (Config::Credentials(methods), Proof::Token(found)) => methods.tokens.as_ref()?.again(found, now),
        (Config::Credentials(methods), Proof::Signature(secret)) => {
            methods.clients.again(&caller.id, secret).map(|client| signed::by_signature(client, *secret))
        }
        (Config::Credentials(methods), Proof::Certificate(shown)) => {
            certificate::holder(&methods.certificates, shown, now.unix_ms).filter(|now| now.id == caller.id)
        }
        _ => None,
    }
}

/// Whether there is anything that means to be a credential: without, a refusal is no guess that went wrong.
pub fn is_presented(headers: &HeaderMap) -> bool {
    CREDENTIALS.iter().any(|name| headers.contains_key(*name))
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
pub fn bearer(headers: &HeaderMap) -> Result<Option<&[u8]>, Refusal> {
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
