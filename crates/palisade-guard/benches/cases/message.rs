//! Parsing: the smallest ordinary tool call of the older revisions, and a kilobyte of the newest with all it mirrors.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use palisade_guard::message::{Body, Config, Facts, Message, agree, read};
use palisade_guard::refusal::Refusal;

/// What came in, and the rules it is judged by.
pub(crate) struct Input {
    config: Config,
    headers: HeaderMap,
    body: Bytes,
}

/// 120 bytes of 2025-06-18.
pub(crate) fn short() -> Input {
    let body = r#"{"jsonrpc":"2.0","id":17,"method":"tools/call","params":{"name":"echo","arguments":{"text":"how much does this cost?"}}}"#;
    assert_eq!(body.len(), 120);
    input(body.into(), &[("mcp-protocol-version", "2025-06-18")])
}

/// 1,024 bytes of 2026-07-28.
pub(crate) fn kilobyte() -> Input {
    let meta = r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"progressToken":17}"#;
    let arguments =
        |text: &str| format!(r#"{{"text":"{text}","numbers":[1,2.5,-3e4],"nested":{{"flag":true,"none":null}}}}"#);
    let body = |text: &str| {
        let arguments = arguments(text);
        format!(
            r#"{{"jsonrpc":"2.0","id":"call-17","method":"tools/call","params":{{"name":"echo","arguments":{arguments},"_meta":{meta}}}}}"#
        )
    };
    // With an escape, as ordinary text has one now and then.
    let prose = "A line of ordinary text, and another one.\\n".repeat(24);
    let room = 1024 - body("").len();
    let text = format!("{}{}", prose.get(..room - room % 43).unwrap_or_default(), ".".repeat(room % 43));
    let body = body(&text);
    assert_eq!(body.len(), 1024);
    input(body, &[("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call"), ("mcp-name", "echo")])
}

/// Everything from bytes to a message whose parts agree.
pub(crate) fn parse(input: &Input) -> Result<Message, Refusal> {
    let Body::One(envelope) = read(&input.config, input.body.clone())? else { unreachable!("no batch was sent") };
    let facts = Facts { headers: Some(&input.headers), session: None, batched: false, extra_methods: &[] };
    agree(&input.config, envelope, facts)
}

fn input(body: String, headers: &[(&'static str, &'static str)]) -> Input {
    let headers = headers.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
    let input = Input { config: Config::default(), headers: headers.collect(), body: body.into() };
    assert!(parse(&input).is_ok(), "a refused message would measure something else");
    input
}
