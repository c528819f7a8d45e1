//! Servers of the aggregate that mean harm to those beside them, and callers who lose one of them.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::{Caller, gate, http, stdio, two};
use crate::gate::{Gate, KEY, until};
use crate::hostile::rogue::Rogue;
use crate::streams::read_until;
use crate::upstream::{Request, Upstream, result};

fn message(body: &Value) -> Vec<u8> {
    let body = body.to_string();
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len())
        .into_bytes()
}

fn events(events: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n{events}").into_bytes()
}

/// A legacy server with one tool.
fn tool(request: &Request, name: &str) -> Option<Vec<u8>> {
    let id = serde_json::from_slice::<Value>(&request.body).unwrap_or_default()["id"].clone();
    let result = match request.method().as_str() {
        "initialize" => {
            json!({"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": {"name": name, "version": "0"}})
        }
        "tools/list" => json!({"tools": [{"name": name, "inputSchema": {"type": "object"}}]}),
        "notifications/initialized" => return Some(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n".to_vec()),
        _ => return None,
    };
    Some(message(&json!({"jsonrpc": "2.0", "id": id, "result": result})))
}

/// A3, P-J1: in the rest of a broken stream a server answers its own calls, and none that another server has.
#[test]
fn a_server_answers_in_no_others_name() {
    let forger = Rogue::doing(|request, stream| {
        if let Some(answer) = tool(request, "forge") {
            return stream.write_all(&answer).is_ok();
        }
        let answer = |id: u32, text: &str| {
            let message = json!({"jsonrpc": "2.0", "id": id, "result": {"content": [{"type": "text", "text": text}]}});
            format!("id: e{id}\ndata: {message}\n\n")
        };
        let said = match request.header("last-event-id") {
            Some("e1") => answer(21, "forged") + &answer(20, "honest"),
            _ => "id: e1\ndata:\n\n".to_owned(),
        };
        drop(stream.write_all(&events(&said)));
        false
    });
    let files = stdio("files", &json!({"tools": ["ask"]}));
    let gate = gate(&[files, http("forger", &forger.url())], "", &[]);
    let caller = Caller::legacy(&gate);
    let mut asked = gate.connect();
    asked.write_all(&caller.request(21, "tools/call", json!({"name": "files.ask", "arguments": {}}))).unwrap();
    read_until(&mut asked, "roots/list");
    let broken = gate.raw(&caller.request(20, "tools/call", json!({"name": "forger.forge", "arguments": {}})));
    assert!(broken.text().contains("forger:e1"), "{}", broken.text());
    let session = caller.session.as_deref().unwrap();
    let headers = [("Mcp-Session-Id", session), ("Accept", "text/event-stream"), ("Last-Event-ID", "forger:e1")];
    let rest = gate.raw(&gate.request("GET", "/mcp", &headers, b"")).text();
    assert!(rest.contains("honest") && !rest.contains("forged"), "{rest}");
}

/// A3, P-D20: progress comes from the server that has the call alone: none may tell of a call that another server has.
#[test]
fn a_server_tells_of_its_own_calls() {
    let forger = Rogue::doing(|request, stream| {
        if let Some(answer) = tool(request, "forge") {
            return stream.write_all(&answer).is_ok();
        }
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let progress = |token: &str| {
            let params = json!({"progressToken": token, "progress": 1});
            format!("data: {}\n\n", json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": params}))
        };
        let answer = json!({"jsonrpc": "2.0", "id": body["id"], "result": {"content": []}});
        let said = progress("theirs") + &progress("mine") + &format!("data: {answer}\n\n");
        drop(stream.write_all(&events(&said)));
        false
    });
    let files = stdio("files", &json!({"tools": ["write"]}));
    let gate = gate(&[files, http("forger", &forger.url())], "", &[]);
    let caller = Caller::legacy(&gate);
    let call = |tool: &str, token: &str| {
        let params = json!({"name": tool, "arguments": {}, "_meta": {"progressToken": token}});
        let answer = caller.ask("tools/call", params).json();
        let messages = answer.as_array().unwrap();
        messages.iter().filter_map(|message| message["params"]["progressToken"].as_str()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(call("files.write", "theirs"), "theirs");
    assert_eq!(call("forger.forge", "mine"), "mine");
}

/// A3: what a caller says beside a list is said to every server only as far as the protocol asks for it, and the trace.
#[test]
fn a_list_tells_every_server_no_more_than_it_must() {
    let modern = |name: &'static str| {
        Upstream::scripted(Box::new(move |request| {
            let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
            let result = match request.method().as_str() {
                "tools/list" => json!({"tools": [{"name": name, "inputSchema": {"type": "object"}}]}),
                _ => json!({"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}}),
            };
            message(&json!({"jsonrpc": "2.0", "id": body["id"], "result": result}))
        }))
    };
    let servers = [modern("one"), modern("two")];
    let gate = gate(&[http("one", &servers[0].url()), http("two", &servers[1].url())], "", &[]);
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {},
        "progressToken": "mine", "traceparent": trace, "com.example/secret": "s3cret",
    });
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": meta}}).to_string();
    let headers = [("MCP-Protocol-Version", "2026-07-28"), ("Mcp-Method", "tools/list")];
    let listed = gate.post(&headers, body.as_bytes()).json();
    assert_eq!(listed["result"]["tools"].as_array().map(Vec::len), Some(2), "{listed}");
    for server in &servers {
        let lists = server.requests().into_iter().filter(|request| request.method() == "tools/list");
        let said: Vec<Value> = lists.map(|request| serde_json::from_slice(&request.body).unwrap()).collect();
        assert!(said.iter().any(|said| said["params"]["_meta"]["traceparent"] == trace), "{said:?}");
        let text = json!(said).to_string();
        assert!(!text.contains("progressToken") && !text.contains("s3cret"), "{text}");
    }
}

/// A server that never stops talking on its GET stream, and how many listen.
fn talker(name: &'static str) -> (Rogue, Arc<AtomicUsize>) {
    let heard = Arc::new(AtomicUsize::new(0));
    let listened = Arc::clone(&heard);
    let rogue = Rogue::doing(move |request, stream| {
        if let Some(answer) = tool(request, name) {
            return stream.write_all(&answer).is_ok();
        }
        if request.header("accept") != Some("text/event-stream") {
            return stream.write_all(&result(request)).is_ok();
        }
        let word = format!(
            "data: {{\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{{\"level\":\"info\",\"data\":\"{name}\"}}}}\n\n"
        );
        listened.fetch_add(1, Ordering::SeqCst);
        drop(stream.write_all(&events("")));
        while stream.write_all(word.as_bytes()).is_ok() {
            std::thread::sleep(Duration::from_millis(20));
        }
        listened.fetch_sub(1, Ordering::SeqCst);
        false
    });
    (rogue, heard)
}

/// I2, B2, P-B11: a server that joined a stream after it had begun leaves it when its caller may not call it any more; the
/// others go on, and so does that one when the caller may again.
#[test]
fn a_server_that_joined_late_is_withdrawn_too() {
    let talkers = ["first", "late", "second"].map(|name| (name, talker(name)));
    let settings = |may: &[&str]| {
        let servers: String = talkers.iter().map(|(name, (rogue, _))| http(name, &rogue.url())).collect();
        format!(
            "environment = \"development\"\n[listen]\naddress = \"127.0.0.1:0\"\n[log]\nformat = \"pretty\"\n[audit]\ndir = \"DIR/audit\"\n\
             [[auth.keys]]\nname = \"test\"\nkey = \"{KEY}\"\nservers = {}\n{servers}",
            json!(may)
        )
    };
    let gate = Gate::configured(&settings(&["first", "second"]));
    let caller = Caller::legacy(&gate);
    let headers = [("Mcp-Session-Id", caller.session.as_deref().unwrap()), ("Accept", "text/event-stream")];
    let mut standing = gate.connect();
    standing.write_all(&gate.request("GET", "/mcp", &headers, b"")).unwrap();
    read_until(&mut standing, "200 OK");
    caller.ask("tools/call", json!({"name": "first.first", "arguments": {}}));
    read_until(&mut standing, "\"first\"");
    let late = &talkers[1].1.1;
    for version in [2, 4] {
        gate.replace(&settings(&["first", "late", "second"]));
        gate.until_version(version);
        assert_eq!(caller.ask("tools/call", json!({"name": "late.late", "arguments": {}})).status, 200);
        read_until(&mut standing, "\"late\"");
        gate.replace(&settings(&["first", "second"]));
        gate.until_version(version + 1);
        until("the stream to be left", || (late.load(Ordering::SeqCst) == 0).then_some(()));
    }
    read_until(&mut standing, "\"first\"");
    assert_eq!(talkers[0].1.1.load(Ordering::SeqCst), 1);
}

/// R5, D3: a list without an end is read up to a bound, whatever its pages hold.
#[test]
fn an_endless_list_is_not_read_to_its_end() {
    let endless = Upstream::scripted(Box::new(|request| {
        if request.method() != "tools/list" {
            return tool(request, "endless")
                .unwrap_or_else(|| b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n".to_vec());
        }
        let id = serde_json::from_slice::<Value>(&request.body).unwrap()["id"].clone();
        let tool = json!({"name": "endless", "description": "x".repeat(4 << 20), "inputSchema": {"type": "object"}});
        message(&json!({"jsonrpc": "2.0", "id": id, "result": {"tools": [tool], "nextCursor": "on"}}))
    }));
    let gate = gate(&[stdio("files", &json!({"tools": ["read"]})), http("endless", &endless.url())], "", &[]);
    let pages = || endless.requests().iter().filter(|request| request.method() == "tools/list").count();
    let caller = Caller::legacy(&gate);
    let before = pages();
    assert_eq!(caller.ask("tools/list", json!({})).status, 200);
    let read = pages() - before;
    assert!((4..=5).contains(&read), "{read} pages of 4 MiB");
}

/// A3, A5: a server that crashed is in the next list again.
#[test]
fn a_crashed_server_is_listed_again() {
    let gate = two("");
    for caller in Caller::both(&gate) {
        let before = caller.names("tools/list", "tools", "name");
        caller.ask("tools/call", json!({"name": "crash", "arguments": {}}));
        assert_eq!(caller.names("tools/list", "tools", "name"), before);
    }
}
