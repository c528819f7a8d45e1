//! Keys, in both headers and every malformed form.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};

use super::{Config, Key, Keys, Methods, Presented, Principal, again};
use crate::clock::Moment;
use crate::grant::Grant;
use crate::refusal::{Reason, Refusal};

const NOW: Moment = Moment { monotonic_ms: 5, unix_ms: 1_785_231_000_123 };

const KEY: &str = "a-key-of-32-bytes-that-is-random";
const OTHER: &str = "b-key-of-32-bytes-that-is-random";

fn config() -> Config {
    of_keys([key("key:a", KEY), key("key:b", OTHER)])
}

fn of_keys(keys: impl IntoIterator<Item = Key>) -> Config {
    Config::Credentials(Methods { keys: Keys::new(keys), ..Methods::default() })
}

fn key(name: &str, text: &str) -> Key {
    Key { id: Arc::from(name), digest: Keys::digest(text.as_bytes()), grant: Arc::default() }
}

fn caller(config: &Config, headers: &HeaderMap) -> Result<Principal, Refusal> {
    let uri = Uri::from_static("/mcp");
    let presented = Presented { method: &Method::POST, uri: &uri, headers, secure: true, certificate: None, now: NOW };
    super::caller(config, &presented).map(|verdict| verdict.principal().unwrap())
}

fn check(headers: &[(&'static str, &[u8])], expected: Result<&str, Reason>) {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap());
    }
    let got = caller(&config(), &map);
    let got = got.as_ref().map(|principal| principal.id().as_ref()).map_err(crate::refusal::Refusal::reason);
    assert_eq!(got, expected, "{headers:?}");
}

fn bearer(scheme: &str, key: &str) -> Vec<u8> {
    format!("{scheme}{key}").into_bytes()
}

/// B2: either header, the scheme in any case, several keys at once.
#[test]
fn a_right_key_is_a_principal() {
    check(&[("authorization", &bearer("Bearer ", KEY))], Ok("key:a"));
    check(&[("authorization", &bearer("bEARER ", OTHER))], Ok("key:b"));
    check(&[("x-api-key", KEY.as_bytes())], Ok("key:a"));
    check(&[("x-api-key", KEY.as_bytes()), ("authorization", &bearer("Bearer ", KEY))], Ok("key:a"));
}

/// B2: a wrong key, or a shape no key has, is 401 and never an internal error.
#[test]
fn a_wrong_key_is_nobody() {
    for value in [
        bearer("Bearer ", "nobody"),
        bearer("Bearer  ", KEY),
        bearer("Bearer\t", KEY),
        bearer("Bearer ", ""),
        bearer("Bearer", KEY),
        bearer("Basic ", KEY),
        bearer("", KEY),
        bearer("Bearer ", &format!("{KEY} ")),
        bearer("Bearer ", "schl\u{fc}ssel"),
        bearer("Bearer ", &KEY[..31]),
    ] {
        check(&[("authorization", &value)], Err(Reason::Unauthenticated));
    }
    check(&[], Err(Reason::Unauthenticated));
    check(&[("x-api-key", b"\xff\xfe")], Err(Reason::Unauthenticated));
    check(&[("x-api-key", b"")], Err(Reason::Unauthenticated));
}

/// B2: two credentials are one too many, whatever they are.
#[test]
fn two_credentials_are_refused() {
    let (a, b) = (bearer("Bearer ", KEY), bearer("Bearer ", OTHER));
    check(&[("authorization", &a), ("authorization", &b)], Err(Reason::CredentialMalformed));
    check(&[("authorization", &a), ("authorization", &a)], Err(Reason::CredentialMalformed));
    check(&[("authorization", &a), ("x-api-key", OTHER.as_bytes())], Err(Reason::CredentialMalformed));
    check(&[("x-api-key", &[b'k'; 9000])], Err(Reason::CredentialMalformed));
}

/// B2, I2: under another configuration a caller is who has the same key under the same name, and nobody else.
#[test]
fn a_caller_is_found_again() {
    let mut headers = HeaderMap::new();
    headers.insert("x-api-key", HeaderValue::from_static(KEY));
    let before = caller(&config(), &headers).unwrap();
    let with = |name: &str, text: &str, limit| {
        of_keys([Key { grant: Arc::new(Grant { limit, ..Grant::default() }), ..key(name, text) }])
    };
    let now = again(&with("key:a", KEY, Some(7)), &before, NOW).unwrap();
    assert_eq!((&**now.id(), now.grant().limit), ("key:a", Some(7)), "as it is known now");
    assert!(again(&with("key:a", OTHER, None), &before, NOW).is_err(), "another key under its name");
    assert!(again(&with("key:c", KEY, None), &before, NOW).is_err(), "another name");
    assert!(again(&Config::None, &before, NOW).is_err());
    assert!(again(&Config::None, &Config::anonymous(), NOW).is_ok());
    assert!(again(&config(), &Config::anonymous(), NOW).is_err());
}
