//! What things are called on the aggregate, and who sees them.

use serde_json::{Value, json};

use super::{Caller, gate, http, stdio, two};
use crate::gate::OTHER;
use crate::upstream::Upstream;

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

/// A3, P-J3: a caller sees the servers its key may call, in lists, catalogues and calls alike; a call to another is as
/// unknown as one that never was. Where it may call one alone, `/mcp` is that server.
#[test]
fn a_caller_sees_its_own_servers() {
    let servers = ["files", "mail", "web"].map(|name| stdio(name, &json!({"tools": ["read", name]})));
    let gate = gate(&servers, "", &["mail", "web"]);
    let other = Caller { gate: &gate, key: OTHER, session: None };
    assert_eq!(other.names("tools/list", "tools", "name"), ["mail.read", "mail", "web.read", "web"]);
    assert_eq!(other.call("web.read"), "web ran read {\"n\": 1}");
    let ask = |tool: &str| other.ask("tools/call", json!({"name": tool, "arguments": {}})).json()["error"].clone();
    for hidden in ["files", "files.read", "files.files"] {
        let (mut hidden, mut never) = (ask(hidden), ask("never"));
        for error in [&mut hidden, &mut never] {
            error["data"]["timestamp"].take();
            error["data"]["correlation_id"].take();
        }
        assert_eq!(hidden, never);
    }
    assert_eq!(ask("read")["data"]["details"]["servers"], "mail, web");
    let bearer = format!("Bearer {OTHER}");
    for path in ["/mcp/marketplace", "/api/tools"] {
        let page = gate.raw(&gate.request("GET", path, &[("Authorization", &bearer)], b""));
        assert!(page.text().contains("web") && !page.text().contains("files"), "{path}: {}", page.text());
    }
}

/// A3, A12: a key for one server has that server at `/mcp`, as it is.
#[test]
fn one_server_alone_is_itself() {
    let gate = two("");
    let bearer = format!("Bearer {OTHER}");
    let body = br#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"0"}}}"#;
    let answer = gate.raw(&gate.request("POST", "/mcp", &[("Authorization", &bearer)], body)).json();
    assert_eq!(answer["result"]["serverInfo"]["name"], "search", "{answer}");
    let joined = gate.post(&[], body).json();
    assert_eq!(joined["result"]["serverInfo"]["name"], "palisade", "{joined}");
}

/// A12: the catalogues tell how each tool is called at `/mcp`, and which server is up, down or not known yet.
#[test]
fn catalogues_tell_the_truth() {
    let servers = [http("dead", "http://127.0.0.1:1/mcp"), stdio("good", &json!({"tools": ["read", "dead.x"]}))];
    let gate = gate(&servers, "", &[]);
    let page = |path: &str| gate.raw(&gate.request("GET", path, &[], b"")).json();
    let states = |market: &Value| {
        let servers = market["servers"].as_array().unwrap();
        servers.iter().map(|server| server["state"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(states(&page("/mcp/marketplace")), ["unknown", "unknown"]);
    let tools = page("/api/tools");
    let called: Vec<_> =
        tools["tools"].as_array().unwrap().iter().map(|tool| tool["aggregate_name"].as_str().unwrap()).collect();
    assert_eq!(called, ["good.read", "good.dead.x"], "of the dead one nothing is known");
    assert_eq!(tools["unavailable"], json!(["dead"]));
    assert_eq!(states(&page("/mcp/marketplace")), ["down", "up"]);
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
