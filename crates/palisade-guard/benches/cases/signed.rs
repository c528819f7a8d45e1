//! A signed call with a body of 1,024 bytes, from its headers to a caller and a nonce that must be new.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderValue, Method, Uri};
use palisade_guard::authenticate::{Client, Clients, Config, Methods, Presented, Principal, Verdict, caller};
use palisade_guard::clock::Moment;
use palisade_guard::refusal::Refusal;
use palisade_guard::sign::nonces::Use;
use palisade_guard::sign::{IDEMPOTENCY_KEY, Occasion, Request, Scheme, Secrets, Signer};

/// What came in, and who may sign.
pub(crate) struct Input {
    config: Config,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
}

const SECRET: [u8; 32] = [7; 32];
const NOW_S: u64 = 1_785_231_000;

/// Signed with the headers of our own.
pub(crate) fn by_headers() -> Input {
    input(Scheme::Headers)
}

/// Signed as RFC 9421 says.
pub(crate) fn by_messages() -> Input {
    input(Scheme::Messages)
}

/// Everything but reading the body and the store.
pub(crate) fn verify(input: &Input) -> Result<(Principal, Use), Refusal> {
    let now = Moment { monotonic_ms: 0, unix_ms: NOW_S * 1000 };
    let presented = Presented {
        method: &Method::POST,
        uri: &input.uri,
        headers: &input.headers,
        secure: true,
        certificate: None,
        now,
    };
    match caller(&input.config, &presented)? {
        Verdict::Signed(pending) => pending.holds(&input.body),
        Verdict::Accept(_) | Verdict::Unsettled(_) => unreachable!("the request is signed"),
    }
}

fn input(scheme: Scheme) -> Input {
    let uri = Uri::from_static("/mcp");
    let body = Bytes::from(vec![b'x'; 1024]);
    let mut headers = HeaderMap::from_iter([
        (HOST, HeaderValue::from_static("mcp.example.com")),
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (IDEMPOTENCY_KEY.clone(), HeaderValue::from_static("order-17")),
    ]);
    for (name, value) in [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call"), ("mcp-name", "buy")] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let occasion = Occasion { now_s: NOW_S, nonce: "GJ4xS8mQ0bT2vYp7_-aZ" };
    let signer = Signer::new(scheme, "partner-0500", &SECRET);
    let added = signer.and_then(|signer| signer.sign(&Request::of(&Method::POST, &uri, &headers), &body, occasion));
    headers.extend(added.unwrap_or_default());
    let clients = (0..1000).filter_map(|number| {
        let (id, key_id) = (format!("client:{number}").into(), format!("partner-{number:04}").into());
        let secrets = Secrets::new(&SECRET, None).ok()?;
        Some(Client { id, key_id, secrets, grant: std::sync::Arc::default() })
    });
    let clients = Clients::new(clients, true, false);
    let config = Config::Credentials(Methods { clients, ..Methods::default() });
    let input = Input { config, uri, headers, body };
    assert!(verify(&input).is_ok(), "a refused request would measure something else");
    input
}
