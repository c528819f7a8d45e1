//! Ways in: routes beside the guarded one, names and origins, headers that meant more than they should, commands from
//! callers.

use std::io::{Read, Write};

use super::{INITIALIZE, PING, one, two};
use crate::floods::settings;
use crate::gate::{Gate, OTHER};
use crate::hostile::rogue::{Rogue, says};
use crate::upstream::Upstream;

const NOBODY: (&str, &str) = ("Authorization", "");

/// A11, P-A16: `/sse` at the end of a path skipped `ToolHive`'s authorization.
#[test]
fn ghsa_h4mf_84xq_q2fc() {
    let (gate, upstream) = one();
    let paths =
        ["/sse", "/x/sse", "/mcp/sse", "/mcp/stub/sse", "//mcp", "/mcp/", "/mcp%2f", "/mcp;x", "/mcp/stub/", "/./mcp"];
    for path in paths {
        for method in ["GET", "POST"] {
            assert_eq!(gate.raw(&gate.request(method, path, &[NOBODY], PING)).status, 401, "{method} {path}");
            assert_eq!(gate.raw(&gate.request(method, path, &[], PING)).status, 404, "{method} {path}");
        }
    }
    assert_eq!(upstream.requests().len(), 0);
}

/// A11, P-A16: nginx-ui guarded one endpoint of two (GHSA-cv3r-c5h8-f4g5, CVE-2026-103758 tell the same).
#[test]
fn cve_2026_33032() {
    let (gate, upstream) = one();
    let paths = [
        "/mcp_message",
        "/message",
        "/messages",
        "/messages/",
        "/mcp-connect/stub",
        "/mcp-connect-composite/stub",
        "/v1/mcp",
        "/api/mcp",
        "/mcp/v1",
        "/register",
        "/.well-known/mcp",
        "/ws",
        "/rpc",
        "/",
    ];
    for path in paths {
        let answer = gate.raw(&gate.request("POST", path, &[NOBODY], INITIALIZE));
        assert!(matches!(answer.status, 401 | 405), "{path}: {}", answer.status);
        assert_eq!(answer.header("mcp-session-id"), None, "{path}");
    }
    assert_eq!(upstream.requests().len(), 0);
}

/// A3: on one of Obot's paths nobody asked whether the user may reach the server (GHSA-vw82-7fv8-r6gp).
#[test]
fn cve_2026_101084() {
    let (gate, a, b) = two();
    let bob = format!("Bearer {OTHER}");
    let ask = |method: &str, path: &str, body: &[u8]| {
        let answer = gate.raw(&gate.request(method, path, &[("Authorization", &bob)], body));
        let text = answer.text().replace(answer.header("x-correlation-id").unwrap(), "");
        (answer.status, text.split("\"timestamp\"").next().unwrap().to_owned())
    };
    for (method, body) in [("POST", PING), ("POST", INITIALIZE), ("GET", b"".as_slice()), ("DELETE", b""), ("PUT", b"")]
    {
        let (denied, absent) = (ask(method, "/mcp/a", body), ask(method, "/mcp/none", body));
        assert_eq!(denied, absent, "{method}: what may not be called is not there");
        assert_eq!(denied.0, 404, "{method}");
    }
    assert_eq!(a.requests().len(), 0);
    assert_eq!(ask("POST", "/mcp/b", PING).0, 200);
    assert_eq!(b.requests().len(), 1);
}

/// A11: Kong's plugin asked for no token where the traffic was not MCP.
#[test]
fn kong_ai_mcp_oauth2() {
    let (gate, upstream) = one();
    let upgrade: [(&str, &str); 3] = [NOBODY, ("Connection", "Upgrade"), ("Upgrade", "websocket")];
    let plain = [NOBODY, ("Content-Type", "text/plain")];
    let none: &[(&str, &str)] = &[NOBODY];
    let cases = [
        ("POST", &plain[..], b"hello".as_slice()),
        ("POST", none, b"not json"),
        ("GET", none, b""),
        ("OPTIONS", none, b""),
        ("GET", &upgrade[..], b""),
        ("CONNECT", none, b""),
    ];
    for (method, headers, body) in cases {
        assert_eq!(gate.raw(&gate.request(method, "/mcp", headers, body)).status, 401, "{method} {headers:?}");
    }
    assert_eq!(upstream.requests().len(), 0);
}

