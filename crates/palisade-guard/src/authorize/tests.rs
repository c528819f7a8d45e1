//! Servers, addresses and scopes of a credential.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Uri};

use super::{Asker, administer, call, may_see};
use crate::authenticate::{self, Config, Key, Keys, Methods, Presented, Principal};
use crate::clock::Moment;
use crate::grant::{Grant, Scope, Scopes};
use crate::identify::IpLists;
use crate::message::{self, Body, Call, Facts};
use crate::refusal::Reason;

const HOME: std::net::IpAddr = std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

fn principal(grant: Grant) -> Principal {
    let digest = Keys::digest(b"k");
    let keys = Keys::new([Key { id: Arc::from("key:k"), digest, grant: Arc::new(grant) }]);
    let headers = HeaderMap::from_iter([(http::HeaderName::from_static("x-api-key"), HeaderValue::from_static("k"))]);
    let (uri, now) = (Uri::from_static("/mcp"), Moment { monotonic_ms: 0, unix_ms: 0 });
    let presented =
        Presented { method: &Method::POST, uri: &uri, headers: &headers, secure: true, certificate: None, now };
    let config = Config::Credentials(Methods { keys, ..Methods::default() });
    authenticate::caller(&config, &presented).map(|verdict| verdict.principal().unwrap()).unwrap()
}

/// Who asks, where there is no policy.
fn from(caller: &Principal, address: std::net::IpAddr) -> Asker<'_> {
    Asker { policy: None, caller, address, now: Moment { monotonic_ms: 0, unix_ms: 0 } }
}

fn scoped(scopes: &[&str]) -> Principal {
    principal(Grant { scopes: Some(Scopes::read(scopes.iter().copied()).unwrap()), ..Grant::default() })
}

fn said(method: &str, params: &str) -> Call {
    let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#);
    let config = message::Config::default();
    let Ok(Body::One(envelope)) = message::read(&config, Bytes::from(body)) else { panic!("{method} {params}") };
    let extra: [Box<str>; 1] = ["vendor/reindex".into()];
    let session = message::Revision::named(b"2025-11-25");
    Call::Message(
        message::agree(&config, envelope, Facts { headers: None, session, batched: false, extra_methods: &extra })
            .unwrap(),
    )
}

/// A10: a key's IP list and server list hold; a server that is not listed does not exist.
#[test]
fn a_key_reaches_what_it_lists() {
    let (files, search): (Arc<str>, Arc<str>) = (Arc::from("files"), Arc::from("search"));
    let key = principal(Grant { servers: Some(vec![Arc::clone(&files)]), ..Grant::default() });
    assert!(call(&from(&key, HOME), &files, &Call::End).is_ok() && may_see(&key, &files));
    assert_eq!(call(&from(&key, HOME), &search, &Call::End).unwrap_err().reason(), Reason::UnknownPath);
    assert!(!may_see(&key, &search));

    let lists = IpLists { allow: vec!["10.0.0.0/8".parse().unwrap()], deny: Vec::new() };
    let key = principal(Grant { lists, ..Grant::default() });
    assert!(call(&from(&key, HOME), &search, &Call::End).is_ok());
    let away = "192.0.2.1".parse().unwrap();
    assert_eq!(call(&from(&key, away), &search, &Call::End).unwrap_err().reason(), Reason::AddressRefused);
}

/// C1: whether `scopes` let a caller do this on the server `files`.
fn check(scopes: &[&str], method: &str, params: &str, expected: Result<(), Reason>) {
    let outcome = call(&from(&scoped(scopes), HOME), &Arc::from("files"), &said(method, params));
    let outcome = outcome.map(drop).map_err(|refusal| refusal.reason());
    assert_eq!(outcome, expected, "{scopes:?} {method} {params}");
}

