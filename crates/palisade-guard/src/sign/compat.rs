//! The compatibility scheme: `METHOD|path|timestamp|body`, for clients that were built for it and cannot change.
//!
//! It covers less than the others do: no host, no nonce, no header. What is not covered and can hurt is refused: a query.
//! And a path with `|` is refused, since of two requests `/a` with the body `x|…` and `/a|…|x` the text is the same.
//!
//! A tool call under it needs an `Idempotency-Key` like any signed one, which no signature holds: one that is changed on the way
//! makes a second call of a client's second attempt.
//!
//! There is no nonce that is signed, so the signature itself is accepted once. Two equal requests in one second are one.

use super::parts::{key_id, mac, needed, single, timestamp};
use super::{DEFAULT_KEY_ID, Fault, Request, Scheme, Statement, X_KEY_ID, X_SIGNATURE, X_TIMESTAMP};
use crate::digest::hex;

/// What a request says.
pub(super) fn read(request: &Request<'_>) -> Result<Statement, Fault> {
    let headers = request.headers;
    let mac = mac(needed(headers, &X_SIGNATURE, "X-Signature is missing")?)?;
    let stamp = needed(headers, &X_TIMESTAMP, "X-Timestamp is missing")?;
    let key_id = key_id(single(headers, &X_KEY_ID)?.unwrap_or(DEFAULT_KEY_ID))?;
    Ok(Statement {
        scheme: Scheme::Compat,
        key_id: key_id.into(),
        timestamp: timestamp(stamp)?,
        expires: None,
        nonce: None,
        base: base(request, stamp)?,
        mac,
        digest: None,
    })
}

/// All that stands before the body.
pub fn base(request: &Request<'_>, timestamp: &str) -> Result<Vec<u8>, Fault> {
    if request.target.contains(['?', '|']) {
        return Err(Fault::Malformed("this scheme takes no query and no \"|\" in the path"));
    }
    Ok(format!("{}|{}|{timestamp}|", request.method, request.target).into_bytes())
}

/// The signature as it is sent.
pub(super) fn text(mac: &[u8; 32]) -> String {
    hex(mac)
}
