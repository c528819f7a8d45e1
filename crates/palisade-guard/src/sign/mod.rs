//! Signed requests: what is signed, how it is written down, and whether a signature fits. For both sides of the wire.
//!
//! A signature proves who sent a request and that nothing of it was changed on the way. Three schemes, one verifier:
//!
//! | scheme | what is sent | what is signed |
//! | --- | --- | --- |
//! | [`Scheme::Headers`] | `X-Signature: v1=` and 64 hexadecimal digits, `X-Key-Id`, `X-Timestamp`, `X-Nonce`, `X-API-Version: 1` | [`headers`] |
//! | [`Scheme::Messages`] | `Signature-Input`, `Signature`, `Content-Digest` | RFC 9421 and RFC 9530, in the profile of [`messages`] |
//! | [`Scheme::Compat`] | `X-Signature:` and 64 hexadecimal digits, `X-Timestamp` | [`compat`]: less; only for clients that cannot change |
//!
//! 1. All is HMAC-SHA256 over bytes, with a secret of at least 32 of them.
//! 2. What is signed can be read in one way only: two different requests never have the same canonical form.
//! 3. One signature has one text: lower-case digits, base64 with its padding and nothing else.
//! 4. The time is ten digits: an ordinary number parser takes signs, blanks and the digits of other alphabets.
//!
//! [`Signer`] makes signatures; [`statement`] reads what a request claims, and [`Statement::holds`] whether it is true.
//! `docs/reference/signature-vectors.json` has requests with their canonical forms and signatures.

pub mod compat;
pub mod fields;
pub mod headers;
pub mod messages;
pub mod nonces;
mod parts;
mod secret;
mod signer;

use std::fmt;

use http::{HeaderMap, HeaderName, Method, Uri};

use crate::digest::sha256;

pub use secret::{LEAST_BYTES, Secrets, Weak};
pub use signer::{Occasion, Signer, Unfit};

/// `X-Signature`
pub static X_SIGNATURE: HeaderName = HeaderName::from_static("x-signature");
/// `X-Key-Id`
pub static X_KEY_ID: HeaderName = HeaderName::from_static("x-key-id");
/// `X-Timestamp`
pub static X_TIMESTAMP: HeaderName = HeaderName::from_static("x-timestamp");
/// `X-Nonce`
pub static X_NONCE: HeaderName = HeaderName::from_static("x-nonce");
/// `X-API-Version`
pub static X_API_VERSION: HeaderName = HeaderName::from_static("x-api-version");
/// `Idempotency-Key`
pub static IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// `Content-Digest` (RFC 9530)
pub static CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");
/// `Signature` (RFC 9421)
pub static SIGNATURE: HeaderName = HeaderName::from_static("signature");
/// `Signature-Input` (RFC 9421)
pub static SIGNATURE_INPUT: HeaderName = HeaderName::from_static("signature-input");

/// Seconds that a signature may be old.
pub const WINDOW_S: u64 = 300;
/// Seconds that a client's clock may be ahead.
pub const SKEW_S: u64 = 30;
/// The key id of a client that sends none, in the compatibility scheme.
pub const DEFAULT_KEY_ID: &str = "default";

/// How a request is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Headers of our own.
    Headers,
    /// HTTP Message Signatures.
    Messages,
    /// `METHOD|path|timestamp|body`
    Compat,
}

/// What of a request is signed, beside its body.
#[derive(Debug, Clone, Copy)]
pub struct Request<'r> {
    /// `POST`
    pub method: &'r str,
    /// `Host`, or `:authority`
    pub authority: &'r str,
    /// Path and query as they were sent, nothing decoded.
    pub target: &'r str,
    /// All headers.
    pub headers: &'r HeaderMap,
}

impl<'r> Request<'r> {
    /// The request that arrived so. What names its host was found to be one thing by the edge.
    pub fn of(method: &'r Method, uri: &'r Uri, headers: &'r HeaderMap) -> Self {
        let host = headers.get(http::header::HOST).and_then(|host| host.to_str().ok());
        Self {
            method: method.as_str(),
            authority: uri.authority().map(http::uri::Authority::as_str).or(host).unwrap_or_default(),
            target: uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str),
            headers,
        }
    }

    /// The authority as it is signed: in lower case.
    fn signed_authority(&self) -> String {
        self.authority.to_ascii_lowercase()
    }
}

