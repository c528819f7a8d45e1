//! What a caller sends: whatever passes is the message that an independent reader sees, byte for byte.
//!
//! The first line of the input is what the headers say, separated by `|`: revision, method, name; the rest is the body.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use palisade_guard::message::{Body, Config, Envelope, Facts, Shape, Targets, agree, headers, json, read};
use serde_json::Value;

use super::plain::Plain;

const NAMES: [&str; 3] = ["mcp-protocol-version", "mcp-method", "mcp-name"];

/// Panics where something does not hold.
pub fn hold(input: &[u8]) {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    let (head, body) = input.split_at(end);
    let headers: HeaderMap = NAMES
        .into_iter()
        .zip(head.split(|byte| *byte == b'|'))
        .filter_map(|(name, said)| Some((HeaderName::from_static(name), HeaderValue::from_bytes(said).ok()?)))
        .collect();
    match read(&Config::default(), Bytes::copy_from_slice(body)) {
        Err(_) => {}
        Ok(Body::One(envelope)) => {
            assert_eq!(&envelope.bytes[..], body, "the bytes judged are the bytes sent");
            message(envelope, &headers, false);
        }
        Ok(Body::Batch(envelopes)) => {
            if let Some(whole) = parsed(body) {
                let whole = whole.as_array().expect("a batch is an array");
                let read: Vec<Value> = envelopes.iter().filter_map(|envelope| parsed(&envelope.bytes)).collect();
                assert_eq!(&read, whole);
            }
            for envelope in envelopes {
                message(envelope, &headers, true);
            }
        }
    }
}

fn message(envelope: Envelope, headers: &HeaderMap, batched: bool) {
    let bytes = envelope.bytes.clone();
    let Some(value) = parsed(&bytes) else { return };
    match &envelope.shape {
        Shape::Request { method, .. } | Shape::Notification { method } => {
            assert_eq!(value["method"].as_str(), Some(&**method));
        }
        Shape::Response { error, .. } => assert_eq!(value["error"]["code"].as_i64(), *error),
    }
    let facts = Facts { headers: Some(headers), session: None, batched, extra_methods: &[] };
    let Ok(message) = agree(&Config::default(), envelope, facts) else { return };
    assert_eq!(message.bytes(), &bytes);
    if message.is("tools/call") {
        assert_eq!(message.target().map(AsRef::as_ref), value["params"]["name"].as_str());
    }
    if let Some(arguments) = message.arguments() {
        assert_eq!(parsed(&bytes[arguments]).as_ref(), value["params"].get("arguments"));
    }
    if let Some(method) = message.method().filter(|_| message.revision().is_modern()) {
        assert!(!batched);
        assert_eq!(said(headers, "mcp-protocol-version").as_deref(), Some("2026-07-28"));
        if let (true, Targets::One(target)) = (method.is_mirrored(), message.targets()) {
            assert_eq!(said(headers, "mcp-name").as_deref(), Some(&**target));
        }
        if let Some(mirrored) = said(headers, "mcp-method") {
            assert_eq!(Some(&*mirrored), message.method_name());
        }
    }
    for (_, member) in message_outline(&bytes).children(None) {
        assert!(parsed(&bytes[member.value.clone()]).is_some(), "a span is a value");
    }
}

/// What an independent reader makes of text that passed; nothing where it computes with a number that is too large.
fn parsed(text: &[u8]) -> Option<Value> {
    match serde_json::from_slice(text) {
        Ok(Plain(value)) => Some(value),
        Err(error) if error.to_string().contains("number out of range") => None,
        Err(error) => panic!("what passes is JSON: {error}"),
    }
}

fn message_outline(bytes: &[u8]) -> json::Outline {
    json::scan(bytes, Config::default().bounds).expect("what passed once passes again")
}

fn said(headers: &HeaderMap, name: &'static str) -> Option<String> {
    headers.get(name).and_then(|value| headers::decode(value, name).ok()).map(Into::into)
}
