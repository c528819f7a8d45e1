//! Which client is calling: the address behind trusted proxies, and whether that address may call at all.
//!
//! 1. The client is whoever opened the connection, unless that is one of the listed proxies.
//! 2. A listed proxy is believed about the hop before it, and so on: the client is the right-most address that is
//!    not a listed proxy ([`client_address`]). What stands left of it is anybody's text.
//! 3. The address passes the lists ([`IpLists::judge`]): deny wins, and an allow list admits nobody else.

pub mod client_address;
mod forwarded;
mod ip_list;

use std::net::IpAddr;

use ipnet::IpNet;

/// Who may connect, and whom to believe about others' addresses.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// Proxies whose `Forwarded` and `X-Forwarded-For` are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// The lists for every path.
    pub lists: IpLists,
}

impl Config {
    /// Whether this is a proxy that speaks for others.
    pub fn trusts(&self, peer: IpAddr) -> bool {
        ip_list::any_covers(&self.trusted_proxies, peer.to_canonical())
    }
}

/// An allow list and a deny list; deny wins, an empty allow list allows everyone.
#[derive(Debug, Clone, Default)]
pub struct IpLists {
    /// Addresses that may call; empty means all.
    pub allow: Vec<IpNet>,
    /// Addresses that may not.
    pub deny: Vec<IpNet>,
}
