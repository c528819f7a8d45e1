//! Several servers as one at `/mcp`: names, lists, both eras, and no server that harms another.

mod home;
mod hostile;
mod names;
mod sessions;
mod unread;

use serde_json::{Value, json};

use crate::gate::{Answer, Gate, KEY, OTHER};

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
