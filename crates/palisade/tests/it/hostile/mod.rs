//! HTTP upstreams that hang, lie, cut, flood and confuse: the caller hears of it in time and in the gateway's words,
//! nobody else notices, and no memory is lost.

mod misdeeds;
pub(crate) mod rogue;
mod slow;

use std::io::Write;
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::gate::{Gate, KEY};
use crate::upstream::{Upstream, json, result};
use misdeeds::{EVENTS, misdeeds};
use rogue::{GIB, Rogue, floods, says};

const PING: &[u8] = br#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

/// A file of settings with an orderly server `good`, and these.
fn config(good: &str, rogues: &[String], more: &str) -> String {
    use std::fmt::Write as _;
    let mut text = format!(
        "environment = \"development\"\n[listen]\naddress = \"127.0.0.1:0\"\n[log]\nlevel = \"info\"\nformat = \"pretty\"\n\
         [[auth.keys]]\nname = \"test\"\nkey = \"{KEY}\"\n[audit]\ndir = \"DIR/audit\"\n\
         [limits]\nper_caller_per_minute = 100000\naddress_ceiling_per_minute = 100000\n{more}\n[servers.good]\nurl = \"{good}\"\n"
    );
    for (number, url) in rogues.iter().enumerate() {
        write!(text, "[servers.rogue{number}]\nurl = \"{url}\"\ntimeout = \"2s\"\n").unwrap();
    }
    text
}

/// Peak memory of a process, in MiB.
fn peak_mib(pid: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() / 1024
}

/// Asks the orderly server again and again; the times it took, in microseconds.
fn ask_meanwhile(gate: &Arc<Gate>, over: &Arc<AtomicBool>) -> thread::JoinHandle<Vec<u128>> {
    let (gate, over) = (Arc::clone(gate), Arc::clone(over));
    thread::spawn(move || {
        let mut times = Vec::new();
        while !over.load(Ordering::SeqCst) {
            let started = Instant::now();
            let answer = gate.raw(&gate.request("POST", "/mcp/good", &[], PING));
            assert_eq!(answer.status, 200, "{}", answer.text());
            times.push(started.elapsed().as_micros());
            thread::sleep(Duration::from_millis(5));
        }
        times.sort_unstable();
        times
    })
}

/// A3, R5, P-F11: whatever an upstream does, the caller hears of it in time, in the gateway's words, and of nothing else;
/// memory stays bounded, every record is closed, and the server beside it answers as ever.
#[test]
fn a_rogue_harms_nobody() {
    let good = Upstream::echo();
    let (names, rogues): (Vec<_>, Vec<_>) =
        misdeeds().into_iter().map(|(name, code, misdeed)| ((name, code), Rogue::doing(misdeed))).unzip();
    let urls: Vec<_> = rogues.iter().map(Rogue::url).collect();
    let gate = Arc::new(Gate::configured(&config(&good.url(), &urls, "")));
    assert_eq!(gate.raw(&gate.request("POST", "/mcp/good", &[], PING)).status, 200);
    let before = peak_mib(gate.pid());
    let over = Arc::new(AtomicBool::new(false));
    let meanwhile = ask_meanwhile(&gate, &over);

    let next = Arc::new(AtomicUsize::new(0));
    let faults = Arc::new(Mutex::new(Vec::new()));
    let names = Arc::new(names);
    let callers: Vec<_> = (0..12)
        .map(|_| {
            let (gate, next, names, faults) =
                (Arc::clone(&gate), Arc::clone(&next), Arc::clone(&names), Arc::clone(&faults));
            thread::spawn(move || {
                while let Some((name, code)) = names.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let number = names.iter().position(|(other, _)| other == name).unwrap();
                    faults.lock().unwrap().extend(met(&gate, number, name, code));
                }
            })
        })
        .collect();
    for caller in callers {
        caller.join().unwrap();
    }
    over.store(true, Ordering::SeqCst);
    let times = meanwhile.join().unwrap();

    let faults = Arc::try_unwrap(faults).unwrap().into_inner().unwrap();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    let grown = peak_mib(gate.pid()) - before;
    assert!(grown < 160, "{grown} MiB for upstreams that may say 10 MiB each, twelve at a time");
    let (middle, worst) = (times[times.len() / 2], times[times.len() - 1]);
    assert!(middle < 50_000 && worst < 2_000_000, "the good server answered in {middle} µs, at worst {worst} µs");
    let asked = times.len() + 1;
    let gate = Arc::try_unwrap(gate).ok().unwrap();
    let lines = gate.journal();
    let closed = lines.iter().filter(|line| line["kind"] == "closing").count();
    assert_eq!(closed, names.len() + asked, "one closing line for each call");
}

