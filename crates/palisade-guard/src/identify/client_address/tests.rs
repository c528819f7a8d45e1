//! Who is believed about whom.

use std::net::{IpAddr, SocketAddr};

use http::header::HeaderName;
use http::{HeaderMap, HeaderValue};

use super::{Client, client};
use crate::identify::{Config, IpLists};
use crate::refusal::{Reason, Refusal};

const STRANGER: &str = "203.0.113.9";
const PROXY: &str = "10.0.0.1";

fn config() -> Config {
    let trusted_proxies = ["10.0.0.0/8", "fd00::/8"].map(|net| net.parse().unwrap()).to_vec();
    Config { trusted_proxies, ..Config::default() }
}

fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    let line =
        |(name, value): &(&str, &str)| (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap());
    lines.iter().map(line).collect()
}

fn ask(peer: &str, lines: &[(&str, &str)]) -> Result<Client, Refusal> {
    client(&config(), Some(SocketAddr::new(peer.parse().unwrap(), 40_000)), &headers(lines))
}

fn check(peer: &str, lines: &[(&str, &str)], want: Result<&str, &str>) {
    match (ask(peer, lines), want) {
        (Ok(client), Ok(address)) => {
            assert_eq!(client.address(), address.parse::<IpAddr>().unwrap(), "{peer} {lines:?}");
        }
        (Err(refusal), Err(part)) => {
            assert_eq!(refusal.reason(), Reason::AddressRefused, "{peer} {lines:?}");
            assert!(refusal.words().contains(part), "{refusal:?}");
        }
        (got, _) => panic!("{got:?} for {peer} {lines:?}"),
    }
}

/// A9: without a listed proxy nothing but the connection counts, whatever the headers say.
#[test]
fn a_stranger_is_not_believed() {
    check(STRANGER, &[], Ok(STRANGER));
    check(STRANGER, &[("x-forwarded-for", "127.0.0.1")], Ok(STRANGER));
    check(STRANGER, &[("forwarded", "for=127.0.0.1;proto=https")], Ok(STRANGER));
    check(STRANGER, &[("x-forwarded-for", "garbage"), ("forwarded", "\"")], Ok(STRANGER));
    check(STRANGER, &[("x-real-ip", "10.0.0.1")], Ok(STRANGER));
    assert!(!ask(STRANGER, &[("x-forwarded-proto", "https")]).unwrap().secure());
}

/// A9: behind listed proxies the client is the right-most hop that is not one of them.
#[test]
fn the_rightmost_stranger_is_the_client() {
    check(PROXY, &[("x-forwarded-for", STRANGER)], Ok(STRANGER));
    check(PROXY, &[("x-forwarded-for", "127.0.0.1, 203.0.113.9")], Ok(STRANGER));
    check(PROXY, &[("x-forwarded-for", "198.51.100.1, 203.0.113.9, 10.1.2.3, fd00::1")], Ok(STRANGER));
    check(PROXY, &[("x-forwarded-for", "198.51.100.1"), ("x-forwarded-for", STRANGER)], Ok(STRANGER));
    check(PROXY, &[("forwarded", "for=198.51.100.1, for=203.0.113.9, for=10.1.2.3")], Ok(STRANGER));
    check(PROXY, &[("forwarded", "for=127.0.0.1"), ("forwarded", "for=\"203.0.113.9:4711\"")], Ok(STRANGER));
    check("::ffff:10.0.0.1", &[("x-forwarded-for", "::ffff:203.0.113.9")], Ok(STRANGER));
    check("fd00::2", &[("forwarded", "for=\"[2001:db8::1]\"")], Ok("2001:db8::1"));
}

/// A9: a call that began at a listed proxy has the farthest of them as its client.
#[test]
fn a_call_from_inside_keeps_its_origin() {
    check(PROXY, &[], Ok(PROXY));
    check(PROXY, &[("x-forwarded-for", "")], Ok(PROXY));
    check(PROXY, &[("x-forwarded-for", "10.7.7.7, 10.1.2.3")], Ok("10.7.7.7"));
}

/// A9: an unknown hop ends the trail at the proxy that wrote it; what stands left of it is anybody's text.
#[test]
fn an_unknown_hop_ends_the_trail() {
    check(PROXY, &[("forwarded", "for=unknown")], Ok(PROXY));
    check(PROXY, &[("forwarded", "for=127.0.0.1, for=_hidden")], Ok(PROXY));
    check(PROXY, &[("forwarded", "for=127.0.0.1, for=_hidden, for=10.1.2.3")], Ok("10.1.2.3"));
    check(PROXY, &[("x-forwarded-for", "127.0.0.1, unknown")], Ok(PROXY));
    check(PROXY, &[("forwarded", "for=127.0.0.1, proto=https")], Ok(PROXY));
}

