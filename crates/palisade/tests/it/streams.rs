//! Streams of line-speaking servers: resumed by their owner, and never mixed between callers.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::gate::{Answer, Gate, KEY, OTHER, until};

/// A legacy server: on `slow` it reports progress, then waits for `go` before it answers.
const SLOW: &str = r#"
import sys, json
def say(message):
    print(json.dumps(message), flush=True)
waiting = None
for line in sys.stdin:
    message = json.loads(line)
    method, id = message.get("method"), message.get("id")
    if method == "initialize":
        say({"jsonrpc": "2.0", "id": id, "result": {"protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {"name": "n", "version": "0"}}})
    elif method == "tools/call" and message["params"]["name"] == "slow":
        waiting = id
        say({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": "t", "progress": 1}})
    elif method == "tools/call":
        say({"jsonrpc": "2.0", "id": waiting, "result": {"content": [{"type": "text", "text": "slow is done"}]}})
        say({"jsonrpc": "2.0", "id": id, "result": {"content": []}})
    elif method == "ping":
        say({"jsonrpc": "2.0", "id": "s1", "method": "roots/list"})
        say({"jsonrpc": "2.0", "id": id, "result": {}})
    elif id is not None and method is None:
        say({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": message["result"]}})
"#;

/// Reads a stream until it holds `text`.
pub(crate) fn read_until(stream: &mut TcpStream, text: &str) -> String {
    let mut seen = Vec::new();
    let mut chunk = [0; 4096];
    while !String::from_utf8_lossy(&seen).contains(text) {
        let read = stream.read(&mut chunk).unwrap();
        assert!(read > 0, "the stream ended without {text:?}: {}", String::from_utf8_lossy(&seen));
        seen.extend_from_slice(&chunk[..read]);
    }
    String::from_utf8_lossy(&seen).into_owned()
}

fn call(id: u32, name: &str) -> Vec<u8> {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{name}","arguments":{{}},"_meta":{{"progressToken":"t"}}}}}}"#).into_bytes()
}

/// A1: leaving is not cancelling: the answer is kept, and the owner comes back for it with the last event it saw.
#[test]
fn a_broken_stream_is_resumed() {
    let gate = Gate::run(&[], &["python3", "-c", SLOW]);
    let session = gate.initialize("2025-11-25");
    let headers = [("Mcp-Session-Id", session.as_str()), ("MCP-Protocol-Version", "2025-11-25")];
    let mut leaving = gate.connect();
    leaving.write_all(&gate.request("POST", "/mcp", &headers, &call(7, "slow"))).unwrap();
    let seen = read_until(&mut leaving, "notifications/progress");
    let last = seen.lines().find_map(|line| line.strip_prefix("id: ")).expect("an event id").to_owned();
    drop(leaving);
    assert_eq!(gate.post(&headers, &call(8, "go")).status, 200);

    let resume = [headers[0], headers[1], ("Last-Event-ID", last.as_str())];
    let mut back = gate.connect();
    back.write_all(&gate.request("GET", "/mcp", &resume, b"")).unwrap();
    let rest = read_until(&mut back, "slow is done");
    assert!(!rest.contains("notifications/progress"), "nothing twice: {rest}");
    for wrong in ["nonsense", "9-x"] {
        let resume = [headers[0], headers[1], ("Last-Event-ID", wrong)];
        assert_eq!(gate.raw(&gate.request("GET", "/mcp", &resume, b"")).status, 400, "{wrong}");
    }
}

/// A1, P-D18: a request that was taken back ends, and takes no place any more.
#[test]
fn a_cancelled_request_ends() {
    let gate = Gate::run(&[], &["python3", "-c", SLOW]);
    let session = gate.initialize("2025-11-25");
    let headers = [("Mcp-Session-Id", session.as_str())];
    for id in 10..280 {
        let mut waiting = gate.connect();
        waiting.write_all(&gate.request("POST", "/mcp", &headers, &call(id, "slow"))).unwrap();
        read_until(&mut waiting, "notifications/progress");
        let cancel = format!(r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id}}}}}"#);
        assert_eq!(gate.post(&headers, cancel.as_bytes()).status, 202);
        let mut rest = Vec::new();
        waiting.read_to_end(&mut rest).unwrap();
    }
    assert_eq!(gate.post(&headers, br#"{"jsonrpc":"2.0","id":5,"method":"ping"}"#).status, 200);
}

/// A1: a request of the server reaches the client, and only the response it waits for goes back.
#[test]
fn server_requests_make_the_round() {
    let gate = Gate::run(&[], &["python3", "-c", SLOW]);
    let session = gate.initialize("2025-11-25");
    let headers = [("Mcp-Session-Id", session.as_str())];
    let mut standing = gate.connect();
    standing.write_all(&gate.request("GET", "/mcp", &headers, b"")).unwrap();
    read_until(&mut standing, "text/event-stream");
    let answer = gate.post(&headers, br#"{"jsonrpc":"2.0","id":5,"method":"ping"}"#);
    let asked = answer.json();
    assert!(asked.to_string().contains("roots/list"), "{asked}");
    let forged = gate.post(&headers, br#"{"jsonrpc":"2.0","id":"s2","result":{"roots":[]}}"#);
    assert_eq!(forged.status, 400, "no such request: {}", forged.text());
    let told = gate.post(&headers, br#"{"jsonrpc":"2.0","id":"s1","result":{"roots":["mine"]}}"#);
    assert_eq!(told.status, 202, "{}", told.text());
    read_until(&mut standing, "mine");
    let again = gate.post(&headers, br#"{"jsonrpc":"2.0","id":"s1","result":{"roots":[]}}"#);
    assert_eq!(again.status, 400, "answered once");
}

/// A modern server that answers two calls in the wrong order, each with who asked.
const SHARED: &str = r#"
import sys, json
held = []
for line in sys.stdin:
    message = json.loads(line)
    method, id, params = message.get("method"), message.get("id"), message.get("params", {})
    if method == "server/discover":
        print(json.dumps({"jsonrpc": "2.0", "id": id, "result": {"resultType": "complete", "supportedVersions": ["2026-07-28"], "capabilities": {}, "serverInfo": {"name": "n", "version": "0"}}}), flush=True)
    elif method == "tools/list":
        print(json.dumps({"jsonrpc": "2.0", "id": id, "result": {"resultType": "complete", "tools": []}}), flush=True)
    elif method == "tools/call":
        held.append((id, params))
        if len(held) == 2:
            for id, params in reversed(held):
                token = params["_meta"]["progressToken"]
                print(json.dumps({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": token, "progress": 1, "message": params["arguments"]["who"]}}), flush=True)
                print(json.dumps({"jsonrpc": "2.0", "id": id, "result": {"resultType": "complete", "content": [], "who": params["arguments"]["who"]}}), flush=True)
            held = []
"#;

/// A3, P-D20: two callers of one shared child use the same ids and tokens, and each gets its own answer under its own id.
#[test]
fn equal_ids_are_not_mixed() {
    callers_may_choose_one_id(&["1", "\"x\\n1\""]);
}

/// Checks it for each of these ids.
pub(crate) fn callers_may_choose_one_id(ids: &[&str]) {
    let gate = Gate::for_two(&["python3", "-c", SHARED]);
    let send = |key: &str, who: &str, id: &str| {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"a","arguments":{{"who":"{who}"}},"_meta":{{"progressToken":"same","io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{{}}}}}}}}"#
        );
        let bearer = format!("Bearer {key}");
        let headers = [
            ("Authorization", bearer.as_str()),
            ("MCP-Protocol-Version", "2026-07-28"),
            ("Mcp-Method", "tools/call"),
            ("Mcp-Name", "a"),
        ];
        let mut stream = gate.connect();
        stream.write_all(&gate.request("POST", "/mcp", &headers, body.as_bytes())).unwrap();
        stream
    };
    for id in ids {
        let (mut alice, mut bob) = (send(KEY, "alice", id), send(OTHER, "bob", id));
        for (stream, who) in [(&mut alice, "alice"), (&mut bob, "bob")] {
            let messages = Answer::read(stream).json();
            let text = messages.to_string();
            let last = messages.as_array().unwrap().last().unwrap();
            assert_eq!(last["id"], serde_json::from_str::<serde_json::Value>(id).unwrap(), "{text}");
            assert_eq!(last["result"]["who"], who, "{text}");
            assert_eq!(messages[0]["params"]["progressToken"], "same", "the caller's own token: {text}");
            assert!(!text.contains(if who == "alice" { "bob" } else { "alice" }), "{text}");
        }
    }
}

/// P-I12, A3: an upstream that encodes, redirects, answers with a page or with another's id is not passed on.
#[test]
fn hostile_answers_are_not_passed_on() {
    use crate::upstream::{Upstream, json};
    let answers: [(&str, Vec<u8>); 7] = [
        ("gzip", json("200 OK", "Content-Encoding: gzip\r\n", r#"{"jsonrpc":"2.0","id":1,"result":{"canary":1}}"#)),
        ("redirect", b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n".to_vec()),
        ("page", b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\ncanary".to_vec()),
        ("id", json("200 OK", "", r#"{"jsonrpc":"2.0","id":2,"result":{"canary":1}}"#)),
        ("keys", json("200 OK", "", r#"{"jsonrpc":"2.0","id":1,"result":{"canary":1,"canary":2}}"#)),
        ("demand", b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer canary\r\nContent-Length: 0\r\n\r\n".to_vec()),
        ("stream", b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\ndata: {\"jsonrpc\":\"2.0\",\"id\":9,\"result\":{\"canary\":1}}\n\n".to_vec()),
    ];
    for (name, bytes) in answers {
        let upstream = Upstream::scripted(Box::new(move |_| bytes.clone()));
        let gate = Gate::before(&upstream.url());
        let answer = gate.post(&[], br#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#);
        let text = answer.text();
        assert!(text.contains("MCP-003") || text.contains("MCP-009"), "{name}: {} {text}", answer.status);
        assert!(text.contains("\"id\":1") && !text.contains("canary"), "{name}: {text}");
        assert!(answer.headers.iter().all(|(_, value)| !value.contains("canary")), "{name}");
        until("one request", || (upstream.requests().len() == 1).then_some(()));
        assert!(gate.journal().iter().any(|line| line["kind"] == "closing"), "{name}");
    }
}
