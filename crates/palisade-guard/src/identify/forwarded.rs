//! Reads what proxies say about the hop before them: `Forwarded` (RFC 7239) and `X-Forwarded-For`.
//!
//! The readers say what is written, not whom to believe. They are strict: a quote left open by a client would
//! otherwise swallow the element that a proxy adds after it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where a hop came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Node {
    /// A plain address, in canonical form.
    Address(IpAddr),
    /// `unknown`, or a name only the proxy understands (`_hidden`).
    Hidden,
}

/// One hop: who spoke to the proxy that wrote this element, and whether over TLS.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Hop {
    pub(super) node: Option<Node>,
    pub(super) secure: Option<bool>,
}

/// The text is not what the header's grammar allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// The elements of one `Forwarded` line, from the client's side to ours. Ends after the first malformed one.
#[derive(Debug)]
pub(super) struct Elements<'a> {
    rest: &'a str,
}

impl<'a> Elements<'a> {
    pub(super) const fn new(line: &'a str) -> Self {
        Self { rest: line }
    }
}

impl Iterator for Elements<'_> {
    type Item = Result<Hop, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        // Empty list elements are legal and say nothing (RFC 9110 section 5.6.1).
        self.rest = self.rest.trim_start_matches([' ', '\t', ',']);
        if self.rest.is_empty() {
            return None;
        }
        let hop = element(&mut self.rest);
        if hop.is_none() {
            self.rest = "";
        }
        Some(hop.ok_or(Malformed))
    }
}

/// The entries of one `X-Forwarded-For` line, from the client's side to ours.
pub(super) fn entries(line: &str) -> impl Iterator<Item = Result<Hop, Malformed>> {
    list(line).map(|entry| {
        let bare = entry.parse::<IpAddr>().ok().map(|address| Node::Address(address.to_canonical()));
        let node = bare.or_else(|| node(entry)).ok_or(Malformed)?;
        Ok(Hop { node: Some(node), secure: None })
    })
}

/// The values of one `X-Forwarded-Proto` line: whether each names a protocol over TLS.
pub(super) fn protocols(line: &str) -> impl Iterator<Item = Result<bool, Malformed>> {
    list(line).map(|entry| protocol(entry).ok_or(Malformed))
}

fn list(line: &str) -> impl Iterator<Item = &str> {
    line.split(',').map(|entry| entry.trim_matches([' ', '\t'])).filter(|entry| !entry.is_empty())
}

/// `[ pair ] *( ";" [ pair ] )`, up to the comma or the end of the line.
fn element(rest: &mut &str) -> Option<Hop> {
    let mut hop = Hop::default();
    let mut seen = [false; 4];
    loop {
        *rest = blank(rest);
        match rest.bytes().next() {
            None | Some(b',') => return Some(hop),
            Some(b';') => *rest = rest.get(1..)?,
            Some(_) => {
                pair(rest, &mut hop, &mut seen)?;
                *rest = blank(rest);
                if !matches!(rest.bytes().next(), None | Some(b',' | b';')) {
                    return None;
                }
            }
        }
    }
}

/// `token "=" ( token / quoted-string )`; none of the four known parameters stands twice.
fn pair(rest: &mut &str, hop: &mut Hop, seen: &mut [bool; 4]) -> Option<()> {
    let name = token(rest)?;
    *rest = rest.strip_prefix('=')?;
    let value = if rest.starts_with('"') { quoted(rest)? } else { token(rest)? };
    let known = PARAMETERS.iter().position(|known| known.eq_ignore_ascii_case(name));
    if let Some(twice) = known.and_then(|place| seen.get_mut(place)) {
        if *twice {
            return None;
        }
        *twice = true;
    }
    // Neither an address nor a protocol needs a backslash, so one inside is malformed rather than unescaped.
    match known {
        Some(FOR) => hop.node = Some(node(value)?),
        Some(PROTO) => hop.secure = Some(protocol(value)?),
        _ => {}
    }
    Some(())
}

/// IPv4, `[IPv6]`, `unknown` or `_name`, each with an optional port (RFC 7239 section 6).
fn node(text: &str) -> Option<Node> {
    let (name, port) = if let Some(inside) = text.strip_prefix('[') {
        let (address, after) = inside.split_once(']')?;
        let address = IpAddr::V6(address.parse::<Ipv6Addr>().ok()?).to_canonical();
        let port = if after.is_empty() { None } else { Some(after.strip_prefix(':')?) };
        (Node::Address(address), port)
    } else {
        let (name, port) = text.split_once(':').map_or((text, None), |(name, port)| (name, Some(port)));
        let hidden = name.eq_ignore_ascii_case("unknown") || is_obfuscated(name);
        let name = if hidden { Node::Hidden } else { Node::Address(IpAddr::V4(name.parse::<Ipv4Addr>().ok()?)) };
        (name, port)
    };
    port.is_none_or(is_port).then_some(name)
}

fn is_port(text: &str) -> bool {
    is_obfuscated(text) || (1..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_obfuscated(text: &str) -> bool {
    let inner = text.strip_prefix('_').unwrap_or_default();
    !inner.is_empty() && inner.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

fn protocol(text: &str) -> Option<bool> {
    let is = |name: &str| text.eq_ignore_ascii_case(name);
    if is("https") || is("wss") {
        Some(true)
    } else if is("http") || is("ws") {
        Some(false)
    } else {
        None
    }
}

fn blank(text: &str) -> &str {
    text.trim_start_matches([' ', '\t'])
}

fn token<'a>(rest: &mut &'a str) -> Option<&'a str> {
    let end = rest.bytes().position(|byte| !is_tchar(byte)).unwrap_or(rest.len());
    let (token, after) = rest.split_at_checked(end)?;
    *rest = after;
    (!token.is_empty()).then_some(token)
}

/// The text between two quotes, backslashes and all.
fn quoted<'a>(rest: &mut &'a str) -> Option<&'a str> {
    let inside = rest.strip_prefix('"')?;
    let mut escaped = false;
    let end = inside.bytes().position(|byte| {
        let closes = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes
    })?;
    *rest = inside.get(end + 1..)?;
    inside.get(..end)
}

/// What a token is made of (RFC 9110 section 5.6.2).
const fn is_tchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
        )
}

const PARAMETERS: [&str; 4] = ["for", "proto", "by", "host"];
const FOR: usize = 0;
const PROTO: usize = 1;

#[cfg(test)]
mod tests;
