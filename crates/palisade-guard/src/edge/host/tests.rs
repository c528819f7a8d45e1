//! Host variants, each attack beside its benign twin.

use http::header::HOST;
use http::{HeaderMap, HeaderValue, Uri};

use super::{HostPattern, judge};
use crate::edge::Config;
use crate::refusal::Reason;

const PUBLIC: &[&str] =
    &["api.example.com", "*.tools.example.com", "gate.example.com:8443", "192.0.2.1", "[2001:db8::1]"];
const SERVED: Result<(), Reason> = Ok(());
const REFUSED: Result<(), Reason> = Err(Reason::HostRefused);
const MALFORMED: Result<(), Reason> = Err(Reason::HostMalformed);

fn config(patterns: &[&str]) -> Config {
    Config { hosts: patterns.iter().map(|text| HostPattern::parse(text).unwrap()).collect(), ..Config::default() }
}

fn headers(hosts: &[&[u8]]) -> HeaderMap {
    hosts.iter().map(|host| (HOST, HeaderValue::from_bytes(host).unwrap())).collect()
}

fn check(patterns: &[&str], host: &str, want: Result<(), Reason>) {
    check_all(patterns, "/mcp", &[host.as_bytes()], want);
}

fn check_all(patterns: &[&str], target: &str, hosts: &[&[u8]], want: Result<(), Reason>) {
    let (target, headers) = (target.parse::<Uri>().unwrap(), headers(hosts));
    let got = judge(&config(patterns), &target, &headers);
    assert_eq!(got.map(|_| ()).map_err(|refusal| refusal.reason()), want, "{target} {headers:?} on {patterns:?}");
}

/// A6: a listed name is served in every spelling that means it, and in no other.
#[test]
fn a_name_is_compared_as_a_name() {
    check(PUBLIC, "api.example.com", SERVED);
    check(PUBLIC, "API.Example.COM", SERVED);
    check(PUBLIC, "api.example.com.", SERVED);
    check(PUBLIC, "api.example.com:8080", SERVED);
    check(PUBLIC, "api.example.com.:443", SERVED);
    check(PUBLIC, "example.com", REFUSED);
    check(PUBLIC, "evil-api.example.com", REFUSED);
    check(PUBLIC, "api.example.com.evil.com", REFUSED);
    check(PUBLIC, "evil.com", REFUSED);
    check(PUBLIC, "xn--pi-7ka.example.com", REFUSED);
    check(PUBLIC, "localhost", REFUSED);
    check(PUBLIC, "127.0.0.1:8080", REFUSED);
}

/// A6: a wildcard takes subdomains at any depth, not the apex and not a name that merely ends alike.
#[test]
fn a_wildcard_takes_subdomains_only() {
    check(PUBLIC, "a.tools.example.com", SERVED);
    check(PUBLIC, "a.b.TOOLS.example.com:81", SERVED);
    check(PUBLIC, "tools.example.com", REFUSED);
    check(PUBLIC, "eviltools.example.com", REFUSED);
    check(PUBLIC, "a.tools.example.com.evil.com", REFUSED);
    check(PUBLIC, ".tools.example.com", MALFORMED);
}

/// A6: a pattern with a port takes that port; without one, every port.
#[test]
fn a_port_in_the_pattern_binds() {
    check(PUBLIC, "gate.example.com:8443", SERVED);
    check(PUBLIC, "gate.example.com:8444", REFUSED);
    check(PUBLIC, "gate.example.com", REFUSED);
    check(&["gate.example.com:443"], "gate.example.com", SERVED);
    check(&["gate.example.com:80"], "gate.example.com", SERVED);
    check(&["gate.example.com:443"], "gate.example.com:80", REFUSED);
}

/// A6: addresses are compared as addresses, and forms that parsers read differently are malformed.
#[test]
fn an_address_has_one_form() {
    check(PUBLIC, "192.0.2.1", SERVED);
    check(PUBLIC, "192.0.2.1.", SERVED);
    check(PUBLIC, "[2001:DB8:0:0::1]:8080", SERVED);
    check(PUBLIC, "[::ffff:192.0.2.1]", SERVED);
    check(PUBLIC, "192.0.2.10", REFUSED);
    check(PUBLIC, "[2001:db8::2]", REFUSED);
    for odd in [
        "2001:db8::1",
        "[2001:db8::1",
        "2001:db8::1]",
        "[2001:db8::1%25eth0]",
        "[fe80::1%eth0]",
        "[v1.x]",
        "[192.0.2.1]",
    ] {
        check(PUBLIC, odd, MALFORMED);
    }
    for odd in ["192.0.2", "192.0.2.01", "0xc0.0.2.1", "3221225985", "192.0.2.0x1", "127.1", "0x7f000001", "1.2.3.4.5"]
    {
        check(PUBLIC, odd, MALFORMED);
    }
}

