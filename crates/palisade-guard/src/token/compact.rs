//! The compact form: `header.payload.signature`.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{Algorithm, Document, Fault, TOKEN_BYTES};

/// A token taken apart, nothing of it believed yet.
#[derive(Debug)]
pub struct Compact<'t> {
    /// What is signed: header and payload as they stand.
    pub(super) signed: &'t [u8],
    pub(super) payload: Vec<u8>,
    pub(super) signature: Vec<u8>,
    /// The algorithm that the header names.
    pub(super) algorithm: Algorithm,
    pub(super) kid: Option<Box<str>>,
    pub(super) typ: Option<Box<str>>,
}

/// Bytes of a key id.
const KID_BYTES: usize = 256;

impl<'t> Compact<'t> {
    /// Takes a token apart.
    pub fn read(token: &'t [u8]) -> Result<Self, Fault> {
        if token.len() > TOKEN_BYTES {
            return Err(Fault::Malformed);
        }
        let mut parts = token.split(|byte| *byte == b'.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Fault::Malformed);
        };
        let signed = token.get(..header.len() + 1 + payload.len()).ok_or(Fault::Malformed)?;
        // Refuses padding, other letters and bits that no byte has: one token, one spelling.
        let decode = |part: &[u8]| URL_SAFE_NO_PAD.decode(part).map_err(|_| Fault::Malformed);
        let header = decode(header)?;
        let header = Document::read(&header, HEADER_NODES).ok_or(Fault::Malformed)?;
        if header.has("crit") || header.has("b64") || header.has("zip") {
            return Err(Fault::Critical);
        }
        let text = |name| header.text(name).map_err(|_| Fault::Malformed);
        let algorithm = text("alg")?.ok_or(Fault::Malformed)?;
        let kid = text("kid")?;
        if kid.as_ref().is_some_and(|kid| kid.len() > KID_BYTES) {
            return Err(Fault::Malformed);
        }
        Ok(Self {
            signed,
            payload: decode(payload)?,
            signature: decode(signature)?,
            algorithm: Algorithm::named(&algorithm).ok_or(Fault::Algorithm)?,
            kid: kid.map(|kid| kid.as_ref().into()),
            typ: text("typ")?.map(|typ| typ.as_ref().into()),
        })
    }

    /// Whether text has the form of a token, for it to be told from other credentials.
    pub fn is_form(text: &[u8]) -> bool {
        let mut parts = text.split(|byte| *byte == b'.');
        // The beginning of every object, whatever its first byte is after the brace.
        parts.next().is_some_and(|header| header.starts_with(b"e")) && parts.count() == 2
    }

    /// The issuer that the token says it is of. Not verified: it says whose keys to look at, and that key's issuer is
    /// compared with it once more when the signature is good.
    pub fn claimed_issuer(&self) -> Option<String> {
        let claims = Document::read(&self.payload, super::claims::NODES)?;
        claims.text("iss").ok().flatten().map(Into::into)
    }

    /// The key id of its header.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }
}

/// Values and keys of a header.
const HEADER_NODES: usize = 256;
