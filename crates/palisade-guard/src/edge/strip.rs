//! Which headers cross the gateway. Both directions are allow lists: what nobody thought of stays outside.
//!
//! To the upstream: what the protocol mirrors and negotiates, and the trace context. Not the caller's credentials
//! (they were for us), not cookies, not what claims to know the client's address (`Forwarded`, `X-Forwarded-*`),
//! not hop-by-hop headers, not `Accept-Encoding` (an encoded answer could not be judged), not `User-Agent` (the
//! upstream's client is the gateway), not `Mcp-Session-Id` (the gateway sets the session that it has checked).
//!
//! 1. Whatever `Connection` nominates is dropped, also from the list (RFC 9110 section 7.6.1).
//! 2. Names with underscores are other headers to HTTP and the same ones to CGI-like servers, so they are not on
//!    the list. Of `Mcp-Param-*`, where an underscore is legal, one that reads like another is dropped.
//!
//! Back from the upstream: `Retry-After` in seconds, nothing else. Status, content type, session and caching are
//! the gateway's to say, and an upstream's `WWW-Authenticate` would send the client to a stranger for tokens.
//!
//! # Caveat
//! Duplicates pass: whether a header may stand twice is for the stage that compares headers with the body.

use http::HeaderMap;
use http::header::{ACCEPT, ACCEPT_LANGUAGE, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};

/// The request headers that may go to the upstream, in their order.
pub fn upstream_headers(headers: &HeaderMap) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
    let nominates = headers.contains_key(CONNECTION);
    headers.iter().filter(move |(name, _)| {
        may_go_up(name) && !(nominates && is_nominated(name, headers)) && !is_twin(name, headers)
    })
}

/// The headers of an upstream's answer that may go back to the client.
pub fn answer_headers(headers: &HeaderMap) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
    let seconds = headers.get(RETRY_AFTER).filter(|value| is_seconds(value.as_bytes()));
    seconds.map(|value| (&RETRY_AFTER, value)).into_iter()
}

fn may_go_up(name: &HeaderName) -> bool {
    match *name {
        ACCEPT | ACCEPT_LANGUAGE | CONTENT_TYPE => true,
        _ => LISTED.contains(&name.as_str()) || name.as_str().len() > PARAMETER.len() && is_parameter(name),
    }
}

fn is_parameter(name: &HeaderName) -> bool {
    name.as_str().starts_with(PARAMETER)
}

fn is_nominated(name: &HeaderName, headers: &HeaderMap) -> bool {
    let mut tokens = headers.get_all(CONNECTION).iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    tokens.any(|token| token.trim_ascii().eq_ignore_ascii_case(name.as_str().as_bytes()))
}

/// An `Mcp-Param-` name with an underscore that a CGI-like server could not tell from another one in the request.
fn is_twin(name: &HeaderName, headers: &HeaderMap) -> bool {
    let folded = |byte: u8| if byte == b'_' { b'-' } else { byte };
    name.as_str().contains('_')
        && headers
            .keys()
            .any(|other| other != name && other.as_str().bytes().map(folded).eq(name.as_str().bytes().map(folded)))
}

/// At most five digits: a bit more than a day.
fn is_seconds(value: &[u8]) -> bool {
    (1..=5).contains(&value.len()) && value.iter().all(u8::is_ascii_digit)
}

const LISTED: [&str; 7] =
    ["mcp-protocol-version", "mcp-method", "mcp-name", "last-event-id", "traceparent", "tracestate", "baggage"];
const PARAMETER: &str = "mcp-param-";

#[cfg(test)]
mod tests;
