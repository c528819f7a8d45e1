//! Messages that two readers could read in two ways: refused, and the upstream never sees them.

use crate::gate::Gate;
use crate::upstream::Upstream;

const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;

/// Documents of our own, each as the value of an argument; `true` where it must pass.
const DOCUMENTS: [(&str, bool); 44] = [
    ("[]", true),
    ("{}", true),
    ("-0", true),
    ("1E+2", true),
    ("0.1000000000000000055", true),
    ("123456789012345678901234567890", true),
    ("\"\\u0000\"", true),
    ("\"\\ud83d\\ude00\"", true),
    ("\"\u{7f}\"", true),
    (" [ 1 , 2 ] ", true),
    ("\"\u{2028}\"", true),
    ("true", true),
    ("null", true),
    ("{\"a\":1,\"A\":2}", true),
    ("\"\\/\"", true),
    ("", false),
    ("[1,]", false),
    ("[,1]", false),
    ("{\"a\":1,}", false),
    ("{a:1}", false),
    ("{'a':1}", false),
    ("01", false),
    ("+1", false),
    (".1", false),
    ("1.", false),
    ("1e", false),
    ("0x1", false),
    ("NaN", false),
    ("Infinity", false),
    ("-Infinity", false),
    ("1_000", false),
    ("\u{ff11}", false),
    ("\"\t\"", false),
    ("\"\n\"", false),
    ("\"\\x00\"", false),
    ("\"\\ud800\"", false),
    ("\"\\udc00\\ud800\"", false),
    ("{\"a\":1,\"a\":2}", false),
    ("{\"a\":1,\"\\u0061\":2}", false),
    ("[1] /* c */", false),
    ("1 // c", false),
    ("[1}", false),
    ("{\"a\":{}", false),
    ("tru", false),
];

fn call(argument: &[u8]) -> Vec<u8> {
    [
        br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"v":"#.as_slice(),
        argument,
        b"}}}",
    ]
    .concat()
}

/// E1: strict JSON passes byte for byte, anything else is refused with the upstream untouched.
#[test]
fn documents_pass_byte_for_byte_or_not_at_all() {
    let upstream = Upstream::echo();
    let gate = Gate::before(&upstream.url());
    for (document, sound) in DOCUMENTS {
        judge(&gate, &upstream, document, document.as_bytes(), Some(sound));
    }
    judge(&gate, &upstream, "not UTF-8", b"\"\xff\"", Some(false));
    judge(&gate, &upstream, "UTF-8 of a surrogate", b"\"\xed\xa0\x80\"", Some(false));
    judge(&gate, &upstream, "depth 100", &[b"[".repeat(100), b"]".repeat(100)].concat(), Some(false));
    assert!(gate.journal().len() > DOCUMENTS.len());
}

/// E1: the public parser test suite, where its folder is given: every `n_` refused, every `y_` unchanged.
#[test]
fn the_public_suite_passes_byte_for_byte_or_not_at_all() {
    let Some(corpora) = std::env::var_os("PALISADE_CORPORA") else {
        // Without the folder the cases above stand for it; CI gives the folder.
        return documents_pass_byte_for_byte_or_not_at_all();
    };
    let upstream = Upstream::echo();
    let gate = Gate::before(&upstream.url());
    let folder = std::path::Path::new(&corpora).join("JSONTestSuite/test_parsing");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut judged = 0;
    for file in files {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        // Refused by choice: parsers disagree on which of two equal keys counts.
        let duplicate = name.starts_with("y_object_duplicated_key");
        let expected = match name.as_bytes()[0] {
            b'y' => Some(!duplicate),
            b'n' => Some(false),
            _ => None,
        };
        judge(&gate, &upstream, &name, &std::fs::read(&file).unwrap(), expected);
        judged += usize::from(expected.is_some());
    }
    assert!(judged > 250, "{judged}");
}

fn judge(gate: &Gate, upstream: &Upstream, name: &str, document: &[u8], sound: Option<bool>) {
    let (before, body) = (upstream.calls().len(), call(document));
    let answer = gate.post(&[], &body);
    let calls = upstream.calls();
    let passed = calls.len() > before;
    if passed {
        assert_eq!(calls.last().unwrap(), &body, "{name} was changed on its way");
    } else {
        assert!(matches!(answer.status, 400 | 413), "{name}: {} {}", answer.status, answer.text());
        assert!(["MCP-001", "MCP-017"].contains(&answer.code().as_str()), "{name}: {}", answer.text());
    }
    if let Some(sound) = sound {
        assert_eq!(passed, sound, "{name}: {}", answer.text());
    }
}

