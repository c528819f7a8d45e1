//! Child processes: none sees our secrets, none outlives the gateway.

use std::process::Command;

use crate::gate::{Gate, KEY, OTHER, palisade, signal, until, write_private};

/// Ignores SIGTERM and the end of stdin, and leaves a daemon and a child of its own behind.
pub(crate) const STUBBORN: &str = r#"
import os, signal, subprocess, sys, json, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.Popen(["sleep", "4711"], start_new_session=True)
subprocess.Popen(["sleep", "4711"])
while True:
    line = sys.stdin.readline()
    if not line:
        time.sleep(1)
        continue
    message = json.loads(line)
    if "id" in message:
        result = {"protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {"name": "n", "version": "0"}, "environment": dict(os.environ)}
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}), flush=True)
"#;

/// All processes below one, children of children too, whatever their session.
pub(crate) fn descendants(root: u32) -> Vec<u32> {
    let output = Command::new("ps").args(["-e", "-o", "pid=,ppid="]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let pairs: Vec<(u32, u32)> = text
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace().map(|word| word.parse().unwrap());
            Some((words.next()?, words.next()?))
        })
        .collect();
    let mut found = vec![root];
    let mut at = 0;
    while let Some(parent) = found.get(at).copied() {
        found.extend(pairs.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
        at += 1;
    }
    found.split_off(1)
}

pub(crate) fn alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

pub(crate) fn all_end(pids: &[u32]) {
    until("every descendant to end", || pids.iter().all(|pid| !alive(*pid)).then_some(()));
}

/// A3, I7: nothing outlives the gateway, stopped in order or killed.
#[test]
fn nothing_outlives_the_gateway() {
    for name in ["TERM", "KILL"] {
        let gate = Gate::run(&[], &["python3", "-c", STUBBORN]);
        gate.initialize("2025-11-25");
        let pids = until("the server's own children", || {
            let pids = descendants(gate.pid());
            (pids.len() >= 4).then_some(pids)
        });
        signal(gate.pid(), name);
        all_end(&pids);
    }
}

/// A3: a session's child ends with the session, and its siblings go on.
#[test]
fn a_session_ends_with_its_child() {
    let gate = Gate::run(&[], &["python3", "-c", STUBBORN]);
    let (first, second) = (gate.initialize("2025-11-25"), gate.initialize("2025-11-25"));
    let pids = until("two trees", || {
        let pids = descendants(gate.pid());
        (pids.len() >= 8).then_some(pids)
    });
    let end = gate.request("DELETE", "/mcp", &[("Mcp-Session-Id", &first)], b"");
    assert_eq!(gate.raw(&end).status, 200);
    until("one tree to end", || (pids.iter().filter(|pid| alive(**pid)).count() == 4).then_some(()));
    let ping = br#"{"jsonrpc":"2.0","id":5,"method":"ping"}"#;
    assert_eq!(gate.post(&[("Mcp-Session-Id", &first)], ping).status, 404);
    assert_eq!(gate.post(&[("Mcp-Session-Id", &second)], ping).status, 200);
}

/// A3, R7: a keeper that is killed alone takes its server with it, and whoever waits hears of it at once.
#[test]
fn a_killed_keeper_takes_its_server_along() {
    let gate = Gate::run(&[], &["python3", "-c", STUBBORN]);
    let session = gate.initialize("2025-11-25");
    let (keeper, server) = until("the server", || {
        let keeper = *descendants(gate.pid()).first()?;
        Some((keeper, *descendants(keeper).first()?))
    });
    signal(keeper, "KILL");
    all_end(&[server]);
    let ping = br#"{"jsonrpc":"2.0","id":5,"method":"ping"}"#;
    until("the session to be gone", || (gate.post(&[("Mcp-Session-Id", &session)], ping).status == 404).then_some(()));
    let again = gate.initialize("2025-11-25");
    assert_eq!(gate.post(&[("Mcp-Session-Id", &again)], ping).status, 200);
}

