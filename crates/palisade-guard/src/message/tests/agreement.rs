//! Revision, headers and body tell one story, or the message is refused.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::super::{Body, Config, Facts, Revision, Targets, agree, read};
use crate::refusal::Reason;

const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;

struct Case<'a> {
    method: &'a str,
    params: String,
    headers: Vec<(&'static str, &'a str)>,
    session: Option<Revision>,
    batched: bool,
}

impl Case<'_> {
    fn run(&self) -> Result<(Revision, Targets), Reason> {
        let id = if self.method.starts_with("notifications/") { "" } else { r#""id":1,"# };
        let body = format!(r#"{{"jsonrpc":"2.0",{id}"method":"{}","params":{{{}}}}}"#, self.method, self.params);
        let Ok(Body::One(envelope)) = read(&Config::default(), Bytes::from(body)) else { panic!("no envelope") };
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            headers.append(HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let extra = ["vendor/extra".into()];
        let facts =
            Facts { headers: Some(&headers), session: self.session, batched: self.batched, extra_methods: &extra };
        let message = agree(&Config::default(), envelope, facts).map_err(|refusal| refusal.reason())?;
        Ok((message.revision(), message.targets().clone()))
    }
}

fn modern<'a>(method: &'a str, params: &str, headers: &[(&'static str, &'a str)]) -> Case<'a> {
    let params = if params.is_empty() { META.to_owned() } else { format!("{params},{META}") };
    let mut all = vec![("mcp-protocol-version", "2026-07-28"), ("mcp-method", method)];
    all.extend_from_slice(headers);
    Case { method, params, headers: all, session: None, batched: false }
}

fn legacy<'a>(method: &'a str, params: &str, headers: &[(&'static str, &'a str)]) -> Case<'a> {
    Case { method, params: params.to_owned(), headers: headers.to_vec(), session: None, batched: false }
}

fn one(name: &str) -> Targets {
    Targets::One(name.into())
}

/// A1: 2026-07-28 is recognised by what it says, and everything it mirrors must agree.
#[test]
fn modern_requests_agree_in_all_places() {
    use Reason::{HeaderMismatch, MetaMissing, UnknownMethod, UnsupportedRevision};
    let call = r#""name":"echo""#;
    assert_eq!(modern("tools/list", "", &[]).run(), Ok((Revision::V2026_07_28, Targets::Nothing)));
    assert_eq!(modern("tools/call", call, &[("mcp-name", "echo")]).run(), Ok((Revision::V2026_07_28, one("echo"))));
    assert!(modern("tools/call", call, &[("mcp-name", "=?base64?ZWNobw==?=")]).run().is_ok());
    for name in ["Echo", "echo2", "=?base64?ZWNobzI=?=", "=?base64?ZWNobw?=", "=?BASE64?ZWNobw==?=", ""] {
        assert_eq!(modern("tools/call", call, &[("mcp-name", name)]).run(), Err(HeaderMismatch), "{name}");
    }
    assert_eq!(modern("tools/call", call, &[]).run(), Err(HeaderMismatch));
    assert_eq!(modern("tools/call", call, &[("mcp-name", "echo"), ("mcp-name", "echo")]).run(), Err(HeaderMismatch));
    for method in ["initialize", "ping", "logging/setLevel", "no/such", "tools/call2"] {
        assert_eq!(modern(method, "", &[]).run(), Err(UnknownMethod), "{method}");
    }
    let with =
        |headers: &[(&'static str, &'static str)]| Case { headers: headers.to_vec(), ..modern("tools/list", "", &[]) };
    assert_eq!(with(&[]).run(), Err(HeaderMismatch));
    assert_eq!(with(&[("mcp-protocol-version", "2026-07-28")]).run(), Err(HeaderMismatch));
    assert_eq!(with(&[("mcp-method", "tools/list")]).run(), Err(HeaderMismatch));
    assert_eq!(
        with(&[("mcp-protocol-version", "2025-11-25"), ("mcp-method", "tools/list")]).run(),
        Err(HeaderMismatch)
    );
    let twice = [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/list"), ("mcp-method", "tools/list")];
    assert_eq!(with(&twice).run(), Err(HeaderMismatch));
    let bare = Case { params: String::new(), ..modern("tools/list", "", &[]) };
    assert_eq!(bare.run(), Err(MetaMissing));
    let renamed = |to: &str, header: &'static str| Case {
        params: META.replace("2026-07-28", to),
        headers: vec![("mcp-protocol-version", header), ("mcp-method", "tools/list")],
        ..modern("tools/list", "", &[])
    };
    assert_eq!(renamed("2027-01-01", "2027-01-01").run(), Err(UnsupportedRevision));
    assert_eq!(renamed("2025-11-25", "2025-11-25").run(), Err(UnsupportedRevision));
    assert_eq!(Case { batched: true, ..modern("tools/list", "", &[]) }.run(), Err(Reason::NotAMessage));
}

