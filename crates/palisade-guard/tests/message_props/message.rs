//! Messages: what passes says one thing in all places, to us and to an independent reader.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use palisade_guard::message::json::{self, Kind};
use palisade_guard::message::{Body, Config, Facts, Form, Revision, Shape, Targets, agree, headers, read};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::documents::{near_json, one_of, text, value};

type Members = Vec<(&'static str, Value)>;

/// Up to two members of these names, with any values; most often none.
fn members(names: &'static str) -> impl Strategy<Value = Members> {
    prop_oneof![3 => Just(Vec::new()), 1 => prop::collection::vec((one_of(names), value()), 0..3)]
}

fn object(members: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>().into()
}

/// Parameters with right and wrong values; more often right than chance would have it.
fn params() -> impl Strategy<Value = Value> {
    let complete = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let meta = prop_oneof![6 => Just(vec![("_meta", complete)]), 2 => Just(Vec::new()), 1 => value().prop_map(|meta| vec![("_meta", meta)])];
    let name = prop_oneof![6 => Just(Value::from("echo")), 1 => value()];
    let rest = members("arguments uri ref taskId notifications cursor Name task requestState");
    (meta, name, rest).prop_map(|(meta, name, rest)| {
        let right =
            [("uri", "a://b".into()), ("taskId", "t".into()), ("ref", json!({"type": "ref/prompt", "name": "p"}))];
        object(right.into_iter().chain([("name", name)]).chain(meta).chain(rest))
    })
}

/// A body that is near a message.
fn near_message() -> impl Strategy<Value = Value> {
    let method = one_of(
        "tools/call tools/list initialize resources/read completion/complete subscriptions/listen tasks/get notifications/cancelled no/such",
    );
    let id = prop::option::weighted(0.8, prop_oneof![any::<i64>().prop_map(Value::from), text().prop_map(Value::from)]);
    (method, params(), id, members("id result error Method x params")).prop_map(|(method, params, id, rest)| {
        let id = id.map(|id| ("id", id));
        let fixed = [("jsonrpc", "2.0".into()), ("method", method.into()), ("params", params)];
        object(fixed.into_iter().chain(id).chain(rest))
    })
}

/// Headers as a client would send them with this body: rightly, but for what `strays` adds or replaces.
fn header_map(body: &Value, modern: bool, strays: &[(&'static str, String)]) -> HeaderMap {
    let params = &body["params"];
    let name = [&params["name"], &params["uri"], &params["taskId"]];
    let name = match body["method"].as_str() {
        Some("resources/read") => name[1],
        Some("tasks/get") => name[2],
        _ => name[0],
    };
    let mut headers = HeaderMap::new();
    if modern {
        for (header, value) in [
            ("mcp-protocol-version", Some("2026-07-28")),
            ("mcp-method", body["method"].as_str()),
            ("mcp-name", name.as_str()),
        ] {
            let value = value.and_then(|value| HeaderValue::from_str(value).ok());
            headers.extend(value.map(|value| (HeaderName::from_static(header), value)));
        }
    }
    for (name, value) in strays {
        headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    }
    headers
}

/// A header that is near what a message mirrors.
fn stray() -> impl Strategy<Value = (&'static str, String)> {
    let said = prop_oneof![
        4 => one_of("2026-07-28 2025-11-25 2025-03-26 tools/call tools/list echo =?base64?ZWNobw==?=").prop_map(str::to_owned),
        1 => "[ -~]{0,20}",
        1 => "=\\?base64\\?[A-Za-z0-9+/=]{0,12}\\?=",
    ];
    (one_of("mcp-protocol-version mcp-method mcp-name mcp-session-id x-other"), said)
}

fn says(headers: &HeaderMap, name: &'static str, text: &str) -> bool {
    headers.get(name).and_then(|value| headers::decode(value, name).ok()).is_some_and(|said| said == text)
}

proptest! {
    /// E1: whatever is sent is judged, never a panic; what passes is what an independent reader sees.
    #[test]
    fn an_envelope_says_what_the_body_says(body in prop_oneof![near_json(), near_message().prop_map(|body| body.to_string().into_bytes())]) {
        if let Ok(Body::One(envelope)) = read(&Config::default(), Bytes::from(body.clone())) {
            prop_assert_eq!(&envelope.bytes[..], &body[..]);
            let value: Value = serde_json::from_slice(&body).unwrap();
            prop_assert_eq!(&value["jsonrpc"], "2.0");
            match &envelope.shape {
                Shape::Request { method, .. } | Shape::Notification { method } => prop_assert_eq!(value["method"].as_str(), Some(&**method)),
                Shape::Response { error, .. } => prop_assert_eq!(value["error"]["code"].as_i64(), *error),
            }
            let id = envelope.id().map(|id| serde_json::from_slice::<Value>(&id).unwrap());
            prop_assert_eq!(id.as_ref(), value.get("id").filter(|id| !id.is_null()));
        }
    }

    /// A1: whatever headers and body say, a message that passes says one thing in all places.
    #[test]
    fn what_passes_agrees(body in near_message(), strays in prop_oneof![Just(Vec::new()), prop::collection::vec(stray(), 0..4)], modern: bool, legacy: bool, batched in prop::bool::weighted(0.1)) {
        let headers = header_map(&body, modern, &strays);
        let session = legacy.then_some(Revision::V2025_11_25);
        let Ok(Body::One(envelope)) = read(&Config::default(), Bytes::from(body.to_string())) else { return Ok(()) };
        let facts = Facts { headers: Some(&headers), session, batched, extra_methods: &[] };
        let Ok(message) = agree(&Config::default(), envelope, facts) else { return Ok(()) };
        prop_assert_eq!(message.bytes(), &Bytes::from(body.to_string()));
        prop_assert_eq!(message.method_name(), body["method"].as_str());
        if let Some(arguments) = message.arguments() {
            prop_assert_eq!(json::find(message.bytes(), arguments, &[]).map(|(_, kind)| kind), Some(Kind::Object));
        }
        if message.is("tools/call") {
            prop_assert_eq!(message.target().map(AsRef::as_ref), body["params"]["name"].as_str());
        }
        if message.revision().is_modern() {
            prop_assert!(!batched);
            if message.form() == Some(Form::Request) {
                prop_assert!(says(&headers, "mcp-protocol-version", "2026-07-28"));
                prop_assert!(says(&headers, "mcp-method", message.method_name().unwrap()));
            }
            if let (Some(method), Targets::One(target)) = (message.method(), message.targets()) && method.is_mirrored() {
                prop_assert!(says(&headers, "mcp-name", target));
            }
        } else if headers.contains_key("mcp-protocol-version") {
            prop_assert!(says(&headers, "mcp-protocol-version", message.revision().name()));
        }
    }
}
