//! The listener itself: certificates, faults, renewals, and who does not speak TLS.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;

use super::{Authority, Issued, Of, Site, ask_on, client, put};
use crate::gate::{Gate, output, until, write_private};
use crate::reload::PING;
use crate::upstream::Upstream;

fn site<'a>(server: &'a Issued, files: &'a [(&'a str, &'a str)], upstream: &'a str) -> Site<'a> {
    Site { server, files, tls: "", more: "", upstream, limits: "per_caller_per_minute = 60000\n" }
}

fn url(upstream: &Upstream) -> String {
    format!("url = \"{}\"", upstream.url())
}

/// What the status page says, over TLS.
pub(super) fn status(gate: &Gate, authority: &Authority) -> Value {
    let config = client(authority, None, &[]);
    gate.ask(&config, &gate.request("GET", "/api/status", &[], b"")).unwrap().json()
}

fn cut(gate: &Gate, authority: &Authority, why: &str) -> u64 {
    let status = status(gate, authority);
    status["connections"]["cut"][why].as_u64().unwrap()
}

/// A4, A7: over TLS every answer says that it stays with TLS, refusals and what is no HTTP too; without TLS none does.
#[test]
fn answers_over_tls_say_so() {
    let (authority, upstream) = (Authority::new("tests"), Upstream::echo());
    let (server, upstream) = (authority.server(), url(&upstream));
    let gate = site(&server, &[], &upstream).start();
    let config = client(&authority, None, &[b"http/1.1"]);
    let ping = |headers: &[(&str, &str)]| gate.request("POST", "/mcp/one", headers, PING);
    let wrong = ping(&[("Authorization", "Bearer wrong")]);
    let rows =
        [(ping(&[]), 200), (wrong, 401), (ping(&[("Host", "evil.example")]), 421), (b"no http\r\n\r\n".to_vec(), 400)];
    for (request, expected) in &rows {
        let answer = gate.ask(&config, request).unwrap();
        assert_eq!(answer.status, *expected);
        assert_eq!(
            answer.header("strict-transport-security"),
            Some("max-age=31536000; includeSubDomains"),
            "{expected}"
        );
    }
    let plain = Gate::before(&Upstream::echo().url());
    for (request, expected) in rows.iter().take(2).chain(&rows[3..]) {
        let request = String::from_utf8_lossy(request).replace("/mcp/one", "/mcp").into_bytes();
        let request = String::from_utf8_lossy(&request).replace(&gate.address.to_string(), &plain.address.to_string());
        let answer = plain.raw(request.as_bytes());
        assert_eq!((answer.status, answer.header("strict-transport-security")), (*expected, None));
    }
}

/// A4: who speaks no TLS, or an old one, or says nothing, is let go of and counted; others go on.
#[test]
fn who_speaks_no_tls_is_let_go() {
    let (authority, upstream) = (Authority::new("tests"), Upstream::echo());
    let (server, upstream) = (authority.server(), url(&upstream));
    let gate = Site { limits: "[timeouts]\nheader = \"1s\"\n", ..site(&server, &[], &upstream) }.start();
    let ended = |mut stream: TcpStream| {
        let mut seen = Vec::new();
        drop(stream.read_to_end(&mut seen));
        seen
    };
    let mut plain = gate.connect();
    plain.write_all(&gate.request("GET", "/health", &[], b"")).unwrap();
    assert!(ended(plain).is_empty(), "no word in the clear");
    assert!(ended(gate.connect()).is_empty(), "silence ends with timeouts.header");
    // A ClientHello that is cut short.
    let mut half = gate.connect();
    half.write_all(&[0x16, 3, 1, 0, 200, 1]).unwrap();
    assert!(ended(half).len() < 16, "an alert at most");
    let old = gate.curl(&["-k", "--tls-max", "1.1", &gate.https("/health")]).output().unwrap();
    assert!(!old.status.success());
    until("all to be counted", || (cut(&gate, &authority, "handshake") >= 4).then_some(()));
    assert_eq!(
        gate.ask(&client(&authority, None, &[]), &gate.request("POST", "/mcp/one", &[], PING)).unwrap().status,
        200
    );
}

/// A4, I2: a renewed certificate counts for new connections, those that are open go on; a bad file changes nothing.
#[test]
fn a_renewed_certificate_counts() {
    let (authority, upstream) = (Authority::new("tests"), Upstream::echo());
    let (first, second) = (authority.server(), authority.server());
    let upstream = url(&upstream);
    let gate = site(&first, &[], &upstream).start();
    let config = client(&authority, None, &[]);
    let shown = || {
        let stream = gate.secure(&config).unwrap();
        stream.conn.peer_certificates().unwrap()[0].to_vec()
    };
    let before = shown();
    let mut kept = gate.secure(&config).unwrap();
    let keep = gate.request("POST", "/mcp/one", &[("Connection", "keep-alive")], PING);
    assert_eq!(ask_on(&mut kept, &keep).unwrap().status, 200);
    // The certificate comes a moment before its key: for that moment they do not fit.
    put(gate.dir.path(), "server.pem", &second.pem);
    let faults = until("the fault", || {
        let last = status(&gate, &authority)["configuration"]["last_reload"].clone();
        (last["ok"] == false).then(|| last["faults"].to_string())
    });
    assert!(faults.contains("listen.tls.key") && faults.contains("does not fit the certificate"), "{faults}");
    assert_eq!(shown(), before);
    put(gate.dir.path(), "server.key", &second.key);
    until("the new certificate", || (shown() != before).then_some(()));
    assert_eq!(ask_on(&mut kept, &keep).unwrap().status, 200, "a connection that is open goes on");
    put(gate.dir.path(), "server.pem", "nothing");
    until("the fault", || (status(&gate, &authority)["configuration"]["last_reload"]["ok"] == false).then_some(()));
    assert!(shown() != before);
}

