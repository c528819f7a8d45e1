//! Which browser origins may call.
//!
//! 1. No `Origin`: not a page in a browser, nothing to judge here.
//! 2. An origin on the list (`listen.origins`) may call. It is compared as the tuple scheme, host, port that
//!    browsers compare, never by the start or the end of a text.
//! 3. With no origins configured, a page may call the loopback host it came from: `http://localhost:8080` calling
//!    `Host: localhost:8080`. A page that rebinds its own name to us carries that name in both, so it stays out.
//! 4. Everything else is refused: another origin, `null`, a second or malformed `Origin`. Leaving out CORS headers
//!    would hide the answer from the page, but the call would have been executed.

use http::header::{HOST, ORIGIN};
use http::{HeaderMap, HeaderValue};

use super::Config;
use super::authority::{Authority, OwnedName, default_port};
use crate::refusal::{Reason, Refusal};

/// One entry of `listen.origins`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OriginPattern {
    /// `*`: every origin but `null`. It switches the protection off, so production refuses it.
    Any,
    /// One origin, or a loopback origin on every port.
    Only(ServedOrigin),
}

/// Scheme, host and port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServedOrigin {
    scheme: Box<str>,
    host: OwnedName,
    port: Port,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Port {
    /// `None` for a scheme that has no port of its own, like `vscode-webview`.
    One(Option<u16>),
    Every,
}

/// Proof that the request's origin may call; its text is what the answer's CORS headers repeat.
#[derive(Debug, Clone)]
pub struct AllowedOrigin(HeaderValue);

impl AllowedOrigin {
    /// The origin as the browser wrote it.
    pub const fn value(&self) -> &HeaderValue {
        &self.0
    }
}

/// An origin as it stands in a request.
#[derive(Debug, Clone, Copy)]
struct Origin<'a> {
    scheme: &'a str,
    authority: Authority<'a>,
}

impl<'a> Origin<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let authority = Authority::parse(rest)?;
        // To a browser `https://example.com.` is another origin than the one without the dot.
        (is_scheme(scheme) && !authority.is_rooted()).then_some(Self { scheme, authority })
    }

    fn port(&self) -> Option<u16> {
        self.authority.port_for(self.scheme)
    }

    fn is_own_page_of(&self, host: &Authority<'_>) -> bool {
        default_port(self.scheme).is_some()
            && host.name().is_loopback()
            && self.authority.name() == host.name()
            && self.port() == host.port_for(self.scheme)
    }
}

impl OriginPattern {
    /// Reads `scheme://host[:port]`, `http://localhost:*` (loopback hosts only) or `*`.
    ///
    /// The error says what is wrong and what to write instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text == "*" {
            return Ok(Self::Any);
        }
        let (written, every) = text.strip_suffix(":*").map_or((text, false), |rest| (rest, true));
        let Some(origin) = Origin::parse(written) else {
            return Err(format!("{text:?} is not an origin: {}", cure(text)));
        };
        if every && (origin.authority.port().is_some() || !origin.authority.name().is_loopback()) {
            return Err(format!("{text:?} is not an origin: every port (\":*\") goes with a loopback host only"));
        }
        Ok(Self::Only(ServedOrigin {
            scheme: origin.scheme.to_ascii_lowercase().into(),
            host: origin.authority.name().into(),
            port: if every { Port::Every } else { Port::One(origin.port()) },
        }))
    }

    fn admits(&self, origin: &Origin<'_>) -> bool {
        let Self::Only(served) = self else { return true };
        let port_fits = match served.port {
            Port::Every => true,
            Port::One(port) => origin.port() == port,
        };
        port_fits && origin.scheme.eq_ignore_ascii_case(&served.scheme) && served.host.is(origin.authority.name())
    }
}

/// The origin of the page that calls, if it may call; `None` when no page does. Allocates only to refuse.
pub fn judge(config: &Config, headers: &HeaderMap) -> Result<Option<AllowedOrigin>, Refusal> {
    let mut lines = headers.get_all(ORIGIN).iter();
    let Some(line) = lines.next() else { return Ok(None) };
    if lines.next().is_some() {
        return Err(refused("the request has more than one Origin header: send one"));
    }
    if line == "null" {
        return Err(refused("the origin \"null\" is never allowed: serve the page from its own http or https origin"));
    }
    let Some(origin) = line.to_str().ok().and_then(Origin::parse) else {
        return Err(refused("Origin is malformed: send scheme://host with an optional port"));
    };
    let allowed = if config.origins.is_empty() {
        one_host(headers).is_some_and(|host| origin.is_own_page_of(&host))
    } else {
        config.origins.iter().any(|pattern| pattern.admits(&origin))
    };
    if allowed { Ok(Some(AllowedOrigin(line.clone()))) } else { Err(not_listed(&origin)) }
}

fn one_host(headers: &HeaderMap) -> Option<Authority<'_>> {
    let mut lines = headers.get_all(HOST).iter();
    let line = lines.next()?;
    if lines.next().is_some() { None } else { line.to_str().ok().and_then(Authority::parse) }
}

fn refused(words: impl Into<std::borrow::Cow<'static, str>>) -> Refusal {
    Refusal::new(Reason::OriginRefused).says(words).at("Origin")
}

fn not_listed(origin: &Origin<'_>) -> Refusal {
    let (scheme, name) = (origin.scheme.to_ascii_lowercase(), origin.authority.name());
    let implied = origin.port() == default_port(origin.scheme);
    let port = origin.port().filter(|_| !implied).map(|port| format!(":{port}")).unwrap_or_default();
    refused(format!("this origin is not allowed: add \"{scheme}://{name}{port}\" to listen.origins (ALLOWED_ORIGINS)"))
}

/// A scheme by RFC 3986 section 3.1, so that extensions and editors can be listed too.
fn is_scheme(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
}

/// What to write instead of a malformed pattern.
fn cure(text: &str) -> &'static str {
    let after_scheme = text.split_once("://").map(|(_, rest)| rest);
    match after_scheme {
        _ if text.eq_ignore_ascii_case("null") => {
            "every sandboxed page is \"null\", so it cannot be told apart; list real origins"
        }
        None => "write it with its scheme, like \"https://app.example.com\"",
        Some(rest) if rest.contains(['/', '?', '#', '@']) => {
            "an origin is scheme, host and port alone, like \"https://app.example.com\""
        }
        Some(rest) if rest.contains('*') => {
            "list every origin by itself; only a loopback origin may have the port \":*\""
        }
        Some(rest) if !rest.is_ascii() => "write the host in its ASCII form (xn--…)",
        Some(_) => "write scheme://host with an optional port, without trailing dot",
    }
}

#[cfg(test)]
mod tests;
