//! The edge: hosts, origins, paths, headers; and that every arrival has one closing record.

use crate::gate::{Answer, Gate, KEY};
use crate::upstream::Upstream;

/// A configuration for one HTTP server and the usual key.
pub(crate) fn config(url: &str, more: &str) -> String {
    format!(
        "environment = \"development\"\n[listen]\naddress = \"127.0.0.1:0\"\norigins = [\"https://app.example.com\"]\n\
         [log]\nlevel = \"debug\"\nformat = \"pretty\"\n\
         [[auth.keys]]\nname = \"test\"\nkey = \"{KEY}\"\n[servers.stub]\nurl = \"{url}\"\n[audit]\ndir = \"DIR/audit\"\n{more}"
    )
}

const PING: &[u8] = br#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

/// A6: only names that are served here are answered.
#[test]
fn hosts_are_checked() {
    let upstream = Upstream::echo();
    let gate = Gate::before(&upstream.url());
    let port = gate.address.port();
    for host in [
        format!("127.0.0.1:{port}"),
        format!("localhost:{port}"),
        "localhost".into(),
        format!("[::1]:{port}"),
        "LOCALHOST.".into(),
    ] {
        assert_eq!(gate.post(&[("Host", &host)], PING).status, 200, "{host}");
    }
    for host in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "169.254.169.254", "0.0.0.0"] {
        let answer = gate.post(&[("Host", host)], PING);
        assert_eq!((answer.status, answer.code().as_str()), (421, "MCP-002"), "{host}");
    }
    for host in ["local host", "user@localhost", "localhost:0", "localhost:99999", "[::1", "localhost/x"] {
        assert_eq!(gate.post(&[("Host", host)], PING).status, 400, "{host}");
    }
    assert_eq!(gate.post(&[("Host", "localhost"), ("Host", "evil.example")], PING).status, 400);
    let absolute = gate.request("POST", "http://evil.example/mcp", &[], PING);
    assert_eq!(gate.raw(&absolute).status, 400, "the target and Host name different hosts");
    assert_eq!(gate.post(&[("Host", "")], PING).status, 400, "no Host at all");
}

/// A5: a page of another origin is refused, not only left without headers; preflights are answered for allowed ones.
#[test]
fn origins_are_checked() {
    let upstream = Upstream::echo();
    let gate = Gate::configured(&config(&upstream.url(), ""));
    let answer = gate.post(&[("Origin", "https://app.example.com")], PING);
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, Some("https://app.example.com")));
    assert!(answer.header("access-control-allow-credentials").is_none());
    assert!(answer.header("vary").is_some_and(|vary| vary.contains("Origin")));
    let reached = upstream.requests().len();
    for origin in [
        "https://evil.example",
        "http://app.example.com",
        "https://app.example.com:444",
        "https://app.example.com.evil.example",
        "null",
    ] {
        let answer = gate.post(&[("Origin", origin)], PING);
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (403, None), "{origin}");
    }
    let preflight = |origin: &str, method: &str, headers: &str| {
        let asked = [
            ("Origin", origin),
            ("Access-Control-Request-Method", method),
            ("Access-Control-Request-Headers", headers),
            ("Authorization", ""),
        ];
        gate.raw(&gate.request("OPTIONS", "/mcp", &asked, b""))
    };
    let answer = preflight("https://app.example.com", "POST", "authorization, mcp-session-id, mcp-param-region");
    assert_eq!(answer.status, 204);
    assert_eq!(preflight("https://evil.example", "POST", "authorization").status, 403);
    assert_eq!(preflight("https://app.example.com", "PUT", "authorization").status, 403);
    assert_eq!(preflight("https://app.example.com", "POST", "x-anything").status, 403);
    assert_eq!(upstream.requests().len(), reached);
}

