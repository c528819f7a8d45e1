//! What proxies and strangers write about where a call comes from: what our own proxy adds decides, or nothing does.
//!
//! The input is header lines; the first letter of each says which header it is.

use std::net::{IpAddr, SocketAddr};

use http::header::{FORWARDED, HeaderName};
use http::{HeaderMap, HeaderValue};
use palisade_guard::identify::Config;
use palisade_guard::identify::client_address::{Client, client};
use palisade_guard::refusal::Reason;

const PROXY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
const STRANGER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 9));

/// Panics where something does not hold.
pub fn hold(input: &[u8]) {
    let common = HeaderName::from_static("x-forwarded-for");
    let mut headers = HeaderMap::new();
    for line in input.split(|byte| *byte == b'\n') {
        let Some((which, text)) = line.split_first() else { continue };
        let name = match which {
            b'F' => FORWARDED,
            b'P' => HeaderName::from_static("x-forwarded-proto"),
            _ => common.clone(),
        };
        if let Ok(value) = HeaderValue::from_bytes(text) {
            headers.append(name, value);
        }
    }
    let config = Config { trusted_proxies: vec!["10.0.0.0/8".parse().expect("a network")], ..Config::default() };
    let from = |peer, headers: &HeaderMap| client(&config, Some(SocketAddr::new(peer, 1)), headers);

    let itself = from(STRANGER, &headers).expect("nobody is refused for headers that are not read");
    assert_eq!((itself.address(), itself.secure()), (STRANGER, false), "a stranger is never believed");

    check(from(PROXY, &headers).map_err(|refusal| refusal.reason()), None);
    for (name, added) in [(FORWARDED, "for=203.0.113.9"), (common, "203.0.113.9")] {
        let mut behind = headers.clone();
        behind.append(name, HeaderValue::from_static(added));
        check(from(PROXY, &behind).map_err(|refusal| refusal.reason()), Some(STRANGER));
    }
}

fn check(judged: Result<Client, Reason>, expected: Option<IpAddr>) {
    match judged {
        Err(reason) => assert_eq!(reason, Reason::AddressRefused),
        Ok(client) => {
            assert_eq!(client.peer(), PROXY);
            assert_eq!(client.address(), client.address().to_canonical());
            assert!(!client.is_local());
            assert!(expected.is_none_or(|expected| client.address() == expected), "what the proxy adds decides");
        }
    }
}
