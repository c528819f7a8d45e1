//! The address of the client, and whether it came over TLS.
//!
//! 1. Without a listed proxy at the other end of the connection no header is believed: anybody can write one.
//! 2. Behind listed proxies the client is the right-most hop that is not one of them. If all are, it is the
//!    left-most: the call began inside.
//! 3. Where a hop is `unknown` or obfuscated, the trail ends at the proxy that said so, and its address counts.
//! 4. `Forwarded` and `X-Forwarded-For` in one request must come to the same client and the same protocol, or a
//!    client could hide behind the one that its proxy passes on unread.
//! 5. Malformed text, or more than 32 hops, is refused rather than guessed.
//!
//! # Caveat
//! A client that a proxy reports as 127.0.0.1 is not local. [`Client::is_local`] asks about the connection itself.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use http::HeaderMap;
use http::header::{FORWARDED, HeaderName, HeaderValue};

use super::Config;
use super::forwarded::{Elements, Hop, Malformed, Node, entries, protocols};
use super::ip_list::any_covers;
use crate::refusal::{Reason, Refusal};

/// Who is calling, on the network's side. Made only here, so it is also the proof that the lists were asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    address: IpAddr,
    peer: IpAddr,
    secure: bool,
    forwarded: bool,
}

impl Client {
    /// The process at the other end of standard input: no network, no lists.
    pub const fn local() -> Self {
        let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Self { address: here, peer: here, secure: false, forwarded: false }
    }

    /// The client's address, in canonical form.
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    /// The other end of the connection: the client itself or the last proxy.
    pub const fn peer(&self) -> IpAddr {
        self.peer
    }

    /// Whether a listed proxy says that the client came to it over TLS. Our own TLS is the transport's to know.
    pub const fn secure(&self) -> bool {
        self.secure
    }

    /// Whether the call comes from this machine: by the connection, never by a header. A header can only deny it:
    /// a proxy on this machine that nobody listed speaks for strangers too.
    pub const fn is_local(&self) -> bool {
        self.peer.is_loopback() && !self.forwarded
    }
}

/// The client behind this connection, if its address may call. Without a peer there is no network: [`Client::local`].
pub fn client(config: &Config, peer: Option<SocketAddr>, headers: &HeaderMap) -> Result<Client, Refusal> {
    let Some(peer) = peer.map(|peer| peer.ip().to_canonical()) else { return Ok(Client::local()) };
    let client = if any_covers(&config.trusted_proxies, peer) {
        behind(config, peer, headers)?
    } else {
        Client { address: peer, peer, secure: false, forwarded: is_forwarded(headers) }
    };
    config.lists.judge(client.address)?;
    Ok(client)
}

fn is_forwarded(headers: &HeaderMap) -> bool {
    headers.contains_key(FORWARDED) || headers.contains_key(&X_FORWARDED_FOR)
}

/// The client as listed proxies tell it.
fn behind(config: &Config, peer: IpAddr, headers: &HeaderMap) -> Result<Client, Refusal> {
    let standard = follow(config, headers, &FORWARDED, Elements::new)?;
    let common = follow(config, headers, &X_FORWARDED_FOR, entries)?;
    if standard.named && common.named && standard.client != common.client {
        return Err(contradiction("Forwarded and X-Forwarded-For name different clients"));
    }
    let protocol = proxied_protocol(headers)?;
    if standard.secure.is_some() && protocol.is_some() && standard.secure != protocol {
        return Err(contradiction("Forwarded and X-Forwarded-Proto name different protocols"));
    }
    let trail = if standard.named { standard.client } else { common.client };
    Ok(Client {
        address: trail.unwrap_or(peer),
        peer,
        secure: standard.secure.or(protocol).unwrap_or(false),
        forwarded: is_forwarded(headers),
    })
}

/// What one header says when it is followed from the far end to ours.
#[derive(Debug, Clone, Copy, Default)]
struct Trail {
    hops: usize,
    /// Whether any hop named where it came from, if only as `unknown`.
    named: bool,
    client: Option<IpAddr>,
    secure: Option<bool>,
}

impl Trail {
    /// Going from left to right, the last stranger wins; a listed proxy counts only while nobody stands before it.
    fn add(&mut self, hop: Hop, config: &Config) {
        self.named |= hop.node.is_some();
        let known = match hop.node {
            Some(Node::Address(address)) => Some(address),
            Some(Node::Hidden) | None => None,
        };
        let keeps = self.client.is_some() && known.is_some_and(|address| any_covers(&config.trusted_proxies, address));
        if !keeps {
            self.client = known;
            self.secure = hop.secure;
        }
    }
}

fn follow<'a, Hops>(
    config: &Config,
    headers: &'a HeaderMap,
    name: &HeaderName,
    read: impl Fn(&'a str) -> Hops,
) -> Result<Trail, Refusal>
where
    Hops: Iterator<Item = Result<Hop, Malformed>>,
{
    let mut trail = Trail::default();
    for line in headers.get_all(name) {
        for hop in read(text(line, name)?) {
            trail.hops += 1;
            if trail.hops > MAX_HOPS {
                return Err(too_many(name));
            }
            trail.add(hop.map_err(|Malformed| malformed(name))?, config);
        }
    }
    Ok(trail)
}

/// `X-Forwarded-Proto`; with several values TLS counts only if all hops had it.
fn proxied_protocol(headers: &HeaderMap) -> Result<Option<bool>, Refusal> {
    let (mut count, mut all) = (0, None);
    for line in headers.get_all(&X_FORWARDED_PROTO) {
        for secure in protocols(text(line, &X_FORWARDED_PROTO)?) {
            count += 1;
            if count > MAX_HOPS {
                return Err(too_many(&X_FORWARDED_PROTO));
            }
            let secure = secure.map_err(|Malformed| malformed(&X_FORWARDED_PROTO))?;
            all = Some(secure && all.unwrap_or(true));
        }
    }
    Ok(all)
}

fn text<'a>(line: &'a HeaderValue, name: &HeaderName) -> Result<&'a str, Refusal> {
    line.to_str().map_err(|_| malformed(name))
}

fn malformed(name: &HeaderName) -> Refusal {
    Refusal::new(Reason::AddressRefused)
        .says(format!("{name} is malformed: check what the proxy sends"))
        .at(name.as_str())
}

fn too_many(name: &HeaderName) -> Refusal {
    let words = format!("{name} names more than {MAX_HOPS} hops");
    Refusal::new(Reason::AddressRefused).says(words).at(name.as_str())
}

fn contradiction(what: &str) -> Refusal {
    Refusal::new(Reason::AddressRefused).says(format!("{what}: let the proxy send one of them and drop the other"))
}

const MAX_HOPS: usize = 32;
static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

#[cfg(test)]
mod tests;
