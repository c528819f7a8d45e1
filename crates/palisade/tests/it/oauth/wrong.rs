//! Every way in which a token can be wrong: 401 or 403, the same words for all, and nothing reaches the server behind.

use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use palisade_guard::token::{Signer, Type};
use serde_json::{Value, json};

use super::issuer::{Issuer, key, now, token};
use crate::edge::config;
use crate::gate::{Gate, KEY, begun, until};
use crate::reload::{is_open, rest, streaming};
use crate::upstream::Upstream;

const CALL: &[u8] = br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","arguments":{}}}"#;

fn gate(upstream: &Upstream, issuer: &Issuer, more: &str) -> Gate {
    let url = issuer.url();
    let issuers = format!("[[auth.issuers]]\nname = \"corp\"\nurl = \"{url}\"\njwks = \"{url}/keys\"\n{more}\n");
    Gate::configured(&config(&upstream.url(), &issuers))
}

fn resource(gate: &Gate, path: &str) -> String {
    format!("http://{}{path}", gate.address)
}

fn call(gate: &Gate, path: &str, token: &str) -> (u16, Option<String>, String) {
    let bearer = format!("Bearer {token}");
    let answer = gate.raw(&gate.request("POST", path, &[("Authorization", &bearer)], CALL));
    (answer.status, answer.header("www-authenticate").map(str::to_owned), answer.text())
}

