//! What a page of an allowed origin may send and read (Fetch standard, "CORS protocol").
//!
//! 1. A preflight is answered for the methods and headers that MCP and the API use; one that asks for anything else
//!    is refused, so that the developer reads which header it was.
//! 2. The answer repeats the one origin that called, never `*`. `Access-Control-Allow-Credentials` is never sent:
//!    callers authenticate with a header of their own, and a cookie must not travel from another origin.
//! 3. `Vary: Origin` stands on every answer as soon as origins are configured, also for callers without one, so
//!    that a cache cannot hand one origin's answer to another.

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, HeaderName, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method};

use super::Config;
use super::origin::AllowedOrigin;
use crate::refusal::{Reason, Refusal};

/// Whether a browser asks for permission first, rather than a program sending `OPTIONS`.
pub fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    *method == Method::OPTIONS && headers.contains_key(ORIGIN) && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// The headers of the empty answer (204) to a preflight.
pub fn preflight(origin: &AllowedOrigin, headers: &HeaderMap) -> Result<Vec<(HeaderName, HeaderValue)>, Refusal> {
    let method = only(headers, &ACCESS_CONTROL_REQUEST_METHOD)?;
    if !method.is_some_and(|method| METHODS.contains(&method.as_bytes())) {
        return Err(refused(&ACCESS_CONTROL_REQUEST_METHOD, "this method may not be used from a page".to_owned()));
    }
    let allowed_headers = match only(headers, &ACCESS_CONTROL_REQUEST_HEADERS)? {
        Some(names) => asked_headers(names)?,
        None => HeaderValue::from_static(HEADERS),
    };
    Ok(vec![
        (ACCESS_CONTROL_ALLOW_ORIGIN, origin.value().clone()),
        (ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST, GET, DELETE, OPTIONS")),
        (ACCESS_CONTROL_ALLOW_HEADERS, allowed_headers),
        // Short, so that an origin struck from the list loses its permission soon.
        (ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600")),
        (VARY, HeaderValue::from_static("Origin, Access-Control-Request-Method, Access-Control-Request-Headers")),
    ])
}

/// Adds what a browser needs to show an actual answer to its page.
pub fn apply(config: &Config, origin: Option<&AllowedOrigin>, answer: &mut HeaderMap) {
    if let Some(origin) = origin {
        answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.value().clone());
        answer.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    }
    if origin.is_some() || !config.origins.is_empty() {
        answer.append(VARY, HeaderValue::from_static("Origin"));
    }
}

/// The requested names, if each of them may be sent: then the request's own list is the answer.
fn asked_headers(names: &HeaderValue) -> Result<HeaderValue, Refusal> {
    let text = names.to_str().unwrap_or_default();
    for (count, name) in text.split(',').map(|name| name.trim_matches([' ', '\t'])).enumerate() {
        if count >= MAX_NAMES {
            let words = format!("a page may ask for at most {MAX_NAMES} headers");
            return Err(refused(&ACCESS_CONTROL_REQUEST_HEADERS, words));
        }
        if !may_send(name) {
            let words = match HeaderName::from_bytes(name.as_bytes()) {
                Ok(name) if name.as_str().len() <= 64 => format!("the header \"{name}\" may not be sent from a page"),
                _ => "a header name is malformed".to_owned(),
            };
            return Err(refused(&ACCESS_CONTROL_REQUEST_HEADERS, words));
        }
    }
    Ok(names.clone())
}

fn may_send(name: &str) -> bool {
    let listed = HEADERS.split(", ").any(|allowed| allowed.eq_ignore_ascii_case(name));
    listed || {
        let (prefix, parameter) = name.split_at_checked(PARAMETER.len()).unwrap_or_default();
        // `*` would be a wildcard in the answer, although it is legal in a header name.
        prefix.eq_ignore_ascii_case(PARAMETER)
            && !parameter.contains('*')
            && HeaderName::from_bytes(parameter.as_bytes()).is_ok()
    }
}

/// The value of a header that stands at most once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a HeaderValue>, Refusal> {
    let mut lines = headers.get_all(name).iter();
    let first = lines.next();
    match lines.next() {
        Some(_) => Err(refused(name, format!("{name} stands more than once"))),
        None => Ok(first),
    }
}

fn refused(header: &HeaderName, words: String) -> Refusal {
    Refusal::new(Reason::OriginRefused).says(words).at(header.as_str())
}

const METHODS: [&[u8]; 4] = [b"POST", b"GET", b"DELETE", b"OPTIONS"];
const HEADERS: &str = "Content-Type, Accept, Authorization, X-API-Key, Mcp-Session-Id, MCP-Protocol-Version, \
                       Mcp-Method, Mcp-Name, Last-Event-ID, Idempotency-Key, X-Signature, X-Timestamp, X-Nonce, \
                       X-API-Version";
const PARAMETER: &str = "Mcp-Param-";
const EXPOSED: &str = "Mcp-Session-Id, WWW-Authenticate, Retry-After, X-RateLimit-Limit, X-RateLimit-Remaining, \
                       X-RateLimit-Reset, RateLimit, RateLimit-Policy, X-Correlation-Id";
/// A tool with more mirrored parameters than this cannot be called from a page.
const MAX_NAMES: usize = 64;

#[cfg(test)]
mod tests;