/// E1, P-D8: two spellings of one key, or one key twice, at every level that the gateway reads.
#[test]
fn keys_with_two_readings_are_refused() {
    let upstream = Upstream::echo();
    let gate = Gate::before(&upstream.url());
    let tail = r#""params":{"name":"echo","arguments":{}}"#;
    for body in [
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call",{tail}}}"#),
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/list","Method":"tools/call",{tail}}}"#),
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/list","\u004dethod":"tools/call",{tail}}}"#),
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call",{tail},"PARAMS":{{"name":"other"}}}}"#),
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call",{tail},"param{}":{{"name":"other"}}}}"#, '\u{17f}'),
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","name":"other"}}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","Name":"other"}}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","n\u0061me":"other"}}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":1,"ID":2,"method":"tools/call","params":{"name":"echo"}}"#.to_owned(),
        format!("\u{feff}{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",{tail}}}"),
        format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",{tail}}}\0"),
        format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",{tail}}} {{}}"),
    ] {
        let answer = gate.post(&[], body.as_bytes());
        assert_eq!((answer.status, answer.code().as_str()), (400, "MCP-001"), "{body}: {}", answer.text());
    }
    assert!(upstream.requests().is_empty());
}

/// E1, P-D18: arrays pass where the revision has batches, message by message, and nowhere else.
#[test]
fn batches_pass_in_their_revision_alone() {
    let upstream = Upstream::echo();
    let gate = Gate::before(&upstream.url());
    let one = |id: u32| {
        format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"echo","arguments":{{"n":{id}}}}}}}"#
        )
    };
    let batch = format!("[{}, {}]", one(1), one(2));
    for revision in ["2025-06-18", "2025-11-25"] {
        let session = gate.initialize(revision);
        let headers = [("Mcp-Session-Id", session.as_str()), ("MCP-Protocol-Version", revision)];
        let answer = gate.post(&headers, batch.as_bytes());
        assert_eq!((answer.status, answer.code().as_str()), (400, "MCP-001"), "{}", answer.text());
    }
    let modern = format!(r#"[{{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{{{META}}}}}]"#);
    let headers = [("MCP-Protocol-Version", "2026-07-28"), ("Mcp-Method", "tools/list")];
    assert_eq!(gate.post(&headers, modern.as_bytes()).status, 400);
    assert!(upstream.calls().is_empty());

    let session = gate.initialize("2025-03-26");
    let answer = gate.post(&[("Mcp-Session-Id", &session)], batch.as_bytes());
    let mut ids: Vec<_> =
        answer.json().as_array().unwrap().iter().map(|message| message["id"].as_u64().unwrap()).collect();
    ids.sort_unstable();
    assert_eq!(ids, [1, 2], "{}", answer.text());
    let mut calls = upstream.calls();
    calls.sort();
    assert_eq!(calls, [one(1).into_bytes(), one(2).into_bytes()], "each message by itself, byte for byte");

    // One bad message is refused by itself; it does not take the others with it, nor do they carry it along.
    let mixed = format!(r#"[{},{{"jsonrpc":"2.0","id":4,"method":"no/such"}}]"#, one(3));
    let answer = gate.post(&[("Mcp-Session-Id", &session)], mixed.as_bytes());
    let messages = answer.json();
    let refused = messages.as_array().unwrap().iter().find(|message| message["id"] == 4).unwrap();
    assert_eq!(refused["error"]["code"], -32601);
    assert_eq!(upstream.calls().len(), 3);
    let journal = gate.journal();
    assert!(
        journal
            .iter()
            .any(|line| line["kind"] == "closing" && line["elements"].as_array().is_some_and(|all| all.len() == 2))
    );
}

/// E1, P-D23: a mirrored header that disagrees with the body, in every field and form.
#[test]
fn mirrored_headers_must_agree() {
    let upstream = Upstream::echo();
    let gate = Gate::before(&upstream.url());
    let call = |arguments: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{{"name":"echo","arguments":{arguments},{META}}}}}"#
        )
    };
    let sound = [
        ("MCP-Protocol-Version", "2026-07-28"),
        ("Mcp-Method", "tools/call"),
        ("Mcp-Name", "echo"),
        ("Mcp-Param-Region", "eu"),
    ];
    let body = call(r#"{"region":"eu"}"#);
    let answer = gate.post(&sound, body.as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(upstream.calls(), [body.clone().into_bytes()]);
    let encoded = [sound[0], sound[1], ("Mcp-Name", "=?base64?ZWNobw==?="), ("Mcp-Param-Region", "=?base64?ZXU=?=")];
    assert_eq!(gate.post(&encoded, body.as_bytes()).status, 200);

    let wrong = [
        ("MCP-Protocol-Version", "2025-11-25"),
        ("MCP-Protocol-Version", ""),
        ("Mcp-Method", "tools/list"),
        ("Mcp-Method", "Tools/Call"),
        ("Mcp-Method", ""),
        ("Mcp-Name", "other"),
        ("Mcp-Name", "ECHO"),
        ("Mcp-Name", ""),
        ("Mcp-Name", "=?base64?b3RoZXI=?="),
        ("Mcp-Name", "=?base64?ZWNobw?="),
        ("Mcp-Name", "=?BASE64?ZWNobw==?="),
        ("Mcp-Param-Region", "us"),
        ("Mcp-Param-Region", ""),
    ];
    for (name, value) in wrong {
        let mut headers: Vec<_> = sound.iter().copied().filter(|(usual, _)| *usual != name).collect();
        headers.push((name, value));
        let answer = gate.post(&headers, body.as_bytes());
        assert_eq!((answer.status, answer.json()["error"]["code"].as_i64()), (400, Some(-32020)), "{name}: {value}");
        assert_eq!(answer.json()["id"], "a");
    }
    for (name, value) in sound {
        let mut headers = sound.to_vec();
        headers.push((name, value));
        assert_eq!(gate.post(&headers, body.as_bytes()).status, 400, "two {name}");
    }
    let answer = gate.post(&sound, call("{}").as_bytes());
    assert_eq!(answer.json()["error"]["code"], -32020, "a header without its argument");
    assert_eq!(upstream.calls().len(), 2);
}

/// E1, P-D21: raw line breaks inside one HTTP message stay one message on stdio.
#[test]
fn a_message_stays_one_message_on_stdio() {
    let gate = Gate::run(&[], &["python3", "-c", LINES]);
    let session = gate.initialize("2025-11-25");
    let body = "{\"jsonrpc\":\"2.0\",\r\n\"id\":7,\n\"method\":\"tools/call\",\n\"params\":{\"name\":\"a\",\"arguments\":{\"x\":\"\\n{\\\"jsonrpc\\\":\\\"2.0\\\"}\"}}\n}";
    let answer = gate.post(&[("Mcp-Session-Id", &session)], body.as_bytes());
    assert_eq!(answer.json()["result"]["lines"], 3, "initialize, initialized and this: {}", answer.text());
}

/// A server that counts the lines it gets.
const LINES: &str = r#"
import sys, json
lines = 0
for line in sys.stdin:
    lines += 1
    message = json.loads(line)
    if "id" in message:
        result = {"protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {"name": "n", "version": "0"}, "lines": lines}
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}), flush=True)
"#;