/// What a signed request says of itself, well formed and not yet believed.
pub struct Statement {
    scheme: Scheme,
    key_id: Box<str>,
    timestamp: u64,
    /// When it ends, where it says so.
    expires: Option<u64>,
    /// `None` in the compatibility scheme, where the signature itself stands in its place.
    nonce: Option<Box<str>>,
    /// What is signed, before the body's part.
    base: Vec<u8>,
    mac: [u8; 32],
    /// SHA-256 of the body, where a header says it and the signature covers that header.
    digest: Option<[u8; 32]>,
}

impl fmt::Debug for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Statement").field("scheme", &self.scheme).field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

/// Why a signature is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A header that belongs to it is not there, or is not of its form.
    Malformed(&'static str),
    /// It was made too long ago.
    TooOld,
    /// It was made later than now.
    TooEarly,
    /// It is not of this key, or something was changed.
    Wrong,
    /// The body is another one than the signature covers.
    OtherBody,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed(what) => what,
            Self::TooOld => "the signature is too old",
            Self::TooEarly => "the signature is of a time to come",
            Self::Wrong => "the signature does not fit",
            Self::OtherBody => "the body is not the one that was signed",
        })
    }
}

/// What the request says, if it is signed at all. Nothing is looked up and no body is needed.
pub fn statement(request: &Request<'_>) -> Result<Option<Statement>, Fault> {
    let ours = request.headers.contains_key(&X_SIGNATURE);
    let standard = request.headers.contains_key(&SIGNATURE) || request.headers.contains_key(&SIGNATURE_INPUT);
    match (ours, standard) {
        (false, false) => Ok(None),
        (true, true) => Err(Fault::Malformed("X-Signature and Signature stand together")),
        (false, true) => messages::read(request).map(Some),
        (true, false) if request.headers.get(&X_SIGNATURE).is_some_and(|value| value.len() == 64) => {
            compat::read(request).map(Some)
        }
        (true, false) => headers::read(request).map(Some),
    }
}

impl Statement {
    /// Whose it says it is.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// How it is signed.
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// When it says it was made, in seconds since 1970.
    pub const fn timestamp(&self) -> u64 {
        self.timestamp
    }

    /// Whether it was made just now.
    pub const fn timely(&self, now_s: u64) -> Result<(), Fault> {
        let expired = matches!(self.expires, Some(end) if end < now_s);
        if expired || self.timestamp.saturating_add(WINDOW_S) < now_s {
            return Err(Fault::TooOld);
        }
        if self.timestamp > now_s.saturating_add(SKEW_S) {
            return Err(Fault::TooEarly);
        }
        Ok(())
    }

    /// Whether the signature is one of these secrets', over this request with this body, and by what that secret is
    /// known. Every secret is tried, and each in the same time.
    pub fn holds(&self, secrets: &Secrets, body: &[u8]) -> Result<[u8; 32], Fault> {
        let held = match self.scheme {
            Scheme::Headers => secrets.verify(&headers::whole(&self.base, &sha256(body)), &self.mac),
            Scheme::Messages => secrets.verify(&self.base, &self.mac),
            Scheme::Compat => secrets.verify(&[self.base.as_slice(), body].concat(), &self.mac),
        };
        let secret = held.ok_or(Fault::Wrong)?;
        match self.digest {
            Some(digest) if digest != sha256(body) => Err(Fault::OtherBody),
            None if self.scheme == Scheme::Messages && !body.is_empty() => Err(Fault::OtherBody),
            _ => Ok(secret),
        }
    }

    /// What may be seen once: the nonce, in the scope of its key. The same nonce in another scheme is the same one.
    pub fn once(&self) -> [u8; 32] {
        let mut text = Vec::with_capacity(160);
        headers::put(&mut text, self.key_id.as_bytes());
        match &self.nonce {
            Some(nonce) => headers::put(&mut text, nonce.as_bytes()),
            None => headers::put(&mut text, &self.mac),
        }
        sha256(&text)
    }
}

#[cfg(test)]
mod tests;
