//! The configuration changes while calls run: all of it or nothing, and no call is lost.

use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::children::{STUBBORN, all_end, descendants};
use crate::gate::{Answer, Gate, KEY, OTHER, signal, until, write_private};
use crate::hostile::rogue::{Rogue, hangs};
use crate::upstream::Upstream;

pub(crate) const PING: &[u8] = br#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
const BOTH: &[(&str, &str)] = &[("test", KEY), ("other", OTHER)];
const ONE: &[(&str, &str)] = &[("test", KEY)];

/// A file of settings with these keys and servers.
pub(crate) fn settings(keys: &[(&str, &str)], servers: &[(&str, &str)], more: &str) -> String {
    let mut text = "environment = \"development\"\n[listen]\naddress = \"127.0.0.1:0\"\n\
         [log]\nlevel = \"debug\"\nformat = \"pretty\"\n[audit]\ndir = \"DIR/audit\"\n"
        .to_owned();
    for (name, key) in keys {
        write!(text, "[[auth.keys]]\nname = \"{name}\"\nkey = \"{key}\"\n").unwrap();
    }
    for (name, how) in servers {
        write!(text, "[servers.{name}]\n{how}\n").unwrap();
    }
    text + "[limits]\naddress_ceiling_per_minute = 1000000\n" + if more.is_empty() { PLENTY } else { more }
}

const PLENTY: &str = "per_caller_per_minute = 60000\n";

fn url(upstream: &Upstream) -> String {
    format!("url = \"{}\"", upstream.url())
}

fn python(script: &str) -> String {
    format!("command = [\"python3\", \"-c\", '''{script}''']")
}

impl Gate {
    fn file(&self) -> PathBuf {
        self.dir.path().join("palisade.toml")
    }

    /// Puts another file in the place of the old one, as editors do.
    pub(crate) fn replace(&self, text: &str) {
        let next = self.dir.path().join("next.toml");
        write_private(&next, &text.replace("DIR", &self.dir.path().display().to_string()));
        std::fs::rename(next, self.file()).unwrap();
    }

    /// What the status page says of the configuration.
    fn loaded(&self) -> Value {
        let answer = self.raw(&self.request("GET", "/api/status", &[], b""));
        answer.json()["configuration"].clone()
    }

    /// Waits until the configuration with this number is in force.
    pub(crate) fn until_version(&self, version: u64) -> Value {
        until(&format!("configuration {version}"), || Some(self.loaded()).filter(|now| now["version"] == version))
    }

    /// Waits until a reload has failed, and returns its faults.
    fn until_faults(&self) -> String {
        let last = until("faults", || Some(self.loaded()["last_reload"].clone()).filter(|last| last["ok"] == false));
        last["faults"].to_string()
    }

    pub(crate) fn ping(&self, server: &str, key: &str) -> Answer {
        let bearer = format!("Bearer {key}");
        self.raw(&self.request("POST", &format!("/mcp/{server}"), &[("Authorization", &bearer)], PING))
    }

    /// Opens a stream and reads its head.
    pub(crate) fn open(
        &self,
        method: &str,
        server: &str,
        key: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> TcpStream {
        let bearer = format!("Bearer {key}");
        let headers = [&[("Authorization", bearer.as_str()), ("Connection", "keep-alive")], headers].concat();
        let mut stream = self.connect();
        stream.write_all(&self.request(method, &format!("/mcp/{server}"), &headers, body)).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            assert_eq!(stream.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&head));
            head.push(byte[0]);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        assert!(head.contains("200 OK") && head.contains("text/event-stream"), "{head}");
        stream
    }
}

/// Reads a stream to the end of its chunked body; what was in it, and when it ended.
pub(crate) fn rest(stream: &mut TcpStream) -> (String, Instant) {
    let mut seen = Vec::new();
    let mut chunk = [0; 4096];
    while !seen.ends_with(b"0\r\n\r\n") {
        let read = stream.read(&mut chunk).unwrap();
        assert!(read > 0, "the connection was torn: {}", String::from_utf8_lossy(&seen));
        seen.extend_from_slice(&chunk[..read]);
    }
    (String::from_utf8_lossy(&seen).into_owned(), Instant::now())
}

/// Whether a stream is still open: nothing but keep-alives comes.
pub(crate) fn is_open(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let mut chunk = [0; 4096];
    loop {
        match stream.read(&mut chunk) {
            Ok(0) => return false,
            Ok(read) if chunk[..read].windows(5).any(|window| window == b"0\r\n\r\n") => return false,
            Ok(_) => {}
            Err(_) => return true,
        }
    }
}