/// A6, P-I4: paths were judged by a Host that said something else than the target (Starlette; CVE-2026-48710).
#[test]
fn ghsa_86qp_5c8j_p5mr() {
    let (gate, upstream) = one();
    let own = gate.address.to_string();
    let send = |target: &str, host: &str| gate.raw(&gate.request("POST", target, &[("Host", host)], PING)).status;
    for (target, host) in [
        ("http://evil.example/mcp".to_owned(), own.clone()),
        (format!("http://{own}/mcp"), "evil.example".into()),
        ("/mcp".into(), format!("{own}/health?")),
        ("/mcp".into(), format!("user@{own}")),
        ("/mcp".into(), format!("{own}, evil.example")),
        ("/mcp".into(), "evil.example#".into()),
    ] {
        assert!(matches!(send(&target, &host), 400 | 421), "{target} {host}");
    }
    assert_eq!(upstream.requests().len(), 0);
    assert_eq!(send(&format!("http://{own}/mcp"), &own), 200, "both say the same");
}

/// A6, A5, P-I2, P-I4: a page that rebinds its name calls a gateway on this machine: Docker's (CVE-2025-64443), and servers on
/// every SDK (CVE-2025-66414, CVE-2025-66416, CVE-2026-34742, CVE-2026-35568, RUSTSEC-2026-0189, CVE-2026-59950).
#[test]
fn ghsa_46gc_mwh4_cc5r() {
    let (gate, upstream) = one();
    let port = gate.address.port();
    let own = format!("127.0.0.1:{port}");
    for host in
        ["evil.example", "localhost.evil.example", "127.0.0.1.nip.io", "0.0.0.0", "[::ffff:7f00:1]x", "127.1", ""]
    {
        for path in ["/mcp", "/mcp/stub", "/api/tools", "/api/status", "/mcp/marketplace", "/"] {
            let method = if path.starts_with("/mcp") && !path.ends_with("place") { "POST" } else { "GET" };
            let answer =
                gate.raw(&gate.request(method, path, &[("Host", host)], if method == "POST" { PING } else { b"" }));
            assert!(matches!(answer.status, 400 | 421), "{host} {path}: {}", answer.status);
        }
    }
    for origin in
        ["http://evil.example", "null", "https://localhost.evil.example", "http://127.0.0.1.nip.io", "file://"]
    {
        for path in ["/mcp", "/mcp/stub"] {
            let answer = gate.raw(&gate.request("POST", path, &[("Origin", origin)], PING));
            assert_eq!(answer.status, 403, "{origin} {path}");
            assert_eq!(answer.header("access-control-allow-origin"), None);
        }
    }
    assert_eq!(upstream.requests().len(), 0);
    for host in [own.clone(), format!("localhost:{port}"), format!("[::1]:{port}"), format!("LOCALHOST.:{port}")] {
        assert_eq!(gate.raw(&gate.request("POST", "/mcp", &[("Host", &host)], PING)).status, 200, "{host}");
    }
}

/// A5: a page of anybody opened `OpenClaw`'s WebSocket.
#[test]
fn cve_2026_25253() {
    let (gate, upstream) = one();
    let socket = [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Content-Length", ""),
        ("Content-Type", ""),
    ];
    let foreign = [socket.as_slice(), &[("Origin", "https://evil.example")]].concat();
    for path in ["/mcp", "/", "/ws", "/api/status"] {
        assert_eq!(gate.raw(&gate.request("GET", path, &foreign, b"")).status, 403, "{path}");
    }
    assert_ne!(gate.raw(&gate.request("GET", "/mcp", &socket, b"")).status, 101, "there is no other protocol here");
    assert!(upstream.requests().iter().all(|request| request.header("upgrade").is_none()));
}