/// A9: malformed, endless and contradicting trails are refused.
#[test]
fn ambiguity_is_refused() {
    check(PROXY, &[("x-forwarded-for", "garbage, 203.0.113.9")], Err("x-forwarded-for is malformed"));
    check(PROXY, &[("forwarded", "for=\"_x, for=203.0.113.9")], Err("forwarded is malformed"));
    check(PROXY, &[("x-forwarded-proto", "gopher")], Err("x-forwarded-proto is malformed"));
    check(PROXY, &[("x-forwarded-for", &["10.0.0.9"; 32].join(","))], Ok("10.0.0.9"));
    check(PROXY, &[("x-forwarded-for", &["10.0.0.9"; 33].join(","))], Err("more than 32 hops"));
    check(PROXY, &[("x-forwarded-proto", &["https"; 33].join(","))], Err("more than 32 hops"));
    check(PROXY, &[("forwarded", "for=203.0.113.9"), ("x-forwarded-for", "127.0.0.1, 203.0.113.9")], Ok(STRANGER));
    check(PROXY, &[("forwarded", "for=127.0.0.1"), ("x-forwarded-for", STRANGER)], Err("different clients"));
    check(PROXY, &[("forwarded", "for=_x"), ("x-forwarded-for", STRANGER)], Err("different clients"));
    check(
        PROXY,
        &[("forwarded", "for=203.0.113.9;proto=https"), ("x-forwarded-proto", "http")],
        Err("different protocols"),
    );
    check(PROXY, &[("forwarded", "proto=https"), ("x-forwarded-for", STRANGER)], Ok(STRANGER));
}

/// A7, A9: TLS is believed from a listed proxy, about the client's own hop.
#[test]
fn tls_is_the_clients_own() {
    let secure = |lines: &[(&str, &str)]| ask(PROXY, lines).unwrap().secure();
    assert!(secure(&[("x-forwarded-for", STRANGER), ("x-forwarded-proto", "https")]));
    assert!(secure(&[("forwarded", "for=203.0.113.9;proto=https, for=10.1.2.3;proto=http")]));
    assert!(secure(&[("forwarded", "proto=https"), ("x-forwarded-for", STRANGER)]));
    assert!(!secure(&[("x-forwarded-proto", "http")]));
    assert!(!secure(&[("x-forwarded-proto", "https, http")]));
    assert!(!secure(&[("x-forwarded-proto", "http, https")]));
    assert!(!secure(&[("x-forwarded-proto", "http"), ("x-forwarded-proto", "https")]));
    assert!(!secure(&[("forwarded", "for=198.51.100.1;proto=https, for=203.0.113.9;proto=http")]));
    assert!(!secure(&[("forwarded", "for=198.51.100.1;proto=https, for=203.0.113.9")]));
    assert!(!secure(&[]));
}

/// A9: local is who is connected from here, not who is said to be.
#[test]
fn local_is_a_matter_of_the_connection() {
    assert!(ask("127.0.0.1", &[]).unwrap().is_local());
    assert!(ask("::ffff:127.0.0.1", &[]).unwrap().is_local());
    assert!(!ask(PROXY, &[("x-forwarded-for", "127.0.0.1")]).unwrap().is_local());
    assert!(!ask(STRANGER, &[("x-forwarded-for", "127.0.0.1")]).unwrap().is_local());
    assert!(!ask("127.0.0.1", &[("x-forwarded-for", STRANGER)]).unwrap().is_local());
    assert!(client(&config(), None, &HeaderMap::new()).unwrap().is_local());
}

/// A10: the lists are asked about the client, not about its proxy.
#[test]
fn the_lists_judge_the_client() {
    let lists = IpLists { allow: Vec::new(), deny: vec!["203.0.113.0/24".parse().unwrap()] };
    let config = Config { lists, ..config() };
    let ask = |peer: &str, lines: &[(&str, &str)]| {
        client(&config, Some(SocketAddr::new(peer.parse().unwrap(), 1)), &headers(lines))
    };
    assert_eq!(ask(STRANGER, &[]).unwrap_err().reason(), Reason::AddressRefused);
    assert_eq!(ask(PROXY, &[("x-forwarded-for", STRANGER)]).unwrap_err().reason(), Reason::AddressRefused);
    assert!(ask(PROXY, &[("x-forwarded-for", "198.51.100.1")]).is_ok());
    assert!(ask("::ffff:203.0.113.1", &[]).is_err());
}
