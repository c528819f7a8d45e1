//! What servers say and ask, on its way to the caller and back.

use std::io::Write;

use serde_json::{Value, json};

use super::{Caller, SERVER, gate, http, stdio, two};
use crate::gate::{KEY, OTHER, until};
use crate::harness::built;
use crate::streams::read_until;
use crate::upstream::Upstream;

/// A3: progress and the answer come under the caller's own ids in both eras.
#[test]
fn progress_finds_its_call() {
    let gate = two("");
    for caller in Caller::both(&gate) {
        let params = json!({"name": "write", "arguments": {}, "_meta": {"progressToken": "mine"}});
        let answer = caller.ask("tools/call", params).json();
        assert_eq!(answer[0]["params"]["progressToken"], "mine", "{answer}");
        assert_eq!(answer[1]["id"], 7, "{answer}");
    }
}

/// A3: requests of two servers with the same id reach the client as two, and its answers go to the one that asked.
#[test]
fn requests_of_servers_are_answered_home() {
    let gate = two("");
    let caller = Caller::legacy(&gate);
    let mut streams: Vec<_> = ["files", "search"]
        .into_iter()
        .zip(20..)
        .map(|(server, id)| {
            let mut stream = gate.connect();
            let params = json!({"name": format!("{server}.ask"), "arguments": {}});
            stream.write_all(&caller.request(id, "tools/call", params)).unwrap();
            let asked = read_until(&mut stream, "roots/list");
            let data =
                asked.lines().find_map(|line| line.strip_prefix("data: ").filter(|data| data.contains("roots/list")));
            let asked: Value = serde_json::from_str(data.unwrap()).unwrap();
            (server, stream, asked["id"].clone())
        })
        .collect();
    assert_ne!(streams[0].2, streams[1].2, "both servers chose 1");
    let session = caller.session.as_deref().unwrap();
    let answer = |id: &Value, server: &str| {
        let body = json!({"jsonrpc": "2.0", "id": id, "result": {"for": server}}).to_string();
        gate.post(&[("Mcp-Session-Id", session)], body.as_bytes()).status
    };
    for (server, stream, id) in streams.iter_mut().rev() {
        assert_eq!(answer(id, server), 202);
        let heard = read_until(stream, "heard");
        assert!(
            heard.contains(&format!("{server} heard")) && heard.contains(&format!("\\\"for\\\": \\\"{server}\\\"")),
            "{heard}"
        );
        assert_eq!(answer(id, server), 400, "answered once");
    }
}

/// A3: what a server says by itself reaches the client's GET stream, also that of a server whose session is opened later;
/// resources have the name that the list gave them.
#[test]
fn notifications_reach_the_standing_stream() {
    let chatty = SERVER.replace(
        "elif method == \"tools/list\":",
        "elif method == \"tools/list\":\n        say({\"method\": \"notifications/tools/list_changed\", \"params\": {\"from\": name}})",
    );
    let server = |name: &str| {
        let command = json!(["python3", "-c", chatty, name, json!({"resources": ["shared://1"]}).to_string()]);
        format!("[servers.{name}]\ncommand = {command}\n")
    };
    let gate = gate(&[server("a"), server("b")], "", &[]);
    let caller = Caller::legacy(&gate);
    let headers = [("Mcp-Session-Id", caller.session.as_deref().unwrap()), ("Accept", "text/event-stream")];
    let mut standing = gate.connect();
    standing.write_all(&gate.request("GET", "/mcp", &headers, b"")).unwrap();
    read_until(&mut standing, "200 OK");
    caller.names("resources/list", "resources", "uri");
    caller.names("tools/list", "tools", "name");
    let heard = read_until(&mut standing, "\"b\"");
    let heard = if heard.contains("\"a\"") { heard } else { heard + &read_until(&mut standing, "\"a\"") };
    assert_eq!(heard.matches("notifications/tools/list_changed").count(), 2, "{heard}");
    let answer = caller.ask("tools/call", json!({"name": "a.change", "arguments": {"uri": "shared://1"}}));
    assert!(answer.text().contains("a+shared://1"), "{}", answer.text());
    let ended = gate.raw(&gate.request("DELETE", "/mcp", &headers[..1], b""));
    assert_eq!(ended.status, 200);
    let mut rest = Vec::new();
    std::io::Read::read_to_end(&mut standing, &mut rest).unwrap();
}

