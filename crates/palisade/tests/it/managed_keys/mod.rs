//! Managed keys: made by the command or by REST, used, rotated, withdrawn; in one gateway and in two.

mod administration;
mod closed;
mod guessing;
mod outage;
mod pepper;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::gate::{Answer, Gate, KEY, lines, palisade, signal, until, write_private};
use crate::reload::{CALL, PING, is_open, rest, streaming};
use crate::upstream::Upstream;

/// Settings of a gateway with a store in `store`, in front of these servers.
pub(crate) fn settings(store: &Path, servers: &[(&str, &str)]) -> String {
    let servers: Vec<_> = servers.iter().map(|(name, url)| format!("[servers.{name}]\nurl = \"{url}\"\n")).collect();
    let servers = servers.concat();
    format!(
        "environment = \"development\"\n[listen]\naddress = \"127.0.0.1:0\"\n[log]\nlevel = \"debug\"\nformat = \"pretty\"\n\
         [audit]\ndir = \"DIR/audit\"\n[store]\nurl = \"sqlite:{}\"\n[limits]\npenalty = \"off\"\n{servers}",
        store.join("palisade.db").display()
    )
}

impl Gate {
    pub(crate) fn settings(&self) -> PathBuf {
        self.dir.path().join("palisade.toml")
    }

    /// `palisade keys …` with this gateway's settings.
    fn keys(&self, arguments: &[&str]) -> Output {
        keys(&self.settings(), arguments, "")
    }

    /// Makes a key by the command: its text and its id.
    pub(crate) fn make(&self, arguments: &[&str]) -> (String, String) {
        let made = said(&self.keys(&[&["create", "--json"], arguments].concat()));
        (made["key"].as_str().unwrap().to_owned(), made["id"].as_str().unwrap().to_owned())
    }

    /// One call with a key.
    fn call(&self, key: &str) -> Answer {
        self.ping("files", key)
    }
}

