//! Which host a request asks for, and whether it is served here.
//!
//! 1. Exactly one `Host` header, or the authority of the request target (`:authority` in HTTP/2).
//! 2. Where both are present they name the same host and port. RFC 9112 (section 3.2.2) lets the target win; here
//!    a contradiction is refused, because whoever stands in front of us may have read the other one.
//! 3. The host matches a pattern of `listen.hosts`. With none configured only the loopback names are served.
//!
//! `X-Forwarded-Host` and its relatives are never read.
//!
//! # Caveat
//! A pattern with port 80 or 443 also takes a `Host` without port: that is how clients write the scheme's own port.

use http::header::HOST;
use http::{HeaderMap, Uri};

use super::Config;
use super::authority::{Authority, Name, OwnedName, default_port};
use crate::refusal::{Reason, Refusal};

/// One entry of `listen.hosts`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostPattern {
    /// `*`: every host. It switches the protection off, so production refuses it.
    Any,
    /// Some hosts.
    Only(ServedHost),
}

/// A name, a whole domain's subdomains or an address, on one port or on all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServedHost {
    name: ServedName,
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum ServedName {
    Exact(OwnedName),
    /// With its leading dot, so that `evil-example.com` does not end with it.
    Below(Box<str>),
}

impl HostPattern {
    /// Reads `name`, `*.name`, an IP literal (IPv6 in brackets), each with an optional `:port`, or `*`.
    ///
    /// The error says what is wrong and what to write instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text == "*" {
            return Ok(Self::Any);
        }
        let (below, rest) = text.strip_prefix("*.").map_or((false, text), |rest| (true, rest));
        let Some(authority) = Authority::parse(rest) else {
            return Err(format!("{text:?} is not a host: {}", cure(text)));
        };
        let name = match (authority.name(), below) {
            (Name::Domain(_), true) => ServedName::Below(format!(".{}", authority.name()).into()),
            (Name::Address(_), true) => return Err(format!("{text:?} is not a host: an address has no subdomains")),
            (name, false) => ServedName::Exact(name.into()),
        };
        Ok(Self::Only(ServedHost { name, port: authority.port() }))
    }

    /// Whether this pattern takes the host.
    pub fn admits(&self, host: &Authority<'_>) -> bool {
        let Self::Only(served) = self else { return true };
        let port_fits = served.port.is_none_or(|port| match host.port() {
            Some(asked) => asked == port,
            None => matches!(port, 80 | 443),
        });
        port_fits && served.name.covers(host.name())
    }
}

impl ServedName {
    fn covers(&self, asked: Name<'_>) -> bool {
        match (self, asked) {
            (Self::Exact(name), asked) => name.is(asked),
            (Self::Below(suffix), Name::Domain(asked)) => {
                let cut = asked.len().saturating_sub(suffix.len());
                asked.get(cut..).is_some_and(|end| end.eq_ignore_ascii_case(suffix))
            }
            (Self::Below(_), Name::Address(_)) => false,
        }
    }
}

/// The host this request asks for, if it is one of ours. Allocates only to refuse.
pub fn judge<'a>(config: &Config, target: &'a Uri, headers: &'a HeaderMap) -> Result<Authority<'a>, Refusal> {
    let host = asked(target, headers).map_err(malformed)?;
    let served = if config.hosts.is_empty() {
        host.name().is_loopback()
    } else {
        config.hosts.iter().any(|pattern| pattern.admits(&host))
    };
    if served { Ok(host) } else { Err(refused(&host)) }
}

/// The one host that the request names, whether or not it is served.
fn asked<'a>(target: &'a Uri, headers: &'a HeaderMap) -> Result<Authority<'a>, &'static str> {
    let mut lines = headers.get_all(HOST).iter();
    let (header, more) = (lines.next(), lines.next());
    if more.is_some() {
        return Err("the request has more than one Host header: send exactly one");
    }
    let header = header.map(|line| line.to_str().ok().and_then(Authority::parse).ok_or(MALFORMED)).transpose()?;
    let target_host = target.authority().map(|text| Authority::parse(text.as_str()).ok_or(MALFORMED)).transpose()?;
    match (header, target_host) {
        (Some(header), None) => Ok(header),
        (None, Some(target_host)) => Ok(target_host),
        (None, None) => Err("the request has no Host header: send exactly one"),
        (Some(header), Some(target_host)) => {
            let implied = target.scheme_str().and_then(default_port);
            let same_port = header.port().or(implied) == target_host.port().or(implied);
            if header.name() == target_host.name() && same_port {
                Ok(header)
            } else {
                Err("Host and the request target name different hosts: send the same in both")
            }
        }
    }
}

fn malformed(words: &'static str) -> Refusal {
    Refusal::new(Reason::HostMalformed).says(words).at("Host")
}

fn refused(host: &Authority<'_>) -> Refusal {
    let name = host.name();
    Refusal::new(Reason::HostRefused)
        .says(format!("this host name is not served here: add \"{name}\" to listen.hosts (ALLOWED_HOSTS)"))
        .at("Host")
}

/// What to write instead of a malformed pattern.
fn cure(text: &str) -> &'static str {
    if text.contains("://") {
        "write it without scheme, like \"api.example.com\""
    } else if text.contains(['/', '?', '#', '@']) {
        "write only the name, like \"api.example.com\""
    } else if !text.is_ascii() {
        "write it in its ASCII form (xn--…)"
    } else if !text.starts_with('[') && text.matches(':').count() > 1 {
        "write IPv6 in brackets, like \"[::1]\" or \"[::1]:8080\""
    } else if text.contains('*') {
        "\"*.\" stands at the start and nowhere else, like \"*.example.com\""
    } else {
        "write \"api.example.com\", \"*.example.com\", \"192.0.2.1\" or \"[2001:db8::1]\", each with an optional \":port\""
    }
}

const MALFORMED: &str = "Host is malformed: send a host name or address with an optional port";

#[cfg(test)]
mod tests;
