//! Tokens of our own: issued by the command or by REST, refreshed, taken back; in one gateway and in two.

use std::io::Write as _;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use palisade_guard::token::{Claims, Compact, KeySet, Rules, Type};
use serde_json::{Value, json};

use crate::gate::{Answer, Gate, KEY, lines, palisade, until};
use crate::managed_keys::settings;
use crate::reload::{CALL, is_open, rest, streaming};
use crate::upstream::Upstream;

impl Gate {
    /// `palisade tokens …` with this gateway's settings and this on standard input.
    fn tokens(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = palisade();
        command.arg("tokens").args(arguments).arg("--config").arg(self.settings());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    /// A pair of tokens made by the command.
    pub(crate) fn issued(&self, arguments: &[&str]) -> Value {
        let output = self.tokens(&[&["issue", "--json"], arguments].concat(), "");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Takes back all tokens of a holder.
    pub(crate) fn revoke_holder(&self, holder: &str) {
        assert!(self.tokens(&["revoke", "--holder", holder], "").status.success());
    }

    fn with(&self, method: &str, path: &str, token: &Value, body: &[u8]) -> Answer {
        let bearer = format!("Bearer {}", token.as_str().unwrap());
        self.raw(&self.request(method, path, &[("Authorization", &bearer)], body))
    }

    fn calls(&self, token: &Value) -> u16 {
        self.with("POST", "/mcp/files", token, br#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#).status
    }

    fn refreshed(&self, token: &Value) -> Answer {
        self.with("POST", "/api/tokens/refresh", token, b"")
    }
}

fn gate(upstream: &Upstream, more: &str) -> Gate {
    let text = settings(Path::new("DIR"), &[("files", &upstream.url())]);
    Gate::configured(&format!("{text}{more}"))
}

/// B5: a token works at once, for what it was made for and nothing else; a token for MCP is no good for the
/// administration, nor the reverse.
#[test]
fn a_token_does_what_it_was_made_for() {
    let upstream = Upstream::echo();
    let gate = gate(&upstream, "[servers.search]\nurl = \"http://127.0.0.1:9/mcp\"\n");
    let pair = gate.issued(&["ci", "--server", "files", "--scope", "mcp:tools:list", "--group", "build"]);
    let token = &pair["access_token"];
    until("the token to work", || (gate.calls(token) == 200).then_some(()));
    let post = |path: &str, method: &str| {
        let body =
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{"name":"t","arguments":{{}}}}}}"#);
        gate.with("POST", path, token, body.as_bytes())
    };
    assert_eq!(post("/mcp/files", "tools/list").status, 200);
    let refused = post("/mcp/files", "tools/call");
    assert_eq!(
        (refused.status, refused.header("www-authenticate").unwrap().contains("mcp:tools:call:files")),
        (403, true)
    );
    assert_eq!(post("/mcp/search", "tools/list").status, 404, "a server that its holder may not see");
    for path in ["/api/tokens", "/api/keys", "/api/status"] {
        assert_eq!(gate.with("GET", path, token, b"").status, 401, "{path}");
    }
    let root = |more: &[&str]| {
        let plain = ["root", "--purpose", "api", "--scope", "palisade:tokens:write"];
        gate.issued(&[&plain, more].concat())["access_token"].clone()
    };
    let (admin, narrow) = (&root(&["--scope", "mcp:*"]), &root(&["--scope", "mcp:*", "--server", "files"]));
    assert_eq!(gate.calls(admin), 401);
    let made = gate.with("POST", "/api/tokens", admin, br#"{"subject":"by-rest","scopes":["mcp:*"]}"#);
    assert_eq!(made.status, 200, "{}", made.text());
    assert_eq!(gate.calls(&made.json()["access_token"]), 200);
    let beyond =
        gate.with("POST", "/api/tokens", admin, br#"{"subject":"x","purpose":"api","scopes":["palisade:keys:write"]}"#);
    assert_eq!(beyond.status, 403, "nobody gives more of the administration than they have");
    for (servers, status) in [("", 403), (r#","servers":["search"]"#, 403), (r#","servers":["files"]"#, 200)] {
        let body = format!(r#"{{"subject":"x"{servers}}}"#);
        assert_eq!(
            gate.with("POST", "/api/tokens", narrow, body.as_bytes()).status,
            status,
            "nor of the servers: {body}"
        );
    }
    for wrong in [
        r#"{"subject":""}"#,
        r#"{"subject":"a","owner":"b"}"#,
        r#"{"subject":"a","subject":"b"}"#,
        r#"{"subject":"a","servers":["x"]}"#,
    ] {
        assert_eq!(gate.with("POST", "/api/tokens", admin, wrong.as_bytes()).status, 400, "{wrong}");
    }
    let weak = gate.with("POST", "/api/tokens", &made.json()["access_token"], br#"{"subject":"x"}"#);
    assert_eq!(weak.status, 401, "for MCP alone");
    let log = gate.log.lock().unwrap().clone();
    let records = serde_json::to_string(&gate.journal()).unwrap();
    assert!(!records.contains(token.as_str().unwrap()) && !log.contains(token.as_str().unwrap()));
    assert!(records.contains("token:ci") && records.contains("token.issue"));
}

/// B5, P-A19: a refresh token buys one pair; shown again, the whole family ends, the newest tokens too.
#[test]
fn a_stolen_refresh_token_ends_its_family() {
    let upstream = Upstream::echo();
    let gate = gate(&upstream, "");
    let (first, other) = (gate.issued(&["ci"]), gate.issued(&["ci"]));
    until("the tokens to work", || (gate.calls(&other["access_token"]) == 200).then_some(()));
    assert_eq!(gate.calls(&first["refresh_token"]), 401, "it opens nothing else");
    assert_eq!(gate.refreshed(&first["access_token"]).status, 401, "and nothing else does this");
    let second = gate.refreshed(&first["refresh_token"]);
    assert_eq!(second.status, 200, "{}", second.text());
    let second = second.json();
    assert_eq!((gate.calls(&second["access_token"]), gate.calls(&first["access_token"])), (200, 200));
    let third = gate.tokens(&["refresh", "--json"], second["refresh_token"].as_str().unwrap());
    let third: Value = serde_json::from_slice(&third.stdout).unwrap();
    assert_eq!(gate.calls(&third["access_token"]), 200, "by the command too");

    assert_eq!(gate.refreshed(&first["refresh_token"]).status, 401, "a second time");
    for pair in [&first, &second, &third] {
        assert_eq!(gate.calls(&pair["access_token"]), 401, "the family has ended");
        assert_eq!(gate.refreshed(&pair["refresh_token"]).status, 401);
    }
    assert_eq!(gate.calls(&other["access_token"]), 200, "others of the same holder go on");
    let told = || lines(&gate.audit()).iter().any(|line| line.to_string().contains("token.reused"));
    until("the journal to tell", || told().then_some(()));
}

/// B5, I3: what one gateway takes back counts there with the next call, and in every other on the store within a second;
/// streams end too, those of others go on.
#[test]
fn two_gateways_on_one_store_take_back_together() {
    let rogue = streaming();
    let one = Gate::configured(&settings(Path::new("DIR"), &[("files", &rogue.url())]));
    let two = Gate::configured(&settings(one.dir.path(), &[("files", &rogue.url())]));
    let admin = one.issued(&["root", "--purpose", "api", "--scope", "palisade:tokens:write"]);
    let (agent, other) = (one.issued(&["agent"]), one.issued(&["other"]));
    for gate in [&one, &two] {
        for pair in [&agent, &other] {
            until("the tokens to be known", || (gate.calls(&pair["access_token"]) == 200).then_some(()));
        }
    }
    let token = agent["access_token"].as_str().unwrap();
    let mut there = two.open("POST", "files", token, &[], CALL);
    let mut others = two.open("POST", "files", other["access_token"].as_str().unwrap(), &[], CALL);
    let body = json!({"kind": "family", "name": agent["family"]}).to_string();
    let answer = one.with("POST", "/api/tokens/revoke", &admin["access_token"], body.as_bytes());
    let revoked = Instant::now();
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(one.calls(&agent["access_token"]), 401, "in the same process with the next call");
    until("the other gateway to refuse it", || (two.calls(&agent["access_token"]) == 401).then_some(()));
    assert!(revoked.elapsed() < Duration::from_secs(1), "{:?}", revoked.elapsed());
    let (said, ended) = rest(&mut there);
    assert!(ended.saturating_duration_since(revoked) < Duration::from_secs(1) && said.contains("MCP-002"), "{said}");
    assert!(is_open(&mut others));
    let nobody = one.tokens(&["revoke", "--holder", "other"], "");
    assert!(!nobody.status.success(), "no holder has such a name: nothing would be taken back");
    assert!(one.tokens(&["revoke", "--holder", "token:other"], "").status.success());
    until("all of a holder to be refused", || (two.calls(&other["access_token"]) == 401).then_some(()));
}

/// B5: keys are exchanged with an overlap; whoever reads the public set can verify, and the set holds no secret.
#[test]
fn keys_are_rotated_with_an_overlap() {
    let upstream = Upstream::echo();
    let gate = gate(&upstream, "");
    let before = gate.issued(&["ci"]);
    until("the token to work", || (gate.calls(&before["access_token"]) == 200).then_some(()));
    assert!(gate.tokens(&["rotate-key"], "").status.success());
    let after = gate.issued(&["ci"]);
    until("the new key to be known", || (gate.calls(&after["access_token"]) == 200).then_some(()));
    assert_eq!(gate.calls(&before["access_token"]), 200);
    let published = gate.raw(&gate.request("GET", "/.well-known/jwks.json", &[("Authorization", "")], b""));
    assert_eq!(published.status, 200);
    assert!(!published.text().contains("\"d\""), "{}", published.text());
    let keys = KeySet::read_public(published.text().as_bytes()).unwrap();
    assert_eq!(keys.len(), 2);
    for pair in [&before, &after] {
        let token = Compact::read(pair["access_token"].as_str().unwrap().as_bytes()).unwrap();
        let rules = Rules { issuer: "palisade:development", typ: Type::Access, complete: true, leeway: 5 };
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        assert!(Claims::verified(&token, keys.find(&token).unwrap(), &rules, now).is_ok());
    }
    let printed = gate.tokens(&["jwks"], "");
    assert_eq!(serde_json::from_slice::<Value>(&printed.stdout).unwrap(), published.json());
}

/// B5, P-A19: with a secret tokens are HS256 and nothing is published; a secret that others know does not start.
#[test]
fn secrets_are_weighed() {
    let upstream = Upstream::echo();
    let gate = gate(&upstream, "[auth.tokens]\nsecret = \"q7Zk2vX9mN4pR8tW1yB6dF3hJ5lS0zGa\"\n");
    let pair = gate.issued(&["ci"]);
    until("the token to work", || (gate.calls(&pair["access_token"]) == 200).then_some(()));
    let published = gate.raw(&gate.request("GET", "/.well-known/jwks.json", &[("Authorization", "")], b""));
    assert_eq!(published.json(), json!({"keys": []}));
    let dir = gate.dir.path();
    for weak in [
        "short",
        "your-256-bit-secret",
        "secretsecretsecretsecretsecretsecret",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "4c9184f3-7cff-01bc-c32d-f486613bb626",
        "0123456789abcdef0123456789abcdef",
    ] {
        let mut command = palisade();
        command.args(["config", "check", "--config"]).arg(dir.join("other.toml"));
        let text = format!(
            "environment = \"development\"\n[auth.tokens]\nsecret = \"{weak}\"\n[[auth.keys]]\nkey = \"{KEY}\"\n[servers.s]\nurl = \"http://127.0.0.1:9/mcp\"\n"
        );
        std::fs::write(dir.join("other.toml"), text).unwrap();
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
        assert!(
            !output.status.success() && said.contains("auth.tokens.secret") && !said.contains(weak),
            "{weak}: {said}"
        );
    }
}
