//! Signed requests: who gets in, what keeps everybody else out, and clients in other languages.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use http::{HeaderMap, HeaderName, HeaderValue};
use palisade_guard::sign::{Occasion, Request, Scheme, Signer};
use serde_json::Value;

use crate::gate::{Answer, Gate, KEY, begun, is_answered, palisade, until, write_private};
use crate::harness::{program, python};
use crate::upstream::Upstream;

/// The secret of the client `desk`, whose key id is `desk-1`.
pub(crate) const SECRET: &str = "kQ7vX2mN9pR4tW8yB3dF6hJ1lS5zC0gA";
const OLD_SECRET: &str = "aT4bN7cR1dW9eY3fU6gI8hO2jP5kS0lDz";

/// A gateway that demands signatures, in front of this upstream; `rest` stands at the end of its settings.
pub(crate) fn signed_gate(upstream: &str, mode: &str, rest: &str) -> Gate {
    Gate::configured(&settings(upstream, mode, rest))
}

/// The settings of such a gateway.
pub(crate) fn settings(upstream: &str, mode: &str, rest: &str) -> String {
    format!(
        r#"
        environment = "development"
        [log]
        format = "pretty"
        [listen]
        address = "127.0.0.1:0"
        [audit]
        dir = "DIR/audit"
        [auth]
        mode = "{mode}"
        [[auth.clients]]
        name = "desk"
        key_id = "desk-1"
        secrets = ["{SECRET}", "{OLD_SECRET}"]
        [servers.desk]
        url = "{upstream}"
        {rest}
        "#
    )
}

/// A request to be signed.
#[derive(Clone)]
pub(crate) struct Draft {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

impl Draft {
    /// A tool call of 2026-07-28 under an idempotency key.
    pub(crate) fn call(key: &str) -> Self {
        let meta = r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"buy","arguments":{{"n":1}},"_meta":{meta}}}}}"#
        );
        let headers = [
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
            ("mcp-protocol-version", "2026-07-28"),
            ("mcp-method", "tools/call"),
            ("mcp-name", "buy"),
            ("idempotency-key", key),
        ];
        let headers = headers.map(|(name, value)| (name, value.to_owned())).to_vec();
        Self { method: "POST", path: "/mcp".to_owned(), headers, body: body.into_bytes() }
    }

    /// With another value of one header, or one more.
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.retain(|(other, _)| *other != name);
        self.headers.push((name, value.to_owned()));
        self
    }

    /// Signed by the client `desk` for this gateway.
    pub(crate) fn signed(&self, gate: &Gate) -> Self {
        self.signed_so(gate, Scheme::Headers, "desk-1", SECRET, now_s())
    }

    /// Signed in any way.
    pub(crate) fn signed_so(&self, gate: &Gate, scheme: Scheme, key_id: &str, secret: &str, now_s: u64) -> Self {
        let headers: HeaderMap = self
            .headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
            .collect();
        let host = self.headers.iter().find(|(name, _)| *name == "host").map(|(_, value)| value.clone());
        let authority = host.unwrap_or_else(|| gate.address.to_string());
        let request = Request { method: self.method, authority: &authority, target: &self.path, headers: &headers };
        let nonce = palisade_gateway::new_key();
        let signer = Signer::new(scheme, key_id, secret.as_bytes()).unwrap();
        let added = signer.sign(&request, &self.body, Occasion { now_s, nonce: &nonce }).unwrap();
        let mut draft = self.clone();
        for (name, value) in &added {
            let name: &'static str = Box::leak(name.as_str().to_owned().into_boxed_str());
            draft.headers.push((name, value.to_str().unwrap().to_owned()));
        }
        draft
    }

    /// The bytes of it, as they go over the wire.
    pub(crate) fn bytes(&self, gate: &Gate) -> Vec<u8> {
        let headers = self.headers.iter().map(|(name, value)| (*name, value.as_str()));
        let headers: Vec<_> = headers.chain([("Authorization", "")]).collect();
        gate.request(self.method, &self.path, &headers, &self.body)
    }

    pub(crate) fn send(&self, gate: &Gate) -> Answer {
        gate.raw(&self.bytes(gate))
    }
}

pub(crate) fn now_s() -> u64 {
    palisade_gateway::now().unix_ms / 1000
}