/// `palisade keys …` with this on standard input.
fn keys(settings: &Path, arguments: &[&str], input: &str) -> Output {
    let mut command = palisade();
    command.arg("keys").args(arguments).arg("--config").arg(settings);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// The JSON on standard output.
fn said(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A gateway with its store in its own folder, in front of one server called `files`.
fn gate(upstream: &Upstream) -> Gate {
    Gate::configured(&settings(Path::new("DIR"), &[("files", &upstream.url())]))
}

/// B3: a key that the command makes works at once; after a rotation both secrets do, after the grace the new one alone,
/// after the revocation none.
#[test]
fn a_key_lives_from_creation_to_revocation() {
    let upstream = Upstream::echo();
    let gate = gate(&upstream);
    let output = gate.keys(&["create", "ci", "--expires", "90d"]);
    let (first, words) = (text(&output.stdout).trim().to_owned(), text(&output.stderr));
    assert!(output.status.success() && !words.contains(&first), "the key is on standard output alone: {words}");
    let id = words.split(' ').next().unwrap().to_owned();
    assert!(first.starts_with(&format!("mcp_{id}_")) && first.len() == 4 + 12 + 1 + 32 + 1 + 6, "{first}");
    until("the key to work", || (gate.call(&first).status == 200).then_some(()));

    let rotated = said(&gate.keys(&["rotate", &id, "--grace", "3s", "--json"]));
    let second = rotated["key"].as_str().unwrap();
    assert!(second != first && rotated["previous_secret_until"].is_string(), "{rotated}");
    until("the new secret to work", || (gate.call(second).status == 200).then_some(()));
    assert_eq!(gate.call(&first).status, 200, "the one before works on");
    until("the grace to be over", || (gate.call(&first).status == 401).then_some(()));
    assert_eq!(gate.call(second).status, 200);

    let revoked = Instant::now();
    assert_eq!(said(&gate.keys(&["revoke", &id, "--json"]))["state"], "revoked");
    until("the key to be refused", || (gate.call(second).status == 401).then_some(()));
    assert!(revoked.elapsed() < Duration::from_secs(5), "{:?}", revoked.elapsed());
    let over = gate.keys(&["rotate", &id]);
    assert!(!over.status.success() && text(&over.stderr).contains("this key is revoked"), "{over:?}");
}

/// B3, I3, R15: where two gateways share a store, what one withdraws the other refuses within a second, and the streams
/// that were opened with it end within a second too; those of another key go on.
#[test]
fn two_gateways_on_one_store_agree_within_a_second() {
    let rogue = streaming();
    let one = Gate::configured(&settings(Path::new("DIR"), &[("files", &rogue.url())]));
    let two = Gate::configured(&settings(one.dir.path(), &[("files", &rogue.url())]));
    let admin = one.make(&["admin", "--scope", "palisade:keys:write", "--scope", "mcp:*"]).0;
    let (key, id) = one.make(&["agent"]);
    let (other, _) = one.make(&["other"]);
    for gate in [&one, &two] {
        for key in [&key, &other, &admin] {
            until("the keys to be known", || (gate.call(key).status == 200).then_some(()));
        }
    }
    let mut here = one.open("POST", "files", &key, &[], CALL);
    let mut there = two.open("POST", "files", &key, &[], CALL);
    let mut others = two.open("POST", "files", &other, &[], CALL);

    let bearer = format!("Bearer {admin}");
    let answer = one.raw(&one.request("DELETE", &format!("/api/keys/{id}"), &[("Authorization", &bearer)], b""));
    let revoked = Instant::now();
    assert_eq!((answer.status, &answer.json()["state"]), (200, &"revoked".into()), "{}", answer.text());
    assert_eq!(one.call(&key).status, 401, "in the same process with the next call");
    until("the other gateway to refuse it", || (two.call(&key).status == 401).then_some(()));
    assert!(revoked.elapsed() < Duration::from_secs(1), "{:?}", revoked.elapsed());
    for stream in [&mut here, &mut there] {
        let (said, ended) = rest(stream);
        assert!(ended.saturating_duration_since(revoked) < Duration::from_secs(1), "{:?}", ended - revoked);
        assert!(said.contains("MCP-002"), "{said}");
    }
    assert!(is_open(&mut others));
}

/// B3, I2, R15: a reload that removes the last key of the configuration is refused while the store has none that works;
/// once it has one, the reload takes that for all there is: the key that was removed is out, and its streams end.
#[test]
fn the_last_key_gives_way_to_managed_ones() {
    let rogue = streaming();
    let without = settings(Path::new("DIR"), &[("files", &rogue.url())]);
    let gate = Gate::configured(&format!("{without}[[auth.keys]]\nname = \"last\"\nkey = \"{KEY}\"\n"));
    let last =
        || gate.raw(&gate.request("GET", "/api/status", &[], b"")).json()["configuration"]["last_reload"].clone();
    gate.replace(&without);
    let faults = until("the fault", || Some(last()).filter(|last| last["ok"] == false))["faults"].to_string();
    assert!(faults.contains("auth.keys") && faults.contains("none that works in the store"), "{faults}");
    assert_eq!(gate.call(KEY).status, 200, "all stays as it was");

    let (key, id) = gate.make(&["agent"]);
    until("the key to work", || (gate.call(&key).status == 200).then_some(()));
    let mut lasts = gate.open("POST", "files", KEY, &[], CALL);
    gate.replace(&without);
    until("the last key to be out", || (gate.call(KEY).status == 401).then_some(()));
    assert_eq!(gate.call(&key).status, 200, "managed keys are looked for");
    assert!(rest(&mut lasts).0.contains("MCP-002"));
    assert!(gate.keys(&["revoke", &id]).status.success());
    until("a managed key to end as ever", || (gate.call(&key).status == 401).then_some(()));
}

/// B3: a stream ends when its key does, though nobody changed anything.
#[test]
fn a_stream_ends_when_its_key_expires() {
    let rogue = streaming();
    let gate = Gate::configured(&settings(Path::new("DIR"), &[("files", &rogue.url())]));
    let (key, id) = gate.make(&["brief", "--expires", "2s"]);
    until("the key to work", || (gate.call(&key).status == 200).then_some(()));
    let mut stream = gate.open("POST", "files", &key, &[], CALL);
    let (said, _) = rest(&mut stream);
    assert!(said.contains("MCP-002"), "{said}");
    let refused = gate.call(&key);
    assert_eq!(refused.status, 401);
    assert!(refused.header("www-authenticate").unwrap().contains("the key has expired"), "{refused:?}");
    assert_eq!(said_of(&gate, &id)["state"], "expired");
}

fn said_of(gate: &Gate, id: &str) -> Value {
    said(&gate.keys(&["show", id, "--json"]))
}

/// B3, A10, C1: a key reaches its servers from its networks with its scopes and no more, and has a limit of its own.
#[test]
fn a_key_does_what_it_was_made_for() {
    let upstream = Upstream::echo();
    let url = upstream.url();
    let gate = Gate::configured(&settings(Path::new("DIR"), &[("files", &url), ("search", &url)]));
    let (narrow, _) = gate.make(&["narrow", "--server", "files", "--limit", "3/min"]);
    let (elsewhere, _) = gate.make(&["elsewhere", "--allow-ip", "192.0.2.0/24"]);
    let (reader, _) = gate.make(&["reader", "--scope", "mcp:tools:call:files/read_*"]);
    until("the keys to be known", || (gate.ping("files", &reader).status == 200).then_some(()));
    assert_eq!((gate.ping("files", &narrow).status, gate.ping("search", &narrow).status), (200, 404));
    assert_eq!(gate.ping("files", &narrow).status, 200);
    assert_eq!(gate.ping("files", &narrow).status, 429, "three calls, one of them refused, is its limit");
    assert_eq!(gate.ping("files", &elsewhere).status, 403);
    let call = |tool: &str| {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{tool}","arguments":{{}}}}}}"#
        );
        let bearer = format!("Bearer {reader}");
        gate.raw(&gate.request("POST", "/mcp/files", &[("Authorization", &bearer)], body.as_bytes())).status
    };
    assert_eq!((call("read_file"), call("write_file")), (200, 403));
}

/// B3, P-A12, P-A13: nobody hears whether an id is known: unknown ids, wrong secrets, revoked keys and secrets that were
/// rotated out have one answer; the log and the journal tell them apart, by public id alone.
#[test]
fn an_unknown_id_and_a_wrong_secret_sound_the_same() {
    let upstream = Upstream::echo();
    let gate = gate(&upstream);
    let (_, id) = gate.make(&["one"]);
    let (gone, gone_id) = gate.make(&["gone"]);
    let (old, old_id) = gate.make(&["old"]);
    said(&gate.keys(&["revoke", &gone_id, "--json"]));
    said(&gate.keys(&["rotate", &old_id, "--grace", "0s", "--json"]));
    let (last, _) = gate.make(&["last"]);
    until("all of it to be known", || (gate.call(&last).status == 200).then_some(()));
    let mut wrong = palisade_guard::authenticate::key_text::write(
        "mcp_",
        palisade_guard::authenticate::key_text::PublicId::read(id.as_bytes()).unwrap(),
        &"x".repeat(32),
    );
    let unknown = wrong.replace(&id, "aaaaaaaaaaaa");
    let unknown = palisade_guard::authenticate::key_text::write(
        "mcp_",
        palisade_guard::authenticate::key_text::PublicId::read(b"aaaaaaaaaaaa").unwrap(),
        &unknown[17..49],
    );
    let heard = |key: &str| {
        let mut answer = gate.call(key);
        let mut body = answer.json();
        for (parent, name) in [("/error/data", "correlation_id"), ("/error/data", "timestamp")] {
            body.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name);
        }
        let told = ["www-authenticate", "content-type"].map(|name| answer.header(name).map(str::to_owned));
        answer.headers.sort();
        let names: Vec<String> = answer.headers.iter().map(|(name, _)| name.clone()).collect();
        (answer.status, told, names, body)
    };
    let first = heard(&wrong);
    assert_eq!(first.0, 401);
    for key in [&unknown, &gone, &old, "mcp_nobody", "a.b.c"] {
        assert_eq!(heard(key), first, "{key}");
    }
    wrong.pop();
    assert_eq!(heard(&wrong), first, "a checksum that is wrong");
    let journal = gate.journal();
    let causes: String = journal.iter().filter_map(|line| line["cause"].as_str()).collect();
    for cause in ["no managed key has this id", "the secret is wrong"] {
        assert!(causes.contains(cause), "{causes}");
    }
    assert!(causes.contains(&format!("managed:{id}")), "{causes}");
}