/// B6, P-A17, P-A20: wrong issuer, audience, time, key, algorithm or form: 401 with the same words, and the server behind
/// hears nothing; a right token passes, and goes no further than the gateway.
#[test]
fn a_wrong_token_opens_nothing() {
    let (upstream, issuer) = (Upstream::echo(), Issuer::start());
    let gate = gate(&upstream, &issuer, "");
    let right = issuer.claims(&resource(&gate, "/mcp"));
    let with = |name: &str, value: Value| {
        let mut claims = right.clone();
        claims[name] = value;
        token("k1", &claims)
    };
    let good = token("k1", &right);
    let (header, rest) = good.split_once('.').unwrap();
    let unsigned = format!("{}.{}", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#), rest.rsplit_once('.').unwrap().0);
    let public = URL_SAFE_NO_PAD.decode(key("k1").published().unwrap()["x"].as_str().unwrap()).unwrap();
    let confused = Signer::hs256("k1", &public).unwrap().sign(Type::Access, &right);
    let wrong = [
        ("another issuer", with("iss", json!("https://evil.example"))),
        ("another audience", with("aud", json!("https://other.example/mcp"))),
        ("the other endpoint", with("aud", json!(resource(&gate, "/mcp/stub")))),
        ("the administration", with("aud", json!(resource(&gate, "/api")))),
        ("expired", with("exp", json!(now() - 31))),
        ("not yet", with("nbf", json!(now() + 60))),
        ("nobody's", with("sub", json!(""))),
        ("another key", token("k2", &right)),
        ("none", format!("{unsigned}.")),
        ("a public key as a secret", confused),
        ("a refresh token", key("k1").sign(Type::Refresh, &right)),
        ("two tokens", format!("{good},{good}")),
        ("cut", good.rsplit_once('.').unwrap().0.to_owned()),
        ("padded", format!("{good}=")),
        ("encrypted", format!("{header}.a.b.c.d")),
        ("long", format!("{header}.{}.a", "A".repeat(8 * 1024))),
    ];
    let metadata = resource(&gate, "/.well-known/oauth-protected-resource/mcp");
    for (what, token) in &wrong {
        let (status, challenge, text) = call(&gate, "/mcp", token);
        assert!(status == 401 || status == 400 && *what == "long", "{what}: {status}");
        if status == 401 {
            let challenge = challenge.unwrap();
            assert!(challenge.contains(r#"error="invalid_token""#), "{what}: {challenge}");
            assert!(challenge.contains(&format!(r#"resource_metadata="{metadata}""#)), "{what}: {challenge}");
        }
        assert!(!text.contains("kid") && !text.contains("issuer"), "{what}: {text}");
    }
    assert_eq!(call(&gate, "/api/status", &good).0, 401, "a token for MCP is no good for the administration");
    assert_eq!(upstream.requests().len(), 0);

    assert_eq!(call(&gate, "/mcp", &good).0, 200);
    assert_eq!(call(&gate, "/mcp/stub", &with("aud", json!([resource(&gate, "/mcp/stub")]))).0, 200);
    for request in upstream.requests() {
        let all = format!("{:?} {}", request.headers, String::from_utf8_lossy(&request.body));
        assert!(!all.contains(&good) && request.header("authorization").is_none(), "{all}");
    }
    let log = gate.log.lock().unwrap().clone();
    assert!(!log.contains(&good), "no token in the log");
    let records = gate.journal();
    assert!(records.iter().any(|record| record["principal"] == "oauth:corp:ada" && record["auth"] == "token"));
    assert!(!serde_json::to_string(&records).unwrap().contains(&good), "no token in the journal");
}

/// B6: without a credential a client is told where to begin; the documents say the same for every path, and are public.
#[test]
fn a_client_without_a_token_is_told_where_to_begin() {
    let (upstream, issuer) = (Upstream::echo(), Issuer::start());
    let gate = gate(&upstream, &issuer, "");
    let none = gate.raw(&gate.request("POST", "/mcp/stub", &[("Authorization", "")], CALL));
    let challenge = none.header("www-authenticate").unwrap();
    let metadata = resource(&gate, "/.well-known/oauth-protected-resource");
    assert_eq!(none.status, 401);
    assert!(challenge.contains(&format!(r#"resource_metadata="{metadata}/mcp/stub""#)), "{challenge}");
    assert!(challenge.contains(r#"scope="mcp:tools mcp:resources mcp:prompts""#), "{challenge}");
    assert!(!challenge.contains("error="), "{challenge}");
    let get = |path: &str| gate.raw(&gate.request("GET", path, &[("Authorization", "")], b""));
    for (path, about) in [("", "/mcp"), ("/mcp", "/mcp"), ("/mcp/stub", "/mcp/stub"), ("/mcp/nobody", "/mcp/nobody")] {
        let answer = get(&format!("/.well-known/oauth-protected-resource{path}"));
        assert_eq!(answer.status, 200, "{path}");
        let document = answer.json();
        assert_eq!(document["resource"], resource(&gate, about), "{path}");
        assert_eq!(document["authorization_servers"], json!([issuer.url()]));
        assert!(!document["scopes_supported"].as_array().unwrap().contains(&json!("offline_access")));
    }
    for path in ["/x", "/mcp/", "/mcp/../x", "/mcp/A", "//mcp"] {
        assert_eq!(get(&format!("/.well-known/oauth-protected-resource{path}")).status, 401, "{path}");
    }
    let post =
        gate.raw(&gate.request("POST", "/.well-known/oauth-protected-resource", &[("Authorization", "")], b"{}"));
    assert_eq!(post.status, 405);
}

/// B6, P-A18: strangers cannot make the gateway fetch: many who come with unknown keys cost one fetch; and a key that is
/// known is never waited for.
#[test]
fn unknown_keys_do_not_make_the_gateway_fetch() {
    let (upstream, issuer) = (Upstream::echo(), Issuer::start());
    let gate = gate(&upstream, &issuer, "");
    let right = issuer.claims(&resource(&gate, "/mcp"));
    assert_eq!(call(&gate, "/mcp", &token("k1", &right)).0, 200);
    std::thread::scope(|scope| {
        for number in 0..8 {
            let (gate, right) = (&gate, &right);
            scope.spawn(move || {
                for turn in 0..4 {
                    assert_eq!(call(gate, "/mcp", &token(&format!("x{number}{turn}"), right)).0, 401);
                }
            });
        }
    });
    assert!(issuer.asked().0 <= 2, "{:?} fetches", issuer.asked());
    assert_eq!(call(&gate, "/mcp", &token("k1", &right)).0, 200);
    issuer.publish(&["k1", "k2"]);
    assert_eq!(call(&gate, "/mcp", &token("k2", &right)).0, 401, "not before the pause is over");
}

/// B6: an opaque token is asked about, once in a while; what its issuer does not know is 401.
#[test]
fn opaque_tokens_are_asked_about() {
    let (upstream, issuer) = (Upstream::echo(), Issuer::start());
    let url = issuer.url();
    let more = format!("introspection = \"{url}/introspect\"\nclient_id = \"gate\"\nclient_secret = \"gate-secret\"");
    let gate = gate(&upstream, &issuer, &more);
    let good = format!("good-{}", gate.address.port());
    for _ in 0..3 {
        assert_eq!(call(&gate, "/mcp", &good).0, 200);
    }
    assert_eq!(issuer.asked().1, 1, "what was said is believed for a while");
    assert_eq!(call(&gate, "/mcp", "nobody-knows-this").0, 401);
    assert_eq!(call(&gate, "/mcp", &format!("good-{}", gate.address.port() - 1)).0, 401, "for another gateway");
    assert_eq!(call(&gate, "/mcp", KEY).0, 200, "a key is a key");
    assert_eq!(issuer.asked().1, 3);
}

/// B6, P-I11: whoever makes up tokens, and an issuer that takes its time with them, hold up nobody whose token is good: not
/// elsewhere, and, once it was found good, not behind the same address, which may be over its ceiling too.
#[test]
fn made_up_tokens_hold_up_nobody_else() {
    let (upstream, issuer) = (Upstream::echo(), Issuer::start());
    let url = issuer.url();
    let more = format!(
        "[limits]\npenalty = \"off\"\naddress_ceiling_per_minute = 120\n[[auth.issuers]]\nname = \"corp\"\nurl = \"{url}\"\n\
         jwks = \"{url}/keys\"\nintrospection = \"{url}/introspect\"\nclient_id = \"gate\"\nclient_secret = \"gate-secret\"\n\
         introspection_max_age = \"1s\""
    );
    let text = config(&upstream.url(), &more).replace("origins =", "trusted_proxies = [\"127.0.0.1\"]\norigins =");
    let gate = Gate::configured(&text);
    let request = |from: &str, token: &str| {
        let bearer = format!("Bearer {token}");
        gate.request("POST", "/mcp", &[("Authorization", &bearer), ("X-Forwarded-For", from)], CALL)
    };
    let status = |from: &str, token: &str| gate.raw(&request(from, token)).status;
    let [mine, theirs] = ["mine", "theirs"].map(|name| format!("good-{}-{name}", gate.address.port()));
    assert_eq!(status("203.0.113.7", &mine), 200);
    let slow = issuer.takes_its_time();
    let asked = issuer.asked().1;
    let guesses: Vec<_> =
        (0..40).map(|turn| begun(&gate, &request(&format!("203.0.113.{turn}"), &format!("made-up-{turn}")))).collect();
    until("strangers' questions to be under way", || (issuer.asked().1 >= asked + 2).then_some(()));
    assert_eq!(status("198.51.100.1", &theirs), 200, "elsewhere a new token is asked about");
    let asked = issuer.asked().1;
    until("the good token to be asked about again", || {
        assert_eq!(status("203.0.113.7", &mine), 200, "what was good is not in the strangers' line");
        (issuer.asked().1 > asked).then_some(())
    });
    drop(slow);
    drop(guesses);

    for turn in 0..130 {
        gate.raw(&gate.request("GET", "/", &[("Authorization", ""), ("X-Forwarded-For", "203.0.113.7")], b""));
        assert!(turn < 120 || status("203.0.113.7", &format!("made-up-{turn}")) == 429);
    }
    let asked = issuer.asked().1;
    assert_eq!(status("203.0.113.7", "made-up"), 429);
    assert_eq!(issuer.asked().1, asked, "over its ceiling nothing is asked for strangers");
    until("the good token to be asked about again", || {
        assert_eq!(status("203.0.113.7", &mine), 200);
        (issuer.asked().1 > asked).then_some(())
    });
}

/// B6, P-B11: while a stream lives, the issuer of its opaque token is asked again; when it takes the token back the stream
/// ends, by itself, and streams of other tokens go on. An issuer that is ill for a moment ends nothing; for long, all.
#[test]
fn a_stream_ends_with_its_opaque_token() {
    let (rogue, issuer) = (streaming(), Issuer::start());
    let url = issuer.url();
    let more = format!(
        "introspection = \"{url}/introspect\"\nclient_id = \"gate\"\nclient_secret = \"gate-secret\"\n\
         introspection_max_age = \"2s\""
    );
    let issuers = format!("[[auth.issuers]]\nname = \"corp\"\nurl = \"{url}\"\njwks = \"{url}/keys\"\n{more}\n");
    let gate = Gate::configured(&config(&rogue.url(), &issuers));
    let [one, other] = ["one", "other"].map(|name| format!("good-{}-{name}", gate.address.port()));
    let open = |token: &str| gate.open("POST", "stub", token, &[], CALL);
    let (mut first, mut second, mut others) = (open(&one), open(&one), open(&other));
    let asked = issuer.asked().1;
    until("both to be asked about again", || (issuer.asked().1 >= asked + 4).then_some(()));
    assert!(is_open(&mut first) && is_open(&mut second) && is_open(&mut others));

    issuer.is_ill(true);
    let asked = issuer.asked().1;
    until("the issuer to be asked in vain", || (issuer.asked().1 > asked).then_some(()));
    issuer.is_ill(false);
    issuer.revoke(&one);
    let revoked = Instant::now();
    for stream in [&mut first, &mut second] {
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let (said, ended) = rest(stream);
        assert!(said.contains("MCP-002"), "{said}");
        assert!(ended.saturating_duration_since(revoked) < Duration::from_secs(4), "within the age, and a moment");
    }
    assert!(is_open(&mut others), "nobody took this one back");
    assert_eq!((call(&gate, "/mcp", &one).0, gate.ping("stub", KEY).status), (401, 200));

    issuer.is_ill(true);
    let silent = Instant::now();
    others.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let (said, ended) = rest(&mut others);
    assert!(
        said.contains("cannot be asked") && ended.saturating_duration_since(silent) < Duration::from_secs(6),
        "{said}"
    );
    assert_eq!(call(&gate, "/mcp", &other).0, 503, "as a call");
}
