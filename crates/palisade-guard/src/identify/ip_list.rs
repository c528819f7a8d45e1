//! Address lists: for the whole gateway, for one server, for one key.
//!
//! Addresses are compared in canonical form, so that `::ffff:192.0.2.1` is no way around a list that says
//! `192.0.2.0/24`, nor the other way round.

use std::net::IpAddr;

use ipnet::IpNet;

use super::IpLists;
use crate::refusal::{Reason, Refusal};

impl IpLists {
    /// Whether this address may call. The words name the setting, never what is on the list.
    pub fn judge(&self, address: IpAddr) -> Result<(), Refusal> {
        if any_covers(&self.deny, address) {
            return Err(refused("this address is on a deny list (ip_deny)"));
        }
        if !self.allow.is_empty() && !any_covers(&self.allow, address) {
            return Err(refused("this address is not on the allow list (ip_allow)"));
        }
        Ok(())
    }
}

/// Whether one of the networks holds this address, whichever way either is written.
pub(super) fn any_covers(networks: &[IpNet], address: IpAddr) -> bool {
    let canonical = address.to_canonical();
    let mapped = match canonical {
        IpAddr::V4(v4) => IpAddr::V6(v4.to_ipv6_mapped()),
        IpAddr::V6(_) => canonical,
    };
    networks.iter().any(|network| match network {
        // `::/0` means every IPv6 address; only a network inside ::ffff:0:0/96 speaks of IPv4.
        IpNet::V6(v6) if v6.prefix_len() >= 96 => network.contains(&mapped),
        IpNet::V4(_) | IpNet::V6(_) => network.contains(&canonical),
    })
}

fn refused(words: &'static str) -> Refusal {
    Refusal::new(Reason::AddressRefused).says(words)
}

#[cfg(test)]
mod tests {
    use super::super::IpLists;

    fn check(allow: &[&str], deny: &[&str], address: &str, want: Result<(), &str>) {
        let nets = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        let lists = IpLists { allow: nets(allow), deny: nets(deny) };
        let got = lists.judge(address.parse().unwrap());
        let words = got.as_ref().map_err(|refusal| refusal.words().to_owned()).copied();
        match want {
            Ok(()) => assert_eq!(words, Ok(()), "{address} on {allow:?} {deny:?}"),
            Err(part) => assert!(words.as_ref().is_err_and(|words| words.contains(part)), "{address}: {words:?}"),
        }
    }

    /// A10: deny wins over allow; an empty allow list allows everyone.
    #[test]
    fn deny_wins_and_an_empty_allow_list_allows() {
        check(&[], &[], "203.0.113.9", Ok(()));
        check(&["203.0.113.0/24"], &[], "203.0.113.9", Ok(()));
        check(&["203.0.113.0/24"], &[], "203.0.114.9", Err("ip_allow"));
        check(&["203.0.113.0/24"], &["203.0.113.9/32"], "203.0.113.9", Err("ip_deny"));
        check(&["203.0.113.0/24"], &["203.0.113.9/32"], "203.0.113.10", Ok(()));
        check(&["2001:db8::/32"], &[], "2001:db8:ffff::1", Ok(()));
        check(&["2001:db8::/32"], &[], "2001:db9::1", Err("ip_allow"));
        check(&["0.0.0.0/0"], &[], "::1", Err("ip_allow"));
        check(&["::/0"], &[], "192.0.2.1", Err("ip_allow"));
    }

    /// A10: an IPv4 address is the same address when it is mapped into IPv6.
    #[test]
    fn mapped_addresses_meet_the_same_lists() {
        check(&[], &["192.0.2.0/24"], "::ffff:192.0.2.1", Err("ip_deny"));
        check(&[], &["::ffff:192.0.2.0/120"], "192.0.2.1", Err("ip_deny"));
        check(&[], &["::ffff:192.0.2.0/120"], "192.0.3.1", Ok(()));
        check(&["192.0.2.0/24"], &[], "::ffff:192.0.2.1", Ok(()));
    }

    /// A10: a refusal names the setting, not what is on the list.
    #[test]
    fn words_do_not_show_the_list() {
        let lists = IpLists { allow: vec!["198.51.100.0/24".parse().unwrap()], deny: Vec::new() };
        let refusal = lists.judge("192.0.2.1".parse().unwrap()).unwrap_err();
        assert!(!refusal.words().contains("198.51") && !refusal.words().contains("192.0.2"));
    }
}
