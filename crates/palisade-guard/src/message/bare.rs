//! What the headers of a message would say that came without any: by standard input there is no header layer
//! (2026-07-28, transports, "stdio"). An HTTP upstream wants them all the same, and they must say what the body says.

use http::{HeaderMap, HeaderValue};

use super::headers::{METHOD, NAME, REVISION, encode};
use super::json::{self, Kind};
use super::{Envelope, Method, Revision, Shape, Target};

/// The headers of a message of 2026-07-28; `None` for one that names no revision of its own, as in earlier ones.
pub fn headers(envelope: &Envelope) -> Option<HeaderMap> {
    let text = |path: &[&str]| match envelope.param(path) {
        Some((span, Kind::String)) => envelope.bytes.get(span).map(json::text_of),
        _ => None,
    };
    let revision = text(&["_meta", "io.modelcontextprotocol/protocolVersion"])?;
    let mut headers = HeaderMap::new();
    headers.insert(&REVISION, encode(&revision));
    if let Shape::Request { method, .. } | Shape::Notification { method } = &envelope.shape {
        headers.insert(&METHOD, encode(method));
        let target = Method::named(method).filter(|method| method.is_mirrored()).map(|method| method.target);
        let name = match target {
            Some(Target::Tool | Target::Name) => text(&["name"]),
            Some(Target::Uri) => text(&["uri"]),
            Some(Target::Task) => text(&["taskId"]),
            Some(Target::Nothing | Target::Reference | Target::Listen) | None => None,
        };
        if let Some(name) = name {
            headers.insert(&NAME, encode(&name));
        }
    }
    Some(headers)
}

/// The revision header of a message that names none: that of its session.
pub fn revision(revision: Revision) -> HeaderMap {
    HeaderMap::from_iter([(REVISION.clone(), HeaderValue::from_static(revision.name()))])
}

#[cfg(test)]
mod tests {
    use super::super::{Body, Config, Facts, agree, read};
    use super::headers;

    /// A2: what is made from a body agrees with it, whatever the names are.
    #[test]
    fn made_headers_agree() {
        for (method, params) in [
            ("tools/call", r#""name":"a.b/c""#),
            ("tools/list", r#""cursor":"x""#),
            ("prompts/get", r#""name":"grüße \n""#),
            ("resources/read", r#""uri":"file:///a b""#),
            ("resources/read", r#""uri":"=?base64?eA==?=""#),
            ("tasks/get", r#""taskId":"7""#),
        ] {
            let meta = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;
            let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{params},{meta}}}}}"#);
            let config = Config::default();
            let Ok(Body::One(envelope)) = read(&config, body.into()) else { panic!("{method}") };
            let made = headers(&envelope).unwrap();
            let facts = Facts { headers: Some(&made), session: None, batched: false, extra_methods: &[] };
            assert!(agree(&config, envelope, facts).unwrap().revision().is_modern(), "{method} {params}");
        }
        let old = br#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{}}"#;
        let Ok(Body::One(envelope)) = read(&Config::default(), old.as_slice().into()) else { panic!("ping") };
        assert!(headers(&envelope).is_none());
    }
}
