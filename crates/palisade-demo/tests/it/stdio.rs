//! Over standard input and output, in both eras.

use serde_json::{Value, json};

use crate::peer::{Peer, call, initialize, stateless};

const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;

fn session(arguments: &[&str]) -> Peer {
    let mut peer = Peer::start(arguments);
    peer.ask(&initialize("2025-11-25"));
    peer.tell(INITIALIZED);
    peer
}

fn listed(peer: &mut Peer) -> Vec<Value> {
    let answer = peer.ask(&serde_json::from_str(LIST).unwrap());
    answer["result"]["tools"].as_array().unwrap().clone()
}

fn names(tools: &[Value]) -> Vec<&str> {
    tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect()
}

const EVERYDAY: [&str; 6] = ["calculator", "system_info", "server_status", "clock", "text_tools", "orchestrate"];
const TRADING: [&str; 5] = [
    "features.ohlcv_window",
    "risk.position_limits_check",
    "execution.sim_quote",
    "storage.shared_state.get",
    "storage.shared_state.set",
];

/// A1: each revision of the sessions era is agreed to, and a tool can be called in it.
#[test]
fn every_revision_with_sessions_is_spoken() {
    for revision in ["2025-03-26", "2025-06-18", "2025-11-25"] {
        let mut peer = Peer::start(&["everyday", "--stdio"]);
        let opened = peer.ask(&initialize(revision));
        assert_eq!(opened["result"]["protocolVersion"], revision);
        assert_eq!(opened["result"]["serverInfo"]["name"], "palisade-demo");
        peer.tell(INITIALIZED);
        assert_eq!(names(&listed(&mut peer)), EVERYDAY);
        let answer = peer.ask(&call(2, "calculator", &json!({ "expression": "0.1 + 0.2" })));
        assert_eq!(answer["result"]["isError"], false);
        assert_eq!(
            answer["result"]["structuredContent"],
            json!({ "result": "0.3", "exact": true, "fraction": "3/10" })
        );
        assert!(answer["result"].get("resultType").is_none());
    }
}

/// A1: the stateless era is spoken without a handshake, with discovery.
#[test]
fn the_stateless_revision_is_spoken() {
    let mut peer = Peer::start(&["trading"]);
    let discover = stateless(json!({ "jsonrpc": "2.0", "id": "d", "method": "server/discover", "params": {} }));
    let found = peer.ask(&discover);
    let revisions = found["result"]["supportedVersions"].as_array().unwrap();
    assert!(revisions.contains(&json!("2026-07-28")), "{found}");
    assert!(found["result"]["capabilities"]["tools"].is_object());
    let listed = peer.ask(&stateless(json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {} })));
    assert_eq!(names(listed["result"]["tools"].as_array().unwrap()), TRADING);
    assert_eq!(listed["result"]["cacheScope"], "public");
    let order = json!({ "symbol": "SPY", "side": "buy", "type": "market", "quantity": "9000" });
    let answer = peer.ask(&stateless(call(2, "execution.sim_quote", &order)));
    assert_eq!(answer["result"]["resultType"], "complete");
    assert_eq!(answer["result"]["structuredContent"]["average_price"], "520.036001");
}

/// A1: a request without its own revision does not open the stateless era.
#[test]
fn a_bare_first_request_is_refused() {
    let mut peer = Peer::start(&[]);
    let answer = peer.ask(&call(1, "clock", &json!({})));
    assert_eq!(answer["error"]["code"], -32602);
    assert_eq!(peer.ask(&initialize("2025-06-18"))["result"]["protocolVersion"], "2025-06-18");
}

/// K1, K2: without a choice both sets are served, and each tool says all that a client wants to know.
#[test]
fn tools_describe_themselves() {
    let mut peer = session(&[]);
    let tools = listed(&mut peer);
    assert_eq!(names(&tools), [&EVERYDAY[..], &TRADING[..]].concat());
    for tool in &tools {
        for text in ["title", "description"] {
            assert!(tool[text].as_str().unwrap().len() >= 5, "{tool}");
        }
        assert_eq!(tool["inputSchema"]["type"], "object");
        assert_eq!(tool["inputSchema"]["additionalProperties"], false, "{tool}");
        assert_eq!(tool["outputSchema"]["type"], "object");
        assert!(!tool.to_string().contains("$ref"));
        for (name, schema) in tool["inputSchema"]["properties"].as_object().into_iter().flatten() {
            assert!(schema["description"].is_string(), "{name} of {tool}");
        }
        let writes = tool["name"] == "storage.shared_state.set";
        assert_eq!(tool["annotations"]["readOnlyHint"], !writes);
        assert_eq!(tool["annotations"]["destructiveHint"], writes);
        assert_eq!(tool["annotations"]["openWorldHint"], false);
    }
    let request = &tools[5]["inputSchema"]["properties"]["request"];
    assert_eq!((&request["minLength"], &request["maxLength"]), (&json!(1), &json!(10_000)));
}

