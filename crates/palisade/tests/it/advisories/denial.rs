//! Denial of service: memory, time and sessions taken by who gives nothing.

use std::io::Write;
use std::time::{Duration, Instant};

use super::{PING, one};
use crate::floods::{connections, settings};
use crate::gate::{Answer, Gate, until};
use crate::hostile::rogue::{GIB, Rogue, floods, says};
use crate::upstream::Upstream;

fn resident_mib(gate: &Gate) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", gate.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() / 1024
}

/// A8, L5, R21: rmcp made a session before it judged the request, and forgot none.
#[test]
fn ghsa_9pj6_vhgr_3mwh() {
    let script = r#"
import sys, json
for line in sys.stdin:
    print(json.dumps({"jsonrpc": "2.0", "id": json.loads(line)["id"], "error": {"code": -32602, "message": "no"}}), flush=True)
"#;
    let gate = Gate::configured(
        &settings("URL", "", "").replace("url = \"URL\"", &format!("command = [\"python3\", \"-c\", '''{script}''']")),
    );
    let refused = br#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":7}}"#;
    for _ in 0..8 {
        let answer = gate.post(&[], refused);
        assert!(answer.header("mcp-session-id").is_none() && answer.text().contains("error"), "{}", answer.text());
    }
    let bad: [&[u8]; 3] = [
        b"{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"initialize\"",
        br#"{"jsonrpc":"2.0","id":0,"method":"initialise","params":{}}"#,
        br#"[{"jsonrpc":"2.0","id":0,"method":"tools/list"}]"#,
    ];
    let before = resident_mib(&gate);
    let mut stream = gate.connect();
    for round in 0..4000 {
        let body = bad[round % bad.len()];
        let session = format!("no-such-session-{round}");
        let headers = [("Connection", ""), ("Mcp-Session-Id", session.as_str())];
        let headers = if round % 3 == 0 { &headers[..] } else { &headers[..1] };
        stream.write_all(&gate.request("POST", "/mcp", headers, body)).unwrap();
        let answer = Answer::read(&mut stream);
        assert!(matches!(answer.status, 200 | 400 | 404), "{}", answer.text());
        assert!(answer.header("mcp-session-id").is_none() && answer.text().contains("error"), "{}", answer.text());
    }
    let status = gate.raw(&gate.request("GET", "/api/status", &[], b"")).json();
    assert_eq!(status["sessions"]["stub"], 0, "{status}");
    let grown = resident_mib(&gate) - before;
    assert!(grown < 24, "{grown} MiB");
}

/// A8, P-D4: mcp-framework read bodies without an end.
#[test]
fn ghsa_353c_v8x9_v7c3() {
    let (gate, upstream) = one();
    let flood = || {
        let mut stream = gate.connect();
        let head = gate.request("POST", "/mcp", &[("Content-Length", ""), ("Transfer-Encoding", "chunked")], b"");
        stream.write_all(&head).unwrap();
        let chunk = [b"100000\r\n".to_vec(), vec![b' '; 1 << 20], b"\r\n".to_vec()].concat();
        let mut written = 0;
        while written < 256 && stream.write_all(&chunk).is_ok() {
            written += 1;
        }
        assert!(written < 64, "{written} MiB were taken");
    };
    (0..3).for_each(|_| flood());
    let before = resident_mib(&gate);
    (0..6).for_each(|_| flood());
    let announced = gate.post(&[("Content-Length", "999999999999")], b"{");
    assert_eq!((announced.status, announced.code().as_str()), (413, "MCP-017"));
    let grown = resident_mib(&gate) - before;
    assert!(grown < 100, "{grown} MiB of the 1536 that were offered");
    assert_eq!(upstream.requests().len(), 0);
    assert_eq!(gate.post(&[], PING).status, 200);
}

