//! Connections that are slow, silent, many or gone: honest callers keep their places and their time, and each that is cut
//! is counted.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::gate::{Answer, Gate, KEY, palisade, until};
use crate::upstream::{Upstream, json};

const PING: &[u8] = br#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

/// Settings in front of `url`; `listen` stands in `[listen]`, `more` at the end.
pub(crate) fn settings(url: &str, listen: &str, more: &str) -> String {
    format!(
        "environment = \"development\"\n[listen]\naddress = \"127.0.0.1:0\"\n{listen}\n[log]\nformat = \"pretty\"\n\
         [[auth.keys]]\nname = \"test\"\nkey = \"{KEY}\"\n[servers.stub]\nurl = \"{url}\"\n[audit]\ndir = \"DIR/audit\"\n\
         [limits]\nper_caller_per_minute = 100000\nper_address_per_minute = 90000\naddress_ceiling_per_minute = 100000\n{more}"
    )
}

/// What the status page says of connections.
pub(crate) fn connections(gate: &Gate) -> Value {
    let answer = gate.raw(&gate.request("GET", "/api/status", &[], b""));
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["connections"].clone()
}

fn cut(gate: &Gate, why: &str) -> u64 {
    connections(gate)["cut"][why].as_u64().unwrap()
}

/// The middle of the times that some calls take, each on a connection of its own.
fn time_of_calls(gate: &Gate) -> Duration {
    let mut times: Vec<_> = (0..40)
        .map(|_| {
            let started = Instant::now();
            let answer = gate.post(&[], PING);
            assert_eq!(answer.status, 200, "{}", answer.text());
            started.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[times.len() / 2]
}

/// Calls while `attack` goes on, and checks that they take at most twice their time.
fn keeps_its_time<T>(gate: &Gate, attack: impl FnOnce() -> T) -> T {
    let before = time_of_calls(gate);
    let attackers = attack();
    let during = time_of_calls(gate);
    // A few milliseconds are the machine's own.
    assert!(during < 2 * before + Duration::from_millis(5), "{before:?} became {during:?}");
    attackers
}

/// So many connections that each began with these bytes.
fn crowd(gate: &Gate, size: usize, bytes: &[u8]) -> Vec<TcpStream> {
    let join = |_| {
        let mut stream = gate.connect();
        drop(stream.write_all(bytes));
        stream
    };
    (0..size).map(join).collect()
}

/// Whether the other side has closed.
fn is_closed(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    let closed = match stream.read(&mut [0; 4096]) {
        Ok(read) => read == 0,
        Err(error) => !matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut),
    };
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    closed
}

/// A8, R1, R2, P-I11: heads that never end hold no place that an honest caller needs, and are cut when their time is over.
#[test]
fn slow_heads_give_way() {
    let upstream = Upstream::echo();
    let gate = Gate::configured(&settings(&upstream.url(), "max_connections = 50", "[timeouts]\nheader = \"2s\"\n"));
    let mut crowd = keeps_its_time(&gate, || crowd(&gate, 300, b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nX-Slow: "));
    assert!(cut(&gate, "gave_way") >= 250, "{}", connections(&gate));
    until("all to be cut", || crowd.iter_mut().all(is_closed).then_some(()));
    until("the last to be counted", || (connections(&gate)["open"] == 1).then_some(()));
    assert!(cut(&gate, "slow_head") > 0);
}

/// A8, R1: a connection that is kept may be silent for longer than a head may take, and its end is then no offence; a head
/// that has begun must come.
#[test]
fn a_kept_connection_may_be_silent() {
    let upstream = Upstream::echo();
    let timeouts = "[timeouts]\nheader = \"1s\"\nconnection_idle = \"3s\"\n";
    let gate = Gate::configured(&settings(&upstream.url(), "", timeouts));
    let ping = gate.request("POST", "/mcp", &[("Connection", "")], PING);
    let mut streams = [gate.connect(), gate.connect()];
    for stream in &mut streams {
        stream.write_all(&ping).unwrap();
        assert_eq!(Answer::read(stream).status, 200);
    }
    std::thread::sleep(Duration::from_secs(2));
    let started = Instant::now();
    for (stream, said) in streams.iter_mut().zip([ping.as_slice(), &ping[..20]]) {
        stream.write_all(said).unwrap();
    }
    let [silent, slow] = &mut streams;
    assert_eq!(Answer::read(silent).status, 200);
    let answered = Instant::now();
    assert_eq!(slow.read(&mut [0; 10]).unwrap(), 0);
    assert!((Duration::from_secs(1)..Duration::from_secs(2)).contains(&started.elapsed()), "{:?}", started.elapsed());
    assert_eq!(silent.read(&mut [0; 10]).unwrap(), 0);
    assert!(answered.elapsed() > Duration::from_millis(2900), "{:?}", answered.elapsed());
    until("both to be gone", || (connections(&gate)["open"] == 1).then_some(()));
    assert_eq!(cut(&gate, "slow_head"), 1);
}

/// A8, R2, P-I11: who says nothing at all is a stranger as well.
#[test]
fn silent_connections_give_way() {
    let upstream = Upstream::echo();
    let gate = Gate::configured(&settings(&upstream.url(), "max_connections = 50", ""));
    let crowd = keeps_its_time(&gate, || crowd(&gate, 300, b""));
    assert!(connections(&gate)["open"].as_u64().unwrap() <= 50);
    drop(crowd);
    until("all to be gone", || (connections(&gate)["open"] == 1).then_some(()));
}

/// A8, R1, P-I11: a body that drips ends with `timeouts.body`; one of a caller without a key is not even waited for.
#[test]
fn slow_bodies_end() {
    let upstream = Upstream::echo();
    let gate = Gate::configured(&settings(&upstream.url(), "", "[timeouts]\nbody = \"2s\"\n"));
    let head = |key: &str| {
        gate.request("POST", "/mcp", &[("Authorization", key), ("Content-Length", "1000"), ("Connection", "")], b"{")
    };
    let known = head(&format!("Bearer {KEY}"));
    let mut crowd = keeps_its_time(&gate, || crowd(&gate, 200, &known));
    for stream in &mut crowd {
        let answer = Answer::read(stream);
        assert_eq!((answer.status, answer.code().as_str()), (408, "MCP-004"));
    }
    until("all to be closed", || crowd.iter_mut().all(is_closed).then_some(()));
    let started = Instant::now();
    let mut stranger = gate.connect();
    stranger.write_all(&head("Bearer wrong")).unwrap();
    assert_eq!(Answer::read(&mut stranger).status, 401);
    assert!(started.elapsed() < Duration::from_secs(1));
    until("the stranger to be closed", || is_closed(&mut stranger).then_some(()));
    assert_eq!(upstream.requests().iter().filter(|request| request.body.starts_with(b"{1")).count(), 0);
}

/// A8, R1, P-I11: who asks for much and reads nothing is cut, and holds nothing any more.
#[test]
fn slow_readers_are_cut() {
    let long = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"long":"{}"}}}}"#, "x".repeat(8 << 20));
    let upstream = Upstream::scripted(Box::new(move |request| match request.method().as_str() {
        "tools/call" => json("200 OK", "", &long),
        _ => crate::upstream::result(request),
    }));
    let gate = Gate::configured(&settings(&upstream.url(), "", "[timeouts]\nwrite = \"2s\"\n"));
    let call = br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{}}}"#;
    let mut crowd: Vec<_> = (0..8).map(|_| gate.connect()).collect();
    for stream in &mut crowd {
        rustix::net::sockopt::set_socket_recv_buffer_size(&*stream, 4096).unwrap();
        stream.write_all(&gate.request("POST", "/mcp", &[], call)).unwrap();
    }
    until("all to be cut", || (cut(&gate, "stalled") == 8).then_some(()));
    until("all to be gone", || (connections(&gate)["open"] == 1).then_some(()));
    assert_eq!(gate.post(&[], PING).status, 200);
    let closed = gate
        .journal()
        .iter()
        .filter(|line| line["kind"] == "closing" && line.to_string().contains("tools/call"))
        .count();
    assert_eq!(closed, 8, "their records are closed");
}

