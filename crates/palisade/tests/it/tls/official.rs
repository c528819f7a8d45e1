//! The official clients over TLS, with an authority that each is told of in its own way.

use serde_json::json;

use super::certificates::{RULES, Yard};
use super::put;
use crate::gate::KEY;
use crate::harness::{Client, Plan, program};

/// B9, A4: the clients for TypeScript and Python call by TLS, in both eras, and believe the gateway by its authority alone:
/// without it they do not speak to it.
#[test]
fn official_clients_call_by_tls() {
    let yard = Yard::new();
    let command = format!("command = [{:?}]", program("mcp-server-time"));
    let gate = yard.start("optional", RULES, &command);
    let plan = |url: String, believed: bool| {
        let mut plan = Plan::at(url).call("get_current_time", &json!({"timezone": "UTC"}));
        plan.key = Some(KEY.to_owned());
        plan.authorities = believed.then(|| gate.dir.path().join("ca.pem"));
        plan
    };
    for client in [
        Client::TypeScript1,
        Client::TypeScript2("legacy"),
        Client::TypeScript2("2026-07-28"),
        Client::Python("legacy"),
        Client::Python("2026-07-28"),
    ] {
        let report = plan(gate.https("/mcp/one"), true).visit(client);
        report.must_succeed();
        assert!(report.text(0).contains("UTC"), "{client:?}");
        assert!(plan(gate.https("/mcp/one"), false).visit(client).error.is_some(), "{client:?} believes anybody");
    }
    let journal = gate.journal();
    assert!(journal.iter().any(|line| line["principal"] == "key:test"));
}

/// B9: the client for Python shows a certificate and needs no key; one that is revoked does not get in.
#[test]
fn an_official_client_shows_a_certificate() {
    let yard = Yard::new();
    let command = format!("command = [{:?}]", program("mcp-server-time"));
    let gate = yard.start("required", RULES, &command);
    let folder = gate.dir.path();
    let visit = |own: &super::Issued, mode| {
        put(folder, "own.pem", &own.pem);
        put(folder, "own.key", &own.key);
        let mut plan = Plan::at(gate.https("/mcp/one")).call("get_current_time", &json!({"timezone": "UTC"}));
        plan.authorities = Some(folder.join("ca.pem"));
        plan.certificate = Some([folder.join("own.pem"), folder.join("own.key")]);
        plan.visit(Client::Python(mode))
    };
    for mode in ["legacy", "2026-07-28"] {
        visit(&yard.agent, mode).must_succeed();
    }
    assert!(visit(&yard.revoked, "legacy").error.is_some());
    assert!(visit(&yard.stranger, "legacy").error.is_some(), "a certificate that no rule knows is nobody's");
    let journal = gate.journal();
    assert!(journal.iter().any(|line| line["principal"] == "certificate:agents"));
}