/// B3, F3: the secret is in no journal, log, status, list or settings page, and not in the store; the public id is.
#[test]
fn the_secret_is_shown_once() {
    let upstream = Upstream::echo();
    let mut gate = gate(&upstream);
    let (key, id) = gate.make(&["canary", "--scope", "mcp:*", "--scope", "palisade:*"]);
    let secret = key.split('_').nth(2).unwrap().to_owned();
    until("the key to work", || (gate.call(&key).status == 200).then_some(()));
    let mut seen = String::new();
    let bearer = format!("Bearer {key}");
    for path in ["/api/status", "/api/keys", &format!("/api/keys/{id}"), &format!("/api/keys/{id}/usage")] {
        seen += &gate.raw(&gate.request("GET", path, &[("Authorization", &bearer)], b"")).text();
    }
    for arguments in [&["list"][..], &["list", "--json"], &["show", &id], &["usage", &id]] {
        let output = gate.keys(arguments);
        seen += &(text(&output.stdout) + &text(&output.stderr));
    }
    seen += &text(&palisade().args(["config", "show", "--config"]).arg(gate.settings()).output().unwrap().stdout);
    gate.stop();
    seen += &gate.log.lock().unwrap();
    for line in gate.verify() {
        seen += &line.to_string();
    }
    let pepper = std::fs::read_to_string(gate.dir.path().join("palisade.pepper")).unwrap();
    for entry in std::fs::read_dir(gate.dir.path()).unwrap().map(Result::unwrap) {
        if entry.file_name().to_string_lossy().starts_with("palisade.db") {
            seen += &text(&std::fs::read(entry.path()).unwrap());
        }
    }
    assert!(seen.contains(&id) && !seen.contains(&secret), "the secret is somewhere");
    assert!(!seen.contains(pepper.trim()), "the pepper is somewhere");
}