/// A7: the protective headers are on every answer, errors too.
#[test]
fn every_answer_is_protected() {
    let upstream = Upstream::echo();
    let gate = Gate::before(&upstream.url());
    let get = |path: &str, key: &str| gate.raw(&gate.request("GET", path, &[("Authorization", key)], b""));
    let answers = [
        get("/", ""),
        get("/health", ""),
        get("/nowhere", ""),
        get("/api/status", ""),
        get("/nowhere", &format!("Bearer {KEY}")),
        gate.post(&[], PING),
        gate.post(&[], b"{"),
        gate.post(&[("Host", "evil.example")], PING),
        gate.post(&[("Origin", "null")], PING),
        gate.raw(&gate.request("TRACE", "/mcp", &[], b"")),
    ];
    for answer in answers {
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("x-xss-protection", "0"),
            ("referrer-policy", "no-referrer"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{} {}", answer.status, answer.text());
        }
        for name in ["content-security-policy", "permissions-policy", "x-correlation-id"] {
            assert!(answer.header(name).is_some(), "{name}: {}", answer.status);
        }
        assert!(answer.header("strict-transport-security").is_none(), "not over plain HTTP");
        assert!(answer.header("server").is_none());
    }
}

/// A11: all but health and the front page needs a key; an unknown path is 401 before it is 404, in every spelling.
#[test]
fn the_default_is_no() {
    let upstream = Upstream::echo();
    let gate = Gate::configured(&config(&upstream.url(), "[limits]\npenalty = \"off\"\n"));
    let paths = [
        "/mcp",
        "/mcp/",
        "//mcp",
        "/MCP",
        "/%6dcp",
        "/mcp%2f",
        "/mcp;x",
        "/mcp/server",
        "/mcp/none",
        "/sse",
        "/mcp/sse",
        "/messages",
        "/api/tools",
        "/api/status",
        "/mcp/marketplace",
        "/metrics",
        "/admin",
        "/.env",
        "/health/../mcp",
        "/health/",
        "/mcp?api_key=1",
        "/api/keys",
    ];
    for path in paths {
        for method in ["GET", "POST", "DELETE", "PUT", "OPTIONS", "HEAD", "PATCH", "TRACE"] {
            for key in ["", "Bearer wrong-key-0123456789-0123456789-0123456789", "Basic dGVzdDp0ZXN0"] {
                let answer = gate.raw(&gate.request(method, path, &[("Authorization", key)], b""));
                assert!(matches!(answer.status, 401 | 429), "{method} {path}: {}", answer.status);
                if answer.status == 401 {
                    assert!(answer.header("www-authenticate").is_some_and(|challenge| challenge.starts_with("Bearer")));
                }
            }
        }
    }
    assert!(upstream.requests().is_empty());
    for (path, status) in [
        ("/mcp/", 404),
        ("//mcp", 404),
        ("/MCP", 404),
        ("/mcp;x", 404),
        ("/mcp/none", 404),
        ("/nowhere", 404),
        ("/api/status", 200),
    ] {
        assert_eq!(gate.raw(&gate.request("GET", path, &[], b"")).status, status, "{path}");
    }
}

/// B2: either header; two credentials are one too many; a credential never reaches the upstream.
#[test]
fn credentials_end_at_the_gate() {
    let upstream = Upstream::echo();
    let gate = Gate::before(&upstream.url());
    assert_eq!(gate.post(&[("Authorization", ""), ("X-API-Key", KEY)], PING).status, 200);
    assert_eq!(gate.post(&[("Authorization", &format!("bearer {KEY}"))], PING).status, 200);
    assert_eq!(gate.post(&[("X-API-Key", KEY)], PING).status, 200, "the same key twice over");
    assert_eq!(gate.post(&[("X-API-Key", "aX3nB7qW9eR2tY5uI8oP1sD4fG6hJ0kLz")], PING).status, 400);
    let bearer = format!("Bearer {KEY}");
    assert_eq!(gate.post(&[("Authorization", &bearer), ("Authorization", &bearer)], PING).status, 400);
    let smuggled = [
        ("Cookie", "a=1"),
        ("X-Forwarded-For", "127.0.0.1"),
        ("Forwarded", "for=127.0.0.1"),
        ("X-User", "admin"),
        ("X_API_Key", KEY),
        ("Proxy-Authorization", "Basic eDp5"),
        ("Mcp-Session-Id", ""),
    ];
    assert_eq!(gate.post(&smuggled, PING).status, 200);
    for request in upstream.requests() {
        for (name, value) in &request.headers {
            assert!(!value.contains(KEY), "{name}");
            assert!(
                ![
                    "authorization",
                    "cookie",
                    "x-api-key",
                    "x_api_key",
                    "x-forwarded-for",
                    "forwarded",
                    "x-user",
                    "proxy-authorization",
                    "origin"
                ]
                .contains(&name.as_str()),
                "{name}"
            );
        }
        assert_eq!(request.header("host"), Some(upstream.url().trim_start_matches("http://").trim_end_matches("/mcp")));
    }
    let canary = gate.log.lock().unwrap().contains(KEY);
    assert!(!canary, "the key is in the log");
    drop(gate.journal());
}

