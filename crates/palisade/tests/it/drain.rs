//! The end of a gateway: in order, in time, and at once if it must be.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::children::{STUBBORN, all_end, descendants};
use crate::gate::{Answer, Gate, KEY, signal, until};
use crate::hostile::rogue::Rogue;
use crate::reload::{CALL, PING, rest, settings, streaming};
use crate::upstream::Upstream;

fn configured(servers: &[(&str, String)], timeouts: &str) -> Gate {
    let servers: Vec<_> = servers.iter().map(|(name, how)| (*name, how.as_str())).collect();
    let more = format!("per_caller_per_minute = 60000\n[timeouts]\n{timeouts}\n");
    Gate::configured(&settings(&[("test", KEY)], &servers, &more))
}

fn at(rogue: &Rogue) -> String {
    format!("url = \"{}\"", rogue.url())
}

fn refuses(gate: &Gate) -> bool {
    TcpStream::connect(gate.address).is_err()
}

/// Waits for the end that was asked for, which must be an orderly one; the journal.
fn drained(mut gate: Gate) -> Vec<serde_json::Value> {
    let status = gate.ended();
    assert!(status.success(), "{status}: {}", gate.log.lock().unwrap());
    gate.verify()
}

/// I7, R16: calls under way are answered, standing streams end properly, nobody new is let in, no record stays open, and
/// the exit code is 0. With `PALISADE_LONG=1` a thousand of each, else 200.
#[test]
fn calls_end_and_streams_end_politely() {
    let many = if std::env::var_os("PALISADE_LONG").is_some() { 1000 } else { 200 };
    let slow = Upstream::scripted(Box::new(|request| {
        std::thread::sleep(Duration::from_secs(2));
        crate::upstream::result(request)
    }));
    let rogue = streaming();
    let slow_url = format!("url = \"{}\"", slow.url());
    let gate = configured(&[("slow", slow_url), ("web", at(&rogue))], "shutdown = \"20s\"");
    let mut streams: Vec<_> = (0..many).map(|_| gate.open("GET", "web", KEY, &[("Content-Length", "")], b"")).collect();
    let mut calls: Vec<_> = (0..many)
        .map(|_| {
            let mut stream = gate.connect();
            stream.write_all(&gate.request("POST", "/mcp/slow", &[("Connection", "keep-alive")], PING)).unwrap();
            stream
        })
        .collect();
    until("every call to be under way", || (slow.requests().len() == many).then_some(()));
    signal(gate.pid(), "TERM");
    until("the door to close", || refuses(&gate).then_some(()));
    for call in &mut calls {
        assert_eq!(Answer::read(call).status, 200);
    }
    for stream in &mut streams {
        let (said, _) = rest(stream);
        assert!(!said.contains("error"), "{said}");
    }
    let lines = drained(gate);
    let closings = lines.iter().filter(|line| line["kind"] == "closing").count();
    assert_eq!(closings, 2 * many, "one record for each");
}

/// I7, R16: a stream that owes an answer has until the deadline; then it ends with an error, and the gateway with it.
#[test]
fn a_stream_that_owes_an_answer_is_told() {
    let rogue = streaming();
    let gate = configured(&[("web", at(&rogue))], "shutdown = \"4s\"");
    let mut answering = gate.open("POST", "web", KEY, &[], CALL);
    let mut hanging = gate.connect();
    hanging.write_all(&gate.request("GET", "/mcp/web", &[("Content-Length", "")], b"")).unwrap();
    let started = Instant::now();
    signal(gate.pid(), "TERM");
    let (said, ended) = rest(&mut answering);
    assert!(said.contains("\"id\":7") && said.contains("stopping"), "{said}");
    let took = ended.duration_since(started);
    assert!(took > Duration::from_secs(2) && took < Duration::from_secs(5), "{took:?}");
    let lines = drained(gate);
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
    assert!(lines.iter().any(|line| line["kind"] == "closing" && line["stage"] == "stream"), "{lines:#?}");
}

/// I7: readiness goes first; until the notice is over everything else is as ever, also for those who come new.
#[test]
fn readiness_goes_first() {
    let upstream = Upstream::echo();
    let url = format!("url = \"{}\"", upstream.url());
    let gate = configured(&[("one", url)], "notice = \"3s\"");
    let ready = || gate.raw(&gate.request("GET", "/health/ready", &[], b"")).status;
    assert_eq!(ready(), 200);
    signal(gate.pid(), "TERM");
    until("not ready", || (ready() == 503).then_some(()));
    assert_eq!(gate.ping("one", KEY).status, 200);
    assert_eq!(gate.raw(&gate.request("GET", "/health/live", &[], b"")).status, 200);
    until("the door to close", || refuses(&gate).then_some(()));
    assert!(drained(gate).len() >= 4);
}

/// I7, A3: a second signal means now: no waiting for calls and children, and still no record is lost.
#[test]
fn a_second_signal_forces() {
    for name in ["TERM", "INT"] {
        let rogue = streaming();
        let child = format!("command = [\"python3\", \"-c\", '''{STUBBORN}''']");
        let mut gate = configured(&[("web", at(&rogue)), ("child", child)], "shutdown = \"60s\"");
        let mut answering = gate.open("POST", "web", KEY, &[], CALL);
        let hello = br#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"test","version":"0"}}}"#;
        assert_eq!(gate.raw(&gate.request("POST", "/mcp/child", &[], hello)).status, 200);
        let pids = until("the child's tree", || Some(descendants(gate.pid())).filter(|pids| pids.len() >= 4));
        signal(gate.pid(), "TERM");
        until("the door to close", || refuses(&gate).then_some(()));
        let forced = Instant::now();
        signal(gate.pid(), name);
        assert!(!gate.ended().success());
        assert!(forced.elapsed() < Duration::from_secs(8), "{:?}", forced.elapsed());
        let mut said = String::new();
        answering.read_to_string(&mut said).unwrap();
        assert!(said.contains("stopping"), "{said}");
        all_end(&pids);
        gate.verify();
    }
}
