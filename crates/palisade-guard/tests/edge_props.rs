//! What holds for every Host, Origin and forwarding header, not only for those somebody thought of.

use std::net::{IpAddr, SocketAddr};

use http::header::{FORWARDED, HOST, HeaderName, ORIGIN};
use http::{HeaderMap, HeaderValue, Uri};
use palisade_guard::edge::authority::Authority;
use palisade_guard::edge::host::{self, HostPattern};
use palisade_guard::edge::origin::{self, OriginPattern};
use palisade_guard::edge::{self, strip};
use palisade_guard::identify::{self, client_address};
use palisade_guard::refusal::Reason;
use proptest::prelude::*;

/// Text that is near a host or origin more often than chance would have it.
fn near_host() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z0-9.:@/\\[\\]%_ *-]{0,40}",
        "[a-z0-9-]{1,8}(\\.[a-z0-9-]{1,8}){0,4}\\.?(:[0-9]{1,6})?",
        "\\[[0-9a-f:.]{2,39}\\](:[0-9]{1,6})?",
        "[0-9x]{1,10}(\\.[0-9x]{1,4}){0,3}",
        "(localhost|127\\.0\\.0\\.1|\\[::1\\]|api\\.example\\.com)[a-z0-9.:@-]{0,8}",
    ]
}

/// Text that is near a `Forwarded` line.
fn near_forwarded() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("for=".to_owned()),
        Just("For=\"".to_owned()),
        Just("proto=https".to_owned()),
        Just("127.0.0.1".to_owned()),
        Just("10.0.0.7".to_owned()),
        Just("\"[2001:db8::1]:80\"".to_owned()),
        Just("unknown".to_owned()),
        "[;,=\" \t\\\\_\\[\\]:a-z0-9.]{1,3}",
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

fn one(name: HeaderName, value: &str) -> HeaderMap {
    HeaderValue::from_str(value).map(|value| (name, value)).into_iter().collect()
}

fn quoted(words: &str) -> &str {
    words.split('"').nth(1).unwrap_or_default()
}

fn trusting(networks: &[&str]) -> identify::Config {
    let trusted_proxies = networks.iter().filter_map(|net| net.parse().ok()).collect();
    identify::Config { trusted_proxies, ..identify::Config::default() }
}

proptest! {
    /// A6: whatever is refused as not served is served after adding the line that the refusal names.
    #[test]
    fn the_host_line_named_is_the_line_that_helps(text in near_host()) {
        let (target, headers) = (Uri::from_static("/"), one(HOST, &text));
        if let Err(refusal) = host::judge(&edge::Config::default(), &target, &headers) {
            if refusal.reason() == Reason::HostRefused {
                let hosts = vec![HostPattern::parse(quoted(refusal.words())).unwrap()];
                let config = edge::Config { hosts, ..edge::Config::default() };
                prop_assert!(host::judge(&config, &target, &headers).is_ok());
            } else {
                prop_assert_eq!(refusal.reason(), Reason::HostMalformed);
                prop_assert!(Authority::parse(&text).is_none());
            }
        }
    }

    /// A6: a host that is read and written again is the same host.
    #[test]
    fn a_hosts_canonical_form_is_stable(text in near_host()) {
        if let Some(authority) = Authority::parse(&text) {
            let shown = authority.name().to_string();
            prop_assert_eq!(Authority::parse(&shown).unwrap().name(), authority.name());
            prop_assert!(shown.bytes().all(|byte| byte.is_ascii_graphic() && !byte.is_ascii_uppercase()));
            prop_assert!(shown.len() <= 253);
        }
    }

    /// A6: a listed name serves no name with anything added before or after it.
    #[test]
    fn a_name_serves_only_itself(before in "[a-z0-9.-]{0,6}", after in "[a-z0-9.-]{0,6}") {
        prop_assume!(!before.is_empty() || !matches!(after.as_str(), "" | "."));
        let hosts = vec![HostPattern::parse("api.example.com").unwrap()];
        let config = edge::Config { hosts, ..edge::Config::default() };
        let headers = one(HOST, &format!("{before}api.example.com{after}"));
        prop_assert!(host::judge(&config, &Uri::from_static("/"), &headers).is_err());
    }

    /// A5: whatever origin is refused as not listed is allowed after adding the line that the refusal names.
    #[test]
    fn the_origin_line_named_is_the_line_that_helps(scheme in "(https?|[a-zA-Z+.-]{1,6})", text in near_host()) {
        let headers = one(ORIGIN, &format!("{scheme}://{text}"));
        if let Err(refusal) = origin::judge(&edge::Config::default(), &headers) {
            prop_assert_eq!(refusal.reason(), Reason::OriginRefused);
            if refusal.words().contains("listen.origins") {
                let origins = vec![OriginPattern::parse(quoted(refusal.words())).unwrap()];
                let config = edge::Config { origins, ..edge::Config::default() };
                prop_assert!(origin::judge(&config, &headers).unwrap().is_some());
            }
        }
    }

    /// A9: a peer that is no listed proxy is its own address, whatever it sends.
    #[test]
    fn an_untrusted_peer_is_never_believed(text in near_forwarded(), peer: [u8; 4]) {
        prop_assume!(peer[0] != 10);
        let mut headers = one(FORWARDED, &text);
        headers.extend(one(HeaderName::from_static("x-forwarded-for"), &text));
        headers.extend(one(HeaderName::from_static("x-forwarded-proto"), "https"));
        let peer = IpAddr::from(peer);
        let client = client_address::client(&trusting(&["10.0.0.0/8"]), Some(SocketAddr::new(peer, 1)), &headers).unwrap();
        prop_assert_eq!((client.address(), client.peer(), client.secure()), (peer, peer, false));
    }

    /// A9: whatever a client sends, what its proxy adds decides, or the request is refused.
    #[test]
    fn a_clients_own_text_never_decides(text in near_forwarded(), standard: bool, same_line: bool) {
        let (name, added) = if standard {
            (FORWARDED, "for=203.0.113.9")
        } else {
            (HeaderName::from_static("x-forwarded-for"), "203.0.113.9")
        };
        let headers = if same_line {
            one(name, &format!("{text}, {added}"))
        } else {
            let mut headers = one(name.clone(), &text);
            headers.append(name, HeaderValue::from_str(added).unwrap());
            headers
        };
        let peer = Some(SocketAddr::from(([10, 0, 0, 1], 1)));
        match client_address::client(&trusting(&["10.0.0.0/8"]), peer, &headers) {
            Ok(client) => prop_assert_eq!(client.address(), IpAddr::from([203, 0, 113, 9])),
            Err(refusal) => prop_assert_eq!(refusal.reason(), Reason::AddressRefused),
        }
    }

    /// P-A20: nothing goes upstream but the listed names, whatever else the request carries.
    #[test]
    fn only_listed_headers_go_up(names in prop::collection::vec("(mcp-|x-|mcp-param-)?[a-z_-]{1,12}", 0..12)) {
        let headers: HeaderMap =
            names.iter().map(|name| (name.parse::<HeaderName>().unwrap(), HeaderValue::from_static("x"))).collect();
        for (name, _) in strip::upstream_headers(&headers) {
            let known = ["accept", "mcp-name", "mcp-method", "baggage"].contains(&name.as_str());
            prop_assert!(known || name.as_str().starts_with("mcp-param-"), "{}", name);
        }
    }
}