/// What a caller hears of a refusal, without what differs from answer to answer.
fn heard(answer: &Answer) -> (u16, Option<String>, Value) {
    let mut json = answer.json();
    let data = json["error"]["data"].as_object_mut().unwrap();
    data.remove("timestamp");
    data.remove("correlation_id");
    json["id"] = Value::Null;
    (answer.status, answer.header("www-authenticate").map(str::to_owned), json)
}

/// The reasons of the refused arrivals, in order.
fn reasons(journal: &[Value]) -> Vec<String> {
    let closings = journal.iter().filter(|line| line["kind"] == "closing" && line["reason"].is_string());
    closings.map(|line| line["reason"].as_str().unwrap().to_owned()).collect()
}

/// B4, P-B11: a request that is signed in any scheme gets in, with either secret, as the client that signed it; nothing
/// of the signature goes on to the upstream.
#[test]
fn who_signs_gets_in() {
    let upstream = Upstream::echo();
    let gate = signed_gate(&upstream.url(), "hmac", "");
    for (number, scheme) in [Scheme::Headers, Scheme::Messages, Scheme::Compat].into_iter().enumerate() {
        for secret in [SECRET, OLD_SECRET] {
            let key = format!("{number} {secret}");
            let answer = Draft::call(&key).signed_so(&gate, scheme, "desk-1", secret, now_s()).send(&gate);
            assert_eq!(answer.status, 200, "{scheme:?}: {}", answer.text());
        }
    }
    for request in upstream.requests() {
        let names: Vec<&str> = request.headers.iter().map(|(name, _)| name.as_str()).collect();
        for secret in ["x-signature", "x-key-id", "x-nonce", "signature", "signature-input", "idempotency-key"] {
            assert!(!names.contains(&secret), "{secret} reached the upstream");
        }
    }
    assert_eq!(upstream.calls().len(), 6);
    let journal = gate.journal();
    let calls = journal.iter().filter(|line| line["kind"] == "closing");
    for call in calls {
        assert_eq!((&call["principal"], &call["auth"]), (&"client:desk".into(), &"signature".into()), "{call}");
    }
}

/// B4, P-B1, P-B12, P-B14: the same request again is refused, whatever it was answered the first time; a nonce of a
/// request whose signature does not fit is not used up.
#[test]
fn a_request_is_accepted_once() {
    let upstream = Upstream::echo();
    let gate = signed_gate(&upstream.url(), "hmac", "");
    for scheme in [Scheme::Headers, Scheme::Messages, Scheme::Compat] {
        let draft = Draft::call(&format!("{scheme:?}")).signed_so(&gate, scheme, "desk-1", SECRET, now_s());
        let mut burnt = draft.clone();
        burnt.body.push(b' ');
        assert_eq!(burnt.send(&gate).status, 401);
        assert_eq!(draft.send(&gate).status, 200, "{scheme:?}");
        assert_eq!(draft.send(&gate).status, 401, "{scheme:?}");
        let before = upstream.calls().len();
        let other = draft.clone().with("idempotency-key", "another");
        assert_eq!(other.send(&gate).status, 401, "{scheme:?}");
        assert_eq!(upstream.calls().len(), before);
    }
    assert_eq!(upstream.calls().len(), 3);
    let reasons = reasons(&gate.journal());
    assert_eq!(reasons.iter().filter(|reason| *reason == "SignatureReplayed").count(), 4, "{reasons:?}");
}

