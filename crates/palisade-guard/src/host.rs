//! Hosts of addresses, by their names alone.

use std::net::IpAddr;

/// The host of an address as names are looked up: an IPv6 address has no brackets there.
pub fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

/// Whether a host is this machine, by its name alone.
pub fn is_here(host: &str) -> bool {
    let host = bare(host);
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::{bare, is_here};

    /// A5: this machine is known by its names, and no other is taken for it.
    #[test]
    fn this_machine_is_known_by_name() {
        for here in ["localhost", "LocalHost", "127.0.0.1", "127.9.9.9", "::1", "[::1]"] {
            assert!(is_here(here), "{here}");
        }
        for elsewhere in ["localhost.example", "127.0.0.1.example", "0.0.0.0", "::", "[::2]", "128.0.0.1", ""] {
            assert!(!is_here(elsewhere), "{elsewhere}");
        }
        assert_eq!((bare("[::1]"), bare("example.com")), ("::1", "example.com"));
    }
}
