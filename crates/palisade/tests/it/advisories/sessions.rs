//! Sessions and ids that belonged to nobody, or to everybody.

use std::collections::HashSet;

use super::{INITIALIZE, PING, one, two};
use crate::gate::{Gate, OTHER};

fn opened(gate: &Gate, path: &str, headers: &[(&str, &str)]) -> String {
    let answer = gate.raw(&gate.request("POST", path, headers, INITIALIZE));
    answer.header("mcp-session-id").unwrap_or_else(|| panic!("{} {}", answer.status, answer.text())).to_owned()
}

/// L5, P-J1: agentgateway took a session id on another route, with that route's policy and the first one's backend.
#[test]
fn ghsa_mvgg_jvj2_4frq() {
    let (gate, a, b) = two();
    let session = opened(&gate, "/mcp/a", &[]);
    let answer = gate.raw(&gate.request("POST", "/mcp/b", &[("Mcp-Session-Id", &session)], PING));
    assert_eq!(answer.status, 404, "{}", answer.text());
    assert_eq!((a.requests().len(), b.requests().len()), (1, 0), "nobody sees it");
    assert_eq!(gate.raw(&gate.request("POST", "/mcp/a", &[("Mcp-Session-Id", &session)], PING)).status, 200);
}

/// L5, P-J1: `ToolHive` let one principal use another's session; so did the Python SDK (CVE-2026-52869, GHSA-f6c5-f2ph-7x7p).
#[test]
fn ghsa_hqg7_qjgg_q779() {
    let (gate, _a, b) = two();
    let session = opened(&gate, "/mcp/b", &[]);
    let bob = format!("Bearer {OTHER}");
    for (method, body) in [("POST", PING), ("GET", b"".as_slice()), ("DELETE", b"")] {
        let headers = [("Authorization", bob.as_str()), ("Mcp-Session-Id", &session)];
        let answer = gate.raw(&gate.request(method, "/mcp/b", &headers, body));
        assert_eq!(answer.status, 404, "{method}: {}", answer.text());
    }
    assert_eq!(b.requests().len(), 1, "nobody sees it");
    let unharmed = gate.raw(&gate.request("POST", "/mcp/b", &[("Mcp-Session-Id", &session)], PING));
    assert_eq!(unharmed.status, 200, "{}", unharmed.text());
}

/// L5: oatpp-mcp's session ids could be guessed (CVE-2025-6515), Ruby's SDK took over streams (CVE-2026-33946).
#[test]
fn cve_2025_6515() {
    let (gate, upstream) = one();
    let sessions: HashSet<String> = (0..50).map(|_| opened(&gate, "/mcp", &[])).collect();
    assert_eq!(sessions.len(), 50, "each is new, though the upstream gave one name to all");
    let seen = upstream.requests().len();
    let some = sessions.iter().next().unwrap();
    let mut forged: Vec<String> = vec!["1".into(), "upstream-session-1".into(), "A".repeat(some.len())];
    forged.push(format!("{some}A"));
    forged.push(some[..some.len() - 1].to_owned());
    for at in [0, some.len() / 2, some.len() - 1] {
        let other = if some.as_bytes()[at] == b'A' { "B" } else { "A" };
        let mut changed = some.clone();
        changed.replace_range(at..=at, other);
        forged.push(changed);
    }
    for session in forged {
        let answer = gate.post(&[("Mcp-Session-Id", &session)], PING);
        assert_eq!(answer.status, 404, "{session}");
    }
    assert_eq!(upstream.requests().len(), seen, "none reaches the upstream");
}

/// L5, P-J1: a request without a session fell to the only one that was there (byterover #329, GHSA-qvqr-5cv7-wh35).
#[test]
fn ghsa_qvqr_5cv7_wh35() {
    let script = r#"
import sys, json
for line in sys.stdin:
    message = json.loads(line)
    if "id" in message:
        result = {"protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {"name": "n", "version": "0"}}
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}), flush=True)
"#;
    let gate = Gate::run(&[], &["python3", "-c", script]);
    let session = gate.initialize("2025-11-25");
    assert_eq!(gate.post(&[], PING).status, 400, "no session is no session");
    assert_eq!(gate.raw(&gate.request("GET", "/mcp", &[], b"")).status, 400);
    assert_eq!(gate.raw(&gate.request("DELETE", "/mcp", &[], b"")).status, 400);
    assert_eq!(gate.post(&[("Mcp-Session-Id", &session)], PING).status, 200);
}

/// L5, P-D20: the TypeScript SDK gave one client's answer to another that had chosen the same id (CVE-2026-25536).
#[test]
fn ghsa_345p_7cg4_v4c7() {
    crate::streams::callers_may_choose_one_id(&["1", "\"1\""]);
}
