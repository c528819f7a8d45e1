//! The official clients log in by themselves: they find the authorization server, register, prove with PKCE, name the
//! resource, and ask for more when more is needed.

use std::process::Command;

use serde_json::json;

use crate::harness::{Client, Gateway, Plan, Process, Setup, program, script};

/// A running authorization server, and where it is.
pub(super) fn authorization_server(seconds: u32) -> (Process, String) {
    let mut node = Command::new(program("node"));
    node.arg(script("authorization_server.mjs")).arg(seconds.to_string());
    let server = Process::start(node);
    let address = server.wait_for("listening on ");
    (server, address)
}

pub(super) fn gateway(issuer: &str, command: &[&str]) -> Gateway {
    let text = format!(
        "environment = \"development\"\n\
         [auth]\noffered_scopes = [\"tools.list\"]\n\
         [[auth.issuers]]\nname = \"corp\"\nurl = \"{issuer}\"\nleeway = \"1ms\"\n\
         [auth.issuers.scopes]\n\"tools.list\" = [\"mcp:tools:list\"]\n\"tools.call\" = [\"mcp:tools:call\"]\n\
         [servers.behind]\ncommand = {command:?}\n"
    );
    Setup::run().config(text).start()
}

fn visit(client: Client) {
    let (_server, issuer) = authorization_server(600);
    let gateway = gateway(&issuer, &[&program("mcp-server-time")]);
    let mut plan = Plan::to(&gateway).call("get_current_time", &json!({"timezone": "UTC"}));
    plan.key = None;
    plan.login = Some(format!("{issuer}/browser"));
    let report = plan.visit(client);
    report.must_succeed();
    assert!(report.lists("get_current_time") && report.text(0).contains("UTC"));
    let journal = gateway.stop();
    assert!(journal.closings().any(|line| line["principal"] == "oauth:corp:ada"), "{client:?}: {journal}");
    assert!(journal.to_string().contains("ScopeMissing"), "{client:?} stepped up");
}

/// B6: the first TypeScript SDK.
#[test]
fn typescript_1_logs_in() {
    visit(Client::TypeScript1);
}

/// B6: the second, in both eras.
#[test]
fn typescript_2_logs_in() {
    visit(Client::TypeScript2("legacy"));
    visit(Client::TypeScript2("2026-07-28"));
}

/// B6: the Rust SDK, in both eras.
#[test]
fn rust_logs_in() {
    visit(Client::Rust("legacy"));
    visit(Client::Rust("2026-07-28"));
}

/// B6: the Python SDK, in both eras.
#[test]
fn python_logs_in() {
    visit(Client::Python("legacy"));
    visit(Client::Python("2026-07-28"));
}