/// A4, I1: everything that is wrong is said at once, with its cure.
#[test]
fn faults_are_said_at_start() {
    use std::os::unix::fs::PermissionsExt;
    let authority = Authority::new("tests");
    let (server, other) = (authority.server(), authority.server());
    let expired = authority.issue(&Of { dns: &["localhost"], lasts: Some(-5), ..Of::default() });
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("a.pem", &server.pem),
        ("a.key", &server.key),
        ("b.key", &other.key),
        ("old.pem", &expired.pem),
        ("old.key", &expired.key),
    ] {
        put(dir.path(), name, text);
    }
    put(dir.path(), "open.key", &server.key);
    std::fs::set_permissions(dir.path().join("open.key"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let said = |environment: &str, tls: &str, more: &str| {
        let file = dir.path().join("palisade.toml");
        drop(std::fs::remove_file(&file));
        let text = format!(
            "environment = \"{environment}\"\n[listen]\nhosts = [\"localhost\"]\norigins = [\"none\"]\n[listen.tls]\n{tls}\n\
             [audit]\ndir = \"audit\"\n[servers.one]\nurl = \"http://127.0.0.1:1/\"\n\
             [[auth.keys]]\nname = \"ci\"\nsha256 = \"{}\"\n{more}",
            "e97bb6442f9aef7b8ed51ae3c99edb58bb03b7b3d5c8f25f8b4f0f9d3cc5f2a7"
        );
        write_private(&file, &text);
        let output = output(&["config", "check", "--config", file.to_str().unwrap()], &[]);
        (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    let (code, words) = said("production", "cert = \"a.pem\"\nkey = \"a.key\"", "");
    assert_eq!(code, Some(0), "{words}");
    let rows: [(&str, &str, &[&str]); 9] = [
        ("", "", &["listen.tls.cert: is missing", "listen.tls.key: is missing"]),
        ("cert = \"no.pem\"\nkey = \"no.key\"", "", &["no.pem cannot be read", "no.key cannot be read"]),
        ("cert = \"a.pem\"\nkey = \"open.key\"", "", &["others may use", "chmod 600"]),
        ("cert = \"a.pem\"\nkey = \"b.key\"", "", &["listen.tls.key: does not fit the certificate"]),
        ("cert = \"a.key\"\nkey = \"a.pem\"", "", &["holds no certificate", "holds no private key"]),
        ("cert = \"old.pem\"\nkey = \"old.key\"", "", &["listen.tls.cert: has expired; have it renewed"]),
        (
            "cert = \"a.pem\"\nkey = \"a.key\"\nclient_auth = \"maybe\"",
            "",
            &["is not one of \"off\", \"optional\", \"required\""],
        ),
        ("cert = \"a.pem\"\nkey = \"a.key\"\nclient_auth = \"required\"", "", &["listen.tls.client_ca: is missing"]),
        (
            "cert = \"a.pem\"\nkey = \"a.key\"\nclient_ca = \"a.pem\"",
            "[[auth.certificates]]\nname = \"Big\"\nsan_dns = \"*\"\nservers = [\"two\"]\n[[auth.certificates]]\nname = \"x\"\n",
            &[
                "client_auth is \\\"off\\\"",
                "no client is asked",
                "not a name",
                "cannot be matched",
                "\"two\" is not a server",
                "fits no certificate",
            ],
        ),
    ];
    for (tls, more, expected) in rows {
        let (code, words) = said("production", tls, more);
        assert_eq!(code, Some(78), "{words}");
        for expected in expected {
            assert!(words.replace("\\\"", "\"").contains(&expected.replace("\\\"", "\"")), "{expected}: {words}");
        }
    }
    let (code, words) = said("development", "cert = \"old.pem\"\nkey = \"old.key\"", "");
    assert!(code == Some(0), "in development a warning: {words}");
}

/// A4: `palisade health` over TLS, as a container asks.
#[test]
fn health_over_tls() {
    let (authority, upstream) = (Authority::new("tests"), Upstream::echo());
    let (server, upstream) = (authority.server(), url(&upstream));
    let own = authority.issue(&Of { serial: 9, ..Of::default() });
    let files = [("ca.pem", authority.pem.as_str()), ("own.pem", &own.pem), ("own.key", &own.key)];
    let tls = "client_auth = \"required\"\nclient_ca = \"ca.pem\"";
    let gate = Site { tls, ..site(&server, &files, &upstream) }.start();
    let at = |name: &str| gate.dir.path().join(name).display().to_string();
    let url = format!("https://{}", gate.address);
    let (ca, cert, key) = (at("ca.pem"), at("own.pem"), at("own.key"));
    let asked = |words: &[&str]| output(&[&["health", &url], words].concat(), &[]).status.success();
    assert!(asked(&["--ca-file", &ca, "--cert", &cert, "--key", &key]));
    assert!(asked(&["--ca-file", &ca, "--cert", &cert, "--key", &key, "--name", "localhost"]));
    assert!(!asked(&["--ca-file", &ca, "--cert", &cert, "--key", &key, "--name", "other.example"]));
    assert!(!asked(&["--ca-file", &ca]), "nobody gets in without a certificate");
    assert!(!asked(&["--cert", &cert, "--key", &key]), "an authority that the system does not know");
}
