//! Where the gateway itself may go when it fetches something for itself, judged by the address that a name led to.
//!
//! 1. Nowhere that only this machine or its link knows: there live the metadata services of clouds, which hand out
//!    credentials to whoever can make a server ask.
//! 2. To an address inside only where the operator named the host. What somebody else named (an issuer's metadata) must
//!    be outside.
//!
//! The address that was judged is the address that is connected to: a name that leads elsewhere the second time gains
//! nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Who named a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    /// The operator, by name or address.
    ByOperator,
    /// The operator, who named this machine itself.
    Here,
    /// Somebody whom the operator trusts for something else.
    ByOthers,
}

/// Whether the gateway may connect to `address`.
pub fn may_reach(address: IpAddr, named: Named) -> bool {
    let address = address.to_canonical();
    if address.is_loopback() {
        return named == Named::Here;
    }
    let forbidden = match address {
        IpAddr::V4(address) => is_nowhere_v4(address),
        IpAddr::V6(address) => is_nowhere_v6(address),
    };
    let inside = match address {
        IpAddr::V4(address) => is_inside_v4(address),
        IpAddr::V6(address) => is_inside_v6(address),
    };
    !forbidden && (named != Named::ByOthers || !inside)
}

/// No host, many hosts, or the link and its metadata services.
fn is_nowhere_v4(address: Ipv4Addr) -> bool {
    let [a, ..] = address.octets();
    address.is_unspecified()
        || address.is_multicast()
        || address.is_broadcast()
        || address.is_link_local()
        || address.is_documentation()
        || a == 0
        || a >= 240
        || METADATA_V4.contains(&address)
}

fn is_nowhere_v6(address: Ipv6Addr) -> bool {
    let first = address.segments().first().copied().unwrap_or_default();
    address.is_unspecified()
        || address.is_multicast()
        || first & 0xffc0 == 0xfe80
        || address == METADATA_V6
        || embedded(address).is_some_and(is_nowhere_v4)
}

fn is_inside_v4(address: Ipv4Addr) -> bool {
    let [a, b, ..] = address.octets();
    address.is_private()
        || a == 100 && (64..128).contains(&b)
        || a == 198 && (18..20).contains(&b)
        || a == 192 && b == 0
}

fn is_inside_v6(address: Ipv6Addr) -> bool {
    let first = address.segments().first().copied().unwrap_or_default();
    match embedded(address) {
        Some(inner) => inner.is_loopback() || is_inside_v4(inner),
        // Not global unicast: unique local, site local, and what nobody was given.
        None => first & 0xe000 != 0x2000,
    }
}

/// The IPv4 address that a translator or a tunnel takes out of this one (`64:ff9b::/96`, `2002::/16`).
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let of = |high: u16, low: u16| Some(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)));
    match address.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => of(high, low),
        _ => None,
    }
}

/// Metadata services at addresses that look like any other: Alibaba, Oracle, Azure.
const METADATA_V4: [Ipv4Addr; 3] =
    [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(192, 0, 0, 192), Ipv4Addr::new(168, 63, 129, 16)];
/// Amazon's.
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

#[cfg(test)]
mod tests {
    use super::{Named, may_reach};

    fn check(address: &str, operator: bool, others: bool) {
        let address = address.parse().unwrap();
        let got = [Named::ByOperator, Named::ByOthers].map(|named| may_reach(address, named));
        assert_eq!(got, [operator, others], "{address}");
    }

    /// B6, P-A18: metadata services are reached by nobody's word, and inside only by the operator's.
    #[test]
    fn metadata_services_are_nowhere() {
        for nowhere in [
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "fe80::1",
            "fd00:ec2::254",
            "100.100.100.200",
            "0.0.0.0",
            "::",
            "224.0.0.1",
            "255.255.255.255",
            "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
            "168.63.129.16",
            "192.0.0.192",
        ] {
            check(nowhere, false, false);
        }
        for inside in
            ["10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "fd12::1", "64:ff9b::a01:203", "::ffff:10.0.0.1"]
        {
            check(inside, true, false);
        }
        for outside in ["8.8.8.8", "2606:4700::1111", "64:ff9b::808:808"] {
            check(outside, true, true);
        }
        let here = "127.0.0.1".parse().unwrap();
        assert!(
            may_reach(here, Named::Here) && !may_reach(here, Named::ByOperator) && !may_reach(here, Named::ByOthers)
        );
    }
}