/// A8, R2: where everybody has authenticated, a newcomer is turned away, until one leaves.
#[test]
fn a_full_house_says_so() {
    let upstream = Upstream::echo();
    let gate = Gate::configured(&settings(&upstream.url(), "max_connections = 5", ""));
    let mut guests: Vec<_> = (0..5).map(|_| gate.connect()).collect();
    for stream in &mut guests {
        stream.write_all(&gate.request("POST", "/mcp", &[("Connection", "")], PING)).unwrap();
        assert_eq!(Answer::read(stream).status, 200);
    }
    let mut newcomer = gate.connect();
    until("the newcomer to be turned away", || is_closed(&mut newcomer).then_some(()));
    assert!(!guests.iter_mut().any(is_closed), "who was here stays");
    guests.pop();
    until("a place to be free", || {
        let mut stream = gate.connect();
        drop(stream.write_all(&gate.request("GET", "/health", &[], b"")));
        let mut head = [0; 12];
        (stream.read_exact(&mut head).is_ok() && head == *b"HTTP/1.1 200").then_some(())
    });
    drop(guests);
    assert!(cut(&gate, "turned_away") >= 1);
}

/// A8, R2: one address has its share and no more; a trusted proxy speaks for many.
#[test]
fn an_address_has_its_share() {
    let upstream = Upstream::echo();
    let share = "max_connections_per_address = 3\n";
    for (proxies, most) in [("", 3), ("trusted_proxies = [\"127.0.0.1\"]", 8)] {
        let gate = Gate::configured(&settings(&upstream.url(), &format!("{share}{proxies}"), ""));
        let mut guests = Vec::new();
        for _ in 0..8 {
            let mut stream = gate.connect();
            drop(stream.write_all(&gate.request("POST", "/mcp", &[("Connection", "")], PING)));
            let mut head = [0; 12];
            if stream.read_exact(&mut head).is_ok() {
                guests.push(stream);
            }
        }
        assert_eq!(guests.len(), most, "{proxies}");
    }
}

