//! Over Streamable HTTP, in both eras.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use serde_json::{Value, json};

use crate::peer::{Peer, call, initialize, stateless};

struct Endpoint {
    _peer: Peer,
    address: String,
    host: String,
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Endpoint {
    fn start() -> Self {
        let peer = Peer::start(&["all", "--listen", "127.0.0.1:0"]);
        let line = peer.next_error_line();
        let address = line.strip_prefix("listening on http://").and_then(|rest| rest.strip_suffix("/mcp"));
        let address = address.unwrap_or_else(|| panic!("not an address: {line}")).to_owned();
        Self { _peer: peer, host: address.clone(), address }
    }

    fn post(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
        let body = body.to_string();
        let mut head = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Accept: application/json, text/event-stream\r\nContent-Length: {}\r\n",
            self.host,
            body.len()
        );
        head.extend(headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")));
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(format!("{head}\r\n{body}").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }
}

impl Answer {
    /// The JSON-RPC message with that id, plain or as an event of a stream.
    fn message(&self, id: &Value) -> Value {
        let lines = self.body.lines().map(|line| line.strip_prefix("data:").unwrap_or(line).trim());
        lines
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .find(|message| message["id"] == *id)
            .unwrap_or_else(|| panic!("no answer: {} {}", self.status, self.body))
    }
}

/// A1: stateless requests are answered one by one, and share one stored state.
#[test]
fn the_stateless_revision_is_served() {
    let endpoint = Endpoint::start();
    let headers = |method, name| [("MCP-Protocol-Version", "2026-07-28"), ("Mcp-Method", method), ("Mcp-Name", name)];
    let discover = stateless(json!({ "jsonrpc": "2.0", "id": 7, "method": "server/discover", "params": {} }));
    let found = endpoint.post("/mcp", &headers("server/discover", "")[..2], &discover).message(&json!(7));
    assert!(found["result"]["supportedVersions"].as_array().unwrap().contains(&json!("2026-07-28")), "{found}");

    let set = stateless(call(1, "storage.shared_state.set", &json!({ "key": "k", "value": 5 })));
    endpoint.post("/mcp", &headers("tools/call", "storage.shared_state.set"), &set).message(&json!(1));
    let get = stateless(call(2, "storage.shared_state.get", &json!({ "key": "k" })));
    let read = endpoint.post("/mcp", &headers("tools/call", "storage.shared_state.get"), &get).message(&json!(2));
    assert_eq!(read["result"]["structuredContent"]["value"], 5, "{read}");
}

/// A1: the sessions era has its session.
#[test]
fn sessions_are_served() {
    let endpoint = Endpoint::start();
    let opened = endpoint.post("/mcp", &[], &initialize("2025-06-18"));
    assert_eq!(opened.message(&json!(0))["result"]["protocolVersion"], "2025-06-18");
    let session = opened.head.lines().find_map(|line| line.strip_prefix("mcp-session-id: ")).unwrap();
    let headers = [("Mcp-Session-Id", session), ("MCP-Protocol-Version", "2025-06-18")];
    let initialized = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    assert_eq!(endpoint.post("/mcp", &headers, &initialized).status, 202);
    let answer = endpoint.post("/mcp", &headers, &call(1, "calculator", &json!({ "expression": "6*7" })));
    assert_eq!(answer.message(&json!(1))["result"]["structuredContent"]["result"], "42");
}

/// A5, A6: another path is not found; a web page or another host name is turned away.
#[test]
fn only_the_endpoint_is_served() {
    let endpoint = Endpoint::start();
    assert_eq!(endpoint.post("/", &[], &initialize("2025-06-18")).status, 404);
    let from_a_page = endpoint.post("/mcp", &[("Origin", "https://example.com")], &initialize("2025-06-18"));
    assert_eq!(from_a_page.status, 403);
    let renamed = Endpoint { host: "attacker.example".to_owned(), ..endpoint };
    assert_eq!(renamed.post("/mcp", &[], &initialize("2025-06-18")).status, 403);
}
