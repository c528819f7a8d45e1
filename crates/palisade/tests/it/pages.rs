//! What the gateway serves itself, and what it logs.

use std::process::Command;

use crate::gate::{Gate, KEY, lines, palisade};
use crate::upstream::Upstream;

/// A11: health and the front page need no key, and tell no versions and no counts.
#[test]
fn public_pages_tell_little() {
    let upstream = Upstream::echo();
    let gate = Gate::before(&upstream.url());
    for path in ["/health", "/health/live", "/health/ready"] {
        let answer = gate.raw(&gate.request("GET", path, &[("Authorization", ""), ("Host", "10.1.2.3")], b""));
        assert_eq!((answer.status, answer.text().as_str()), (200, r#"{"status":"up"}"#), "{path}, by whatever name");
        assert_eq!(gate.raw(&gate.request("POST", path, &[], b"")).status, 405);
    }
    let page = gate.raw(&gate.request("GET", "/", &[("Authorization", "")], b""));
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(page.text().contains("/mcp") && !page.text().contains("<script"));
    assert!(!page.text().contains(env!("CARGO_PKG_VERSION")), "no versions");
    assert!(page.header("content-security-policy").is_some_and(|policy| policy.starts_with("default-src 'none'")));
    assert!(upstream.requests().is_empty());
    let health =
        |url: &str| Command::new(env!("CARGO_BIN_EXE_palisade")).args(["health", url]).status().unwrap().code();
    assert_eq!(health(&format!("http://{}", gate.address)), Some(0));
    assert_eq!(health("http://127.0.0.1:1"), Some(1));
}

/// A12: tools the caller may see, the state of the gateway, the catalogue of servers; each for whom it concerns.
#[test]
fn private_pages_tell_the_truth() {
    let upstream = Upstream::echo();
    let other = "dQ7wE2rT5yU8iO1pA4sD6fG9hJ3kL0zX";
    let text = crate::edge::config(&upstream.url(), "").replace(
        "[servers.stub]",
        &format!("[[auth.keys]]\nname = \"narrow\"\nkey = \"{other}\"\nservers = [\"down\"]\n[servers.down]\nurl = \"http://127.0.0.1:1/mcp\"\n[servers.stub]"),
    );
    let gate = Gate::configured(&text);
    let get = |path: &str, key: &str| {
        gate.raw(&gate.request("GET", path, &[("Authorization", &format!("Bearer {key}"))], b""))
    };
    let tools = get("/api/tools", KEY).json();
    assert_eq!((&tools["tools"][0]["name"], &tools["tools"][0]["server"]), (&"echo".into(), &"stub".into()));
    assert_eq!(tools["unavailable"], serde_json::json!(["down"]), "a server that does not answer is named, not hidden");
    assert_eq!(get("/api/tools", other).json()["tools"], serde_json::json!([]));
    let names = |key: &str| get("/mcp/marketplace", key).json()["servers"].as_array().unwrap().len();
    assert_eq!((names(KEY), names(other)), (2, 1));
    for (method, path) in [
        ("POST", "/mcp/stub"),
        ("GET", "/mcp/stub"),
        ("DELETE", "/mcp/stub"),
        ("PUT", "/mcp/stub"),
        ("POST", "/mcp/none"),
    ] {
        let bearer = format!("Bearer {other}");
        let answer = gate.raw(&gate.request(method, path, &[("Authorization", &bearer)], b"{"));
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (404, "MCP-008"),
            "{method} {path}: what one may not call does not exist"
        );
    }
    let status = get("/api/status", KEY).json();
    assert_eq!(status["status"], "up");
    assert!(status["uptime_seconds"].is_u64() && status["memory_bytes"].as_u64().unwrap() > 1_000_000);
    assert!(status["requests"]["total"].as_u64().unwrap() > 5);
    assert!(status["security_events"].is_object() && status["journal"]["down"] == false);
    for path in ["/api/tools", "/api/status", "/mcp/marketplace"] {
        assert!(!get(path, KEY).text().contains(KEY), "{path}");
        assert_eq!(gate.raw(&gate.request("POST", path, &[], b"{}")).status, 405);
    }
}

/// H5: logs are JSON or for people, with the correlation id of the call in each line, and without a key.
#[test]
fn logs_name_the_call() {
    let upstream = Upstream::echo();
    let gate = Gate::before(&upstream.url());
    let wrong = "wR0nG3nB7qW9eR2tY5uI8oP1sD4fG6hJ0";
    let answer = gate.post(&[("Authorization", &format!("Bearer {wrong}"))], b"{}");
    let id = answer.header("x-correlation-id").unwrap().to_owned();
    let log = crate::gate::until("the line of the refusal", || {
        let log = gate.log.lock().unwrap().clone();
        log.contains(&id).then_some(log)
    });
    assert!(!log.contains(wrong) && !log.contains(KEY));

    let dir = tempfile::tempdir().unwrap();
    let mut line = palisade();
    line.args(["run", "--listen", "127.0.0.1:0", "--log-format", "json", "--url", &upstream.url(), "--audit-dir"]);
    let output = line.arg(dir.path().join("audit")).env("PORT", "not a port").output().unwrap();
    assert_eq!(output.status.code(), Some(78), "a fault is a fault in every format");
    assert!(
        lines_of_json_log(&upstream, dir.path())
            .iter()
            .any(|event| event["url"].as_str().is_some_and(|url| url.starts_with("http://")))
    );
}

/// Starts with JSON logs, stops, and returns the events.
fn lines_of_json_log(upstream: &Upstream, dir: &std::path::Path) -> Vec<serde_json::Value> {
    use std::io::{BufRead, BufReader};
    let mut line = palisade();
    line.args(["run", "--listen", "127.0.0.1:0", "--log-format", "json", "--url", &upstream.url(), "--audit-dir"]);
    let mut child = line.arg(dir.join("second")).stderr(std::process::Stdio::piped()).spawn().unwrap();
    let mut events = Vec::new();
    for text in BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok) {
        // The greeting for people stands beside the events.
        if let Ok(event) = serde_json::from_str::<serde_json::Value>(&text) {
            if event["message"] == "listening" {
                crate::gate::signal(child.id(), "TERM");
            }
            events.push(event);
        }
    }
    assert!(child.wait().unwrap().success());
    assert!(!lines(&dir.join("second")).is_empty());
    events
}