/// A8, R17, P-L16: with few descriptors nothing spins, callers are served, the journal is whole, and all is well afterwards.
#[test]
fn descriptors_run_out() {
    let upstream = Upstream::echo();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("palisade.toml");
    let text = settings(&upstream.url(), "", "[timeouts]\nheader = \"5s\"\n");
    crate::gate::write_private(&file, &text.replace("DIR", &dir.path().display().to_string()));
    let mut line = Command::new("sh");
    line.args(["-c", "ulimit -n 256; exec \"$@\"", "sh"]).arg(palisade().get_program());
    line.args(["run", "--config"]).arg(&file);
    let gate = Gate::start(line, dir);
    let crowd = keeps_its_time(&gate, || crowd(&gate, 600, b"GET /"));
    let (open, used) = (connections(&gate)["open"].as_u64().unwrap(), cpu(gate.pid()));
    assert!((100..256).contains(&open), "{open} are open");
    std::thread::sleep(Duration::from_secs(1));
    assert!(cpu(gate.pid()).saturating_sub(used) < Duration::from_millis(300), "nothing happens, so nothing is done");
    drop(crowd);
    until("all to be gone", || (connections(&gate)["open"] == 1).then_some(()));
    assert_eq!(gate.post(&[], PING).status, 200);
    let lines = gate.journal();
    assert!(lines.iter().filter(|line| line["kind"] == "closing").count() >= 81, "each call has its record");
}

/// The processor time that a process has used.
fn cpu(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let ticks: u64 =
        stat.rsplit_once(") ").unwrap().1.split(' ').skip(11).take(2).map(|n| n.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}

/// A7, A8, E9: what is no HTTP, or has too large a head, is answered with every header, closed and counted, and never seen
/// behind the gate; also behind a request.
#[test]
fn what_is_no_http_is_counted() {
    let upstream = Upstream::echo();
    let gate = Gate::configured(&settings(&upstream.url(), "", ""));
    let long = format!("POST /mcp HTTP/1.1\r\nX-Long: {}\r\n\r\n", "x".repeat(1 << 20));
    let many = format!("POST /mcp HTTP/1.1\r\n{}\r\n", "X: 1\r\n".repeat(1000));
    let cases: [(&[u8], u16); 4] = [
        (b"\x16\x03\x01 TLS here\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (long.as_bytes(), 431),
        (many.as_bytes(), 431),
    ];
    for (bytes, status) in cases {
        let mut stream = gate.connect();
        drop(stream.write_all(bytes));
        let mut answer = Vec::new();
        // What is left unread makes a reset of the end, which may swallow the answer.
        drop(stream.read_to_end(&mut answer));
        let answer = String::from_utf8_lossy(&answer);
        let has_headers = answer.contains("x-content-type-options: nosniff\r\n") && answer.contains("\r\ndate: ");
        assert!(answer.is_empty() || answer.starts_with(&format!("HTTP/1.1 {status}")) && has_headers, "{answer}");
    }
    until("all to be counted", || (cut(&gate, "malformed") == 4).then_some(()));
    assert_eq!(upstream.requests().len(), 0);
    let mut stream = gate.connect();
    stream
        .write_all(&[gate.request("POST", "/mcp", &[("Connection", "")], PING), b"no HTTP\r\n\r\n".to_vec()].concat())
        .unwrap();
    let mut answers = String::new();
    stream.read_to_string(&mut answers).unwrap();
    for text in ["HTTP/1.1 200 OK\r\n", "HTTP/1.1 400 Bad Request\r\n"] {
        assert_eq!(answers.matches(text).count(), 1, "{answers}");
    }
    assert_eq!(answers.matches("x-content-type-options: nosniff\r\n").count(), 2, "{answers}");
}
