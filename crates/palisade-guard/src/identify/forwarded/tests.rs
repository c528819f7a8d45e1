//! The grammar of forwarding headers.

use super::{Elements, Hop, Malformed, Node, entries, protocols};

fn at(address: &str) -> Node {
    Node::Address(address.parse().unwrap())
}

fn hop(node: impl Into<Option<Node>>, secure: Option<bool>) -> Hop {
    Hop { node: node.into(), secure }
}

fn check(line: &str, want: Result<&[Hop], Malformed>) {
    assert_eq!(Elements::new(line).collect::<Result<Vec<_>, _>>().as_deref(), want.as_deref(), "{line}");
}

/// A9: the examples of RFC 7239 and what proxies make of them.
#[test]
fn well_formed_elements_are_read() {
    check("for=\"_gazonk\"", Ok(&[hop(Node::Hidden, None)]));
    check("For=\"[2001:db8:cafe::17]:4711\"", Ok(&[hop(at("2001:db8:cafe::17"), None)]));
    check("for=192.0.2.60;proto=http;by=203.0.113.43", Ok(&[hop(at("192.0.2.60"), Some(false))]));
    check("for=192.0.2.43, for=198.51.100.17", Ok(&[hop(at("192.0.2.43"), None), hop(at("198.51.100.17"), None)]));
    check("for=192.0.2.43,for=\"[::ffff:1.2.3.4]\"", Ok(&[hop(at("192.0.2.43"), None), hop(at("1.2.3.4"), None)]));
    check("for=unknown;PROTO=HTTPS", Ok(&[hop(Node::Hidden, Some(true))]));
    check("for=\"192.0.2.43:80\" ; proto=\"https\"", Ok(&[hop(at("192.0.2.43"), Some(true))]));
    check("for=\"192.0.2.43:_obf\";secret=\"a\\\",b;c\";x=y", Ok(&[hop(at("192.0.2.43"), None)]));
    check(";;for=192.0.2.43;", Ok(&[hop(at("192.0.2.43"), None)]));
    check("proto=https", Ok(&[hop(None, Some(true))]));
    check(" , ,", Ok(&[]));
    check("", Ok(&[]));
}

/// A9: what the grammar does not allow is malformed, never half read.
#[test]
fn malformed_elements_are_refused() {
    for line in [
        "192.0.2.43",
        "for",
        "for=",
        "for =192.0.2.43",
        "for= 192.0.2.43",
        "for=[2001:db8::1]",
        "for=192.0.2.43:80",
        "for=\"2001:db8::1\"",
        "for=\"[2001:db8::1\"",
        "for=\"[2001:db8::1]x\"",
        "for=\"[2001:db8::1%eth0]\"",
        "for=\"192.0.2.43:\"",
        "for=\"192.0.2.43:123456\"",
        "for=\"192.0.2.43",
        "for=\"192.0.2.43\\\"",
        "for=\"192.0.2.4\\3\"",
        "for=192.0.2.043",
        "for=192.0.2",
        "for=example.com",
        "for=_",
        "for=192.0.2.43;for=192.0.2.44",
        "for=192.0.2.43;For=192.0.2.43",
        "proto=https;proto=http",
        "by=_a;by=_b",
        "proto=gopher",
        "for=192.0.2.43 for=192.0.2.44",
        "for=192.0.2.43=x",
        "for=192.0.2.43 proto=https",
        "for=\"192.0.2.43\"proto=https",
        "=192.0.2.43",
        "for=\"192.0.2.43\"x",
        "for=\"x, for=192.0.2.43",
    ] {
        assert!(Elements::new(line).any(|hop| hop == Err(Malformed)), "{line}");
    }
}

/// A9: the reader stops at the first malformed element.
#[test]
fn nothing_is_read_after_a_malformed_element() {
    let read: Vec<_> = Elements::new("for=192.0.2.1, oops, for=192.0.2.2").collect();
    assert_eq!(read, [Ok(hop(at("192.0.2.1"), None)), Err(Malformed)]);
}

/// A9: `X-Forwarded-For` in the forms that proxies write.
#[test]
fn the_common_header_is_read() {
    let read = |line: &str| entries(line).map(|hop| hop.map(|hop| hop.node.unwrap())).collect::<Result<Vec<_>, _>>();
    assert_eq!(
        read("192.0.2.1, 2001:db8::1,[2001:db8::2]:443 ,192.0.2.2:80"),
        Ok(vec![at("192.0.2.1"), at("2001:db8::1"), at("2001:db8::2"), at("192.0.2.2")])
    );
    assert_eq!(read("unknown, ::ffff:192.0.2.1"), Ok(vec![Node::Hidden, at("192.0.2.1")]));
    assert_eq!(read(",, "), Ok(vec![]));
    for line in
        ["localhost", "192.0.2.1 192.0.2.2", "\"192.0.2.1\"", "192.0.2.256", "for=192.0.2.1", "fe80::1%eth0", "1"]
    {
        assert_eq!(read(line), Err(Malformed), "{line}");
    }
}

/// A9: `X-Forwarded-Proto` knows four protocols.
#[test]
fn protocols_are_known_ones() {
    let read = |line: &str| protocols(line).collect::<Result<Vec<_>, _>>();
    assert_eq!(read("HTTPS, http,wss , ws"), Ok(vec![true, false, true, false]));
    assert_eq!(read("https http"), Err(Malformed));
    assert_eq!(read("javascript"), Err(Malformed));
}
