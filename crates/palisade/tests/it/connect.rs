//! `palisade connect`: clients that only start commands, in front of a gateway that demands signatures.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::gate::{Gate, write_private};
use crate::harness::{Client, Plan, Process, Report, built};
use crate::signed::{SECRET, signed_gate};

fn fixture() -> (Process, String) {
    let mut command = Command::new(built("palisade-fixture"));
    command.args(["--listen", "127.0.0.1:0"]);
    let server = Process::start(command);
    let url = server.wait_for("listening on ");
    (server, url)
}

/// What a client's configuration has for a server.
fn entry(gate: &Gate, more: &[&str]) -> Vec<String> {
    let url = format!("http://{}/mcp", gate.address);
    let words = [env!("CARGO_BIN_EXE_palisade"), "connect", &url].into_iter().chain(more.iter().copied());
    words.map(str::to_owned).collect()
}

fn visit(entry: &[String], client: Client) -> Report {
    let mut plan = Plan::starting(entry.to_vec())
        .step(json!({"call": "test_tool_with_progress", "progress": true}))
        .call("test_sampling", &json!({"prompt": "say something"}))
        .call("test_elicitation", &json!({"message": "who are you?"}));
    plan.declares = vec!["sampling", "elicitation"];
    let report = plan.visit(client);
    report.must_succeed();
    assert_eq!(report.notifications_of("notifications/progress"), 3, "{client:?}");
    assert_eq!(report.asked, ["sampling/createMessage", "elicitation/create"], "{client:?}");
    assert!(report.text(1).contains("a canned answer") && report.text(2).contains("ada@example.com"), "{client:?}");
    report
}

/// B4: the official clients' stdio configuration drives a gateway that demands signatures, in both eras: calls, streams,
/// and what the server asks of the client.
#[test]
fn official_clients_sign() {
    let (_server, url) = fixture();
    let gate = signed_gate(&url, "hmac", "");
    let key = gate.dir.path().join("desk.key");
    write_private(&key, &format!("desk-1 {SECRET}\n"));
    let entry = entry(&gate, &["--signed", "--key-file", key.to_str().unwrap()]);
    for client in [&Client::LEGACY[..], &Client::MODERN].concat() {
        visit(&entry, client);
    }
    let journal = gate.journal();
    let methods: Vec<_> = journal.iter().filter(|line| line["kind"] == "closing").map(|line| &line["auth"]).collect();
    assert!(!methods.is_empty() && methods.iter().all(|method| *method == "signature"), "{methods:?}");
}

/// B2, B4: the same with a key; and with a wrong secret nothing gets through.
#[test]
fn a_key_connects_too() {
    let (_server, url) = fixture();
    let gate = signed_gate(&url, "bearer", "[[auth.keys]]\nname = \"ci\"\nkey = \"bench-key-00000\"");
    let (key, wrong) = (gate.dir.path().join("ci.key"), gate.dir.path().join("wrong.key"));
    write_private(&key, "bench-key-00000\n");
    write_private(&wrong, &format!("desk-1 {}\n", SECRET.replace('k', "l")));
    visit(&entry(&gate, &["--key-file", key.to_str().unwrap()]), Client::TypeScript2("2026-07-28"));
    let mut plan = Plan::starting(entry(&gate, &["--signed", "--key-file", wrong.to_str().unwrap()]));
    let report = plan.visit(Client::Python("legacy"));
    assert!(report.error.is_some(), "a wrong secret got in");
}

/// B2: a key goes to another machine over TLS, or not at all.
#[test]
fn a_key_does_not_go_in_clear() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    write_private(&key, "bench-key-00000\n");
    let mut connect = Command::new(env!("CARGO_BIN_EXE_palisade"));
    connect.args(["connect", "http://192.0.2.1:9/mcp", "--key-file", key.to_str().unwrap()]).stdin(Stdio::null());
    let refused = connect.output().unwrap();
    let told = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(78), "{told}");
    assert!(told.contains("--danger-plain-http"), "{told}");
    let meant = connect.arg("--danger-plain-http").output().unwrap();
    assert!(meant.status.success(), "{}", String::from_utf8_lossy(&meant.stderr));
}

/// B2: what the other side refuses is heard in its own words, under the id of the request.
#[test]
fn refusals_are_the_other_sides() {
    let (_server, url) = fixture();
    let gate = signed_gate(&url, "bearer", "[[auth.keys]]\nname = \"ci\"\nkey = \"bench-key-00000\"");
    let wrong = gate.dir.path().join("wrong.key");
    write_private(&wrong, "another-key-00000\n");
    let entry = entry(&gate, &["--key-file", wrong.to_str().unwrap()]);
    let (program, arguments) = entry.split_first().unwrap();
    let mut connect = Command::new(program);
    connect.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut connect = connect.spawn().unwrap();
    let initialize = r#"{"jsonrpc":"2.0","id":"first","method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"0"}}}"#;
    let mut input = connect.stdin.take().unwrap();
    writeln!(input, "{initialize}").unwrap();
    let mut line = String::new();
    BufReader::new(connect.stdout.take().unwrap()).read_line(&mut line).unwrap();
    drop(input);
    connect.wait().unwrap();
    let answer: Value = serde_json::from_str(&line).unwrap();
    let told = (&answer["id"], &answer["error"]["data"]["code"]);
    assert_eq!(told, (&json!("first"), &json!("MCP-002")), "{answer}");
}
