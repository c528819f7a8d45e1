//! Several servers as one at `/mcp`: names, lists, both eras, and no server that harms another.

use std::io::Write;

use serde_json::{Value, json};

use crate::gate::{Answer, Gate, KEY, OTHER, until};
use crate::harness::built;
use crate::upstream::Upstream;

/// A legacy server on stdio. Its first argument is its name, its second what it offers.
const SERVER: &str = r#"
import sys, json, time
name, offers = sys.argv[1], json.loads(sys.argv[2])
def say(message):
    print(json.dumps(dict(jsonrpc="2.0", **message)), flush=True)
def text(text):
    return {"content": [{"type": "text", "text": text}]}
waiting = None
for line in sys.stdin:
    message = json.loads(line)
    method, id, params = message.get("method"), message.get("id"), message.get("params", {})
    if method == "initialize":
        capabilities = {key: {} for key in ("tools", "prompts", "resources", "completions")}
        say({"id": id, "result": {"protocolVersion": "2025-06-18", "capabilities": capabilities, "serverInfo": {"name": name, "version": "0"}}})
    elif method == "tools/list":
        page = int(params.get("cursor", "0"))
        tools = offers.get("tools", [])
        result = {"tools": [{"name": tool, "x-unknown": 1.0, "inputSchema": {"type": "object"}} for tool in tools[page:page + 2]]}
        if page + 2 < len(tools):
            result["nextCursor"] = str(page + 2)
        say({"id": id, "result": result})
    elif method == "prompts/list":
        say({"id": id, "result": {"prompts": [{"name": prompt} for prompt in offers.get("prompts", [])]}})
    elif method == "resources/list":
        say({"id": id, "result": {"resources": [{"uri": uri, "name": "r"} for uri in offers.get("resources", [])]}})
    elif method == "resources/templates/list":
        say({"id": id, "result": {"resourceTemplates": [{"uriTemplate": uri, "name": "t"} for uri in offers.get("templates", [])]}})
    elif method == "tools/call" and params["name"] == "ask":
        waiting = id
        say({"id": 1, "method": "roots/list"})
    elif method == "tools/call" and params["name"] == "crash":
        sys.exit(1)
    elif method == "tools/call" and params["name"] == "change":
        say({"method": "notifications/resources/updated", "params": {"uri": params["arguments"]["uri"]}})
        say({"id": id, "result": text("changed")})
    elif method == "tools/call":
        token = params.get("_meta", {}).get("progressToken")
        if token is not None:
            say({"method": "notifications/progress", "params": {"progressToken": token, "progress": 1}})
        say({"id": id, "result": text(name + " ran " + params["name"] + " " + json.dumps(params.get("arguments")))})
    elif method == "prompts/get":
        say({"id": id, "result": {"messages": [{"role": "user", "content": {"type": "text", "text": name + " " + params["name"]}}]}})
    elif method == "resources/read":
        say({"id": id, "result": {"contents": [{"uri": params["uri"], "text": name}]}})
    elif method == "completion/complete":
        say({"id": id, "result": {"completion": {"values": [name, json.dumps(params["ref"])]}}})
    elif method is None and id == 1:
        say({"id": waiting, "result": text(name + " heard " + json.dumps(message["result"]))})
    elif id is not None:
        say({"id": id, "result": {}})
"#;

/// One server of a configuration.
fn stdio(name: &str, offers: &Value) -> String {
    let command = json!(["python3", "-c", SERVER, name, offers.to_string()]);
    format!("[servers.{name}]\ncommand = {command}\n")
}

fn http(name: &str, url: &str) -> String {
    format!("[servers.{name}]\nurl = \"{url}\"\n")
}

/// A gateway for these servers, and for two callers: the usual one, and one who may call `only` these.
fn gate(servers: &[String], settings: &str, only: &[&str]) -> Gate {
    let only = json!(only);
    Gate::configured(&format!(
        "environment = \"development\"\n[listen]\naddress = \"127.0.0.1:0\"\n[log]\nformat = \"pretty\"\nlevel = \"debug\"\n\
         [audit]\ndir = \"DIR/audit\"\n[[auth.keys]]\nname = \"test\"\nkey = \"{KEY}\"\n\
         [[auth.keys]]\nname = \"other\"\nkey = \"{OTHER}\"\nservers = {only}\n{settings}\n{}",
        servers.concat()
    ))
}

/// Two servers that conflict in `read` and `shared://1`, and differ in everything else.
fn two(settings: &str) -> Gate {
    let files = json!({
        "tools": ["read", "write", "ask", "change", "crash", "search.all"], "prompts": ["review", "plan"],
        "resources": ["file:///a", "shared://1"], "templates": ["file:///{path}"],
    });
    let search = json!({"tools": ["read", "find", "ask"], "prompts": ["plan"], "resources": ["shared://1", "web://x"]});
    gate(&[stdio("files", &files), stdio("search", &search)], settings, &["search"])
}