/// A1: earlier revisions are what the session agreed on; a header may repeat it and nothing else.
#[test]
fn legacy_requests_follow_their_session() {
    use Revision::{V2025_03_26, V2025_06_18, V2025_11_25};
    let ping = |headers, session| Case { session, ..legacy("ping", "", headers) };
    assert_eq!(ping(&[], None).run(), Ok((V2025_03_26, Targets::Nothing)));
    assert_eq!(ping(&[], Some(V2025_06_18)).run(), Ok((V2025_06_18, Targets::Nothing)));
    let header = [("mcp-protocol-version", "2025-11-25")];
    assert_eq!(ping(&header, Some(V2025_11_25)).run(), Ok((V2025_11_25, Targets::Nothing)));
    assert_eq!(ping(&header, Some(V2025_06_18)).run(), Err(Reason::UnsupportedRevision));
    assert_eq!(ping(&[("mcp-protocol-version", "1999-01-01")], None).run(), Err(Reason::UnsupportedRevision));
    assert_eq!(legacy("server/discover", "", &[]).run(), Err(Reason::UnknownMethod));
    assert_eq!(legacy("vendor/extra", "", &[]).run(), Ok((V2025_03_26, Targets::Nothing)));
    assert_eq!(legacy("notifications/vendor", "", &[]).run(), Err(Reason::UnknownMethod));
    for (session, allowed) in [(V2025_03_26, true), (V2025_06_18, false), (V2025_11_25, false)] {
        let batch = Case { batched: true, session: Some(session), ..legacy("ping", "", &[]) };
        assert_eq!(batch.run().is_ok(), allowed, "{session:?}");
    }
    assert_eq!(Case { batched: true, ..legacy("initialize", "", &[]) }.run(), Err(Reason::NotAMessage));
}

/// E1: each method names its target where the specification puts it, in the right type.
#[test]
fn targets_are_named() {
    for (method, params, target) in [
        ("tools/call", r#""name":"a.b_c-d/e""#, one("a.b_c-d/e")),
        ("prompts/get", r#""name":"any prompt""#, one("any prompt")),
        ("resources/read", r#""uri":"file:///x""#, one("file:///x")),
        ("completion/complete", r#""ref":{"type":"ref/prompt","name":"p"}"#, one("p")),
        ("completion/complete", r#""ref":{"type":"ref/resource","uri":"u"}"#, one("u")),
    ] {
        assert_eq!(legacy(method, params, &[]).run().map(|(_, targets)| targets), Ok(target), "{method}");
    }
    let listen = r#""notifications":{"resourceSubscriptions":["a","b"]}"#;
    let many = Targets::Many(vec!["a".into(), "b".into()]);
    assert_eq!(modern("subscriptions/listen", listen, &[]).run().map(|(_, targets)| targets), Ok(many));
    for (method, params) in [
        ("tools/call", ""),
        ("tools/call", r#""name":1"#),
        ("tools/call", r#""name":"""#),
        ("tools/call", r#""name":"a b""#),
        ("tools/call", "\"name\":\"g\u{435}t\""),
        ("tools/call", r#""name":"a\u0000""#),
        ("tools/call", r#""name":"a","arguments":[]"#),
        ("tools/call", r#""name":"a","_meta":{"progressToken":{}}"#),
        ("tools/list", r#""cursor":1"#),
        ("completion/complete", r#""ref":{"type":"ref/other","name":"p"}"#),
        ("resources/read", r#""uri":"""#),
    ] {
        assert_eq!(legacy(method, params, &[]).run(), Err(Reason::InvalidParams), "{method} {params}");
    }
    let long = format!(r#""name":"{}""#, "a".repeat(129));
    assert_eq!(legacy("tools/call", &long, &[]).run(), Err(Reason::InvalidParams));
    let large = format!(r#""name":"a","arguments":{{"x":"{}"}}"#, "a".repeat(1 << 20));
    assert_eq!(legacy("tools/call", &large, &[]).run(), Err(Reason::PayloadTooLarge));
}
