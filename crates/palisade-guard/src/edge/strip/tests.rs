//! Which headers cross, in both directions.

use http::header::HeaderName;
use http::{HeaderMap, HeaderValue};

use super::{answer_headers, upstream_headers};

fn map(lines: &[(&str, &str)]) -> HeaderMap {
    let line =
        |(name, value): &(&str, &str)| (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap());
    lines.iter().map(line).collect()
}

fn check_up(lines: &[(&str, &str)], want: &[&str]) {
    let headers = map(lines);
    let mut got: Vec<_> = upstream_headers(&headers).map(|(name, _)| name.as_str()).collect();
    got.sort_unstable();
    assert_eq!(got, want, "{lines:?}");
}

/// A1: what the protocol mirrors and negotiates reaches the upstream, values untouched.
#[test]
fn protocol_headers_go_up() {
    let lines = [
        ("accept", "application/json, text/event-stream"),
        ("accept-language", "de"),
        ("baggage", "a=b"),
        ("content-type", "application/json"),
        ("last-event-id", "7"),
        ("mcp-method", "tools/call"),
        ("mcp-name", "weather"),
        ("mcp-param-region", "eu"),
        ("mcp-param-user_id", "1"),
        ("mcp-protocol-version", "2026-07-28"),
        ("traceparent", "00-1-2-01"),
        ("tracestate", "x=y"),
    ];
    check_up(&lines, &lines.map(|(name, _)| name));
    let headers = map(&lines);
    assert!(upstream_headers(&headers).all(|(name, value)| headers[name] == *value));
}

/// P-A20: the caller's credentials and claims about its address end here.
#[test]
fn everything_else_stays() {
    for name in [
        "authorization",
        "proxy-authorization",
        "cookie",
        "x-api-key",
        "x-signature",
        "x-nonce",
        "x-timestamp",
        "idempotency-key",
        "mcp-session-id",
        "host",
        "origin",
        "referer",
        "user-agent",
        "accept-encoding",
        "content-encoding",
        "content-length",
        "transfer-encoding",
        "connection",
        "keep-alive",
        "te",
        "trailer",
        "upgrade",
        "expect",
        "forwarded",
        "via",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-forwarded-uri",
        "x-forwarded-user",
        "x-real-ip",
        "x-remote-user",
        "x-auth-request-email",
        "router-key",
        "mcp-init-host",
        "mcp-params",
        "mcp-param-",
        "mcp_method",
        "mcp_name",
        "mcp_param_region",
        "content_type",
        "x_api_key",
        "mcp-methodx",
        "xmcp-method",
    ] {
        check_up(&[(name, "x"), ("mcp-method", "tools/call")], &["mcp-method"]);
    }
}

/// P-A20: whatever `Connection` nominates is dropped, in any case and on any of its lines.
#[test]
fn nominated_headers_stay() {
    let call = [("mcp-method", "tools/call"), ("mcp-name", "weather")];
    check_up(&[call[0], call[1], ("connection", "keep-alive")], &["mcp-method", "mcp-name"]);
    check_up(&[call[0], call[1], ("connection", "close, MCP-Name ")], &["mcp-method"]);
    check_up(&[call[0], call[1], ("connection", "close"), ("connection", "x,mcp-method,mcp-name")], &[]);
    check_up(&[call[0], call[1], ("connection", "mcp-names, mcp")], &["mcp-method", "mcp-name"]);
}

/// P-A20: of two parameters that a CGI-like server would take for one, the underscored stays.
#[test]
fn underscore_twins_stay() {
    check_up(&[("mcp-param-user-id", "1"), ("mcp-param-user_id", "2")], &["mcp-param-user-id"]);
    check_up(&[("mcp-param-a_b-c", "1"), ("mcp-param-a-b_c", "2")], &[]);
    check_up(
        &[("mcp-param-user-name", "1"), ("mcp-param-user_id", "2")],
        &["mcp-param-user-name", "mcp-param-user_id"],
    );
}

/// P-A20: of an upstream's headers only a plausible `Retry-After` comes back.
#[test]
fn only_retry_after_comes_back() {
    let back = |lines: &[(&str, &str)]| {
        answer_headers(&map(lines)).map(|(name, value)| format!("{name}: {value:?}")).collect::<Vec<_>>()
    };
    assert_eq!(
        back(&[("retry-after", "30"), ("set-cookie", "a=b"), ("www-authenticate", "Bearer"), ("server", "x")]),
        ["retry-after: \"30\""]
    );
    assert!(back(&[("retry-after", "Fri, 31 Dec 1999 23:59:59 GMT")]).is_empty());
    assert!(back(&[("retry-after", "999999")]).is_empty());
    assert!(
        back(&[("content-type", "text/html"), ("access-control-allow-origin", "*"), ("location", "http://evil")])
            .is_empty()
    );
}