/// One caller in one era.
struct Caller<'g> {
    gate: &'g Gate,
    key: &'static str,
    session: Option<String>,
}

impl<'g> Caller<'g> {
    fn modern(gate: &'g Gate) -> Self {
        Self { gate, key: KEY, session: None }
    }

    fn legacy(gate: &'g Gate) -> Self {
        Self { gate, key: KEY, session: Some(gate.initialize("2025-11-25")) }
    }

    /// Both eras.
    fn both(gate: &'g Gate) -> [Self; 2] {
        [Self::modern(gate), Self::legacy(gate)]
    }

    fn request(&self, id: u32, method: &str, mut params: Value) -> Vec<u8> {
        let bearer = format!("Bearer {}", self.key);
        let mut headers = vec![("Authorization", bearer.as_str()), ("MCP-Protocol-Version", "2025-11-25")];
        let name = ["name", "uri", "taskId"].iter().find_map(|key| params[key].as_str()).unwrap_or_default().to_owned();
        if let Some(session) = &self.session {
            headers.push(("Mcp-Session-Id", session));
        } else {
            headers[1].1 = "2026-07-28";
            headers.push(("Mcp-Method", method));
            if ["tools/call", "prompts/get", "resources/read"].contains(&method) {
                headers.push(("Mcp-Name", &name));
            }
            let token = params["_meta"]["progressToken"].take();
            params["_meta"] = json!({
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientCapabilities": {},
            });
            if !token.is_null() {
                params["_meta"]["progressToken"] = token;
            }
        }
        let body = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string();
        self.gate.request("POST", "/mcp", &headers, body.as_bytes())
    }

    fn ask(&self, method: &str, params: Value) -> Answer {
        self.gate.raw(&self.request(7, method, params))
    }

    /// The last message of an answer.
    fn result(&self, method: &str, params: Value) -> Value {
        let answer = self.ask(method, params);
        let json = answer.json();
        let last = if let Value::Array(messages) = json { messages.last().unwrap().clone() } else { json };
        assert!(last["result"].is_object(), "{method}: {} {last}", answer.status);
        last["result"].clone()
    }

    fn names(&self, method: &str, member: &str, key: &str) -> Vec<String> {
        let result = self.result(method, json!({}));
        result[member].as_array().unwrap().iter().map(|item| item[key].as_str().unwrap().to_owned()).collect()
    }

    fn call(&self, tool: &str) -> String {
        let result = self.result("tools/call", json!({"name": tool, "arguments": {"n": 1}}));
        result["content"][0]["text"].as_str().unwrap().to_owned()
    }
}

/// A3: names are bare where they mean one thing, and have their server in front where not; both reach that server.
#[test]
fn tools_of_several_servers_are_one_list() {
    let gate = two("");
    for caller in Caller::both(&gate) {
        let names = caller.names("tools/list", "tools", "name");
        let wanted = [
            "files.read",
            "write",
            "files.ask",
            "change",
            "crash",
            "files.search.all",
            "search.read",
            "find",
            "search.ask",
        ];
        assert_eq!(names, wanted);
        for (name, told) in [
            ("files.read", "files ran read"),
            ("search.read", "search ran read"),
            ("write", "files ran write"),
            ("files.write", "files ran write"),
            ("find", "search ran find"),
            ("files.search.all", "files ran search.all"),
        ] {
            assert_eq!(caller.call(name), format!("{told} {{\"n\": 1}}"), "{name}");
        }
        let ambiguous = caller.ask("tools/call", json!({"name": "read", "arguments": {}}));
        assert_eq!(ambiguous.json()["error"]["code"], -32602, "{}", ambiguous.text());
        assert_eq!(ambiguous.json()["error"]["data"]["details"]["servers"], "files, search");
        for unknown in ["nothing", "mail.read"] {
            assert_eq!(
                caller.ask("tools/call", json!({"name": unknown, "arguments": {}})).code(),
                "MCP-007",
                "{unknown}"
            );
        }
    }
    let lines = gate.journal();
    let closed = |tool: &str, server: &str| {
        lines
            .iter()
            .filter(|line| line["kind"] == "closing" && line["name"] == tool && line["server"] == server)
            .count()
    };
    assert_eq!(closed("read", "files") + closed("read", "search"), 4, "the record names the real server and tool");
    assert_eq!(closed("write", "files"), 4);
}

