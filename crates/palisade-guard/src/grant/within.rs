//! Whether one grant lets its holder do nothing that another does not: what its holder may hand on.
//!
//! Each part is compared by itself, and what cannot be seen to be within is beyond: two scopes that together cover a third
//! do not count, and what the maker may not do must be written in what is made too.

use ipnet::{IpNet, Ipv4Net};

use super::{Grant, Scopes};
use crate::identify::IpLists;

impl Grant {
    /// The first part of this that goes beyond what `maker` holds, as settings call it. `usual` is the limit of whoever has
    /// none of their own.
    pub fn beyond(&self, maker: &Self, usual: u32) -> Option<&'static str> {
        let limit = |grant: &Self| grant.limit.unwrap_or(usual);
        let parts = [
            ("servers", servers_within(self, maker)),
            ("scopes", scopes_within(self.scopes.as_ref(), maker.scopes.as_ref())),
            ("groups", self.groups.iter().all(|group| maker.groups.contains(group))),
            ("allow", allowed_within(&self.lists, &maker.lists)),
            ("deny", all_within(&maker.lists.deny, &self.lists.deny)),
            ("limit_per_minute", limit(self) <= limit(maker)),
        ];
        parts.into_iter().find(|(_, is_within)| !is_within).map(|(part, _)| part)
    }
}

fn servers_within(made: &Grant, maker: &Grant) -> bool {
    match (&made.servers, &maker.servers) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(made), Some(held)) => made.iter().all(|server| held.contains(server)),
    }
}

fn scopes_within(made: Option<&Scopes>, maker: Option<&Scopes>) -> bool {
    // Who has no scopes has every one of MCP, and none of the administration.
    let every = || Scopes::among("mcp:*");
    match (made, maker) {
        (None, None) => true,
        (Some(made), None) => made.within(&every()),
        (None, Some(held)) => every().within(held),
        (Some(made), Some(held)) => made.within(held),
    }
}

/// An empty list allows every address.
fn allowed_within(made: &IpLists, maker: &IpLists) -> bool {
    maker.allow.is_empty() || !made.allow.is_empty() && all_within(&made.allow, &maker.allow)
}

fn all_within(inner: &[IpNet], outer: &[IpNet]) -> bool {
    inner.iter().all(|inner| outer.iter().any(|outer| meant(*outer).contains(&meant(*inner))))
}

/// A network as lists judge by it: inside `::ffff:0:0/96` it is one of IPv4, and no other of IPv6 speaks of IPv4.
fn meant(network: IpNet) -> IpNet {
    let IpNet::V6(v6) = network else { return network };
    let mapped = v6.addr().to_ipv4_mapped().zip(v6.prefix_len().checked_sub(96));
    let v4 = mapped.and_then(|(address, length)| Ipv4Net::new(address, length).ok());
    v4.map_or(network, IpNet::V4)
}

#[cfg(test)]
mod tests {
    use super::{Grant, Scopes};
    use crate::identify::IpLists;

    fn of_scopes(texts: &[&str]) -> Grant {
        Grant { scopes: Some(Scopes::read(texts.iter().copied()).unwrap()), ..Grant::default() }
    }

    fn lists(allow: &[&str], deny: &[&str]) -> IpLists {
        let nets = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        IpLists { allow: nets(allow), deny: nets(deny) }
    }

    fn check(made: &Grant, maker: &Grant, want: Option<&str>) {
        assert_eq!(made.beyond(maker, 100), want, "{made:?} by {maker:?}");
    }