/// One call of a rogue; what was wrong with the answer.
fn met(gate: &Gate, number: usize, name: &str, code: &str) -> Option<String> {
    let started = Instant::now();
    let answer = gate.raw(&gate.request("POST", &format!("/mcp/rogue{number}"), &[], PING));
    let took = started.elapsed();
    let text = answer.text();
    if text.contains("canary") || answer.headers.iter().any(|(_, value)| value.contains("canary")) {
        return Some(format!("{name}: something passed: {} {text}", answer.status));
    }
    let message = match answer.json() {
        serde_json::Value::Array(messages) => messages.last().cloned().unwrap_or_default(),
        message => message,
    };
    let heard = message.pointer("/error/data/code").and_then(|code| code.as_str()).unwrap_or_default();
    let right = answer.status == 200 && heard == code && message["id"] == 1;
    let in_time = took < Duration::from_secs(4);
    (!right || !in_time).then(|| format!("{name}: after {took:?} {} {text}, not {code}", answer.status))
}

/// A3, R5: where nobody listens, the caller hears of it at once.
#[test]
fn nobody_listens() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gate = Gate::before(&format!("http://{closed}/mcp"));
    let started = Instant::now();
    let answer = gate.post(&[], PING);
    assert_eq!((answer.status, answer.code().as_str()), (200, "MCP-003"));
    assert!(started.elapsed() < Duration::from_secs(2));
}

/// A3, R5: a redirect leads nowhere, whatever its status and wherever it points.
#[test]
fn redirects_are_not_followed() {
    let elsewhere = Upstream::echo();
    for status in ["301 a", "302 b", "303 c", "307 d", "308 e"] {
        let target = elsewhere.url();
        let rogue = Rogue::doing(says(format!("HTTP/1.1 {status}\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n")));
        let gate = Gate::before(&rogue.url());
        let answer = gate.post(&[], PING);
        assert_eq!((answer.status, answer.code().as_str()), (200, "MCP-003"), "{status}");
        assert_eq!(answer.header("location"), None, "{status}");
        assert_eq!(rogue.requests(), 1, "{status}");
    }
    assert_eq!(elsewhere.requests().len(), 0);
}

/// A3, R5, P-J8: bytes that came on a kept connection before a request was sent answer no request. They could be the answer
/// that another caller waited for.
#[test]
fn a_second_answer_reaches_nobody() {
    let calls = AtomicUsize::new(0);
    let (written, told) = std::sync::mpsc::channel();
    let rogue = Rogue::doing(move |_, stream| {
        let call = calls.fetch_add(1, Ordering::SeqCst);
        let answer =
            |text: String| json("200 OK", "", &format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"for":{text}}}}}"#));
        stream.write_all(&answer(call.to_string())).unwrap();
        if !call.is_multiple_of(3) {
            // Once at a stretch, once a moment later.
            thread::sleep(Duration::from_millis(u64::try_from(call % 3 - 1).unwrap()));
            drop(stream.write_all(&answer(format!("\"stale {call}\""))));
        }
        written.send(()).unwrap();
        true
    });
    let gate = Gate::before(&rogue.url());
    for call in 0..60 {
        let answer = gate.post(&[], PING);
        assert_eq!(answer.json()["result"]["for"], call, "{}", answer.text());
        told.recv().unwrap();
    }
    assert_eq!(rogue.requests(), 60, "each call was sent once");
}

/// A3, R5: a kept connection that its server closed or reset meanwhile costs nobody an answer.
#[test]
fn a_kept_connection_may_end() {
    let calls = AtomicUsize::new(0);
    let (ended, told) = std::sync::mpsc::channel();
    let rogue = Rogue::doing(move |request, stream| {
        stream.write_all(&result(request)).unwrap();
        let call = calls.fetch_add(1, Ordering::SeqCst);
        if call % 2 == 1 {
            rustix::net::sockopt::set_socket_linger(&*stream, Some(Duration::ZERO)).unwrap();
        }
        drop(stream.shutdown(std::net::Shutdown::Both));
        ended.send(()).unwrap();
        false
    });
    let gate = Gate::before(&rogue.url());
    for _ in 0..40 {
        let answer = gate.post(&[], PING);
        assert_eq!((answer.status, answer.code().as_str()), (200, ""), "{}", answer.text());
        told.recv().unwrap();
    }
    assert_eq!(rogue.requests(), 40, "no call runs twice");
}

/// A1, A8, R5: a server that talks without end before it answers `initialize` is cut, in memory and in time.
#[test]
fn initialize_is_bounded() {
    let initialize = br#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"test","version":"0"}}}"#;
    let chatter = "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{}}\n\n";
    let slowly = Rogue::doing(move |_, stream| {
        drop(stream.write_all(EVENTS.as_bytes()));
        while stream.write_all(b": still there\n\n").is_ok() {
            thread::sleep(Duration::from_millis(50));
        }
        false
    });
    let rogues = [Rogue::doing(floods(EVENTS, chatter, 64 * GIB)), slowly];
    let gate = Gate::configured(&config(&rogues[0].url(), &rogues.each_ref().map(Rogue::url), ""));
    for (number, code) in [(0, "MCP-009"), (1, "MCP-004")] {
        let answer = gate.raw(&gate.request("POST", &format!("/mcp/rogue{number}"), &[], initialize));
        assert_eq!((answer.status, answer.code().as_str()), (200, code), "{}", answer.text());
        assert_eq!(answer.header("mcp-session-id"), None);
    }
}
