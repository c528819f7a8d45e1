//! Names while a server's list was never read: it could own any of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use super::{Caller, gate, http, stdio};
use crate::gate::{Gate, until};
use crate::upstream::{Upstream, json as answer};

/// For tests that ask until something has changed.
const OFTEN: &str = "[limits]\nper_caller_per_minute = 100000\n";

const DOWN: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";

/// A modern server with a tool `read`, down until it is told to be up.
fn files(up: &Arc<AtomicBool>) -> Upstream {
    let up = Arc::clone(up);
    Upstream::scripted(Box::new(move |request| {
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let result = match request.method().as_str() {
            _ if !up.load(Ordering::SeqCst) => return DOWN.to_vec(),
            "tools/list" => json!({"tools": [{"name": "read", "inputSchema": {"type": "object"}}]}),
            "server/discover" => json!({"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}}),
            _ => json!({"content": [{"type": "text", "text": "files ran it"}]}),
        };
        answer("200 OK", "", &json!({"jsonrpc": "2.0", "id": body["id"], "result": result}).to_string())
    }))
}

fn error(caller: &Caller<'_>, tool: &str) -> Value {
    caller.ask("tools/call", json!({"name": tool, "arguments": {}})).json()["error"].clone()
}

/// A3, P-D27: a bare name is not another server's because its owner is down when the gateway starts: it is refused with
/// the name that will do, lists show that name, and the others' work goes on under it.
#[test]
fn a_name_is_nobodys_while_its_owner_may_be_down() {
    let up = Arc::new(AtomicBool::new(false));
    let upstream = files(&up);
    let servers = [http("files", &upstream.url()), stdio("greedy", &json!({"tools": ["read", "find"]}))];
    let gate = gate(&servers, OFTEN, &[]);
    for caller in Caller::both(&gate) {
        for name in ["read", "find"] {
            let refused = error(&caller, name);
            assert_eq!(refused["code"], -32602, "{refused}");
            assert_eq!(refused["data"]["details"]["name"], format!("greedy.{name}"), "{refused}");
            assert_eq!(caller.call(&format!("greedy.{name}")), format!("greedy ran {name} {{\"n\": 1}}"));
        }
        assert_eq!(caller.names("tools/list", "tools", "name"), ["greedy.read", "greedy.find"]);
        assert_eq!(error(&caller, "nothing")["data"]["code"], "MCP-007");
    }
    up.store(true, Ordering::SeqCst);
    let caller = Caller::modern(&gate);
    until("the list of the one that was down", || {
        (caller.names("tools/list", "tools", "name") == ["files.read", "greedy.read", "find"]).then_some(())
    });
    assert_eq!(error(&caller, "read")["data"]["details"]["servers"], "files, greedy");
    assert_eq!(caller.call("find"), "greedy ran find {\"n\": 1}", "now it is known to be nobody else's");
    assert_eq!(caller.call("files.read"), "files ran it");
}

/// A3, P-D27: the first call of all by a bare name reads the lists that it depends on, and waits for them.
#[test]
fn the_first_call_reads_every_list() {
    let up = Arc::new(AtomicBool::new(true));
    let upstream = files(&up);
    let servers = [http("files", &upstream.url()), stdio("greedy", &json!({"tools": ["read", "find"]}))];
    let gate = gate(&servers, "", &[]);
    let caller = Caller::modern(&gate);
    // By its full name `greedy` becomes known before `files` is.
    assert_eq!(caller.call("greedy.read"), "greedy ran read {\"n\": 1}");
    assert_eq!(error(&caller, "read")["data"]["details"]["servers"], "files, greedy");
    assert_eq!(caller.call("find"), "greedy ran find {\"n\": 1}");
}

/// A3, I2, P-D27: a server that comes with a reload and is down takes no name from those who were here; what they offer
/// first after it came may be its own.
#[test]
fn a_newcomer_holds_up_no_name_that_was_known() {
    let up = Arc::new(AtomicBool::new(false));
    let upstream = files(&up);
    let settings = |newcomer: bool| {
        let files = if newcomer { http("files", &upstream.url()) } else { String::new() };
        format!(
            "environment = \"development\"\n[listen]\naddress = \"127.0.0.1:0\"\n[log]\nformat = \"pretty\"\n\
             [audit]\ndir = \"DIR/audit\"\n[[auth.keys]]\nname = \"test\"\nkey = \"{}\"\n{OFTEN}{files}{}{}",
            crate::gate::KEY,
            stdio("greedy", &json!({"tools": ["read", "find"]})),
            stdio("other", &json!({"tools": ["write"]})),
        )
    };
    let gate = Gate::configured(&settings(false));
    let caller = Caller::modern(&gate);
    assert_eq!(caller.call("find"), "greedy ran find {\"n\": 1}");
    gate.replace(&settings(true));
    gate.until_version(2);
    for (tool, server) in [("find", "greedy"), ("read", "greedy"), ("write", "other")] {
        assert_eq!(caller.call(tool), format!("{server} ran {tool} {{\"n\": 1}}"));
    }
    up.store(true, Ordering::SeqCst);
    until("the newcomer's list", || {
        caller.names("tools/list", "tools", "name").contains(&"files.read".to_owned()).then_some(())
    });
    assert_eq!(error(&caller, "read")["data"]["details"]["servers"], "files, greedy");
    assert_eq!(caller.call("find"), "greedy ran find {\"n\": 1}");
}