/// A6: what is no host is malformed.
#[test]
fn no_userinfo_path_blank_or_odd_port() {
    for odd in ["", ".", "..", ":80", "api.example.com..", "api..example.com", "-api.example.com", "api-.example.com"] {
        check(PUBLIC, odd, MALFORMED);
    }
    for odd in [
        "api.example.com@evil.com",
        "evil.com@api.example.com",
        "user:1@api.example.com",
        "api.example.com/",
        "api.example.com/x",
    ] {
        check(PUBLIC, odd, MALFORMED);
    }
    for odd in [
        "api.example.com evil.com",
        "api.example.com,evil.com",
        "api.example.com\tx",
        "http://api.example.com",
        "api%2eexample.com",
    ] {
        check(PUBLIC, odd, MALFORMED);
    }
    for odd in [
        "api.example.com:",
        "api.example.com:0",
        "api.example.com:65536",
        "api.example.com:080",
        "api.example.com:+80",
        "api.example.com:80:80",
    ] {
        check(PUBLIC, odd, MALFORMED);
    }
    check_all(PUBLIC, "/mcp", &["äpi.example.com".as_bytes()], MALFORMED);
    check(PUBLIC, &format!("{}.example.com", "a".repeat(64)), MALFORMED);
    check(PUBLIC, &format!("{}example.com", "a.".repeat(125)), MALFORMED);
    check(PUBLIC, "api.example.com:65535", SERVED);
}

/// A6, I4: exactly one host, whether in the header or in the target, and the same in both.
#[test]
fn a_request_names_one_host() {
    check_all(PUBLIC, "/mcp", &[], MALFORMED);
    check_all(PUBLIC, "/mcp", &[b"api.example.com", b"api.example.com"], MALFORMED);
    check_all(PUBLIC, "/mcp", &[b"api.example.com", b"evil.com"], MALFORMED);
    check_all(PUBLIC, "http://api.example.com/mcp", &[b"api.example.com"], SERVED);
    check_all(PUBLIC, "http://API.example.com:80/mcp", &[b"api.example.com"], SERVED);
    check_all(PUBLIC, "https://api.example.com/mcp", &[b"api.example.com:443"], SERVED);
    check_all(PUBLIC, "http://api.example.com/mcp", &[], SERVED);
    check_all(PUBLIC, "http://evil.com/mcp", &[], REFUSED);
    check_all(PUBLIC, "http://evil.com/mcp", &[b"api.example.com"], MALFORMED);
    check_all(PUBLIC, "http://api.example.com/mcp", &[b"evil.com"], MALFORMED);
    check_all(PUBLIC, "http://api.example.com:81/mcp", &[b"api.example.com"], MALFORMED);
    check_all(PUBLIC, "https://api.example.com/mcp", &[b"api.example.com:80"], MALFORMED);
    check_all(PUBLIC, "http://user@api.example.com/mcp", &[b"api.example.com"], MALFORMED);
    check_all(PUBLIC, "http://api.example.com/mcp", &[b""], MALFORMED);
}

/// A6: with no hosts configured the loopback names are served and nothing else is.
#[test]
fn loopback_names_are_the_default() {
    for loopback in [
        "localhost",
        "LOCALHOST:8080",
        "localhost.",
        "127.0.0.1",
        "127.9.8.7:1",
        "[::1]",
        "[::1]:8080",
        "[::ffff:127.0.0.1]",
    ] {
        check(&[], loopback, SERVED);
    }
    for stranger in [
        "localhost.evil.com",
        "evil.localhost",
        "evil-localhost",
        "127.0.0.1.evil.com",
        "0.0.0.0",
        "[::]",
        "169.254.169.254",
    ] {
        check(&[], stranger, REFUSED);
    }
    check(&["*"], "anything.example", SERVED);
    check(&["*"], "any thing", MALFORMED);
}

/// A6: a refusal names the line to add, and repeats only what is a host.
#[test]
fn refusals_name_the_line_to_add() {
    let words = |host: &str| {
        let (target, headers) = (Uri::from_static("/mcp"), headers(&[host.as_bytes()]));
        judge(&Config::default(), &target, &headers).unwrap_err().words().to_owned()
    };
    assert_eq!(
        words("API.example.com.:8080"),
        "this host name is not served here: add \"api.example.com\" to listen.hosts (ALLOWED_HOSTS)"
    );
    assert!(words("[2001:DB8::0:2]:99").contains("add \"[2001:db8::2]\" to"));
    assert!(!words("<script>").contains("script"));
}

/// I2: a pattern that is no host is a fault with its cure.
#[test]
fn a_wrong_pattern_has_a_cure() {
    let fault = |text: &str| HostPattern::parse(text).unwrap_err();
    for (wrong, cure) in [
        ("https://api.example.com", "without scheme"),
        ("api.example.com/mcp", "only the name"),
        ("bücher.example", "xn--"),
        ("2001:db8::1", "in brackets"),
        ("api.*.com", "at the start"),
        ("*:8080", "at the start"),
        ("*.192.0.2.1", "no subdomains"),
        ("", "api.example.com"),
        ("api.example.com:0", "optional"),
    ] {
        assert!(fault(wrong).contains(cure), "{}", fault(wrong));
    }
    assert_eq!(HostPattern::parse("*"), Ok(HostPattern::Any));
    assert_eq!(HostPattern::parse("API.example.com."), HostPattern::parse("api.example.com"));
}
