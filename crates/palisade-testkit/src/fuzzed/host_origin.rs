//! Host and Origin: what is refused is served after the line that the refusal names, and a name serves only itself.
//!
//! The input is Host, Origin, the method and the headers that a preflight asks for, and the request's target, a line each.

use http::header::{ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, HOST, ORIGIN};
use http::{HeaderMap, HeaderValue, Uri};
use palisade_guard::edge::authority::Authority;
use palisade_guard::edge::host::{self, HostPattern};
use palisade_guard::edge::origin::{self, OriginPattern};
use palisade_guard::edge::{Config, cors};
use palisade_guard::refusal::Reason;

/// Panics where something does not hold.
pub fn hold(input: &[u8]) {
    let mut lines = input.split(|byte| *byte == b'\n');
    let mut headers = HeaderMap::new();
    for name in [HOST, ORIGIN, ACCESS_CONTROL_REQUEST_METHOD, ACCESS_CONTROL_REQUEST_HEADERS] {
        let line = lines.next().filter(|line| !line.is_empty());
        headers.extend(line.and_then(|line| HeaderValue::from_bytes(line).ok()).map(|value| (name, value)));
    }
    let target = lines.next().and_then(|line| Uri::try_from(line).ok()).unwrap_or_default();
    hosts(&target, &headers);
    origins(&headers);
}

fn hosts(target: &Uri, headers: &HeaderMap) {
    match host::judge(&Config::default(), target, headers) {
        Ok(host) => {
            assert!(host.name().is_loopback(), "nothing else is served without a list");
            let shown = host.name().to_string();
            assert!(shown.bytes().all(|byte| byte.is_ascii_graphic()));
            assert_eq!(Authority::parse(&shown).map(|again| again.name() == host.name()), Some(true));
        }
        Err(refusal) if refusal.reason() == Reason::HostRefused => {
            let hosts = vec![HostPattern::parse(quoted(refusal.words())).expect("the line named is a pattern")];
            let listed = Config { hosts, ..Config::default() };
            assert!(host::judge(&listed, target, headers).is_ok(), "the line named is the line that helps");
            let other = vec![HostPattern::parse("other.example").expect("a pattern")];
            let asked = Authority::parse(quoted(refusal.words())).expect("a host");
            if asked.name().to_string() != "other.example" {
                assert!(host::judge(&Config { hosts: other, ..Config::default() }, target, headers).is_err());
            }
        }
        Err(refusal) => assert_eq!(refusal.reason(), Reason::HostMalformed),
    }
}

fn origins(headers: &HeaderMap) {
    match origin::judge(&Config::default(), headers) {
        Ok(None) => assert!(!headers.contains_key(ORIGIN)),
        Ok(Some(allowed)) => {
            assert_eq!(Some(allowed.value()), headers.get(ORIGIN), "CORS repeats what the browser wrote");
            let host = headers.get(HOST).and_then(|host| Authority::parse(host.to_str().ok()?));
            assert!(host.is_some_and(|host| host.name().is_loopback()), "only a loopback host's own page may call");
            if let Ok(answer) = cors::preflight(&allowed, headers) {
                let method = headers.get(ACCESS_CONTROL_REQUEST_METHOD).expect("nothing is granted that was not asked");
                assert!(["POST", "GET", "DELETE", "OPTIONS"].iter().any(|known| method == *known));
                assert!(answer.iter().all(|(_, value)| value != "*"), "nothing is granted to everybody");
            }
        }
        Err(refusal) => {
            assert_eq!(refusal.reason(), Reason::OriginRefused);
            if refusal.words().contains("listen.origins") {
                let line = OriginPattern::parse(quoted(refusal.words())).expect("the line named is a pattern");
                let listed = Config { origins: vec![line], ..Config::default() };
                assert!(origin::judge(&listed, headers).is_ok(), "the line named is the line that helps");
            }
        }
    }
}

fn quoted(words: &str) -> &str {
    words.split('"').nth(1).unwrap_or_default()
}