/// B3: the command and REST say what a text is, without showing it, by exit code too.
#[test]
fn a_key_is_verified_from_standard_input() {
    let upstream = Upstream::echo();
    let gate = gate(&upstream);
    let (key, id) = gate.make(&["ci"]);
    let verify = |text: &str, more: &[&str]| keys(&gate.settings(), &[&["verify"], more].concat(), text);
    let good = verify(&format!("{key}\n"), &["--json"]);
    assert_eq!((good.status.code(), &said(&good)["key"]["id"]), (Some(0), &id.as_str().into()));
    let typo = verify(&key.replace('_', "-"), &[]);
    assert_eq!((typo.status.code(), text(&typo.stdout).contains("no managed key")), (Some(1), true), "{typo:?}");
    said(&gate.keys(&["revoke", &id, "--json"]));
    let gone = verify(&key, &[]);
    assert_eq!(gone.status.code(), Some(1));
    assert!(text(&gone.stdout).contains("does not work") && !text(&gone.stdout).contains(&key), "{gone:?}");
}

/// B3: uses are counted without a write for each, and none is lost at an orderly end.
#[test]
fn uses_are_written_down() {
    let upstream = Upstream::echo();
    let mut gate = gate(&upstream);
    let (key, id) = gate.make(&["ci"]);
    until("the key to work", || (gate.call(&key).status == 200).then_some(()));
    for _ in 0..9 {
        assert_eq!(gate.call(&key).status, 200);
    }
    gate.stop();
    let used = said(&gate.keys(&["usage", &id, "--json"]));
    assert!(used["uses"] == 10 && used["last_used_at"].is_string(), "{used}");
}