/// B4, E9, P-B2, P-B10: with any covered part changed, each in turn, or the clock moved, a request is refused; each has
/// its own reason in the journal, and all hear the same. Nothing reaches the upstream.
#[test]
fn whatever_is_changed_is_refused() {
    let upstream = Upstream::echo();
    let gate = signed_gate(&upstream.url(), "hmac", "[limits]\npenalty = \"off\"");
    let now = now_s();
    let draft = Draft::call("k");
    let mut refused = Vec::new();
    for scheme in [Scheme::Headers, Scheme::Messages] {
        let good = draft.signed_so(&gate, scheme, "desk-1", SECRET, now);
        let signed: Vec<_> = good.headers.iter().filter(|(name, _)| *name != "accept").cloned().collect();
        for (name, value) in signed {
            let last = if value.ends_with('1') { "2" } else { "1" };
            let changed = format!("{}{last}", &value[..value.len() - 1]);
            refused.push((good.clone().with(name, &changed), None));
        }
        refused.push((good.clone().with("mcp-session-id", "s"), None));
        refused.push((good.clone().with("host", "127.0.0.1:1"), None));
        refused.push((Draft { path: "/mcp/desk".to_owned(), ..good.clone() }, None));
        refused.push((Draft { path: "/mcp?a".to_owned(), ..good.clone() }, None));
        refused.push((Draft { method: "PUT", ..good.clone() }, None));
        let mut body = good.body.clone();
        body.push(b' ');
        refused.push((Draft { body, ..good }, Some("SignatureWrong")));
    }
    let so = |key_id, secret, now_s| draft.signed_so(&gate, Scheme::Headers, key_id, secret, now_s);
    refused.push((so("desk-1", SECRET, now - 302), Some("SignatureTooOld")));
    refused.push((so("desk-1", SECRET, now + 40), Some("SignatureTooEarly")));
    refused.push((so("desk-2", SECRET, now), Some("SignatureKeyUnknown")));
    refused.push((so("desk-1", &SECRET.replace('k', "l"), now), Some("SignatureWrong")));
    let mut words = Vec::new();
    for (draft, _) in &refused {
        let answer = draft.send(&gate);
        words.push(heard(&answer));
        assert_eq!(answer.status, 401, "{:?}: {}", draft.headers, answer.text());
    }
    words.dedup();
    assert_eq!(words.len(), 1, "{words:#?}");
    assert!(upstream.requests().is_empty());
    let reasons = reasons(&gate.journal());
    for ((draft, expected), found) in refused.iter().zip(&reasons) {
        assert!(expected.is_none_or(|expected| expected == found), "{found} for {:?}", draft.headers);
        assert!(found.starts_with("Signature"), "{found}");
    }
}

/// B4, P-A11: the first wrong signatures are told at once and the later ones wait, whatever is wrong with them; who signs
/// rightly in the same block does not wait.
#[test]
fn wrong_signatures_wait_and_right_ones_do_not() {
    let upstream = Upstream::echo();
    let gate = signed_gate(&upstream.url(), "hmac", "[limits]\npenalty = \"60s\"");
    let now = now_s();
    let (draft, other) = (Draft::call("k"), SECRET.replace('k', "l"));
    let so = |key_id, secret, now_s| draft.signed_so(&gate, Scheme::Headers, key_id, secret, now_s);
    let wrong = [so("desk-1", &other, now), so("desk-2", SECRET, now), so("desk-1", SECRET, now - 400)];
    let mut guesses: Vec<_> = (0..21).map(|turn| begun(&gate, &wrong[turn % 3].bytes(&gate))).collect();
    until("the first guesses to be told", || guesses.iter_mut().take(8).any(is_answered).then_some(()));
    for turn in 0..3 {
        assert_eq!(Draft::call(&format!("{turn}")).signed(&gate).send(&gate).status, 200, "the owner");
    }
    for kind in 0..3 {
        let waiting = guesses.iter_mut().skip(kind).step_by(3).map(is_answered).filter(|answered| !answered).count();
        assert!(waiting >= 2, "kind {kind}: only {waiting} of 7 wait");
    }
    assert_eq!(upstream.calls().len(), 3);
}

/// B4, P-A21, P-A22: where signatures are demanded a key does not do, and a key beside a signature never does.
#[test]
fn a_key_is_no_way_around() {
    let upstream = Upstream::echo();
    let gate = signed_gate(&upstream.url(), "hmac", &format!("[[auth.keys]]\nname = \"ci\"\nkey = \"{KEY}\""));
    let unsigned = Draft::call("k");
    assert_eq!(unsigned.send(&gate).status, 401);
    assert_eq!(unsigned.clone().with("x-api-key", KEY).send(&gate).status, 401);
    assert_eq!(unsigned.signed(&gate).with("x-api-key", KEY).send(&gate).status, 400);
    assert!(upstream.requests().is_empty());
    assert_eq!(unsigned.signed(&gate).send(&gate).status, 200);
}

/// B4, P-A22: a server that wants signatures does not exist to a caller with a key, and no list shows it.
#[test]
fn a_server_can_want_signatures() {
    let upstream = Upstream::echo();
    let key = format!("[[auth.keys]]\nname = \"ci\"\nkey = \"{KEY}\"");
    let gate = signed_gate(&upstream.url(), "bearer", &format!("signed = true\n{key}"));
    let call = Draft { path: "/mcp/desk".to_owned(), ..Draft::call("k") };
    assert_eq!(call.clone().with("x-api-key", KEY).send(&gate).status, 404);
    let whole = Draft { path: "/mcp".to_owned(), ..call.clone() };
    assert_eq!(whole.with("x-api-key", KEY).send(&gate).status, 404);
    let listed = gate.raw(&gate.request("GET", "/mcp/marketplace", &[], b""));
    assert!(!listed.text().contains("desk"), "{}", listed.text());
    assert!(upstream.requests().is_empty());
    assert_eq!(call.signed(&gate).send(&gate).status, 200);
}

