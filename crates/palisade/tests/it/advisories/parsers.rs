//! Messages that two readers read differently, and bytes that broke a reader.

use super::{PING, one};

fn call(name_key: &str, more: &str) -> Vec<u8> {
    format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"{name_key}":"echo","arguments":{{}}{more}}}}}"#
    )
    .into_bytes()
}

/// E1, P-D8: Envoy AI Gateway let `Name` override `name`, and sent on what it had read; so did the Go SDK
/// (GHSA-wvj2-96wp-fq3f, CVE-2026-27896).
#[test]
fn ghsa_4gph_2hhr_5mwg() {
    let (gate, upstream) = one();
    let beside = ["Name", "NAME", "name", "n\\u0061me", "argument\\u017f", "Arguments", "arguments"];
    let params = beside.map(|key| call("name", &format!(r#","{key}":"evil""#)));
    let envelope = ["Method", "METHOD", "method", "meth\\u006fd", "Params", "paramſ", "ID", "id", "JSONRPC"]
        .map(|key| format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","{key}":"evil"}}"#).into_bytes());
    for body in params.into_iter().chain(envelope) {
        let answer = gate.post(&[], &body);
        assert!(matches!(answer.code().as_str(), "MCP-001" | "MCP-008"), "{}", String::from_utf8_lossy(&body));
    }
    assert_eq!(upstream.requests().len(), 0);
    assert_eq!(gate.post(&[], &call("name", "")).status, 200);
    assert_eq!(upstream.calls(), [call("name", "")], "byte for byte");
}

/// E1, P-D8: `ToolHive`'s parser and its filter read a byte order mark differently.
#[test]
fn ghsa_9v4w_3mqh_6vmm() {
    let (gate, upstream) = one();
    let utf16: Vec<u8> = String::from_utf8_lossy(PING).encode_utf16().flat_map(u16::to_le_bytes).collect();
    let twice = [PING, PING].concat();
    let cases = [
        [b"\xef\xbb\xbf", PING].concat(),
        [b"\xff\xfe", utf16.as_slice()].concat(),
        utf16,
        [b"\0", PING].concat(),
        [PING, b"\0"].concat(),
        [b"\x0b", PING].concat(),
        ["\u{a0}".as_bytes(), PING].concat(),
        [PING, b"x"].concat(),
        [b"//\n", PING].concat(),
        twice,
    ];
    for body in cases {
        assert_eq!(gate.post(&[], &body).status, 400, "{}", String::from_utf8_lossy(&body));
    }
    assert_eq!(upstream.requests().len(), 0);
    assert_eq!(gate.post(&[], &[b" \t\r\n", PING, b"\n"].concat()).status, 200, "white space is JSON's");
}

/// E1, A8: malformed input ended servers on the Python SDK (CVE-2025-53366 too): here a message that is wrong in any place is
/// one refused request.
#[test]
fn cve_2025_53365() {
    let (gate, upstream) = one();
    let sound = call("name", r#","_meta":{"progressToken":"t\u00e9"}"#);
    // A generator of our own: the same messages each time.
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut next = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    for _ in 0..1500 {
        let mut body = sound.clone();
        for _ in 0..=next(3) {
            let (at, byte) = (next(body.len()), u8::try_from(next(256)).unwrap());
            match next(3) {
                0 => body[at] = byte,
                1 => body.insert(at, byte),
                _ => body.truncate(at.max(1)),
            }
        }
        let status = gate.post(&[], &body).status;
        assert!(matches!(status, 200 | 202 | 400 | 404), "{status}: {}", String::from_utf8_lossy(&body));
    }
    for call in upstream.calls() {
        assert!(serde_json::from_slice::<serde_json::Value>(&call).is_ok(), "what passed is JSON");
    }
    let panics = gate.journal().iter().filter(|line| line.to_string().contains("panic")).count();
    assert_eq!(panics, 0);
}

/// P-D26: the Go SDK took `text/plain` from a page of anybody.
#[test]
fn cve_2026_33252() {
    let (gate, upstream) = one();
    let types = ["text/plain", "", "application/x-www-form-urlencoded", "multipart/form-data", "application/jsonx"];
    for media in types {
        let answer = gate.post(&[("Content-Type", media)], PING);
        assert_eq!(answer.status, 415, "{media}: {}", answer.text());
    }
    assert_eq!(upstream.requests().len(), 0);
    assert_eq!(gate.post(&[("Content-Type", "Application/JSON; charset=utf-8")], PING).status, 200);
}

/// A8, P-D4: Skipper's policy on bodies passed those that it could not read whole.
#[test]
fn ghsa_5gpm_rgj3_9q76() {
    let (gate, upstream) = one();
    let head = [("Content-Length", ""), ("Transfer-Encoding", "chunked")];
    let chunk = |bytes: &[u8]| [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
    let large = chunk(&vec![b' '; 11 << 20]);
    for (body, status) in [
        (chunk(&PING[..20]), 400),
        ([chunk(&PING[..20]), b"0\r\n\r\n".to_vec()].concat(), 400),
        ([large, chunk(PING), b"0\r\n\r\n".to_vec()].concat(), 413),
    ] {
        let mut stream = gate.connect();
        drop(std::io::Write::write_all(&mut stream, &gate.request("POST", "/mcp", &head, &body)));
        stream.shutdown(std::net::Shutdown::Write).ok();
        let mut answer = Vec::new();
        drop(std::io::Read::read_to_end(&mut stream, &mut answer));
        let answer = String::from_utf8_lossy(&answer).into_owned();
        // Who leaves in the middle of a body may hear nothing.
        assert!(answer.is_empty() || answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
    }
    assert_eq!(upstream.requests().len(), 0);
    let whole = [chunk(&PING[..20]), chunk(&PING[20..]), b"0\r\n\r\n".to_vec()].concat();
    assert_eq!(gate.post(&head, &whole).status, 200);
}