/// B3, I3, G4, R11: what was acknowledged outlives `kill -9` of the gateway that did it, and is in the journal of the next
/// one; and a gateway without any key, managed or not, does not start in production.
#[test]
fn what_was_acknowledged_outlives_a_kill() {
    let upstream = Upstream::echo();
    let mut gate = gate(&upstream);
    let (admin, admin_id) = gate.make(&["admin", "--scope", "palisade:keys:*", "--scope", "mcp:*"]);
    until("the key to work", || (api(&gate, "GET", "", &admin, "").status == 200).then_some(()));
    let made: Vec<Value> = (0..20)
        .map(|number| {
            let answer = api(&gate, "POST", "", &admin, &format!(r#"{{"name":"agent-{number}"}}"#));
            assert_eq!(answer.status, 200, "{}", answer.text());
            answer.json()
        })
        .collect();
    let gone = made[7]["id"].as_str().unwrap();
    assert_eq!(api(&gate, "DELETE", &format!("/{gone}"), &admin, "").status, 200);
    signal(gate.pid(), "KILL");
    gate.ended();
    let mut line = palisade();
    line.arg("run").arg("--config").arg(gate.settings());
    let dir = std::mem::replace(&mut gate.dir, tempfile::tempdir().unwrap());
    let gate = Gate::start(line, dir);
    for key in &made {
        let status = gate.call(key["key"].as_str().unwrap()).status;
        assert_eq!(status, if key["id"] == gone { 401 } else { 200 }, "{key}");
    }
    until("the changes to be in the journal", || {
        let changes: Vec<Value> = lines(&gate.audit()).into_iter().filter(|line| line["kind"] == "change").collect();
        (changes.len() >= 22).then(|| {
            let made_by = |who: &str| changes.iter().filter(|line| line["who"] == who).count();
            assert!(made_by(&format!("managed:{admin_id}")) >= 21, "{changes:#?}");
            assert!(changes.iter().all(|line| line["class"] == "config_changes"), "{changes:#?}");
            assert!(
                changes.iter().any(|line| line["what"] == "key.revoke" && line["target"] == format!("managed:{gone}"))
            );
        })
    });
}

/// A request to `/api/keys`.
fn api(gate: &Gate, method: &str, path: &str, key: &str, body: &str) -> Answer {
    let bearer = format!("Bearer {key}");
    gate.raw(&gate.request(method, &format!("/api/keys{path}"), &[("Authorization", &bearer)], body.as_bytes()))
}

/// B2, B3: in production a store with a key is enough to start, and an empty one is not; the command needs neither the
/// keys nor the upstreams' secrets of the settings.
#[test]
fn production_starts_with_a_managed_key() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("palisade.toml");
    write_private(
        &file,
        "listen = { address = \"127.0.0.1:0\", hosts = [\"localhost\"], origins = [\"none\"] }\naudit.dir = \"audit\"\n\
         log.format = \"pretty\"\n[servers.files]\nurl = \"http://127.0.0.1:9/mcp\"\nheaders = { authorization = \"secret:env:NOT_HERE\" }\n",
    );
    let run = || {
        let mut line = palisade();
        line.arg("run").arg("--config").arg(&file).env("NOT_HERE", "Bearer x");
        line
    };
    let refused = run().output().unwrap();
    assert_eq!(refused.status.code(), Some(78));
    assert!(text(&refused.stderr).contains("palisade keys create"), "{}", text(&refused.stderr));
    assert!(keys(&file, &["list"], "").status.success(), "which makes the store");
    let empty = run().output().unwrap();
    assert_eq!((empty.status.code(), text(&empty.stderr).contains("none in the store")), (Some(78), true), "{empty:?}");
    let made = keys(&file, &["create", "first"], "");
    let bearer = format!("Bearer {}", text(&made.stdout).trim());
    let gate = Gate::start(run(), dir);
    for (key, code) in [(bearer.as_str(), "MCP-003"), ("Bearer nobody", "MCP-002")] {
        let headers = [("Host", "localhost"), ("Authorization", key)];
        assert_eq!(gate.raw(&gate.request("POST", "/mcp/files", &headers, PING)).code(), code);
    }
}

/// B3, P-E3: the pepper that is missing, or another one, is a fault at the start, and no new one is made in silence.
#[test]
fn another_pepper_does_not_start() {
    let upstream = Upstream::echo();
    let mut gate = gate(&upstream);
    gate.make(&["ci"]);
    gate.stop();
    let pepper = gate.dir.path().join("palisade.pepper");
    let kept = std::fs::read_to_string(&pepper).unwrap();
    std::fs::remove_file(&pepper).unwrap();
    let start = || palisade().arg("run").arg("--config").arg(gate.settings()).output().unwrap();
    let missing = start();
    assert_eq!(missing.status.code(), Some(78));
    assert!(text(&missing.stderr).contains("is missing; put it back"), "{}", text(&missing.stderr));
    assert!(!pepper.exists());
    write_private(&pepper, &"another-pepper-of-enough-bytes-0".repeat(2));
    assert!(text(&start().stderr).contains("is not the pepper"), "{}", text(&start().stderr));
    std::fs::write(&pepper, kept).unwrap();
    assert!(gate.keys(&["list"]).status.success());
}