/// A8, B4, P-B9: a signed request may have 1 MiB, and of an unknown signer, or one from another time, not a byte of the
/// body is waited for.
#[test]
fn bodies_of_signed_requests_are_bounded() {
    let upstream = Upstream::echo();
    let gate = signed_gate(&upstream.url(), "hmac", "");
    let of = |length: usize| {
        let text = String::from_utf8(Draft::call("k").body).unwrap();
        let padded = text.replace("\"n\":1", &format!("\"n\":\"{}\"", "x".repeat(length - text.len() - 1)));
        assert_eq!(padded.len(), length);
        Draft { body: padded.into_bytes(), ..Draft::call("big") }
    };
    let answer = of(1024 * 1024 + 1).signed(&gate).send(&gate);
    assert_eq!((answer.status, answer.code().as_str()), (413, "MCP-017"));
    let answer = of(1024 * 1024).signed(&gate).send(&gate);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let draft = of(1000 * 1024);
    for (key_id, now_s) in [("nobody", now_s()), ("desk-1", now_s() - 400)] {
        let bytes = draft.signed_so(&gate, Scheme::Headers, key_id, SECRET, now_s).bytes(&gate);
        let head = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
        let mut stream = gate.connect();
        stream.write_all(&bytes[..head]).unwrap();
        assert_eq!(Answer::read(&mut stream).status, 401);
    }
}

/// B4, P-B8: what `palisade sign` prints gets in, in each scheme.
#[test]
fn the_command_signs() {
    let upstream = Upstream::echo();
    let gate = signed_gate(&upstream.url(), "hmac", "");
    let (key, body) = (gate.dir.path().join("desk.key"), gate.dir.path().join("call.json"));
    write_private(&key, &format!("desk-1 {SECRET}\n"));
    std::fs::write(&body, &Draft::call("k").body).unwrap();
    for scheme in ["headers", "rfc9421", "compat"] {
        let mut sign = palisade();
        sign.args(["sign", "post", &format!("http://{}/mcp", gate.address), "--scheme", scheme]);
        sign.arg("--key-file").arg(&key).arg("--body").arg(&body).args(["--idempotency-key", scheme]);
        for header in ["Mcp-Protocol-Version: 2026-07-28", "Mcp-Method: tools/call", "Mcp-Name: buy"] {
            sign.args(["-H", header]);
        }
        let output = sign.stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let printed = String::from_utf8(output.stdout).unwrap();
        let headers: Vec<(&str, &str)> = printed.lines().map(|line| line.split_once(": ").unwrap()).collect();
        let headers: Vec<_> = headers.into_iter().chain([("Authorization", "")]).collect();
        let answer = gate.raw(&gate.request("POST", "/mcp", &headers, &Draft::call("k").body));
        assert_eq!(answer.status, 200, "{scheme}: {} for {printed}", answer.text());
    }
    let output = palisade().args(["sign", "GET", "http://h/"]).arg("--key-file").arg(&body).output().unwrap();
    assert_eq!(output.status.code(), Some(78), "others may read the file");
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn vectors() -> PathBuf {
    repository().join("docs/reference/signature-vectors.json")
}

/// B4, P-B8: the Python and the TypeScript client come to the canonical forms and signatures of the published vectors.
#[test]
fn clients_in_other_languages_agree_with_the_vectors() {
    let examples = repository().join("examples");
    let mut in_python = Command::new(python());
    in_python.arg(examples.join("sign-python/check_vectors.py")).arg(vectors()).env("PYTHONDONTWRITEBYTECODE", "1");
    let mut in_typescript = Command::new(program("node"));
    in_typescript.args(["--experimental-strip-types", "--no-warnings"]);
    in_typescript.arg(examples.join("sign-typescript/check-vectors.ts")).arg(vectors());
    for mut command in [in_python, in_typescript] {
        let output = command.output().unwrap();
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "6 vectors agree");
    }
}
