//! Whom a window belongs to: an address or a verified caller, in 128 bits.
//!
//! 1. An IPv4 address is a subject of its own, also when it arrives as `::ffff:a.b.c.d`.
//! 2. IPv6 addresses of one /64 are one subject: whoever has one has all of them.
//! 3. A caller is a keyed hash of its identifier, so a long identifier costs no memory and nobody can choose to share
//!    another caller's window.
//!
//! # Caveat
//! Only a *verified* caller may become a subject. A header nobody checked never makes a window, or each request
//! could bring a fresh one.

use super::seed::Seed;
use std::net::IpAddr;

/// Whom a window belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Subject([u8; 16]);

impl Subject {
    /// The subject of a peer address.
    pub const fn address(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self(address.to_ipv6_mapped().octets()),
            IpAddr::V6(address) => Self((address.to_bits() >> 64 << 64).to_be_bytes()),
        }
    }

    /// The subject of a verified caller. `seed` is the process's own: a [`super::Limits`] has it ready.
    pub fn caller(id: &str, seed: &Seed) -> Self {
        let mut name = seed.name(id);
        // Byte 8 is 0 in every address and 0xff in nobody: the three never meet.
        name[8] = 0x80 | name[8] & 0x3f;
        Self(name)
    }

    /// The TLS handshakes of an address, which are counted apart from its calls.
    pub fn handshakes(address: &Self, seed: &Seed) -> Self {
        Self::caller(&format!("handshakes {:x?}", address.0), seed)
    }

    /// What stands in a free place.
    pub(super) const NOBODY: Self = Self([0xff; 16]);

    /// Where this subject stands in a table.
    pub(super) const fn place(&self, seed: &Seed) -> u64 {
        seed.place(self.0)
    }

    /// The neighbours it shares a window with when there are no more windows: the IPv4 /16, the IPv6 /32. A caller has
    /// no neighbours, its hash decides.
    pub(super) const fn block(&self) -> Self {
        let [a, b, c, d, .., second_half, _, _, _, _, _, _, _] = self.0;
        if second_half != 0 {
            return *self;
        }
        let [.., mapped, _, v4_a, v4_b, _, _] = self.0;
        if mapped == 0xff {
            return Self([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, v4_a, v4_b, 0, 0]);
        }
        Self([a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    }
}

#[cfg(test)]
mod tests {
    use super::{Seed, Subject};

    fn address(text: &str) -> Subject {
        Subject::address(text.parse().unwrap())
    }

    /// D1: an IPv4 address is exact and the same when mapped; an IPv6 address is its /64.
    #[test]
    fn addresses() {
        assert_eq!(address("192.0.2.1"), address("::ffff:192.0.2.1"));
        assert_ne!(address("192.0.2.1"), address("192.0.2.2"));
        assert_eq!(address("2001:db8::1"), address("2001:db8::ffff:1:2:3"));
        assert_ne!(address("2001:db8::1"), address("2001:db8:0:1::1"));
        assert_ne!(address("::1"), address("0.0.0.0"));
    }

    /// D1: equal identifiers are one caller, others are not, and none is an address or a free place.
    #[test]
    fn callers() {
        let seed = Seed::new([7; 16]);
        let caller = |id| Subject::caller(id, &seed);
        assert_eq!(caller("mcp_live_1"), caller("mcp_live_1"));
        assert_ne!(caller("mcp_live_1"), caller("mcp_live_2"));
        assert_ne!(caller("x"), Subject::caller("x", &Seed::new([8; 16])));
        for id in ["", "a", "a longer name than one word", "127.0.0.1"] {
            assert_eq!(caller(id).0[8] & 0xc0, 0x80, "{id}");
        }
    }

    /// D3: neighbours share a block: IPv4 /16, IPv6 /32; callers are by themselves.
    #[test]
    fn blocks() {
        assert_eq!(address("192.0.2.1").block(), address("192.0.77.9").block());
        assert_ne!(address("192.0.2.1").block(), address("192.1.2.1").block());
        assert_eq!(address("2001:db8:1::1").block(), address("2001:db8:ffff:2::1").block());
        assert_ne!(address("2001:db8::1").block(), address("2001:db9::1").block());
        let caller = Subject::caller("x", &Seed::new([7; 16]));
        assert_eq!(caller.block(), caller);
    }
}