/// A11, P-I8: headers of Kuadrant's own, sent by a caller, skipped its authentication and chose the server.
#[test]
fn ghsa_g53w_w6mj_hrpp() {
    let (gate, upstream) = one();
    let inner = [
        "router-key",
        "mcp-init-host",
        "x-mcp-toolname",
        "x-mcp-servername",
        "x-forwarded-user",
        "x-auth-request-user",
        "x-remote-user",
        "x-envoy-original-path",
        "x-original-url",
        "x-rewrite-url",
        "x-forwarded-uri",
        "x-internal",
    ];
    for name in inner {
        assert_eq!(gate.post(&[NOBODY, (name, "admin")], PING).status, 401, "{name}");
        assert_eq!(gate.post(&[(name, "evil.example")], PING).status, 200, "{name}");
    }
    for request in upstream.requests() {
        assert!(inner.iter().all(|name| request.header(name).is_none()), "{:?}", request.headers);
    }
}

/// A9, P-I8, P-H9: oauth2-proxy believed underscores, queries and `X-Forwarded-Uri`; Fabio let `Connection` strip what proves
/// who calls; Langflow took `X-Forwarded-For: 127.0.0.1` for itself (CVE-2025-64484, CVE-2026-40575, CVE-2025-48865,
/// CVE-2026-9186).
#[test]
fn cve_2025_54576() {
    let (gate, upstream) = one();
    let tries: [&[(&str, &str)]; 7] = [
        &[("X_Api_Key", crate::gate::KEY)],
        &[("X-Forwarded-Uri", "/health")],
        &[("X-Original-URL", "/health")],
        &[("X-Forwarded-For", "127.0.0.1")],
        &[("Forwarded", "for=127.0.0.1;host=localhost")],
        &[("X-Real-IP", "127.0.0.1")],
        &[("User-Agent", "kube-probe/1.27")],
    ];
    for headers in tries {
        let headers = [headers, &[NOBODY]].concat();
        assert_eq!(gate.post(&headers, PING).status, 401, "{headers:?}");
    }
    for path in ["/mcp?/health", "/mcp?skip=/health/live", "/mcp?api_key=x#/health"] {
        assert_eq!(gate.raw(&gate.request("POST", path, &[NOBODY], PING)).status, 401, "{path}");
    }
    let nominated = gate.post(&[("Connection", "close, Authorization, Host")], PING);
    assert_eq!(nominated.status, 200, "what a client nominates is judged all the same");
    assert!(upstream.requests().iter().all(|request| request.header("authorization").is_none()));
}

/// A11: `MCPHub` took the user's name from the URL.
#[test]
fn ghsa_wf8q_wvv8_p8jf() {
    let (gate, upstream) = one();
    let key = crate::gate::KEY;
    for path in
        [format!("/mcp?api_key={key}"), format!("/mcp?access_token={key}"), format!("/{key}/mcp"), "/admin/mcp".into()]
    {
        assert_eq!(gate.raw(&gate.request("POST", &path, &[NOBODY], PING)).status, 401, "{path}");
    }
    assert_eq!(upstream.requests().len(), 0);
}

/// A11: in one of its modes Docker's gateway never installed its authentication; `ToolHive`'s was declared and not there
/// (GHSA-gc9p-rmpx-vv9j); the Inspector's proxy had none (CVE-2025-49596).
#[test]
fn cve_2026_76092() {
    let upstream = Upstream::echo();
    let dir = tempfile::tempdir().unwrap();
    let mut demo = crate::gate::palisade();
    demo.args(["demo", "--listen", "127.0.0.1:0", "--log-format", "pretty", "--audit-dir"])
        .arg(dir.path().join("audit"));
    let modes = [
        Gate::before(&upstream.url()),
        Gate::run(&[], &["cat"]),
        Gate::configured(&settings(&upstream.url(), "", "")),
        Gate::start(demo, dir),
    ];
    for gate in &modes {
        for path in ["/mcp", "/mcp/stub", "/api/tools", "/api/status"] {
            assert_eq!(gate.raw(&gate.request("POST", path, &[NOBODY], INITIALIZE)).status, 401, "{path}");
            assert_eq!(gate.raw(&gate.request("GET", path, &[NOBODY], b"")).status, 401, "{path}");
        }
    }
    assert_eq!(upstream.requests().len(), 0);
}