/// An upstream that begins a stream for every GET and every tool call, and says nothing more.
pub(crate) fn streaming() -> Rogue {
    let hang = hangs("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n: here\n\n");
    Rogue::doing(move |request, stream| match request.method().as_str() {
        "initialize" | "notifications/initialized" | "ping" => {
            stream.write_all(&crate::upstream::result(request)).is_ok()
        }
        _ => hang(request, stream),
    })
}

pub(crate) const CALL: &[u8] =
    br#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"slow","arguments":{}}}"#;

/// I2, R15: a changed file is taken over whole; one that is wrong changes nothing, and every fault is said.
#[test]
fn a_good_file_is_taken_over_and_a_bad_one_is_not() {
    let (one, two) = (Upstream::echo(), Upstream::echo());
    let gate = Gate::configured(&settings(ONE, &[("one", &url(&one))], ""));
    let first = gate.loaded();
    assert_eq!((&first["version"], &first["last_reload"]), (&1.into(), &Value::Null));
    assert_eq!(gate.ping("two", KEY).status, 404);
    assert_eq!(gate.ping("one", OTHER).status, 401);

    let good = settings(BOTH, &[("one", &url(&one)), ("two", &url(&two))], "");
    gate.replace(&good);
    let second = gate.until_version(2);
    assert!(second["digest"] != first["digest"] && second["last_reload"]["ok"] == true, "{second}");
    assert_eq!((gate.ping("two", KEY).status, gate.ping("one", OTHER).status), (200, 200));

    for (bad, said) in [
        ("[listen\naddress", "palisade.toml"),
        ("environment = \"development\"\n[listen]\nadress = \"127.0.0.1:0\"\n", "address"),
        (&settings(ONE, &[("one", "url = \"ftp://nowhere/\"")], ""), "servers.one.url"),
        (&settings(ONE, &[("one", "command = [\"no-such-program\"]")], ""), "no-such-program"),
        (&good.replace("127.0.0.1:0", "127.0.0.1:1"), "listen.address"),
        (&good.replace("DIR/audit", "DIR/elsewhere"), "restart"),
        (&good[..good.find(OTHER).unwrap() + 9], "palisade.toml"),
        ("", "servers"),
    ] {
        gate.replace(bad);
        let faults = until("the fault", || {
            Some(gate.loaded()["last_reload"]["faults"].to_string()).filter(|faults| faults.contains(said))
        });
        assert!(!faults.contains(KEY) && !faults.contains(OTHER), "{faults}");
        let now = gate.loaded();
        assert_eq!((&now["version"], &now["digest"]), (&second["version"], &second["digest"]), "{faults}");
        assert_eq!((gate.ping("two", KEY).status, gate.ping("one", OTHER).status), (200, 200));
        until("the log to say it too", || gate.log.lock().unwrap().contains(said).then_some(()));
    }
    gate.replace(&good);
    assert_eq!(gate.until_version(3)["last_reload"]["ok"], true, "and it is read again when it is right");
}

/// I2, R15: written in place in two halves, replaced through symbolic links as Kubernetes does, and asked for by SIGHUP.
#[test]
fn every_way_to_change_a_file_is_seen() {
    let upstream = Upstream::echo();
    let server = [("one", url(&upstream))];
    let text = |keys| settings(keys, &[("one", &server[0].1)], "");
    let gate = Gate::configured(&text(ONE));
    let whole = text(BOTH).replace("DIR", &gate.dir.path().display().to_string());
    // In the middle of a key.
    let (half, other_half) = whole.split_at(whole.find(OTHER).unwrap() + 9);
    let mut file = std::fs::OpenOptions::new().write(true).truncate(true).open(gate.file()).unwrap();
    file.write_all(half.as_bytes()).unwrap();
    gate.until_faults();
    assert_eq!(gate.ping("one", KEY).status, 200, "half a file changes nothing");
    file.write_all(other_half.as_bytes()).unwrap();
    gate.until_version(2);
    assert_eq!(gate.ping("one", OTHER).status, 200);

    let folder = |name: &str, keys| {
        let folder = gate.dir.path().join(name);
        std::fs::create_dir(&folder).unwrap();
        write_private(
            &folder.join("palisade.toml"),
            &text(keys).replace("DIR", &gate.dir.path().display().to_string()),
        );
    };
    folder("..first", ONE);
    folder("..second", BOTH);
    let turn = |to: &str| {
        std::os::unix::fs::symlink(to, gate.dir.path().join("..data_tmp")).unwrap();
        std::fs::rename(gate.dir.path().join("..data_tmp"), gate.dir.path().join("..data")).unwrap();
    };
    turn("..first");
    std::fs::remove_file(gate.file()).unwrap();
    std::os::unix::fs::symlink("..data/palisade.toml", gate.file()).unwrap();
    until("the link", || (gate.ping("one", OTHER).status == 401).then_some(()));
    turn("..second");
    until("the other folder", || (gate.ping("one", OTHER).status == 200).then_some(()));

    let before = gate.loaded()["version"].as_u64().unwrap();
    signal(gate.pid(), "HUP");
    assert_eq!(gate.until_version(before + 1)["digest"], gate.loaded()["digest"]);
}

