//! The client's side: the headers that sign a request.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::parts::{is_key_id, nonce as nonce_form, timestamp as timestamp_form};
use super::{
    CONTENT_DIGEST, DEFAULT_KEY_ID, Fault, Request, SIGNATURE, SIGNATURE_INPUT, Scheme, Secrets, Weak, X_API_VERSION,
    X_KEY_ID, X_NONCE, X_SIGNATURE, X_TIMESTAMP, compat, headers, messages,
};
use crate::digest::sha256;

/// Signs requests with one key.
#[derive(Debug, Clone)]
pub struct Signer {
    scheme: Scheme,
    key_id: Box<str>,
    secret: Secrets,
}

/// What differs from one signature to the next.
#[derive(Debug, Clone, Copy)]
pub struct Occasion<'o> {
    /// Seconds since 1970.
    pub now_s: u64,
    /// 16 to 128 random ones of `A-Z a-z 0-9 _ -`, never used before with this key.
    pub nonce: &'o str,
}

/// Why a request cannot be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    /// The secret has fewer than 32 bytes.
    Secret,
    /// The key id is not 1 to 64 of `A-Z a-z 0-9 . _ -`.
    KeyId,
    /// A part of the request has no form that can be signed.
    Request(Fault),
}

impl From<Weak> for Unfit {
    fn from(Weak: Weak) -> Self {
        Self::Secret
    }
}

impl From<Fault> for Unfit {
    fn from(fault: Fault) -> Self {
        Self::Request(fault)
    }
}

impl Signer {
    /// A signer.
    pub fn new(scheme: Scheme, key_id: &str, secret: &[u8]) -> Result<Self, Unfit> {
        if !is_key_id(key_id) {
            return Err(Unfit::KeyId);
        }
        Ok(Self { scheme, key_id: key_id.into(), secret: Secrets::new(secret, None)? })
    }

    /// The headers to add to `request`. All its other headers that are signed must be in it already: `Content-Type`,
    /// `Idempotency-Key`, `Last-Event-ID` and those of MCP.
    pub fn sign(&self, request: &Request<'_>, body: &[u8], occasion: Occasion<'_>) -> Result<HeaderMap, Unfit> {
        let time = occasion.now_s.to_string();
        timestamp_form(&time)?;
        nonce_form(occasion.nonce)?;
        match self.scheme {
            Scheme::Headers => self.headers(request, body, &time, occasion.nonce),
            Scheme::Messages => self.messages(request, body, occasion),
            Scheme::Compat => self.compat(request, body, &time),
        }
    }

    fn headers(&self, request: &Request<'_>, body: &[u8], time: &str, nonce: &str) -> Result<HeaderMap, Unfit> {
        let mut added = HeaderMap::new();
        add(&mut added, &X_KEY_ID, &self.key_id)?;
        add(&mut added, &X_TIMESTAMP, time)?;
        add(&mut added, &X_NONCE, nonce)?;
        add(&mut added, &X_API_VERSION, headers::VERSION)?;
        let base = headers::base(&Request { headers: &joined(request.headers, &added), ..*request })?;
        let mac = self.secret.mac(&headers::whole(&base, &sha256(body)));
        add(&mut added, &X_SIGNATURE, &headers::text(&mac))?;
        Ok(added)
    }

    fn messages(&self, request: &Request<'_>, body: &[u8], occasion: Occasion<'_>) -> Result<HeaderMap, Unfit> {
        let mut added = HeaderMap::new();
        if !body.is_empty() {
            add(&mut added, &CONTENT_DIGEST, &messages::digest_text(&sha256(body)))?;
        }
        let all = joined(request.headers, &added);
        let (covered, parameters) = messages::input(&all, occasion.now_s, occasion.nonce, &self.key_id);
        let covered: Vec<&str> = covered.iter().map(String::as_str).collect();
        let base = messages::base(&Request { headers: &all, ..*request }, &covered, &parameters)?;
        let (input, signature) = messages::texts(&parameters, &self.secret.mac(&base));
        add(&mut added, &SIGNATURE_INPUT, &input)?;
        add(&mut added, &SIGNATURE, &signature)?;
        Ok(added)
    }

    fn compat(&self, request: &Request<'_>, body: &[u8], time: &str) -> Result<HeaderMap, Unfit> {
        let mut added = HeaderMap::new();
        if &*self.key_id != DEFAULT_KEY_ID {
            add(&mut added, &X_KEY_ID, &self.key_id)?;
        }
        add(&mut added, &X_TIMESTAMP, time)?;
        let base = compat::base(request, time)?;
        let mac = self.secret.mac(&[base.as_slice(), body].concat());
        add(&mut added, &X_SIGNATURE, &compat::text(&mac))?;
        Ok(added)
    }
}

fn joined(one: &HeaderMap, other: &HeaderMap) -> HeaderMap {
    let mut all = one.clone();
    all.extend(other.iter().map(|(name, value)| (name.clone(), value.clone())));
    all
}

fn add(headers: &mut HeaderMap, name: &'static HeaderName, text: &str) -> Result<(), Unfit> {
    let value = HeaderValue::from_str(text);
    headers.insert(name, value.map_err(|_| Fault::Malformed("a part of the signature is no header value"))?);
    Ok(())
}
