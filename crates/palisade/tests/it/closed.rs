//! Every door, with every credential that is none, for each kind of credential: signatures, tokens of our own and of others.
//! Keys have theirs in `managed_keys::closed`, client certificates in `tls::closed`.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use palisade_guard::sign::Scheme;
use palisade_guard::token::{Signer, Type};
use serde_json::{Value, json};

use crate::edge::config;
use crate::gate::{Answer, Gate, until};
use crate::managed_keys::settings;
use crate::oauth::issuer::{Issuer, key, now, token};
use crate::signed::{Draft, SECRET, now_s, signed_gate};
use crate::upstream::Upstream;

/// Every path that there is, and some that look like one.
pub(crate) const PATHS: [&str; 22] = [
    "/mcp",
    "/mcp/files",
    "/mcp/search",
    "/mcp/nobody",
    "/mcp/marketplace",
    "/mcp/",
    "//mcp",
    "/MCP",
    "/%6dcp",
    "/mcp;x",
    "/api/tools",
    "/api/status",
    "/api/keys",
    "/api/keys/aaaaaaaaaaaa",
    "/api/keys/aaaaaaaaaaaa/rotate",
    "/api/keys/aaaaaaaaaaaa/usage",
    "/api/tokens",
    "/api/tokens/refresh",
    "/api/tokens/revoke",
    "/api/",
    "/metrics",
    "/health/../mcp",
];
pub(crate) const METHODS: [&str; 6] = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
pub(crate) const CALL: &[u8] =
    br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{}}}"#;
const BEGIN: &[u8] = br#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"test","version":"0"}}}"#;
/// Nobody is turned away for asking often: what is judged here is the credential.
const UNLIMITED: &str = "per_address_per_minute = 1000000\naddress_ceiling_per_minute = 1000000\n";

/// Goes to every path with every method: 401 with a challenge, and nothing else.
pub(crate) fn every_door(what: &str, ask: impl Fn(&'static str, &'static str) -> Answer) {
    for path in PATHS {
        for method in METHODS {
            let answer = ask(method, path);
            assert_eq!(answer.status, 401, "{method} {path} with {what}: {}", answer.text());
            assert!(answer.header("www-authenticate").is_some(), "{method} {path} with {what}");
        }
    }
}

/// The same with a bearer token.
fn every_door_with(gate: &Gate, what: &str, credential: &str) {
    let bearer = format!("Bearer {credential}");
    every_door(what, |method, path| gate.raw(&gate.request(method, path, &[("Authorization", &bearer)], CALL)));
}

/// Opens a session as one caller and goes on in it as another: it is there for its owner alone.
pub(crate) fn a_session_is_its_owners(
    upstream: &Upstream,
    owner: impl Fn(&'static str, &str, &[u8]) -> Answer,
    other: impl Fn(&'static str, &str, &[u8]) -> Answer,
) {
    let opened = owner("POST", "", BEGIN);
    let session = opened.header("mcp-session-id").unwrap_or_else(|| panic!("{}", opened.text())).to_owned();
    let reached = upstream.requests().len();
    for method in ["POST", "GET", "DELETE"] {
        assert_eq!(other(method, &session, CALL).status, 404, "{method}");
    }
    assert_eq!(upstream.requests().len(), reached, "nothing went on");
    assert_eq!(owner("POST", &session, CALL).status, 200);
}

/// What sends a message with a bearer token, in a session.
fn bearer<'g>(gate: &'g Gate, path: &'static str, token: &str) -> impl Fn(&'static str, &str, &[u8]) -> Answer + 'g {
    let bearer = format!("Bearer {token}");
    move |method, session, body| {
        let headers = [("Authorization", bearer.as_str()), ("Mcp-Session-Id", session)];
        gate.raw(&gate.request(method, path, &headers, body))
    }
}