/// I2, B2, R15, P-B11: the holder of a removed key is refused at the next call, its streams end within a second, and those of others
/// go on; so do those of a key whose limit alone has changed.
#[test]
fn a_removed_key_is_out_at_once() {
    let rogue = streaming();
    let server = format!("url = \"{}\"", rogue.url());
    let text = |keys, more| settings(keys, &[("one", &server)], more);
    let gate = Gate::configured(&text(BOTH, ""));
    let mut answering = gate.open("POST", "one", OTHER, &[], CALL);
    let mut standing = gate.open("GET", "one", OTHER, &[("Content-Length", "")], b"");
    let mut mine = gate.open("POST", "one", KEY, &[], CALL);
    gate.replace(&text(ONE, "per_caller_per_minute = 50000\n"));
    until("the key to be refused", || (gate.ping("one", OTHER).status == 401).then_some(()));
    let refused = Instant::now();
    let (said, ended) = rest(&mut answering);
    assert!(ended.saturating_duration_since(refused) < Duration::from_secs(1));
    assert!(said.contains("\"id\":7") && said.contains("MCP-002"), "{said}");
    let (said, ended) = rest(&mut standing);
    assert!(ended.saturating_duration_since(refused) < Duration::from_secs(1) && !said.contains("error"), "{said}");
    assert!(is_open(&mut mine));
    assert_eq!(gate.ping("one", KEY).status, 200);
    drop(mine);
    let lines = gate.journal();
    assert!(lines.iter().any(|line| line["kind"] == "closing" && line["stage"] == "stream"), "{lines:#?}");
}

/// I2, A3: a server that is removed or changed ends: its streams, its children, its sessions; the one beside it does not.
#[test]
fn a_removed_server_ends_and_its_neighbour_does_not() {
    let rogue = streaming();
    let web = format!("url = \"{}\"", rogue.url());
    let child = python(STUBBORN);
    let gate = Gate::configured(&settings(ONE, &[("kept", &child), ("gone", &child), ("web", &web)], ""));
    let initialize = |server: &str| {
        let body = br#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"test","version":"0"}}}"#;
        let answer = gate.raw(&gate.request("POST", &format!("/mcp/{server}"), &[], body));
        answer.header("mcp-session-id").expect("a session").to_owned()
    };
    let ping = |server: &str, session: &str| {
        gate.raw(&gate.request("POST", &format!("/mcp/{server}"), &[("Mcp-Session-Id", session)], PING)).status
    };
    let kept = initialize("kept");
    let trees = |count: usize| {
        until("a whole tree", || {
            let pids = descendants(gate.pid());
            (pids.len() >= count).then_some(pids)
        })
    };
    let neighbours = trees(4);
    let (gone, web_session) = (initialize("gone"), initialize("web"));
    let mut ending: Vec<u32> = trees(8);
    ending.retain(|pid| !neighbours.contains(pid));
    let standing = [("Mcp-Session-Id", gone.as_str()), ("Content-Length", "")];
    let mut standing = gate.open("GET", "gone", KEY, &standing, b"");
    let mut answering = gate.open("POST", "web", KEY, &[], CALL);

    let other = Upstream::echo();
    gate.replace(&settings(ONE, &[("kept", &(child.clone() + "\nmethods = [\"a/b\"]")), ("web", &url(&other))], ""));
    gate.until_version(2);
    let swapped = Instant::now();
    let (said, ended) = rest(&mut answering);
    assert!(ended.saturating_duration_since(swapped) < Duration::from_secs(1) && said.contains("MCP-003"), "{said}");
    assert!(rest(&mut standing).1.saturating_duration_since(swapped) < Duration::from_secs(1));
    assert_eq!(ping("gone", &gone), 404);
    all_end(&ending);
    assert_eq!(ping("kept", &kept), 200, "its session and its child are the same, though a setting is not");
    assert!(neighbours.iter().all(|pid| crate::children::alive(*pid)));
    assert_eq!(ping("web", &web_session), 404, "a handle of the old server is none of the new one");
    assert!(other.requests().is_empty(), "and does not reach it");
    assert_eq!(gate.ping("web", KEY).status, 200);
    assert_eq!(other.requests().len(), 1);
}

