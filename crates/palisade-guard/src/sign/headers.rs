//! The scheme of headers of our own, version 1.
//!
//! Signed is a sequence of fields. Each is its length in four bytes, most significant first, and then its bytes; a header
//! that is not sent is the length `ffffffff` alone. So no byte of one field can be taken for a byte of another, whatever
//! is in it. The fields, in this order:
//!
//! | | field |
//! | --- | --- |
//! | 1 | `palisade-v1` |
//! | 2 | the method |
//! | 3 | `Host` (or `:authority`), in lower case |
//! | 4 | path and query exactly as they are sent |
//! | 5 | `X-Key-Id` |
//! | 6 | `X-Timestamp` |
//! | 7 | `X-Nonce` |
//! | 8 | `X-API-Version` |
//! | 9 | `Idempotency-Key` |
//! | 10 | `Content-Type` |
//! | 11 | how many headers follow, in decimal digits |
//! | … | of each header whose name begins with `mcp-`, and of `last-event-id`: name in lower case, then value; sorted by name |
//! | last | SHA-256 of the body, 32 bytes |
//!
//! The HMAC of all of it is sent as `X-Signature: v1=` and 64 lower-case hexadecimal digits.

use http::header::CONTENT_TYPE;

use super::parts::{is_protocols, key_id, mac, needed, nonce, single, timestamp};
use super::{
    Fault, IDEMPOTENCY_KEY, Request, Scheme, Statement, X_API_VERSION, X_KEY_ID, X_NONCE, X_SIGNATURE, X_TIMESTAMP,
};
use crate::digest::hex;

/// What `X-API-Version` says.
pub(super) const VERSION: &str = "1";
const MARK: &str = "v1=";

/// What a request says in these headers.
pub(super) fn read(request: &Request<'_>) -> Result<Statement, Fault> {
    let headers = request.headers;
    let signature = needed(headers, &X_SIGNATURE, "X-Signature is missing")?;
    let mac = mac(signature.strip_prefix(MARK).ok_or(Fault::Malformed("X-Signature is of no scheme known here"))?)?;
    let key_id = key_id(needed(headers, &X_KEY_ID, "X-Key-Id is missing")?)?;
    let stamp = timestamp(needed(headers, &X_TIMESTAMP, "X-Timestamp is missing")?)?;
    let nonce = nonce(needed(headers, &X_NONCE, "X-Nonce is missing")?)?;
    if needed(headers, &X_API_VERSION, "X-API-Version is missing")? != VERSION {
        return Err(Fault::Malformed("X-API-Version is not 1"));
    }
    Ok(Statement {
        scheme: Scheme::Headers,
        key_id: key_id.into(),
        timestamp: stamp,
        expires: None,
        nonce: Some(nonce.into()),
        base: base(request)?,
        mac,
        digest: None,
    })
}

/// All fields but the last.
pub fn base(request: &Request<'_>) -> Result<Vec<u8>, Fault> {
    let headers = request.headers;
    let mut out = Vec::with_capacity(512);
    put(&mut out, b"palisade-v1");
    put(&mut out, request.method.as_bytes());
    put(&mut out, request.signed_authority().as_bytes());
    put(&mut out, request.target.as_bytes());
    for name in [&X_KEY_ID, &X_TIMESTAMP, &X_NONCE, &X_API_VERSION, &IDEMPOTENCY_KEY, &CONTENT_TYPE] {
        match single(headers, name)? {
            Some(value) => put(&mut out, value.as_bytes()),
            None => out.extend_from_slice(&u32::MAX.to_be_bytes()),
        }
    }
    let mut names: Vec<_> = headers.keys().filter(|name| is_protocols(name)).collect();
    names.sort_unstable_by_key(|name| name.as_str());
    put(&mut out, names.len().to_string().as_bytes());
    for name in names {
        put(&mut out, name.as_str().as_bytes());
        put(&mut out, single(headers, name)?.unwrap_or_default().as_bytes());
    }
    Ok(out)
}

/// All fields: [`base`] and the digest of the body.
pub fn whole(base: &[u8], digest: &[u8; 32]) -> Vec<u8> {
    let mut out = Vec::with_capacity(base.len() + 36);
    out.extend_from_slice(base);
    put(&mut out, digest);
    out
}

/// One field.
pub(super) fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    // No header is as long as that: a longer one than four bytes can count would be cut, and the signature not fit.
    out.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX - 1).to_be_bytes());
    out.extend_from_slice(bytes);
}

/// The signature as it is sent.
pub(super) fn text(mac: &[u8; 32]) -> String {
    format!("{MARK}{}", hex(mac))
}