/// K1: the tools that need no arguments answer without any.
#[test]
fn tools_without_arguments_answer() {
    let mut peer = session(&["everyday"]);
    let bare =
        |id, tool: &str| json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": { "name": tool } });
    assert_eq!(peer.ask(&bare(1, "system_info"))["result"]["structuredContent"]["server"], "palisade-demo");
    assert!(peer.ask(&bare(2, "clock"))["result"]["structuredContent"]["utc"].as_str().unwrap().ends_with('Z'));
    assert_eq!(peer.ask(&call(3, "calculator", &json!({})))["result"]["isError"], true);
    let status = peer.ask(&bare(4, "server_status"));
    let status = &status["result"]["structuredContent"];
    assert_eq!((&status["calls_served"], &status["calls_refused"]), (&json!(2), &json!(1)));
}

/// K2: each code of the trading desk comes as a tool result with code, message and details.
#[test]
fn business_failures_have_codes() {
    let mut peer = session(&["trading"]);
    let early = json!({ "symbol": "SPY", "interval": "1d", "end": "1971-01-01T00:00:00Z" });
    let large = json!({ "symbol": "BTC/USD", "side": "long", "type": "market", "quantity": 251 });
    for (id, (tool, arguments, code)) in (1..).zip([
        ("features.ohlcv_window", early, "MCP-010"),
        (
            "risk.position_limits_check",
            json!({ "symbol": "SPY", "side": "buy", "quantity": 1, "account": "x" }),
            "MCP-011",
        ),
        ("execution.sim_quote", large, "MCP-012"),
        ("storage.shared_state.get", json!({ "key": "none" }), "MCP-013"),
        ("storage.shared_state.set", json!({ "key": "k", "value": "x".repeat(20_000) }), "MCP-014"),
        ("features.ohlcv_window", json!({ "symbol": "DOGE", "interval": "1d" }), "MCP-015"),
        ("execution.sim_quote", json!({ "symbol": "SPY" }), "MCP-001"),
    ]) {
        let answer = peer.ask(&call(id, tool, &arguments));
        let result = &answer["result"];
        assert_eq!(result["isError"], true, "{answer}");
        let told = &result["structuredContent"];
        assert_eq!(told["code"], code, "{answer}");
        assert!(told["message"].is_string() && told["details"].is_object() && told.as_object().unwrap().len() == 3);
        assert_eq!(&serde_json::from_str::<Value>(result["content"][0]["text"].as_str().unwrap()).unwrap(), told);
    }
}

/// K2: what is stored in one call is read in the next.
#[test]
fn shared_state_is_kept() {
    let mut peer = session(&["trading"]);
    let value = json!({ "mood": ["calm", 1] });
    peer.ask(&call(1, "storage.shared_state.set", &json!({ "key": "desk", "value": value })));
    let read = peer.ask(&call(2, "storage.shared_state.get", &json!({ "key": "desk" })));
    assert_eq!(read["result"]["structuredContent"], json!({ "key": "desk", "value": value, "version": 1 }));
}

/// E9: a tool of the other set, or of none, is an unknown tool to the protocol; its name is not echoed at length.
#[test]
fn unknown_tools_are_protocol_errors() {
    let mut peer = session(&["everyday"]);
    for (id, name) in (1..).zip(["execution.sim_quote", &"n".repeat(10_000)]) {
        let answer = peer.ask(&call(id, name, &json!({})));
        assert_eq!(answer["error"]["code"], -32602);
        assert!(answer.to_string().len() < 300, "{answer}");
    }
}

/// I7: what was asked before standard input closed is answered, and the program ends well with clean output.
#[test]
fn answers_before_it_ends() {
    let mut peer = session(&[]);
    for id in 1..=50 {
        peer.tell(&call(id, "text_tools", &json!({ "operation": "upper", "text": "a" })).to_string());
    }
    let (rest, status) = peer.finish();
    assert!(status.success());
    let mut ids: Vec<u64> =
        rest.iter().map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].as_u64().unwrap()).collect();
    ids.sort_unstable();
    assert_eq!(ids, (1..=50).collect::<Vec<_>>());
}

/// I7: a client that leaves at once is no error; one that starts with a notification is, and is told on stderr.
#[test]
fn ends_as_the_client_does() {
    assert!(Peer::start(&[]).finish().1.success());
    let mut peer = Peer::start(&[]);
    peer.tell(INITIALIZED);
    assert_eq!(peer.next_error_line(), "palisade-demo: the first message was not a request");
}

/// I1: an unknown set of tools is refused with the ones that exist, and nothing on standard output.
#[test]
fn unknown_sets_are_refused() {
    let peer = Peer::start(&["poetry"]);
    assert!(peer.next_error_line().contains("poetry"));
    let (output, status) = peer.finish();
    assert_eq!((output, status.code()), (Vec::new(), Some(2)));
}
