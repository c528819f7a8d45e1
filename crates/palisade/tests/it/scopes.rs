//! What a key's scopes let its holder do.

use crate::edge::config;
use crate::gate::{Gate, OTHER};
use crate::upstream::Upstream;

fn said(method: &str, params: &str) -> Vec<u8> {
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#).into_bytes()
}

/// C1: a scoped key does what its scopes cover; anything else is 403 with the scope that is missing, and goes nowhere.
#[test]
fn a_key_does_what_its_scopes_cover() {
    let upstream = Upstream::echo();
    let scoped =
        format!("[[auth.keys]]\nname = \"scoped\"\nkey = \"{OTHER}\"\nscopes = [\"mcp:tools:call:stub/read_*\"]\n");
    let gate = Gate::configured(&config(&upstream.url(), &scoped));
    let key = ("X-API-Key", OTHER);
    let post = |method: &str, params: &str| gate.post(&[("Authorization", ""), key], &said(method, params));

    assert_eq!(post("tools/call", r#"{"name":"read_text","arguments":{}}"#).status, 200);
    assert_eq!(post("tools/list", "{}").status, 200);
    let passed = upstream.requests().len();
    for (method, params, scope) in [
        ("tools/call", r#"{"name":"write_text","arguments":{}}"#, "mcp:tools:call:stub"),
        ("resources/list", "{}", "mcp:resources:list:stub"),
        ("prompts/get", r#"{"name":"read_text"}"#, "mcp:prompts:get:stub"),
    ] {
        let refused = post(method, params);
        assert_eq!((refused.status, refused.code().as_str()), (403, "MCP-002"), "{method}");
        let challenge = format!(r#"Bearer error="insufficient_scope", scope="{scope}""#);
        assert_eq!(refused.header("www-authenticate"), Some(challenge.as_str()));
        assert_eq!(
            (&refused.json()["id"], &refused.json()["error"]["data"]["details"]["scope"]),
            (&1.into(), &scope.into())
        );
        assert_eq!(gate.post(&[], &said(method, params)).status, 200, "a key without scopes does every method");
    }
    assert_eq!(upstream.requests().len(), passed + 3);
    let records = gate.journal();
    let refusals = records.iter().filter(|record| record["reason"] == "ScopeMissing");
    assert!(refusals.map(|record| &record["security_event"]).eq(["policy_denied"; 3].iter()), "{records:?}");
}

/// C1: to a key whose scopes name other servers this one does not exist.
#[test]
fn a_server_outside_all_scopes_does_not_exist() {
    let upstream = Upstream::echo();
    let scoped = format!("[[auth.keys]]\nname = \"scoped\"\nkey = \"{OTHER}\"\nscopes = [\"mcp:*:*:other\"]\n");
    let gate = Gate::configured(&config(&upstream.url(), &scoped));
    let headers = [("Authorization", ""), ("X-API-Key", OTHER)];
    assert_eq!(gate.post(&headers, &said("ping", "{}")).status, 404);
    let market = gate.raw(&gate.request("GET", "/mcp/marketplace", &headers, b""));
    assert_eq!(market.json()["servers"], serde_json::json!([]));
    assert!(upstream.requests().is_empty());
}

/// B2, C3: the gateway's own pages keep to the credential as MCP does: its addresses, its scopes, its servers.
#[test]
fn pages_keep_to_the_credential() {
    let upstream = Upstream::echo();
    let read = |more: &str, path: &str| {
        let key = format!("[[auth.keys]]\nname = \"bound\"\nkey = \"{OTHER}\"\n{more}\n");
        let text = format!("{key}[servers.hidden]\nurl = \"{}\"\n", upstream.url());
        let gate = Gate::configured(&config(&upstream.url(), &text));
        gate.raw(&gate.request("GET", path, &[("Authorization", ""), ("X-API-Key", OTHER)], b""))
    };
    for path in ["/api/tools", "/api/status", "/mcp/marketplace"] {
        let elsewhere = read("allow = [\"10.0.0.0/8\"]", path);
        assert_eq!((elsewhere.status, elsewhere.code().as_str()), (403, "MCP-002"), "{path}");
        assert_eq!(read("allow = [\"127.0.0.0/8\"]", path).status, 200, "{path}");
    }
    let status = read("servers = [\"stub\"]", "/api/status");
    assert!(!status.text().contains("hidden"), "{}", status.text());
    assert!(read("", "/api/status").text().contains("hidden"));
    upstream.requests();
    let tools = read("scopes = [\"mcp:prompts\"]", "/api/tools").json();
    assert_eq!((&tools["tools"], &tools["unavailable"]), (&serde_json::json!([]), &serde_json::json!([])));
    assert!(read("scopes = [\"mcp:tools\"]", "/api/tools").text().contains("stub"));
}
