//! Sessions with several servers, and servers that are broken.

use std::io::Write;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Caller, SERVER, gate, http, stdio};
use crate::gate::{OTHER, until};
use crate::harness::built;
use crate::streams::read_until;
use crate::upstream::Upstream;

/// A3: a server that is down, and one that never answers, are missing from a list, which says so; the others are not
/// harmed, and a name that only a silent server had stays its own.
#[test]
fn a_broken_server_harms_nobody() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent_url = format!("http://{}/mcp", silent.local_addr().unwrap());
    let html = Upstream::scripted(Box::new(|_| {
        b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 2\r\n\r\nhi".to_vec()
    }));
    let servers = [
        http("dead", "http://127.0.0.1:1/mcp"),
        stdio("good", &json!({"tools": ["read"]})),
        http("html", &html.url()),
        http("silent", &silent_url),
    ];
    let gate = gate(&servers, "[aggregate]\ntimeout = \"2s\"\n", &["good"]);
    for caller in Caller::both(&gate) {
        let result = caller.result("tools/list", json!({}));
        assert_eq!(result["tools"].as_array().unwrap().len(), 1, "{result}");
        let partial = result["_meta"]["dev.palisade/partial"].as_array().unwrap();
        let missing: Vec<_> = partial.iter().map(|entry| entry["server"].as_str().unwrap()).collect();
        assert_eq!(missing, ["dead", "html", "silent"], "{result}");
        assert_eq!(partial[2]["code"], "MCP-004", "{result}");
        assert_eq!(result["tools"][0]["name"], "good.read", "the others may have the same");
        assert_eq!(caller.call("good.read"), "good ran read {\"n\": 1}");
        assert_eq!(caller.ask("tools/call", json!({"name": "dead.read", "arguments": {}})).code(), "MCP-003");
    }
    until("the log to say so", || gate.log.lock().unwrap().contains("a list goes without it").then_some(()));
}

/// A3: a server that was late holds up one list, not each; when it has come up, the client hears that lists have changed.
#[test]
fn a_late_server_holds_up_one_list() {
    let folder = tempfile::tempdir().unwrap();
    let go = folder.path().join("go");
    let late = SERVER.replace(
        "for line in sys.stdin:",
        "import os\nwhile not os.path.exists(sys.argv[3]):\n    time.sleep(0.02)\nfor line in sys.stdin:",
    );
    let command = json!(["python3", "-c", late, "late", json!({"tools": ["slow"]}).to_string(), go]);
    let servers = [format!("[servers.late]\ncommand = {command}\n"), stdio("quick", &json!({"tools": ["read"]}))];
    let gate = gate(&servers, "[aggregate]\ntimeout = \"10s\"\n", &[]);
    let caller = Caller::legacy(&gate);
    let headers = [("Mcp-Session-Id", caller.session.as_deref().unwrap()), ("Accept", "text/event-stream")];
    let mut standing = gate.connect();
    standing.write_all(&gate.request("GET", "/mcp", &headers, b"")).unwrap();
    let started = Instant::now();
    for _ in 0..4 {
        assert_eq!(caller.names("tools/list", "tools", "name"), ["quick.read"], "the late one may have the same");
    }
    assert!(started.elapsed() < Duration::from_secs(25), "four lists waited {:?}", started.elapsed());
    std::fs::write(&go, "").unwrap();
    read_until(&mut standing, "notifications/tools/list_changed");
    assert_eq!(caller.names("tools/list", "tools", "name"), ["slow", "read"]);
}

/// A3: if no server answers, a list is an error.
#[test]
fn nobody_answers() {
    let gate = gate(&[http("a", "http://127.0.0.1:1/mcp"), http("b", "http://127.0.0.1:1/mcp")], "", &["a"]);
    for caller in Caller::both(&gate) {
        assert_eq!(caller.ask("tools/list", json!({})).code(), "MCP-003");
    }
}

/// A3, A1: both eras through dual servers and a legacy one side by side; a session ends for all of them.
#[test]
fn a_session_joins_servers_of_both_eras() {
    let fixture = built("palisade-fixture");
    let dual = format!("[servers.fixture]\ncommand = {}\n", json!([fixture.to_str().unwrap(), "--stdio"]));
    let gate = gate(&[dual, stdio("old", &json!({"tools": ["read"]}))], "", &["old"]);
    for caller in Caller::both(&gate) {
        let names = caller.names("tools/list", "tools", "name");
        assert!(names.contains(&"read".to_owned()) && names.contains(&"test_simple_text".to_owned()), "{names:?}");
        assert_eq!(caller.call("read"), "old ran read {\"n\": 1}");
        assert!(!caller.call("test_simple_text").is_empty());
        if let Some(session) = &caller.session {
            let headers = [("Mcp-Session-Id", session.as_str()), ("MCP-Protocol-Version", "2025-11-25")];
            assert_eq!(gate.raw(&gate.request("DELETE", "/mcp", &headers, b"")).status, 200);
            assert_eq!(caller.ask("tools/list", json!({})).status, 404, "the session has ended");
        }
    }
}