/// A8, R1, P-D6: Envoy AI Gateway could be stopped by one message: here slow, huge, deep and numerous ones each cost little, and
/// an event stream without end costs no memory.
#[test]
fn ghsa_76mr_h444_pcqq() {
    let upstream = Upstream::echo();
    let endless = Rogue::doing(floods(
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\ndata: ",
        "x",
        GIB,
    ));
    let text = settings(&upstream.url(), "", "[servers.endless]\n") + &format!("url = \"{}\"\n", endless.url());
    let gate = Gate::configured(&text);
    let before = resident_mib(&gate);
    let deep = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{}1{}}}"#,
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    let wide = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{"a":[{}1]}}}}"#, "1,".repeat(4_000_000));
    let keys = (0..200_000).fold(String::new(), |keys, number| keys + "\"k" + &number.to_string() + "\":0,");
    let keys = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{{keys}"k0":0}}}}"#);
    let long_id = format!(r#"{{"jsonrpc":"2.0","id":"{}","method":"ping"}}"#, "x".repeat(9 << 20));
    let post = |path: &str, body: &[u8]| gate.raw(&gate.request("POST", path, &[], body));
    for body in [&deep, &wide, &keys, &long_id] {
        let started = Instant::now();
        let answer = post("/mcp/stub", body.as_bytes());
        assert!(matches!(answer.status, 400 | 413), "{} {}", answer.status, &body[..60]);
        // Without optimization.
        assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    }
    assert_eq!(post("/mcp/endless", PING).json()[0]["error"]["data"]["code"], "MCP-009");
    let grown = resident_mib(&gate) - before;
    assert!(grown < 160, "{grown} MiB");
    assert_eq!(upstream.requests().len(), 0);
    assert_eq!(post("/mcp/stub", PING).status, 200);
}

/// A8, P-I12: Pomerium unpacked whatever it was sent: here nothing is unpacked, on either side.
#[test]
fn ghsa_ggw3_5987_rx77() {
    let (gate, upstream) = one();
    for encoding in ["gzip", "deflate", "br", "zstd", "identity, gzip", "x-anything"] {
        assert_eq!(gate.post(&[("Content-Encoding", encoding)], b"\x1f\x8b\x08").status, 415, "{encoding}");
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: {encoding}\r\n");
        let packed = Rogue::doing(says(format!("{head}Content-Length: 3\r\n\r\n\x1f\u{8b}")));
        let before = Gate::before(&packed.url());
        assert_eq!(before.post(&[("Accept-Encoding", encoding)], PING).code(), "MCP-009", "{encoding}");
    }
    assert_eq!(upstream.requests().len(), 0);
    assert_eq!(gate.post(&[("Content-Encoding", "identity")], PING).status, 200);
}

/// D3, R21, P-H4: names nobody has, of tools, paths, hosts, sessions and headers, leave nothing behind.
#[test]
fn hostile_names_leave_nothing() {
    let (gate, _upstream) = one();
    let mut stream = gate.connect();
    let mut ask = |round: usize| {
        let (name, path) = (format!("tool-{round}"), format!("/mcp/server-{round}"));
        let (session, unknown) = (format!("session-{round}"), format!("X-Name-{round}"));
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":"id-{round}","method":"tools/call","params":{{"name":"{name}","arguments":{{}}}}}}"#
        );
        let requests = [
            gate.request("POST", "/mcp", &[("Connection", ""), (&unknown, "1")], body.as_bytes()),
            gate.request("POST", &path, &[("Connection", "")], body.as_bytes()),
            gate.request("POST", "/mcp", &[("Connection", ""), ("Mcp-Session-Id", &session)], body.as_bytes()),
            gate.request("GET", &format!("/page-{round}"), &[("Connection", ""), ("Content-Length", "")], b""),
        ];
        for request in requests {
            stream.write_all(&request).unwrap();
            Answer::read(&mut stream);
        }
    };
    (0..500).for_each(&mut ask);
    let before = resident_mib(&gate);
    (500..3000).for_each(&mut ask);
    let grown = resident_mib(&gate) - before;
    assert!(grown < 8, "{grown} MiB");
    let status = gate.raw(&gate.request("GET", "/api/status", &[], b"")).json();
    assert!(!status.to_string().contains("tool-") && !status.to_string().contains("server-"), "{status}");
    assert!(status["limits"]["windows"].as_u64().unwrap() < 10, "{status}");
    until("connections to close", || (connections(&gate)["open"].as_u64().unwrap() <= 2).then_some(()));
}

/// L5, R21: twenty thousand sessions of an HTTP upstream cost no memory here: each handle holds its own.
#[test]
fn sessions_cost_nothing() {
    let (gate, _upstream) = one();
    let rounds = if std::env::var_os("PALISADE_LONG").is_some() { 20_000 } else { 3000 };
    let mut stream = gate.connect();
    let mut open = |_| {
        stream.write_all(&gate.request("POST", "/mcp", &[("Connection", "")], super::INITIALIZE)).unwrap();
        let answer = Answer::read(&mut stream);
        answer.header("mcp-session-id").unwrap().to_owned()
    };
    let first = open(0);
    (0..500).for_each(|round| drop(open(round)));
    let before = resident_mib(&gate);
    (0..rounds).for_each(|round| drop(open(round)));
    let grown = resident_mib(&gate) - before;
    assert!(grown < 8, "{grown} MiB");
    assert_eq!(gate.post(&[("Mcp-Session-Id", &first)], PING).status, 200, "and the first still opens");
}