/// A3: what a server says of a tool is passed on as it is, but for the name.
#[test]
fn definitions_keep_their_bytes() {
    let gate = two("");
    for caller in Caller::both(&gate) {
        let answer = caller.ask("tools/list", json!({}));
        let text = answer.text();
        assert!(text.contains(r#"{"name": "write", "x-unknown": 1.0, "inputSchema": {"type": "object"}}"#), "{text}");
        assert!(
            text.contains(r#"{"name": "files.read", "x-unknown": 1.0, "inputSchema": {"type": "object"}}"#),
            "{text}"
        );
        let modern = caller.session.is_none();
        assert_eq!(answer.json()["result"]["resultType"] == "complete", modern);
        assert_eq!(answer.json()["result"]["cacheScope"] == "private", modern);
    }
}

/// A3: by choice every name has its server in front, and no other name is known.
#[test]
fn names_are_prefixed_by_choice() {
    let gate = two("[aggregate]\nprefix = \"always\"\n");
    for caller in Caller::both(&gate) {
        let names = caller.names("tools/list", "tools", "name");
        assert!(names.iter().all(|name| name.starts_with("files.") || name.starts_with("search.")), "{names:?}");
        assert_eq!(caller.call("files.write"), "files ran write {\"n\": 1}");
        assert_eq!(caller.ask("tools/call", json!({"name": "write", "arguments": {}})).code(), "MCP-007");
    }
}

/// A3, C3: a caller sees the servers its key may call; a call to another is as unknown as one that never was. Where that
/// is one server, `/mcp` is that server.
#[test]
fn a_caller_sees_its_own_servers() {
    let gate = two("");
    let other = Caller { gate: &gate, key: OTHER, session: None };
    let bearer = format!("Bearer {OTHER}");
    let market = gate.raw(&gate.request("GET", "/mcp/marketplace", &[("Authorization", &bearer)], b""));
    assert!(!market.text().contains("files"), "{}", market.text());
    let refused = other.ask("tools/list", json!({}));
    assert!(!refused.text().contains("files"), "{}", refused.text());
    let third = gate.raw(&gate.request("POST", "/mcp/files", &[("Authorization", &bearer)], b"{}"));
    assert_eq!(third.status, 404);
}

/// A3: prompts like tools; resources by their URI, with the server in front where two list the same; completions too.
#[test]
fn prompts_and_resources_find_their_server() {
    let gate = two("");
    for caller in Caller::both(&gate) {
        assert_eq!(caller.names("prompts/list", "prompts", "name"), ["review", "files.plan", "search.plan"]);
        let uris = caller.names("resources/list", "resources", "uri");
        assert_eq!(uris, ["file:///a", "files+shared://1", "search+shared://1", "web://x"]);
        assert_eq!(caller.names("resources/templates/list", "resourceTemplates", "uriTemplate"), ["file:///{path}"]);
        let prompt =
            |name: &str| caller.result("prompts/get", json!({"name": name}))["messages"][0]["content"]["text"].clone();
        assert_eq!(prompt("search.plan"), "search plan");
        assert_eq!(prompt("review"), "files review");
        for (uri, server, theirs) in [
            ("file:///a", "files", "file:///a"),
            ("file:///b/c", "files", "file:///b/c"),
            ("web://x", "search", "web://x"),
            ("search+shared://1", "search", "shared://1"),
        ] {
            let contents = caller.result("resources/read", json!({"uri": uri}))["contents"][0].clone();
            assert_eq!((&contents["text"], &contents["uri"]), (&json!(server), &json!(theirs)), "{uri}");
        }
        for unknown in ["shared://1", "nobody://1"] {
            assert_eq!(
                caller.ask("resources/read", json!({"uri": unknown})).json()["error"]["code"],
                -32602,
                "{unknown}"
            );
        }
        let argument = json!({"name": "a", "value": "b"});
        let reference = json!({"type": "ref/prompt", "name": "search.plan"});
        let values = caller.result("completion/complete", json!({"ref": reference, "argument": argument}));
        assert_eq!(values["completion"]["values"][0], "search");
        assert!(values["completion"]["values"][1].as_str().unwrap().contains("\"plan\""), "{values}");
        let reference = json!({"type": "ref/resource", "uri": "file:///{path}"});
        let values = caller.result("completion/complete", json!({"ref": reference, "argument": argument}));
        assert_eq!(values["completion"]["values"][0], "files");
    }
}

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
            let asked = crate::streams::read_until(&mut stream, "roots/list");
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
        let heard = crate::streams::read_until(stream, "heard");
        assert!(
            heard.contains(&format!("{server} heard")) && heard.contains(&format!("\\\"for\\\": \\\"{server}\\\"")),
            "{heard}"
        );
        assert_eq!(answer(id, server), 400, "answered once");
    }
}

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
        assert_eq!(caller.call("read"), "good ran read {\"n\": 1}");
        assert_eq!(caller.ask("tools/call", json!({"name": "dead.read", "arguments": {}})).code(), "MCP-003");
    }
    until("the log to say so", || gate.log.lock().unwrap().contains("a list goes without it").then_some(()));
}

