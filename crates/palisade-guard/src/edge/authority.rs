//! The one reading of `host[:port]`, for `Host`, `:authority`, `Origin` and the patterns they are compared with.
//!
//! It is narrower than RFC 3986 (section 3.2) on purpose: whatever two parsers could read in two ways is malformed.
//!
//! 1. No userinfo, path, blank, percent sign, empty port or port with a leading zero.
//! 2. IPv6 stands in brackets and has no zone; an IPv4 address mapped into IPv6 is that IPv4 address.
//! 3. A name whose last label is a number is four plain decimals or malformed: browsers read `0x7f.1` as 127.0.0.1.
//! 4. One trailing dot is dropped; letters compare without case.

use std::fmt::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A host with an optional port, as it stands in a request.
#[derive(Debug, Clone, Copy)]
pub struct Authority<'a> {
    name: Name<'a>,
    port: Option<u16>,
    rooted: bool,
}

/// What a host is called. Names that differ only in the case of their letters are equal.
#[derive(Debug, Clone, Copy, Eq)]
pub enum Name<'a> {
    /// A DNS name without its trailing dot.
    Domain(&'a str),
    /// An IP literal in canonical form.
    Address(IpAddr),
}

impl<'a> Authority<'a> {
    /// Reads `host[:port]`; `None` when it is malformed.
    pub fn parse(text: &'a str) -> Option<Self> {
        if let Some(rest) = text.strip_prefix('[') {
            let (inside, after) = rest.split_once(']')?;
            let address = IpAddr::V6(inside.parse::<Ipv6Addr>().ok()?).to_canonical();
            let port = if after.is_empty() { None } else { Some(parse_port(after.strip_prefix(':')?)?) };
            return Some(Self { name: Name::Address(address), port, rooted: false });
        }
        let (written, port) = match text.split_once(':') {
            Some((name, port)) => (name, Some(parse_port(port)?)),
            None => (text, None),
        };
        let bare = written.strip_suffix('.').unwrap_or(written);
        Some(Self { name: parse_name(bare)?, port, rooted: bare.len() < written.len() })
    }

    /// The name without port.
    pub const fn name(&self) -> Name<'a> {
        self.name
    }

    /// The port, if one is written.
    pub const fn port(&self) -> Option<u16> {
        self.port
    }

    /// The port, or the one that goes without saying for this scheme.
    pub fn port_for(&self, scheme: &str) -> Option<u16> {
        self.port.or_else(|| default_port(scheme))
    }

    /// Whether the name ends in a dot, as written.
    pub(super) const fn is_rooted(&self) -> bool {
        self.rooted
    }
}

impl Name<'_> {
    /// `localhost`, 127.0.0.0/8 and `::1`: names that no stranger's DNS can point elsewhere.
    pub fn is_loopback(&self) -> bool {
        match self {
            Self::Domain(name) => name.eq_ignore_ascii_case("localhost"),
            Self::Address(address) => address.is_loopback(),
        }
    }
}

impl PartialEq for Name<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Domain(one), Self::Domain(two)) => one.eq_ignore_ascii_case(two),
            (Self::Address(one), Self::Address(two)) => one == two,
            _ => false,
        }
    }
}

/// The canonical form: lower case, IPv6 in brackets, no trailing dot.
impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Domain(name) => name.chars().try_for_each(|letter| f.write_char(letter.to_ascii_lowercase())),
            Self::Address(IpAddr::V4(address)) => write!(f, "{address}"),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

/// A name that a pattern keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum OwnedName {
    Domain(Box<str>),
    Address(IpAddr),
}

impl OwnedName {
    /// Whether a request means this name.
    pub(super) fn is(&self, asked: Name<'_>) -> bool {
        match self {
            Self::Domain(name) => Name::Domain(name) == asked,
            Self::Address(address) => Name::Address(*address) == asked,
        }
    }
}

impl From<Name<'_>> for OwnedName {
    fn from(name: Name<'_>) -> Self {
        match name {
            Name::Domain(_) => Self::Domain(name.to_string().into()),
            Name::Address(address) => Self::Address(address),
        }
    }
}

/// The port that a URL of this scheme leaves out.
pub(super) fn default_port(scheme: &str) -> Option<u16> {
    if scheme.eq_ignore_ascii_case("http") {
        Some(80)
    } else if scheme.eq_ignore_ascii_case("https") {
        Some(443)
    } else {
        None
    }
}

/// A port of 1 to 65535 without leading zeros.
pub(super) fn parse_port(text: &str) -> Option<u16> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    if plain { text.parse().ok() } else { None }
}

fn parse_name(text: &str) -> Option<Name<'_>> {
    let last = text.rsplit('.').next().unwrap_or_default();
    if is_number(last) {
        return text.parse::<Ipv4Addr>().ok().map(|address| Name::Address(IpAddr::V4(address)));
    }
    let fits = text.len() <= MAX_NAME && text.split('.').all(is_label);
    fits.then_some(Name::Domain(text))
}

/// Decimal, or hexadecimal as a browser would read it.
fn is_number(label: &str) -> bool {
    match label.get(..2) {
        Some("0x" | "0X") => label.bytes().skip(2).all(|byte| byte.is_ascii_hexdigit()),
        _ => !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

/// Letters, digits, inner hyphens; underscores too, since container networks name services with them.
fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// The longest DNS name in text form (RFC 1035 section 2.3.4).
const MAX_NAME: usize = 253;
