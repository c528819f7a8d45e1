//! Requests with their canonical forms and signatures, made by `palisade_guard::sign`: what another implementation must
//! come to as well.

use http::{HeaderMap, HeaderName, HeaderValue};
use palisade_guard::digest::{hex, sha256};
use palisade_guard::sign::{Occasion, Request, Scheme, Signer, compat, headers, messages};

/// One request.
struct Case {
    name: &'static str,
    method: &'static str,
    authority: &'static str,
    target: &'static str,
    headers: &'static [(&'static str, &'static str)],
    body: &'static str,
}

const SECRET: &str = "an example secret with 38 bytes in it.";
const KEY_ID: &str = "partner-1";
const NOW_S: u64 = 1_785_231_000;
const NONCE: &str = "GJ4xS8mQ0bT2vYp7_-aZ";
const JSON: (&str, &str) = ("content-type", "application/json");
const CASES: &[Case] = &[
    Case {
        name: "a tool call of 2026-07-28",
        method: "POST",
        authority: "mcp.example.com",
        target: "/mcp",
        headers: &[
            JSON,
            ("idempotency-key", "order-17"),
            ("mcp-protocol-version", "2026-07-28"),
            ("mcp-method", "tools/call"),
            ("mcp-name", "buy"),
        ],
        body: r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"buy","arguments":{"symbol":"SPY"}}}"#,
    },
    Case {
        name: "a call in a session",
        method: "POST",
        authority: "mcp.example.com:8443",
        target: "/mcp/desk",
        headers: &[JSON, ("idempotency-key", "a b"), ("mcp-session-id", "s1"), ("mcp-protocol-version", "2025-11-25")],
        body: r#"{"jsonrpc":"2.0","id":"x","method":"tools/list"}"#,
    },
    Case {
        name: "a stream that goes on",
        method: "GET",
        authority: "127.0.0.1:8080",
        target: "/mcp",
        headers: &[("mcp-session-id", "s1"), ("last-event-id", "17")],
        body: "",
    },
    Case { name: "a query", method: "DELETE", authority: "h", target: "/mcp?a=1&b=%2F", headers: &[], body: "" },
    Case {
        name: "a host in capitals",
        method: "POST",
        authority: "MCP.Example.COM",
        target: "/mcp",
        headers: &[JSON],
        body: "{}",
    },
    Case {
        name: "an escaped path",
        method: "POST",
        authority: "h",
        target: "/mcp%2Fdesk",
        headers: &[JSON],
        body: "grüße\n",
    },
];

pub(super) fn page() -> String {
    let mut cases = Vec::new();
    for case in CASES {
        for scheme in [Scheme::Headers, Scheme::Messages, Scheme::Compat] {
            cases.extend(vector(case, scheme));
        }
    }
    format!(
        "{{\n  \"about\": \"Written by `cargo xtask generate` from the code. docs/guide/sign-requests.md says how to read it.\",\n  \"secret\": {},\n  \"key_id\": {},\n  \"timestamp\": {NOW_S},\n  \"nonce\": {},\n  \"vectors\": [\n{}\n  ]\n}}\n",
        quoted(SECRET),
        quoted(KEY_ID),
        quoted(NONCE),
        cases.join(",\n"),
    )
}

/// `None` where the scheme does not take the request.
fn vector(case: &Case, scheme: Scheme) -> Option<String> {
    let mut all: HeaderMap = case
        .headers
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect();
    let given = object(&all);
    let request = Request { method: case.method, authority: case.authority, target: case.target, headers: &all };
    let signer = Signer::new(scheme, KEY_ID, SECRET.as_bytes()).ok()?;
    let added = signer.sign(&request, case.body.as_bytes(), Occasion { now_s: NOW_S, nonce: NONCE }).ok()?;
    all.extend(added.iter().map(|(name, value)| (name.clone(), value.clone())));
    let request = Request { method: case.method, authority: case.authority, target: case.target, headers: &all };
    let digest = sha256(case.body.as_bytes());
    let canonical = match scheme {
        Scheme::Headers => headers::whole(&headers::base(&request).ok()?, &digest),
        Scheme::Messages => messages::base_of(&request)?,
        Scheme::Compat => [compat::base(&request, &NOW_S.to_string()).ok()?.as_slice(), case.body.as_bytes()].concat(),
    };
    let word = match scheme {
        Scheme::Headers => "headers",
        Scheme::Messages => "rfc9421",
        Scheme::Compat => "compat",
    };
    Some(format!(
        "    {{\n      \"name\": {},\n      \"scheme\": \"{word}\",\n      \"method\": {},\n      \"authority\": {},\n      \"target\": {},\n      \"headers\": {given},\n      \"body\": {},\n      \"canonical_hex\": \"{}\",\n      \"signed\": {}\n    }}",
        quoted(case.name),
        quoted(case.method),
        quoted(case.authority),
        quoted(case.target),
        quoted(case.body),
        hex(&canonical),
        object(&added),
    ))
}

fn object(headers: &HeaderMap) -> String {
    let mut rows: Vec<String> = headers
        .iter()
        .map(|(name, value)| format!("{}: {}", quoted(name.as_str()), quoted(value.to_str().unwrap_or_default())))
        .collect();
    rows.sort();
    format!("{{{}}}", rows.join(", "))
}

fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("\"{escaped}\"")
}
