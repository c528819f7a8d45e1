//! Origin variants, each attack beside its benign twin.

use http::header::{HOST, ORIGIN};
use http::{HeaderMap, HeaderValue};

use super::{OriginPattern, judge};
use crate::edge::Config;
use crate::refusal::Reason;

const LISTED: &[&str] = &[
    "https://app.example.com",
    "http://dev.example.com:3000",
    "http://localhost:*",
    "vscode-webview://a1-b2",
    "https://[2001:db8::1]",
];

fn config(patterns: &[&str]) -> Config {
    Config { origins: patterns.iter().map(|text| OriginPattern::parse(text).unwrap()).collect(), ..Config::default() }
}

fn check(patterns: &[&str], host: &str, origins: &[&[u8]], allowed: bool) {
    let mut headers: HeaderMap =
        origins.iter().map(|origin| (ORIGIN, HeaderValue::from_bytes(origin).unwrap())).collect();
    headers.insert(HOST, HeaderValue::from_str(host).unwrap());
    let got = judge(&config(patterns), &headers);
    let shown = format!("{headers:?} on {patterns:?}");
    match (got, allowed) {
        (Ok(Some(origin)), true) => assert_eq!(origin.value().as_bytes(), origins[0], "{shown}"),
        (Err(refusal), false) => assert_eq!(refusal.reason(), Reason::OriginRefused, "{shown}"),
        (got, _) => panic!("{got:?} for {shown}"),
    }
}

fn allowed(origin: &str) {
    check(LISTED, "api.example.com", &[origin.as_bytes()], true);
}

fn refused(origin: &str) {
    check(LISTED, "api.example.com", &[origin.as_bytes()], false);
}

/// A5: a program that is no browser sends no Origin and is not held up.
#[test]
fn without_origin_there_is_nothing_to_judge() {
    assert!(judge(&config(LISTED), &HeaderMap::new()).unwrap().is_none());
    assert!(judge(&Config::default(), &HeaderMap::new()).unwrap().is_none());
}

/// A5: scheme, host and port must all be the listed ones.
#[test]
fn an_origin_is_a_tuple() {
    allowed("https://app.example.com");
    allowed("https://app.example.com:443");
    allowed("HTTPS://APP.EXAMPLE.COM");
    allowed("http://dev.example.com:3000");
    allowed("vscode-webview://a1-b2");
    allowed("https://[2001:db8:0::1]");
    refused("http://app.example.com");
    refused("https://app.example.com:444");
    refused("https://app.example.com:80");
    refused("http://dev.example.com");
    refused("http://dev.example.com:30000");
    refused("https://[2001:db8::2]");
    refused("vscode-webview://a1-b3");
}

/// A5: nothing is compared by its start or its end.
#[test]
fn look_alikes_stay_out() {
    for evil in [
        "https://app.example.com.evil.com",
        "https://evil-app.example.com",
        "https://evil.app.example.com",
        "https://evil.com",
        "https://example.com",
        "https://appxexample.com",
        "https://xn--pp-gia.example.com",
        "http://localhost.evil.com",
        "http://localhost.evil.com:3000",
        "http://evil-localhost:3000",
    ] {
        refused(evil);
    }
}

/// A5: `null`, a second one and what is no origin are refused.
#[test]
fn malformed_origins_stay_out() {
    for odd in [
        "null",
        "NULL",
        "",
        "*",
        "app.example.com",
        "//app.example.com",
        "https:app.example.com",
        "https://app.example.com/",
        "https://app.example.com/x",
        "https://app.example.com?x",
        "https://app.example.com#x",
        "https://user@app.example.com",
        "https://evil.com@app.example.com",
        "https://app.example.com@evil.com",
        "https://app.example.com.",
        "https://app.example.com:",
        "https://app.example.com:0443",
        "https://app.example.com https://evil.com",
        "https://app.example.com, https://evil.com",
        "https://evil.com\thttps://app.example.com",
        "https://",
        "://app.example.com",
        "http://0x7f.1:3000",
        "http://2130706433:3000",
    ] {
        refused(odd);
    }
    check(LISTED, "api.example.com", &["https://äpp.example.com".as_bytes()], false);
    check(LISTED, "api.example.com", &[b"https://app.example.com", b"https://app.example.com"], false);
    check(LISTED, "api.example.com", &[b"https://app.example.com", b"https://evil.com"], false);
}

/// A5: `:*` opens every port of the loopback host it stands with, and of no other.
#[test]
fn every_port_is_for_the_listed_loopback_host() {
    allowed("http://localhost:3000");
    allowed("http://localhost");
    refused("https://localhost:3000");
    refused("http://127.0.0.1:3000");
    refused("http://[::1]:3000");
}

/// A5: with nothing configured a loopback host's own page may call it, and no other page may.
#[test]
fn by_default_only_the_loopback_hosts_own_page_calls() {
    let own = |host: &str, origin: &str, allowed: bool| check(&[], host, &[origin.as_bytes()], allowed);
    own("localhost:8080", "http://localhost:8080", true);
    own("127.0.0.1:8080", "http://127.0.0.1:8080", true);
    own("[::1]:8080", "http://[::1]:8080", true);
    own("localhost", "http://localhost", true);
    own("localhost:8080", "http://localhost:3000", false);
    own("localhost:8080", "http://localhost", false);
    own("127.0.0.1:8080", "http://localhost:8080", false);
    own("localhost:8080", "http://evil.com", false);
    own("evil.com:8080", "http://evil.com:8080", false);
    own("localhost", "chrome-extension://localhost", false);
    own("localhost:8080", "null", false);
    check(&["https://app.example.com"], "localhost:8080", &[b"http://localhost:8080"], false);
}

/// I1: `*` takes every origin but the one that stands for all sandboxed pages.
#[test]
fn any_does_not_take_null() {
    check(&["*"], "localhost", &[b"https://whoever.example"], true);
    check(&["*"], "localhost", &[b"null"], false);
    assert_eq!(OriginPattern::parse("*"), Ok(OriginPattern::Any));
}

/// A5: a refusal names the line to add, and repeats only what is an origin.
#[test]
fn refusals_name_the_line_to_add() {
    let words = |origin: &str| {
        let headers = [(ORIGIN, HeaderValue::from_str(origin).unwrap())].into_iter().collect();
        judge(&config(LISTED), &headers).unwrap_err().words().to_owned()
    };
    assert_eq!(
        words("HTTPS://New.example.com:443"),
        "this origin is not allowed: add \"https://new.example.com\" to listen.origins (ALLOWED_ORIGINS)"
    );
    assert!(words("http://new.example.com:3000").contains("\"http://new.example.com:3000\""));
    assert!(words("null").contains("never allowed"));
    assert!(!words("https://x/<script>").contains("script"));
}

/// I2: a pattern that is no origin is a fault with its cure.
#[test]
fn a_wrong_pattern_has_a_cure() {
    let fault = |text: &str| OriginPattern::parse(text).unwrap_err();
    for (wrong, cure) in [
        ("null", "list real origins"),
        ("app.example.com", "with its scheme"),
        ("https://app.example.com/", "scheme, host and port alone"),
        ("https://*.example.com", "by itself"),
        ("https://app.example.com:*", "loopback host only"),
        ("http://localhost:80:*", "loopback host only"),
        ("https://bücher.example", "xn--"),
        ("https://app.example.com.", "trailing dot"),
    ] {
        assert!(fault(wrong).contains(cure), "{}", fault(wrong));
    }
    assert_eq!(OriginPattern::parse("HTTPS://A.example:443"), OriginPattern::parse("https://a.example"));
}