    /// C1, P-A16: scopes are within when each is covered by one; what climbs is not what a wildcard covers.
    #[test]
    fn scopes_are_within() {
        let admin = ["palisade:keys:*", "mcp:tools:call:files/read_*", "mcp:resources:read:files/file:///srv/*"];
        for (made, maker, is_within) in [
            (&["mcp:tools:call:files/read_*"][..], &admin[..], true),
            (&["mcp:tools:call:files/read_a*b"], &admin, true),
            (&["mcp:tools:call:files/read_a", "palisade:keys:write"], &admin, true),
            (&["mcp:tools:call:files/*"], &admin, false),
            (&["mcp:tools:call:files/read*"], &admin, false),
            (&["mcp:tools:call:*/read_a"], &admin, false),
            (&["mcp:tools:list:files/read_a"], &admin, false),
            (&["mcp:*"], &admin, false),
            (&["mcp:tools:call:files/read_a", "mcp:methods:call"], &admin, false),
            (&["mcp:resources:read:files/file:///srv/a"], &admin, true),
            (&["mcp:resources:read:files/file:///srv/../etc/passwd"], &admin, false),
            (&["palisade:tokens:read"], &admin, false),
            (&["palisade:*"], &admin, false),
            (&["palisade:keys:*"], &["palisade:keys:read", "palisade:keys:write"], true),
            (&[], &admin, true),
            (&["mcp:tools", "mcp:tasks:use"], &["mcp:*"], true),
            (&["palisade:keys:read"], &["mcp:*"], false),
        ] {
            check(&of_scopes(made), &of_scopes(maker), (!is_within).then_some("scopes"));
        }
        let every = Grant::default();
        check(&every, &every, None);
        check(&every, &of_scopes(&["palisade:keys:*", "mcp:*"]), None);
        check(&every, &of_scopes(&["palisade:keys:*"]), Some("scopes"));
        check(&of_scopes(&["palisade:keys:read"]), &every, Some("scopes"));
    }

    /// A10, C1: addresses are within when each network is, whichever way it is written, and what is denied stays denied.
    #[test]
    fn addresses_are_within() {
        for (made, maker, want) in [
            (lists(&[], &[]), lists(&[], &[]), None),
            (lists(&["10.1.0.0/16"], &[]), lists(&["10.0.0.0/8", "192.0.2.1/32"], &[]), None),
            (lists(&["::ffff:10.1.0.0/112"], &[]), lists(&["10.0.0.0/8"], &[]), None),
            (lists(&[], &[]), lists(&["10.0.0.0/8"], &[]), Some("allow")),
            (lists(&["10.0.0.0/8", "11.0.0.1/32"], &[]), lists(&["10.0.0.0/8"], &[]), Some("allow")),
            (lists(&["0.0.0.0/0"], &[]), lists(&["10.0.0.0/8"], &[]), Some("allow")),
            (lists(&["::ffff:10.0.0.0/104"], &[]), lists(&["::/0"], &[]), Some("allow")),
            (lists(&["2001:db8::/48"], &[]), lists(&["2001:db8::/32"], &[]), None),
            (lists(&[], &["10.0.0.0/8"]), lists(&[], &["10.0.0.0/16"]), None),
            (lists(&[], &[]), lists(&[], &["10.0.0.0/16"]), Some("deny")),
            (lists(&[], &["10.0.0.0/24"]), lists(&[], &["10.0.0.0/16"]), Some("deny")),
        ] {
            let [made, maker] = [made, maker].map(|lists| Grant { lists, ..Grant::default() });
            check(&made, &maker, want);
        }
    }

    /// C1: servers, groups and limits are within when they are the maker's, or fewer.
    #[test]
    fn the_rest_is_within() {
        let of = |servers: Option<&[&str]>, groups: &[&str], limit| Grant {
            servers: servers.map(|names| names.iter().map(|name| (*name).into()).collect()),
            groups: groups.iter().map(|name| (*name).into()).collect(),
            limit,
            ..Grant::default()
        };
        let maker = of(Some(&["a", "b"]), &["g", "h"], Some(50));
        check(&of(Some(&["b"]), &["g"], Some(50)), &maker, None);
        check(&of(Some(&[]), &[], Some(1)), &maker, None);
        check(&of(Some(&["b", "c"]), &[], Some(1)), &maker, Some("servers"));
        check(&of(None, &[], Some(1)), &maker, Some("servers"));
        check(&of(Some(&["a"]), &["other"], Some(1)), &maker, Some("groups"));
        check(&of(Some(&["a"]), &[], None), &maker, Some("limit_per_minute"));
        check(&of(None, &[], Some(101)), &Grant::default(), Some("limit_per_minute"));
        check(&of(None, &[], None), &of(None, &[], Some(1000)), None);
    }
}
