//! The mirrored headers of 2026-07-28 (transports, streamable HTTP, "Server Validation"): what they say must be
//! what the body says, or whoever routes by the header and whoever runs the body see two different calls.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::refusal::{Reason, Refusal};

/// `MCP-Protocol-Version`
pub static REVISION: HeaderName = HeaderName::from_static("mcp-protocol-version");
/// `Mcp-Method`
pub static METHOD: HeaderName = HeaderName::from_static("mcp-method");
/// `Mcp-Name`
pub static NAME: HeaderName = HeaderName::from_static("mcp-name");
/// `Mcp-Session-Id`
pub static SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
/// `Last-Event-ID`
pub static LAST_EVENT: HeaderName = HeaderName::from_static("last-event-id");

/// A mirrored value longer than this is refused before it is decoded.
const VALUE_BYTES: usize = 8 * 1024;

/// The one value of a header; a second one is refused, for two readers could each take another.
pub fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h HeaderValue>, Refusal> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(mismatch(name.as_str(), "the header stands twice"));
    }
    match first {
        Some(value) if value.len() > VALUE_BYTES => Err(mismatch(name.as_str(), "the header is too long")),
        _ => Ok(first),
    }
}

/// A header that must be there and say `body`.
pub fn mirrors(headers: &HeaderMap, name: &HeaderName, body: &str) -> Result<(), Refusal> {
    let value = single(headers, name)?.ok_or_else(|| mismatch(name.as_str(), "the header is missing"))?;
    if decode(value, name.as_str())? == body {
        return Ok(());
    }
    Err(mismatch(name.as_str(), "the header disagrees with the body"))
}

/// A header's text; `=?base64?…?=` is undone ("Value Encoding").
pub fn decode<'h>(value: &'h HeaderValue, name: &str) -> Result<Cow<'h, str>, Refusal> {
    let text = value.to_str().map_err(|_| mismatch(name, "the header holds bytes that need base64"))?;
    let Some(encoded) = text.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?=")) else {
        return Ok(Cow::Borrowed(text));
    };
    let decoded = STANDARD.decode(encoded).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    decoded.map(Cow::Owned).ok_or_else(|| mismatch(name, "the header is not valid base64 of UTF-8"))
}

/// A text as a header says it: as it is where that can be, else in base64 ("Value Encoding").
pub fn encode(text: &str) -> HeaderValue {
    let printable = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    let misread = text.trim() != text || text.starts_with("=?base64?");
    let value = if printable && !misread { HeaderValue::from_str(text) } else { encoded(text) };
    // Printable ASCII is always a value.
    value.unwrap_or(HeaderValue::from_static(""))
}

fn encoded(text: &str) -> Result<HeaderValue, http::header::InvalidHeaderValue> {
    HeaderValue::from_str(&format!("=?base64?{}?=", STANDARD.encode(text)))
}

/// The refusal for a header that does not agree.
pub fn mismatch(name: &str, words: &'static str) -> Refusal {
    Refusal::new(Reason::HeaderMismatch).says(words).at(name)
}

#[cfg(test)]
mod tests {
    use super::{decode, encode};

    /// E1: what is encoded reads back; what a header can hold stays as it is.
    #[test]
    fn names_survive_headers() {
        for plain in ["read", "files.read", "a b", ""] {
            assert_eq!(encode(plain), plain);
        }
        for text in ["read", "grüße", " padded", "tab\t", "=?base64?eA==?=", "line\nbreak", "\u{7f}"] {
            assert_eq!(decode(&encode(text), "Mcp-Name").unwrap(), text, "{text:?}");
        }
    }
}
