//! `GET /`: what this is, how to connect, which protections are on. For people who open the address in a browser.

use bytes::Bytes;
use http::header::HOST;
use http::{StatusCode, request};
use palisade_guard::authenticate;

use crate::reply::Reply;
use crate::snapshot::Snapshot;

/// No script, no image, nothing from elsewhere; the one style is our own.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The page.
pub(super) fn page(gate: &Snapshot, head: &request::Parts) -> Reply {
    // Judged before: it is one of the names served here.
    let host = head.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    let keys = matches!(gate.authenticate, authenticate::Config::Credentials(_));
    let credential = if keys {
        "Send your key with every request: <code>Authorization: Bearer YOUR-KEY</code> or <code>X-API-Key: YOUR-KEY</code>."
    } else {
        "No key is needed: this gateway serves this machine alone."
    };
    let on = |on: bool| if on { "on" } else { "off" };
    let body = TEMPLATE
        .replace("{host}", &escape(host))
        .replace("{credential}", credential)
        .replace("{authentication}", on(keys))
        .replace("{origins}", on(true));
    Reply::Page {
        content_type: "text/html; charset=utf-8",
        status: StatusCode::OK,
        body: Bytes::from(body),
        policy: Some(POLICY),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

const TEMPLATE: &str = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Palisade</title>
<style>
body { font: 1rem/1.6 system-ui, sans-serif; max-width: 42rem; margin: 3rem auto; padding: 0 1rem; }
code { font-family: ui-monospace, monospace; }
table { border-collapse: collapse; }
th, td { text-align: left; padding: .2rem 1.5rem .2rem 0; font-weight: normal; }
</style>
</head>
<body>
<main>
<h1>Palisade</h1>
<p>This is a gateway for the Model Context Protocol. It stands in front of MCP servers and decides who may call them.</p>
<h2>Connect</h2>
<p>Point an MCP client (Streamable HTTP) at <code>/mcp</code> on <code>{host}</code>. {credential}</p>
<h2>Protections</h2>
<table>
<tr><th scope="row">Authentication</th><td>{authentication}</td></tr>
<tr><th scope="row">Host and origin checks</th><td>{origins}</td></tr>
<tr><th scope="row">Rate limits</th><td>on</td></tr>
<tr><th scope="row">Strict message checks</th><td>on</td></tr>
<tr><th scope="row">Audit journal</th><td>on</td></tr>
</table>
</main>
</body>
</html>
"#;