/// A3: if no server answers, a list is an error.
#[test]
fn nobody_answers() {
    let gate = gate(&[http("a", "http://127.0.0.1:1/mcp"), http("b", "http://127.0.0.1:1/mcp")], "", &["a"]);
    for caller in Caller::both(&gate) {
        assert_eq!(caller.ask("tools/list", json!({})).code(), "MCP-003");
    }
}

/// A3: what a server offered before it went down is not another's: a call does not move.
#[test]
fn a_call_does_not_move_to_another_server() {
    let gate = two("");
    let caller = Caller::legacy(&gate);
    assert!(caller.names("tools/list", "tools", "name").contains(&"files.read".to_owned()));
    let crashed = caller.ask("tools/call", json!({"name": "crash", "arguments": {}}));
    assert_eq!(crashed.code(), "MCP-003", "{}", crashed.text());
    assert_eq!(caller.ask("tools/call", json!({"name": "read", "arguments": {}})).json()["error"]["code"], -32602);
    // Its child is gone, and with it its session: the next call gets a new one.
    assert_eq!(caller.call("files.read"), "files ran read {\"n\": 1}");
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

/// A3, D3: sessions have a bound, and a client that has no place hears so.
#[test]
fn sessions_are_bounded() {
    let servers = [stdio("files", &json!({})), stdio("search", &json!({}))];
    let gate = gate(&servers, "[aggregate]\nmax_sessions = 2\n", &[]);
    let first = gate.initialize("2025-11-25");
    gate.initialize("2025-06-18");
    let body = br#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"0"}}}"#;
    assert_eq!(gate.post(&[], body).status, 503);
    let headers = [("Mcp-Session-Id", first.as_str())];
    assert_eq!(gate.raw(&gate.request("DELETE", "/mcp", &headers, b"")).status, 200);
    assert_eq!(gate.post(&[], body).status, 200, "there is a place again");
}

/// A3: what a server says by itself reaches the client's GET stream, resources under the name that the list gave them.
#[test]
fn notifications_reach_the_standing_stream() {
    let gate = two("");
    let caller = Caller::legacy(&gate);
    let headers = [("Mcp-Session-Id", caller.session.as_deref().unwrap()), ("Accept", "text/event-stream")];
    let mut standing = gate.connect();
    standing.write_all(&gate.request("GET", "/mcp", &headers, b"")).unwrap();
    caller.names("tools/list", "tools", "name");
    caller.names("resources/list", "resources", "uri");
    let answer = caller.ask("tools/call", json!({"name": "change", "arguments": {"uri": "shared://1"}}));
    assert!(answer.text().contains("files+shared://1"), "{}", answer.text());
    drop(standing);
}

/// A3: a long list comes in pages; a cursor is its owner's, for its list.
#[test]
fn long_lists_come_in_pages() {
    let many: Vec<_> = (0..700).map(|number| format!("t{number}")).collect();
    let more: Vec<_> = (0..700).map(|number| format!("u{number}")).collect();
    let list = |names: &[String]| {
        let tools: Vec<_> = names.iter().map(|name| json!({"name": name, "inputSchema": {"type": "object"}})).collect();
        Upstream::scripted(Box::new(move |request| {
            let result = match request.method().as_str() {
                "tools/list" => json!({"tools": tools}),
                "server/discover" => json!({"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}}),
                _ => json!({}),
            };
            let id: Value = serde_json::from_slice::<Value>(&request.body).unwrap()["id"].clone();
            let body = json!({"jsonrpc": "2.0", "id": id, "result": result}).to_string();
            format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len())
                .into_bytes()
        }))
    };
    let (first, second) = (list(&many), list(&more));
    let gate = gate(&[http("a", &first.url()), http("b", &second.url())], "", &["a", "b"]);
    let caller = Caller::modern(&gate);
    let page = caller.result("tools/list", json!({}));
    assert_eq!(page["tools"].as_array().unwrap().len(), 1000);
    let cursor = page["nextCursor"].clone();
    let rest = caller.result("tools/list", json!({"cursor": cursor}));
    assert_eq!(rest["tools"].as_array().unwrap().len(), 400);
    assert_eq!((&rest["tools"][0]["name"], &rest["nextCursor"]), (&json!("u300"), &Value::Null));
    let thief = Caller { gate: &gate, key: OTHER, session: None };
    for (caller, method) in [(&thief, "tools/list"), (&caller, "prompts/list")] {
        assert_eq!(caller.ask(method, json!({"cursor": cursor})).json()["error"]["code"], -32602);
    }
}