/// A3: a subscription of the aggregate is acknowledged for all servers, and each one's resources under their own names.
#[test]
fn a_subscription_gathers_servers() {
    let fixture = built("palisade-fixture");
    let server =
        |name: &str| format!("[servers.{name}]\ncommand = {}\n", json!([fixture.to_str().unwrap(), "--stdio"]));
    let gate = gate(&[server("one"), server("two"), stdio("old", &json!({"tools": ["read"]}))], "", &[]);
    let caller = Caller::modern(&gate);
    let uris = caller.names("resources/list", "resources", "uri");
    let mine = uris.iter().find(|uri| uri.starts_with("two+")).unwrap();
    let wanted = json!({"toolsListChanged": true, "resourceSubscriptions": [mine]});
    let mut stream = gate.connect();
    stream.write_all(&caller.request(33, "subscriptions/listen", json!({"notifications": wanted}))).unwrap();
    let first = read_until(&mut stream, "acknowledged");
    let data = first.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
    let acknowledged: Value = serde_json::from_str(data).unwrap();
    assert_eq!(acknowledged["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], 33, "{acknowledged}");
    assert_eq!(acknowledged["params"]["notifications"]["resourceSubscriptions"], json!([mine]), "{acknowledged}");
}

/// A3, P-J1: a task is asked about where it runs, under the id that its owner was given; nobody else's id opens it, and
/// neither does the server's own.
#[test]
fn a_task_is_its_owners() {
    let tasks = Upstream::scripted(Box::new(|request| {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let result = match request.method().as_str() {
            "server/discover" => json!({"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}}),
            "tools/list" => json!({"tools": [{"name": "work", "inputSchema": {"type": "object"}}]}),
            "tools/call" => json!({"resultType": "task", "taskId": "theirs", "status": "working"}),
            _ => {
                json!({"resultType": "complete", "taskId": body["params"]["taskId"], "header": request.header("mcp-name")})
            }
        };
        let body = json!({"jsonrpc": "2.0", "id": body["id"], "result": result}).to_string();
        format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len())
            .into_bytes()
    }));
    let gate = gate(&[stdio("files", &json!({})), http("tasks", &tasks.url())], "", &["files", "tasks"]);
    let owner = Caller::modern(&gate);
    let made = owner.result("tools/call", json!({"name": "work", "arguments": {}}));
    let id = made["taskId"].as_str().unwrap().to_owned();
    assert_ne!(id, "theirs");
    let capabilities = json!({"extensions": {"io.modelcontextprotocol/tasks": {}}});
    let get = |key: &'static str, id: &str| {
        let bearer = format!("Bearer {key}");
        let headers = [
            ("Authorization", bearer.as_str()),
            ("MCP-Protocol-Version", "2026-07-28"),
            ("Mcp-Method", "tasks/get"),
            ("Mcp-Name", id),
        ];
        let meta = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": capabilities});
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tasks/get", "params": {"taskId": id, "_meta": meta}});
        gate.post(&headers, body.to_string().as_bytes()).json()
    };
    let got = get(KEY, &id);
    assert_eq!((&got["result"]["taskId"], &got["result"]["header"]), (&json!(id), &json!("theirs")), "{got}");
    for (key, id) in [(OTHER, id.as_str()), (KEY, "theirs"), (KEY, "tasks theirs")] {
        let refused = get(key, id);
        assert_eq!(refused["error"]["code"], -32602, "{refused}");
    }
}

/// A3: a modern client that leaves a call to a legacy server has cancelled it, and the server hears so.
#[test]
fn leaving_a_legacy_server_is_told() {
    let deaf = SERVER.replace(
        "elif method == \"tools/call\" and params[\"name\"] == \"crash\":\n        sys.exit(1)",
        "elif method == \"tools/call\" and params[\"name\"] == \"hang\":\n        hung = id\n        say({\"method\": \"notifications/progress\", \"params\": {\"progressToken\": params[\"_meta\"][\"progressToken\"], \"progress\": 1}})\n    elif method == \"notifications/cancelled\":\n        open(sys.argv[3], \"w\").write(str(params[\"requestId\"] == hung))",
    );
    let folder = tempfile::tempdir().unwrap();
    let told = folder.path().join("told");
    let command = json!(["python3", "-c", deaf, "deaf", json!({"tools": ["hang"]}).to_string(), told]);
    let gate = gate(&[format!("[servers.deaf]\ncommand = {command}\n"), stdio("files", &json!({}))], "", &[]);
    let caller = Caller::modern(&gate);
    let mut leaving = gate.connect();
    let params = json!({"name": "hang", "arguments": {}, "_meta": {"progressToken": "mine"}});
    leaving.write_all(&caller.request(5, "tools/call", params)).unwrap();
    let heard = read_until(&mut leaving, "notifications/progress");
    assert!(heard.contains("\"mine\""), "{heard}");
    drop(leaving);
    until("the server to be told", || std::fs::read_to_string(&told).ok().filter(|text| text == "True"));
}
