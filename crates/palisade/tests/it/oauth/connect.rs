//! `palisade connect --oauth`: clients that only start commands, in front of a gateway that wants a login at a real
//! authorization server.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use palisade_guard::login::encoded;
use serde_json::{Value, json};

use super::flow::{authorization_server, gateway};
use crate::gate::{get, palisade};
use crate::harness::{Client, Gateway, Plan, Process, Report, program};

/// How often somebody logged in, and a token was refreshed.
fn counts(issuer: &str) -> (u64, u64) {
    let answer = get(&format!("{issuer}/counts"));
    let counts: Value = serde_json::from_str(&answer).unwrap();
    (counts["logins"].as_u64().unwrap(), counts["refreshed"].as_u64().unwrap())
}

fn plan(gateway: &Gateway, issuer: &str, file: &Path) -> Plan {
    let file = file.to_str().unwrap();
    let words = [env!("CARGO_BIN_EXE_palisade"), "connect", &gateway.mcp(), "--oauth", "--token-file", file];
    let mut plan = Plan::starting(words.map(str::to_owned).to_vec());
    plan.login = Some(format!("{issuer}/browser"));
    plan
}

fn must_be_ada(gateway: Gateway, report: &Report, unknown: usize) {
    report.must_succeed();
    let journal = gateway.stop();
    assert!(journal.closings().any(|line| line["principal"] == "oauth:corp:ada"), "{journal}");
    let strangers = journal.closings().filter(|line| line["status"] == 401).count();
    assert_eq!(strangers, unknown, "who is logged in comes with a good token: {journal}");
}

/// B6: an official client's stdio configuration logs in, unaided: it finds the authorization server, registers, proves with
/// PKCE, names the resource, and asks for more scopes when more are needed. Started again it needs nobody.
#[test]
fn a_client_that_only_starts_commands_logs_in() {
    let (_server, issuer) = authorization_server(600);
    let folder = tempfile::tempdir().unwrap();
    for client in [Client::TypeScript1, Client::TypeScript2("legacy")] {
        let file = folder.path().join(format!("{client:?}").replace('"', ""));
        let (before, _) = counts(&issuer);
        let gateway = gateway(&issuer, &[&program("mcp-server-time")]);
        let mut plan = plan(&gateway, &issuer, &file).call("get_current_time", &json!({"timezone": "UTC"}));
        let report = plan.visit(client);
        report.must_succeed();
        assert!(report.text(0).contains("UTC"), "{client:?}");
        assert_eq!(counts(&issuer).0, before + 2, "{client:?}: once to list, and once more to call");
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let again = plan.visit(client);
        assert_eq!(counts(&issuer).0, before + 2, "{client:?}: the file has the login");
        must_be_ada(gateway, &again, 1);
    }
}

/// B6: a client that hides what its servers say, as one does that tries out first which revision they speak, finds a login
/// that was made before; that it lacks a scope leads to another one.
#[test]
fn a_login_can_be_made_before() {
    let (_server, issuer) = authorization_server(600);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("login");
    let gateway = gateway(&issuer, &[&program("mcp-server-time")]);
    let mut line = palisade();
    line.args(["connect", &gateway.mcp(), "--oauth", "--login", "--token-file"]).arg(&file);
    let mut connector = Process::start(line);
    let address = connector.wait_for("log in at ");
    let last = get(&format!("{issuer}/browser?url={}", encoded(address.as_bytes())));
    assert!(get(&last).contains("logged in"));
    assert!(connector.wait().success());
    let mut plan = plan(&gateway, &issuer, &file).call("get_current_time", &json!({"timezone": "UTC"}));
    let report = plan.visit(Client::TypeScript2("2026-07-28"));
    assert_eq!(report.revision.as_deref(), Some("2026-07-28"));
    assert_eq!(counts(&issuer).0, 2);
    must_be_ada(gateway, &report, 0);
}

/// B6: tokens that last two seconds are refreshed before their end, each time with the refresh token that came last: the
/// person is asked once, and the gateway never sees a token that is over.
#[test]
fn tokens_are_refreshed_in_time() {
    let (_server, issuer) = authorization_server(2);
    let folder = tempfile::tempdir().unwrap();
    let gateway = gateway(&issuer, &[&program("mcp-server-everything"), "stdio"]);
    let mut plan = plan(&gateway, &issuer, &folder.path().join("login"));
    for _ in 0..4 {
        let wait = json!({"duration": 1.5, "steps": 1});
        plan = plan.call("trigger-long-running-operation", &wait).call("echo", &json!({"message": "still here"}));
    }
    let report = plan.visit(Client::TypeScript2("legacy"));
    let (logins, refreshed) = counts(&issuer);
    assert_eq!(logins, 2, "once to list, and once more to call");
    assert!(refreshed >= 4, "{refreshed}");
    must_be_ada(gateway, &report, 1);
}