/// I2, D1: limits count on over a reload: a higher one gives what it adds, a lower one takes it away again.
#[test]
fn limits_count_on() {
    let upstream = Upstream::echo();
    let text = |limit: u32| settings(ONE, &[("one", &url(&upstream))], &format!("per_caller_per_minute = {limit}\n"));
    let gate = Gate::configured(&text(20));
    // The status page counts too: it is not asked here.
    let until_log = |count: usize| {
        until("a reload", || {
            (gate.log.lock().unwrap().matches("the configuration is loaded").count() == count).then_some(())
        });
    };
    for _ in 0..20 {
        assert_eq!(gate.ping("one", KEY).status, 200);
    }
    assert_eq!(gate.ping("one", KEY).status, 429);
    gate.replace(&text(25));
    until_log(1);
    for _ in 0..5 {
        assert_eq!(gate.ping("one", KEY).status, 200);
    }
    assert_eq!(gate.ping("one", KEY).status, 429);
    gate.replace(&text(22));
    until_log(2);
    assert_eq!(gate.ping("one", KEY).status, 429);
}

/// I2, R15: a hundred reloads while callers call: no call fails, and none sees half of one configuration and half of another.
#[test]
fn no_call_is_lost_to_a_reload() {
    let (one, two) = (Upstream::echo(), Upstream::echo());
    let child = python(STUBBORN);
    let text = |upstream| settings(BOTH, &[("web", &url(upstream)), ("child", &child)], "");
    let gate = Arc::new(Gate::configured(&text(&one)));
    let session = {
        let body = br#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"test","version":"0"}}}"#;
        let answer = gate.raw(&gate.request("POST", "/mcp/child", &[], body));
        answer.header("mcp-session-id").expect("a session").to_owned()
    };
    let over = Arc::new(AtomicBool::new(false));
    let callers: Vec<_> = (0..4)
        .map(|number| {
            let (gate, over, session) = (Arc::clone(&gate), Arc::clone(&over), session.clone());
            std::thread::spawn(move || {
                let mut stream = gate.connect();
                let (path, id) = if number == 0 { ("/mcp/child", session.as_str()) } else { ("/mcp/web", "") };
                let headers = [("Connection", "keep-alive"), ("Mcp-Session-Id", id)];
                let request = gate.request("POST", path, &headers, PING);
                let mut times = Vec::new();
                while !over.load(Ordering::SeqCst) {
                    let started = Instant::now();
                    stream.write_all(&request).unwrap();
                    let answer = Answer::read(&mut stream);
                    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
                    assert!(answer.json()["result"].is_object(), "{}", answer.text());
                    times.push(started.elapsed());
                    std::thread::sleep(Duration::from_millis(2));
                }
                times
            })
        })
        .collect();
    for round in 0..100 {
        gate.replace(&text(if round % 2 == 0 { &two } else { &one }));
        signal(gate.pid(), "HUP");
        std::thread::sleep(Duration::from_millis(10));
    }
    gate.replace(&text(&two));
    signal(gate.pid(), "HUP");
    let reached = two.requests().len();
    until("the last one to be in force", || {
        (gate.ping("web", KEY).status == 200 && two.requests().len() > reached + 50).then_some(())
    });
    let reloads = gate.loaded()["version"].as_u64().unwrap() - 1;
    over.store(true, Ordering::SeqCst);
    let mut times: Vec<_> = callers.into_iter().flat_map(|caller| caller.join().unwrap()).collect();
    times.sort_unstable();
    let p99 = times[times.len() * 99 / 100];
    eprintln!("{} calls, {reloads} reloads for 101 changes, p99 {p99:?}", times.len());
    assert!((2..50).contains(&reloads), "{reloads}: many changes in a moment are one reload");
    assert!(times.len() > 200);
}
