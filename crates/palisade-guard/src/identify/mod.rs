//! Which client is calling: the address behind trusted proxies, and whether that address may call at all.

use ipnet::IpNet;

/// Who may connect, and whom to believe about others' addresses.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// Proxies whose `Forwarded` and `X-Forwarded-For` are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// The lists for every path.
    pub lists: IpLists,
}

/// An allow list and a deny list; deny wins, an empty allow list allows everyone.
#[derive(Debug, Clone, Default)]
pub struct IpLists {
    /// Addresses that may call; empty means all.
    pub allow: Vec<IpNet>,
    /// Addresses that may not.
    pub deny: Vec<IpNet>,
}
