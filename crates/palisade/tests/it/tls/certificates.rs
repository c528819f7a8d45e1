//! Client certificates as credentials.

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ClientConfig;

use super::{Authority, Issued, NO_KEY, Of, Site, Tls, ask_on, client, put};
use crate::gate::{Gate, KEY, until};
use crate::reload::{PING, streaming};
use crate::upstream::Upstream;

pub(super) const RULES: &str = "[[auth.certificates]]\nname = \"agents\"\nsan_uri = \"spiffe://example.com/agents/*\"\nservers = [\"one\"]\n\
                     [[auth.certificates]]\nname = \"ops\"\nsubject = \"CN=ops,O=Example\"\nservers = []\n";

pub(super) struct Yard {
    pub(super) authority: Authority,
    pub(super) server: Issued,
    pub(super) agent: Issued,
    pub(super) revoked: Issued,
    pub(super) ops: Issued,
    pub(super) stranger: Issued,
}

impl Yard {
    pub(super) fn new() -> Self {
        let authority = Authority::new("tests");
        let agent = |serial, uri| authority.issue(&Of { serial, uri: Some(uri), ..Of::default() });
        Self {
            server: authority.server(),
            agent: agent(2, "spiffe://example.com/agents/7"),
            revoked: agent(3, "spiffe://example.com/agents/8"),
            ops: authority.issue(&Of { serial: 4, name: Some("ops"), ..Of::default() }),
            stranger: agent(5, "spiffe://example.com/others/7"),
            authority,
        }
    }

    pub(super) fn start(&self, client_auth: &str, rules: &str, upstream: &str) -> Gate {
        self.start_with(client_auth, rules, upstream, "per_caller_per_minute = 60000\n")
    }

    pub(super) fn start_with(&self, client_auth: &str, rules: &str, upstream: &str, limits: &str) -> Gate {
        let crl = self.authority.revokes(&[&self.revoked]);
        let files = [("ca.pem", self.authority.pem.as_str()), ("crl.pem", &crl)];
        let tls = format!("client_auth = \"{client_auth}\"\nclient_ca = \"ca.pem\"\ncrl = \"crl.pem\"");
        Site { server: &self.server, files: &files, tls: &tls, more: rules, upstream, limits }.start()
    }

    pub(super) fn with(&self, own: &Issued) -> Arc<ClientConfig> {
        client(&self.authority, Some(own), &[])
    }

    pub(super) fn without(&self) -> Arc<ClientConfig> {
        client(&self.authority, None, &[])
    }
}

fn ping(gate: &Gate, headers: &[(&str, &str)]) -> Vec<u8> {
    gate.request("POST", "/mcp/one", headers, PING)
}

fn asked(gate: &Gate, config: &Arc<ClientConfig>, headers: &[(&str, &str)]) -> Option<u16> {
    gate.ask(config, &ping(gate, headers)).map(|answer| answer.status)
}

/// B9: where a certificate is required, none, another authority's, an expired and a revoked one do not get in; a right
/// one is its rule's principal, with the rule's rights.
#[test]
fn required_certificates() {
    let (yard, upstream) = (Yard::new(), Upstream::echo());
    let gate = yard.start("required", RULES, &format!("url = \"{}\"", upstream.url()));
    let other = Authority::new("others");
    let foreign = other.issue(&Of { serial: 2, uri: Some("spiffe://example.com/agents/7"), ..Of::default() });
    let expired = yard.authority.issue(&Of {
        serial: 6,
        uri: Some("spiffe://example.com/agents/7"),
        lasts: Some(-2),
        ..Of::default()
    });
    for (what, config) in [
        ("none", yard.without()),
        ("another authority's", yard.with(&foreign)),
        ("expired", yard.with(&expired)),
        ("revoked", yard.with(&yard.revoked)),
    ] {
        assert_eq!(asked(&gate, &config, &[]), None, "{what}");
    }
    assert!(upstream.requests().is_empty());
    assert_eq!(asked(&gate, &yard.with(&yard.agent), NO_KEY), Some(200));
    assert_eq!(asked(&gate, &yard.with(&yard.ops), NO_KEY), Some(404), "known, and may call no server");
    assert_eq!(asked(&gate, &yard.with(&yard.stranger), NO_KEY), Some(401), "let in, and nobody yet");
    assert_eq!(asked(&gate, &yard.with(&yard.stranger), &[]), Some(200), "with a key beside the gate");
    let lines = gate.journal();
    let who = |name: &str| lines.iter().any(|line| line["principal"] == name);
    assert!(who("certificate:agents") && who("certificate:ops") && who("key:test"), "{lines:#?}");
    assert!(lines.iter().any(|line| line["auth"] == "certificate"), "{lines:#?}");
}