/// A8: a body is counted as it is read, announced or not.
#[test]
fn bodies_are_bounded_however_they_come() {
    let upstream = Upstream::echo();
    let gate =
        Gate::configured(&crate::edge::config(&upstream.url(), "[limits]\nbody = \"64KiB\"\narguments = \"8KiB\"\n"));
    let call = |size: usize| call(format!("\"{}\"", "x".repeat(size)).as_bytes());
    assert_eq!(gate.post(&[], &call(4096)).status, 200);
    let large = gate.post(&[], &call(9000));
    assert_eq!(
        (large.code().as_str(), large.json()["error"]["data"]["details"]["limit"].as_u64()),
        ("MCP-017", Some(8192)),
        "{}",
        large.text()
    );
    assert_eq!(large.json()["id"], 1);
    let huge = gate.post(&[], &call(70_000));
    assert_eq!((huge.status, huge.code().as_str()), (413, "MCP-017"));
    let body = call(70_000);
    let chunked: Vec<u8> = body
        .chunks(1000)
        .flat_map(|chunk| [format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat())
        .collect();
    let request = gate.request(
        "POST",
        "/mcp",
        &[("Content-Length", ""), ("Transfer-Encoding", "chunked")],
        &[&chunked[..], b"0\r\n\r\n"].concat(),
    );
    let answer = gate.raw(&request);
    assert_eq!((answer.status, answer.code().as_str()), (413, "MCP-017"));
    for (name, value) in [
        ("Content-Type", "text/plain"),
        ("Content-Type", ""),
        ("Content-Encoding", "gzip"),
        ("Content-Encoding", "identity, gzip"),
    ] {
        assert_eq!(gate.post(&[(name, value)], &call(1)).status, 415, "{name}: {value}");
    }
    assert_eq!(upstream.calls().len(), 1);
}
