//! Tasks that anybody could ask about.

use serde_json::{Value, json};

use crate::gate::{Answer, Gate, KEY, OTHER, palisade};
use crate::upstream::{self, Request, Upstream};

const EXTENSION: &str = "io.modelcontextprotocol/tasks";
const RELATED: &str = "io.modelcontextprotocol/related-task";

/// A server to which all callers look the same: it makes one task after the other, and tells anybody about all of them.
fn careless(request: &Request) -> Vec<u8> {
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    let asked = &body["params"]["taskId"];
    let task = |id: &Value| json!({"taskId": id, "status": "working"});
    let result = match request.method().as_str() {
        "tools/call" if body["params"]["name"] == "listen" => {
            let event = |message: Value| format!("data: {message}\n\n");
            let status =
                json!({"jsonrpc": "2.0", "method": "notifications/tasks/status", "params": task(&json!("of alice"))});
            let theirs =
                json!({"jsonrpc": "2.0", "id": 9, "method": "tasks/get", "params": {"taskId": "the client's own"}});
            let answer = json!({"jsonrpc": "2.0", "id": body["id"], "result": {"content": []}});
            let events = event(status) + &event(theirs) + &event(answer);
            return format!(
                "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {}\r\n\r\n{events}",
                events.len()
            )
            .into_bytes();
        }
        "tools/call" if body["params"]["name"] == "modern" => json!({"resultType": "task", "taskId": "of alice"}),
        "tools/call" => json!({"task": task(&json!(format!("of {}", body["params"]["name"].as_str().unwrap())))}),
        "tasks/list" => json!({"tasks": [task(&json!("of alice")), task(&json!("of bob")), task(&json!("of nobody"))]}),
        "tasks/result" => json!({"content": [], "_meta": {RELATED: {"taskId": asked}}}),
        _ => {
            json!({"task": task(asked), "taskId": asked, "header": request.header("mcp-name"), "heard": body["params"]})
        }
    };
    upstream::json("200 OK", "", &json!({"jsonrpc": "2.0", "id": body["id"], "result": result}).to_string())
}

fn gate(upstream: &Upstream) -> Gate {
    Gate::configured(&format!(
        "environment = \"development\"\n[listen]\naddress = \"127.0.0.1:0\"\n[log]\nformat = \"pretty\"\n\
         [[auth.keys]]\nname = \"alice\"\nkey = \"{KEY}\"\n[[auth.keys]]\nname = \"bob\"\nkey = \"{OTHER}\"\n\
         [store]\nurl = \"sqlite:DIR/store.db\"\n[servers.one]\nurl = \"{}\"\n[audit]\ndir = \"DIR/audit\"\n",
        upstream.url(),
    ))
}

fn legacy(gate: &Gate, key: &str, method: &str, params: &Value) -> Answer {
    let bearer = format!("Bearer {key}");
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
    gate.post(&[("Authorization", &bearer), ("MCP-Protocol-Version", "2025-11-25")], body.as_bytes())
}

fn modern(gate: &Gate, key: &str, method: &str, name: &str, mut params: Value) -> Answer {
    let bearer = format!("Bearer {key}");
    params["_meta"] = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {"extensions": {EXTENSION: {}}}});
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
    let headers = [
        ("Authorization", bearer.as_str()),
        ("MCP-Protocol-Version", "2026-07-28"),
        ("Mcp-Method", method),
        ("Mcp-Name", name),
    ];
    gate.post(&headers, body.as_bytes())
}

fn made(gate: &Gate, key: &str, name: &str) -> String {
    let answer = legacy(gate, key, "tools/call", &json!({"name": name, "arguments": {}, "task": {}}));
    answer.json()["result"]["task"]["taskId"].as_str().unwrap_or_else(|| panic!("{}", answer.text())).to_owned()
}

/// L5, P-J1: on the Python SDK any client read and cancelled any other's tasks (CVE-2026-52870): here an id opens for whom it
/// was made, and a list shows one's own.
#[test]
fn ghsa_hvrp_rf83_w775() {
    let upstream = Upstream::scripted(Box::new(careless));
    let gate = gate(&upstream);
    let (alices, bobs) = (made(&gate, KEY, "alice"), made(&gate, OTHER, "bob"));
    assert!(alices != "of alice" && !alices.contains("alice") && alices != bobs);
    let seen = upstream.requests().len();
    for method in ["tasks/get", "tasks/result", "tasks/cancel"] {
        for id in [alices.as_str(), "of alice", "of bob", ""] {
            let refused = legacy(&gate, OTHER, method, &json!({"taskId": id}));
            assert_eq!(refused.json()["error"]["code"], -32602, "{method} {id}: {}", refused.text());
        }
    }
    assert_eq!(upstream.requests().len(), seen, "nobody hears of it");

    let unharmed = legacy(&gate, KEY, "tasks/get", &json!({"taskId": alices})).json();
    assert_eq!(unharmed["result"]["taskId"], json!(alices), "{unharmed}");
    assert_eq!(unharmed["result"]["heard"]["taskId"], "of alice", "the server hears its own id");
    let result = legacy(&gate, KEY, "tasks/result", &json!({"taskId": alices})).json();
    assert_eq!(result["result"]["_meta"][RELATED]["taskId"], json!(alices), "{result}");
    for (key, own) in [(KEY, &alices), (OTHER, &bobs)] {
        let listed = legacy(&gate, key, "tasks/list", &json!({})).json();
        assert_eq!(listed["result"]["tasks"], json!([{"taskId": own, "status": "working"}]), "{listed}");
    }
}