/// G1: exactly one closing record for each arrival: answered, refused at every stage, and left by the client.
#[test]
fn every_arrival_is_recorded_once() {
    let upstream = Upstream::scripted(Box::new(|request| {
        if request.method() == "tools/call" {
            std::thread::sleep(std::time::Duration::from_millis(200));
        }
        crate::upstream::result(request)
    }));
    let gate = Gate::before(&upstream.url());
    let call = br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"secret":"s3cr3t-canary"}}}"#;
    let mut expected = 0;
    let mut send = |answer: Answer, status: u16| {
        expected += 1;
        assert_eq!(answer.status, status, "{}", answer.text());
        answer.header("x-correlation-id").unwrap().to_owned()
    };
    let ids = [
        send(gate.post(&[], call), 200),
        send(gate.post(&[("Host", "evil.example")], call), 421),
        send(gate.post(&[("Origin", "null")], call), 403),
        send(gate.post(&[("Authorization", "")], call), 401),
        send(gate.post(&[("Content-Type", "text/plain")], call), 415),
        send(gate.post(&[], b"{"), 400),
        send(gate.post(&[("Mcp-Session-Id", "forged")], call), 404),
        send(gate.raw(&gate.request("GET", "/health", &[], b"")), 200),
        send(gate.raw(&gate.request("GET", "/nowhere", &[], b"")), 404),
    ];
    let mut leaving = gate.connect();
    std::io::Write::write_all(&mut leaving, &gate.request("POST", "/mcp", &[], call)).unwrap();
    crate::gate::until("the call to reach the upstream", || (upstream.calls().len() == 2).then_some(()));
    drop(leaving);
    let audit = gate.audit();
    crate::gate::until("the record of the client that left", || {
        crate::gate::lines(&audit).iter().any(|line| line["outcome"] == "client_left").then_some(())
    });
    let lines = gate.journal();
    let closings: Vec<_> = lines.iter().filter(|line| line["kind"] == "closing").collect();
    assert_eq!(closings.len(), expected + 1);
    for id in ids {
        assert_eq!(closings.iter().filter(|line| line["correlation"] == id.as_str()).count(), 1, "{id}");
    }
    let answered = closings.iter().find(|line| line["name"] == "echo" && line["outcome"] == "answered").unwrap();
    assert_eq!(
        (&answered["principal"], &answered["decision"], &answered["server"]),
        (&"key:test".into(), &"allowed".into(), &"server".into())
    );
    assert_eq!(answered["args_sha256"].as_str().unwrap().len(), 64);
    assert!(!lines.iter().any(|line| line.to_string().contains("s3cr3t-canary") || line.to_string().contains(KEY)));
}

/// A9, A10: a forwarded address is believed from a trusted proxy alone, and judged by the lists.
#[test]
fn forwarded_addresses_need_a_trusted_proxy() {
    let upstream = Upstream::echo();
    let listed = config(&upstream.url(), "").replace("origins =", "deny = [\"192.0.2.0/24\"]\norigins =");
    let trusting = listed.replace("origins =", "trusted_proxies = [\"127.0.0.1\"]\norigins =");
    let gate = Gate::configured(&listed);
    assert_eq!(gate.post(&[("X-Forwarded-For", "192.0.2.7")], PING).status, 200, "nobody is believed");
    let gate = Gate::configured(&trusting);
    assert_eq!(gate.post(&[("X-Forwarded-For", "192.0.2.7")], PING).status, 403);
    assert_eq!(gate.post(&[("X-Forwarded-For", "192.0.2.7, 203.0.113.9")], PING).status, 200, "the nearest hop counts");
    assert_eq!(gate.post(&[("Forwarded", "for=192.0.2.7")], PING).status, 403);
    assert!(gate.journal().iter().any(|line| line["client"] == "203.0.113.9" && line["peer"] == "127.0.0.1"));
}
