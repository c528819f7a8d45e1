//! HTTP/2: the same calls, streams and ends as in HTTP/1.1, also as an independent client sees them.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use super::frames::{DATA, END_HEADERS, END_STREAM, HEADERS, Http2, SETTINGS, field, frame};
use super::{Authority, Site};
use crate::gate::{Gate, KEY, palisade, signal, until};
use crate::reload::{PING, streaming};
use crate::upstream::Upstream;

fn started(authority: &Authority, upstream: &str, limits: &str) -> Gate {
    let server = authority.server();
    let files = [("ca.pem", authority.pem.as_str())];
    Site { server: &server, files: &files, tls: "", more: "", upstream, limits }.start()
}

const HELLO: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"curl","version":"0"}}}"#;

/// What curl got: head and body.
fn curl(gate: &Gate, version: &str, headers: &[&str], body: &str) -> (String, String) {
    let bearer = format!("Authorization: Bearer {KEY}");
    let usual = ["-i", version, "-H", &bearer, "-H", "Content-Type: application/json"];
    let accept = ["-H", "Accept: application/json, text/event-stream", "-d", body];
    let given: Vec<&str> = headers.iter().flat_map(|header| ["-H", *header]).collect();
    let output = gate.curl(&[&usual[..], &accept, &given, &[&gate.https("/mcp/one")]].concat()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let (head, body) = said.split_once("\r\n\r\n").unwrap();
    (head.to_lowercase(), body.to_owned())
}

/// A4: curl opens a session, lists tools and calls one of the demo's, in both versions of HTTP.
#[test]
fn both_versions_serve_the_protocol() {
    let authority = Authority::new("tests");
    let demo = palisade().get_program().to_owned();
    let demo = std::path::Path::new(&demo).with_file_name("palisade-demo");
    let gate = started(&authority, &format!("command = [\"{}\"]", demo.display()), "");
    for (version, shown) in [("--http2", "http/2 200"), ("--http1.1", "http/1.1 200")] {
        let (head, body) = curl(&gate, version, &[], HELLO);
        assert!(head.starts_with(shown) && head.contains("strict-transport-security"), "{head}");
        assert!(body.contains("\"protocolVersion\":\"2025-11-25\""), "{body}");
        let session = head.lines().find(|line| line.starts_with("mcp-session-id")).unwrap().trim();
        let session = session.replace("mcp-session-id", "Mcp-Session-Id");
        // Lower case would do for the name; the handle itself has both cases.
        let session = exact(&gate, version).unwrap_or(session);
        let told = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
        assert!(curl(&gate, version, &[&session], told).0.contains(" 202"));
        let listed = curl(&gate, version, &[&session], r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#).1;
        assert!(listed.contains("\"tools\":[{"), "{listed}");
        let call = r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"calculator","arguments":{"expression":"6*7"}}}"#;
        let called = curl(&gate, version, &[&session], call).1;
        assert!(called.contains("42"), "{called}");
    }
    let lines = gate.journal();
    assert!(lines.iter().filter(|line| line["kind"] == "closing").all(|line| line["outcome"] != "open"));
}

/// A session's header as it was written.
fn exact(gate: &Gate, version: &str) -> Option<String> {
    let bearer = format!("Authorization: Bearer {KEY}");
    let words = ["-i", version, "-H", &bearer, "-H", "Content-Type: application/json", "-d", HELLO];
    let accept = ["-H", "Accept: application/json, text/event-stream"];
    let output = gate.curl(&[&words[..], &accept, &[&gate.https("/mcp/one")]].concat()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = said.lines().find(|line| line.to_lowercase().starts_with("mcp-session-id"))?;
    Some(line.trim().to_owned())
}

/// A6, P-I4: `:authority` and `Host` must be one, and one that is served.
#[test]
fn one_host() {
    let (authority, upstream) = (Authority::new("tests"), Upstream::echo());
    let gate = started(&authority, &format!("url = \"{}\"", upstream.url()), "");
    let mut http2 = Http2::open(&gate, &authority, &[]);
    let mut asked = |stream: u32, more: &[u8]| {
        let fields = [http2.fields("POST"), more.to_vec()].concat();
        let call = [frame(HEADERS, END_HEADERS, stream, &fields), frame(DATA, END_STREAM, stream, PING)].concat();
        http2.say(&call).unwrap();
        http2.until(HEADERS, stream).payload[0]
    };
    // The first byte of a head is its status, as an index into the static table.
    assert_eq!(asked(1, &[]), 0x88, "200");
    let same = field("host", &gate.address.to_string());
    assert_eq!(asked(3, &same), 0x88, "200");
    assert_eq!(asked(5, &field("host", "evil.example")), 0x8c, "400");
    assert_eq!(upstream.requests().len(), 2);
}

/// A1, I7, R16: a stream over HTTP/2 ends with the gateway, politely, and its record closes; so does a call.
#[test]
fn the_end_is_polite() {
    let (authority, rogue) = (Authority::new("tests"), streaming());
    let gate = started(&authority, &format!("url = \"{}\"", rogue.url()), "[timeouts]\nshutdown = \"10s\"\n");
    let bearer = format!("Authorization: Bearer {KEY}");
    let words = ["-N", "-D", "/dev/stderr", "--http2", "-H", &bearer, "-H", "Accept: text/event-stream"];
    let mut curl = gate.curl(&[&words[..], &[&gate.https("/mcp/one")]].concat());
    let mut listening = curl.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut head = BufReader::new(listening.stderr.take().unwrap()).lines();
    assert!(head.next().unwrap().unwrap().starts_with("HTTP/2 200"));
    let mut quiet = Http2::open(&gate, &authority, &[]);
    quiet.until(SETTINGS, 0);
    signal(gate.pid(), "TERM");
    let ended = until("curl to end", || listening.try_wait().unwrap());
    assert!(ended.success(), "the stream ended in its own way: {ended}");
    // An idle connection is told, and ends.
    while quiet.next().is_some() {}
    let mut gate = gate;
    assert!(gate.ended().success(), "{}", gate.log.lock().unwrap());
    let lines = gate.verify();
    assert!(lines.iter().any(|line| line["kind"] == "closing" && line["method"] == "stream"), "{lines:#?}");
}

/// A1: a client that leaves a stream of HTTP/2 closes its record, while its connection goes on.
#[test]
fn a_stream_that_is_left_closes() {
    let (authority, rogue) = (Authority::new("tests"), streaming());
    let gate = started(&authority, &format!("url = \"{}\"", rogue.url()), "");
    let mut http2 = Http2::open(&gate, &authority, &[]);
    let ask = frame(HEADERS, END_HEADERS | END_STREAM, 1, &http2.fields("GET"));
    http2.say(&ask).unwrap();
    assert_eq!(http2.until(HEADERS, 1).payload[0], 0x88);
    let open = || super::listener::status(&gate, &authority)["requests"]["open"].as_u64().unwrap();
    assert_eq!(open(), 2, "the stream, and the question itself");
    http2.say(&frame(super::frames::RESET, 0, 1, &8_u32.to_be_bytes())).unwrap();
    until("its record to close", || (open() == 1).then_some(()));
    let call = http2.call(3, PING);
    http2.say(&call).unwrap();
    assert_eq!(http2.until(HEADERS, 3).payload[0], 0x88);
}
