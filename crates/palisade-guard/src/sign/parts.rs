//! The forms of the parts: what is not of its form is refused before anything is computed.

use http::{HeaderMap, HeaderName};

use super::Fault;
use crate::digest::read_lower_hex;

/// The one value of a header; none at all is `None`.
pub(super) fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, Fault> {
    let mut values = headers.get_all(name).iter();
    let Some(first) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Fault::Malformed("a signed header stands twice"));
    }
    let text = first.to_str().map_err(|_| Fault::Malformed("a signed header is not ASCII"))?;
    if text.is_empty() {
        return Err(Fault::Malformed("a signed header is empty"));
    }
    Ok(Some(text))
}

/// A header that must be there.
pub(super) fn needed<'h>(headers: &'h HeaderMap, name: &HeaderName, missing: &'static str) -> Result<&'h str, Fault> {
    single(headers, name)?.ok_or(Fault::Malformed(missing))
}

/// Ten digits: the years 2001 to 2286.
pub(super) fn timestamp(text: &str) -> Result<u64, Fault> {
    let digits = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = if digits { text.parse().ok() } else { None };
    seconds.ok_or(Fault::Malformed("the timestamp is not ten digits"))
}

/// 16 to 128 of `A-Z a-z 0-9 _ -`.
pub(super) fn nonce(text: &str) -> Result<&str, Fault> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let fits = (16..=128).contains(&text.len()) && text.bytes().all(plain);
    if fits { Ok(text) } else { Err(Fault::Malformed("the nonce is not 16 to 128 of A-Z a-z 0-9 _ -")) }
}

/// 1 to 64 of `A-Z a-z 0-9 . _ -`.
pub(super) fn key_id(text: &str) -> Result<&str, Fault> {
    if is_key_id(text) { Ok(text) } else { Err(Fault::Malformed("the key id is not 1 to 64 of A-Z a-z 0-9 . _ -")) }
}

/// Whether this can be a key id.
pub(super) fn is_key_id(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=64).contains(&text.len()) && text.bytes().all(plain)
}

/// The headers beside ours that say what is called: those of MCP, and where a stream goes on.
pub(super) fn is_protocols(name: &HeaderName) -> bool {
    name.as_str().starts_with("mcp-") || name.as_str() == "last-event-id"
}

/// 64 lower-case hexadecimal digits, and nothing else.
pub(super) fn mac(text: &str) -> Result<[u8; 32], Fault> {
    read_lower_hex(text).ok_or(Fault::Malformed("the signature is not 64 lower-case hexadecimal digits"))
}