/// B5, P-A16: tokens of our own that are wrong, over, taken back, for refreshing, or for another audience; and another
/// holder's session.
#[test]
fn no_door_opens_for_a_wrong_token_of_ours() {
    let upstream = Upstream::echo();
    let text = settings(Path::new("DIR"), &[("files", &upstream.url()), ("search", &upstream.url())]);
    let text = text.replace("penalty = \"off\"\n", &format!("penalty = \"off\"\n{UNLIMITED}"));
    let gate = Gate::configured(&format!("{text}[auth.tokens]\nalgorithm = \"HS256\"\nsecret = \"{SECRET}\"\n"));
    let access = |pair: &Value| pair["access_token"].as_str().unwrap().to_owned();
    let [good, other, revoked] = ["ada", "bob", "eve"].map(|who| gate.issued(&[who]));
    let calls = |token: &str| gate.ping("files", token).status;
    until("the tokens to work", || (calls(&access(&good)) == 200).then_some(()));
    assert_eq!(calls(&access(&revoked)), 200);
    gate.revoke_holder("token:eve");
    until("a token to be taken back", || (calls(&access(&revoked)) == 401).then_some(()));
    let signed = |name: &str, value: Value| {
        let good = access(&good);
        let [header, mut claims] = [0, 1].map(|part| {
            let part = URL_SAFE_NO_PAD.decode(good.split('.').nth(part).unwrap()).unwrap();
            serde_json::from_slice::<Value>(&part).unwrap()
        });
        claims[name] = value;
        Signer::hs256(header["kid"].as_str().unwrap(), SECRET.as_bytes()).unwrap().sign(Type::Access, &claims)
    };
    assert_eq!(calls(&signed("exp", json!(now() + 60))), 200, "what is signed here is as good as theirs");
    let mut wrong = access(&good).into_bytes();
    let at = wrong.len() - 10;
    wrong[at] = if wrong[at] == b'A' { b'B' } else { b'A' };

    let reached = upstream.requests().len();
    every_door_with(&gate, "a wrong token", std::str::from_utf8(&wrong).unwrap());
    every_door_with(&gate, "a token that was taken back", &access(&revoked));
    every_door_with(&gate, "a token that is over", &signed("exp", json!(now() - 61)));
    every_door_with(&gate, "a token for another gateway", &signed("aud", json!("https://other.example/mcp")));
    every_door_with(&gate, "a token of another issuer", &signed("iss", json!("https://other.example")));
    let refresh = good["refresh_token"].as_str().unwrap();
    let bearer_of = format!("Bearer {refresh}");
    for path in PATHS.iter().filter(|path| **path != "/api/tokens/refresh") {
        for method in METHODS {
            let answer = gate.raw(&gate.request(method, path, &[("Authorization", &bearer_of)], CALL));
            assert_eq!(answer.status, 401, "{method} {path} with a token for refreshing: {}", answer.text());
        }
    }
    assert_eq!(upstream.requests().len(), reached, "nothing went on");
    let (ada, bob) = (access(&good), access(&other));
    a_session_is_its_owners(&upstream, bearer(&gate, "/mcp/files", &ada), bearer(&gate, "/mcp/files", &bob));
}

/// B6, P-A16, P-A17: tokens of others that are wrong, over, taken back, of another issuer or for another audience; and another
/// holder's session.
#[test]
fn no_door_opens_for_a_wrong_token_of_others() {
    let (upstream, issuer) = (Upstream::echo(), Issuer::start());
    let url = issuer.url();
    let gate = Gate::configured(&config(
        &upstream.url(),
        &format!(
            "[limits]\npenalty = \"off\"\n{UNLIMITED}[[auth.issuers]]\nname = \"corp\"\nurl = \"{url}\"\njwks = \"{url}/keys\"\n\
             introspection = \"{url}/introspect\"\nclient_id = \"gate\"\nclient_secret = \"gate-secret\"\n"
        ),
    ));
    let right = issuer.claims(&format!("http://{}/mcp/stub", gate.address));
    let with = |name: &str, value: Value| {
        let mut claims = right.clone();
        claims[name] = value;
        claims
    };
    let good = token("k1", &right);
    let public = key("k1").published().unwrap()["x"].as_str().unwrap().to_owned();
    let reached = upstream.requests().len();
    for (what, wrong) in [
        ("a token of another key", token("k2", &right)),
        ("a token with the public key as a secret", {
            Signer::hs256("k1", public.as_bytes()).unwrap().sign(Type::Access, &right)
        }),
        ("a token that is over", token("k1", &with("exp", json!(now() - 31)))),
        ("a token that is not yet good", token("k1", &with("nbf", json!(now() + 60)))),
        ("a token that was taken back, says its issuer", "bad-opaque-token".to_owned()),
        ("a token of another issuer", token("k1", &with("iss", json!("https://login.example")))),
        ("a token for another gateway", token("k1", &with("aud", json!("https://other.example/mcp")))),
        ("a token for no door", token("k1", &with("aud", json!(format!("http://{}", gate.address))))),
    ] {
        every_door_with(&gate, what, &wrong);
    }
    assert_eq!(upstream.requests().len(), reached, "nothing went on");
    let bob = token("k1", &with("sub", json!("bob")));
    a_session_is_its_owners(&upstream, bearer(&gate, "/mcp/stub", &good), bearer(&gate, "/mcp/stub", &bob));
}