/// C1: scopes cover what they name, with wildcards, and nothing else.
#[test]
fn scopes_cover_what_they_name() {
    let read = r#"{"name":"read_text"}"#;
    for scope in [
        "mcp:*",
        "mcp:tools",
        "mcp:tools:*",
        "mcp:*:call",
        "mcp:tools:call",
        "mcp:tools:call:*",
        "mcp:tools:call:files",
        "mcp:tools:call:files/*",
        "mcp:tools:call:fi*/read_*",
        "mcp:tools:call:files/read_text",
        "mcp:tools:call:*/*_text",
    ] {
        check(&[scope], "tools/call", read, Ok(()));
        check(&[scope], "tools/list", "{}", Ok(()));
        check(&[scope], "ping", "{}", Ok(()));
    }
    for scope in
        ["mcp:tools:call:files/read", "mcp:tools:list:files", "mcp:resources", "mcp:prompts:get:files/read_text"]
    {
        check(&[scope], "tools/call", read, Err(Reason::ScopeMissing));
    }
    for scope in ["mcp:tools:call:search/*", "mcp:tools:call:Files/*", "palisade:*"] {
        check(&[scope], "tools/call", read, Err(Reason::UnknownPath));
        check(&[scope], "ping", "{}", Err(Reason::UnknownPath));
    }
    check(&[], "ping", "{}", Err(Reason::UnknownPath));
    check(&["mcp:tools"], "resources/list", "{}", Err(Reason::ScopeMissing));
    check(&["mcp:tools"], "tasks/get", r#"{"taskId":"1"}"#, Ok(()));
    check(&["mcp:prompts"], "tasks/get", r#"{"taskId":"1"}"#, Err(Reason::ScopeMissing));
    check(&["mcp:tools"], "vendor/reindex", "{}", Err(Reason::ScopeMissing));
    check(&["mcp:methods:call:files/vendor/*"], "vendor/reindex", "{}", Ok(()));
    let completion = r#"{"ref":{"type":"ref/prompt","name":"p"},"argument":{"name":"a","value":""}}"#;
    check(&["mcp:prompts:get:files/p"], "completion/complete", completion, Ok(()));
    check(&["mcp:resources"], "completion/complete", completion, Err(Reason::ScopeMissing));
}

/// C1, P-D25: a URI that climbs out of what a wildcard means is not covered by it, and is when all is allowed.
#[test]
fn a_wildcard_does_not_climb() {
    let scope = "mcp:resources:read:files/file:///srv/*";
    let uri = |uri: &str| format!(r#"{{"uri":"{uri}"}}"#);
    check(&[scope], "resources/read", &uri("file:///srv/a/b.txt"), Ok(()));
    for climbing in
        ["file:///srv/../etc/passwd", "file:///srv/%2E%2e/etc", "file:///srv/%252e%252e/x", r"file:///srv/..\\x"]
    {
        check(&[scope], "resources/read", &uri(climbing), Err(Reason::ScopeMissing));
        check(&["mcp:resources:read:files"], "resources/read", &uri(climbing), Ok(()));
    }
    check(&[scope], "resources/subscribe", &uri("file:///etc/passwd"), Err(Reason::ScopeMissing));
}

/// C1: administration must be named, and whoever has no scopes has none of it.
#[test]
fn administration_must_be_named() {
    assert!(administer(&from(&scoped(&["palisade:keys:write"]), HOME), "keys", "write").is_ok());
    assert!(administer(&from(&scoped(&["palisade:*"]), HOME), "tokens", "read").is_ok());
    for caller in
        [principal(Grant::default()), scoped(&["mcp:*"]), scoped(&["palisade:keys:read"]), Config::anonymous()]
    {
        assert_eq!(administer(&from(&caller, HOME), "keys", "write").unwrap_err().reason(), Reason::ScopeMissing);
    }
}

/// C1: what is no scope says why; a token's other scopes are another's.
#[test]
fn what_is_no_scope() {
    for text in [
        "",
        "mcp",
        "mcp:",
        "mcp:tools:",
        "mcp:tools:call:",
        "mcp:tools:call:/x",
        "mcp:tool:call",
        "mcp:tools:get",
        "openid",
        "palisade:keys:read:x",
        "palisade:audit:read",
        "mcp:tools:call:a b",
        "mcp:tools:call:\"",
        "MCP:tools",
    ] {
        assert!(text.parse::<Scope>().is_err(), "{text:?}");
    }
    assert!(format!("mcp:tools:call:{}", "x".repeat(600)).parse::<Scope>().is_err());
    let among = Scopes::among("openid mcp:tools:call:files  profile");
    assert_eq!(among.words().collect::<Vec<_>>(), ["mcp:tools:call:files/*"]);
    let caller = principal(Grant { scopes: Some(among), ..Grant::default() });
    assert!(from(&caller, HOME).reach(&Arc::from("files")).is_ok());
}

/// B6: a refusal for want of a scope names the scope that is needed, and no credential's own.
#[test]
fn a_missing_scope_is_named() {
    let refusal =
        call(&from(&scoped(&["mcp:prompts"]), HOME), &Arc::from("files"), &said("tools/call", r#"{"name":"x"}"#))
            .unwrap_err();
    assert_eq!(refusal.challenge_value(), Some(r#"Bearer error="insufficient_scope", scope="mcp:tools:call:files""#));
}