/// L5, P-J1: the same in the revision without sessions, whose headers name the task too.
#[test]
fn ghsa_hvrp_rf83_w775_in_the_tasks_extension() {
    let upstream = Upstream::scripted(Box::new(careless));
    let gate = gate(&upstream);
    let made = modern(&gate, KEY, "tools/call", "modern", json!({"name": "modern", "arguments": {}})).json();
    let id = made["result"]["taskId"].as_str().unwrap().to_owned();
    assert_ne!(id, "of alice");
    let got = modern(&gate, KEY, "tasks/get", &id, json!({"taskId": id})).json();
    assert_eq!((&got["result"]["taskId"], &got["result"]["header"]), (&json!(id), &json!("of alice")), "{got}");
    for (key, name, id) in [(OTHER, id.as_str(), id.as_str()), (KEY, "of alice", "of alice")] {
        let refused = modern(&gate, key, "tasks/get", name, json!({"taskId": id})).json();
        assert_eq!(refused["error"]["code"], -32602, "{refused}");
    }
    let listen =
        |key, ids: Value| modern(&gate, key, "subscriptions/listen", "", json!({"notifications": {"taskIds": ids}}));
    let acknowledged = listen(KEY, json!([id, "of alice"])).json();
    assert_eq!(acknowledged["result"]["heard"]["notifications"]["taskIds"], json!(["of alice"]), "{acknowledged}");
    for ids in [json!({"of alice": true}), json!("of alice")] {
        assert_eq!(listen(OTHER, ids).json()["error"]["code"], -32602);
    }
    let differs = modern(&gate, KEY, "tasks/get", "of alice", json!({"taskId": id}));
    assert_eq!(differs.json()["error"]["code"], -32020, "the header is judged as it came: {}", differs.text());
}

/// L5: streams name tasks as answers do; what a server asks about the client's own tasks stays as it is; and an id is good
/// after a new start on the same store.
#[test]
fn ids_of_tasks_last_and_are_told_in_streams() {
    let upstream = Upstream::scripted(Box::new(careless));
    let mut gate = gate(&upstream);
    let id = made(&gate, KEY, "alice");
    let told = legacy(&gate, KEY, "tools/call", &json!({"name": "listen", "arguments": {}})).text();
    assert!(told.contains(&id) && told.contains("the client's own") && !told.contains("of alice"), "{told}");
    // What a server says to everybody hands nothing over: the id that bob hears opens nothing.
    let heard = legacy(&gate, OTHER, "tools/call", &json!({"name": "listen", "arguments": {}})).text();
    let data = heard.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
    let other = serde_json::from_str::<Value>(data).unwrap()["params"]["taskId"].as_str().unwrap().to_owned();
    assert!(other != id && other != "of alice", "{heard}");
    for method in ["tasks/get", "tasks/cancel"] {
        assert_eq!(legacy(&gate, OTHER, method, &json!({"taskId": other})).json()["error"]["code"], -32602);
    }
    assert_eq!(legacy(&gate, OTHER, "tasks/list", &json!({})).json()["result"]["tasks"], json!([]));

    // Beside what a message is about a task may be named too, in any spelling.
    let beside = format!(r#"{{"name":"x","_meta":{{"io.modelcontextprotocol\/related-task":{{"taskId":"{id}"}}}}}}"#);
    let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{beside}}}"#);
    let got = gate.post(&[("MCP-Protocol-Version", "2025-11-25")], body.as_bytes()).json();
    assert_eq!(got["result"]["heard"]["_meta"][RELATED]["taskId"], "of alice", "{got}");

    gate.stop();
    let dir = std::mem::replace(&mut gate.dir, tempfile::tempdir().unwrap());
    let mut line = palisade();
    line.arg("run").arg("--config").arg(dir.path().join("palisade.toml"));
    let gate = Gate::start(line, dir);
    let got = legacy(&gate, KEY, "tasks/get", &json!({"taskId": id})).json();
    assert_eq!(got["result"]["heard"]["taskId"], "of alice", "{got}");
}