/// B9, P-A21, P-I9: one request, one identity; what headers say of certificates is nobody's word.
#[test]
fn one_request_one_identity() {
    let (yard, upstream) = (Yard::new(), Upstream::echo());
    let gate = yard.start("optional", RULES, &format!("url = \"{}\"", upstream.url()));
    let without = yard.without();
    assert_eq!(asked(&gate, &without, &[]), Some(200));
    assert_eq!(asked(&gate, &without, NO_KEY), Some(401));
    assert_eq!(asked(&gate, &yard.with(&yard.agent), NO_KEY), Some(200));
    assert_eq!(asked(&gate, &yard.with(&yard.agent), &[]), Some(400), "a certificate and a key are two");
    let wrong = [("Authorization", "Bearer wrong")];
    assert_eq!(asked(&gate, &yard.with(&yard.agent), &wrong), Some(401), "a wrong key never falls through");
    assert_eq!(asked(&gate, &yard.with(&yard.revoked), &[]), None, "optional is not whatever");
    let escaped = yard.agent.pem.replace('\n', "%0A");
    for (name, value) in [
        ("X-Forwarded-Client-Cert", "By=x;URI=spiffe://example.com/agents/7"),
        ("X-SSL-Client-Cert", &escaped),
        ("X-SSL-Client-Verify", "SUCCESS"),
        ("X-Client-Cert", &escaped),
        ("Client-Cert", ":MIIB:"),
        ("X-SSL-Client-S-DN", "CN=ops,O=Example"),
    ] {
        assert_eq!(asked(&gate, &without, &[("Authorization", ""), (name, value)]), Some(401), "{name}");
        assert_eq!(asked(&gate, &without, &[(name, value)]), Some(200), "{name}");
    }
    for request in upstream.requests() {
        let told = request.headers.iter().find(|(name, _)| name.contains("cert") || name.contains("ssl"));
        assert_eq!(told, None);
    }
}

fn stream(gate: &Gate, config: &Arc<ClientConfig>) -> Tls {
    let mut stream = gate.secure(config).unwrap();
    let headers = [("Authorization", ""), ("Connection", "keep-alive"), ("Content-Length", "")];
    stream.write_all(&gate.request("GET", "/mcp/one", &headers, b"")).unwrap();
    let mut seen = Vec::new();
    while !seen.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        seen.push(byte[0]);
    }
    assert!(String::from_utf8_lossy(&seen).contains("200 OK"), "{}", String::from_utf8_lossy(&seen));
    stream
}

/// When a stream ended.
fn end(mut stream: Tls) -> Instant {
    let mut seen = Vec::new();
    drop(stream.read_to_end(&mut seen));
    Instant::now()
}

/// B9, I2: a list that revokes, and a rule that is gone, end streams and calls on connections that are open.
#[test]
fn what_is_withdrawn_ends() {
    let (yard, rogue) = (Yard::new(), streaming());
    let upstream = format!("url = \"{}\"", rogue.url());
    let gate = yard.start("optional", RULES, &upstream);
    let config = yard.with(&yard.agent);
    let open = stream(&gate, &config);
    let mut kept = gate.secure(&config).unwrap();
    let keep = ping(&gate, &[("Authorization", ""), ("Connection", "keep-alive")]);
    assert_eq!(ask_on(&mut kept, &keep).unwrap().status, 200);
    // A reload that revokes others changes nothing.
    put(gate.dir.path(), "crl.pem", &yard.authority.revokes(&[&yard.revoked, &yard.stranger]));
    until("the stranger to be revoked", || asked(&gate, &yard.with(&yard.stranger), &[]).is_none().then_some(()));
    assert_eq!(ask_on(&mut kept, &keep).unwrap().status, 200);
    put(gate.dir.path(), "crl.pem", &yard.authority.revokes(&[&yard.agent]));
    end(open);
    assert_eq!(ask_on(&mut kept, &keep).unwrap().status, 401);
    assert_eq!(asked(&gate, &config, NO_KEY), None);

    put(gate.dir.path(), "crl.pem", &yard.authority.revokes(&[]));
    until("the agent to be back", || (asked(&gate, &config, NO_KEY) == Some(200)).then_some(()));
    let open = stream(&gate, &config);
    let text = std::fs::read_to_string(gate.dir.path().join("palisade.toml")).unwrap();
    gate.replace(&text.replace("spiffe://example.com/agents/*", "spiffe://example.com/nobody/*"));
    end(open);
    assert_eq!(asked(&gate, &config, NO_KEY), Some(401));
    assert_eq!(asked(&gate, &yard.without(), &[("Authorization", &format!("Bearer {KEY}"))]), Some(200));
}

/// B9: a certificate that expires ends what rests on it, though the connection is open and TLS asks no more.
#[test]
fn an_expired_certificate_ends() {
    let (yard, rogue) = (Yard::new(), streaming());
    let gate = yard.start("optional", RULES, &format!("url = \"{}\"", rogue.url()));
    let short = yard.authority.issue(&Of {
        serial: 7,
        uri: Some("spiffe://example.com/agents/9"),
        lasts: Some(6),
        ..Of::default()
    });
    let started = Instant::now();
    let config = yard.with(&short);
    let open = stream(&gate, &config);
    let mut kept = gate.secure(&config).unwrap();
    let keep = ping(&gate, &[("Authorization", ""), ("Connection", "keep-alive")]);
    assert_eq!(ask_on(&mut kept, &keep).unwrap().status, 200);
    let lasted = end(open) - started;
    assert!(lasted > Duration::from_secs(4) && lasted < Duration::from_secs(12), "{lasted:?}");
    assert_eq!(ask_on(&mut kept, &keep).unwrap().status, 401);
}