/// A3: a child's environment holds what it needs and what the operator names, and nothing of ours.
#[test]
fn a_child_sees_no_secret() {
    let dir = tempfile::tempdir().unwrap();
    let mut line = palisade();
    line.args(["run", "--listen", "127.0.0.1:0", "--env-keys", "--env", "WANTED", "--env", "SET=here", "--audit-dir"]);
    line.arg(dir.path().join("audit")).args(["--", "python3", "-c", STUBBORN]);
    let canary = "cN4rY8vB2nM6qW0eR3tZ7uI1oP5aS9dFg";
    for (name, value) in [
        ("MCP_API_KEYS", KEY),
        ("WANTED", "yes"),
        ("UNWANTED", canary),
        ("ENCRYPTION_KEY", canary),
        ("REDIS_PASSWORD", canary),
    ] {
        line.env(name, value);
    }
    let gate = Gate::start(line, dir);
    let session = gate.initialize("2025-11-25");
    let answer = gate.post(&[("Mcp-Session-Id", &session)], br#"{"jsonrpc":"2.0","id":5,"method":"ping"}"#);
    let environment = &answer.json()["result"]["environment"];
    assert_eq!((&environment["WANTED"], &environment["SET"]), (&"yes".into(), &"here".into()));
    assert!(environment["PATH"].is_string() && environment["UNWANTED"].is_null());
    assert!(!answer.text().contains(canary) && !answer.text().contains(KEY), "{}", answer.text());
    for pid in descendants(gate.pid()) {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&environment).contains(canary), "keepers too");
    }
}

/// A1, P-L15: in production the gateway leaves no dump of its memory, in development it may; servers start and answer in both.
#[test]
fn production_leaves_no_dump() {
    for (mode, none) in [("production", true), ("development", false)] {
        let dir = tempfile::tempdir().unwrap();
        let keys = dir.path().join("keys");
        write_private(&keys, &format!("test {KEY}\n"));
        let mut line = Command::new("sh");
        line.args(["-c", "ulimit -S -c 1024 && exec \"$0\" \"$@\""]).arg(palisade().get_program());
        line.args(["run", "--listen", "127.0.0.1:0", "--mode", mode, "--allowed-host", "localhost"]);
        line.args([
            "--allowed-host",
            "127.0.0.1",
            "--allowed-origin",
            "none",
            "--log-format",
            "pretty",
            "--api-key-file",
        ]);
        line.arg(keys).arg("--audit-dir").arg(dir.path().join("audit")).args(["--", "python3", "-c", STUBBORN]);
        let gate = Gate::start(line, dir);
        gate.initialize("2025-11-25");
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", gate.pid())).unwrap();
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        assert_eq!(core.split_whitespace().nth(4) == Some("0"), none, "{core}");
    }
}

/// A1: a session is its owner's: another key, or a forged handle, finds nothing, and the owner goes on.
#[test]
fn a_session_belongs_to_its_principal() {
    let gate = Gate::for_two(&["python3", "-c", STUBBORN]);
    let session = gate.initialize("2025-11-25");
    let ping = br#"{"jsonrpc":"2.0","id":5,"method":"ping"}"#;
    let bearer = format!("Bearer {OTHER}");
    for method in ["POST", "GET", "DELETE"] {
        let theft = [("Mcp-Session-Id", session.as_str()), ("Authorization", &bearer)];
        let body: &[u8] = if method == "POST" { ping } else { b"" };
        assert_eq!(gate.raw(&gate.request(method, "/mcp", &theft, body)).status, 404, "{method}");
    }
    let mut forged = session.clone();
    forged.replace_range(3..4, if &session[3..4] == "A" { "B" } else { "A" });
    assert_eq!(gate.post(&[("Mcp-Session-Id", &forged)], ping).status, 404);
    assert_eq!(gate.post(&[("Mcp-Session-Id", &session)], ping).status, 200);
    assert_eq!(gate.post(&[], ping).status, 400, "a session is needed");
}
