//! The JSON-RPC envelope.

use bytes::Bytes;

use super::super::{Body, Config, Shape, read};
use crate::refusal::Reason;

fn refuses(text: &str, reason: Reason) {
    let outcome = read(&Config::default(), Bytes::copy_from_slice(text.as_bytes()));
    assert_eq!(outcome.err().map(|refusal| refusal.reason()), Some(reason), "{text}");
}

fn shape(text: &str) -> Shape {
    match read(&Config::default(), Bytes::copy_from_slice(text.as_bytes())) {
        Ok(Body::One(envelope)) => envelope.shape,
        other => panic!("{text}: {other:?}"),
    }
}

/// E1: request, notification and response are told apart by their members.
#[test]
fn three_shapes() {
    let request = r#"{"jsonrpc":"2.0","id":"a-1","method":"ping"}"#;
    assert_eq!(shape(request), Shape::Request { id: 22..27, method: "ping".into() });
    assert_eq!(shape(r#"{"jsonrpc":"2.0","method":"x"}"#), Shape::Notification { method: "x".into() });
    assert_eq!(shape(r#"{"jsonrpc":"2.0","id":7,"result":{}}"#), Shape::Response { id: Some(22..23), error: None });
    let error = r#"{"jsonrpc":"2.0","id":7,"error":{"code":-1,"message":"no"}}"#;
    assert_eq!(shape(error), Shape::Response { id: Some(22..23), error: Some(-1) });
}

/// E1: what is no message of JSON-RPC 2.0 is refused.
#[test]
fn malformed_envelopes() {
    for text in [
        "1",
        "[]",
        "[1]",
        "{}",
        r#"{"id":1,"method":"ping"}"#,
        r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#,
        r#"{"jsonrpc":2.0,"id":1,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":7}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}"#,
        r#"{"jsonrpc":"2.0","id":1}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1}}"#,
        r#"{"jsonrpc":"2.0","id":1,"error":{"code":"1"}}"#,
    ] {
        refuses(text, Reason::NotAMessage);
    }
    refuses(&format!(r#"{{"jsonrpc":"2.0","id":"{}","method":"ping"}}"#, "x".repeat(300)), Reason::NotAMessage);
}

/// E1, P-D8: a key that only looks like a key of the envelope is refused; a tool's arguments are the tool's own.
#[test]
fn lookalikes_are_refused() {
    for key in ["Method", "METHOD", "Params", "param\u{17f}", "ID", "JsonRpc", "\\u004dethod"] {
        refuses(&format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","{key}":{{}}}}"#), Reason::NotAMessage);
    }
    for key in ["Name", "Arguments", "argument\u{17f}", "URI", "_Meta", "ta\u{17f}kId"] {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"a","{key}":1}}}}"#);
        refuses(&text, Reason::NotAMessage);
    }
    shape(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"Name":1,"ID":2}}}"#);
    shape(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","trace":1,"params":{"name":"a","extra":1}}"#);
}

/// E1: a batch keeps the bytes of each of its messages, and has a bound.
#[test]
fn batches_are_read_message_by_message() {
    let text = Bytes::from_static(
        b"[ {\"jsonrpc\":\"2.0\",\"method\":\"a\"} ,{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"b\"}]",
    );
    let Ok(Body::Batch(envelopes)) = read(&Config::default(), text) else { panic!("no batch") };
    assert_eq!(envelopes[0].bytes, "{\"jsonrpc\":\"2.0\",\"method\":\"a\"}");
    assert_eq!(envelopes[1].id().unwrap(), "1");
    let one = r#"{"jsonrpc":"2.0","method":"a"}"#;
    let many = |count: usize| format!("[{}]", vec![one; count].join(","));
    assert!(read(&Config::default(), Bytes::from(many(50))).is_ok());
    refuses(&many(51), Reason::PayloadTooLarge);
    refuses(&format!("[{one},{{}}]"), Reason::NotAMessage);
}
