//! Streams that stay: their limits, their end, what they hold while nobody reads, and what is left when all have gone.
//!
//! `PALISADE_LONG=1` opens 9,000 of them where it is otherwise 600.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::floods::{connections, settings};
use crate::gate::{Answer, Gate, until};
use crate::hostile::rogue::{Rogue, until_left};
use crate::upstream::result;

const EVENTS: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";
const NEWS: &str = "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{\"level\":\"info\",\"data\":\"news\"}}\n\n";

/// A tool call of 2026-07-28, with its headers.
fn modern(gate: &Gate, method: &str) -> Vec<u8> {
    let meta = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;
    let mut headers = vec![("MCP-Protocol-Version", "2026-07-28"), ("Mcp-Method", method)];
    let params = match method {
        "tools/call" => {
            headers.push(("Mcp-Name", "a"));
            format!(r#""name":"a","arguments":{{}},{meta}"#)
        }
        _ => format!(r#""notifications":{{"toolsListChanged":true}},{meta}"#),
    };
    let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{params}}}}}"#);
    gate.request("POST", "/mcp", &headers, body.as_bytes())
}

fn read_until(stream: &mut TcpStream, text: &str) -> String {
    let (mut seen, mut chunk) = (Vec::new(), [0; 4096]);
    while !String::from_utf8_lossy(&seen).contains(text) {
        let read = stream.read(&mut chunk).unwrap();
        assert!(read > 0, "the stream ended without {text:?}: {}", String::from_utf8_lossy(&seen));
        seen.extend_from_slice(&chunk[..read]);
    }
    String::from_utf8_lossy(&seen).into_owned()
}

/// A server whose tool calls and GET streams stay open, with a sign of life now and then; it tells when one is left.
fn lingering() -> (Rogue, mpsc::Receiver<()>) {
    let (left, told) = mpsc::channel();
    let rogue = Rogue::doing(move |request, stream| {
        if request.method() != "tools/call" && !request.body.is_empty() {
            return stream.write_all(&result(request)).is_ok();
        }
        stream.write_all(EVENTS).unwrap();
        let mut alive = stream.try_clone().unwrap();
        thread::spawn(move || {
            while alive.write_all(b": still there\n\n").is_ok() {
                thread::sleep(Duration::from_millis(100));
            }
        });
        until_left(stream);
        left.send(()).unwrap();
        false
    });
    (rogue, told)
}

/// A1, R4, P-J11: a client of 2026-07-28 that leaves takes its call back: the upstream's stream is closed within a second.
#[test]
fn leaving_ends_the_call_upstream() {
    let (server, left) = lingering();
    let gate = Gate::before(&server.url());
    let mut leaving = gate.connect();
    leaving.write_all(&modern(&gate, "tools/call")).unwrap();
    read_until(&mut leaving, "text/event-stream");
    drop(leaving);
    left.recv_timeout(Duration::from_secs(1)).expect("the call is over upstream");
}

/// A1, R6: a legacy request that was taken back ends although its server goes on with signs of life; others stay.
#[test]
fn a_request_taken_back_ends_over_http() {
    let (server, left) = lingering();
    let gate = Gate::before(&server.url());
    let session = gate.initialize("2025-11-25");
    let headers = [("Mcp-Session-Id", session.as_str())];
    let open = |id: u32| {
        let body =
            format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"a","arguments":{{}}}}}}"#);
        let mut stream = gate.connect();
        stream.write_all(&gate.request("POST", "/mcp", &headers, body.as_bytes())).unwrap();
        read_until(&mut stream, "text/event-stream");
        stream
    };
    let (mut taken_back, mut other) = (open(7), open(8));
    let cancel = br#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}"#;
    let started = Instant::now();
    assert_eq!(gate.post(&headers, cancel).status, 202);
    let mut rest = Vec::new();
    taken_back.read_to_end(&mut rest).unwrap();
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    assert!(!String::from_utf8_lossy(&rest).contains("error"), "nothing is owed");
    left.recv_timeout(Duration::from_secs(1)).expect("nor wanted upstream");
    other.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    assert!(other.read(&mut [0; 100]).is_err(), "the other one stays, quietly");
}