/// B4, P-A16: no signature, one with a wrong secret, of nobody, of a client that was withdrawn, too old, too early, or over
/// another path, method or host; and another client's session.
#[test]
fn no_door_opens_for_a_wrong_signature() {
    const OTHER: &str = "wE4rT8yU2iO6pA1sD5fG9hJ3kL7zX0cVb";
    let upstream = Upstream::echo();
    let client = format!("[[auth.clients]]\nname = \"other\"\nkey_id = \"other-1\"\nsecrets = [\"{OTHER}\"]\n");
    let gate = signed_gate(&upstream.url(), "hmac", &format!("[limits]\npenalty = \"off\"\n{UNLIMITED}{client}"));
    let draft = |method, path: &str| {
        let mut draft = Draft::call(&palisade_gateway::new_key());
        (draft.method, draft.path) = (method, path.to_owned());
        draft
    };
    let signed = |draft: &Draft, key_id: &str, secret: &str, when: u64| {
        draft.signed_so(&gate, Scheme::Headers, key_id, secret, when)
    };
    every_door("no signature", |method, path| draft(method, path).send(&gate));
    every_door("a wrong secret", |method, path| signed(&draft(method, path), "desk-1", OTHER, now_s()).send(&gate));
    every_door("a client that is none", |method, path| {
        signed(&draft(method, path), "desk-0", SECRET, now_s()).send(&gate)
    });
    every_door("an old signature", |method, path| {
        signed(&draft(method, path), "desk-1", SECRET, now_s() - 302).send(&gate)
    });
    every_door("an early one", |method, path| signed(&draft(method, path), "desk-1", SECRET, now_s() + 60).send(&gate));
    every_door("one over another path", |method, path| {
        let mut moved = signed(&draft(method, "/mcp/desk"), "desk-1", SECRET, now_s());
        moved.path = path.to_owned();
        moved.send(&gate)
    });
    every_door("one over another method", |method, path| {
        let mut turned = signed(&draft("HEAD", path), "desk-1", SECRET, now_s());
        turned.method = method;
        turned.send(&gate)
    });
    every_door("one for another host", |method, path| {
        let mut sent = signed(&draft(method, path).with("host", "other.example"), "desk-1", SECRET, now_s());
        sent.headers.retain(|(name, _)| *name != "host");
        sent.send(&gate)
    });
    assert!(upstream.requests().is_empty(), "nothing went on");
    let as_client = |key_id: &'static str, secret: &'static str| {
        let gate = &gate;
        move |method, session: &str, body: &[u8]| {
            let mut draft = Draft::call(&palisade_gateway::new_key());
            draft.headers.retain(|(name, _)| !name.starts_with("mcp-"));
            (draft.method, draft.path, draft.body) = (method, "/mcp/desk".to_owned(), body.to_vec());
            if !session.is_empty() {
                draft.headers.push(("mcp-session-id", session.to_owned()));
            }
            draft.signed_so(gate, Scheme::Headers, key_id, secret, now_s()).send(gate)
        }
    };
    a_session_is_its_owners(&upstream, as_client("desk-1", SECRET), as_client("other-1", OTHER));
}