/// I2: commands came from callers: `LiteLLM`'s and mcp-bridge's endpoints that start a server (CVE-2026-30623,
/// GHSA-wvr4-3wq4-gpc5), Docker's dynamic tools that mount a folder (CVE-2026-76099), the OX class (CVE-2026-30615).
#[test]
fn cve_2026_42271() {
    let (gate, upstream) = one();
    let canary = gate.dir.path().join("canary");
    let command = format!(
        r#""command":"touch","args":["{0}"],"cmd":["touch","{0}"],"env":{{"LD_PRELOAD":"{0}"}}"#,
        canary.display()
    );
    let body = format!(
        r#"{{"name":"x","transport":"stdio",{command},"server":{{{command}}},"mcpServers":{{"x":{{{command}}}}}}}"#
    );
    let paths = [
        "/mcp-rest/test/connection",
        "/mcp-rest/test/tools/list",
        "/api/mcp/connect",
        "/api/servers",
        "/servers",
        "/config",
        "/api/config",
        "/mcp/add",
        "/api/tools",
        "/mcp/marketplace",
        "/api/status",
        "/connect",
        "/stdio",
    ];
    for path in paths {
        for method in ["POST", "PUT", "PATCH"] {
            let status = gate.raw(&gate.request(method, path, &[], body.as_bytes())).status;
            assert!(matches!(status, 404 | 405), "{method} {path}: {status}");
        }
    }
    for query in [format!("?command=touch&args={}", canary.display()), "?transportType=stdio&command=touch".into()] {
        let status = gate.raw(&gate.request("GET", &format!("/api/tools{query}"), &[], b"")).status;
        assert!(matches!(status, 200 | 404), "{query}: {status}");
    }
    assert!(crate::children::descendants(gate.pid()).is_empty() && !canary.exists(), "nothing is started");
    assert!(upstream.calls().is_empty());
}

/// C5, P-I12: rmcp took its own headers along to wherever a redirect led (CVE-2026-64684).
#[test]
fn ghsa_9g45_5xwm_f3wc() {
    let elsewhere = Upstream::echo();
    let target = elsewhere.url();
    let rogue = Rogue::doing(says(format!("HTTP/1.1 307 Gone\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n")));
    let own = format!("{}\nheaders = {{ x-team = \"canary\" }}", rogue.url());
    let text = settings("URL", "", "").replace("url = \"URL\"", &format!("url = \"{}", own.replacen('\n', "\"\n", 1)));
    let gate = Gate::configured(&text);
    assert_eq!(gate.post(&[], PING).code(), "MCP-003");
    assert_eq!((rogue.requests(), elsewhere.requests().len()), (1, 0));
}

/// A9, P-I8: a request inside a request: what follows a body that two lengths disagree on must never be one of its own.
#[test]
fn http_request_smuggling() {
    let (gate, upstream) = one();
    let host = gate.address;
    let key = crate::gate::KEY;
    let inner = format!(
        "POST /mcp HTTP/1.1\r\nHost: {host}\r\nX-Api-Key: {key}\r\nContent-Type: application/json\r\nContent-Length: 40\r\n\r\n"
    );
    let heads = [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: xchunked\r\nContent-Length: 5\r\n",
        "Transfer-Encoding : chunked\r\nContent-Length: 5\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: 5, 5\r\nX: y\r\n",
    ];
    for head in heads {
        let mut stream = gate.connect();
        let outer = format!(
            "POST /mcp HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n{head}\r\n0\r\n\r\n{inner}"
        );
        drop(stream.write_all(outer.as_bytes()));
        drop(stream.write_all(PING));
        stream.shutdown(std::net::Shutdown::Write).ok();
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer));
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(!answer.contains("\"result\""), "{head}: {answer}");
    }
    assert_eq!(upstream.requests().len(), 0);
}
