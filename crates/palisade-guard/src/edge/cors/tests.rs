//! What a page may ask for, and what it gets to read.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, HeaderName, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method};

use super::{apply, is_preflight, preflight};
use crate::edge::Config;
use crate::edge::origin::{AllowedOrigin, OriginPattern, judge};
use crate::refusal::{Reason, Refusal};

const PAGE: &str = "https://app.example.com";

fn config() -> Config {
    Config { origins: vec![OriginPattern::parse(PAGE).unwrap()], ..Config::default() }
}

fn headers(lines: &[(HeaderName, &str)]) -> HeaderMap {
    lines.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap())).collect()
}

fn page() -> AllowedOrigin {
    judge(&config(), &headers(&[(ORIGIN, PAGE)])).unwrap().unwrap()
}

fn ask(method: &str, names: Option<&str>) -> Result<HeaderMap, Refusal> {
    let mut request = headers(&[(ORIGIN, PAGE), (ACCESS_CONTROL_REQUEST_METHOD, method)]);
    request.extend(names.map(|names| (ACCESS_CONTROL_REQUEST_HEADERS, HeaderValue::from_str(names).unwrap())));
    preflight(&page(), &request).map(|answer| answer.into_iter().collect())
}

fn check(method: &str, names: Option<&str>, want: Result<&str, &str>) {
    match (ask(method, names), want) {
        (Ok(answer), Ok(allowed)) => assert!(answer[ACCESS_CONTROL_ALLOW_HEADERS].to_str().unwrap().contains(allowed)),
        (Err(refusal), Err(part)) => {
            assert_eq!(refusal.reason(), Reason::OriginRefused);
            assert!(refusal.words().contains(part), "{refusal:?}");
        }
        (got, _) => panic!("{method} {names:?}: {got:?}"),
    }
}

/// A5: what MCP and the API use is allowed, whatever its case.
#[test]
fn a_preflight_for_what_mcp_uses_is_answered() {
    check("POST", None, Ok("Mcp-Session-Id"));
    check("GET", Some("accept,last-event-id"), Ok("accept,last-event-id"));
    check("DELETE", Some("authorization, mcp-session-id"), Ok("authorization, mcp-session-id"));
    check("POST", Some("content-type, x-api-key, mcp-protocol-version, mcp-method, mcp-name"), Ok("mcp-name"));
    check("POST", Some("Mcp-Param-Region,mcp-param-user_id"), Ok("Mcp-Param-Region,mcp-param-user_id"));
    check("POST", Some("idempotency-key,x-signature,x-timestamp,x-nonce,x-api-version"), Ok("x-nonce"));
}

/// A5: what nothing here uses is refused, by name.
#[test]
fn a_preflight_for_anything_else_is_refused() {
    check("PUT", None, Err("method"));
    check("post", None, Err("method"));
    check("TRACE", None, Err("method"));
    check("POST", Some("cookie"), Err("\"cookie\""));
    check("POST", Some("x-forwarded-for"), Err("\"x-forwarded-for\""));
    check("POST", Some("content-type,x-evil"), Err("\"x-evil\""));
    check("POST", Some("mcp-param-"), Err("\"mcp-param-\""));
    check("POST", Some("mcp-paramx"), Err("\"mcp-paramx\""));
    check("POST", Some("mcp-param-*"), Err("\"mcp-param-*\""));
    check("POST", Some("mcp_method"), Err("\"mcp_method\""));
    check("POST", Some("*"), Err("\"*\""));
    check("POST", Some("accept,,accept"), Err("malformed"));
    check("POST", Some("mcp-param-a b"), Err("malformed"));
    check("POST", Some(&["accept"; 65].join(",")), Err("at most 64"));
    check("POST", Some(&["accept"; 64].join(",")), Ok("accept"));
}

/// A5: two request methods or two lists of headers are refused.
#[test]
fn a_preflight_asks_once() {
    for doubled in [ACCESS_CONTROL_REQUEST_METHOD, ACCESS_CONTROL_REQUEST_HEADERS] {
        let mut request =
            headers(&[(ACCESS_CONTROL_REQUEST_METHOD, "POST"), (ACCESS_CONTROL_REQUEST_HEADERS, "accept")]);
        assert!(preflight(&page(), &request).is_ok());
        let again = request[&doubled].clone();
        request.append(doubled, again);
        assert!(preflight(&page(), &request).is_err());
    }
    assert!(preflight(&page(), &HeaderMap::new()).is_err());
}

/// A5: the answer names the one origin, never a wildcard, never credentials, and varies by what it depends on.
#[test]
fn a_preflight_answer_is_for_one_origin() {
    let answer = ask("POST", Some("content-type")).unwrap();
    assert_eq!(answer[ACCESS_CONTROL_ALLOW_ORIGIN], PAGE);
    assert_eq!(answer[ACCESS_CONTROL_ALLOW_METHODS], "POST, GET, DELETE, OPTIONS");
    assert_eq!(answer[ACCESS_CONTROL_ALLOW_HEADERS], "content-type");
    assert!(answer[ACCESS_CONTROL_MAX_AGE].to_str().unwrap().parse::<u32>().unwrap() <= 7200);
    assert!(answer[VARY].to_str().unwrap().starts_with("Origin"));
    assert!(!answer.contains_key(ACCESS_CONTROL_ALLOW_CREDENTIALS));
}

/// A5: only `OPTIONS` with an origin and a requested method is a preflight.
#[test]
fn a_preflight_is_known_by_its_headers() {
    let full = headers(&[(ORIGIN, PAGE), (ACCESS_CONTROL_REQUEST_METHOD, "POST")]);
    assert!(is_preflight(&Method::OPTIONS, &full));
    assert!(!is_preflight(&Method::POST, &full));
    assert!(!is_preflight(&Method::OPTIONS, &headers(&[(ORIGIN, PAGE)])));
    assert!(!is_preflight(&Method::OPTIONS, &headers(&[(ACCESS_CONTROL_REQUEST_METHOD, "POST")])));
}

/// A5, I3: `Vary: Origin` stands on every answer once origins are configured, beside what already varies.
#[test]
fn answers_vary_by_origin() {
    let mut answer = headers(&[(VARY, "Accept")]);
    apply(&config(), None, &mut answer);
    assert_eq!(answer.get_all(VARY).iter().collect::<Vec<_>>(), ["Accept", "Origin"]);
    assert!(!answer.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN));

    let mut answer = HeaderMap::new();
    apply(&config(), Some(&page()), &mut answer);
    assert_eq!(
        (&answer[ACCESS_CONTROL_ALLOW_ORIGIN], &answer[VARY]),
        (&HeaderValue::from_static(PAGE), &HeaderValue::from_static("Origin"))
    );
    assert!(answer[ACCESS_CONTROL_EXPOSE_HEADERS].to_str().unwrap().starts_with("Mcp-Session-Id, WWW-Authenticate, "));
    assert!(!answer.contains_key(ACCESS_CONTROL_ALLOW_CREDENTIALS));

    let mut answer = HeaderMap::new();
    apply(&Config::default(), None, &mut answer);
    assert!(answer.is_empty());
}