/// A3: the session of one caller is nobody else's, and none of one server's.
#[test]
fn a_joined_session_is_sealed() {
    let files = stdio("files", &json!({"tools": ["read"]}));
    let gate = gate(&[files, stdio("search", &json!({}))], "", &["files", "search"]);
    let mine = Caller::legacy(&gate);
    let stolen = Caller { gate: &gate, key: OTHER, session: mine.session.clone() };
    assert_eq!(stolen.ask("tools/list", json!({})).status, 404);
    let headers = [("Mcp-Session-Id", mine.session.as_deref().unwrap())];
    let body = br#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    assert_eq!(gate.raw(&gate.request("POST", "/mcp/files", &headers, body)).status, 404, "on another route");
    assert_eq!(mine.call("read"), "files ran read {\"n\": 1}", "the owner is unharmed");
}

const HELLO: &[u8] = br#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"0"}}}"#;

/// A3, D3: sessions have a bound, and a client that has no place hears so. No caller has more than half of them: who
/// opens them without end stands in nobody's way.
#[test]
fn sessions_are_bounded() {
    let servers = [stdio("files", &json!({})), stdio("search", &json!({}))];
    let gate = gate(&servers, "[aggregate]\nmax_sessions = 5\n", &["files", "search"]);
    let first = gate.initialize("2025-11-25");
    gate.initialize("2025-06-18");
    let bearer = format!("Bearer {OTHER}");
    let other = || gate.post(&[("Authorization", &bearer)], HELLO).status;
    assert_eq!(gate.post(&[], HELLO).status, 503, "its share");
    assert_eq!([other(), other(), other()], [200, 200, 503], "there is room for another caller, and a share");
    let headers = [("Mcp-Session-Id", first.as_str())];
    assert_eq!(gate.raw(&gate.request("DELETE", "/mcp", &headers, b"")).status, 200);
    let long = String::from_utf8_lossy(HELLO).replace("\"t\"", &format!("\"{}\"", "t".repeat(65 << 10)));
    assert_eq!(gate.post(&[], long.as_bytes()).status, 413, "it would be kept, and said to each server");
    assert_eq!(gate.post(&[], HELLO).status, 200, "there is a place again");
}

/// A3, D3: the same for sessions that hold a child, also while it starts.
#[test]
fn children_are_shared_out() {
    let gate = gate(&[stdio("files", &json!({})) + "max_sessions = 2\n"], "", &["files"]);
    let bearer = format!("Bearer {OTHER}");
    assert_eq!(gate.post(&[], HELLO).status, 200);
    let full = gate.post(&[], HELLO);
    assert_eq!((full.status, full.json()["error"]["data"]["details"]["limit"].as_u64()), (503, Some(1)));
    assert_eq!(gate.post(&[("Authorization", &bearer)], HELLO).status, 200, "another caller has a place");
}

/// A3: a server that forgot its session gets a new one, and the client does not notice.
#[test]
fn a_forgotten_session_is_opened_again() {
    let forgetful = Upstream::scripted(Box::new(|request| {
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let sessions = request.header("mcp-session-id").map_or(0, str::len);
        let (head, result) = match request.method().as_str() {
            "initialize" => {
                // A new name each time, longer by one.
                static NAMES: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(1);
                let name = "s".repeat(NAMES.fetch_add(1, std::sync::atomic::Ordering::SeqCst));
                let info = json!({"name": "forgetful", "version": "0"});
                (
                    format!("mcp-session-id: {name}\r\n"),
                    json!({"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": info}),
                )
            }
            "tools/list" if sessions > 0 => {
                (String::new(), json!({"tools": [{"name": "read", "inputSchema": {"type": "object"}}]}))
            }
            // The second session is forgotten when it is used: the first is the gateway's own.
            "tools/call" if sessions == 2 => return b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_vec(),
            "tools/call" => (String::new(), json!({"content": [{"type": "text", "text": sessions.to_string()}]})),
            "notifications/initialized" => return b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n".to_vec(),
            _ => return b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n".to_vec(),
        };
        let body = json!({"jsonrpc": "2.0", "id": body["id"], "result": result}).to_string();
        format!(
            "HTTP/1.1 200 OK\r\n{head}content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    }));
    let gate = gate(&[http("forgetful", &forgetful.url()), stdio("files", &json!({}))], "", &[]);
    let caller = Caller::legacy(&gate);
    assert_eq!(caller.names("tools/list", "tools", "name"), ["read"]);
    assert_eq!(caller.call("read"), "3", "in a third session");
    let lines = gate.journal();
    let closing = lines.iter().filter(|line| line["kind"] == "closing" && line["name"] == "read");
    let decisions: Vec<_> = closing.map(|line| &line["decision"]).collect();
    assert_eq!(decisions, [&json!("allowed")]);
    let intents = lines.iter().filter(|line| line["kind"] == "intent" && line["name"] == "read");
    assert_eq!(intents.count(), 1, "one call has one intent, however often it is sent");
}
