//! The socket, and who is let in by host, origin and address.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use ipnet::IpNet;
use palisade_guard::edge::host::HostPattern;
use palisade_guard::edge::origin::OriginPattern;
use palisade_guard::edge::security_headers::{Protection, SecurityHeaders};
use palisade_guard::identify::IpLists;
use palisade_guard::{edge, identify};

use super::Check;
use crate::config::checked::Listen;
use crate::config::raw;

/// The word for "no browser may call".
pub(in crate::config) const NO_ORIGIN: &str = "none";

pub(super) fn socket(raw: &raw::Listen, check: &mut Check<'_>) -> Listen {
    let address = raw.address.parse().unwrap_or_else(|_| {
        let cure = "write an IP address and a port, like \"127.0.0.1:8080\" or \"[::1]:8080\"";
        check.fault("listen.address", format!("{:?} is not an address", raw.address), cure);
        SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
    });
    Listen {
        address,
        max_connections: super::count(raw.max_connections),
        max_connections_per_address: raw.max_connections_per_address.map(super::count),
    }
}

pub(super) fn identify(raw: &raw::Listen, check: &mut Check<'_>) -> identify::Config {
    identify::Config {
        trusted_proxies: networks("listen.trusted_proxies", &raw.trusted_proxies, check),
        lists: lists("listen", &raw.allow, &raw.deny, check),
    }
}

pub(super) fn edge(raw: &raw::Listen, check: &mut Check<'_>) -> edge::Config {
    let none = raw.origins.iter().any(|origin| origin == NO_ORIGIN);
    if none && raw.origins.len() > 1 {
        check.fault("listen.origins", "has \"none\" beside other origins", "write [\"none\"] alone, or leave it out");
    }
    let origins: &[String] = if none { &[] } else { &raw.origins };
    edge::Config {
        hosts: patterns("listen.hosts", &raw.hosts, HostPattern::parse, check),
        origins: patterns("listen.origins", origins, OriginPattern::parse, check),
        headers: headers(&raw.security_headers, check),
    }
}

/// An allow and a deny list below a setting.
pub(super) fn lists(setting: &str, allow: &[String], deny: &[String], check: &mut Check<'_>) -> IpLists {
    IpLists {
        allow: networks(&format!("{setting}.allow"), allow, check),
        deny: networks(&format!("{setting}.deny"), deny, check),
    }
}

fn networks(setting: &str, texts: &[String], check: &mut Check<'_>) -> Vec<IpNet> {
    patterns(setting, texts, network, check)
}

/// Reads `10.0.0.0/8` or one address. Set bits behind the prefix are a slip: one of the two is not what was meant.
/// The network that is written so; the error says how it could be written.
pub(crate) fn network(text: &str) -> Result<IpNet, String> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(address));
    }
    match text.parse::<IpNet>() {
        Ok(network) if network.trunc() == network => Ok(network),
        Ok(network) => {
            Err(format!("{text:?} is not a network: write \"{}\" or \"{}\"", network.trunc(), network.addr()))
        }
        Err(_) => Err(format!("{text:?} is not a network: write one like \"10.0.0.0/8\", or an address")),
    }
}

/// Reads each element; the words of the error end in their cure, after a colon.
fn patterns<T>(
    setting: &str,
    texts: &[String],
    read: impl Fn(&str) -> Result<T, String>,
    check: &mut Check<'_>,
) -> Vec<T> {
    let mut read_ones = Vec::with_capacity(texts.len());
    for (index, text) in texts.iter().enumerate() {
        match read(text) {
            Ok(pattern) => read_ones.push(pattern),
            Err(words) => {
                let (problem, cure) =
                    words.rsplit_once("\": ").or_else(|| words.split_once(": ")).unwrap_or((&words, "correct it"));
                check.fault(&format!("{setting}[{index}]"), problem, cure);
            }
        }
    }
    read_ones
}

fn headers(raw: &raw::SecurityHeaders, check: &mut Check<'_>) -> SecurityHeaders {
    let settings = [
        ("content_type_options", Protection::ContentTypeOptions, &raw.content_type_options),
        ("frame_options", Protection::FrameOptions, &raw.frame_options),
        ("xss_protection", Protection::XssProtection, &raw.xss_protection),
        ("content_security_policy", Protection::ContentSecurityPolicy, &raw.content_security_policy),
        ("referrer_policy", Protection::ReferrerPolicy, &raw.referrer_policy),
        ("permissions_policy", Protection::PermissionsPolicy, &raw.permissions_policy),
        ("opener_policy", Protection::OpenerPolicy, &raw.opener_policy),
        ("resource_policy", Protection::ResourcePolicy, &raw.resource_policy),
        ("cache_control", Protection::CacheControl, &raw.cache_control),
        ("strict_transport_security", Protection::StrictTransportSecurity, &raw.strict_transport_security),
    ];
    let mut headers = SecurityHeaders::default();
    for (name, protection, value) in settings {
        let value = Some(value.as_str()).filter(|value| *value != "off");
        let setting = format!("listen.security_headers.{name}");
        if value.is_some_and(|value| value.trim().is_empty()) {
            check.fault(&setting, "is empty", "write a value, or \"off\" to leave the header out");
        } else if headers.set(protection, value).is_err() {
            check.fault(&setting, "cannot stand in a header", "write visible ASCII on one line");
        }
    }
    headers
}