/// A1, A7: a standing stream has every header and proper chunks, also behind another call on its connection, which then
/// ends with it; HTTP/1.0 knows no chunks. Each has its record, also when the client leaves.
#[test]
fn a_standing_stream_takes_its_connection() {
    let (server, left) = lingering();
    let gate =
        Gate::configured(&settings(&server.url(), "", "[timeouts]\nkeep_alive = \"100ms\"\nstream_idle = \"1s\"\n"));
    let session = gate.initialize("2025-11-25");
    let headers = [("Mcp-Session-Id", session.as_str()), ("Connection", ""), ("Content-Length", "")];
    let listen = gate.request("GET", "/mcp", &headers, b"");
    let mut stream = gate.connect();
    stream
        .write_all(&gate.request("POST", "/mcp", &headers[..2], br#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#))
        .unwrap();
    let ping = Answer::read(&mut stream);
    assert_eq!((ping.status, ping.header("connection")), (200, None));
    stream.write_all(&listen).unwrap();
    let quiet = Answer::read(&mut stream);
    assert_eq!((quiet.status, quiet.header("connection")), (200, Some("close")));
    assert_eq!(quiet.header("transfer-encoding"), Some("chunked"));
    for name in ["x-content-type-options", "content-security-policy", "x-correlation-id", "date", "x-accel-buffering"] {
        assert!(quiet.header(name).is_some(), "{name}: {:?}", quiet.headers);
        assert!(name == "date" || name.starts_with("x-a") || ping.header(name).is_some());
    }
    assert!(quiet.text().starts_with(": keep-alive\n\n: keep-alive"), "{:?}", quiet.text());
    assert_eq!(stream.read(&mut [0; 10]).unwrap(), 0, "no request is read any more");
    left.recv_timeout(Duration::from_secs(1)).unwrap();

    let old = String::from_utf8(listen.clone()).unwrap().replace("HTTP/1.1", "HTTP/1.0");
    let (mut stream, mut answer) = (gate.connect(), String::new());
    stream.write_all(old.as_bytes()).unwrap();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.0 200") && answer.contains("\r\n\r\n: keep-alive\n\n: keep"), "{answer}");
    assert!(!answer.contains("transfer-encoding"), "{answer}");
    let mut leaving = gate.connect();
    leaving.write_all(&listen).unwrap();
    read_until(&mut leaving, "keep-alive");
    drop(leaving);
    left.recv_timeout(Duration::from_secs(1)).unwrap();
    let journal = gate.journal();
    let ends = journal.iter().filter(|line| line["kind"] == "closing" && line["method"] == "stream");
    let ends: Vec<_> = ends.map(|line| line["outcome"].as_str().unwrap()).collect();
    assert_eq!(ends, ["streamed", "streamed", "client_left"]);
}

/// A1, A8, R6: a stream ends when its time is over, with an error where an answer is owed; a quiet one ends sooner.
#[test]
fn streams_have_a_lifetime() {
    let (server, left) = lingering();
    let timeouts = "[timeouts]\nkeep_alive = \"200ms\"\nstream = \"2s\"\nstream_idle = \"1s\"\n";
    let gate = Gate::configured(&settings(&server.url(), "", timeouts));
    let started = Instant::now();
    let answer = gate.raw(&modern(&gate, "tools/call"));
    assert!(started.elapsed() >= Duration::from_secs(2), "{:?}", started.elapsed());
    assert_eq!(answer.json()[0]["error"]["data"]["code"], "MCP-004", "{}", answer.text());
    assert!(answer.text().contains(": keep-alive"), "{}", answer.text());
    left.recv_timeout(Duration::from_secs(1)).unwrap();

    let session = gate.initialize("2025-11-25");
    let started = Instant::now();
    let standing = gate.raw(&gate.request("GET", "/mcp", &[("Mcp-Session-Id", &session)], b""));
    let lasted = started.elapsed();
    assert!((Duration::from_secs(1)..Duration::from_secs(2)).contains(&lasted), "{lasted:?}");
    assert!(!standing.text().contains("data:"), "{}", standing.text());
    left.recv_timeout(Duration::from_secs(1)).unwrap();
}

/// A8, R1, P-L12: a client that does not read stops its upstream, not the gateway: nothing piles up, and in the end it is cut.
#[test]
fn a_slow_reader_holds_its_upstream_back() {
    let (said, left) = (Arc::new(AtomicUsize::new(0)), mpsc::channel());
    let (counted, ended) = (Arc::clone(&said), left.0);
    let server = Rogue::doing(move |_, stream| {
        stream.write_all(EVENTS).unwrap();
        let news = NEWS.repeat(500);
        while stream.write_all(news.as_bytes()).is_ok() {
            counted.fetch_add(news.len(), Ordering::SeqCst);
        }
        ended.send(()).unwrap();
        false
    });
    let gate = Gate::configured(&settings(&server.url(), "", "[timeouts]\nwrite = \"3s\"\n"));
    let before = resident_kib(gate.pid());
    let mut reader = gate.connect();
    reader.write_all(&modern(&gate, "tools/call")).unwrap();
    let mut last = usize::MAX;
    until("the upstream to be held back", || {
        thread::sleep(Duration::from_millis(200));
        let now = said.load(Ordering::SeqCst);
        (std::mem::replace(&mut last, now) == now && now > 0).then_some(())
    });
    let grown = resident_kib(gate.pid()).saturating_sub(before);
    assert!(grown < 4096, "{grown} KiB for one reader; the sockets hold the rest of {last} bytes");
    left.1.recv_timeout(Duration::from_secs(10)).expect("the reader is cut");
    until("it to be counted", || (connections(&gate)["cut"]["stalled"] == 1).then_some(()));
    // What was let through is whole: a reader that comes back to it finds events, and no half one beyond the last.
    let answer = Answer::read(&mut reader);
    assert!(answer.text().starts_with("data: {"), "{}", answer.text().len());
}

/// A modern server: a subscription says that it stands, and then nothing; cancellations are counted for `tools/call`.
const NEWSPAPER: &str = r#"
import sys, json
ended = 0
def say(message):
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()
for line in sys.stdin:
    message = json.loads(line)
    method, id = message.get("method"), message.get("id")
    if method == "server/discover":
        say({"jsonrpc": "2.0", "id": id, "result": {"resultType": "complete", "supportedVersions": ["2026-07-28"], "capabilities": {}, "serverInfo": {"name": "n", "version": "0"}}})
    elif method == "subscriptions/listen":
        say({"jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged", "params": {"_meta": {"io.modelcontextprotocol/subscriptionId": id}}})
    elif method == "notifications/cancelled":
        ended += 1
    elif method == "tools/list":
        say({"jsonrpc": "2.0", "id": id, "result": {"resultType": "complete", "tools": []}})
    elif id is not None:
        say({"jsonrpc": "2.0", "id": id, "result": {"resultType": "complete", "content": [], "ended": ended}})
"#;

/// A1, A8, R4, P-J11: many streams stay open and calls go on beside them; all clients vanish at once, and nothing is left.
#[test]
fn all_clients_vanish() {
    let long = std::env::var_os("PALISADE_LONG").is_some();
    let size: usize = if long { 9000 } else { 600 };
    let text = settings("http://x", "", "")
        .replace("url = \"http://x\"", &format!("command = [\"python3\", \"-c\", '''{NEWSPAPER}''']"));
    let gate = Gate::configured(&text);
    assert_eq!(gate.raw(&modern(&gate, "tools/call")).status, 200);
    let before = resident_kib(gate.pid());
    let streams: Vec<_> = (0..size)
        .map(|_| {
            let mut stream = gate.connect();
            stream.write_all(&modern(&gate, "subscriptions/listen")).unwrap();
            read_until(&mut stream, "acknowledged");
            stream
        })
        .collect();
    let each = (resident_kib(gate.pid()) - before) / size;
    // 7 KiB, in a build without optimization too.
    assert!(each < 12, "{each} KiB for each stream");
    println!("{each} KiB for each stream");
    let open = connections(&gate);
    assert_eq!((&open["open"], &open["strangers"]), (&serde_json::json!(size + 1), &serde_json::json!(0)));
    assert_eq!(gate.raw(&modern(&gate, "tools/call")).status, 200, "calls go on");
    drop(streams);
    let started = Instant::now();
    until("all to be freed", || (connections(&gate)["open"] == 1).then_some(()));
    until("all to be cancelled upstream", || {
        let ended = gate.raw(&modern(&gate, "tools/call")).json()["result"]["ended"].as_u64();
        (ended == Some(size.try_into().unwrap())).then_some(())
    });
    assert!(long || started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    let status = gate.raw(&gate.request("GET", "/api/status", &[], b"")).json();
    assert_eq!(status["requests"]["open"], 1, "the question itself");
}

/// A1, A3, R4: streams of an HTTP upstream in chunks, which begin together with the head, arrive as they were said; each
/// holds little of two connections, and when its client has left, nothing.
#[test]
fn streams_of_http_upstreams_hold_little() {
    let size: usize = if std::env::var_os("PALISADE_LONG").is_some() { 3000 } else { 600 };
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    let (begin, end) = NEWS.split_at(20);
    let said = format!("{head}{:x}\r\n{begin}\r\n{:x}\r\n{end}\r\n", begin.len(), end.len());
    let (left, told) = mpsc::channel();
    let rogue = Rogue::doing(move |request, stream| {
        if !request.body.is_empty() {
            return stream.write_all(&result(request)).is_ok();
        }
        stream.write_all(said.as_bytes()).unwrap();
        until_left(stream);
        left.send(()).unwrap();
        false
    });
    let gate = Gate::configured(&settings(&rogue.url(), "", ""));
    let session = gate.initialize("2025-11-25");
    let listen = gate.request("GET", "/mcp", &[("Mcp-Session-Id", session.as_str())], b"");
    let before = resident_kib(gate.pid());
    let streams: Vec<_> = (0..size)
        .map(|_| {
            let mut stream = gate.connect();
            stream.write_all(&listen).unwrap();
            read_until(&mut stream, "news");
            stream
        })
        .collect();
    let each = (resident_kib(gate.pid()) - before) / size;
    println!("{each} KiB for each stream");
    assert!(each < 12, "{each} KiB for each stream");
    drop(streams);
    for _ in 0..size {
        told.recv_timeout(Duration::from_secs(10)).expect("the upstream's connection is closed too");
    }
}

/// Resident memory of a process.
fn resident_kib(pid: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
